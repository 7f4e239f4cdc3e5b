"""Calls about reservations, as structs of `messages`, to inputs. Who is in a group is looked up here, since
the core knows no groups."""

from __future__ import annotations

import grp
import pwd

from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.ids import Instant, NodeName
from packhorse.scheduler.model.input import CreateReservation, DeleteReservation, UpdateReservation
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.model.reservation import ListChange, ReservationWish
from packhorse.scheduler.service import bounds, messages
from packhorse.scheduler.service.bounds import MAX_DURATION_S, text, whole
from packhorse.scheduler.service.convert import caller, features, instant, licenses

DAY_S = 86_400
MAX_NAMES = 10_000
"""Of one list."""


def create(request: messages.CreateReservationRequest, owner: Owner, admin: bool) -> CreateReservation:
    """Raises BadValue."""
    return CreateReservation(caller(owner, admin, request), _wish(request.wish))


def update(request: messages.UpdateReservationRequest, owner: Owner, admin: bool) -> UpdateReservation:
    """Raises BadValue."""
    made = _wish(request.wish)
    if not made.name:
        raise BadValue("name: missing; it says which reservation")
    return UpdateReservation(caller(owner, admin, request), made)


def delete(request: messages.DeleteReservationRequest, owner: Owner, admin: bool) -> DeleteReservation:
    """Raises BadValue."""
    return DeleteReservation(caller(owner, admin, request), text("name", request.name, bounds.MAX_NAME))


def _wish(given: messages.ReservationWish | None) -> ReservationWish:
    if given is None:
        raise BadValue("wish: missing; it says what is asked for")
    groups, users = _names("groups", given.groups), _names("users", given.users)
    return ReservationWish(
        text("name", given.name, bounds.MAX_NAME),
        _instant("start_at_us", given.start_at_us),
        _instant("end_at_us", given.end_at_us),
        None if given.duration_s is None else whole("duration_s", given.duration_s, -1, MAX_DURATION_S),
        _names("nodes", given.nodes),
        tuple([whole("node_counts", n, 1, bounds.MAX_NODES) for n in given.node_counts]),
        tuple([whole("core_counts", n, 1, bounds.MAX_TASKS) for n in given.core_counts]),
        None if given.cpus is None else whole("cpus", given.cpus, 1, bounds.MAX_TASKS),
        _text("partition", given.partition),
        None if given.features is None else features(given.features),
        users,
        _names("accounts", given.accounts),
        groups,
        members(groups.names) if groups is not None else (),
        _names("qos", given.qos),
        None if given.licenses is None else licenses(given.licenses),
        _names("flags", given.flags),
        None
        if given.purge_after_s is None
        else whole("purge_after_s", given.purge_after_s, 0, MAX_DURATION_S),
        None if given.comment is None else text("comment", given.comment, bounds.MAX_LINE),
        whole("utc_offset_s", given.utc_offset_s, -DAY_S, DAY_S),
        strangers(users.names) if users is not None and users.sign != "-" else (),
    )


def strangers(users: tuple[str, ...]) -> tuple[str, ...]:
    """Those whom this host does not know, without the minus that shuts somebody out."""
    return tuple([name for name in (user.removeprefix("-") for user in users) if not _is_known(name)])


def _is_known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def members(groups: tuple[str, ...]) -> tuple[str, ...]:
    """Users of these groups of this host, those whose own group it is among them. Raises BadValue for a group
    that is not there."""
    found: dict[str, None] = {}
    for name in groups:
        try:
            group = grp.getgrnam(name.removeprefix("-"))
        except KeyError:
            raise BadValue(f'groups: "{name}" is no group of this host') from None
        own = [user.pw_name for user in pwd.getpwall() if user.pw_gid == group.gr_gid]
        sign = "-" if name.startswith("-") else ""
        found.update(dict.fromkeys(sign + user for user in (*group.gr_mem, *own)))
    return tuple(sorted(found))


def _instant(name: str, micros: int | None) -> Instant | None:
    return None if micros is None else instant(name, micros)


def _text(name: str, value: str | None) -> str | None:
    return None if value is None else text(name, value, bounds.MAX_NAME)


def _names(name: str, change: messages.NameChange | None) -> ListChange | None:
    if change is None:
        return None
    if change.sign not in ("", "+", "-"):
        raise BadValue(f'{name}: sign "{change.sign}"; "+" adds, "-" takes away, none replaces')
    if len(change.names) > MAX_NAMES:
        raise BadValue(f"{name}: {len(change.names)} names, at most {MAX_NAMES}")
    found = tuple(NodeName(text(name, one, bounds.MAX_NAME)) for one in change.names if one)
    return ListChange(found, change.sign)
