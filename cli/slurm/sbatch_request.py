"""The SubmitJob request that a set of options amounts to: those of sbatch with a script, those of salloc and
srun without one.

Checks here are those that need no cluster; their texts and exit codes are Slurm's (22.05). Fields are
spelled as in proto3 JSON, so that the scheduler reads them by its quick decoder.
"""

from __future__ import annotations

import os

from packhorse.cli.slurm.process import CommandError, program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SCRIPT_LIMIT = 1 << 20
"""Longest batch script, in bytes. The scheduler has the same limit."""

WRAP_HEAD = "#!/bin/sh\n# This script was created by sbatch --wrap.\n\n"

# SLURM_ variables that configure commands and describe no job; the rest of the caller's are left behind,
# since they describe the job that the command runs in.
KEPT_SLURM_VARIABLES = frozenset(
    ("SLURM_CONF", "SLURM_TIME_FORMAT", "SLURM_EXIT_ERROR", "SLURM_EXIT_IMMEDIATE", "SLURM_CLUSTERS")
)
_DEVICE_VARIABLES = frozenset(("CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES"))

_LIMITS = ("CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS")


def refuse(text: str, code: int = 255) -> CommandError:
    """An error line of the command that runs."""
    return CommandError(f"{program()}: error: {text}", code)


def working_directory() -> str:
    """Where the command runs; raises CommandError if that directory has been removed."""
    try:
        return os.getcwd()
    except OSError as error:
        raise refuse(f"getcwd failed: {error.strerror}", 1) from None


def build(
    options: Mapping[str, str], script: bytes, name: str, command: str, arguments: list[str], line: str
) -> dict[str, Any]:
    """The request. name: the job's name where --job-name is not given. line: the command line, for the
    record.
    """
    spec = _described(options, name, line)
    spec["script"] = script
    spec["environment"] = _environment(options)
    if not _STEP_OPTIONS.isdisjoint(options):
        from packhorse.cli.slurm import sbatch_steps

        spec["environment"] += [f"{name}={value}" for name, value in sbatch_steps.variables(options).items()]
    if command:
        spec["command"] = command
    if arguments:
        spec["args"] = arguments
    for option, key in (("input", "stdIn"), ("output", "stdOut"), ("error", "stdErr")):
        if option in options:
            spec[key] = "/dev/null" if options[option].lower() == "none" else options[option]
    request = _request(options, spec)
    if options.get("array"):
        request["array"] = _array(options["array"])
    return request


def allocation(options: Mapping[str, str], kind: str, name: str, line: str) -> dict[str, Any]:
    """The request for a job without a script, which a command fills with steps. kind: that command."""
    spec = _described(options, name, line)
    spec["allocation"] = kind
    return _request(options, spec)


def _described(options: Mapping[str, str], name: str, line: str) -> dict[str, Any]:
    """What any job is made of, with a script or without."""
    submit_dir = work_dir = working_directory()
    if options.get("chdir"):
        work_dir = os.path.join(submit_dir, options["chdir"])
    spec: dict[str, Any] = {
        "name": options.get("job-name") or name,
        "workDir": work_dir,
        "submitHost": os.uname().nodename,
        "submitLine": line if line.isascii() else line.encode("utf-8", "replace").decode(),
        "ask": ask_of(options),
        "rlimits": rlimits(options.get("propagate", "ALL")),
        "umask": umask(),
    }
    if work_dir != submit_dir:
        spec["submitDir"] = submit_dir
    for option, key in _TEXTS:
        if option in options:
            spec[key] = options[option]
    if "mail-type" in options:
        spec["mail"] = _mail(options["mail-type"])
        if options.get("mail-user"):
            spec["mailUser"] = options["mail-user"]
    if options.get("licenses"):
        spec["licenses"] = _licenses(options["licenses"])
    _times(options, spec)
    _order(options, spec)
    given = _given(options)
    if given:
        spec["given"] = given
    return spec


def _request(options: Mapping[str, str], spec: dict[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = {"spec": spec, "idempotencyKey": os.urandom(16).hex()}
    if "test-only" in options:
        request["testOnly"] = True
    if "right-size" in options:
        if options["right-size"] not in ("", "cpus"):
            raise refuse(f'Invalid --right-size specification: "{options["right-size"]}" is not cpus', 1)
        request["rightSize"] = True
        if options["right-size"]:
            request["rightSizeCpus"] = True
    return request


_DEVICE_OPTIONS = frozenset(
    (
        *("cpus-per-gpu", "gpu-link", "gpu-share", "gpus", "gpus-per-node", "gpus-per-task", "gres"),
        *("gres-flags", "mem-per-gpu", "ntasks-per-gpu"),
    )
)
"""Those that sbatch_devices reads, which is loaded only where one is given."""

_STEP_OPTIONS = frozenset(
    (
        *("container", "container-image", "distribution", "export", "get-user-env", "gpu-bind", "hint"),
        *("overcommit", "time-min"),
    )
)
"""Those that sbatch_steps reads, likewise."""

_TEXTS = (
    ("partition", "partition"),
    ("account", "account"),
    ("qos", "qos"),
    ("comment", "comment"),
    ("reservation", "reservation"),
    ("wckey", "wckey"),
)


def _mail(text: str) -> str:
    from packhorse.scheduler.model.mailspec import MailError, parse_mail_types

    try:
        return parse_mail_types(text)
    except MailError as error:
        raise refuse(f"Invalid --mail-type specification: {error}") from None


def _licenses(text: str) -> str:
    from packhorse.scheduler.model.gresspec import GresError, parse_licenses

    try:
        parse_licenses(text)
    except GresError as error:
        raise _refused(f"--licenses: {error}", "Invalid license specification") from None
    return text


def _times(options: Mapping[str, str], spec: dict[str, Any]) -> None:
    """Time limit, begin time, and the signals before the end."""
    if "time" in options:
        from packhorse.scheduler.model.units import UnitError, parse_time_limit_s

        try:
            spec["timeLimitS"] = parse_time_limit_s(options["time"])
        except UnitError:
            raise refuse("Invalid --time specification") from None
    for name, key in (("begin", "beginAtUs"), ("deadline", "deadlineAtUs")):
        if name in options:
            from time import time

            from packhorse.cli.slurm.when import WhenError, parse_when_s

            try:
                spec[key] = parse_when_s(options[name], int(time())) * 1_000_000
            except WhenError as error:
                shown = f"{error}\n" if options[name] else ""
                raise CommandError(
                    f"{shown}{program()}: error: Invalid --{name} specification", 255
                ) from None
    if "signal" in options:
        spec["warn"] = _signal(options, "signal")
    if "checkpoint-signal" in options:
        spec["checkpoint"] = _signal(options, "checkpoint-signal")


def _signal(options: Mapping[str, str], name: str) -> dict[str, Any]:
    """A signal, and how long before the end."""
    from packhorse.scheduler.model.signalspec import SignalError, parse_warning

    try:
        number, seconds, batch_only = parse_warning(options[name])
    except SignalError as error:
        # Of Slurm's own option it is Slurm's sentence and no more.
        why = "" if name == "signal" else f": {error}"
        raise refuse(f"Invalid --{name} specification{why}") from None
    return {"signal": number, "secondsBefore": seconds, "batchOnly": batch_only}


def _order(options: Mapping[str, str], spec: dict[str, Any]) -> None:
    """What decides when the job may start and what becomes of it afterwards."""
    if "hold" in options:
        spec["hold"] = True
    if "requeue" in options:
        spec["requeue"] = True
    if "no-lend" in options:
        spec["noLend"] = True
    if "no-requeue" in options:
        spec["requeue"] = False
    if "switches" in options:
        wait_s = _switches_wait_s(options["switches"])
        if wait_s is not None:
            spec["switchesWaitS"] = wait_s
    if "oom-retry" in options:
        _oom_retry(options, spec)
    if "retry" in options:
        _retry(options, spec)
    if "gang" in options:
        _gang(options, spec)
    if "idle-gpu-ok" in options:
        spec["idleGpuOk"] = True
    if "nice" in options:
        spec["nice"] = _nice(options["nice"])
    if "priority" in options:
        text = options["priority"]
        if text[:1] == "-":
            raise refuse("Priority must be >= 0")
        spec["priority"] = number(text, "priority", low=0)
    if options.get("dependency"):
        spec["dependency"] = dependency(options["dependency"])
    if "kill-on-invalid-dep" in options:
        answer = options["kill-on-invalid-dep"].lower()
        if answer not in ("yes", "no"):
            raise refuse("Invalid --kill-on-invalid-dep specification")
        spec["killOnInvalidDep"] = answer == "yes"
    if "open-mode" in options:
        mode = options["open-mode"].lower()
        if mode not in ("a", "append", "t", "truncate"):
            raise refuse("Invalid --open-mode specification")
        spec["append"] = mode[0] == "a"


def _retry(options: Mapping[str, str], spec: dict[str, Any]) -> None:
    """Further runs of a job that failed."""
    from packhorse.scheduler.model.retryspec import RetryError, parse_retry

    try:
        most, backoff_s, codes, avoid = parse_retry(options["retry"])
    except RetryError as error:
        raise refuse(f"Invalid --retry specification: {error}", 1) from None
    spec["retry"] = {"maxRetries": most, "backoffS": backoff_s, "codes": list(codes), "avoidNode": avoid}


def _gang(options: Mapping[str, str], spec: dict[str, Any]) -> None:
    """Jobs that it starts together with."""
    from packhorse.scheduler.model.gangspec import GangError, parse_gang

    try:
        name, size, wait_s = parse_gang(options["gang"])
    except GangError as error:
        raise refuse(f"Invalid --gang specification: {error}", 1) from None
    spec["gang"] = {"name": name, "size": size, "waitS": wait_s}


def _oom_retry(options: Mapping[str, str], spec: dict[str, Any]) -> None:
    """More memory for the next run of a job that ran out of it."""
    from packhorse.scheduler.model.oomspec import OomRetryError, parse_oom_retry

    try:
        spec["oomFactorMilli"], most = parse_oom_retry(options["oom-retry"])
    except OomRetryError as error:
        raise refuse(f"Invalid --oom-retry specification: {error}", 1) from None
    if most:
        spec["oomMaxRetries"] = most


def ask_of(options: Mapping[str, str]) -> dict[str, Any]:
    """What the job needs."""
    ask: dict[str, Any] = {}
    if "ntasks" in options:
        n_tasks = number(options["ntasks"], "ntasks")
        if "overcommit" not in options:  # else one CPU on each node, for however many tasks
            ask["nTasks"] = n_tasks
    if "ntasks-per-node" in options:
        ask["tasksPerNode"] = number(options["ntasks-per-node"], "ntasks-per-node")
    if "cpus-per-task" in options:
        ask["cpuMilliPerTask"] = 1000 * number(options["cpus-per-task"], "cpus-per-task")
    if "mincpus" in options:
        ask["minCpuMilliPerNode"] = 1000 * number(options["mincpus"], "mincpus")
    if "nodes" in options:
        low, high = _nodes(options["nodes"])
        ask["minNodes"], ask["maxNodes"] = low, high
    if len([name for name in ("mem", "mem-per-cpu", "mem-per-gpu") if name in options]) > 1:
        raise CommandError(
            f"{program()}: fatal: --mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.", 1
        )
    if "mem" in options:
        mib = memory(options["mem"], "mem")
        if mib:
            ask["memMibPerNode"] = mib
        else:
            ask["memAll"] = True
    if "mem-per-cpu" in options:
        ask["memMibPerCpu"] = memory(options["mem-per-cpu"], "mem-per-cpu")
    if "tmp" in options:
        ask["tmpMibPerNode"] = memory(options["tmp"], "tmp")
    if options.get("constraint"):
        ask["features"] = options["constraint"]
    if "nodefile" in options:
        ask["nodesRequired"] = node_file(options["nodefile"])
    if options.get("nodelist"):
        ask["nodesRequired"] = _host_list(options["nodelist"])
    if options.get("exclude"):
        ask["nodesExcluded"] = _host_list(options["exclude"])
    if "exclusive" in options:
        if options["exclusive"] not in ("", "user", "mcs"):
            raise refuse("Invalid --exclusive specification")
        # =user and =mcs ask for nodes without jobs of some others: nodes without any other job are that.
        ask["exclusive"] = True
    if "contiguous" in options:
        ask["contiguous"] = True
    if "spread-job" in options:
        ask["spread"] = True
    if "hops" in options or "switches" in options:
        _switches(options, ask)
    if not _DEVICE_OPTIONS.isdisjoint(options):
        from packhorse.cli.slurm import sbatch_devices

        sbatch_devices.add(options, ask)
    _check_tasks(ask)
    return ask


def _switches(options: Mapping[str, str], ask: dict[str, Any]) -> None:
    """How far apart the nodes may be: --hops, or below how many switches."""
    if "hops" in options and "switches" in options:
        raise refuse("--hops and --switches are mutually exclusive", 1)
    if "switches" in options:
        ask["maxSwitches"] = number(options["switches"].partition("@")[0], "switches", low=1)
        return
    n = number(options["hops"], "hops", low=0)
    if n > 63:
        raise refuse(f"--hops={n} is over 63, which is as far as there are switches", 1)
    ask["hops"] = n


def _switches_wait_s(text: str) -> int | None:
    """For how long a job waits for its switches, of N[@TIME]; None: as long as it takes."""
    _, at, wait = text.partition("@")
    if not at:
        return None
    from packhorse.scheduler.model.units import UnitError, parse_time_limit_s

    try:
        return parse_time_limit_s(wait) or None  # UNLIMITED
    except UnitError:
        raise refuse(f'Invalid --switches specification: "{wait}" is not a time') from None


def _check_tasks(ask: dict[str, Any]) -> None:
    """Refuses more tasks than --ntasks-per-node leaves room for."""
    n_tasks, nodes, on_each = ask.get("nTasks", 0), ask.get("maxNodes", 0), ask.get("tasksPerNode", 0)
    if nodes and on_each and n_tasks > nodes * on_each:
        raise refuse(
            f"--ntasks={n_tasks} with --ntasks-per-node={on_each} does not go on {nodes} "
            f"node{'s' * (nodes != 1)}: {nodes * on_each} tasks at most; change one of the three",
            1,
        )


def _given(options: Mapping[str, str]) -> dict[str, Any]:
    """What was spelled out, which decides what the script finds in its environment."""
    given: dict[str, Any] = {}
    if ("ntasks" in options and "overcommit" not in options) or "ntasks-per-gpu" in options:
        given["nTasks"] = True
    if "cpus-per-task" in options:
        given["cpusPerTask"] = True
    if "ntasks-per-node" in options:
        given["tasksPerNode"] = True
    for option, key in (
        ("gpus", "gpus"),
        ("gpus-per-node", "gpusPerNode"),
        ("gpus-per-task", "gpusPerTask"),
        ("export", "export"),
    ):
        if options.get(option):
            given[key] = options[option]
    return given


def number(text: str, option: str, low: int = 1) -> int:
    """A whole number of at least `low`."""
    if not (text.isdecimal() and text.isascii()) or int(text) < low:
        raise refuse(f'Invalid numeric value "{text}" for --{option}.', 1)
    if int(text) > 0x7FFF_FFFF:
        raise refuse(f"Numeric argument ({text}) to big for --{option}.", 1)
    return int(text)


def _nice(text: str) -> int:
    if not text:
        return 100
    digits = text.removeprefix("-")
    if not (digits.isdecimal() and digits.isascii()):
        raise refuse(f'Invalid numeric value "{text}" for --nice.', 1)
    if int(digits) > 2147483645:
        raise refuse("Invalid --nice value, out of range (+/- 2147483645)")
    return int(text)


def _nodes(text: str) -> tuple[int, int]:
    """`--nodes`: fewest and most. A single number is both."""
    from packhorse.scheduler.model.units import UnitError, parse_count_range

    low_text, dash, high_text = text.partition("-")
    numbers = []
    for part in (low_text, high_text) if dash else (low_text,):
        try:
            numbers.append(parse_count_range(part)[0])
        except UnitError:
            raise refuse(f'"{part}" is not a valid node count') from None
    low, high = numbers[0], numbers[-1]
    if high < low:
        raise refuse(f"Maximum node count {high} is less than minimum node count {low}")
    if low == 0:
        raise refuse(f'"{text}" is not a valid node count')
    return low, high


def memory(text: str, option: str) -> int:
    """MiB of an amount of memory."""
    from packhorse.scheduler.model.units import UnitError, parse_mem_mib

    try:
        return parse_mem_mib(text)
    except UnitError:
        raise refuse(f"Invalid --{option} specification") from None


def _array(text: str) -> dict[str, Any]:
    from packhorse.scheduler.model.arrayspec import ArraySpecError, parse_array

    try:
        ranges, limit = parse_array(text)
    except ArraySpecError as error:
        raise _refused(str(error), "Invalid job array specification") from None
    array: dict[str, Any] = {
        "ranges": [{"start": first, "stop": last, "step": step} for first, last, step in ranges]
    }
    if limit:
        array["limit"] = limit
    return array


def dependency(text: str) -> dict[str, Any]:
    """The request's form of a dependency."""
    made, error = dependency_or_error(text)
    if made is None:
        raise _refused(error, "Job dependency problem")
    return made


def dependency_or_error(text: str) -> tuple[dict[str, Any] | None, str]:
    """(the request's form of a dependency, "") or (None, what is wrong with it)."""
    from packhorse.scheduler.model.dependencyspec import DependencyError, parse_dependency

    try:
        any_of, conditions = parse_dependency(text)
    except DependencyError as error:
        return None, str(error)
    items = []
    for kind, job_id, index, minutes in conditions:
        item: dict[str, Any] = {"kind": kind, "jobId": job_id}
        if index >= 0:
            item["arrayIndex"] = index
        if minutes:
            item["delayS"] = minutes * 60
        items.append(item)
    return {"conditions": items, "anyOf": any_of}, ""


def _host_list(text: str) -> list[str]:
    from packhorse.scheduler.model.hostlist import HostlistError, expand

    try:
        return expand(text)
    except HostlistError as error:
        raise _refused(str(error), "Invalid node name specified") from None


def node_file(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return _host_list(file.read())
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise CommandError(
            f"{program()}: error: slurm_allocate_resources error opening file {path}, {why}\n"
            f"{program()}: error: Invalid --nodefile node file",
            255,
        ) from None


def _refused(ours: str, slurm: str) -> CommandError:
    """What the scheduler would refuse: our sentence, then Slurm's phrase, which programs look for."""
    prog = program()
    return CommandError(f"{prog}: error: {ours}\n{prog}: error: {failed(prog)}: {slurm}", 1)


def failed(prog: str) -> str:
    """What Slurm's commands say before the reason for which a job was not taken."""
    return "Batch job submission failed" if prog == "sbatch" else "Unable to allocate resources"


def umask() -> int:
    given = os.environ.get("SLURM_UMASK", "")
    if given and not given.strip("01234567"):
        return int(given, 8) & 0o777
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def rlimits(propagate: str) -> list[dict[str, Any]]:
    """The soft limits that the job takes along: all of them, as Slurm does, or those named."""
    wanted = propagate.upper().replace("RLIMIT_", "")
    if wanted == "NONE":
        return []
    names = _LIMITS if wanted in ("", "ALL") else wanted.split(",")
    import resource

    limits = []
    for name in names:
        if name not in _LIMITS:
            raise refuse(f"--propagate={propagate} is not a valid propagate option")
        soft = resource.getrlimit(getattr(resource, "RLIMIT_" + name))[0]
        limits.append({"name": name.lower(), "value": soft})
    return limits


def _environment(options: Mapping[str, str]) -> list[str]:
    """NAME=VALUE of everything the script is to start with, by --export and --export-file."""
    export = options.get("export") or "ALL"
    wanted = {} if export.upper() == "NONE" else exported(export, callers())
    for name in KEPT_SLURM_VARIABLES:
        if name in os.environ:
            wanted.setdefault(name, os.environ[name])
    if "export-file" in options:
        wanted.update(_export_file(options["export-file"]))
    try:
        "".join(wanted.values()).encode("utf-8")
        "".join(wanted).encode("utf-8")
    except UnicodeEncodeError:
        wanted = {name: value for name, value in wanted.items() if is_text(name) and is_text(value)}
    return [f"{name}={value}" for name, value in wanted.items()]


def exported(export: str, source: Mapping[str, str]) -> dict[str, str]:
    """What --export lets through. source: what ALL stands for."""
    wanted: dict[str, str] = {}
    for part in _export_parts(export):
        name, equals, value = part.partition("=")
        if part.upper() == "ALL":
            wanted.update(source)
        elif equals:
            wanted[name] = value
        elif name in os.environ:
            wanted[name] = os.environ[name]
    return wanted


def callers() -> dict[str, str]:
    """The caller's variables, without those that describe the job in which the caller runs."""
    callers = dict(os.environ)
    in_job = "SLURM_JOB_ID" in callers or "SLURM_JOBID" in callers
    for name in list(callers):
        of_a_job = name.startswith(("SLURM_", "SLURMD_")) and name not in KEPT_SLURM_VARIABLES
        of_its_step = in_job and (name in _DEVICE_VARIABLES or name.startswith(("PMI_", "PMIX_")))
        if of_a_job or of_its_step:
            del callers[name]
    return callers


def _export_parts(export: str) -> list[str]:
    """`export` cut at commas outside quotes, the quotes removed."""
    parts = []
    current = ""
    quote = ""
    for char in export:
        if quote:
            if char == quote:
                quote = ""
            else:
                current += char
        elif char in "\"'":
            quote = char
        elif char == ",":
            parts.append(current)
            current = ""
        else:
            current += char
    parts.append(current)
    return [part for part in parts if part]


def _export_file(source: str) -> dict[str, str]:
    """NAME=VALUE pairs, each ended by a zero byte, from a file or an open descriptor."""
    try:
        with open(int(source) if source.isdecimal() and int(source) > 2 else source, "rb") as file:
            text = file.read().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise refuse(f"Could not open user environment file {source}", 1) from None
    pairs = [item.partition("=") for item in text.split("\0")]
    return {name: value for name, equals, value in pairs if equals and name}


def is_text(value: str) -> bool:
    """Whether the value can travel: requests are UTF-8, a variable may be any bytes."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
