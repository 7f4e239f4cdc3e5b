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
