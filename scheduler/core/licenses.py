"""Licences: counted for the whole cluster, on no node.

A job holds its own from grant to release, once however many nodes it has.

How many there are is set in the configuration. If that was lowered under running work, fewer than none are
free until enough of it has ended.
"""

from __future__ import annotations

from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.gresspec import GresError, parse_licenses
from packhorse.scheduler.model.reply import RefusalCode, Refused

INVALID_LICENSE = "Invalid license specification"
"""Slurm's phrase."""

Wanted = tuple[tuple[str, int], ...]
"""(name, how many) of each licence that one job takes."""


class Licenses:
    """What the jobs that have an allocation hold. held: by name, those of which some are held."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: dict[str, int] = {}

    def hold(self, licenses: str) -> None:
        """A job with these licences (as in its spec) got its allocation."""
        for name, n in parse_licenses(licenses):
            self.held[name] = self.held.get(name, 0) + n

    def release(self, licenses: str) -> None:
        """A job with these licences holds nothing any more."""
        for name, n in parse_licenses(licenses):
            left = self.held[name] - n
            if left:
                self.held[name] = left
            else:
                del self.held[name]

    def free(self, config: ClusterConfig) -> dict[str, int]:
        """How many of each are free, by name; below 0 where more are held than there are now."""
        return {name: total - self.held.get(name, 0) for name, total in config.licenses}


def jobs_within(wanted: Wanted, free: dict[str, int]) -> int:
    """For how many jobs that want this the free ones suffice."""
    return min(max(free.get(name, 0), 0) // n for name, n in wanted)


def take(wanted: Wanted, jobs: int, free: dict[str, int]) -> None:
    """So many jobs take theirs; there must be enough."""
    for name, n in wanted:
        free[name] -= n * jobs


class Supply:
    """Licences as one cycle gives them out to classes of jobs.

    short: codes of the classes that want more of one than is left.
    """

    __slots__ = ("_free", "_licensed", "_wanting", "short")

    def __init__(self, free: dict[str, int], licensed: dict[int, Wanted]) -> None:
        """licensed: the classes that want any, by code. free: by name; used up from here on."""
        self._free = free
        self._licensed = licensed
        self._wanting: dict[str, list[tuple[int, int]]] = {}
        """By name: (how many, code), the greediest class last."""
        self.short: set[int] = set()
        for code, wanted in licensed.items():
            for name, n in wanted:
                self._wanting.setdefault(name, []).append((n, code))
        for name, classes in self._wanting.items():
            classes.sort()
            self.short.update(self._drop(name))

    def jobs(self, code: int) -> int:
        """For how many more jobs of the class they suffice."""
        return jobs_within(self._licensed[code], self._free)

    def suffices(self, wanted: Wanted) -> bool:
        """Whether there are so many of each."""
        return all(self._free.get(name, 0) >= n for name, n in wanted)

    def take(self, code: int, jobs: int) -> list[int]:
        """So many jobs of the class start. Returns classes that are short from now on."""
        take(self._licensed[code], jobs, self._free)
        lost = [other for name, _ in self._licensed[code] for other in self._drop(name)]
        self.short.update(lost)
        return lost

    def _drop(self, name: str) -> list[int]:
        """Codes of the classes that want more of it than is left, each once in a cycle."""
        classes, left, lost = self._wanting[name], self._free.get(name, 0), []
        while classes and classes[-1][0] > left:
            lost.append(classes.pop()[1])
        return lost


def check_licenses(licenses: str, config: ClusterConfig) -> Refused | None:
    """None if the cluster has enough of each, whoever holds them now; else which is asked for in vain."""
    try:
        wanted = parse_licenses(licenses)
    except GresError as error:
        return Refused(RefusalCode.INVALID, f"licenses: {error}", INVALID_LICENSE)
    totals = dict(config.licenses)
    listed = ", ".join(f"{name}:{total}" for name, total in totals.items())
    exist = f"those that exist: {listed}" if listed else "the cluster has none (licenses in packhorse.toml)"
    for name, n in wanted:
        if name not in totals:
            return Refused(RefusalCode.INVALID, f'license "{name}" does not exist; {exist}', INVALID_LICENSE)
        if n > totals[name]:
            return Refused(
                RefusalCode.IMPOSSIBLE,
                f'license "{name}": {n} asked, the cluster has {totals[name]}; ask for fewer; {exist}',
                INVALID_LICENSE,
            )
    return None
