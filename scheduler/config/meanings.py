"""What every key of the configuration file means, by section and name."""

from __future__ import annotations

MEANING: dict[str, str] = {
    "cluster.name": "Name of the cluster; tokens of another name are refused.",
    "cluster.admins": (
        "Users (names or uids) who may act on everybody's jobs and on nodes, beside uid 0 and the user "
        "who runs the scheduler."
    ),
    "cluster.topology": (
        "Where nodes stand in the tree of racks and switches, from the top down; --switches and --hops go "
        "by it. Of nodes that are not named, what their agents say (--topology)."
    ),
    "cluster.licenses": (
        "What `sbatch --licenses` can ask for, and how many of each the cluster has; without a count one."
    ),
    "jobs.allow_root_jobs": (
        "Whether uid 0 may run jobs. `packhorse up` as root writes true, since nobody else is there."
    ),
    "partition.name": "What `sbatch -p` calls it. Required.",
    "partition.nodes": "Its nodes.",
    "partition.default": "Jobs that name no partition go here.",
    "partition.up": "false: jobs are accepted and wait.",
    "partition.max_time": "Longest time limit of a job.",
    "partition.default_time": "Time limit of jobs that state none; unlimited means max_time.",
    "partition.max_nodes": "Most nodes of one job; 0: no limit.",
    "partition.min_nodes": "Fewest nodes of one job.",
    "partition.def_mem_per_cpu": (
        "Memory for each CPU of jobs that state none; 0: they are given no memory of their own."
    ),
    "partition.max_mem_per_node": "Most memory of one job on one node; 0: no limit.",
    "partition.priority_tier": "Jobs of a higher tier go before all of a lower one.",
    "partition.priority": "Added to the priority of its jobs.",
    "partition.allow_users": "Only these users may use it; empty: everybody.",
    "partition.allow_groups": "Only members of these groups may use it; empty: everybody.",
    "partition.allow_accounts": "Only jobs of these accounts, or of accounts below them; empty: all.",
    "partition.deny_accounts": "Not jobs of these accounts, nor of accounts below them.",
    "partition.allow_qos": "Only jobs of these QOS; empty: all.",
    "partition.deny_qos": "Not jobs of these QOS.",
    "partition.qos": "The limits of this QOS hold for all jobs of the partition together.",
    "partition.billing": (
        "What use of it costs: weight of each CPU, GiB of memory (mem) and device (gres/gpu), as Slurm's "
        "TRESBillingWeights; {}: a CPU costs 1, nothing else anything."
    ),
    "partition.preempt_mode": (
        "What becomes of its jobs when jobs of a partition of a higher tier need their room: off, requeue, "
        'cancel or suspend; "": what [preemption] says.'
    ),
    "partition.grace": "How long its jobs have between the warning and the end when they are preempted.",
    "partition.lease": (
        "A node that has not heard of its scheduler for this long stops these jobs itself, so that they "
        "can be run elsewhere; 0: they run on however long the silence."
    ),
    "jobs.max_array_size": "Array indices must be below this (MaxArraySize).",
    "jobs.max_pending_jobs": "Submissions beyond this many waiting jobs are refused.",
    "jobs.min_job_age": (
        "How long `squeue -t all` and `scontrol show job` know a job after its end (MinJobAge)."
    ),
    "jobs.max_finished_kept": (
        "Most ended jobs kept in memory whatever their age; accounting keeps them all."
    ),
    "jobs.kill_wait": "Between TERM and KILL (KillWait).",
    "jobs.inactive_limit": (
        "An allocation of `salloc` or `srun` without a step for so long is ended (InactiveLimit); 0: never."
    ),
    "jobs.requeue_delay": "A requeued job waits at least this long.",
    "jobs.max_requeues": "A job that was requeued this often is held instead of started again.",
    "jobs.key_retention": "How long the answer to a call with an idempotency key is remembered.",
    "jobs.max_keys_kept": "Most such answers remembered.",
    "scheduling.policy": "How nodes and devices are chosen among those that fit.",
    "scheduling.order": (
        "In what order jobs of equal partition tier and priority are looked at; `priority`: as they came. "
        "f1 to f4 count submission times from the first start of the scheduler."
    ),
    "scheduling.backfill": "Who may start before blocked jobs that have a planned start; `none`: nobody.",
    "scheduling.backfill_depth": (
        "How many blocked jobs get a planned start that others must not delay; 1 is EASY backfilling."
    ),
    "scheduling.keep_next": (
        "A blocked job that has a planned start stays ahead of those that come later, whatever the order."
    ),
    "preemption.type": (
        "What lets a waiting job have running ones make room for it: its QOS (what that preempts), the tier "
        "of its partition, or both; none: nothing. Not together with preempt in [scheduling]."
    ),
    "preemption.mode": (
        "What becomes of jobs that make room, where their QOS or partition does not say: requeue, cancel, "
        "suspend; off: they never do. With --no-requeue a job is cancelled instead of requeued."
    ),
    "preemption.grace": (
        "How long they have between the warning (their checkpoint signal, that of --signal, or TERM) and the "
        "end, where their QOS or partition does not say."
    ),
    "preemption.exempt": "How long a job runs before it may have to make room, where its QOS does not say.",
    "preemption.checkpoint": (
        "The longest time that a job gets after the signal that it named with `sbatch --checkpoint-signal`."
    ),
    "preemption.max_victims": "At most so many jobs are told to make room in one scheduling pass.",
    "preemption.victims": (
        "Which of those that could make room do: work, those that lose the least of it; newest, those that "
        "began last."
    ),
    "preemption.take_back": (
        "Accounts with a quota get back what others borrowed of it as soon as they want it; false: when it "
        "is given back. Whatever type says."
    ),
    "scheduling.preempt": (
        "Who may be stopped, and waits again, where a job before it needs its room; `none`: nobody; "
        "`order`: running jobs that may be requeued. With `order` there are no planned starts."
    ),
    "scheduling.predictor": (
        "How long jobs are expected to run, for the order and for backfilling; `limit`: their time limit, "
        "which stays the bound whatever is predicted."
    ),
    "scheduling.max_starts_per_cycle": "Most jobs started in one pass.",
    "scheduling.reservation_over_run": (
        "How long jobs of a reservation may run on when its window is over, before they are stopped (Slurm's "
        "ResvOverRun)."
    ),
    "scheduling.learn_interval": (
        "A policy that learns from what jobs are like does so at most this often, for some seconds; 0: never."
    ),
    "scheduling.cycle_interval_ms": "Least time between the starts of two passes.",
    "priority.weight_age": "Worth of having waited for `max_age`, in proportion before.",
    "priority.weight_fairshare": "Worth of a fair share factor of 1: the least used of what is due.",
    "priority.weight_job_size": "Worth of asking for the whole cluster (`favor_small`: for little).",
    "priority.weight_partition": "Worth of its partition's `priority`, against the highest of all.",
    "priority.weight_qos": "Worth of the priority of its QOS, against the highest of all.",
    "priority.weight_assoc": "Worth of the priority of the user's association, against the highest of all.",
    "priority.weight_tres": "Worth of asking for all of these resources that its partition has.",
    "priority.max_age": "A job that has waited for so long since it could start gains no more from waiting.",
    "priority.favor_small": "Small jobs come first instead of large ones.",
    "priority.half_life": "After so long use counts half as much; 0: it counts for ever.",
    "priority.usage_reset": (
        "When all use is forgotten: never by itself, or at the start of each day, week … (UTC; weeks begin "
        "on Sunday)."
    ),
    "priority.calc_period": "How often fair shares are worked out again while no job starts or ends.",
    "priority.look_ahead": (
        "Fair shares are held against what was used and what running jobs use in so long from now on: a "
        "start counts at once. 0: only against what was used, as Slurm does."
    ),
    "priority.max_tres": (
        "A job costs what the dearest of its resources does (partition.billing) instead of all together; "
        "licences come on top."
    ),
    "batch.ageing": (
        "A wait from which a job moves ahead of smaller ones: set it to what users may be asked to wait; the "
        "longest wait may be nearly twice that. The higher it is, the shorter most waits."
    ),
    "batch.power": (
        "How abruptly: a job that has waited x times `ageing` counts as if it were 1 + x^power times smaller."
    ),
    "batch.guard": "After this long the longest wait goes first, whatever the job.",
    "batch.reserve": (
        "Share of what a long job leaves of its partition that is kept free of it, for small jobs; 0: none."
    ),
    "batch.spread": (
        "All of `reserve` is kept free of a job that is expected to run this much longer than a small one, "
        "less of shorter jobs."
    ),
    "batch.idle": "Nothing is kept free while more than this share of the partition is.",
    "batch.wide": (
        "A job that takes at least this share of its partition, and has waited for `ageing`, starts in a "
        "quiet hour; above 1: no job does."
    ),
    "batch.quiet": (
        "Which hours are quiet, by how many jobs usually arrive: 0 is the quietest of the next 24, 1 any."
    ),
    "batch.yielding": "Added to `quiet` for each further `ageing` that the job has waited.",
    "improver.enabled": "Whether it runs at all.",
    "improver.limit": "Longest time of one try, on the clock.",
    "improver.hold": (
        "How long the starts of a pass may wait for a better plan where one could matter; 0: never. What "
        "started is never moved, so with 0 there is nothing for the improver to do."
    ),
    "improver.deterministic_limit": (
        "Instead of `limit`: the solver's own count of seconds, which makes the same input give the same "
        "plan on every machine; 0: `limit` holds."
    ),
    "improver.workers": "Threads of the solver.",
    "improver.seed": "Where its search starts.",
    "improver.max_nodes": "Most nodes of the contended part that it is given.",
    "improver.max_jobs": "Most jobs of it.",
    "reclaim.enabled": (
        "Whether usage is watched and memory is lent. Off, loans that are left from before are taken back."
    ),
    "reclaim.estimator": "How it is estimated what a job will use; docs/reclaim.md compares them.",
    "reclaim.estimate_margin": (
        "What the estimators borg and window add to the use that they saw; 0: what they come with."
    ),
    "reclaim.half_life": (
        "An estimate above what it should be comes half-way down in so long; 0: as the estimator's own."
    ),
    "reclaim.window": "How long a peak of use counts as recent; 0: as the estimator's own.",
    "reclaim.overrun_days": (
        "How bad it is for the estimator packhorse when a job grows past what was expected: as bad as to "
        "keep the peak of a mean job idle for so many days. Less lends more, and takes back more often."
    ),
    "reclaim.settle": (
        "A job lends nothing before it has run for so long, and one that was stopped for its lent memory "
        "borrows none for so long."
    ),
    "reclaim.share": "How much of the memory that jobs of a node are not expected to use may be lent.",
    "reclaim.margin": "So much of it on each node is never lent.",
    "reclaim.max_lent": "Most that is lent on one node; 0: no bound.",
    "reclaim.floor_percent": "With less of its memory free than this a node takes loans back.",
    "reclaim.floor": "The same as an amount; the larger of the two holds.",
    "reclaim.pressure": (
        "A node takes loans back where processes waited for memory in more than this part of the last 10 s "
        "(PSI)."
    ),
    "reclaim.grace": "Between the signal that tells a borrower to stop and KILL.",
    "reclaim.exempt_partitions": "Memory of jobs in these partitions is never lent.",
    "reclaim.exempt_accounts": "Nor that of jobs of these accounts.",
    "reclaim.exempt_users": "Nor that of jobs of these users.",
    "reclaim.no_borrow": "Jobs in these partitions never borrow.",
    "reclaim.stoppable_qos": (
        'QOS that `sbatch --qos` takes beside "normal". Jobs of these may be stopped for memory, and only '
        "they borrow."
    ),
    "gpu_idle.enabled": "Whether anything is done.",
    "gpu_idle.busy_below": "A GPU on which something runs for less of the time than this is idle.",
    "gpu_idle.warn_after": "A job is warned when all its GPUs have been idle for so long without a break.",
    "gpu_idle.grace": "So long after the warning `action` follows, if they still are.",
    "gpu_idle.action": (
        "What follows: `warn`: nothing; `requeue`: the job is stopped and waits again, held until somebody "
        "releases it (one that may not be requeued is cancelled); `cancel`."
    ),
    "gpu_idle.exempt_partitions": "Partitions whose jobs are left alone.",
    "gpu_idle.exempt_accounts": "Accounts whose jobs are left alone.",
    "gpu_idle.exempt_users": "Users whose jobs are left alone.",
    "accounts.enforce": (
        '"none": accounts and QOS are names in records. "limits": everybody is held to the limits and QOS of '
        "their association, and once there is an account below root, nobody submits without one. "
        '"associations": nobody ever does. "accounts": whoever has an association, or names an account that '
        "exists, is held to it; others go free."
    ),
    "nodes.silent_brake_fraction": (
        "When more than this part of the nodes falls silent at once, nothing is declared lost."
    ),
    "nodes.heartbeat": "How often an idle agent says that it is there.",
    "nodes.usage_interval": "How often an agent reports what its jobs use.",
    "listen.grpc": "For agents and remote clients. Off loopback only with tls_cert and tls_key.",
    "listen.http": "HTTP/JSON, /healthz and /metrics. Loopback only.",
    "listen.socket": (
        "Unix socket of the commands, relative to PACKHORSE_HOME; callers are who the kernel says they are."
    ),
    "listen.tls_cert": "PEM file with the certificate of the gRPC door, relative to PACKHORSE_HOME.",
    "listen.tls_key": "PEM file with its key.",
    "listen.tls_client_ca": "PEM file; callers must then show a certificate signed by it.",
    "listen.token_valid": "How long a token of IssueToken is good; callers may ask for less.",
    "listen.max_message_mib": "Largest request that is read.",
    "listen.watch_queue": "A watcher this far behind is dropped, and may resume where it was.",
    "listen.wait_limit": "Longest a single WaitJobs call waits.",
    "store.path": "The database, relative to PACKHORSE_HOME.",
    "store.reserve_mib": (
        "With less free space than this, new submissions are refused and the ends of running jobs still "
        "recorded."
    ),
    "store.snapshot_every_events": "A snapshot of the state is written after this many events.",
    "store.retention_days": "How long accounting keeps ended jobs; 0: for ever.",
    "store.record_inputs": (
        "Keep every input of the core in log/inputs.rec, so that `packhorse replay` can run it again. It "
        "names users and what they ask for, but holds no script and no environment."
    ),
    "store.record_limit_mib": "The recording ends when it is that large.",
    "mail.program": (
        "Absolute path of a program that is run as `PROGRAM -s SUBJECT ADDRESS` for every letter, with the "
        'rights of the owner of the job; /usr/bin/mail is one. "": no mail is sent.'
    ),
    "shadow.config": (
        "The other configuration: a file like this one, relative to PACKHORSE_HOME, with what is to be "
        'otherwise; "": no shadow. `packhorse shadow on FILE` and `off` switch it while the scheduler runs.'
    ),
    "shadow.interval": (
        "The shadow decides after a live pass, at most this often; after a pass that took it long it waits "
        "twenty times as long."
    ),
    "accounting.usage_retention": (
        "How long it is kept what each job used over time (packhorse usage); 0: as long as there is room."
    ),
    "accounting.usage_max_mib": "And how much room there is for that; the oldest goes first.",
    "log.level": "The least serious messages that are written.",
    "log.file": 'JSON lines, relative to PACKHORSE_HOME; "-" is standard error, for people to read.',
}
