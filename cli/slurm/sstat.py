"""sstat: what the steps of running jobs use now.

A job named without a step means all its steps, the batch script among them (which Slurm would leave out).
"""

from __future__ import annotations

import os
import sys

from packhorse.cli.slurm.fields_accounting import ACCOUNTING_COLUMNS, FIELDS, Units, is_step
from packhorse.cli.slurm.jobids import JobIdError, job_ref, split_ids, split_step
from packhorse.cli.slurm.options import (
    HARMLESS,
    NONE,
    NOT_YET,
    REQUIRED,
    USED,
    Parser,
    print_version,
    take_server,
)
from packhorse.cli.slurm.process import CommandError, run
from packhorse.cli.slurm.sacct import chosen_fields, help_text, printed
from packhorse.cli.slurm.table import fetch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from packhorse.cli.slurm.fields_accounting import Value

    Row = dict[str, Any]

PROG = "sstat"

TABLE: dict[str, tuple[str, int, str]] = {
    "allsteps": ("a", NONE, HARMLESS),
    "fields": ("o", REQUIRED, USED),
    "format": ("o", REQUIRED, USED),
    "help": ("h", NONE, USED),
    "helpformat": ("e", NONE, USED),
    "jobs": ("j", REQUIRED, USED),
    "noconvert": ("", NONE, USED),
    "noheader": ("n", NONE, USED),
    "parsable": ("p", NONE, USED),
    "parsable2": ("P", NONE, USED),
    "pidformat": ("i", NONE, NOT_YET),
    "server": ("", REQUIRED, USED),
    "usage": ("", NONE, USED),
    "verbose": ("v", NONE, HARMLESS),
    "version": ("V", NONE, USED),
}

PARSER = Parser(PROG, TABLE, hint=False)


def _clock(row: Row, units: Units) -> str:
    """`00:00:00`, `00:05.000`, `01:00:05`, `1-02:00:00`: whole seconds, in the form of this command alone; ""
    for not measured.
    """
    cpu_us = max(row["user_cpu_us"], 0) + max(row["system_cpu_us"], 0)
    if not cpu_us and row["max_rss_kib"] < 0:
        return ""
    seconds = cpu_us // 1_000_000
    days, rest = divmod(seconds, 86_400)
    if not seconds or rest >= 3600 or days:
        clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
        return f"{days}-{clock}" if days else clock
    return f"{rest // 60:02d}:{rest % 60:02d}.000"


_NAMES = (
    "AveCPU", "AveCPUFreq", "AveDiskRead", "AveDiskWrite", "AvePages", "AveRSS", "AveVMSize",
    "ConsumedEnergy", "ConsumedEnergyRaw", "JobID", "MaxDiskRead", "MaxDiskReadNode", "MaxDiskReadTask",
    "MaxDiskWrite", "MaxDiskWriteNode", "MaxDiskWriteTask", "MaxPages", "MaxPagesNode", "MaxPagesTask",
    "MaxRSS", "MaxRSSNode", "MaxRSSTask", "MaxVMSize", "MaxVMSizeNode", "MaxVMSizeTask", "MinCPU",
    "MinCPUNode", "MinCPUTask", "NodeList", "NTasks", "ReqCPUFreq", "ReqCPUFreqMin", "ReqCPUFreqMax",
    "ReqCPUFreqGov", "TRESUsageInAve", "TRESUsageInMax", "TRESUsageInMaxNode", "TRESUsageInMaxTask",
    "TRESUsageInMin", "TRESUsageInMinNode", "TRESUsageInMinTask", "TRESUsageInTot", "TRESUsageOutAve",
    "TRESUsageOutMax", "TRESUsageOutMaxNode", "TRESUsageOutMaxTask", "TRESUsageOutMin",
    "TRESUsageOutMinNode", "TRESUsageOutMinTask", "TRESUsageOutTot",
)  # fmt: skip

STAT_FIELDS: dict[str, tuple[int, Value]] = {
    **{name: FIELDS[name] for name in _NAMES},
    "AveCPU": (10, _clock),
    "MinCPU": (10, _clock),
}
"""As in sacct, but for the form of processor times."""

DEFAULT = (
    "JobID,MaxVMSize,MaxVMSizeNode,MaxVMSizeTask,AveVMSize,MaxRSS,MaxRSSNode,MaxRSSTask,AveRSS,MaxPages,"
    "MaxPagesNode,MaxPagesTask,AvePages,MinCPU,MinCPUNode,MinCPUTask,AveCPU,NTasks,AveCPUFreq,ReqCPUFreqMin,"
    "ReqCPUFreqMax,ReqCPUFreqGov,ConsumedEnergy,MaxDiskRead,MaxDiskReadNode,MaxDiskReadTask,AveDiskRead,"
    "MaxDiskWrite,MaxDiskWriteNode,MaxDiskWriteTask,AveDiskWrite,TRESUsageInAve,TRESUsageInMax,"
    "TRESUsageInMaxNode,TRESUsageInMaxTask,TRESUsageInMin,TRESUsageInMinNode,TRESUsageInMinTask,"
    "TRESUsageInTot,TRESUsageOutAve,TRESUsageOutMax,TRESUsageOutMaxNode,TRESUsageOutMaxTask,TRESUsageOutMin,"
    "TRESUsageOutMinNode,TRESUsageOutMinTask,TRESUsageOutTot"
)


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `sstat WORDS`."""
    found, arguments = PARSER.parse(words)
    for name, _ in found:
        if name == "version":
            print_version()
            return 0
        if name in ("help", "usage"):
            from packhorse.cli.slurm import usage

            usage.show(PROG, name)
            return 0
        if name == "helpformat":
            sys.stdout.write(help_text(STAT_FIELDS))
            return 0
    PARSER.refuse_unsupported(found)
    take_server(found)
    options = dict(found)
    names = split_ids(",".join([value for name, value in found if name == "jobs"] + arguments[:1]))
    if not names:
        raise CommandError(f"{PROG}: error: You didn't give me any jobs to stat.")
    fields = ",".join([value for name, value in found if name in ("format", "fields")])
    columns = chosen_fields(PROG, fields or os.environ.get("SSTAT_FORMAT") or DEFAULT, STAT_FIELDS)
    rows, missing, now_us = _steps(names)
    units = Units(now_us, "", "noconvert" not in options)
    texts = [[STAT_FIELDS[name][1](row, units) for name, _ in columns] for row in rows]
    sys.stdout.write(printed(columns, texts, options))
    if missing:
        raise CommandError("\n".join([f"{PROG}: error: no steps running for job {name}" for name in missing]))
    return 0


def _steps(names: list[str]) -> tuple[list[Row], list[str], int]:
    """(rows of running steps in the order asked for, what has none, the scheduler's time)."""
    refs: dict[str, Any] = {}
    for name in names:
        job, step = split_step(name)
        try:
            refs.setdefault(job, job_ref(job))
        except JobIdError:
            raise CommandError(f"{PROG}: fatal: Bad job/step specified: {name}") from None
    table = fetch("ListAccounting", {"fields": list(ACCOUNTING_COLUMNS), "jobs": list(refs.values())})
    running = [row for row in table.rows() if is_step(row) and not row["end_at"]]
    rows: list[Row] = []
    missing: list[str] = []
    for name in names:
        job, step = split_step(name)
        own = [row for row in running if step in ("", row["step"]) and job in _names(row)]
        rows += [row for row in own if row not in rows]
        if not own:
            missing.append(name)
    return rows, missing, table.now_us


def _names(row: Row) -> list[str]:
    """What people may call the row's job."""
    names = [str(row["job_id"])]
    if row["array_task_id"] >= 0:
        names += [f"{row['array_job_id']}_{row['array_task_id']}", str(row["array_job_id"])]
    return names


if __name__ == "__main__":
    sys.exit(main())
