"""The raw columns of jobs, and the fields of squeue made from them.

Instants are microseconds since the epoch, 0 where unknown; -1 marks "none" where 0 means something.
"""

from __future__ import annotations

import os

from packhorse.cli.slurm.states import COMPACT, FAILED_FOR_A_REASON
from packhorse.cli.slurm.times import stamp
from packhorse.scheduler.model.units import format_elapsed, format_mem_mib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from packhorse.cli.slurm.table import Table

    Column = Callable[[Table], Sequence[str]]
    JobField = tuple[str, Column, tuple[str, ...]]
    """(header, the texts of every row, raw columns needed)."""

JOB_COLUMNS = {
    "job_id": "int",
    "array_job_id": "int",  # 0: not of an array
    "array_task_id": "int",  # -1: not an element with a number of its own
    "array_pending": "text",  # "4-7%2": the waiting remainder of an array as one row, "" otherwise
    "array_limit": "int",  # elements that may run at once, 0: all
    "name": "text",
    "user": "text",
    "uid": "int",
    "group": "text",
    "gid": "int",
    "account": "text",
    "partition": "text",
    "qos": "text",
    "state": "text",  # Slurm's long word
    "reason": "text",  # Slurm's word or phrase, "None" where there is nothing to say
    "reason_text": "text",  # whole sentences with names and figures, "" where there is nothing to say
    "priority": "int",
    "nice": "int",
    "submit_at": "int",
    "eligible_at": "int",
    "begin_at": "int",  # not before
    "start_at": "int",  # of the current or last run
    "end_at": "int",  # 0 while not ended
    "planned_start_at": "int",
    "estimated_start_at": "int",  # median; 0: nobody can say
    "estimated_low_at": "int",  # 8 of 10 start between these two
    "estimated_high_at": "int",
    "time_limit_s": "int",  # 0: none
    "restarts": "int",
    "requeue": "int",
    "exit_code": "int",
    "exit_signal": "int",
    "dependency": "text",  # "afterok:4(failed)", "" for none
    "n_nodes": "int",
    "max_nodes": "int",  # as asked, 0: as many as it takes
    "n_cpus": "int",
    "n_tasks": "int",
    "cpus_per_task": "int",
    "min_cpus": "int",  # per node, at least 1
    "tasks_per_node": "int",  # 0: not set
    "nodes": "text",  # host list, "" while waiting
    "req_nodes": "text",
    "exc_nodes": "text",
    "batch_host": "text",
    "mem_mib_per_node": "int",  # 0: not set
    "mem_mib_per_cpu": "int",  # 0: not set
    "tmp_mib": "int",
    "gres": "text",  # as asked per node: "gpu:1"
    "gres_per_job": "text",
    "gres_per_task": "text",
    "gres_detail": "text",  # devices granted: "gpu:1(IDX:0)"
    "features": "text",
    "exclusive": "int",
    "contiguous": "int",
    "lending": "text",  # "expected=1200M,lent=3000M,to=7", "" for nothing
    "topology": "text",  # "hops=0,spread,linked", "" for no wish
    "isolation": "text",  # of the batch host: "cgroup1:memory,cpu", "" where unknown
    "deadline_at": "int",  # 0 for none
    "gang": "text",  # "pair:2, 1 of 2 here", "" for none
    "retry": "text",  # "3,backoff=30s,tried=1", "" for none
    "oom_retry": "text",  # "2x,max=16,tried=1", "" for none
    "right_sized": "text",  # what --right-size changed and why, "" for nothing
    "gpus_idle_since": "int",  # of a running job that was warned of it, 0 otherwise
    "gpus_stop_at": "int",  # when it is stopped for that, 0: never
    "preempt_eligible_at": "int",  # from when on it may have to make room, 0: never
    "preempted_at": "int",  # when it was last told to, 0: never
    "preempted_why": "text",  # "made room for job 17 of QOS high (ann)", "" for never
    "checkpoint": "text",  # "USR1@60": the signal it gets then, "" for none
    "suspended_at": "int",  # since when it is suspended, 0: it is not
    "suspended_s": "int",  # for how long it has been, in this run
    "quarantine": "text",  # why decisions about it failed, "" if it is not quarantined
    "cron": "text",  # when its line of a crontab is due, "" if it is of none
    "licenses": "text",
    "reservation": "text",  # that it names, or runs in
    "work_dir": "text",
    "std_in": "text",  # pattern as submitted; "" for the default
    "std_out": "text",
    "std_err": "text",
    "command": "text",  # path of the script, "" for --wrap and standard input
    "comment": "text",
    "mail": "text",  # "END,TIME_LIMIT_90", "" for none
    "mail_user": "text",
    "wckey": "text",
    "submit_host": "text",
    "alloc_tres": "text",  # "cpu=2,mem=1000M,node=1,billing=2,gres/gpu=1", "" while waiting
    "req_tres": "text",
    "cpus_per_node": "text",  # "4(x2),2" in the order of nodes, "" while waiting
    "mem_per_node": "text",  # MiB, same form
    "submit_line": "text",
}


def _text(name: str, empty: str = "(null)") -> Column:
    """The column as it is, `empty` in place of nothing."""
    return lambda table: [value or empty for value in table.texts(name)]


def _plain(name: str) -> Column:
    return lambda table: table.texts(name)


def _number(name: str) -> Column:
    return lambda table: [str(value) for value in table.ints(name)]


def _always(text: str) -> Column:
    return lambda table: [text] * table.n


def _stamps(name: str) -> Column:
    return lambda table: _each(_stamp, table.seconds(name))


def _stamp(seconds: int) -> str:
    return stamp(seconds) if seconds else "N/A"


def _each(text: Callable[[int], str], values: list[int]) -> list[str]:
    """The texts of the values. In a long list most are there many times, and each is put into words once."""
    texts = {value: text(value) for value in set(values)}
    return [texts[value] for value in values]


def job_ids(table: Table) -> list[str]:
    """`12`, `9_3`, and `9_[4-7%2]` for what waits of an array."""
    ids = []
    for job_id, array_id, index, pending in zip(
        table.ints("job_id"),
        table.ints("array_job_id"),
        table.ints("array_task_id"),
        table.texts("array_pending"),
        strict=True,
    ):
        if pending:
            ids.append(f"{array_id or job_id}_[{short_indices(pending)}]")
        elif index >= 0:
            ids.append(f"{array_id}_{index}")
        else:
            ids.append(str(job_id))
    return ids


def short_indices(text: str) -> str:
    """Indexes of an array, cut after SLURM_BITSTR_LEN characters (64 where it is not set, 0: never), as
    Slurm does.
    """
    if len(text) <= 64 and "SLURM_BITSTR_LEN" not in os.environ:
        return text
    given = os.environ.get("SLURM_BITSTR_LEN", "")
    limit = int(given) if given.isdecimal() else 64
    if not limit or len(text) <= limit:
        return text
    return text[: max(text.rfind(",", 0, limit - 3), 0) + 1] + "..."


def _array_ids(table: Table) -> list[str]:
    return [
        str(array_id or job_id)
        for job_id, array_id in zip(table.ints("job_id"), table.ints("array_job_id"), strict=True)
    ]


def _array_tasks(table: Table) -> list[str]:
    return [
        short_indices(pending) if pending else (str(index) if index >= 0 else "N/A")
        for index, pending in zip(table.ints("array_task_id"), table.texts("array_pending"), strict=True)
    ]


def _compact_states(table: Table) -> list[str]:
    return [COMPACT.get(state, state) for state in table.texts("state")]


def _nodes_or_reason(table: Table) -> list[str]:
    return [
        f"({reason})" if state in FAILED_FOR_A_REASON else nodes
        for state, nodes, reason in zip(
            table.texts("state"), table.texts("nodes"), table.texts("reason"), strict=True
        )
    ]


def used_seconds(table: Table) -> list[int]:
    """How long each job has run, or ran, not counting the time in which it was suspended."""
    now = table.now_s
    return [
        0 if state == "PENDING" or not start else max((end or now) - start - suspended, 0)
        for state, start, end, suspended in zip(
            table.texts("state"),
            table.seconds("start_at"),
            table.seconds("end_at"),
            table.ints("suspended_s"),
            strict=True,
        )
    ]


def _used(table: Table) -> list[str]:
    return _each(format_elapsed, used_seconds(table))


def _limits(table: Table) -> list[str]:
    return _each(lambda limit: format_elapsed(limit) if limit else "UNLIMITED", table.ints("time_limit_s"))


def _left(table: Table) -> list[str]:
    return [
        "UNLIMITED" if not limit else format_elapsed(limit - used) if limit >= used else "INVALID"
        for limit, used in zip(table.ints("time_limit_s"), used_seconds(table), strict=True)
    ]


def start_seconds(table: Table) -> list[int]:
    """When each job started, or is expected to: by estimate, else its planned start, else its begin time.
    0: not known."""
    now = table.now_s
    return [
        (estimated or planned or (begin if begin > now else 0)) if state == "PENDING" else start
        for state, start, estimated, planned, begin in zip(
            table.texts("state"),
            table.seconds("start_at"),
            table.seconds("estimated_start_at"),
            table.seconds("planned_start_at"),
            table.seconds("begin_at"),
            strict=True,
        )
    ]


def _starts(table: Table) -> list[str]:
    return _each(_stamp, start_seconds(table))


def end_seconds(table: Table) -> list[int]:
    """When each job ended, or is to be over at the latest. 0: not known."""
    return [
        end or (start + limit + suspended if start and limit else 0)
        for end, start, limit, suspended in zip(
            table.seconds("end_at"),
            start_seconds(table),
            table.ints("time_limit_s"),
            table.ints("suspended_s"),
            strict=True,
        )
    ]


def _ends(table: Table) -> list[str]:
    return _each(_stamp, end_seconds(table))


def _waited(table: Table) -> list[str]:
    now = table.now_s
    return [
        str(max((start or end or now) - submit, 0))
        for submit, start, end in zip(
            table.seconds("submit_at"), table.seconds("start_at"), table.seconds("end_at"), strict=True
        )
    ]


def _memory(table: Table) -> list[str]:
    return [
        format_mem_mib(per_node or per_cpu)
        for per_node, per_cpu in zip(
            table.ints("mem_mib_per_node"), table.ints("mem_mib_per_cpu"), strict=True
        )
    ]


def _fractions(table: Table) -> list[str]:
    return [f"{priority / 4294967295:.14f}" for priority in table.ints("priority")]


def _sharing(table: Table) -> list[str]:
    return ["NO" if exclusive else "OK" for exclusive in table.ints("exclusive")]


def _wait_status(table: Table) -> list[str]:
    return [
        str(code << 8 | number)
        for code, number in zip(table.ints("exit_code"), table.ints("exit_signal"), strict=True)
    ]


def _tres(table: Table) -> list[str]:
    return [
        alloc or req for alloc, req in zip(table.texts("alloc_tres"), table.texts("req_tres"), strict=True)
    ]


def _devices(name: str) -> Column:
    return lambda table: [
        ",".join(["gres:" + part for part in value.split(",")]) if value else "N/A"
        for value in table.texts(name)
    ]


def _tmp(table: Table) -> list[str]:
    return [format_mem_mib(mib) for mib in table.ints("tmp_mib")]


def _paths(name: str) -> Column:
    def column(table: Table) -> list[str]:
        from packhorse.scheduler.model.jobfile import job_file

        return [job_file(row, name) for row in table.rows()]

    return column


ARRAY_COLUMNS = ("job_id", "array_job_id", "array_task_id", "array_pending")
_RUN = ("state", "start_at", "end_at", "suspended_s")
_EXPECTED = ("state", "start_at", "estimated_start_at", "planned_start_at", "begin_at")
_FILES = (*ARRAY_COLUMNS, "std_in", "std_out", "std_err", "work_dir", "name", "user", "batch_host")

# One line per field: header, column, what it needs.
_ACCOUNT: JobField = ("ACCOUNT", _text("account"), ("account",))
_JOBID: JobField = ("JOBID", _number("job_id"), ("job_id",))
_NAMED_ID: JobField = ("JOBID", job_ids, ARRAY_COLUMNS)
_HOST: JobField = ("EXEC_HOST", _text("batch_host", "n/a"), ("batch_host",))
_CPUS: JobField = ("CPUS", _number("n_cpus"), ("n_cpus",))
_NODES: JobField = ("NODES", _number("n_nodes"), ("n_nodes",))
_PARTITION: JobField = ("PARTITION", _plain("partition"), ("partition",))
_NAME: JobField = ("NAME", _plain("name"), ("name",))
_USER: JobField = ("USER", _plain("user"), ("user",))
_STATE: JobField = ("STATE", _plain("state"), ("state",))
_ST: JobField = ("ST", _compact_states, ("state",))
_TIME: JobField = ("TIME", _used, _RUN)
_TIME_LIMIT: JobField = ("TIME_LIMIT", _limits, ("time_limit_s",))
_TIME_LEFT: JobField = ("TIME_LEFT", _left, ("time_limit_s", *_RUN))
_START: JobField = ("START_TIME", _starts, _EXPECTED)
_END: JobField = ("END_TIME", _ends, ("end_at", "time_limit_s", "suspended_s", *_EXPECTED))
_SUBMIT: JobField = ("SUBMIT_TIME", _stamps("submit_at"), ("submit_at",))
_REASON: JobField = ("REASON", _plain("reason"), ("reason",))
_WHERE: JobField = ("NODELIST(REASON)", _nodes_or_reason, ("state", "nodes", "reason"))
_NODELIST: JobField = ("NODELIST", _plain("nodes"), ("nodes",))
_PRIORITY: JobField = ("PRIORITY", _fractions, ("priority",))
_PRIORITY_LONG: JobField = ("PRIORITY", _number("priority"), ("priority",))
_TASK_ID: JobField = ("ARRAY_TASK_ID", _array_tasks, ("array_task_id", "array_pending"))
_ARRAY_ID: JobField = ("ARRAY_JOB_ID", _array_ids, ("job_id", "array_job_id"))
_MEMORY: JobField = ("MIN_MEMORY", _memory, ("mem_mib_per_node", "mem_mib_per_cpu"))
_TMP: JobField = ("MIN_TMP_DISK", _tmp, ("tmp_mib",))
_MIN_CPUS: JobField = ("MIN_CPUS", _number("min_cpus"), ("min_cpus",))
_DEPENDENCY: JobField = ("DEPENDENCY", _text("dependency"), ("dependency",))
_FEATURES: JobField = ("FEATURES", _text("features"), ("features",))
_GROUP: JobField = ("GROUP", _plain("group"), ("group",))
_GID: JobField = ("GROUP", _number("gid"), ("gid",))
_UID: JobField = ("UID", _number("uid"), ("uid",))
_SHARE: JobField = ("OVER_SUBSCRIBE", _sharing, ("exclusive",))
_COMMENT: JobField = ("COMMENT", _text("comment"), ("comment",))
_COMMAND: JobField = ("COMMAND", _text("command"), ("command",))
_CONTIGUOUS: JobField = ("CONTIGUOUS", _number("contiguous"), ("contiguous",))
_QOS: JobField = ("QOS", _text("qos"), ("qos",))
_LICENSES: JobField = ("LICENSES", _text("licenses"), ("licenses",))
_REQ_NODES: JobField = ("REQ_NODES", _plain("req_nodes"), ("req_nodes",))
_EXC_NODES: JobField = ("EXC_NODES", _plain("exc_nodes"), ("exc_nodes",))
_SCHEDNODES: JobField = ("SCHEDNODES", _always("(null)"), ())
_NICE: JobField = ("NICE", _number("nice"), ("nice",))
_WORK_DIR: JobField = ("WORK_DIR", _plain("work_dir"), ("work_dir",))
_TRES_NODE: JobField = ("TRES_PER_NODE", _devices("gres"), ("gres",))
_RESERVATION: JobField = ("RESERVATION", _text("reservation"), ("reservation",))
_WCKEY: JobField = ("WCKEY", _always("(null)"), ())
_CORE_SPEC: JobField = ("CORE_SPEC", _always("N/A"), ())
_SOCKETS: JobField = ("SOCKETS_PER_NODE", _always("*"), ())
_CORES: JobField = ("CORES_PER_SOCKET", _always("*"), ())
_THREADS: JobField = ("THREADS_PER_CORE", _always("*"), ())
_SCT: JobField = ("S:C:T", _always("*:*:*"), ())
_TRES: JobField = ("TRES_ALLOC", _tres, ("alloc_tres", "req_tres"))

NEVER_CUT = frozenset(("TIME", "TIME_LIMIT", "TIME_LEFT", "SCHEDNODES", "EXC_NODES"))
"""Headers of fields that squeue prints in full however narrow they were asked for."""

LETTERS: dict[str, JobField] = {
    "A": _JOBID,
    "a": _ACCOUNT,
    "B": _HOST,
    "b": _TRES_NODE,
    "C": _CPUS,
    "c": _MIN_CPUS,
    "D": _NODES,
    "d": _TMP,
    "E": _DEPENDENCY,
    "e": _END,
    "F": _ARRAY_ID,
    "f": _FEATURES,
    "G": _GID,
    "g": _GROUP,
    "H": _SOCKETS,
    "h": _SHARE,
    "I": _CORES,
    "i": _NAMED_ID,
    "J": _THREADS,
    "j": _NAME,
    "K": _TASK_ID,
    "k": _COMMENT,
    "L": _TIME_LEFT,
    "l": _TIME_LIMIT,
    "M": _TIME,
    "m": _MEMORY,
    "N": _NODELIST,
    "n": _REQ_NODES,
    "O": _CONTIGUOUS,
    "o": _COMMAND,
    "P": _PARTITION,
    "p": _PRIORITY,
    "Q": _PRIORITY_LONG,
    "q": _QOS,
    "R": _WHERE,
    "r": _REASON,
    "S": _START,
    "T": _STATE,
    "t": _ST,
    "U": _UID,
    "u": _USER,
    "V": _SUBMIT,
    "v": _RESERVATION,
    "W": _LICENSES,
    "w": _WCKEY,
    "X": _CORE_SPEC,
    "x": _EXC_NODES,
    "Y": _SCHEDNODES,
    "y": _NICE,
    "Z": _WORK_DIR,
    "z": _SCT,
}
"""`squeue -o`."""


def names() -> dict[str, JobField]:
    """`squeue -O`, by lower-case name. Those of what does not exist here say so as Slurm does."""
    fields: dict[str, JobField] = {
        "account": _ACCOUNT,
        "accruetime": ("ACCRUE_TIME", _stamps("eligible_at"), ("eligible_at",)),
        "allocnodes": ("ALLOC_NODES", _plain("submit_host"), ("submit_host",)),
        "arrayjobid": _ARRAY_ID,
        "arraytaskid": _TASK_ID,
        "batchflag": ("BATCH_FLAG", _always("1"), ()),
        "batchhost": _HOST,
        "command": _COMMAND,
        "comment": _COMMENT,
        "contiguous": _CONTIGUOUS,
        "cores": _CORES,
        "corespec": _CORE_SPEC,
        "cpus-per-task": ("CPUS_PER_TASK", _number("cpus_per_task"), ("cpus_per_task",)),
        "dependency": _DEPENDENCY,
        "derivedec": ("DERIVED_EC", _always("0"), ()),
        "eligibletime": ("ELIGIBLE_TIME", _stamps("eligible_at"), ("eligible_at",)),
        "endtime": _END,
        "exc_nodes": _EXC_NODES,
        "exit_code": ("EXIT_CODE", _wait_status, ("exit_code", "exit_signal")),
        "feature": _FEATURES,
        "gres": _TRES_NODE,
        "groupid": _GID,
        "groupname": _GROUP,
        "jobarrayid": _NAMED_ID,
        "jobid": _JOBID,
        "lastschedeval": ("LAST_SCHED_EVAL", _always("N/A"), ()),
        "licenses": _LICENSES,
        "maxnodes": ("MAX_NODES", _number("max_nodes"), ("max_nodes",)),
        "mincpus": _MIN_CPUS,
        "minmemory": _MEMORY,
        "mintmpdisk": _TMP,
        "name": _NAME,
        "nice": _NICE,
        "nodelist": _NODELIST,
        "ntpernode": ("NTASKS_PER_NODE", _number("tasks_per_node"), ("tasks_per_node",)),
        "numcpus": _CPUS,
        "numnodes": _NODES,
        "numtasks": ("TASKS", _number("n_tasks"), ("n_tasks",)),
        "oversubscribe": _SHARE,
        "partition": _PARTITION,
        "pendingtime": ("PENDING_TIME", _waited, ("submit_at", "start_at", "end_at")),
        "preempttime": ("PREEMPT_TIME", _stamps("preempted_at"), ("preempted_at",)),
        "priority": _PRIORITY,
        "prioritylong": _PRIORITY_LONG,
        "qos": _QOS,
        "reason": _REASON,
        "reasonlist": _WHERE,
        "reqnodes": _REQ_NODES,
        "requeue": ("REQUEUE", _number("requeue"), ("requeue",)),
        "reservation": _RESERVATION,
        "restartcnt": ("RESTART_COUNT", _number("restarts"), ("restarts",)),
        "schednodes": _SCHEDNODES,
        "sct": _SCT,
        "shared": _SHARE,
        "sockets": _SOCKETS,
        "startearliest": ("START_EARLIEST", _stamps("estimated_low_at"), ("estimated_low_at",)),
        "startlatest": ("START_LATEST", _stamps("estimated_high_at"), ("estimated_high_at",)),
        "starttime": _START,
        "state": _STATE,
        "statecompact": _ST,
        "stderr": ("STDERR", _paths("std_err"), _FILES),
        "stdin": ("STDIN", _paths("std_in"), _FILES),
        "stdout": ("STDOUT", _paths("std_out"), _FILES),
        "submittime": _SUBMIT,
        "threads": _THREADS,
        "timeleft": _TIME_LEFT,
        "timelimit": _TIME_LIMIT,
        "timeused": _TIME,
        "tres": _TRES,
        "tres-alloc": _TRES,
        "tres-per-job": ("TRES_PER_JOB", _devices("gres_per_job"), ("gres_per_job",)),
        "tres-per-node": _TRES_NODE,
        "tres-per-task": ("TRES_PER_TASK", _devices("gres_per_task"), ("gres_per_task",)),
        "userid": _UID,
        "username": _USER,
        "wckey": _WCKEY,
        "workdir": _WORK_DIR,
    }
    for text, absent in _ABSENT.items():
        for item in absent.split(" "):
            name, _, header = item.partition("=")
            fields[name] = (header, _always(text), ())
    return fields


_ABSENT = {
    "(null)": "admin_comment=ADMIN_COMMENT burstbuffer=BURST_BUFFER burstbufferstate=BURST_BUFFER_STATE "
    "cluster=CLUSTER clusterfeature=CLUSTER_FEATURES container=CONTAINER mcslabel=MCSLABEL network=NETWORK "
    "prefer=PREFER system_comment=SYSTEM_COMMENT",
    "N/A": "cpus-per-tres=CPUS_PER_TRES deadline=DEADLINE hetjobid=HET_JOB_ID hetjobidset=HET_JOB_ID_SET "
    "hetjoboffset=HET_JOB_OFFSET mem-per-tres=MEM_PER_TRES ntpercore=NTASKS_PER_CORE "
    "ntpersocket=NTASKS_PER_SOCKET resizetime=RESIZE_TIME tres-bind=TRES_BIND "
    "tres-freq=TRES_FREQ tres-per-socket=TRES_PER_SOCKET",
    "0": "allocsid=ALLOC_SID associd=ASSOC_ID boardspernode=BOARDS_PER_NODE maxcpus=MAX_CPUS "
    "ntperboard=NTASKS_PER_BOARD reqswitch=REQ_SWITCH sperboard=SOCKETS_PER_BOARD",
    "0:00": "delayboot=DELAY_BOOT mintime=TIME_MIN",
    "NotSet": "profile=PROFILE",
    "NA": "originraw=ORIGIN_RAW siblingsactive=ACTIVE_SIBLINGS siblingsactiveraw=ACTIVE_SIBLINGS_RAW "
    "siblingsviable=VIABLE_SIBLINGS siblingsviableraw=VIALBLE_SIBLINGS_RAW",
}
