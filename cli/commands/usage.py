"""`packhorse usage JOB`: what a job used over time, as a chart for a terminal or as CSV."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from packhorse.cli import transport
from packhorse.cli.jobrefs import parse_job_ref
from packhorse.cli.slurm.table import Table
from packhorse.cli.transport import field, int_field
from packhorse.scheduler.model.errors import BadValue

WIDTH, HEIGHT = 72, 6
LABEL = 10
"""Characters before the chart."""

_BLOCKS = " ▁▂▃▄▅▆▇█"

_NUMBERS = ("at_us", "cpu_ms", "mem_kib", "cache_kib", "busy_milli", "gpu_mem_mib", "flops_milli")


class Chart(NamedTuple):
    """One curve. values: None where not known; top: the upper edge, at least. mark: what the top is."""

    title: str
    values: Sequence[float | None]
    top: float
    mark: str
    label: Callable[[float], str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which job, and how it is shown."""
    parser.add_argument("job", metavar="JOB", help="a job id, as in 17, or an array task, as in 17_3")
    parser.add_argument("--attempt", type=int, default=0, metavar="N", help="of a requeued job (the newest)")
    parser.add_argument("--csv", action="store_true", help="the figures, a line for each point in time")


def run(args: argparse.Namespace) -> int:
    if args.attempt < 0:
        raise BadValue(f"--attempt {args.attempt}: attempts are counted from 1")
    ref = parse_job_ref(args.job)
    answer = transport.call("GetJobUsage", {"job": ref, "attempt": args.attempt})
    points = Table(field(answer, "points", {}))
    if args.json:
        print(json.dumps(answer))
        return 0
    if args.csv:
        print(csv(points), end="")
        return 0
    if not points.n:
        print(f"job {args.job}: nothing is kept of its use over time (too short, too old, or it never ran)")
        return 1
    print(page(args.job, answer, points, _given(ref, int_field(answer, "attempt"))))
    return 0


def csv(points: Table) -> str:
    """All columns; empty where a figure is not known."""
    lines = ["time,cpu_s,memory_kib,cache_kib,gpu_busy,gpu_memory_mib,gpu_flops_share"]
    for row in points.rows():
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(row["at_us"] // 1_000_000))
        gpu = [
            "" if row[name] < 0 else text.format(row[name] / scale)
            for name, scale, text in (
                ("busy_milli", 1000, "{:.3f}"),
                ("gpu_mem_mib", 1, "{:.0f}"),
                ("flops_milli", 1000, "{:.3f}"),
            )
        ]
        lines.append(f"{at},{row['cpu_ms'] / 1000:.3f},{row['mem_kib']},{row['cache_kib']},{','.join(gpu)}")
    return "\n".join(lines) + "\n"


def page(name: str, answer: dict[str, Any], points: Table, given: tuple[int, int]) -> str:
    """The charts. given: MiB of memory and CPUs that the attempt was given on its node, 0: not known."""
    at = points.seconds("at_us")
    step_s = int_field(answer, "step_s")
    state = "running" if field(answer, "running", False) else "ended"
    n = f"{points.n} point{'s' * (points.n != 1)}"
    head = (
        f"job {name}, attempt {int_field(answer, 'attempt')} ({state}): {n} over "
        f"{_duration(at[-1] - at[0])}, each of {_duration(max(step_s, 1))} or more"
    )
    lines = [head]
    for chart in charts(points, *given):
        lines += ["", *drawn(chart, at)]
    return "\n".join(lines)


def charts(points: Table, mem_mib: int, n_cpus: int) -> list[Chart]:
    """Memory and processors of every job, GPUs of those of which something is known."""
    memory = [kib / 1024 for kib in points.ints("mem_kib")]
    found = [
        Chart("memory", memory, mem_mib, "limit" if mem_mib else "", _mib),
        Chart("CPUs busy", _cpus(points), n_cpus, "given" if n_cpus else "", "{:.2f}".format),
    ]
    for title, name, scale, top, label in (
        ("GPUs busy", "busy_milli", 10, 100.0, "{:.0f}%".format),
        ("GPU FLOPS of the peak", "flops_milli", 10, 100.0, "{:.0f}%".format),
        ("GPU memory", "gpu_mem_mib", 1, 0.0, _mib),
    ):
        values = points.ints(name)
        if max(values) >= 0:
            known = [value / scale if value >= 0 else None for value in values]
            found.append(Chart(title, known, top, "", label))
    return found


def _cpus(points: Table) -> list[float | None]:
    """Processors busy on the mean between one point and the next."""
    at, used = points.ints("at_us"), points.ints("cpu_ms")
    rates: list[float | None] = [None]
    for row in range(1, points.n):
        span_us = at[row] - at[row - 1]
        rates.append((used[row] - used[row - 1]) * 1000 / span_us if span_us else rates[-1])
    return rates


def drawn(chart: Chart, at: Sequence[int]) -> list[str]:
    """Title, HEIGHT lines of blocks, and the axis of time."""
    columns = spread(chart.values, at, WIDTH)
    known = [value for value in columns if value is not None]
    most = max(known, default=None)
    top = max(chart.top, most or 0.0) or 1.0
    mark = f", {chart.mark} {chart.label(chart.top)}" if chart.mark else ""
    lines = [f"{chart.title}: now {_text(chart, chart.values[-1])}, most {_text(chart, most)}{mark}"]
    for line in range(HEIGHT, 0, -1):
        label = chart.label(top * line / HEIGHT) if line in (HEIGHT, HEIGHT // 2) else ""
        cells = "".join([_block(value, top, line) for value in columns])
        lines.append(f"{label:>{LABEL}} │{cells}".rstrip())
    lines.append(f"{'':>{LABEL}} └{'─' * WIDTH}")
    first, last = (time.strftime("%d %b %H:%M:%S", time.localtime(at[end])) for end in (0, -1))
    lines.append(f"{'':>{LABEL}}  {first}{last:>{WIDTH - len(first)}}")
    return lines


def spread(values: Sequence[float | None], at: Sequence[int], width: int) -> list[float | None]:
    """One value for each of `width` equal stretches of time: the highest in it, else the one before."""
    columns: list[float | None] = [None] * width
    span = max(at[-1] - at[0], 1)
    for value, when in zip(values, at, strict=True):
        column = min((when - at[0]) * width // span, width - 1)
        before = columns[column]
        if value is not None and (before is None or value > before):
            columns[column] = value
    for column in range(1, width):
        if columns[column] is None:
            columns[column] = columns[column - 1]
    return columns


def _block(value: float | None, top: float, line: int) -> str:
    if value is None:
        return " "
    eighths = round(8 * (value / top * HEIGHT - (line - 1)))
    return _BLOCKS[max(0, min(8, eighths))]


def _text(chart: Chart, value: float | None) -> str:
    return "unknown" if value is None else chart.label(value)


def _mib(mib: float) -> str:
    return f"{mib / 1024:.1f}G" if mib >= 1024 else f"{mib:.0f}M"


def _duration(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds} s"


def _given(ref: dict[str, Any], attempt: int) -> tuple[int, int]:
    """MiB and CPUs on the attempt's first node."""
    fields = ["attempt", "row_kind", "mem_mib", "n_nodes", "alloc_cpus"]
    table = Table(transport.call("ListAccounting", {"jobs": [ref], "fields": fields, "duplicates": True}))
    for row in table.rows():
        if row["row_kind"] == "job" and row["attempt"] == attempt:
            n_nodes = max(row["n_nodes"], 1)
            return row["mem_mib"] // n_nodes, -(-row["alloc_cpus"] // n_nodes)
    return 0, 0
