"""Several nodes for one job, all or nothing: which nodes, and how many tasks on each.

As few nodes as hold the tasks. Where a number of nodes was asked for, tasks are dealt out evenly, as Slurm's
block distribution does with `-N 2 -n 4` (2 and 2); otherwise the roomiest nodes are filled one after the
other and the last one is the tightest that holds the rest. Of a range `-N 2-4` the least that suffices is
taken (Slurm takes as many as it can get at once). A job that wants to be spread gets as many nodes as it may
have, the emptiest ones. One whose nodes must be near each other gets them below one switch or rack, the
fullest that holds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.board import emptiest_first
from packhorse.scheduler.core.packing.layout import Shape
from packhorse.scheduler.model.resources import is_slice

_MOST_TRIES: Final = 64
"""Choices of several groups for one job, each of which has room enough by numbers alone."""


class Share(NamedTuple):
    """What one node takes: tasks, and its part of the devices that were asked for per job."""

    position: int
    tasks: int
    devices: dict[str, int]


def choose(
    shape: Shape,
    caps: np.ndarray,
    spare: Mapping[str, np.ndarray],
    score: np.ndarray,
    required: list[int],
    most: int,
    groups: np.ndarray | None = None,
    counts: Sequence[tuple[np.ndarray, int]] = (),
    most_groups: int = 1,
) -> list[Share] | None:
    """Nodes by position with their tasks, or None if it does not fit now.

    caps: tasks that fit on each node, 0 where it may not be used (`[n_nodes]`). spare: devices that each
    could give to the whole job, by resource. required: positions that must take part, -1 for a node that does
    not exist. most: at most that many nodes. groups: all nodes of the job must be of at most most_groups of
    these, `[n_nodes]`, -1 for a node that is of none and cannot take part; rather of fewer. counts: masks of
    nodes, and how many of the job's must be of each.
    """
    if groups is not None:
        for near in _together(shape, caps, groups, most_groups, required):
            shares = choose(shape, near, spare, score, required, most, counts=counts)
            if shares is not None:
                return shares
        return None
    if counts:
        for preferred in (score, -caps):  # the tightest; where those hold too little, the roomiest
            members = _enough_of_each(caps, preferred, required, counts)
            shares = choose(shape, caps, spare, score, members, most)
            if shares is not None:
                return shares
        return None
    if any(position < 0 or caps[position] == 0 for position in required):
        return None
    candidates = np.flatnonzero(caps)
    if candidates.size < shape.lo or shape.lo > most:
        return None
    if shape.contiguous:
        return _neighbours(shape, caps, spare, score, required, min(most, candidates.size))
    forced = np.zeros(caps.shape[0], dtype=np.bool_)
    forced[required] = True
    if shape.spread:
        order = candidates[np.lexsort((emptiest_first(score[candidates]), ~forced[candidates]))]
        k = min(shape.hi, most, order.size)
        if int(caps[order[:k]].sum()) >= shape.tasks:
            shares = _deal(shape, order, k, caps, spare, score, forced)
            if shares is not None:
                return shares
    least, limit = max(shape.lo, len(required)), min(most, candidates.size)
    sized = []
    for order in _orders(shape, caps, spare, score, forced, candidates, limit):
        amounts = [(spare[name][order], n) for name, n in shape.job_devices]
        k = _how_many(shape, caps[order], amounts, required)
        if k <= limit:
            sized.append((k, order))
        if k == least:
            break  # no other order can need fewer
    sized.sort(key=lambda item: item[0])  # stable: the preferred order among those of equal size
    for k, order in sized:
        shares = _deal(shape, order, k, caps, spare, score, forced)
        if shares is not None:
            return shares
    return None


def _enough_of_each(
    caps: np.ndarray, score: np.ndarray, required: list[int], counts: Sequence[tuple[np.ndarray, int]]
) -> list[int]:
    """The required nodes and, of each mask, as many as are still missing, those with the lowest score that
    can take a task; -1 among them where there are not enough. The scarcest mask chooses first."""
    chosen = list(required)
    for mask, n in sorted(counts, key=lambda item: int((item[0] & (caps > 0)).sum())):
        able = mask & (caps > 0)
        able[[p for p in chosen if p >= 0]] = False
        missing = n - sum(bool(mask[p]) for p in chosen if p >= 0)
        found = np.flatnonzero(able)
        found = found[np.argsort(score[found], kind="stable")][: max(missing, 0)]
        chosen += found.tolist()
        if missing > found.size:
            chosen.append(-1)  # one tells enough: the count is whatever somebody wrote
    return chosen


def _together(
    shape: Shape, caps: np.ndarray, groups: np.ndarray, most: int, required: list[int]
) -> Iterator[np.ndarray]:
    """The caps within one group, then within two, and so on: the roomiest ones and, to complete them, each
    other one in turn that makes it enough, the one with the least room first; not without a group of which a
    node is required, and of several groups only so many choices."""
    yield from _fullest_first(shape, caps, groups)
    if most < 2:
        return
    known = groups >= 0
    n = int(groups.max(initial=-1)) + 1
    tasks = np.bincount(groups[known], weights=caps[known], minlength=n)
    nodes = np.bincount(groups[known], weights=caps[known] > 0, minlength=n)
    roomiest = np.argsort(-tasks, kind="stable")
    roomiest = roomiest[tasks[roomiest] > 0]
    musts = np.unique(groups[[position for position in required if position >= 0]])
    tries = _MOST_TRIES
    for k in range(2, min(most, roomiest.size) + 1):
        base = roomiest[: k - 1]
        rest = roomiest[k - 1 :]
        able = tasks[base].sum() + tasks[rest] >= shape.tasks
        able &= nodes[base].sum() + nodes[rest] >= shape.lo
        missing = np.setdiff1d(musts, base)
        if missing.size:
            able &= (rest == missing[0]) & (missing.size == 1)
        of_base = np.isin(groups, base)
        for last in rest[able][::-1][:tries].tolist():
            yield np.where(of_base | (groups == last), caps, 0)
        tries -= min(int(able.sum()), tries)


def _fullest_first(shape: Shape, caps: np.ndarray, groups: np.ndarray) -> Iterator[np.ndarray]:
    """The caps within one group at a time, of groups that may hold the job, the one with the least room
    first."""
    known = groups >= 0
    n = int(groups.max(initial=-1)) + 1
    tasks = np.bincount(groups[known], weights=caps[known], minlength=n)
    nodes = np.bincount(groups[known], weights=caps[known] > 0, minlength=n)
    able = np.flatnonzero((tasks >= shape.tasks) & (nodes >= shape.lo))
    for group in able[np.argsort(tasks[able], kind="stable")].tolist():
        yield np.where(groups == group, caps, 0)


def _orders(
    shape: Shape,
    caps: np.ndarray,
    spare: Mapping[str, np.ndarray],
    score: np.ndarray,
    forced: np.ndarray,
    candidates: np.ndarray,
    limit: int,
) -> Iterator[np.ndarray]:
    """Preferences among the candidates, best first; the later ones only find what the first cannot.

    Where tasks are dealt out evenly, only the first `limit` of each.
    """
    last = ~forced[candidates]
    tight = score[candidates]
    cap = caps[candidates]
    if shape.even:
        short = cap < -(-shape.tasks // shape.lo)
        if not forced.any() and not short.any():
            yield candidates[_tightest(tight, limit)]
        else:
            yield candidates[np.lexsort((tight, short, last))[:limit]]
    else:
        limit = candidates.size
    yield candidates[np.lexsort((tight, -cap, last))[:limit]]
    for amounts in spare.values():
        yield candidates[np.lexsort((tight, -amounts[candidates], last))[:limit]]


def _tightest(score: np.ndarray, n: int) -> np.ndarray:
    """Indices of the n lowest, ascending, equal ones in order: as argsort has them, the rest unsorted."""
    if 4 * n > score.size:
        return np.argsort(score, kind="stable")[:n]
    some = np.flatnonzero(score <= np.partition(score, n - 1)[n - 1])
    return some[np.argsort(score[some], kind="stable")[:n]]


def _how_many(
    shape: Shape, caps: np.ndarray, spare: list[tuple[np.ndarray, int]], required: list[int]
) -> int:
    """Least number of nodes from the front that holds the tasks and the devices per job."""
    k = max(shape.lo, len(required), int(np.searchsorted(np.cumsum(caps), shape.tasks)) + 1)
    for amounts, n in spare:
        k = max(k, int(np.searchsorted(np.cumsum(amounts), n)) + 1)
    return k


def _deal(
    shape: Shape,
    order: np.ndarray,
    k: int,
    caps: np.ndarray,
    spare: Mapping[str, np.ndarray],
    score: np.ndarray,
    forced: np.ndarray,
) -> list[Share] | None:
    """Tasks and devices on the first k nodes of the order; None if the devices do not come out."""
    chosen = order[:k]
    if not shape.even and k > 1 and not forced[chosen[-1]] and not spare:
        rest = shape.tasks - int(caps[chosen[:-1]].sum())
        others = order[k - 1 :]
        fitting = others[caps[others] >= rest]
        chosen = np.concatenate([chosen[:-1], fitting[np.argmin(score[fitting])][None]])
    if shape.even or spare:
        chosen = np.sort(chosen)
        tasks = level(shape.tasks, caps[chosen].tolist())
    else:
        tasks = []
        rest = shape.tasks
        for i, cap in enumerate(caps[chosen].tolist()):
            given = min(cap, rest - (k - 1 - i))
            tasks.append(given)
            rest -= given
    parts = _deal_devices(shape, chosen.tolist(), tasks, spare) if spare else [{} for _ in range(k)]
    if parts is None:
        return None
    shares = [Share(p, t, d) for p, t, d in zip(chosen.tolist(), tasks, parts, strict=True)]
    shares.sort(key=lambda share: share.position)
    return shares


def _deal_devices(
    shape: Shape, chosen: list[int], tasks: list[int], spare: Mapping[str, np.ndarray]
) -> list[dict[str, int]] | None:
    """Devices per job on the chosen nodes, as evenly as there are any; None if there are too few."""
    per_task = dict(shape.gres_task)
    left = {
        name: [
            max(int(amounts[p]) - per_task.get(name, 0) * t, 0) for p, t in zip(chosen, tasks, strict=True)
        ]
        for name, amounts in spare.items()
    }
    parts: list[dict[str, int]] = [{} for _ in chosen]
    for kind, type_, n, *_ in shape.gres_job:
        name = f"{kind}:{type_}" if type_ else kind
        names = (name,) if is_slice(type_) else tuple(dict.fromkeys((name, kind)))
        caps = [min(amounts) for amounts in zip(*(left[each] for each in names), strict=True)]
        if sum(caps) < n:
            return None
        for i, given in enumerate(level(n, caps)):
            left[names[-1]][i] -= given
            for resource in names if given else ():
                parts[i][resource] = parts[i].get(resource, 0) + given
    return parts


def _neighbours(
    shape: Shape,
    caps: np.ndarray,
    spare: Mapping[str, np.ndarray],
    score: np.ndarray,
    required: list[int],
    most: int,
) -> list[Share] | None:
    """The same on nodes that follow each other by name, tightest window first."""
    forced = np.zeros(caps.shape[0], dtype=np.bool_)
    forced[required] = True
    sums = np.concatenate([[0], np.cumsum(caps)])
    holes = np.concatenate([[0], np.cumsum(caps == 0)])
    musts = np.concatenate([[0], np.cumsum(forced)])
    for k in range(shape.lo, most + 1):
        if caps.size < k:
            break
        good = (sums[k:] - sums[:-k] >= shape.tasks) & (holes[k:] == holes[:-k])
        good &= musts[k:] - musts[:-k] == len(required)
        starts = np.flatnonzero(good)
        if starts.size == 0:
            continue
        totals = np.concatenate([[0.0], np.cumsum(score.astype(np.float64))])
        for start in starts[np.argsort((totals[k:] - totals[:-k])[starts], kind="stable")].tolist():
            window = np.arange(start, start + k)
            if any(int(spare[name][window].sum()) < n for name, n in shape.job_devices):
                continue
            shares = _deal(shape, window, k, caps, spare, score, np.ones_like(forced))
            if shares is not None:
                return shares
    return None


def level(total: int, caps: list[int]) -> list[int]:
    """total dealt out as evenly as the caps allow; where it does not come out even, the first get one more.

    The caps sum up to at least total. Every part is at least 1 if there are no more parts than total.
    """
    low, high = 0, max(caps, default=0)
    while low < high:  # the highest level that does not need more than total
        middle = (low + high + 1) // 2
        if sum(min(cap, middle) for cap in caps) <= total:
            low = middle
        else:
            high = middle - 1
    out = [min(cap, low) for cap in caps]
    rest = total - sum(out)
    for i, cap in enumerate(caps):
        if rest and cap > low:
            out[i] += 1
            rest -= 1
    return out
