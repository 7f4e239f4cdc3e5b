"""How long an attempt ran and waited, of a row of accounting; one reading for tables and JSON."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Row = dict[str, Any]

_US = 1_000_000


def elapsed_s(row: Row, now_us: int) -> int:
    """How long it has run, not counting the time in which it was suspended."""
    if not row["start_at"]:
        return 0
    end = row["end_at"] or now_us
    return int(max(end // _US - row["start_at"] // _US - row["suspended_s"], 0))


def planned_s(row: Row, now_us: int) -> int:
    """How long it waited once nothing but resources was in its way."""
    if not row["eligible_at"]:
        return 0
    start = row["start_at"] or row["end_at"] or now_us
    return int(max(start // _US - row["eligible_at"] // _US, 0))
