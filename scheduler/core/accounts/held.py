"""What jobs hold on whose name: the sums that limits, quotas and budgets are measured against.

Nothing is counted until somebody asks (core/accounts/holding.py), and where nobody is limited nobody does.
From then on they are kept per `Holder` by `apply`, at the cost of one step a job, and added up over *scopes*
when somebody asks: an association with all below it, a QOS, each user and each account in a QOS. Only holders
of which something changed are added up anew. All of it follows from the jobs.

A job is unfinished from its submission to its end, every index of an array counts. It runs, and holds what
its placements say, from the grant until its allocation is let go of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from packhorse.scheduler.model.accounts import AssociationKey, Holder
from packhorse.scheduler.model.ids import UNKNOWN, Instant, JobId
from packhorse.scheduler.model.tres import Tres

if TYPE_CHECKING:
    from packhorse.scheduler.core.accounts.limit_book import Book

WALL: Final = "wall"
"""One for each job that runs, so that its time counts like that of a resource."""

ASSOCIATION: Final = "association"
QOS: Final = "qos"
QOS_USER: Final = "user in qos"
QOS_ACCOUNT: Final = "account in qos"


GOES_ON: Final = -1


class Scope(NamedTuple):
    """Whose jobs are added up. name: of the account or QOS; user, partition: as in AssociationKey.

    QOS_USER: user is the user; QOS_ACCOUNT: user is the account.
    """

    kind: str
    name: str
    user: str = ""
    partition: str = ""


def of_association(key: AssociationKey) -> Scope:
    """The association with all below it."""
    return Scope(ASSOCIATION, *key)


class Running(NamedTuple):
    """What a job holds. end_by UNKNOWN: for ever. left_us: of one that is suspended, for how long it may
    still run once it goes on; else GOES_ON."""

    holder: Holder
    tres: Tres
    end_by: Instant
    left_us: int = GOES_ON


class Sum:
    """Of some jobs: how many run and how many are not over; and of those that run, by TRES name, amounts,
    amounts times the microsecond of the end, and amounts of jobs without an end; of those that are suspended
    amounts, and amounts times what is left."""

    __slots__ = ("endless", "ends", "n_running", "n_unfinished", "still", "still_us", "tres")

    def __init__(self) -> None:
        self.n_running = 0
        self.n_unfinished = 0
        self.tres: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        self.endless: dict[str, int] = {}
        self.still: dict[str, int] = {}
        self.still_us: dict[str, int] = {}

    def run(self, one: Running, sign: int = 1) -> None:
        """A job with these runs, or (-1) does not any more."""
        self.n_running += sign
        for name, amount in ((WALL, 1), *one.tres):
            amount *= sign
            _add(self.tres, name, amount)
            if not one.end_by:
                _add(self.endless, name, amount)
            elif one.left_us == GOES_ON:
                _add(self.ends, name, amount * one.end_by)
            else:
                _add(self.still, name, amount)
                _add(self.still_us, name, amount * one.left_us)

    def add(self, other: Sum, sign: int = 1) -> None:
        """What is in another as well, or not any more."""
        self.n_running += sign * other.n_running
        self.n_unfinished += sign * other.n_unfinished
        for own, more in (
            (self.tres, other.tres),
            (self.ends, other.ends),
            (self.endless, other.endless),
            (self.still, other.still),
            (self.still_us, other.still_us),
        ):
            for name, amount in more.items():
                _add(own, name, sign * amount)

    def left_us(self, name: str, now: Instant) -> int | None:
        """Amounts times the microseconds that they may still be held; None where some are without an end.

        Of jobs past their end less than nothing is left: see `Holdings.overdue`.
        """
        if self.endless.get(name):
            return None
        goes_on = self.tres.get(name, 0) - self.still.get(name, 0)
        return self.ends.get(name, 0) + self.still_us.get(name, 0) - goes_on * now

    @property
    def is_nothing(self) -> bool:
        return not (self.n_running or self.n_unfinished)

    def copy(self) -> Sum:
        copy = Sum()
        copy.n_running, copy.n_unfinished = self.n_running, self.n_unfinished
        copy.tres, copy.ends, copy.endless = self.tres.copy(), self.ends.copy(), self.endless.copy()
        copy.still, copy.still_us = self.still.copy(), self.still_us.copy()
        return copy

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sum) and all(getattr(self, s) == getattr(other, s) for s in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Sum({', '.join(f'{s}={getattr(self, s)}' for s in self.__slots__)})"


NOTHING: Final = Sum()

ScopesOf = Callable[[Holder], tuple[Scope, ...]]


class Holdings:
    """See the module. counting: whether the rest follows the jobs; else there is nothing in it. by_holder: of
    whom there is anything. running: by job.

    wake_at: when a pass may find room under a limit only because time has passed, UNKNOWN: not known of any.
    book: what passes remember of limits from one to the next.
    """

    __slots__ = (
        "_added",
        "_changed",
        "_jobs",
        "_lent",
        "_lent_scopes",
        "_scopes",
        "_scopes_of",
        "book",
        "by_holder",
        "counting",
        "running",
        "wake_at",
    )

    def __init__(self) -> None:
        self.wake_at: Instant = UNKNOWN
        self.book: Book | None = None
        self.forget()

    def forget(self) -> None:
        """Nothing is counted any more, until somebody asks again."""
        self.counting = False
        self.by_holder: dict[Holder, Sum] = {}
        self.running: dict[JobId, Running] = {}
        self._changed: dict[Holder, None] = {}
        self._added: dict[Holder, Sum] = {}
        self._scopes: dict[Scope, Sum] = {}
        self._scopes_of: ScopesOf | None = None
        self._jobs: dict[Holder, dict[JobId, None]] | None = None
        """Kept only once somebody has asked for it."""
        self._lent: set[Holder] = set()
        self._lent_scopes: set[Scope] = set()
        """Whose sums a fork has as well: they are copied before they change."""

    def fork(self) -> Holdings:
        """A copy that goes its own way, without `book`. Cost: some dictionary copies; a sum is copied when
        one of the two first changes it."""
        new = Holdings()
        new.by_holder, new.running = self.by_holder.copy(), self.running.copy()
        new.counting, new.wake_at = self.counting, self.wake_at
        new._changed, new._added, new._scopes = self._changed.copy(), self._added.copy(), self._scopes.copy()
        new._scopes_of = self._scopes_of
        self._lent, self._lent_scopes = set(self.by_holder), set(self._scopes)
        new._lent, new._lent_scopes = self._lent.copy(), self._lent_scopes.copy()
        return new

    def submit(self, holder: Holder, n: int) -> None:
        """So many more jobs are unfinished; fewer, if negative."""
        self._of(holder).n_unfinished += n
        self._tidy(holder)

    def begin(self, job: JobId, one: Running) -> None:
        """The job, which is unfinished, has got an allocation."""
        self.running[job] = one
        self._of(one.holder).run(one)
        if self._jobs is not None:
            self._jobs.setdefault(one.holder, {})[job] = None

    def end(self, job: JobId) -> None:
        """It holds nothing any more."""
        was = self.running.pop(job)
        self._of(was.holder).run(was, -1)
        self._tidy(was.holder)
        if self._jobs is not None:
            del self._jobs[was.holder][job]

    def change(self, job: JobId, one: Running) -> None:
        """It holds this instead, perhaps on another name. It is unfinished on the old one until `submit` says
        so."""
        self.end(job)
        self.begin(job, one)

    def jobs(self) -> dict[Holder, dict[JobId, None]]:
        """Which jobs run on whose name; holders of none may be there. Not to be changed."""
        if self._jobs is None:
            self._jobs = {}
            for job, one in self.running.items():
                self._jobs.setdefault(one.holder, {})[job] = None
        return self._jobs

    def overdue(self, now: Instant) -> list[Running]:
        """What is held past its end: until it is let go of it counts as if it ended now."""
        return [one for one in self.running.values() if 0 < one.end_by < now and one.left_us == GOES_ON]

    def sums(self, scopes_of: ScopesOf) -> dict[Scope, Sum]:
        """By scope; a scope of which there is nothing may be missing. Not to be changed.

        scopes_of: under which scopes a holder's jobs count; another object means another answer.
        """
        if scopes_of != self._scopes_of:
            self._scopes_of = scopes_of
            self._scopes, self._added, self._lent_scopes = {}, {}, set()
            self._changed = dict.fromkeys(self.by_holder)
        for holder in self._changed:
            now, was = self.by_holder.get(holder), self._added.pop(holder, None)
            difference = now.copy() if now is not None else Sum()
            if was is not None:
                difference.add(was, -1)
            if now is not None:
                self._added[holder] = now.copy()
            for scope in scopes_of(holder):
                total = self._scopes.get(scope)
                if total is None:
                    total = self._scopes[scope] = Sum()
                elif scope in self._lent_scopes:
                    self._lent_scopes.remove(scope)
                    total = self._scopes[scope] = total.copy()
                total.add(difference)
                if total.is_nothing:
                    del self._scopes[scope]
        self._changed = {}
        return self._scopes

    def _of(self, holder: Holder) -> Sum:
        self._changed[holder] = None
        found = self.by_holder.get(holder)
        if found is None:
            found = self.by_holder[holder] = Sum()
        elif holder in self._lent:
            found = self.by_holder[holder] = found.copy()
        self._lent.discard(holder)
        return found

    def _tidy(self, holder: Holder) -> None:
        if self.by_holder[holder].is_nothing:
            del self.by_holder[holder]

    def __eq__(self, other: object) -> bool:
        """Whether the same is held on the same names."""
        if not isinstance(other, Holdings):
            return NotImplemented
        return self.by_holder == other.by_holder and self.running == other.running

    __hash__ = None  # type: ignore[assignment]


def _add(amounts: dict[str, int], name: str, amount: int) -> None:
    total = amounts.get(name, 0) + amount
    if total:
        amounts[name] = total
    else:
        amounts.pop(name, None)
