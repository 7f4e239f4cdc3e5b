"""Every parameter of slurm.conf (22.05) that stands on a line of its own, and what becomes of it.

The list is that of slurm.conf(5); tests/cli/test_compat.py compares it with what was extracted from there.
What is MAPPED or IN_PART has a function in general.py, partitions.py or nodes.py.
"""

from __future__ import annotations

from packhorse.cli.importing.report import Fate, Known


def _mapped(remark: str, slurm_default: str = "") -> Known:
    return Known(Fate.MAPPED, remark, slurm_default)


def _in_part(remark: str, slurm_default: str = "", same: tuple[str, ...] = ()) -> Known:
    return Known(Fate.IN_PART, remark, slurm_default, same)


def _not_needed(remark: str) -> Known:
    return Known(Fate.NOT_NEEDED, remark)


def _unsupported(remark: str, same: tuple[str, ...] = ()) -> Known:
    return Known(Fate.UNSUPPORTED, remark, "", same)


_OFF = ("0", "no", "false", "unlimited", "infinite", "-1")
_DATABASE = _not_needed("accounting is in the scheduler's own database ([store])")
_BACKUP = _unsupported("there is one scheduler; have a service manager start it again, jobs run on meanwhile")
_LOG = _not_needed("daemons write to log/ in PACKHORSE_HOME ([log])")
_SYSLOG = _unsupported("logs are files; set level in [log]")
_PID = _not_needed("process ids are in run/ in PACKHORSE_HOME")
_PORT = _not_needed("agents call the scheduler ([listen] grpc); only that address has to be reachable")
_AUTH = _not_needed("callers are who the kernel says; over TCP they need a token (docs/calling.md)")
_JOBCOMP = _unsupported("sacct has ended jobs; packhorse events, and the event stream, tell programs of them")
_POWER = _unsupported("nodes are not switched off and on", same=_OFF)
_ENERGY = _not_needed("energy of GPUs is read from their driver; that of nodes is not measured")
_PROFILE = _not_needed("packhorse usage shows what jobs used over time")
_EXT_SENSORS = _unsupported("no external sensors")
_WEIGHT = "[priority] "
_PROPAGATE = _in_part("all limits go along; jobs say which with --propagate", same=("all",))
_ONE_CLUSTER = _unsupported("one cluster")
_BURST = _unsupported("no burst buffers")
_CPU_FREQ = _unsupported("CPU frequencies are left alone")

PARAMETERS: dict[str, Known] = {
    "AccountingStorageBackupHost": _DATABASE,
    "AccountingStorageEnforce": _mapped("[accounts] enforce", "none"),
    "AccountingStorageExternalHost": _ONE_CLUSTER,
    "AccountingStorageHost": _DATABASE,
    "AccountingStorageParameters": _DATABASE,
    "AccountingStoragePass": _DATABASE,
    "AccountingStoragePort": _DATABASE,
    "AccountingStorageTRES": _not_needed("everything that can be asked for is counted"),
    "AccountingStorageType": _DATABASE,
    "AccountingStorageUser": _DATABASE,
    "AccountingStoreFlags": _not_needed("comments, scripts and environments are kept"),
    "AcctGatherEnergyType": _ENERGY,
    "AcctGatherFilesystemType": _unsupported("input and output over a network file system is not measured"),
    "AcctGatherInterconnectType": _unsupported("traffic of interconnects is not measured"),
    "AcctGatherNodeFreq": _ENERGY,
    "AcctGatherProfileType": _PROFILE,
    "AllowSpecResourcesUsage": _unsupported("jobs cannot ask for specialized cores (--core-spec)", same=_OFF),
    "AuthAltParameters": _AUTH,
    "AuthAltTypes": _AUTH,
    "AuthInfo": _AUTH,
    "AuthType": _AUTH,
    "BackupAddr": _BACKUP,
    "BackupController": _BACKUP,
    "BatchStartTimeout": _not_needed("a start that an agent does not confirm is settled when it answers"),
    "BcastExclude": _unsupported("srun --bcast copies the program alone"),
    "BcastParameters": _unsupported("sbcast and srun --bcast take the destination on the command line"),
    "BurstBufferType": _BURST,
    "CliFilterPlugins": _unsupported("no plugins in commands; wrap the command"),
    "ClusterName": _mapped("[cluster] name"),
    "CommunicationParameters": _PORT,
    "CompleteWait": _not_needed("resources are free when the node says that nothing of the job is left"),
    "ControlAddr": _PORT,
    "ControlMachine": _PORT,
    "CoreSpecPlugin": _not_needed("CoreSpecCount of a node is taken off its CPUs"),
    "CpuFreqDef": _CPU_FREQ,
    "CpuFreqGovernors": _CPU_FREQ,
    "CredType": _AUTH,
    "DebugFlags": _unsupported('use level = "debug" in [log]'),
    "DefCpuPerGPU": _unsupported("jobs say --cpus-per-gpu; a site's default can be SBATCH_CPUS_PER_GPU"),
    "DefMemPerCPU": _mapped("def_mem_per_cpu of partitions that have none of their own"),
    "DefMemPerGPU": _unsupported("jobs say --mem-per-gpu; a site's default can be SBATCH_MEM_PER_GPU"),
    "DefMemPerNode": _unsupported("give partitions def_mem_per_cpu", same=_OFF),
    "DependencyParameters": _unsupported("sbatch --kill-on-invalid-dep says so for each job"),
    "DisableRootJobs": _mapped("[jobs] allow_root_jobs, the other way round", "NO"),
    "EioTimeout": _not_needed("streams of steps end with the step"),
    "EnforcePartLimits": _in_part(
        "requests that can never run are refused, as with ALL", same=("all", "yes")
    ),
    "Epilog": _mapped("packhorse agent --epilog"),
    "EpilogMsgTime": _not_needed("ends of jobs are not spread over time"),
    "EpilogSlurmctld": _unsupported("no programs at the scheduler; follow the event stream"),
    "ExtSensorsFreq": _EXT_SENSORS,
    "ExtSensorsType": _EXT_SENSORS,
    "FairShareDampeningFactor": _not_needed("means nothing to Fair Tree, as in Slurm"),
    "FederationParameters": _ONE_CLUSTER,
    "FirstJobId": _unsupported("job ids begin with 1"),
    "GetEnvTimeout": _not_needed("sbatch --get-user-env=TIME says it"),
    "GpuFreqDef": _unsupported("GPU frequencies are left alone"),
    "GresTypes": _not_needed("devices are what agents find or declare"),
    "GroupUpdateForce": _not_needed("groups are looked up when they are needed"),
    "GroupUpdateTime": _not_needed("groups are looked up when they are needed"),
    "HealthCheckInterval": _mapped("packhorse agent --health-interval"),
    "HealthCheckNodeState": _in_part("the health check runs whatever the node's state (ANY)", same=("any",)),
    "HealthCheckProgram": _mapped("packhorse agent --health-check"),
    "InactiveLimit": _mapped("[jobs] inactive_limit"),
    "InteractiveStepOptions": _not_needed("salloc runs the shell where it was called"),
    "JobAcctGatherFrequency": _mapped("[nodes] usage_interval (its task part)"),
    "JobAcctGatherParams": _not_needed("memory is what counts against the limit; a job over it is ended"),
    "JobAcctGatherType": _not_needed("use is measured by control groups, or by /proc without them"),
    "JobCompHost": _JOBCOMP,
    "JobCompLoc": _JOBCOMP,
    "JobCompParams": _JOBCOMP,
    "JobCompPass": _JOBCOMP,
    "JobCompPort": _JOBCOMP,
    "JobCompType": _JOBCOMP,
    "JobCompUser": _JOBCOMP,
    "JobContainerType": _unsupported("no private /tmp; make and remove one in --prolog and --epilog"),
    "JobFileAppend": _in_part("1: set SBATCH_OPEN_MODE=append; 0 is what is done", same=("0",)),
    "JobRequeue": _in_part("1 is what is done; 0: set SBATCH_NO_REQUEUE=1 for users", same=("1",)),
    "JobSubmitPlugins": _unsupported("no plugins at submission; partitions, QOS and limits are configured"),
    "KillOnBadExit": _unsupported("set SLURM_KILL_BAD_EXIT=1 for users", same=_OFF),
    "KillWait": _mapped("[jobs] kill_wait"),
    "LaunchParameters": _not_needed("steps are started by the agents"),
    "LaunchType": _not_needed("steps are started by the agents"),
    "Licenses": _mapped("[cluster] licenses"),
    "LogTimeFormat": _not_needed("logs are JSON lines with times in ISO 8601"),
    "MCSParameters": _unsupported("no labels of security (MCS)"),
    "MCSPlugin": _unsupported("no labels of security (MCS)"),
    "MailDomain": _unsupported("give --mail-user with a domain"),
    "MailProg": _mapped("[mail] program"),
    "MaxArraySize": _mapped("[jobs] max_array_size", "1001"),
    "MaxDBDMsgs": _DATABASE,
    "MaxJobCount": _in_part("[jobs] max_pending_jobs; running jobs do not count", "10000"),
    "MaxJobId": _not_needed("job ids do not start again"),
    "MaxMemPerCPU": _unsupported("give partitions max_mem_per_node, or accounts MaxTRES", same=_OFF),
    "MaxMemPerNode": _mapped("max_mem_per_node of partitions that have none of their own"),
    "MaxNodeCount": _not_needed("nodes are those whose agents join"),
    "MaxStepCount": _unsupported("steps of a job are not limited"),
    "MaxTasksPerNode": _not_needed("tasks on a node are limited by its CPUs, or by what --pids allows"),
    "MessageTimeout": _not_needed("calls have deadlines of their own"),
    "MinJobAge": _mapped("[jobs] min_job_age"),
    "MpiDefault": _in_part("srun --mpi=none|pmi2|pmix; set SLURM_MPI_TYPE for users", same=("none",)),
    "MpiParams": _not_needed("ports are the program's business"),
    "NodeFeaturesPlugins": _unsupported("features are what agents declare"),
    "OverTimeLimit": _unsupported("the time limit is the limit; raise max_time", same=_OFF),
    "PlugStackConfig": _unsupported("no SPANK plugins"),
    "PluginDir": _not_needed("there are no plugins to load"),
    "PowerParameters": _POWER,
    "PowerPlugin": _POWER,
    "PrEpParameters": _unsupported("prolog and epilog are programs"),
    "PrEpPlugins": _in_part("prep/script is what is done", same=("prep/script",)),
    "PreemptExemptTime": _mapped("[preemption] exempt"),
    "PreemptMode": _mapped("[preemption] mode"),
    "PreemptType": _mapped("[preemption] type"),
    "PriorityCalcPeriod": _mapped("[priority] calc_period"),
    "PriorityDecayHalfLife": _mapped("[priority] half_life"),
    "PriorityFavorSmall": _mapped("[priority] favor_small"),
    "PriorityFlags": _mapped("MAX_TRES: [priority] max_tres; FAIR_TREE is what is done"),
    "PriorityMaxAge": _mapped("[priority] max_age"),
    "PriorityParameters": _unsupported("no parameters of a plugin"),
    "PrioritySiteFactorParameters": _unsupported("scontrol update JobId=N SiteFactor=F sets it"),
    "PrioritySiteFactorPlugin": _unsupported("scontrol update JobId=N SiteFactor=F sets it"),
    "PriorityType": _mapped('[scheduling] order: "multifactor", or "priority" for priority/basic', "basic"),
    "PriorityUsageResetPeriod": _mapped("[priority] usage_reset"),
    "PriorityWeightAge": _mapped(_WEIGHT + "weight_age"),
    "PriorityWeightAssoc": _mapped(_WEIGHT + "weight_assoc"),
    "PriorityWeightFairshare": _mapped(_WEIGHT + "weight_fairshare"),
    "PriorityWeightJobSize": _mapped(_WEIGHT + "weight_job_size"),
    "PriorityWeightPartition": _mapped(_WEIGHT + "weight_partition"),
    "PriorityWeightQOS": _mapped(_WEIGHT + "weight_qos"),
    "PriorityWeightTRES": _mapped(_WEIGHT + "weight_tres"),
    "PrivateData": _unsupported("everybody sees all jobs, nodes and accounts"),
    "ProctrackType": _not_needed("control groups where there are any (packhorse agent --cgroups)"),
    "Prolog": _mapped("packhorse agent --prolog"),
    "PrologEpilogTimeout": _mapped("packhorse agent --prolog-timeout"),
    "PrologFlags": _in_part("the prolog runs when the job is started on a node (Alloc)"),
    "PrologSlurmctld": _unsupported("no programs at the scheduler; use packhorse agent --prolog"),
    "PropagatePrioProcess": _unsupported("the nice value of who submits does not go along", same=_OFF),
    "PropagateResourceLimits": _PROPAGATE,
    "PropagateResourceLimitsExcept": _PROPAGATE,
    "RebootProgram": _unsupported("nodes are not rebooted; drain them and do so by your own means"),
    "ReconfigFlags": _not_needed("scontrol reconfigure shows what changes, and keeps states"),
    "RequeueExit": _unsupported("sbatch --retry=N,on=CODES says so for each job"),
    "RequeueExitHold": _unsupported("sbatch --retry=N,on=CODES runs again; nothing holds by exit code"),
    "ResumeFailProgram": _POWER,
    "ResumeProgram": _POWER,
    "ResumeRate": _POWER,
    "ResumeTimeout": _POWER,
    "ResvEpilog": _unsupported("no programs when reservations begin or end; follow the event stream"),
    "ResvOverRun": _mapped("[scheduling] reservation_over_run"),
    "ResvProlog": _unsupported("no programs when reservations begin or end; follow the event stream"),
    "ReturnToService": _in_part(
        "a node that is back takes work again, one that was set down does not (1)", same=("1",)
    ),
    "RoutePlugin": _not_needed("every agent has its own connection to the scheduler"),
    "SchedulerParameters": _mapped("each of them below"),
    "SchedulerTimeSlice": _unsupported("no time slicing"),
    "SchedulerType": _mapped("[scheduling] backfill", "sched/backfill"),
    "ScronParameters": _not_needed("scrontab is always there (docs/administration.md)"),
    "SelectType": _in_part(
        "CPUs, memory and devices are given out one by one, as with select/cons_tres",
        same=("select/cons_tres",),
    ),
    "SelectTypeParameters": _in_part(
        "what is given out is CPUs and memory (CR_CPU_Memory)", same=("cr_cpu_memory",)
    ),
    "SlurmSchedLogFile": _LOG,
    "SlurmSchedLogLevel": _LOG,
    "SlurmUser": _not_needed("the scheduler runs as whoever starts it"),
    "SlurmctldAddr": _PORT,
    "SlurmctldDebug": _mapped("[log] level"),
    "SlurmctldHost": _in_part("start the scheduler on the first of them"),
    "SlurmctldLogFile": _LOG,
    "SlurmctldParameters": _not_needed("none of them has a counterpart"),
    "SlurmctldPidFile": _PID,
    "SlurmctldPlugstack": _unsupported("no plugins in the scheduler but policies (docs/packing.md)"),
    "SlurmctldPort": _PORT,
    "SlurmctldPrimaryOffProg": _BACKUP,
    "SlurmctldPrimaryOnProg": _BACKUP,
    "SlurmctldSyslogDebug": _SYSLOG,
    "SlurmctldTimeout": _BACKUP,
    "SlurmdDebug": _LOG,
    "SlurmdLogFile": _LOG,
    "SlurmdParameters": _not_needed("an agent finds its node, or believes what is declared"),
    "SlurmdPidFile": _PID,
    "SlurmdPort": _PORT,
    "SlurmdSpoolDir": _not_needed("spools are in nodes/ in PACKHORSE_HOME"),
    "SlurmdSyslogDebug": _SYSLOG,
    "SlurmdTimeout": _not_needed("silence is not death: jobs are given up when it is proven (operations.md)"),
    "SlurmdUser": _not_needed("an agent runs as whoever starts it; only root's runs everybody's jobs"),
    "SrunEpilog": _unsupported("set SLURM_EPILOG for users"),
    "SrunPortRange": _not_needed("srun is called by nobody; it calls the agents through the scheduler"),
    "SrunProlog": _unsupported("set SLURM_PROLOG for users"),
    "StateSaveLocation": _not_needed("the state is in store/ in PACKHORSE_HOME"),
    "SuspendExcNodes": _POWER,
    "SuspendExcParts": _POWER,
    "SuspendProgram": _POWER,
    "SuspendRate": _POWER,
    "SuspendTime": _POWER,
    "SuspendTimeout": _POWER,
    "SwitchParameters": _unsupported("no switches are driven"),
    "SwitchType": _not_needed("no switches are driven"),
    "TCPTimeout": _not_needed("calls have deadlines of their own"),
    "TaskEpilog": _unsupported("set SLURM_TASK_EPILOG for users"),
    "TaskPlugin": _in_part("jobs run on processors of their own (packhorse agent --bind cores)"),
    "TaskPluginParam": _unsupported("srun --cpu-bind says how tasks are bound"),
    "TaskProlog": _unsupported("set SLURM_TASK_PROLOG for users"),
    "TmpFS": _not_needed("--tmp is held against the file system of PACKHORSE_HOME/nodes"),
    "TopologyParam": _unsupported("trees of switches only"),
    "TopologyPlugin": _mapped("topology/tree: [cluster] topology, from --topology FILE"),
    "TrackWCKey": _not_needed("sacct and sreport know the wckey of each job"),
    "TreeWidth": _not_needed("every agent has its own connection to the scheduler"),
    "UnkillableStepProgram": _unsupported("scontrol show node and the events tell of what does not end"),
    "UnkillableStepTimeout": _not_needed("an allocation lasts until nothing of the job is left"),
    "UsePAM": _unsupported("jobs get their limits from the agent and --propagate", same=_OFF),
    "VSizeFactor": _unsupported("virtual memory is not limited; memory in use is", same=_OFF),
    "WaitTime": _unsupported("set SLURM_WAIT for users", same=_OFF),
    "X11Parameters": _unsupported("no X11 forwarding by srun; use ssh -X"),
}

OBSOLETE = _not_needed("Slurm 22.05 does not know it either, or ignores it")
OLD = (
    *("CacheGroups", "CheckpointType", "CryptoType", "DefaultStorageHost", "DefaultStorageLoc"),
    *("DefaultStoragePass", "DefaultStoragePort", "DefaultStorageType", "DefaultStorageUser", "FastSchedule"),
    *("JobCheckpointDir", "JobCredentialPrivateKey", "JobCredentialPublicCertificate", "MemLimitEnforce"),
    *("AccountingStorageLoc", "AccountingStoreJobComment", "SallocDefaultCommand", "SchedulerPort"),
    *("SchedulerRootFilter", "MaxBatchRequeue", "SrunIOTimeout", "LayoutsParams"),
)
"""Parameters of older versions that still stand in many a file."""

SCHEDULER_PARAMETERS: dict[str, Known] = {
    "bf_max_job_test": _mapped("[scheduling] backfill_depth"),
    "default_queue_depth": _not_needed("a pass looks at every job"),
    "sched_max_job_start": _mapped("[scheduling] max_starts_per_cycle"),
    "sched_min_interval": _mapped("[scheduling] cycle_interval_ms"),
    "preempt_youngest_first": _mapped('[preemption] victims = "newest"'),
    "bf_interval": _not_needed("every pass backfills"),
    "bf_max_job_start": _not_needed("a pass starts whatever may start ([scheduling] max_starts_per_cycle)"),
    "bf_continue": _not_needed("a pass is not interrupted"),
    "bf_max_time": _not_needed("a pass is not interrupted"),
    "bf_yield_interval": _not_needed("a pass is not interrupted"),
    "bf_yield_sleep": _not_needed("a pass is not interrupted"),
    "bf_window": _not_needed("starts are planned however far off"),
    "bf_window_linear": _not_needed("starts are planned to the second"),
    "bf_resolution": _not_needed("starts are planned to the second"),
    "bf_node_space_size": _not_needed("starts are planned however many there are"),
    "batch_sched_delay": _not_needed("passes are as often as [scheduling] cycle_interval_ms allows"),
    "build_queue_timeout": _not_needed("a pass looks at every job"),
    "defer": _not_needed("jobs are looked at in passes, not one by one as they come"),
    "max_rpc_cnt": _not_needed("calls are answered between passes"),
    "max_sched_time": _not_needed("a pass is not interrupted"),
    "partition_job_depth": _not_needed("a pass looks at every job"),
    "sched_interval": _not_needed("there is a pass whenever something changed"),
    "assoc_limit_stop": _unsupported("a job held up by a limit holds up nobody"),
    "enable_user_top": _unsupported("users lower jobs with --nice"),
}
"""What is known of SchedulerParameters; the rest is not supported."""

PRIORITY_FLAGS: dict[str, Known] = {
    "MAX_TRES": _mapped("[priority] max_tres"),
    "FAIR_TREE": _not_needed("it is what is done"),
    "DEPTH_OBLIVIOUS": _not_needed("means nothing to Fair Tree, as in Slurm"),
    "ACCRUE_ALWAYS": _unsupported("age counts from when a job could start"),
    "CALCULATE_RUNNING": _unsupported("priorities of running jobs stay"),
    "INCR_ONLY": _unsupported("priorities go down too"),
    "NO_FAIR_TREE": _unsupported("Fair Tree is what there is"),
    "NO_NORMAL_ALL": _unsupported("factors go from 0 to 1"),
    "NO_NORMAL_ASSOC": _unsupported("factors go from 0 to 1"),
    "NO_NORMAL_PART": _unsupported("factors go from 0 to 1"),
    "NO_NORMAL_QOS": _unsupported("factors go from 0 to 1"),
    "NO_NORMAL_TRES": _unsupported("factors go from 0 to 1"),
    "SMALL_RELATIVE_TO_TIME": _unsupported("the size of a job does not depend on its time limit"),
}
