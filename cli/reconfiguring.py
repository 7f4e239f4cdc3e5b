"""What a scheduler answers when it is to read its configuration again, as text."""

from __future__ import annotations

from packhorse.cli.transport import call, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read_again(dry_run: bool = False) -> dict[str, Any]:
    """The answer. Raises CallError, TransportError."""
    return call("Reconfigure", {"dryRun": dry_run} if dry_run else {})


def lines(answer: dict[str, Any]) -> list[str]:
    """One line for each change, and what became of them."""
    changes = field(answer, "changes", [])
    if not changes:
        return ["the configuration file says what is in force"]
    later = sum(bool(field(change, "restart", False)) for change in changes)
    found = [_line(change) for change in changes]
    n = len(changes) - later
    if not field(answer, "applied", False):
        found.append(
            f"{n} would take effect at once, {later} at the next start of the scheduler; nothing was done"
        )
    elif later:
        found.append(f"{n} took effect, {later} will at the next start of the scheduler")
    return found


def _line(change: dict[str, Any]) -> str:
    old, new = field(change, "old", "") or '""', field(change, "new", "") or '""'
    after = " (at the next start of the scheduler)" if field(change, "restart", False) else ""
    return f"{field(change, 'key', '')}: {old} -> {new}{after}"
