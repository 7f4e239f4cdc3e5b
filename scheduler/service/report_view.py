"""What was used in a time, for `sreport`: by account and user, by size of job, by reservation, and what
became of the whole cluster.

What runs now is counted up to now. The state is read first and the store after everything in it is durable;
the attempts that were counted here are left out there, in case they ended in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_type_hints

from packhorse.scheduler.core.node_times import present_row
from packhorse.scheduler.core.reservations.times import window_row
from packhorse.scheduler.model.accounting import NodeRow, NodeState, ReservationRow
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.hostlist import HostlistError, expand
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.reservation import IGNORE_JOBS, MAINT
from packhorse.scheduler.model.tres import BILLING, CPU, NODE, Tres, is_name, make_tres, parse_tres
from packhorse.scheduler.service import messages
from packhorse.scheduler.service.accounting_view import live_rows, present
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.service.tables.table import Catalogue, ints, make_table, texts
from packhorse.scheduler.store.protocol import Lifetime, RunSum, Store, SumQuery
from packhorse.scheduler.store.report import part_us

if TYPE_CHECKING:
    import numpy as np

HOUR_US: Final = 3600 * US
MOST_HOURS: Final = 100 * 366 * 24
"""No report is longer: a hundred years."""
KINDS: Final = ("usage", "sizes", "cluster", "reservation")


class Usage(NamedTuple):
    """What one account's user used of one resource, in seconds of it (CPUs and devices in thousandths)."""

    account: str
    user: str
    wckey: str
    tres: str
    amount_s: int
    n_runs: int


class Size(NamedTuple):
    """Runs of an account that had as much of the resource."""

    account: str
    user: str
    wckey: str
    size: int
    amount_s: int
    n_runs: int


class Above(NamedTuple):
    """An account and the one above it."""

    name: str
    parent: str


class Use(NamedTuple):
    """What became of one resource, in seconds of it; amount: how much there is now. over: what waited
    beyond `planned`."""

    tres: str
    amount: int
    allocated_s: int
    down_s: int
    planned_down_s: int
    idle_s: int
    planned_s: int
    over_s: int
    reported_s: int


class Window(NamedTuple):
    """What became of a window of a reservation."""

    name: str
    nodes: str
    flags: str
    users: str
    accounts: str
    since: int
    until: int
    tres: str
    amount: int
    allocated_s: int
    total_s: int


async def get_report(engine: Engine, request: messages.GetReportRequest) -> messages.GetReportResponse:
    """The answer to a GetReportRequest. Raises CallFailed for one that makes no sense."""
    now = engine.clock.now()
    if request.kind not in KINDS:
        raise CallFailed(Code.INVALID_ARGUMENT, f'kind "{request.kind}": accepted are {", ".join(KINDS)}')
    names = tuple(request.tres or [CPU])
    for name in names:
        if not is_name(name):
            raise CallFailed(Code.INVALID_ARGUMENT, f'tres "{name}": no such resource')
    since, until = Instant(request.since_us), Instant(min(request.until_us, now))
    if request.until_us <= since or request.until_us - since > MOST_HOURS * HOUR_US:
        raise CallFailed(
            Code.INVALID_ARGUMENT, f"since {since} and until {request.until_us}: no time lies between them"
        )
    wanted = request.filter or messages.JobFilter()
    rows = live_rows(present(engine, messages.ListAccountingRequest(filter=wanted), now))
    live = [one.row for one in rows if not one.waiting and one.row.started_at]
    waiting = [one.row for one in rows if one.waiting and one.row.eligible_at]
    query = SumQuery(
        since,
        until,
        users=tuple(wanted.users),
        accounts=tuple(wanted.accounts),
        wckeys=tuple(request.wckeys),
        partitions=tuple(wanted.partitions),
        qos=tuple(wanted.qos),
        nodes=tuple(wanted.nodes),
        but_for=tuple((row.job, row.attempt) for row in live),
    )
    state = engine.state
    nodes = [present_row(node, now) for node in state.nodes.values()]
    running = [
        RunSum(row.account, row.user, row.wckey, row.reservation, row.alloc_tres, part, 1)
        for row in live
        if row.started_at < until and (not query.wckeys or row.wckey in query.wckeys)
        if (part := part_us(row.started_at, until, row.suspended_us, since, until)) is not None
    ]
    lives = [
        Lifetime(row.eligible_at, row.started_at or until, until, row.alloc_tres or row.req_tres)
        for row in (*live, *waiting)
    ]
    windows = [row for r in state.reservations.values() for row in window_row(state, r, until)]
    tree = _table([Above(a.name, a.parent) for a in state.accounts.accounts.values()], Above)
    await engine.barrier()

    def answer(store: Store) -> messages.GetReportResponse:
        if request.kind == "cluster":
            table = _cluster(store, query, names, nodes, lives, windows)
        elif request.kind == "reservation":
            table = _reservations(store, query, names, running, windows)
        else:
            sums = [*store.sums(query), *running]
            table = _usage(sums, names) if request.kind == "usage" else _sizes(sums, names[0])
        return messages.GetReportResponse(
            table=table, since_us=since, until_us=until, cluster=engine.config.name, accounts=tree
        )

    return await engine.ask(answer)


# -- by account and user -----------------------------------------------------------------------------------


def _usage(sums: Iterable[RunSum], names: Sequence[str]) -> messages.Table:
    found: dict[tuple[str, str, str, str], list[int]] = {}
    for one in sums:
        tres = dict(amounts(one.alloc_tres))
        for name in names:
            cell = found.setdefault((one.account, one.user, one.wckey, name), [0, 0])
            cell[0] += tres.get(name, 0) * one.us
            cell[1] += one.n_runs
    rows = [Usage(*key, us // US, n) for key, (us, n) in sorted(found.items())]
    return _table(rows, Usage)


def _sizes(sums: Iterable[RunSum], name: str) -> messages.Table:
    found: dict[tuple[str, str, str, int], list[int]] = {}
    for one in sums:
        amount = dict(amounts(one.alloc_tres)).get(name, 0)
        cell = found.setdefault((one.account, one.user, one.wckey, amount), [0, 0])
        cell[0] += amount * one.us
        cell[1] += one.n_runs
    rows = [Size(*key, us // US, n) for key, (us, n) in sorted(found.items())]
    return _table(rows, Size)


def amounts(text: str) -> Tres:
    """A row's TRES, without what cannot be read."""
    known = _AMOUNTS.get(text)
    if known is None:
        known = make_tres(one for part in text.split(",") if part for one in _amount(part))
        if len(_AMOUNTS) > _MOST_KNOWN:
            _AMOUNTS.clear()
        _AMOUNTS[text] = known
    return known


def _amount(part: str) -> Tres:
    try:
        return parse_tres(part)
    except BadValue:
        return ()


_AMOUNTS: dict[str, Tres] = {}
_MOST_KNOWN: Final = 100_000


# -- the whole cluster -------------------------------------------------------------------------------------


def _cluster(
    store: Store,
    query: SumQuery,
    names: Sequence[str],
    nodes: Sequence[NodeRow],
    lives: Sequence[Lifetime],
    present: Sequence[ReservationRow],
) -> messages.Table:
    since, until = query.since, query.until
    past = store.node_times(since, until)
    rows = [row for row in (*past, *nodes) if row.until > since and row.since < until]
    windows = [*store.reservation_times(since, until), *present]
    windows = [row for row in windows if {MAINT, IGNORE_JOBS}.intersection(row.flags.split(",")) == {MAINT}]
    away = [(_nodes(row.nodes), row.since, row.until) for row in windows]
    every = [*store.lifetimes(query), *lives]
    out = []
    for name in names:
        if name == NODE:
            raise CallFailed(Code.INVALID_ARGUMENT, "use of nodes is not reported: ask for cpu instead")
        out.append(_use(name, rows, away, every, since, until))
    return _table(out, Use)


def _use(
    name: str,
    rows: Sequence[NodeRow],
    away: Sequence[tuple[frozenset[str], int, int]],
    lives: Sequence[Lifetime],
    since: int,
    until: int,
) -> Use:
    """By the hour, as Slurm adds it up: what waits fills what is idle in the same hour, and no more."""
    import numpy as np

    edges = np.unique(np.append(np.arange(since - since % HOUR_US, until, HOUR_US), [since, until]))
    edges = edges[(edges >= since) & (edges <= until)]
    counted = CPU if name == BILLING else name
    total, down, planned_down, now_there = _Spans(), _Spans(), _Spans(), 0
    for row in rows:
        amount = dict(amounts(row.tres)).get(counted, 0)
        if name == BILLING:
            amount //= 1000
        total.add(row.since, row.until, amount)
        now_there += amount * (row.until >= until)
        out = sorted((a, b) for names, a, b in away if row.node in names)
        for begin, end in _overlaps(out, row.since, row.until):
            planned_down.add(begin, end, amount)
        if row.state == NodeState.DOWN:
            for begin, end in _gaps(out, row.since, row.until):
                down.add(begin, end, amount)
    used, waited = _Spans(), _Spans()
    for life in lives:
        amount = dict(amounts(life.tres)).get(name, 0)
        if amount and life.started_at:
            used.add(life.started_at, life.ended_at, amount)
        if amount:
            waited.add(life.eligible_at, life.started_at or life.ended_at, amount)
    by_hour = [spans.within(edges) for spans in (total, used, down, planned_down, waited)]
    reported, allocated, lost, planned_lost, wait = by_hour
    allocated = np.minimum(allocated, reported)
    lost = np.minimum(lost, reported - allocated)
    planned_lost = np.minimum(planned_lost, reported - allocated - lost)
    rest = reported - allocated - lost - planned_lost
    planned = np.minimum(wait, rest)
    idle = rest - planned
    parts = (allocated, lost, planned_lost, idle, planned, wait - planned, reported)
    sums = [int(part.sum()) // US for part in parts]
    return Use(name, now_there, *sums)


class _Spans:
    """Amounts that were there from one instant to another."""

    def __init__(self) -> None:
        self.begin: list[int] = []
        self.end: list[int] = []
        self.amount: list[int] = []

    def add(self, begin: int, end: int, amount: int) -> None:
        if end > begin and amount:
            self.begin.append(begin)
            self.end.append(end)
            self.amount.append(amount)

    def within(self, edges: np.ndarray) -> np.ndarray:
        """Amount times microseconds between each two edges, ascending `[n]`: `[n - 1]`, whole numbers."""
        import numpy as np

        first = edges[0]
        begin = np.clip(np.array(self.begin, dtype=np.int64), first, edges[-1]) - first
        end = np.clip(np.array(self.end, dtype=np.int64), first, edges[-1]) - first
        amount = np.array(self.amount, dtype=np.int64)
        upto = _ramp(begin, amount, edges - first) - _ramp(end, amount, edges - first)
        return np.asarray(np.diff(upto))


def _ramp(at: np.ndarray, amount: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """For each edge the sum of amount x (edge - at) over all that are before it; exact (Python integers)."""
    import numpy as np

    order = np.argsort(at, kind="stable")
    at, amount = at[order], amount[order]
    n = np.searchsorted(at, edges, side="right")
    whole = np.concatenate([[0], np.cumsum(amount)])[n].astype(object)
    moment = np.concatenate([np.zeros(1, dtype=object), np.cumsum(at.astype(object) * amount)])[n]
    return np.asarray(whole * edges.astype(object) - moment)


def _overlaps(windows: Sequence[tuple[int, int]], begin: int, end: int) -> list[tuple[int, int]]:
    """The parts of the windows (by their beginnings) within begin and end, joined."""
    out: list[tuple[int, int]] = []
    for low, high in windows:
        low, high = max(low, begin, out[-1][1] if out else begin), min(high, end)
        if high > low:
            out.append((low, high))
    return out


def _gaps(windows: Sequence[tuple[int, int]], begin: int, end: int) -> list[tuple[int, int]]:
    """What is between them."""
    out, at = [], begin
    for low, high in _overlaps(windows, begin, end):
        out.append((at, low))
        at = high
    return [*out, (at, end)]


def _nodes(text: str) -> frozenset[str]:
    try:
        return frozenset(expand(text))
    except HostlistError:
        return frozenset()


# -- reservations ------------------------------------------------------------------------------------------


def _reservations(
    store: Store,
    query: SumQuery,
    names: Sequence[str],
    running: Iterable[RunSum],
    present: Sequence[ReservationRow],
) -> messages.Table:
    """Windows that reach into the time, and what of them was used in it."""
    used: dict[tuple[str, str], int] = {}
    for one in (*store.sums(query), *running):
        if one.reservation:
            for name, amount in amounts(one.alloc_tres):
                used[one.reservation, name] = used.get((one.reservation, name), 0) + amount * one.us
    out = []
    reach = [row for row in present if row.until > query.since]
    for row in (*store.reservation_times(query.since, query.until), *reach):
        for name, count in amounts(row.tres):
            if name in names:
                span_us = row.until - row.since
                out.append(
                    Window(
                        row.name, row.nodes, row.flags, row.users, row.accounts, row.since, row.until, name,
                        count, used.get((row.name, name), 0) // US, count * span_us // US,
                    )
                )  # fmt: skip
    return _table(out, Window)


def _table(rows: Sequence[NamedTuple], kind: type) -> messages.Table:
    """Rows as columns, named like the fields."""
    catalogue: Catalogue[Sequence[NamedTuple]] = {}
    for position, (name, type_) in enumerate(get_type_hints(kind).items()):
        values = _column(position)
        catalogue[name] = texts(values) if type_ is str else ints(values)
    return make_table(catalogue, rows, list(catalogue), n_rows=len(rows), now=Instant(0))


def _column(position: int) -> Callable[[Sequence[NamedTuple]], list[Any]]:
    return lambda rows: [row[position] for row in rows]
