"""Who may go before blocked jobs that have a planned start, and in what order they are looked at.

easy       in the order of the queue, whoever delays no planned start: Lifka, JSSPP 1995
sjbf       the same, those expected to be shortest first: Tsafrir, Etsion and Feitelson, IEEE TPDS 18(6), 2007
textbook, textbook-sjbf
           the same two as most simulators have them: of what is released at the very moment of the planned
           start only what the planned job needs is counted, smallest releases first, so that nothing of
           the rest is left over for those who run past it
before     in the order of submission, only jobs that end before the planned start: RLScheduler (Zhang et al.,
           SC 2020)
none       nobody: a blocked job blocks all behind it in its partition

The last two know one blocked job per partition that is next, whatever the backfill depth is.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from packhorse.scheduler.model.errors import BadValue


class Backfill(NamedTuple):
    """By name. by: what candidates are looked at by, "queue", "run" or "submission". all_surplus: everything
    released at a planned start counts. before: only jobs that are over by then."""

    name: str
    summary: str
    by: str = "queue"
    all_surplus: bool = True
    before: bool = False
    nobody: bool = False

    @property
    def one_next(self) -> bool:
        """Whether the first blocked job alone says who may go before it."""
        return self.before or self.nobody


BACKFILLS: Final[dict[str, Backfill]] = {
    kind.name: kind
    for kind in (
        Backfill("easy", "whoever delays no planned start, in the order of the queue"),
        Backfill("sjbf", "whoever delays no planned start, shortest first", by="run"),
        Backfill("textbook", "easy, with the surplus as most simulators count it", all_surplus=False),
        Backfill("textbook-sjbf", "sjbf, with the surplus so counted", by="run", all_surplus=False),
        Backfill("before", "whoever is over by the planned start, as submitted", "submission", before=True),
        Backfill("none", "nobody", nobody=True),
    )
}
"""All there are."""


def backfill(name: str) -> Backfill:
    """The kind of this name; BadValue lists the known ones."""
    found = BACKFILLS.get(name)
    if found is None:
        raise BadValue(f'backfill "{name}" is not known; there are {", ".join(sorted(BACKFILLS))}')
    return found
