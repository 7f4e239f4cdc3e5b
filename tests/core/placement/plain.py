"""The same decisions in plain Python, one node and one job at a time: slow, short, and easy to believe.

Knows jobs on one node with CPUs, memory and GPUs of one kind, one partition, and no or one planned start
(EASY). The tests compare the real cycle with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FAR = 1 << 80


@dataclass
class PlainNode:
    name: str
    weight: int
    capacity: tuple[int, int, int]
    free: list[int] = field(default_factory=list)


@dataclass
class PlainJob:
    id: int
    need: tuple[int, int, int]
    duration: int  # 0: no limit


@dataclass
class Running:
    node: str
    need: tuple[int, int, int]
    end: int  # FAR: never


def fits(need: tuple[int, int, int], free: list[int]) -> bool:
    return all(n <= f for n, f in zip(need, free, strict=True) if n)


def score(nodes: list[PlainNode], node: PlainNode, free: list[int]) -> tuple[int, int]:
    largest = [max(max(n.capacity[r] for n in nodes), 1) for r in range(3)]
    units = (1, 1, 1000)  # GPUs count in thousandths
    return node.weight, sum((1 << 36) // (largest[r] * units[r]) * units[r] * free[r] for r in range(3))


def best(
    nodes: list[PlainNode],
    need: tuple[int, int, int],
    rooms: dict[str, list[int]],
    frees: dict[str, list[int]],
) -> PlainNode | None:
    """nodes in order of name: the first of the tightest that fit."""
    able = [n for n in nodes if fits(need, rooms[n.name])]
    return min(able, key=lambda n: score(nodes, n, frees[n.name]), default=None)


def plan(
    nodes: list[PlainNode], jobs: list[PlainJob], running: list[Running], now: int, depth: int
) -> tuple[dict[int, str], tuple[int, int] | None]:
    """Where each job goes, and which job is planned for when (only if an end is in sight)."""
    free = {n.name: list(n.free) for n in nodes}
    running = list(running)
    shadow: int | None = None
    later: dict[str, list[int]] = {}
    went: dict[int, str] = {}
    planned: tuple[int, int] | None = None
    head_seen = False
    for job in jobs:
        end = now + job.duration if job.duration else FAR + 1
        long = shadow is not None and end > shadow
        rooms = {
            name: [min(a, b) for a, b in zip(free[name], later[name], strict=True)] if long else free[name]
            for name in free
        }
        node = best(nodes, job.need, rooms, free)
        if node is not None:
            went[job.id] = node.name
            running.append(Running(node.name, job.need, min(end, FAR)))
            for r in range(3):
                free[node.name][r] -= job.need[r]
                if long:
                    later[node.name][r] -= job.need[r]
        elif not head_seen:
            head_seen = True
            if depth == 0:
                continue
            for time in sorted({max(item.end, now + 1) for item in running}):
                then = {name: list(amounts) for name, amounts in free.items()}
                for item in running:
                    if max(item.end, now + 1) <= time:
                        for r in range(3):
                            then[item.node][r] += item.need[r]
                chosen = best(nodes, job.need, then, then)
                if chosen is not None:
                    shadow, later = time, then
                    for r in range(3):
                        later[chosen.name][r] -= job.need[r]
                    if time < FAR:
                        planned = (job.id, time)
                    break
    return went, planned
