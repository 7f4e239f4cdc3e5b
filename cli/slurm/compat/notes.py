"""What the page says of an option or variable beside whether it is supported."""

from __future__ import annotations

from packhorse.cli.slurm.strigger import NOT_HERE

EVERYWHERE: dict[str, str] = {
    "acctg-freq": "use is measured as often as `[nodes] usage_interval` says",
    "all": "nothing is hidden",
    "batch": "the script runs on the first node",
    "bb": "no burst buffers",
    "bbf": "no burst buffers",
    "cluster-constraint": "one cluster",
    "clusters": "must be this cluster",
    "core-spec": "no specialized cores",
    "cores-per-socket": "CPUs are counted, not sockets and cores",
    "cpu-freq": "frequencies are left alone",
    "debugger-test": "there is no debugger interface",
    "delay-boot": "nodes are not booted",
    "extra-node-info": "CPUs are counted, not sockets and cores",
    "federation": "one cluster",
    "gid": "jobs are who submits them",
    "gpu-freq": "frequencies are left alone",
    "gpus-per-socket": "sockets are not counted; use `--gpus-per-node`",
    "hide": "nothing is hidden",
    "hint": "jobs run on CPUs of their own",
    "local": "one cluster",
    "mcs-label": "no labels of security",
    "mem-bind": "memory is where the kernel puts it",
    "network": "no switches are driven",
    "no-kill": "a job ends when a node of it is lost",
    "ntasks-per-core": "CPUs are counted, not cores",
    "ntasks-per-socket": "CPUs are counted, not sockets",
    "oversubscribe": "jobs run on CPUs of their own",
    "power": "power is not managed",
    "prefer": "use `--constraint`",
    "profile": "`packhorse usage` shows what every job used",
    "quiet": "errors are always said",
    "reboot": "nodes are not rebooted",
    "server": "the scheduler to ask; ours",
    "sibling": "one cluster",
    "sockets-per-node": "CPUs are counted, not sockets",
    "thread-spec": "no specialized threads",
    "threads-per-core": "CPUs are counted, not threads of cores",
    "time-min": "time limits are not shortened",
    "uid": "jobs are who submits them",
    "use-min-nodes": "the least number of nodes is tried first",
    "verbose": "there is nothing more to say",
    "wait-all-nodes": "nodes are ready when a job starts",
    "x11": "use `ssh -X`",
}
"""By option, in all commands that do not say otherwise below. `verbose` is for those that ignore it."""

OURS = frozenset(
    (
        *("checkpoint-signal", "container-image", "gang", "gpu-link", "gpu-share", "hops", "idle-gpu-ok"),
        *("no-lend", "oom-retry", "retry", "right-size"),
    )
)
"""Options of ours, which Slurm has not."""

OWN: dict[str, dict[str, str]] = {
    "sbatch": {
        "exclusive": "`mcs`: refused",
        "gres-flags": "`enforce-binding` and `disable-binding` have no effect, others are refused",
        "signal": "without `B:` to the steps",
    },
    "srun": {
        "container": "`sbatch --container` is for whole jobs",
        "container-image": "`sbatch --container-image` is for whole jobs",
        "no-allocate": "steps run in allocations",
    },
    "salloc": {
        "container": "`sbatch --container` is for whole jobs",
        "get-user-env": "the shell is the caller's",
        "gpu-bind": "steps are bound by srun's `--gpu-bind`",
        "mem-bind": "steps are bound by srun",
    },
    "squeue": {
        "array-unique": "as without `--array`",
        "noconvert": "amounts are shown as they are",
        "only-job-state": "of later versions",
        "priority": "an array waits in one partition at a time",
    },
    "scancel": {
        "cron": "lines of crontabs are disabled anyhow",
        "ctld": "the scheduler is always asked",
        "hurry": "nothing is staged out",
    },
    "sinfo": {"noconvert": "amounts are shown as they are"},
    "sacct": {
        "allclusters": "one cluster",
        "array": "of later versions",
        "associations": "associations have no ids; use `--accounts` and `--user`",
        "completion": "there is one record of a job",
        "env-vars": "`scontrol write batch_script` has scripts; environments are not shown",
        "expand-patterns": "of later versions",
        "file": "there is one record of a job",
        "flags": "how a job was started is in `packhorse events`",
        "use-local-uid": "users are the same on all hosts",
        "whole-hetjob": "components are listed with the job",
    },
    "sstat": {"allsteps": "all steps are shown", "pidformat": "processes are not listed"},
    "scontrol": {
        "future": "nodes are those whose agents joined",
        "uid": "use `runuser -u USER scontrol …`",
    },
    "sacctmgr": {"oneliner": "rows are lines anyhow"},
    "sreport": {"all_clusters": "one cluster", "cluster": "one cluster"},
    "sdiag": {"all": "all is shown anyhow"},
    "strigger": {name: why for name, (_, why) in NOT_HERE.items()},
    "scrontab": {"quiet": "errors are always said"},
}

SPECIAL: dict[str, dict[str, str]] = {
    "sbatch": {
        "SBATCH_WAIT4SWITCH": "the time of `SBATCH_REQ_SWITCH`",
        "SLURM_EXIT_ERROR": "the exit code of errors",
        "SLURM_UMASK": "the umask of the job",
    },
    "srun": {
        "SLURM_DIST_PLANESIZE": "the size of `--distribution=plane`",
        "SLURM_EXIT_ERROR": "the exit code of errors",
        "SLURM_EXIT_IMMEDIATE": "the exit code when `--immediate` is in vain",
        "SLURM_JOB_ID": "the job in which the step starts",
        "SLURM_SRUN_REDUCE_TASK_EXIT_MSG": "the same message is said once",
    },
    "salloc": {
        "SLURM_EXIT_ERROR": "the exit code of errors",
        "SLURM_EXIT_IMMEDIATE": "the exit code when `--immediate` is in vain",
    },
    "sattach": {"SLURM_EXIT_ERROR": "the exit code of errors"},
    "squeue": {
        "SLURM_BITSTR_LEN": "how many characters of array indices a line shows",
        "SQUEUE_FORMAT": "`--format`",
        "SQUEUE_FORMAT2": "`--Format`",
        "SLURM_TIME_FORMAT": "how times are written",
    },
    "sinfo": {"SLURM_TIME_FORMAT": "how times are written"},
    "sacct": {"SLURM_TIME_FORMAT": "how times are written"},
    "scontrol": {"SLURM_TIME_FORMAT": "how times are written"},
    "sreport": {"SREPORT_TRES": "`--tres`"},
}
"""Variables that stand for no option, or that a command treats by itself."""

UNUSED: dict[str, str] = {
    "SLURM_CONF": "the cluster is found by `PACKHORSE_HOME` or `PACKHORSE_SERVER`",
    "SLURM_CONF_OUT": "there is no slurm.conf to write",
    "SLURM_DEBUG_FLAGS": "no debug flags",
    "SALLOC_WAIT4SWITCH": "write it with the number: `SALLOC_REQ_SWITCH=N@TIME`",
    "SLURM_WAIT4SWITCH": "write it with the number: `SLURM_REQ_SWITCH=N@TIME`",
    "SLURM_UMASK": "steps get the umask of the caller",
    "SLURM_BITSTR_LEN": "indices of arrays are not cut",
    "SLURM_STEP_KILLED_MSG_NODE_ID": "of steps that are killed every node is told",
    "SLURM_TEST_EXEC": "the program is looked for on the node",
    "SLURM_COMPRESS": "what is copied is not compressed",
    "SLURM_ACCTG_FREQ": "use is measured as often as `[nodes] usage_interval` says",
    "SLURM_BCAST_EXCLUDE": "the program alone is copied",
    "SLURM_CPU_FREQ_REQ": "frequencies are left alone",
    "SLURM_GPU_FREQ": "frequencies are left alone",
    "SLURM_POWER": "power is not managed",
    "SLURM_THREAD_SPEC": "no specialized threads",
    "SLURM_NTASKS_PER_CORE": "CPUs are counted, not cores",
    "SLURM_NTASKS_PER_SOCKET": "CPUs are counted, not sockets",
    "SLURMD_DEBUG": "agents log as they were told",
    "PMI_FANOUT": "key-value pairs go through the scheduler's nodes",
    "PMI_FANOUT_OFF_HOST": "key-value pairs go through the scheduler's nodes",
    "PMI_TIME": "key-value pairs go through the scheduler's nodes",
    "SLURM_PMI_KVS_NO_DUP_KEYS": "a key that is put twice has the later value",
    "SLURM_TOPO_LEN": "lines of the topology are not cut",
    "SCONTROL_FUTURE": "nodes are those whose agents joined",
    "SCANCEL_CTLD": "the scheduler is always asked",
    "SCANCEL_HURRY": "nothing is staged out",
}
"""Why others have no effect. *_ALL, *_LOCAL, *_FEDERATION, *_SIBLING, *_CLUSTER are in page.py."""
