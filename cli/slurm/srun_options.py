"""The options of srun, and the environment variables that stand for them.

`python -m packhorse.cli.slurm.srun_options` prints the table. Options that are about the allocation are those
of sbatch; within a job they are read and have no effect, as with Slurm.
"""

from __future__ import annotations

from packhorse.cli.slurm.options import (
    HARMLESS,
    NONE,
    NOT_YET,
    OPTIONAL,
    REQUIRED,
    USED,
    WARNED,
    Parser,
    from_variables,
)
from packhorse.cli.slurm.sbatch_options import TABLE as SBATCH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from packhorse.cli.slurm.options import Option

BATCH_ONLY = frozenset(
    (
        *("array", "batch", "checkpoint-signal", "export-file", "gang", "get-user-env", "ignore-pbs"),
        *("no-requeue", "oom-retry", "parsable", "requeue", "retry", "wait", "wait-all-nodes", "wrap"),
    )
)
"""Options of sbatch that need a batch script to mean something."""

_OWN: dict[str, Option] = {
    "accel-bind": ("", REQUIRED, WARNED),
    "bcast": ("", OPTIONAL, USED),
    "bcast-exclude": ("", REQUIRED, HARMLESS),
    "compress": ("", OPTIONAL, HARMLESS),
    "container": ("", REQUIRED, NOT_YET),
    "container-image": ("", REQUIRED, NOT_YET),
    "cpu-bind": ("", REQUIRED, USED),
    "cpu-freq": ("", REQUIRED, WARNED),
    "debugger-test": ("", NONE, HARMLESS),
    "disable-status": ("X", NONE, USED),
    "distribution": ("m", REQUIRED, USED),
    "epilog": ("", REQUIRED, USED),
    "exact": ("", NONE, USED),
    "external-launcher": ("", NONE, USED),
    "gpu-bind": ("", REQUIRED, USED),
    "gpu-freq": ("", REQUIRED, WARNED),
    "het-group": ("", REQUIRED, USED),
    "hint": ("", REQUIRED, WARNED),
    "immediate": ("I", OPTIONAL, USED),
    "jobid": ("", REQUIRED, USED),
    "kill-on-bad-exit": ("K", OPTIONAL, USED),
    "label": ("l", NONE, USED),
    "mem-bind": ("", REQUIRED, WARNED),
    "mpi": ("", REQUIRED, USED),
    "msg-timeout": ("", REQUIRED, HARMLESS),
    "multi-prog": ("", NONE, USED),
    "network": ("", REQUIRED, WARNED),
    "no-allocate": ("Z", NONE, NOT_YET),
    "no-kill": ("k", OPTIONAL, USED),
    "overcommit": ("O", NONE, USED),
    "overlap": ("", NONE, USED),
    "preserve-env": ("E", NONE, USED),
    "prolog": ("", REQUIRED, USED),
    "pty": ("", OPTIONAL, USED),
    "quit-on-interrupt": ("", NONE, USED),
    "relative": ("r", REQUIRED, USED),
    "resv-ports": ("", OPTIONAL, WARNED),
    "send-libs": ("", OPTIONAL, WARNED),
    "slurmd-debug": ("", REQUIRED, HARMLESS),
    "task-epilog": ("", REQUIRED, USED),
    "task-prolog": ("", REQUIRED, USED),
    "threads": ("T", REQUIRED, HARMLESS),
    "threads-per-core": ("", REQUIRED, WARNED),
    "unbuffered": ("u", NONE, USED),
    "wait": ("W", REQUIRED, USED),
    "x11": ("", OPTIONAL, WARNED),
}

TABLE: dict[str, Option] = dict(
    sorted({**{name: option for name, option in SBATCH.items() if name not in BATCH_ONLY}, **_OWN}.items())
)

PARSER = Parser("srun", TABLE, bad=255, permute=False)

# fmt: off
STEP = frozenset((
    "bcast", "bcast-exclude", "chdir", "compress", "container", "cpu-bind", "cpus-per-gpu", "cpus-per-task",
    "disable-status", "distribution", "epilog", "error", "exact", "exclude", "exclusive", "export",
    "external-launcher", "gpu-bind", "gpus", "gpus-per-node", "gpus-per-task", "gres", "gres-flags", "help",
    "het-group", "hint", "immediate", "input", "job-name", "jobid", "kill-on-bad-exit", "label", "mem",
    "mem-bind", "mem-per-cpu", "mem-per-gpu", "mpi", "msg-timeout", "multi-prog", "no-allocate",
    "no-kill", "nodefile", "nodelist", "nodes", "ntasks", "ntasks-per-gpu", "ntasks-per-node", "open-mode",
    "output", "overcommit", "overlap", "preserve-env", "prolog", "propagate", "pty", "quiet",
    "quit-on-interrupt", "relative", "resv-ports", "send-libs", "server", "slurmd-debug", "task-epilog",
    "task-prolog", "tasks-per-node", "threads", "threads-per-core", "time", "uid", "unbuffered", "usage",
    "verbose", "version", "wait",
))
# fmt: on
"""What means something for a step of a job that there is already; the others are about the job."""

_VARIABLES = {
    "SLURM_ACCOUNT": "account",
    "SLURM_BCAST": "bcast",
    "SLURM_BURST_BUFFER": "bb",
    "SLURM_CLUSTERS": "clusters",
    "SLURM_CONSTRAINT": "constraint",
    "SLURM_CORE_SPEC": "core-spec",
    "SRUN_CONTAINER": "container",
    "SRUN_CPUS_PER_TASK": "cpus-per-task",
    "SLURM_DEBUG": "verbose",
    "SLURM_DELAY_BOOT": "delay-boot",
    "SLURM_DEPENDENCY": "dependency",
    "SLURM_DISABLE_STATUS": "disable-status",
    "SLURM_EPILOG": "epilog",
    "SLURM_EXACT": "exact",
    "SLURM_EXCLUSIVE": "exclusive",
    "SLURM_EXTERNAL_LAUNCHER": "external-launcher",
    "SLURM_GRES_FLAGS": "gres-flags",
    "SLURM_HINT": "hint",
    "SLURM_IMMEDIATE": "immediate",
    "SLURM_KILL_BAD_EXIT": "kill-on-bad-exit",
    "SLURM_LABELIO": "label",
    "SLURM_MPI_TYPE": "mpi",
    "SLURM_NETWORK": "network",
    "SLURM_NO_KILL": "no-kill",
    "SLURM_OPEN_MODE": "open-mode",
    "SLURM_OVERLAP": "overlap",
    "SLURM_PARTITION": "partition",
    "SLURM_PROFILE": "profile",
    "SLURM_PROLOG": "prolog",
    "SLURM_QOS": "qos",
    "SLURM_REMOTE_CWD": "chdir",
    "SLURM_REQ_SWITCH": "switches",
    "SLURM_RESV_PORTS": "resv-ports",
    "SLURM_SEND_LIBS": "send-libs",
    "SLURM_SIGNAL": "signal",
    "SLURM_SPREAD_JOB": "spread-job",
    "SLURM_STDERRMODE": "error",
    "SLURM_STDINMODE": "input",
    "SLURM_STDOUTMODE": "output",
    "SLURM_TASK_EPILOG": "task-epilog",
    "SLURM_TASK_PROLOG": "task-prolog",
    "SLURM_THREADS": "threads",
    "SLURM_TIMELIMIT": "time",
    "SLURM_UNBUFFEREDIO": "unbuffered",
    "SLURM_USE_MIN_NODES": "use-min-nodes",
    "SLURM_WAIT": "wait",
    "SLURM_WCKEY": "wckey",
    "SLURM_WORKING_DIR": "chdir",
}
"""Variables that somebody sets to have srun do something."""

_OF_JOBS = {
    "SLURM_CPUS_PER_GPU": "cpus-per-gpu",
    "SLURM_CPU_BIND": "cpu-bind",
    "SLURM_DISTRIBUTION": "distribution",
    "SLURM_EXPORT_ENV": "export",
    "SLURM_GPUS": "gpus",
    "SLURM_GPUS_PER_NODE": "gpus-per-node",
    "SLURM_GPUS_PER_TASK": "gpus-per-task",
    "SLURM_GPU_BIND": "gpu-bind",
    "SLURM_GRES": "gres",
    "SLURM_JOB_NAME": "job-name",
    "SLURM_NNODES": "nodes",
    "SLURM_JOB_NUM_NODES": "nodes",
    "SLURM_MEM_BIND": "mem-bind",
    "SLURM_MEM_PER_CPU": "mem-per-cpu",
    "SLURM_MEM_PER_GPU": "mem-per-gpu",
    "SLURM_MEM_PER_NODE": "mem",
    "SLURM_NPROCS": "ntasks",
    "SLURM_NTASKS": "ntasks",
    "SLURM_NTASKS_PER_GPU": "ntasks-per-gpu",
    "SLURM_NTASKS_PER_NODE": "ntasks-per-node",
    "SLURM_OVERCOMMIT": "overcommit",
    "SLURM_RESERVATION": "reservation",
    "SLURM_STEP_GRES": "gres",
    "SLURM_THREADS_PER_CORE": "threads-per-core",
}
"""Variables that a job also finds set to what it is. They say something of that job and of no other."""

_NOT_IN_JOBS = frozenset(
    (
        *("SLURM_CPUS_PER_GPU", "SLURM_GPUS", "SLURM_GPUS_PER_NODE", "SLURM_GRES", "SLURM_JOB_NAME"),
        *("SLURM_MEM_PER_GPU", "SLURM_MEM_PER_NODE", "SLURM_NTASKS_PER_GPU", "SLURM_RESERVATION"),
    )
)
"""What a step has without being told (what the job has), or what is not its own (the job's name)."""

_SIGNS_OF_A_JOB = ("SLURM_JOB_ID", "SLURM_JOBID", "SLURM_JOB_NODELIST", "SLURM_STEP_ID")


def from_environment(environment: Mapping[str, str], job: str) -> list[tuple[str, str]]:
    """The options that variables stand for, as (long name, value). job: the one in which a step is to start,
    "" for none yet.

    What the caller's own job is called, has and asked for counts for steps of that job only.
    """
    found = from_variables(environment, TABLE, _VARIABLES)
    callers = environment.get("SLURM_JOB_ID") or environment.get("SLURM_JOBID") or ""
    if job:
        if callers == job:
            shape = {name: option for name, option in _OF_JOBS.items() if name not in _NOT_IN_JOBS}
            if "SLURM_CPU_BIND_TYPE" in environment:  # says how the calling task is bound
                shape.pop("SLURM_CPU_BIND")
            found += from_variables(environment, TABLE, shape)
    elif not any(name in environment for name in _SIGNS_OF_A_JOB):
        shape = {name: option for name, option in _OF_JOBS.items() if name != "SLURM_STEP_GRES"}
        found += from_variables(environment, TABLE, shape)
    return found + from_variables(environment, TABLE, {"SRUN_EXPORT_ENV": "export"})


NOTES = {
    "accel-bind": "use --gpu-bind",
    "bcast": "a step of its own copies the program before",
    "distribution": "over nodes: block, cyclic, plane, arbitrary; what follows (sockets, cores) is not used",
    "exclusive": "of a job: its nodes alone; of a step: as --exact",
    "external-launcher": "as --overlap",
    "het-group": "0 only",
    "hint": "tasks are bound by --cpu-bind",
    "mpi": "none, pmi2; Open MPI: mpirun inside of the allocation",
    "overcommit": "tasks share the CPUs of the step",
    "task-epilog": "run by a shell around the task",
    "task-prolog": "run by a shell around the task",
    "network": "there are no switches to ask",
    "resv-ports": "ports are the program's business",
    "x11": "use ssh -X",
}
"""What the table says besides."""

_MEANINGS = {USED: "used", HARMLESS: "no effect", WARNED: "no effect, with a warning", NOT_YET: "refused"}


def table_text() -> str:
    """The options, as Markdown: what becomes of each, and whether it is about a job, a step, or both."""
    lines = ["| option | here | of | notes |", "|---|---|---|---|"]
    for name, option in TABLE.items():
        of = "job, step" if name in STEP and name in SBATCH else "step" if name in STEP else "job"
        lines.append(f"{row(name, option)} {of} | {NOTES.get(name, '')} |")
    return "\n".join(lines) + "\n"


def row(name: str, option: Option) -> str:
    """The beginning of an option's line in such a table."""
    letter, takes, what = option
    value = {NONE: "", REQUIRED: "=…", OPTIONAL: "[=…]"}[takes]
    short = f"`-{letter}`, " if letter else ""
    return f"| {short}`--{name}{value}` | {_MEANINGS[what]} |"


if __name__ == "__main__":
    import sys

    sys.stdout.write(table_text())
