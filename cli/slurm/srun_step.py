"""The step that a set of srun's options amounts to. Fields are spelled as in proto3 JSON."""

from __future__ import annotations

import os

from packhorse.cli.slurm import sbatch_request
from packhorse.cli.slurm.process import CommandError, program
from packhorse.cli.slurm.sbatch_request import number, refuse
from packhorse.cli.slurm.srun_environment import preserved, step_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from packhorse.cli.slurm.srun_streams import Streams

MPI_TYPES = ("none", "pmi2")
"""Values of --mpi."""

_FROM_ASK = (
    *("nTasks", "minNodes", "maxNodes", "cpuMilliPerTask", "memMibPerNode", "memMibPerCpu"),
    *("gresPerNode", "gresPerTask", "nodesRequired", "nodesExcluded"),
)
_SHARED_CPU_MILLI = 1
"""Of a task that may share its CPU with any number of others (--overcommit): the least that there is."""

_WRAPPER = """\
p=$1 e=$2
shift 2
if [ -n "$p" ]; then
  while IFS= read -r l; do
    case $l in
      "export "*=*) l=${l#export }; export "${l%%=*}=${l#*=}" ;;
      "unset "*) unset "${l#unset }" ;;
      "print "*) printf '%s\\n' "${l#print }" ;;
    esac
  done <<EOF
$(SLURM_TASK_PID=$$ "$p")
EOF
fi
[ -n "$e" ] || exec "$@"
trap : HUP INT TERM USR1 USR2
"$@"
r=$?
"$e"
exit $r
"""
"""Runs --task-prolog, the program, and --task-epilog; what the prolog prints sets variables."""


def describe(
    options: Mapping[str, str], words: list[str], job: str, inside: bool, line: str, streams: Streams
) -> dict[str, Any]:
    """The step. words: program and arguments. job: where it is to run; inside: that was there before, so that
    the step's amounts are its own and not all that the job has. Raises CommandError.
    """
    work_dir = os.path.join(sbatch_request.working_directory(), options.get("chdir", ""))
    spec: dict[str, Any] = {
        "name": options.get("job-name") or os.path.basename(words[0]),
        "workDir": work_dir,
        "environment": step_environment(options, job),
        "umask": sbatch_request.umask(),
        "rlimits": sbatch_request.rlimits(options.get("propagate", "ALL")),
        "submitLine": line if line.isascii() else line.encode("utf-8", "replace").decode(),
        "submitHost": os.uname().nodename,
    }
    if "multi-prog" in options:
        from packhorse.cli.slurm.srun_multi import programs

        spec["multiProg"] = [
            {"ranks": ranks, "argv": _wrapped(options, argv, work_dir)} for ranks, argv in programs(words)
        ]
    else:
        spec["argv"] = _wrapped(options, words, work_dir)
    _amounts(options, spec, inside)
    _placement(options, spec)
    _binding(options, spec)
    _conduct(options, spec, inside)
    streams.describe(spec)
    return spec


def _wrapped(options: Mapping[str, str], words: list[str], work_dir: str) -> list[str]:
    """The words with what --preserve-env, --task-prolog and --task-epilog put around them."""
    argv = [resolved(words[0], work_dir), *words[1:]]
    if kept := preserved(options):
        argv = ["/usr/bin/env", *[f"{name}={value}" for name, value in kept], *argv]
    around = [options.get(name, "") for name in ("task-prolog", "task-epilog")]
    around = ["" if path == "none" else path and resolved(path, work_dir) for path in around]
    if any(around):
        argv = ["/bin/sh", "-c", _WRAPPER, "sh", *around, *argv]
    return argv


def resolved(name: str, work_dir: str) -> str:
    """Where a program lies: below the working directory, in PATH, in the working directory. As it stands
    where it is none of these: the nodes may have it.
    """
    if name.startswith("/"):
        return name
    if name.startswith("."):
        return os.path.join(work_dir, name)
    for directory in os.environ.get("PATH", "").split(":"):
        path = os.path.join(directory or ".", name)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return os.path.abspath(path)
    path = os.path.join(work_dir, name)
    return path if os.access(path, os.X_OK) and os.path.isfile(path) else name


def _amounts(options: Mapping[str, str], spec: dict[str, Any], inside: bool) -> None:
    """How many tasks, and with how much. For a job of its own the step takes all that the job was given."""
    given = dict(options)
    given.pop("overcommit", None)  # of a job it leaves out how many tasks there are, of a step it does not
    if not inside:
        for name in (
            "mem",
            "mem-per-cpu",
            "mem-per-gpu",
            "gres",
            "gpus",
            "gpus-per-node",
            "tmp",
            "cpus-per-gpu",
        ):
            given.pop(name, None)
    none = given.get("gres", "").lower() == "none"
    if inside:
        given.pop("gres-flags", None)
    ask = sbatch_request.ask_of(given)
    if inside:
        from packhorse.cli.slurm.submission import warn_of_too_many_nodes

        warn_of_too_many_nodes(ask)
    for key in _FROM_ASK:
        if key in ask:
            spec[key] = ask[key]
    if "tasksPerNode" in ask:
        spec["tasksPerNode"] = ask["tasksPerNode"]
    if "gresPerJob" in ask:
        spec["gresPerStep"] = ask["gresPerJob"]
    if none:
        spec["gresPerStep"] = [{"kind": "none"}]
    if "overcommit" in options and "cpuMilliPerTask" not in spec:
        spec["cpuMilliPerTask"] = _SHARED_CPU_MILLI


def _placement(options: Mapping[str, str], spec: dict[str, Any]) -> None:
    """Which nodes, and which tasks on them."""
    hosts = os.environ.get("SLURM_HOSTFILE", "")
    kind, _, rest = options.get("distribution", "").partition(",")
    kind = kind.partition(":")[0].lower()
    if hosts and "nodelist" not in options and kind in ("", "arbitrary"):
        spec["nodesRequired"] = sbatch_request.node_file(hosts)
        spec["distribution"] = "arbitrary"
        spec.setdefault("nTasks", len(spec["nodesRequired"]))
    elif kind.startswith("plane"):
        size = kind.partition("=")[2] or os.environ.get("SLURM_DIST_PLANESIZE", "")
        spec["distribution"] = "plane"
        spec["planeSize"] = number(size, "distribution=plane")
    elif kind in ("block", "cyclic", "arbitrary"):
        spec["distribution"] = kind
    elif kind not in ("", "*"):
        raise refuse(f"Invalid --distribution specification: {options['distribution']}")
    if rest and rest.lower() not in ("pack", "nopack"):
        raise refuse(f"Invalid --distribution specification: {options['distribution']}")
    if "relative" in options:
        if "nodelist" in options or "exclude" in options:
            raise CommandError(
                f"{program()}: fatal: --relative is incompatible with --nodelist and --exclude", 1
            )
        spec["relative"] = number(options["relative"], "relative", low=0)
    if "overlap" in options or "external-launcher" in options:
        spec["overlap"] = "overlap"
    elif "exact" in options or "exclusive" in options or "cpus-per-task" in options:
        spec["overlap"] = "exact"


_CPU_BINDINGS = ("none", "rank", "sockets", "cores", "threads")
_CPU_LISTS = ("map_cpu:", "mask_cpu:")
_NUMA_BINDINGS = ("ldoms", "rank_ldom", "map_ldom:", "mask_ldom:")
CPU_BIND_HELP = """\
CPU bind options:
    --cpu-bind=         Bind tasks to CPUs
        q[uiet]         quietly bind before task runs (default)
        v[erbose]       verbosely report binding before task runs
        no[ne]          don't bind tasks to CPUs
        rank            bind by task rank
        map_cpu:<list>  specify a CPU ID binding for each task
                        where <list> is <cpuid1>,<cpuid2>,...<cpuidN>
        mask_cpu:<list> specify a CPU ID binding mask for each task
                        where <list> is <mask1>,<mask2>,...<maskN>
        sockets         auto-generated masks bind to sockets
        cores           auto-generated masks bind to cores
        threads         auto-generated masks bind to threads
        help            show this help message
"""
_GPU_BINDINGS = ("closest", "none", "map_gpu:", "mask_gpu:", "per_task:", "single:")


def _binding(options: Mapping[str, str], spec: dict[str, Any]) -> None:
    """--cpu-bind and --gpu-bind, in the spelling that nodes read: `verbose,cores`."""
    text = options.get("cpu-bind", "")
    if text:
        spec["cpuBind"] = cpu_binding(text)
    gpu = options.get("gpu-bind", "")
    if gpu:
        kind = gpu.lower().removeprefix("verbose,").removeprefix("v,")
        if not kind.startswith(_GPU_BINDINGS):
            raise refuse(f"Invalid --gpu-bind specification: {gpu}")
        spec["gpuBind"] = gpu.lower()
    elif "gpus-per-task" in options and options["gpus-per-task"].rpartition(":")[2].isdecimal():
        spec["gpuBind"] = f"per_task:{options['gpus-per-task'].rpartition(':')[2]}"
    elif "ntasks-per-gpu" in options:
        spec["gpuBind"] = f"single:{options['ntasks-per-gpu']}"


def cpu_binding(text: str) -> str:
    """`q,v,TYPE` as `verbose,TYPE`; "" where it asks for nothing."""
    loud = ""
    rest = text.lower()
    while rest:
        word, _, after = rest.partition(",")
        if word in ("v", "verbose"):
            loud = "verbose"
        elif word not in ("q", "quiet"):
            break
        rest = after
    if rest in ("no", "none"):
        rest = "none"
    elif rest and not (rest in _CPU_BINDINGS or rest.startswith(_CPU_LISTS)):
        for name in _CPU_BINDINGS:  # rank, cores and threads without their last letters
            if len(rest) > 1 and name.startswith(rest):
                rest = name
                break
        else:
            if not rest.startswith(_NUMA_BINDINGS):
                raise refuse(f'unrecognized --cpu-bind argument "{text}"')
            raise refuse(f"option --cpu-bind={rest} is not supported by Packhorse yet")
    return ",".join([part for part in (loud, rest) if part])


def _conduct(options: Mapping[str, str], spec: dict[str, Any], inside: bool) -> None:
    """How it runs and ends."""
    if inside and "time" in options:
        from packhorse.scheduler.model.units import UnitError, parse_time_limit_s

        try:
            spec["timeLimitS"] = parse_time_limit_s(options["time"])
        except UnitError:
            raise refuse("Invalid --time specification") from None
    if kills_on_bad_exit(options):
        spec["killOnBadExit"] = True
    if "wait" in options:
        spec["waitS"] = number(options["wait"], "wait", low=0)
    if "unbuffered" in options:
        spec["unbuffered"] = True
    if "pty" in options:
        from packhorse.cli.slurm.steps.terminal import size

        rows, columns = size(0)
        spec.update({"pty": True, "rows": rows, "columns": columns})
    if "mpi" in options:
        spec["mpi"] = mpi_type(options["mpi"])
    if "het-group" in options and options["het-group"] not in ("", "0"):
        raise refuse(f"option --het-group={options['het-group']}: the job is not heterogeneous", 1)


def mpi_type(text: str) -> str:
    """A value of --mpi as nodes know it."""
    kind = text.lower()
    if kind.startswith("pmix"):
        raise refuse(
            f"option --mpi={text} is not supported by Packhorse: programs of Open MPI are started "
            "by its mpirun, inside of an allocation; those of MPICH by --mpi=pmi2",
            1,
        )
    if kind not in MPI_TYPES:
        raise CommandError(
            f"{program()}: error: Couldn't find the specified plugin name for mpi/{text} "
            "looking at all files\n"
            f"{program()}: error: cannot find mpi plugin for mpi/{text}\n"
            f"{program()}: error: MPI: Unable to load plugin (there are: {', '.join(MPI_TYPES)})",
            1,
        )
    return kind


def kills_on_bad_exit(options: Mapping[str, str]) -> bool:
    """--kill-on-bad-exit, whose value may be 0."""
    value = options.get("kill-on-bad-exit", "0")
    if value and not (value.isdecimal() and value.isascii()):
        raise refuse(f'Invalid numeric value "{value}" for --kill-on-bad-exit.', 1)
    return value == "" or int(value[:9]) > 0
