"""Who may use a reservation, and which running job has no business on its nodes."""

from __future__ import annotations

from collections.abc import Iterable

from packhorse.scheduler.core.accounts.book import AccountBook
from packhorse.scheduler.model.accounts import Holder
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.reservation import Reservation


def may_use(r: Reservation, holder: Holder, book: AccountBook) -> bool:
    """Whether jobs on this name may: by user (or one of its groups), by account (or one above it) and by QOS,
    each where the reservation names any."""
    users = (*r.users, *r.group_users)
    if (users or r.groups) and not (users and _passes(users, (holder.user,))):
        return False  # of groups without members, nobody
    accounts = [key.account for key in book.chain(holder)] or [holder.account]
    return _passes(r.accounts, (holder.account, *accounts)) and _passes(r.qos, (holder.qos,))


def _passes(listed: tuple[str, ...], names: Iterable[str]) -> bool:
    """Whether one of these names is on the list; on one of names that may not ("-bob"), whether none is."""
    if not listed:
        return True
    wanted = [name for name in listed if not name.startswith("-")]
    barred = [name[1:] for name in listed if name.startswith("-")]
    found = set(names)
    if found.intersection(barred):
        return False
    return not wanted or bool(found.intersection(wanted))


def intrudes(active: Active, limit_s: int, r: Reservation, inside: Reservation | None) -> bool:
    """Whether a running job stands, by its time limit, in a window of nodes that are set aside whole, and has
    no right to. What was granted before the reservation became what it is may go on; one that is suspended
    does not run.

    inside: the reservation that the job runs in. The whole of what a job may do to others' reservations is
    here, so that checks need nothing else: it reads the job and the reservation alone.
    """
    if not r.whole or active.granted_at <= r.created_at or active.ending is not None:
        return False
    if active.suspended_at:
        return False
    if inside is not None and (inside.name == r.name or inside.ignores(r)):
        return False
    end = active.granted_at + limit_s * US + active.suspended_us if limit_s else None
    if inside is not None and inside.bound:
        end = inside.end_at if end is None else min(end, inside.end_at)
    if active.granted_at >= r.end_at or (end is not None and end <= r.start_at):
        return False
    nodes = set(r.nodes)
    return any(p.node in nodes for p in active.placements)
