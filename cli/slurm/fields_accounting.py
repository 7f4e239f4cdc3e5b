"""The raw columns of accounting, and the fields of sacct made from them.

A row is one attempt of a job, or a step of one (row_kind). Instants are microseconds since the epoch, 0
where unknown; a measurement that was not made is -1.
"""

from __future__ import annotations

from packhorse.cli.slurm.times import stamp
from packhorse.scheduler.model import rowtimes
from packhorse.scheduler.model.units import format_clock, format_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Row = dict[str, Any]
    Value = Callable[[Row, "Units"], str]

ACCOUNTING_COLUMNS = {
    "row_kind": "text",  # job, step
    "step": "text",  # of step rows: "batch", "0" ...
    "job_id": "int",
    "array_job_id": "int",  # 0: not of an array
    "array_task_id": "int",  # -1: not an element with a number of its own
    "array_pending": "text",  # the waiting remainder of an array as one row
    "name": "text",
    "user": "text",
    "uid": "int",
    "group": "text",
    "gid": "int",
    "account": "text",
    "partition": "text",
    "qos": "text",
    "cluster": "text",
    "state": "text",  # Slurm's long word; REQUEUED for an attempt that was run again
    "reason": "text",
    "cancelled_by": "int",  # uid, -1: nobody
    "exit_code": "int",
    "exit_signal": "int",
    "derived_exit_code": "int",
    "derived_exit_signal": "int",
    "submit_at": "int",
    "eligible_at": "int",
    "start_at": "int",
    "end_at": "int",
    "suspended_s": "int",
    "time_limit_s": "int",  # 0: none
    "priority": "int",
    "restarts": "int",
    "n_nodes": "int",
    "req_nodes": "int",  # how many were asked for
    "alloc_cpus": "int",
    "req_cpus": "int",
    "n_tasks": "int",
    "nodes": "text",
    "alloc_tres": "text",
    "req_tres": "text",
    "user_cpu_us": "int",
    "system_cpu_us": "int",
    "max_rss_kib": "int",
    "max_rss_node": "text",
    "ave_rss_kib": "int",
    "max_vm_kib": "int",
    "ave_vm_kib": "int",
    "disk_read_bytes": "int",
    "disk_write_bytes": "int",
    "max_cache_kib": "int",
    "oom_kills": "int",
    "gpu_ms": "int",  # in which its GPUs were measured
    "gpu_busy_ms": "int",
    "gpu_max_mem_mib": "int",
    "gpu_energy_mj": "int",
    "gpu_gflop": "int",
    "gpu_peak_gflop": "int",
    "attempt": "int",
    "mem_mib": "int",  # it was given, all nodes together
    "features": "text",
    "comment": "text",
    "wckey": "text",
    "reservation": "text",
    "work_dir": "text",
    "submit_line": "text",
    "layout": "text",  # of steps: how the tasks lay
}


class Units:
    """How amounts are shown (--units, --noconvert), and the scheduler's time, to which running jobs count."""

    __slots__ = ("as_unit", "convert", "now_us")

    def __init__(self, now_us: int, as_unit: str = "", convert: bool = True) -> None:
        self.now_us = now_us
        self.as_unit = as_unit
        self.convert = convert


def is_step(row: Row) -> bool:
    """Whether the row is a step's."""
    return bool(row["row_kind"] == "step")


def job_name(row: Row) -> str:
    """`12`, `9_3`, `9_[4-7]`, with the step after a dot."""
    if row["array_pending"]:
        name = f"{row['array_job_id'] or row['job_id']}_[{row['array_pending']}]"
    elif row["array_task_id"] >= 0:
        name = f"{row['array_job_id']}_{row['array_task_id']}"
    else:
        name = str(row["job_id"])
    return f"{name}.{row['step']}" if is_step(row) else name


def elapsed_s(row: Row, units: Units) -> int:
    """How long it has run."""
    return rowtimes.elapsed_s(row, units.now_us)


def planned_s(row: Row, units: Units) -> int:
    """How long it waited once nothing but resources was in its way."""
    return rowtimes.planned_s(row, units.now_us)


def cpu_text(micros: int) -> str:
    """`00:00.013`, `00:01:40`, `1-02:00:00`: the shorter, the finer."""
    if micros < 0:
        return ""
    seconds, rest = divmod(micros, 1_000_000)
    if seconds >= 3600:
        return format_clock(seconds)
    if rest // 1000:
        return f"{seconds // 60:02d}:{seconds % 60:02d}.{rest // 1000:03d}"
    return f"00:{seconds // 60:02d}:{seconds % 60:02d}"


def state_text(row: Row) -> str:
    """`CANCELLED by 1000` on the row of a job that somebody cancelled."""
    if row["state"] == "CANCELLED" and row["cancelled_by"] >= 0 and not is_step(row):
        return f"CANCELLED by {row['cancelled_by']}"
    return str(row["state"])


def sorted_tres(text: str) -> str:
    """Accounting lists resources by name."""
    return ",".join(sorted(text.split(","))) if text else ""


def asked_mem(row: Row, units: Units) -> str:
    """The memory asked for, all nodes together."""
    for part in row["req_tres"].split(","):
        name, _, amount = part.partition("=")
        if name == "mem":
            if not units.as_unit and units.convert:
                return str(amount)
            from packhorse.scheduler.model.units import parse_mem_mib

            return format_size(parse_mem_mib(amount), "M", as_unit=units.as_unit, convert=units.convert)
    return ""


def _of_job(value: Value) -> Value:
    """Blank on the rows of steps."""
    return lambda row, units: "" if is_step(row) else value(row, units)


def _of_step(value: Value) -> Value:
    """Blank on the rows of jobs."""
    return lambda row, units: value(row, units) if is_step(row) else ""


def _raw(name: str) -> Value:
    return lambda row, units: str(row[name])


def _instant(name: str) -> Value:
    return lambda row, units: stamp(row[name] // 1_000_000) if row[name] else "Unknown"


def _pair(code: str, signal: str) -> Value:
    return lambda row, units: f"{row[code]}:{row[signal]}"


def _kib(name: str) -> Value:
    def value(row: Row, units: Units) -> str:
        amount = row[name]
        return "" if amount < 0 else format_size(amount, "K", as_unit=units.as_unit, convert=units.convert)

    return _of_step(value)


def _bytes(name: str) -> Value:
    """Slurm shows disk amounts in MiB with two places, whatever --units says only where it is given."""

    def value(row: Row, units: Units) -> str:
        amount = row[name]
        return "" if amount < 0 else format_size(amount / 1048576, "M", as_unit=units.as_unit, exact=False)

    return _of_step(value)


def _where(amount: str, value: Value) -> Value:
    """Where an extreme was seen; blank if it was not measured."""
    return _of_step(lambda row, units: value(row, units) if row[amount] >= 0 else "")


def _always(text: str) -> Value:
    return lambda row, units: text


def _both(job: str, step: str) -> Value:
    return lambda row, units: step if is_step(row) else job


_NOTHING = _always("")


def _average_cpu(row: Row, units: Units) -> str:
    total = max(row["user_cpu_us"], 0) + max(row["system_cpu_us"], 0)
    if row["user_cpu_us"] < 0 and row["system_cpu_us"] < 0:
        return ""
    return format_clock(total // 1_000_000 // max(row["n_tasks"], 1))


def _total_cpu(row: Row, units: Units) -> str:
    if row["user_cpu_us"] < 0 and row["system_cpu_us"] < 0:
        return ""
    return cpu_text(max(row["user_cpu_us"], 0) + max(row["system_cpu_us"], 0))


def _limit_minutes(row: Row, units: Units) -> str:
    return str(-(-row["time_limit_s"] // 60)) if row["time_limit_s"] else "UNLIMITED"


_CPU_SECONDS: Value = lambda row, units: str(elapsed_s(row, units) * row["alloc_cpus"])  # noqa: E731
_WAIT_CPU_SECONDS: Value = lambda row, units: str(planned_s(row, units) * row["req_cpus"])  # noqa: E731


def _joules(row: Row) -> int:
    """Energy of its GPUs; 0 where nothing tells, as in Slurm."""
    return int(max(row["gpu_energy_mj"], 0) // 1000)


def _energy(row: Row, units: Units) -> str:
    return format_size(_joules(row), "", as_unit=units.as_unit, exact=False, convert=units.convert)


def _used_in(row: Row, units: Units) -> dict[str, str]:
    """What a step's one task used, by resource, as far as it was measured."""
    found: dict[str, str] = {}
    if row["user_cpu_us"] >= 0 or row["system_cpu_us"] >= 0:
        found["cpu"] = _average_cpu(row, units)
    if row["max_rss_kib"] < 0:
        return found
    found["energy"] = str(_joules(row))
    if row["disk_read_bytes"] >= 0:
        found["fs/disk"] = str(row["disk_read_bytes"])
    if row["gpu_max_mem_mib"] >= 0:
        found["gres/gpumem"] = f"{row['gpu_max_mem_mib']}M"
    if row["gpu_busy_ms"] >= 0:
        found["gres/gpuutil"] = str(round(100 * row["gpu_busy_ms"] / max(row["gpu_ms"], 1)))
    found["mem"] = f"{row['max_rss_kib']}K"
    if row["max_vm_kib"] >= 0:
        found["vmem"] = f"{row['max_vm_kib']}K"
    return found


def _used_out(row: Row, units: Units) -> dict[str, str]:
    """What left it."""
    return {"fs/disk": str(row["disk_write_bytes"])} if row["disk_write_bytes"] >= 0 else {}


def _tres(used: Callable[[Row, Units], dict[str, str]], value: Value | None = None) -> Value:
    """`cpu=00:00:01,mem=2000K`: the amounts, or for each resource what `value` says."""

    def text(row: Row, units: Units) -> str:
        amounts = used(row, units)
        return ",".join([f"{name}={value(row, units) if value else amounts[name]}" for name in amounts])

    return _of_step(text)


_USED_IN = _tres(_used_in)
_USED_IN_WHERE = _tres(_used_in, _raw("max_rss_node"))
_USED_IN_TASK = _tres(_used_in, _always("0"))
_USED_OUT = _tres(_used_out)
_USED_OUT_WHERE = _tres(_used_out, _raw("max_rss_node"))
_USED_OUT_TASK = _tres(_used_out, _always("0"))
"""Of one task the average, the least, the most and the sum are the same."""

FIELDS: dict[str, tuple[int, Value]] = {
    "Account": (10, _raw("account")),
    "AdminComment": (19, _NOTHING),
    "AllocCPUS": (10, _raw("alloc_cpus")),
    "AllocNodes": (10, _raw("n_nodes")),
    "AllocTRES": (10, lambda row, units: sorted_tres(row["alloc_tres"])),
    "AssocID": (7, _always("0")),
    "AveCPU": (10, _of_step(_average_cpu)),
    "AveCPUFreq": (10, _both("", "0")),
    "AveDiskRead": (14, _bytes("disk_read_bytes")),
    "AveDiskWrite": (14, _bytes("disk_write_bytes")),
    "AvePages": (10, _NOTHING),
    "AveRSS": (10, _kib("ave_rss_kib")),
    "AveVMSize": (10, _kib("ave_vm_kib")),
    "BlockID": (16, _NOTHING),
    "Cluster": (10, _raw("cluster")),
    "Comment": (14, _of_job(_raw("comment"))),
    "Constraints": (19, _of_job(_raw("features"))),
    "ConsumedEnergy": (14, _energy),
    "ConsumedEnergyRaw": (17, lambda row, units: str(_joules(row))),
    "Container": (19, _NOTHING),
    "CPUTime": (10, lambda row, units: format_clock(elapsed_s(row, units) * row["alloc_cpus"])),
    "CPUTimeRAW": (10, _CPU_SECONDS),
    "DBIndex": (10, _raw("job_id")),
    "DerivedExitCode": (15, _of_job(_pair("derived_exit_code", "derived_exit_signal"))),
    "Elapsed": (10, lambda row, units: format_clock(elapsed_s(row, units))),
    "ElapsedRaw": (10, lambda row, units: str(elapsed_s(row, units))),
    "Eligible": (19, _instant("eligible_at")),
    "End": (19, _instant("end_at")),
    "ExitCode": (8, _pair("exit_code", "exit_signal")),
    "Flags": (20, _NOTHING),
    "GID": (6, _of_job(_raw("gid"))),
    "Group": (9, _of_job(_raw("group"))),
    "JobID": (-12, lambda row, units: job_name(row)),
    "JobIDRaw": (
        -12,
        lambda row, units: f"{row['job_id']}.{row['step']}" if is_step(row) else str(row["job_id"]),
    ),
    "JobName": (10, _raw("name")),
    "Layout": (9, _of_step(lambda row, units: row["layout"] or "Unknown")),
    "MaxDiskRead": (12, _bytes("disk_read_bytes")),
    "MaxDiskReadNode": (15, _where("disk_read_bytes", _raw("max_rss_node"))),
    "MaxDiskReadTask": (15, _where("disk_read_bytes", _always("0"))),
    "MaxDiskWrite": (12, _bytes("disk_write_bytes")),
    "MaxDiskWriteNode": (16, _where("disk_write_bytes", _raw("max_rss_node"))),
    "MaxDiskWriteTask": (16, _where("disk_write_bytes", _always("0"))),
    "MaxPages": (8, _NOTHING),
    "MaxPagesNode": (12, _NOTHING),
    "MaxPagesTask": (14, _NOTHING),
    "MaxRSS": (10, _kib("max_rss_kib")),
    "MaxRSSNode": (10, _where("max_rss_kib", _raw("max_rss_node"))),
    "MaxRSSTask": (10, _where("max_rss_kib", _always("0"))),
    "MaxVMSize": (10, _kib("max_vm_kib")),
    "MaxVMSizeNode": (14, _where("max_vm_kib", _raw("max_rss_node"))),
    "MaxVMSizeTask": (14, _where("max_vm_kib", _always("0"))),
    "McsLabel": (10, _NOTHING),
    "MinCPU": (10, _of_step(_average_cpu)),
    "MinCPUNode": (10, _of_step(_raw("max_rss_node"))),
    "MinCPUTask": (10, _both("", "0")),
    "NCPUS": (10, _raw("alloc_cpus")),
    "NNodes": (8, _raw("n_nodes")),
    "NodeList": (15, lambda row, units: row["nodes"] or "None assigned"),
    "NTasks": (8, _of_step(_raw("n_tasks"))),
    "Partition": (10, _of_job(_raw("partition"))),
    "Planned": (10, _of_job(lambda row, units: format_clock(planned_s(row, units)))),
    "PlannedCPU": (10, _of_job(lambda row, units: format_clock(planned_s(row, units) * row["req_cpus"]))),
    "PlannedCPURAW": (13, _of_job(_WAIT_CPU_SECONDS)),
    "Priority": (10, _of_job(_raw("priority"))),
    "QOS": (10, _of_job(_raw("qos"))),
    "QOSRAW": (6, _of_job(_always("1"))),
    "Reason": (22, _of_job(_raw("reason"))),
    "ReqCPUFreq": (10, _both("Unknown", "0")),
    "ReqCPUFreqGov": (13, _both("Unknown", "0")),
    "ReqCPUFreqMax": (13, _both("Unknown", "0")),
    "ReqCPUFreqMin": (13, _both("Unknown", "0")),
    "ReqCPUS": (8, _raw("req_cpus")),
    "ReqMem": (10, _of_job(asked_mem)),
    "ReqNodes": (8, _raw("req_nodes")),
    "ReqTRES": (10, _of_job(lambda row, units: sorted_tres(row["req_tres"]))),
    "Reservation": (20, _of_job(_raw("reservation"))),
    "ReservationId": (13, _NOTHING),
    "Reserved": (10, _of_job(lambda row, units: format_clock(planned_s(row, units)))),
    "Restarts": (8, _of_job(_raw("restarts"))),
    "ResvCPU": (10, _of_job(lambda row, units: format_clock(planned_s(row, units) * row["req_cpus"]))),
    "ResvCPURAW": (10, _of_job(_WAIT_CPU_SECONDS)),
    "Start": (19, _instant("start_at")),
    "State": (10, lambda row, units: state_text(row)),
    "Submit": (19, _instant("submit_at")),
    "SubmitLine": (19, _raw("submit_line")),
    "Suspended": (10, lambda row, units: format_clock(row["suspended_s"])),
    "SystemComment": (19, _NOTHING),
    "SystemCPU": (10, lambda row, units: cpu_text(row["system_cpu_us"])),
    "Timelimit": (
        10,
        _of_job(lambda row, units: format_clock(row["time_limit_s"]) if row["time_limit_s"] else "UNLIMITED"),
    ),
    "TimelimitRaw": (12, _of_job(_limit_minutes)),
    "TotalCPU": (10, _total_cpu),
    "TRESUsageInAve": (14, _USED_IN),
    "TRESUsageInMax": (14, _USED_IN),
    "TRESUsageInMaxNode": (18, _USED_IN_WHERE),
    "TRESUsageInMaxTask": (18, _USED_IN_TASK),
    "TRESUsageInMin": (14, _USED_IN),
    "TRESUsageInMinNode": (18, _USED_IN_WHERE),
    "TRESUsageInMinTask": (18, _USED_IN_TASK),
    "TRESUsageInTot": (14, _USED_IN),
    "TRESUsageOutAve": (15, _USED_OUT),
    "TRESUsageOutMax": (15, _USED_OUT),
    "TRESUsageOutMaxNode": (19, _USED_OUT_WHERE),
    "TRESUsageOutMaxTask": (19, _USED_OUT_TASK),
    "TRESUsageOutMin": (15, _USED_OUT),
    "TRESUsageOutMinNode": (19, _USED_OUT_WHERE),
    "TRESUsageOutMinTask": (19, _USED_OUT_TASK),
    "TRESUsageOutTot": (15, _USED_OUT),
    "UID": (6, _of_job(_raw("uid"))),
    "User": (9, _of_job(_raw("user"))),
    "UserCPU": (10, lambda row, units: cpu_text(row["user_cpu_us"])),
    "WCKey": (10, _of_job(_raw("wckey"))),
    "WCKeyID": (8, _of_job(_always("0"))),
    "WorkDir": (10, _of_job(_raw("work_dir"))),
}
"""Name: (width, negative where it stands to the left; the text on a row), in the order of --helpformat."""

DEFAULT = "JobID,JobName,Partition,Account,AllocCPUS,State,ExitCode"
BRIEF = "JobID,State,ExitCode"
LONG = (
    "JobID,JobIDRaw,JobName,Partition,MaxVMSize,MaxVMSizeNode,MaxVMSizeTask,AveVMSize,MaxRSS,MaxRSSNode,MaxRSSTask,"
    "AveRSS,MaxPages,MaxPagesNode,MaxPagesTask,AvePages,MinCPU,MinCPUNode,MinCPUTask,AveCPU,NTasks,AllocCPUS,Elapsed,"
    "State,ExitCode,AveCPUFreq,ReqCPUFreqMin,ReqCPUFreqMax,ReqCPUFreqGov,ReqMem,ConsumedEnergy,MaxDiskRead,"
    "MaxDiskReadNode,MaxDiskReadTask,AveDiskRead,MaxDiskWrite,MaxDiskWriteNode,MaxDiskWriteTask,AveDiskWrite,ReqTRES,"
    "AllocTRES,TRESUsageInAve,TRESUsageInMax,TRESUsageInMaxNode,TRESUsageInMaxTask,TRESUsageInMin,TRESUsageInMinNode,"
    "TRESUsageInMinTask,TRESUsageInTot,TRESUsageOutMax,TRESUsageOutMaxNode,TRESUsageOutMaxTask,TRESUsageOutAve,"
    "TRESUsageOutTot"
)
