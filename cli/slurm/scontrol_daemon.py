"""What scontrol does to the daemon itself and says of this host, and what it refuses by name."""

from __future__ import annotations

import os
import sys

from packhorse.cli.slurm.jobids import JobIdError, job_ref
from packhorse.cli.slurm.process import CommandError
from packhorse.cli.transport import CallError, TransportError, call, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ONE = "there is one scheduler; it is started again where it was (docs/operations.md)"
_REBOOT = (
    "nodes are rebooted by their own system, once they are empty: scontrol update NodeName=NODES State=DRAIN "
    "Reason=reboot"
)

REFUSED = {
    "abort": "`scontrol shutdown` ends the scheduler in good order, `packhorse down` all of a home",
    "bbstat": "there are no burst buffers",
    "cancel_reboot": _REBOOT,
    "checkpoint": "jobs are told to write a checkpoint by --checkpoint-signal (docs/policy/preemption.md)",
    "dwstat": "there are no burst buffers",
    "fsdampeningfactor": "fair share has no dampening; its weights are in [priority] of packhorse.toml",
    "getaddrs": "agents dial the scheduler; `scontrol show node` says where from",
    "notify": "write to the job's own output, or tell its user (scontrol show job says whose it is)",
    "reboot": _REBOOT,
    "reboot_nodes": _REBOOT,
    "schedloglevel": "every pass is counted by sdiag, and why a job waits is told by `packhorse why`",
    "script": "`scontrol write batch_script ID -` shows a job's script",
    "setdebugflags": "`scontrol setdebug debug` logs everything",
    "takeover": _ONE,
    "top": "scontrol update JobId=ID Nice=N, for administrators also Priority=N",
}
"""Keywords of Slurm's that make no sense here, and what does."""

REFUSED_ENTITIES = {
    "assoc_mgr": "sacctmgr show assoc, packhorse quota",
    "bbstat": "there are no burst buffers",
    "burstbuffer": "there are no burst buffers",
    "dwstat": "there are no burst buffers",
    "federation": "there is one cluster",
    "frontend": "there are no front end nodes",
    "slurmd": "scontrol show node, packhorse doctor",
}


def refusal(what: str, way: str) -> CommandError:
    """The line that names what is not there, and the way."""
    return CommandError(f"scontrol: error: {what} is not supported by Packhorse: {way}")


def _is_number(text: str) -> bool:
    """Digits, and not more of them than any number here has."""
    return text.isascii() and text.isdecimal() and len(text) < 19


def setdebug(words: list[str], options: dict[str, str]) -> int:
    """By Slurm's word or number."""
    if len(words) != 1:
        raise CommandError(f"too {'many' if words else 'few'} arguments for keyword:setdebug")
    level = words[0].lower()
    if _is_number(level) and int(level) < len(_LEVELS):
        level = _LEVELS[int(level)]
    if level not in _LEVELS:
        raise CommandError(f"invalid debug level: {words[0]}")
    try:
        call("SetLogLevel", {"level": level})
    except CallError as error:
        raise CommandError(f"slurm_set_debug_level error: {error.slurm or error.message}") from None
    return 0


_LEVELS = ("quiet", "fatal", "error", "info", "verbose", "debug", "debug2", "debug3", "debug4", "debug5")


def shutdown(words: list[str], options: dict[str, str]) -> int:
    """The scheduler ends; agents go on, and jobs with them."""
    if len(words) > 1:
        raise CommandError("too many arguments for keyword:shutdown")
    if words and words[0].lower() not in ("slurmctld", "controller"):
        raise CommandError(f"invalid shutdown argument:{words[0]}")
    try:
        call("Shutdown", {}, again=False)
    except CallError as error:
        raise CommandError(f"slurm_shutdown error: {error.slurm or error.message}") from None
    if not words:
        sys.stderr.write(
            "scontrol: the scheduler ends; agents and their jobs go on (`packhorse down` ends them)\n"
        )
    return 0


def token(words: list[str], options: dict[str, str]) -> int:
    """`token [lifespan=SECONDS] [username=NAME]`."""
    from packhorse.cli.slurm.users import own_name

    request: dict[str, Any] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key.lower() == "lifespan" and _is_number(value):
            request["validS"] = int(value)
        elif key.lower() == "username" and value:
            if value != own_name():
                raise refusal(f"username={value}", "everybody gets tokens for themselves")
        else:
            raise CommandError(f"Invalid argument: {word}")
    try:
        answer = call("IssueToken", request)
    except CallError as error:
        raise CommandError(f"scontrol: error: {error.message}") from None
    sys.stdout.write(f"SLURM_JWT={answer['token']}\n")
    return 0


def wait_job(words: list[str], options: dict[str, str]) -> int:
    """Until the job has its nodes; 1 if it has ended."""
    from time import sleep

    from packhorse.cli.slurm.table import fetch

    if len(words) != 1:
        raise CommandError(f"too {'many' if words else 'few'} arguments for keyword:wait_job")
    try:
        ref = job_ref(words[0])
    except JobIdError:
        raise CommandError(f"Invalid job id: {words[0]}") from None
    pause = 0.1
    while True:
        table = fetch("ListJobs", {"fields": ["state"], "jobs": [ref], "includeEnded": True})
        if not table.n:
            raise CommandError(f"slurm_job_node_ready: Invalid job id specified: {words[0]}")
        states = set(table.texts("state"))
        if states <= {"RUNNING", "SUSPENDED", "COMPLETING"}:
            return 0
        if not states & {"PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING"}:
            raise CommandError(f"Job {words[0]} no longer running")
        sleep(pause)
        pause = min(pause * 1.5, 5.0)


def completing(words: list[str], options: dict[str, str]) -> int:
    """Jobs that have to stop, and where something of them is left."""
    from packhorse.cli.slurm.table import fetch
    from packhorse.cli.slurm.times import stamp

    if words:
        raise CommandError("too many arguments for keyword:completing")
    wanted = ["job_id", "nodes", "end_at"]
    table = fetch("ListJobs", {"fields": wanted, "filter": {"states": ["COMPLETING"]}})
    down = {
        row["name"]
        for row in fetch("ListNodes", {"fields": ["name", "state"]}).rows()
        if row["state"] == "DOWN"
    }
    for row in table.rows():
        sys.stdout.write(_completing(row, down, stamp, table.now_s) + "\n")
    return 0


def _completing(row: dict[str, Any], down: set[str], stamp: Any, now_s: int) -> str:
    from packhorse.scheduler.model.hostlist import compress, expand

    end_s = (row["end_at"] // 1_000_000) or now_s
    nodes = expand(row["nodes"]) if row["nodes"] else []
    line = f"JobId={row['job_id']} EndTime={stamp(end_s)} CompletingTime={max(now_s - end_s, 0)}"
    for word, some in (
        ("COMPLETING", [name for name in nodes if name not in down]),
        ("DOWN", [name for name in nodes if name in down]),
    ):
        if some:
            line += f" Nodes({word})={compress(some)}"
    return line


def listpids(words: list[str], options: dict[str, str]) -> int:
    """Processes of jobs on this host that the caller may look at, by their own environment. As in Slurm only
    the first process of a task has its numbers; steps come before the batch script."""
    wanted = "" if not words or words[0] == "*" else words[0]
    node = words[1] if len(words) > 1 else ""  # of several on this host
    job, _, step = wanted.partition(".")
    if job and not _is_number(job):
        raise CommandError(f"Invalid job id: {job}")
    found = {
        pid: process
        for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())
        if (process := _of_a_job(pid, node)) is not None
        and (not job or process[0] == job)
        and (not step or process[1] == step)
    }
    rows = []
    for pid, (of_job, of_step, local, of_all) in found.items():
        first = found.get(_parent(pid), ("", "", "", "")) != (of_job, of_step, local, of_all)
        order = (int(of_job), of_step == BATCH, int(of_step) if of_step != BATCH else 0, not first, pid)
        numbers = (local, of_all) if first else ("-", "-")
        rows.append((order, f"{pid:<8} {of_job:<8} {of_step:<8} {numbers[0]:<7} {numbers[1]:<8}\n"))
    sys.stdout.write(
        "PID      JOBID    STEPID   LOCALID GLOBALID\n" + "".join(row for _, row in sorted(rows))
    )
    if not rows and job:
        raise CommandError(f"Job {wanted} does not exist on this node.")
    return 0


BATCH = "batch"


def _of_a_job(pid: int, node: str = "") -> tuple[str, str, str, str] | None:
    """(job, step, local number of the task, number among all) of a process; None if it is of no job, or of
    somebody else's, or of another node than the one that is named."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            pairs = file.read().split(b"\0")
    except OSError:
        return None
    found = dict(pair.decode("utf-8", "replace").partition("=")[::2] for pair in pairs)
    job = found.get("SLURM_JOB_ID", "")
    if not _is_number(job) or "SLURMD_NODENAME" not in found:  # who only knows of a job is not of it
        return None
    if node and found["SLURMD_NODENAME"] != node:
        return None
    step = found.get("SLURM_STEP_ID", "")
    if not _is_number(step):
        return job, BATCH, "0", "0"
    return job, step, found.get("SLURM_LOCALID", "-"), found.get("SLURM_PROCID", "-")


def _parent(pid: int) -> int:
    """The parent's number, 0 if the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def pidinfo(words: list[str], options: dict[str, str]) -> int:
    """The job of a process on this host, and when it ends at the latest."""
    from time import ctime, time

    from packhorse.cli.slurm.table import fetch

    if len(words) != 1:
        raise CommandError(f"too {'many' if words else 'few'} arguments for keyword:pidinfo")
    if not _is_number(words[0]):
        raise CommandError(f"Invalid process id: {words[0]}")
    row = _of_a_job(int(words[0]))
    if row is None:
        raise CommandError(f"slurm_pid2jobid error: No Slurm job has process {words[0]} on this node")
    table = fetch("ListJobs", {"fields": ["start_at", "time_limit_s"], "jobs": [{"jobId": int(row[0])}]})
    if not table.n:
        raise CommandError("slurm_get_end_time error: Invalid job id specified")
    start_s, limit_s = table.seconds("start_at")[0], table.ints("time_limit_s")[0]
    if not limit_s:
        sys.stdout.write(f"Slurm JobId={row[0]} has no time limit\n")
        return 0
    end_s = start_s + limit_s
    sys.stdout.write(f"Slurm JobId={row[0]} ends at {ctime(end_s)}\n")
    sys.stdout.write(f"slurm_get_rem_time is {end_s - int(time())}\n")
    return 0


def errnumstr(words: list[str], options: dict[str, str]) -> int:
    """What an error number of Slurm's, or of the system's, says."""
    if len(words) != 1:
        raise CommandError(f"too {'many' if words else 'few'} arguments for keyword:errnumstr")
    if not _is_number(words[0]):
        raise CommandError(f"invalid error number: {words[0]}")
    number = int(words[0])
    text = _ERRORS.get(number) or (os.strerror(number) if number < 1000 else "")
    sys.stdout.write(f"{text or f'Unknown error {number}'}\n")
    return 0


_ERRORS = {
    2000: "Invalid partition name specified",
    2001: "No partition specified or system default partition",
    2002: "Access/permission denied",
    2003: "User's group not permitted to use this partition",
    2004: "Requested nodes not in this partition",
    2005: "More processors requested than permitted",
    2006: "Node count specification invalid",
    2007: "Unable to create job record, try again",
    2008: "Job size specification needs to be provided",
    2009: "Job script not specified",
    2010: "Invalid user id",
    2013: "Immediate execution impossible, insufficient priority",
    2014: "Requested node configuration is not available",
    2015: "Requested partition configuration not available now",
    2016: "Requested nodes are busy",
    2017: "Invalid job id specified",
    2018: "Invalid node name specified",
    2020: "Job can not be altered now, try again later",
    2021: "Job/step already completing or completed",
    2023: "Task distribution specification invalid",
    2024: "Job is pending execution",
}
"""Slurm's numbers of what this scheduler says too (slurm/slurm_errno.h)."""


def show_daemons(words: list[str], options: dict[str, str]) -> int:
    """Which daemons this host should have."""
    from packhorse.cli.slurm.table import fetch

    here = os.uname().nodename
    try:
        scheduler = str(field(call("Ping", {}), "host", ""))
        hosts = {row["host_name"] for row in fetch("ListNodes", {"fields": ["host_name"]}).rows()}
    except TransportError:
        raise CommandError("scontrol: error: the scheduler does not answer") from None
    found = [name for name, there in (("slurmctld", scheduler == here), ("slurmd", here in hosts)) if there]
    sys.stdout.write(" ".join(found) + "\n")
    return 0


def show_aliases(words: list[str], options: dict[str, str]) -> int:
    """The names of the nodes on a host."""
    from packhorse.cli.slurm.table import fetch

    host = words[0] if words else os.uname().nodename
    rows = fetch("ListNodes", {"fields": ["name", "host_name"]}).rows()
    names = [row["name"] for row in rows if row["host_name"] == host]
    if not names:
        raise CommandError(f"No node is on host {host}")
    sys.stdout.write(" ".join(names) + "\n")
    return 0


def write_config(words: list[str], settings: list[dict[str, Any]]) -> int:
    """The settings in effect into a file. Names as Slurm gives them: with the time at their end."""
    from time import localtime, strftime

    stamp = strftime("%Y%m%d%H%M%S", localtime())
    path = f"{words[0] if words else 'slurm.conf'}.{stamp}"
    lines = [f"{field(item, 'key', '')}={field(item, 'value', '')}\n" for item in settings]
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write("# Settings of Packhorse in Slurm's words; packhorse.toml is what is read.\n")
            file.writelines(lines)
    except OSError as error:
        raise CommandError(f"failed to open file `{path}`: {error.strerror}") from None
    sys.stdout.write(f"Slurm config saved to {os.path.abspath(path)}\n")
    return 0


def update_partition(names: str, pairs: list[tuple[str, str, str]], words: list[str]) -> int:
    """`update PartitionName=NAME[,NAME] State=UP|DOWN|DRAIN|INACTIVE`."""
    state = ""
    for (key, _, value), word in zip(pairs, words, strict=True):
        if key in ("partitionname", "partition"):
            continue
        if key != "state":
            raise refusal(
                f"update of {word.partition('=')[0]}",
                f"change the partition in packhorse.toml, then `scontrol reconfigure` ({word})",
            )
        state = value.upper()
        if state not in ("UP", "DOWN", "DRAIN", "INACTIVE"):
            raise CommandError(
                f"Invalid input: {word}\nRequest aborted\n"
                "Acceptable State values are UP, DOWN, DRAIN, INACTIVE"
            )
    if not state:
        raise CommandError("No changes specified")
    request = {
        "names": [name for name in names.split(",") if name],
        "state": state,
        "idempotencyKey": os.urandom(16).hex(),
    }
    from packhorse.cli.slurm.scontrol_update import change

    return change("UpdatePartitions", request)
