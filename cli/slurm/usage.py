"""What `--usage` and `--help` print. Options marked * are Slurm's own that have no effect here."""

from __future__ import annotations

import sys


def show(prog: str, kind: str) -> None:
    """Prints the usage line of a command, and for kind "help" its options."""
    line, text = _TEXTS[prog]
    sys.stdout.write(f"Usage: {prog} {line}\n")
    if kind == "help":
        sys.stdout.write(text + _COMMON)


_COMMON = """
  --server=ADDRESS            the scheduler to ask: HOST:PORT (gRPC) or http://HOST:PORT
  --help, --usage, -V/--version

The manual pages of Slurm 24.11 describe every option; `packhorse` has the commands of its own.
"""

_TEXTS = {
    "sdiag": (
        "[-a] [-r] [-i|-t|-T]",
        """
Options
  -a*, --all*                 everything, which is the default
  -r, --reset                 all figures from zero; for administrators
  -i, --sort-by-id            calls by number of method and user
  -t, --sort-by-time          calls by the time that they took in all
  -T, --sort-by-time2         calls by the time that one took on average
      --json, --yaml          in the shape of Slurm 24.11's data parser v0.0.42
  -M, --cluster=NAME          must be this cluster
""",
    ),
    "strigger": (
        "--set|--get|--clear [OPTIONS]",
        """
What is waited for (--set), or shown (--get)
  -f, --fini                  the end of the job
  -t, --time                  the time limit of the job
  -d, --down, -u, --up        nodes (with --jobid the job's) go down, or come back
  -D, --drained               drained nodes without jobs
Options
  -j, --jobid=ID   -n, --node[=NODES]   -i, --id=ID   --user=NAME
  -o, --offset=SECONDS        so much later; before a time limit, if negative
  -p, --program=PATH          absolute; runs on the scheduler's host, its last argument the job or the nodes
      --flags=PERM            waits again after it was fired
  -N, --noheader   -Q, --quiet   -v, --verbose*
  -M, --clusters=NAME         must be this cluster
Slurm's other events are refused by name.
""",
    ),
    "scrontab": (
        "[-u USER] [-e|-l|-r|FILE|-]",
        """
  FILE, -                     the crontab, from a file or standard input
  -e, --edit                  in $VISUAL or $EDITOR
  -l, --list                  what there is
  -r, --remove                none any more
  -u, --user=NAME             of this user; for administrators
  -Q, --quiet*   -v, --verbose*
  -M, --clusters=NAME         must be this cluster
A line: minute hour day-of-month month day-of-week command; or @yearly @annually @monthly @weekly @daily
@midnight @hourly @elevenses @fika @teatime and a command. Lines #SCRON: options of sbatch for the next one.
""",
    ),
    "sreport": (
        "[OPTIONS] TYPE REPORT [CONDITION=VALUE,...]...",
        """
Reports
  cluster Utilization | AccountUtilizationByUser | UserUtilizationByAccount
          | UserUtilizationByWckey | WCKeyUtilizationByUser
  job SizesByAccount | SizesByAccountAndWckey | SizesByWckey
  reservation Utilization
  user TopUsage
Conditions
  start=TIME end=TIME         of the time (yesterday)
  accounts= users= wckeys= partitions= nodes= names=
  format=FIELD[%WIDTH],...    columns
  tree                        accounts by their place in the tree
  topcount=N  group           how many users; all accounts of a user together
  grouping=N,N...|individual  sizes at which groups begin; printjobcount, flatview, acctasparent
Options
  -t, --time=UNIT             Seconds, Minutes, Hours, Percent, SecPer, MinPer, HourPer
  -T, --tres=NAME,...|ALL     of which resources (cpu)
  -n, --noheader   -p, --parsable   -P, --parsable2
  -a*, -M, --cluster*, --federation*, --local*, -Q, --quiet*, -v, --verbose*
""",
    ),
    "sbatch": (
        "[OPTIONS] SCRIPT [ARGUMENTS]",
        """
What to run
  -J, --job-name=NAME         name of the job
  -D, --chdir=DIR             working directory
      --wrap=COMMAND          a command instead of a script
  -i, --input=PATTERN         standard input
  -o, --output=PATTERN        standard output (slurm-%j.out; arrays slurm-%A_%a.out)
  -e, --error=PATTERN         standard error (where --output goes)
      --open-mode=append|truncate
      --export=ALL|NONE|[ALL,]NAME[=VALUE]...
      --export-file=FILE      NAME=VALUE pairs, each ended by a zero byte
      --get-user-env[=SECONDS][S|L]  the user's login environment on the node, below what is exported
      --propagate[=LIMITS]    resource limits to take along (ALL)
      --container-image=IMAGE, --container=BUNDLE   in a container, where the node has a runtime
      --ignore-pbs            not what #PBS lines say
What it needs
  -n, --ntasks=N              tasks
  -N, --nodes=MIN[-MAX]       nodes
  -c, --cpus-per-task=N       CPUs for every task
      --ntasks-per-node=N     at most so many tasks on a node
      --mincpus=N             at least so many CPUs on every node
      --mem=SIZE[K|M|G|T]     memory per node (0: all of it)
      --mem-per-cpu=SIZE      memory per CPU
      --tmp=SIZE              scratch disk per node
      --gres=KIND[:TYPE][:N]  generic resources per node; gpu:1g.10gb:2 are slices of a GPU
  -G, --gpus=[TYPE:]N         GPUs for the whole job
      --gpus-per-node=[TYPE:]N, --gpus-per-task=[TYPE:]N
                              for N also a share of one GPU: 0.25, or 20G of its memory
      --gpu-share=SHARE       a share of one GPU on every node (not Slurm's)
      --gpu-link=required     GPUs with fast links among each other (not Slurm's)
      --cpus-per-gpu=N, --mem-per-gpu=SIZE, --ntasks-per-gpu=N
      --gres-flags=enforce-binding|disable-binding   accepted, has no effect
  -C, --constraint=FEATURES   features that nodes must have
  -w, --nodelist=NODES, -x, --exclude=NODES, -F, --nodefile=FILE
      --exclusive[=user]      nodes without other jobs
  -O, --overcommit            a CPU on each node, for however many tasks
      --contiguous            neighbouring nodes
      --spread-job            on many and empty nodes
      --switches=N[@TIME]     below at most N switches, after TIME below any
      --hops=N                below one switch, or one N levels higher (not Slurm's)
  -L, --licenses=NAME[:N],... licences of the cluster
When and how
  -t, --time=LIMIT            M, M:S, H:M:S, D-H, D-H:M, D-H:M:S
  -p, --partition=NAME, -A, --account=NAME, -q, --qos=NAME, --reservation=NAME
  -a, --array=INDEXES[%N]     0-15, 1,3,7, 0-15:4, at most N at once
  -b, --begin=WHEN            now+1hour, 16:00, tomorrow, 2027-01-31T08:00
  -d, --dependency=LIST       after|afterany|afterok|afternotok|aftercorr:ID[:ID], singleton
      --kill-on-invalid-dep=yes|no
  -H, --hold                  submit held
      --priority=N, --nice[=N]
      --no-lend               nobody gets what it leaves unused of its memory
      --requeue, --no-requeue
      --deadline=TIME         given up when it cannot be over by then
      --gang=NAME:SIZE[@TIME] starts with all others of the gang or not at all (not Slurm's)
      --retry=N[,backoff=TIME][,on=CODE:CODE][,avoid-node]  further runs after a failure (not Slurm's)
      --oom-retry=2x[,max=N]  after running out of memory: again with twice as much (not Slurm's)
      --right-size[=cpus]     memory and time limit (and CPUs) as past runs suggest (not Slurm's)
      --idle-gpu-ok           that its GPUs do nothing for long is in order (not Slurm's)
      --signal=[B:]SIG[@S]    a warning S seconds before the limit
      --checkpoint-signal=[B:]SIG[@S]  the same when it has to make room (not Slurm's)
      --comment=TEXT, --wckey=KEY
      --mail-type=KIND,...    BEGIN END FAIL REQUEUE INVALID_DEPEND TIME_LIMIT[_50|_80|_90] ARRAY_TASKS ALL
      --mail-user=ADDRESS     to whom (the submitter)
For the steps that it starts
  -m, --distribution=HOW, --gpu-bind=HOW
What to print
      --parsable              only the job id
      --test-only             when it would start; nothing is submitted
  -W, --wait                  until it has ended; exits as the job did
  -Q, --quiet, -v, --verbose
  -M, --clusters=NAME         must be this cluster
* --acctg-freq --delay-boot --oversubscribe --profile --time-min --use-min-nodes --wait-all-nodes
* with a warning: --batch --bb --bbf --cluster-constraint --core-spec --cores-per-socket --cpu-freq
  --extra-node-info --gpu-freq --hint --mcs-label --mem-bind --network --no-kill --ntasks-per-core
  --ntasks-per-socket --power --prefer --sockets-per-node --thread-spec --threads-per-core
""",
    ),
    "srun": (
        "[OPTIONS] PROGRAM [ARGUMENTS]",
        """
Within a job (SLURM_JOB_ID, --jobid) a step of it; elsewhere in a job of its own, for which the options of
sbatch about what it needs, when and how hold too.
What to run
  -J, --job-name=NAME         name of the step
  -D, --chdir=DIR             working directory
      --multi-prog            PROGRAM is a file: which tasks run which program
      --mpi=none|pmi2         how tasks find each other; list
      --bcast[=PATH]          copy the program to the nodes first
      --export=ALL|NONE|[ALL,]NAME[=VALUE]..., -E, --preserve-env, --propagate[=LIMITS]
      --prolog=PROGRAM, --epilog=PROGRAM             here, before and after the step
      --task-prolog=PROGRAM, --task-epilog=PROGRAM   on the nodes, around every task
How many, where, and with what
  -n, --ntasks=N, -N, --nodes=MIN[-MAX], --ntasks-per-node=N, -c, --cpus-per-task=N
  -m, --distribution=block|cyclic|plane=N|arbitrary
  -w, --nodelist=NODES, -x, --exclude=NODES, -F, --nodefile=FILE, -r, --relative=N
      --mem=SIZE, --mem-per-cpu=SIZE, --gres=KIND[:TYPE][:N], -G, --gpus=N, --gpus-per-node=N
      --gpus-per-task=N, --ntasks-per-gpu=N, --cpus-per-gpu=N, --mem-per-gpu=SIZE
      --cpu-bind=[verbose,]none|rank|cores|threads|sockets|map_cpu:LIST|mask_cpu:LIST
      --gpu-bind=[verbose,]closest|none|map_gpu:LIST|mask_gpu:LIST|per_task:N|single:N
      --exact, --exclusive    no more than it asks for
      --overlap               whatever the job has, beside other steps
  -O, --overcommit            more tasks than CPUs
      --jobid=ID              the job
  -I, --immediate[=SECONDS]   give up when it cannot start so soon
  -t, --time=LIMIT
      --test-only             when a job would start; nothing is submitted
Input and output
  -i, --input=all|none|TASK|FILE, -o, --output=MODE, -e, --error=MODE, --open-mode=append|truncate
                              %t, %n, %N in FILE: one for every task, node; also %j %J %s %x %u %A %a
  -l, --label                 the task's number before every line
  -u, --unbuffered            output as it comes, not line by line
      --pty                   a terminal for task 0
Its end
  -K, --kill-on-bad-exit[=0|1]  end all tasks when one fails
  -W, --wait=SECONDS          end all tasks so long after the first has ended
  -k, --no-kill[=off]         go on without a node that is lost
  -X, --disable-status        Ctrl-C goes to the tasks at once
      --quit-on-interrupt     Ctrl-C ends the step at once
  -Q, --quiet, -v, --verbose
  -M, --clusters=NAME         must be this cluster
* --acctg-freq --bcast-exclude --compress --delay-boot --msg-timeout --oversubscribe
  --profile --slurmd-debug --threads --use-min-nodes; with a warning: --accel-bind --cpu-freq
  --gpu-freq --hint --mem-bind --network --resv-ports --send-libs --threads-per-core --x11
""",
    ),
    "salloc": (
        "[OPTIONS] [COMMAND [ARGUMENTS]]",
        """
Gets nodes, runs COMMAND (a shell) here, and gives them back. The options of sbatch about what a job needs,
when and how hold, and:
      --no-shell              only get them; scancel gives them back
  -I, --immediate[=SECONDS]   give up when they are not free so soon
  -K, --kill-command[=SIGNAL] signal the command when the job is over before it
      --bell, --no-bell       ring when the nodes are there (after a wait of 10 s)
  -J, --job-name=NAME, -D, --chdir=DIR
      --test-only             when it would start; nothing is submitted
  -Q, --quiet, -v, --verbose
  -M, --clusters=NAME         must be this cluster
* --acctg-freq --delay-boot --get-user-env --gpu-bind --oversubscribe
  --profile --use-min-nodes --wait-all-nodes; with a warning: --cpu-freq --gpu-freq --hint --network
  --x11
""",
    ),
    "sattach": (
        "[OPTIONS] JOB.STEP",
        """
Shows the output of a step that runs, from now on, and what becomes of its tasks.
  -l, --label                 the task's number before every line
      --output-filter=TASK, --error-filter=TASK   of this task only
      --layout                which tasks are where; nothing else
      --pty                   output as a terminal gets it
  -Q, --quiet, -v, --verbose
* --input-filter              only the srun that started a step feeds it
""",
    ),
    "sbcast": (
        "[OPTIONS] SOURCE DEST",
        """
Copies a file to all nodes of a job, by a step of the job that holds nothing and runs as its owner.
  -f, --force                 replace what is there
  -p, --preserve              times of the original; its mode is kept anyway
  -j, --jobid=JOB[.STEP]      this job, on the nodes of this step; inside of a job: that one
  -v, --verbose
* -F/--fanout -s/--size -t/--timeout --exclude; -C/--compress, --send-libs (with a word)
""",
    ),
    "squeue": (
        "[OPTIONS]",
        """
  -j, --jobs=ID,...           these jobs; 9_3 and 9_[4-7] name elements of an array
  -u, --user=NAME,...; --me   jobs of these users; yours
  -t, --states=STATE,...      in these states (all: ended ones too, for a while)
  -n, --name, -p, --partition, -A, --account, -q, --qos, -w, --nodelist, -R, --reservation
  -L, --licenses=NAME,...     that asked for one of them
  -r, --array                 a line for every element of an array
  -l, --long                  more columns
      --start                 expected starts of waiting jobs
  -s, --steps                 steps instead of jobs
  -o, --format=FORMAT         %[.][width]letter, as in "%.18i %.9P %j"
  -O, --Format=NAME[:[.][WIDTH][SUFFIX]],...
  -S, --sort=LETTERS          as in P,t,-p
  -h, --noheader
  -i, --iterate=SECONDS       again and again
      --json, --yaml          in the shape of Slurm 24.11's data parser v0.0.42
  -M, --clusters=NAME         must be this cluster
* --all --array-unique --federation --hide --local --noconvert --only-job-state --priority --sibling --verbose
""",
    ),
    "scancel": (
        "[OPTIONS] [JOB_ID[_INDEX]]...",
        """
  -s, --signal=NAME|N         send this signal instead of ending the job
  -b, --batch                 signal the batch shell only
  -f, --full                  signal the batch shell and all steps
  -u, --user=NAME; --me       jobs of this user; yours
  -n, --name, -p, --partition, -A, --account, -q, --qos, -w, --nodelist, -R, --reservation
      --wckey=NAME,...
  -t, --state=STATE           PENDING, RUNNING or SUSPENDED
  -i, --interactive           ask before each
  -v, --verbose, -Q, --quiet
  -M, --clusters=NAME         must be this cluster
* --ctld --hurry
""",
    ),
    "sinfo": (
        "[OPTIONS]",
        """
  -N, --Node                  a line per node and partition
  -l, --long; -s, --summarize
  -R, --list-reasons          why nodes are down or drained
  -T, --reservation           reservations instead of nodes
  -n, --nodes=NODES, -p, --partition=NAME,..., -t, --states=STATE,...
  -d, --dead; -r, --responding
  -e, --exact                 do not group nodes that differ in size
  -o, --format=FORMAT         %[.][width]letter
  -O, --Format=NAME[:[.][WIDTH][SUFFIX]],...
  -S, --sort=LETTERS
  -h, --noheader
  -i, --iterate=SECONDS
      --json, --yaml          in the shape of Slurm 24.11's data parser v0.0.42
  -M, --clusters=NAME         must be this cluster
* --all --federation --hide --local --noconvert --verbose
""",
    ),
    "sacct": (
        "[OPTIONS]",
        """
  -j, --jobs=ID[.STEP],...    these jobs, however old
  -X, --allocations           no steps
  -S, --starttime, -E, --endtime=WHEN   (today's midnight, now)
  -s, --state=STATE,...
  -u, --user=NAME,..., -a, --allusers, -A, --accounts, -g, --group, --name, -q, --qos, -r, --partition, -N,
  --nodelist -D, --duplicates            earlier runs of requeued jobs too
  -C, --constraints=FEATURE,...; -R, --reason=REASON,...   that asked for all of them; that had one of them
  -i, --nnodes=MIN[-MAX]; -I, --ncpus=MIN[-MAX]            that were given so many
  -W, --wckeys=NAME,...
  -k, --timelimit-min=LIMIT [-K, --timelimit-max=LIMIT]    with that limit, or one between the two
  -T, --truncate              starts and ends as if the time from -S to -E were all there is
  -o, --format=NAME[%[-]WIDTH],...; -e, --helpformat lists the names
  -l, --long; -b, --brief
  -p, --parsable; -P, --parsable2; --delimiter=TEXT
  -n, --noheader
      --units=K|M|G|T|P; --noconvert
  -B, --batch-script          the script of -j
      --json, --yaml          in the shape of Slurm 24.11's data parser v0.0.42
  -M, --clusters=NAME         must be this cluster
* --allclusters --federation --local --use-local-uid --verbose --whole-hetjob
""",
    ),
    "sstat": (
        "[OPTIONS] -j ID[.STEP],...",
        """
  -j, --jobs=ID[.STEP],...    running jobs; without a step the batch script
  -o, --format=NAME[%[-]WIDTH],...; -e, --helpformat lists the names
  -p, --parsable; -P, --parsable2
  -n, --noheader
      --noconvert
* --allsteps --verbose
""",
    ),
    "sprio": (
        "[OPTIONS]",
        """
  -j, --jobs=ID,...; -u, --user=NAME,...; -p, --partition=NAME,...
  -l, --long                  all terms
  -n, --norm                  factors from 0 to 1 instead of what they are worth
  -w, --weights               what each factor is worth
  -o, --format="%[.][WIDTH]LETTER..."
      i job, r partition, u user, o account, n QOS, c cluster; Y priority; A age, B association, F fair share,
      J job size, P partition, Q QOS, T TRES, S site factor, N nice; a b f j p q t y normalised
  -S, --sort=[-]LETTER,...    (i)
  -h, --noheader
  -M, --clusters=NAME         must be this cluster
* --federation --local --sibling --verbose
""",
    ),
    "sshare": (
        "[OPTIONS]",
        """
  -a, --all                   all users (only the caller)
  -A, --accounts=NAME,...; -u, --users=NAME,...
  -U, --Users                 users only
  -l, --long                  normalised use, level fair share and budgets too
  -m, --partition             partitions of associations that have one
  -o, --format=NAME[%[-]WIDTH],...; -e, --helpformat lists the names
  -p, --parsable; -P, --parsable2
  -n, --noheader
      --json, --yaml          in the shape of Slurm 24.11's data parser v0.0.42
  -M, --clusters=NAME         must be this cluster
* --verbose
""",
    ),
    "scontrol": (
        "[OPTIONS] COMMAND",
        """
  show job [ID], show step [ID], show node [NODES], show partition [NAME], show reservation [NAME]
  show config, show licenses, show topology, show daemons, show aliases [HOST]
  show hostnames [LIST], show hostlist NAMES, show hostlistsorted NAMES
  hold ID,...; uhold ID,...; release ID,...
  requeue ID,...; requeuehold ID,...; suspend ID,...; resume ID,...
  update JobId=ID KEY=VALUE...
     TimeLimit JobName Comment Priority Nice Partition StartTime Dependency Features ReqNodeList ExcNodeList
     NumCPUs NumNodes MinMemoryNode MinMemoryCPU Requeue ArrayTaskThrottle Account QOS SiteFactor
     ReservationName
  update PartitionName=NAME State=UP|DOWN|DRAIN|INACTIVE
  update NodeName=NODES State=DRAIN|RESUME|UNDRAIN|DOWN|IDLE [Reason=TEXT]
  create reservation KEY=VALUE...; update ReservationName=NAME KEY=VALUE... (lists also += and -=)
     StartTime EndTime Duration Nodes NodeCnt CoreCnt TRES Features PartitionName Users Groups Accounts QOS
     Licenses Flags Comment
  delete ReservationName=NAME
  write batch_script ID [FILE|-]; write config [FILE]
  wait_job ID, completing, listpids [ID[.STEP]], pidinfo PID, errnumstr N
  reconfigure, ping, version, token [lifespan=SECONDS], setdebug LEVEL, shutdown [controller], cluster NAME
  without a command: one a line from standard input, also all details hide oneliner quiet verbose exit quit !!
  -o, --oneliner; -d, --details; --json, --yaml (show job, node, partition, reservation, lic)
  -M, --clusters=NAME         must be this cluster
* --all --federation --future --hide --local --quiet --sibling --verbose
""",
    ),
}
