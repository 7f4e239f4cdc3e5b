"""`scontrol show reservation` and `sinfo -T`."""

from __future__ import annotations

from packhorse.cli.slurm.times import stamp
from packhorse.scheduler.model.shapes.reservations import tres_text
from packhorse.scheduler.model.units import format_clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Row = dict[str, Any]

MIN_NAME_WIDTH = 9


def reservation_lines(row: Row) -> list[str]:
    """The lines of one reservation, without indentation."""
    lines = [
        (
            f"ReservationName={row['name']} StartTime={_when(row['start_at'])} "
            f"EndTime={_when(row['end_at'])} Duration={_length(row)}"
        ),
        (
            f"Nodes={_or_null(row['nodes'])} NodeCnt={row['n_nodes']} CoreCnt={row['cores']} "
            f"Features={_or_null(row['features'])} PartitionName={_or_null(row['partition'])} "
            f"Flags={row['flags']}"
        ),
        f"TRES={tres_text(row)}",
        (
            f"Users={_or_null(row['users'])} Groups={_or_null(row['groups'])} "
            f"Accounts={_or_null(row['accounts'])} Licenses={_or_null(row['licenses'])} "
            f"State={row['state']} BurstBuffer=(null) Watts=n/a"
        ),
        "MaxStartDelay=(null)",
    ]
    if row["qos"]:
        lines.append(f"QOS={row['qos']}")
    if row["comment"]:
        lines.append(f"Comment={row['comment']}")
    return lines


def reservation_table(rows: list[Row], header: bool) -> str:
    """What `sinfo -T` prints."""
    width = max([MIN_NAME_WIDTH, *[len(row["name"]) for row in rows]])
    lines = []
    if header:
        titles = ("STATE", "START_TIME", "END_TIME", "DURATION", "NODELIST")
        lines.append(_table_line(width, "RESV_NAME", titles))
    for row in rows:
        cells = (row["state"], _when(row["start_at"]), _when(row["end_at"]), _length(row), row["nodes"])
        lines.append(_table_line(width, row["name"], cells))
    return "".join(lines)


def _table_line(width: int, name: str, cells: tuple[str, ...]) -> str:
    state, start, end, duration, nodes = cells
    return f"{name:<{width}}  {state:>8}  {start:>19}  {end:>19}  {duration:>11}  {nodes}\n"


def _length(row: Row) -> str:
    return format_clock((row["end_at"] - row["start_at"]) // 1_000_000)


def _when(micros: int) -> str:
    return stamp(micros // 1_000_000)


def _or_null(text: str) -> str:
    return text or "(null)"
