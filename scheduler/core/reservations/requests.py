"""Create, update and delete reservations: who may, what is filled in, what is refused and in which words."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from packhorse.scheduler.core.decision import Decision, Draft
from packhorse.scheduler.core.licenses import check_licenses
from packhorse.scheduler.core.reservations.choose import Chosen, Want, choose
from packhorse.scheduler.core.reservations.over import remove
from packhorse.scheduler.core.reservations.window import allowed_day, following, window
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounts import AdminLevel
from packhorse.scheduler.model.event import ReservationSet
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, is_node_name
from packhorse.scheduler.model.input import (
    Caller,
    CreateReservation,
    DeleteReservation,
    UpdateReservation,
)
from packhorse.scheduler.model.reply import Done, Outcome, RefusalCode, Refused
from packhorse.scheduler.model.reservation import (
    ALL_NODES,
    ANY_NODES,
    FLAGS,
    PART_NODES,
    PURGE_COMP,
    REPLACE_DOWN,
    SPEC_NODES,
    ListChange,
    Repeat,
    Reservation,
    ReservationWish,
)

INVALID: Final = "Requested reservation is invalid"
DUPLICATE: Final = "Duplicate reservation name"
IN_USE: Final = "Requested reservation is in use"
NO_USERS: Final = "Reservation request lacks users, groups or accounts"
START_TIME: Final = "Invalid start time"
ACCESS_DENIED: Final = "Access/permission denied"
PARTITION: Final = "Invalid partition name specified"
"""Slurm's phrases."""
YEAR_S: Final = 365 * 86_400
"""How long a reservation lasts whose end is not said: a year, as Slurm has it."""
PURGE_S: Final = 300
"""Slurm's, of PURGE_COMP without a time."""
NOT_HONOURED: Final = {
    "REPLACE": "nodes that jobs use are not exchanged for others; REPLACE_DOWN exchanges those that are down",
    "TIME_FLOAT": "a window does not move with the clock; say StartTime=, or Flags=DAILY to repeat it",
    "FIRST_CORES": "CPUs that are set aside are a number of each node, not certain ones",
    "USER_DEL": "only administrators and operators delete reservations",
    "LICENSE_ONLY": "say Flags=ANY_NODES",
    "SKIP": "a window that repeats is not skipped; delete the reservation",
}
"""Flags of Slurm's that are refused, and why."""
_SPELLINGS: Final = {
    "STATIC_ALLOC": "STATIC",
    "NO_HOLD_JOBS_AFTER": "NO_HOLD_JOBS_AFTER_END",
}


def create_reservation(state: State, call: CreateReservation, now: Instant) -> Decision:
    """Nodes are chosen now, and stay the same. The outcome's ref is the reservation's name."""
    draft, wish = Draft(state, now), call.wish
    name = wish.name or _made_up(state, call.caller.owner.user)
    refused: Refused | None = None
    if name in state.reservations:
        message = f'reservation "{name}" exists; `scontrol update` changes it'
        refused = Refused(RefusalCode.CONFLICT, message, DUPLICATE)
    elif not is_node_name(name):
        message = f'reservation "{name}": letters, digits, "-", "_", "." and a letter or digit first'
        refused = _invalid(message)
    elif wish.start_at is None:
        refused = _invalid("a reservation needs a start; say StartTime=", START_TIME)
    elif wish.nodes is None and not (wish.node_counts or wish.core_counts or wish.cpus or wish.licenses):
        message = "a reservation needs nodes, cores or licenses; say Nodes=, NodeCnt=, CoreCnt= or Licenses="
        refused = _invalid(message)
    refused = refused or _check_caller(state, call.caller)
    if refused is not None:
        return _answer(draft, call.caller, name, refused)
    start = Instant(wish.start_at or now)
    blank = Reservation(name, start, UNKNOWN, created_at=now, utc_offset_s=wish.utc_offset_s)
    return _answer(draft, call.caller, name, _set(draft, call.caller, blank, wish))


def update_reservation(state: State, call: UpdateReservation, now: Instant) -> Decision:
    """What is named changes; nodes are chosen anew where nodes or numbers of them are named."""
    draft, name = Draft(state, now), call.wish.name
    old = state.reservations.get(name)
    refused = _unknown(name) if old is None else _check_caller(state, call.caller)
    if old is not None and refused is None:
        refused = _set(draft, call.caller, old, call.wish)
    return _answer(draft, call.caller, name, refused)


def delete_reservation(state: State, call: DeleteReservation, now: Instant) -> Decision:
    """Not while jobs run in it."""
    draft, name = Draft(state, now), call.name
    r = state.reservations.get(name)
    refused = _unknown(name) if r is None else _check_caller(state, call.caller)
    inside = sorted(state.windows.inside.get(name, ()))
    if inside and refused is None:
        some = ", ".join(str(id) for id in inside[:3])
        more = f" and {len(inside) - 3} more" if len(inside) > 3 else ""
        message = f'reservation "{name}": jobs {some}{more} run in it; cancel them first'
        refused = Refused(RefusalCode.WRONG_STATE, message, IN_USE)
    if r is not None and refused is None:
        remove(draft, r, call.caller.owner.uid)
    return _answer(draft, call.caller, name, refused)


def _answer(draft: Draft, caller: Caller, name: str, refused: Refused | None) -> Decision:
    if refused is None:
        return draft.answer(caller, Done((Outcome(name),)))
    return draft.answer(caller, Done((Outcome(name, refused.code, refused.message, refused.slurm),)))


def _check_caller(state: State, caller: Caller) -> Refused | None:
    user = state.accounts.users.get(caller.owner.user)
    if caller.admin or (user is not None and user.admin_level is not AdminLevel.NONE):
        return None
    message = "only an administrator or an operator may change reservations"
    return Refused(RefusalCode.DENIED, message, ACCESS_DENIED)


def _unknown(name: str) -> Refused:
    message = f'reservation "{name}" does not exist; `scontrol show reservation` lists them'
    return Refused(RefusalCode.NOT_FOUND, message, INVALID)


def _made_up(state: State, user: str) -> str:
    """`root_1`, as Slurm has it."""
    n = 1
    while f"{user}_{n}" in state.reservations:
        n += 1
    return f"{user}_{n}"


def _set(draft: Draft, caller: Caller, old: Reservation, wish: ReservationWish) -> Refused | None:
    """The reservation as wished, into the draft, or why not."""
    state, now = draft.state, draft.now
    found = _flagged(old, wish)
    if not isinstance(found, Refused):
        found = _timed(found, wish, now)
    if not isinstance(found, Refused):
        found = _for_whom(state, found, wish)
    if not isinstance(found, Refused):
        found = _placed(state, old, found, wish, now)
    if isinstance(found, Refused):
        return found
    named = {SPEC_NODES, ALL_NODES, PART_NODES}.intersection(found.flags)
    if REPLACE_DOWN in found.flags and (named or found.cpu_milli):
        return _invalid("flag REPLACE_DOWN is for whole nodes that the scheduler chooses; say NodeCnt=")
    moved = (found.nodes, found.cpu_milli, found.start_at, found.end_at, found.repeat)
    if moved != (old.nodes, old.cpu_milli, old.start_at, old.end_at, old.repeat):
        found = replace(found, created_at=now)
    if found != state.reservations.get(found.name):
        draft.events.append(ReservationSet(now, found, caller.owner.uid))
    return None


def _changed(old: tuple[str, ...], change: ListChange | None) -> tuple[str, ...]:
    if change is None:
        return old
    if change.sign == "+":
        return tuple(dict.fromkeys((*old, *change.names)))
    if change.sign == "-":
        return tuple(name for name in old if name not in change.names)
    return tuple(dict.fromkeys(change.names))


def _flagged(old: Reservation, wish: ReservationWish) -> Reservation | Refused:
    """Flags, and how the window repeats."""
    if wish.flags is None:
        return old
    repeats = tuple(r.value for r in Repeat if r)
    known = [*FLAGS, *repeats]
    names = tuple(_SPELLINGS.get(name.upper(), name.upper()) for name in wish.flags.names)
    for name in names:
        if name in NOT_HONOURED:
            return _invalid(f"flag {name}: {NOT_HONOURED[name]}")
        if name not in known:
            return _invalid(f"flag {name} does not exist; choose from: {', '.join(known)}")
    now_set = _changed(
        (*old.flags, *((old.repeat.value,) if old.repeat else ())), replace(wish.flags, names=names)
    )
    if not wish.flags.sign:  # what the scheduler says itself is not taken away
        now_set += tuple(name for name in old.flags if name in (SPEC_NODES, ALL_NODES))
    repeat = [name for name in now_set if name in repeats]
    if len(repeat) > 1:
        return _invalid(f"flags {' and '.join(repeat)} exclude each other: a window repeats in one way")
    purge_after_s = old.purge_after_s
    if PURGE_COMP in now_set:
        purge_after_s = PURGE_S if purge_after_s < 0 else purge_after_s
        purge_after_s = wish.purge_after_s if wish.purge_after_s is not None else purge_after_s
    return replace(
        old,
        flags=tuple(flag for flag in FLAGS if flag in now_set),
        repeat=Repeat(repeat[0]) if repeat else Repeat.NEVER,
        purge_after_s=purge_after_s if PURGE_COMP in now_set else -1,
    )


def _timed(r: Reservation, wish: ReservationWish, now: Instant) -> Reservation | Refused:
    """Start and end. A start in the past is now, but for one that has begun and stays so."""
    start = r.start_at if wish.start_at is None else wish.start_at
    if wish.start_at is not None and start < now:
        start = now
    end = wish.end_at
    if end is None and wish.duration_s is not None:
        seconds = YEAR_S if wish.duration_s < 0 else wish.duration_s
        end = Instant(start + seconds * US)
    if end is None:
        end = r.end_at or Instant(start + YEAR_S * US)
    if end <= start or end <= now:
        return _invalid(
            "its end is not after its start, or is over; say a later EndTime or a Duration", START_TIME
        )
    step = following(replace(r, repeat=r.repeat or Repeat.DAILY), start) - start
    if r.repeat and end - start > step:
        return _invalid(
            f"its window is longer than what it repeats after ({r.repeat}); say a shorter Duration"
        )
    while not allowed_day(r.repeat, start, wish.utc_offset_s or r.utc_offset_s):
        start, end = Instant(start + 86_400 * US), Instant(end + 86_400 * US)
    return replace(r, start_at=start, end_at=end, utc_offset_s=wish.utc_offset_s or r.utc_offset_s)


def _for_whom(state: State, r: Reservation, wish: ReservationWish) -> Reservation | Refused:
    """Users, accounts, groups, QOS, and what else needs no nodes."""
    r = replace(
        r,
        users=_changed(r.users, wish.users),
        accounts=_changed(r.accounts, wish.accounts),
        groups=_changed(r.groups, wish.groups),
        group_users=_changed(r.group_users, wish.groups and ListChange(wish.group_users, wish.groups.sign)),
        qos=_changed(r.qos, wish.qos),
        licenses=r.licenses if wish.licenses is None else wish.licenses,
        partition=r.partition if wish.partition is None else wish.partition,
        features=r.features if wish.features is None else wish.features,
        comment=r.comment if wish.comment is None else wish.comment,
    )
    if not (r.users or r.accounts or r.groups or r.qos):
        message = "a reservation is for somebody; say Users=, Accounts=, Groups= or QOS="
        return Refused(RefusalCode.INVALID, message, NO_USERS)
    if r.users and r.groups:
        message = "users and groups exclude each other; say one of them"
        slurm = "Reservations can't have users and groups specified, only one or the other"
        return Refused(RefusalCode.INVALID, message, slurm)
    for name in wish.strangers:
        if name not in state.accounts.users:
            message = (
                f'user "{name}" is known neither to this host nor to the book of accounts (sacctmgr add user)'
            )
            return Refused(RefusalCode.INVALID, message, "Invalid user id")
    for name in r.accounts:
        if state.accounts.in_use and name.lstrip("-") not in state.accounts.accounts:
            message = f'account "{name.lstrip("-")}" does not exist; `sacctmgr show account` lists them'
            return Refused(
                RefusalCode.INVALID, message, "Invalid account or account/partition combination specified"
            )
    refused = check_licenses(r.licenses, state.config) if r.licenses else None
    return r if refused is None else refused


def _default_partition(state: State) -> str:
    """Where the scheduler chooses nodes if none is named, as in Slurm: not anywhere. "" without one."""
    return next((partition.name for partition in state.config.partitions if partition.is_default), "")


def _placed(
    state: State, old: Reservation, r: Reservation, wish: ReservationWish, now: Instant
) -> Reservation | Refused:
    """Nodes, where they are asked for anew or the window is another."""
    want = _want(state, old, wish)
    if isinstance(want, Refused):
        return want
    flags = set(r.flags)
    if want is None:
        if not r.nodes:
            if ANY_NODES not in flags and not old.nodes:
                return _invalid("no nodes: say Flags=ANY_NODES for a reservation of licenses alone")
            return r
        if window(r, now) == window(old, now) and r.repeat == old.repeat:
            return r
        want = Want(r.nodes, cpu_milli=r.cpu_milli)
    elif want.nodes and wish.nodes is not None:
        flags.add(SPEC_NODES)
    if PART_NODES in flags and not (r.partition and (want.all_nodes or r.nodes)):
        message = "flag PART_NODES needs a partition and Nodes=ALL"
        return Refused(RefusalCode.INVALID, message, INVALID)
    if want.all_nodes and not r.partition:
        flags.add(ALL_NODES)
    if not (want.nodes or want.all_nodes or r.partition):
        r = replace(r, partition=_default_partition(state))
    chosen = choose(state, r, want, now)
    if not isinstance(chosen, Chosen):
        return chosen
    if not chosen.nodes:
        return _invalid("there is no node to reserve")
    return replace(
        r,
        nodes=chosen.nodes,
        cpu_milli=chosen.cpu_milli,
        flags=tuple(flag for flag in FLAGS if flag in flags),
    )


def _want(state: State, old: Reservation, wish: ReservationWish) -> Want | Refused | None:
    """What nodes are asked for; None: those that there are."""
    cores = tuple(n * 1000 for n in wish.core_counts)
    if wish.cpus is not None:
        cores = (wish.cpus * 1000,)
    if any(n <= 0 for n in (*cores, *wish.node_counts)):
        return _invalid("numbers of nodes and cores are above 0")
    if wish.nodes is not None:
        if wish.nodes.names == ("ALL",):
            return Want(all_nodes=True, cpu_milli=cores)
        names = _changed(old.nodes, wish.nodes)
        if not names:
            return _invalid("a reservation keeps at least one node; delete it instead")
        return Want(tuple(sorted(names, key=_position(state))), cpu_milli=cores)  # type: ignore[arg-type]
    if wish.node_counts or cores:
        if len(cores) > 1:
            message = f"{len(cores)} core counts without names of nodes; say Nodes=, or one number in all"
            return Refused(
                RefusalCode.INVALID, message, "Core count for reservation node list is not consistent!"
            )
        return Want(counts=wish.node_counts, cpu_milli=cores)
    return None


def _position(state: State):  # type: ignore[no-untyped-def]
    known = state.node_columns.board().position
    return lambda name: known.get(name, 1 << 30)


def _invalid(message: str, slurm: str = INVALID) -> Refused:
    return Refused(RefusalCode.INVALID, message, slurm)
