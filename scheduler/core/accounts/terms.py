"""Which limits apply to a job: what the book of accounts and the partitions say, resolved for its Holder.

Precedence as in Slurm (Resource Limits, "Hierarchy"): what the QOS of the partition sets, what the QOS of the
job sets (these two the other way round with the flag OverPartQOS), then the associations. A limit that a QOS
sets replaces that of the same name and resource of the associations. Grp… of every association from the
user's up to ROOT hold at once; of Max… the one nearest to the user counts. Quotas hold whatever a QOS says.

Budgets are Slurm's with AccountingStorageEnforce=safe: a job starts only if all of its time limit is left.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from packhorse.scheduler.core.accounts.book import AccountBook
from packhorse.scheduler.core.accounts.held import (
    QOS,
    QOS_ACCOUNT,
    QOS_USER,
    WALL,
    Scope,
    of_association,
)
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.accounts import (
    NO_LIMITS,
    NO_QOS_LIMITS,
    AssociationKey,
    Holder,
    Limits,
    Qos,
)
from packhorse.scheduler.model.cluster import ClusterConfig, Enforce
from packhorse.scheduler.model.tres import MILLI

COHORT: Final = "siblings"
OVER_PARTITION: Final = "OverPartQOS"
DENY: Final = "DenyOnLimit"
ENFORCE_THRESHOLD: Final = "EnforceUsageThreshold"
MINUTE_S: Final = 60


class What(IntEnum):
    """What a limit bounds. Times are in seconds."""

    RUNNING = 0  # jobs that run
    UNFINISHED = 1  # jobs that are not over
    HELD = 2  # an amount at a time
    LEFT = 3  # amounts times the time that what runs may still hold them
    SPENT = 4  # amounts times time that were used, are in use, or may yet be
    JOB = 5  # an amount, of each job
    NODE_OF_JOB = 6  # an amount on each node of each job
    TIME_OF_JOB = 7  # an amount times the time limit, of each job
    LEAST = 8  # an amount that each job has at least


OF_ONE_JOB: Final = frozenset({What.JOB, What.NODE_OF_JOB, What.TIME_OF_JOB, What.LEAST})
WITH_TIME: Final = frozenset({What.LEFT, What.SPENT, What.TIME_OF_JOB})


class Limit(NamedTuple):
    """One limit. scope: whose jobs together, None: each job by itself. tres: "" for jobs, WALL for time.

    most: in the units of `Tres`, times seconds where time counts; of LEAST the least. of: the association, or
    the QOS, that sets it. sure: of what siblings may use together, the limit with the part that the job's own
    account is sure of; who keeps within that waits for what is lent.
    """

    scope: Scope | None
    what: What
    tres: str
    most: int
    title: str
    reason: Reason
    of: str
    sure: Limit | None = None

    @property
    def pool(self) -> tuple[object, ...]:
        """Limits with the same one are one and the same, whoever they apply to."""
        together = (self.scope, self.what, self.tres, self.title)
        return together if self.scope is not None else (*together, self.most, self.of)


class Sharing(NamedTuple):
    """Scopes of the associations with a quota that somebody's jobs count under, and of the siblings that
    these share with."""

    owners: tuple[Scope, ...]
    cohorts: tuple[Scope, ...]


class Terms:
    """See the module. Made for one version of the book and one configuration; answers are kept.

    limited: whether there is any limit at all. cohorts: associations that lend to each other, by their scope;
    quotas: by association, of those that have any.
    """

    def __init__(self, book: AccountBook, config: ClusterConfig) -> None:
        self.book = book
        self.version = book.version
        self.config = config
        self.partition_qos = {p.name: p.qos for p in config.partitions if p.qos}
        self.cohorts: dict[Scope, tuple[AssociationKey, ...]] = {}
        self.quotas: dict[AssociationKey, dict[str, int]] = {}
        self._capacity: dict[Scope, int] = {}
        self._find_cohorts()
        self.limited = config.accounts.enforce is not Enforce.NONE and (
            any(one.limits != NO_LIMITS for one in book.associations.values())
            or any(qos.limits != NO_QOS_LIMITS for qos in book.qos.values())
            or any(qos.usage_threshold_milli for qos in book.qos.values())
        )
        self.has_thresholds = any(
            qos.usage_threshold_milli and ENFORCE_THRESHOLD in qos.flags for qos in book.qos.values()
        )
        self._limits: dict[Holder, tuple[Limit, ...]] = {}
        self._scopes: dict[Holder, tuple[Scope, ...]] = {}
        self._cohorts_of: dict[Scope, list[Scope]] = {}
        for cohort, members in self.cohorts.items():
            for key in members:
                self._cohorts_of.setdefault(of_association(key), []).append(cohort)
        self._sharing: dict[Holder, Sharing] = {}

    def stands(self, book: AccountBook, config: ClusterConfig) -> bool:
        """Whether these are still the terms."""
        return self.book is book and self.version == book.version and self.config is config

    def own(self, holder: Holder) -> AssociationKey:
        """Under which the holder's Max… count: the user's association, there or not."""
        first = self.book.chain(holder)[0]
        return first if first.user or not holder.user else AssociationKey(holder.account, holder.user)

    def qos(self, holder: Holder) -> list[Qos]:
        """Of the partition and of the job, the one first whose limits come first."""
        job = self.book.qos.get(holder.qos)
        partition = self.book.qos.get(self.partition_qos.get(holder.partition, ""))
        found = [partition, job]
        if job is not None and OVER_PARTITION in job.flags:
            found.reverse()
        if partition is job:
            found = [job]
        return [qos for qos in found if qos is not None]

    def scopes(self, holder: Holder) -> tuple[Scope, ...]:
        """All under which the holder's jobs count, each once."""
        found = self._scopes.get(holder)
        if found is None:
            keys = dict.fromkeys((self.own(holder), *self.book.chain(holder)))
            out = [of_association(key) for key in keys]
            for qos in self.qos(holder):
                out += _of_qos(qos.name, holder)
            found = self._scopes[holder] = tuple(out)
        return found

    def sharing(self, holder: Holder) -> Sharing:
        """Under which quotas the holder's jobs count."""
        found = self._sharing.get(holder)
        if found is None:
            owners = tuple(scope for scope in self.scopes(holder) if scope in self._cohorts_of)
            cohorts = dict.fromkeys(cohort for scope in owners for cohort in self._cohorts_of[scope])
            found = self._sharing[holder] = Sharing(owners, tuple(cohorts))
        return found

    def limits(self, holder: Holder) -> tuple[Limit, ...]:
        """All that apply to the holder's jobs; those of each job by itself first."""
        found = self._limits.get(holder)
        if found is None:
            found = self._limits[holder] = tuple(self._resolve(holder)) if self.limited else ()
        return found

    def capacity(self, cohort: Scope) -> int:
        """What the siblings are sure of together."""
        return self._capacity[cohort]

    def factor_milli(self, holder: Holder) -> int:
        """What the holder's jobs cost of a budget, in thousandths."""
        qos = self.book.qos.get(holder.qos)
        return qos.usage_factor_milli if qos is not None else MILLI

    def threshold_milli(self, holder: Holder) -> int:
        """Jobs wait while the fair share factor of who holds them is lower; 0: they do not. As in Slurm the
        QOS needs the flag EnforceUsageThreshold for that."""
        found = [qos for qos in self.qos(holder) if ENFORCE_THRESHOLD in qos.flags]
        return next((qos.usage_threshold_milli for qos in found if qos.usage_threshold_milli), 0)

    def denies(self, holder: Holder) -> bool:
        """Whether a job that could never start under its limits is refused."""
        return any(DENY in qos.flags for qos in self.qos(holder))

    def of_association(self, key: AssociationKey) -> list[Limit]:
        """What the association itself sets, quotas aside."""
        return [limit for _, limit in _by_association(key, key, self.book.associations[key].limits)]

    def quota_of(self, key: AssociationKey) -> list[Limit]:
        """What it is sure of."""
        scope, of = of_association(key), _name(key)
        quota = self.book.associations[key].limits.quota
        return [Limit(scope, What.HELD, tres, n, "Quota", Reason.QUOTA, of) for tres, n in quota]

    def of_qos(self, name: str) -> list[Limit]:
        """What the QOS sets; of each user and account for nobody."""
        return [limit for _, limit in _by_qos(self.book.qos[name], Holder("", "", "", name))]

    # -- inside ------------------------------------------------------------------------------------------

    def _find_cohorts(self) -> None:
        """Siblings that have a quota of the same resource."""
        members: dict[Scope, list[AssociationKey]] = {}
        for key, one in self.book.associations.items():
            for name, amount in one.limits.quota:
                above = self.book.parent(key)
                cohort = Scope(
                    COHORT, above.account if above is not None else "", name, "users" if key.user else ""
                )
                members.setdefault(cohort, []).append(key)
                self._capacity[cohort] = self._capacity.get(cohort, 0) + amount
                self.quotas.setdefault(key, {})[name] = amount
        self.cohorts = {cohort: tuple(keys) for cohort, keys in members.items()}

    def _resolve(self, holder: Holder) -> list[Limit]:
        out: list[Limit] = []
        taken: set[tuple[str, str]] = set()
        """(name of the limit, resource) that a QOS has set."""
        for qos in self.qos(holder):
            found = _by_qos(qos, holder)
            mine = [(names, limit) for names, limit in found if (names[-1], limit.tres) not in taken]
            out += [limit for _, limit in mine]
            taken |= {(name, limit.tres) for names, limit in mine for name in names}
        nearest: set[tuple[str, str]] = set()
        for key in self.book.chain(holder):
            association = self.book.associations[key]
            for name, limit in _by_association(key, self.own(holder), association.limits):
                mark = (name, limit.tres)
                if mark in taken or mark in nearest:
                    continue
                if not name.startswith("grp"):
                    nearest.add(mark)
                out.append(limit)
            out += self._by_quota(key, association.limits)
        return sorted(out, key=lambda limit: limit.what not in OF_ONE_JOB)

    def _by_quota(self, key: AssociationKey, limits: Limits) -> list[Limit]:
        out = []
        borrow = dict(limits.borrow) if limits.borrow is not None else None
        above = self.book.parent(key)
        own, name = of_association(key), _name(key)
        for tres, amount in limits.quota:
            sure = next(one for one in self.quota_of(key) if one.tres == tres)
            cohort = Scope(
                COHORT, above.account if above is not None else "", tres, "users" if key.user else ""
            )
            if borrow is not None:
                most = amount + borrow.get(tres, 0)
                out.append(Limit(own, What.HELD, tres, most, "Quota+Borrow", Reason.QUOTA, name))
            together = self._capacity[cohort]
            out.append(Limit(cohort, What.HELD, tres, together, "Quota", Reason.QUOTA, name, sure))
        return out


def _by_qos(qos: Qos, holder: Holder) -> list[tuple[tuple[str, ...], Limit]]:
    """Limits of the QOS, each with the names of those that it replaces further on, its own last."""
    limits, out = qos.limits, list[tuple[tuple[str, ...], Limit]]()
    every, user, account = _of_qos(qos.name, holder)

    def one(names: str, scope: Scope | None, what: What, tres: str, most: int, title: str, word: str) -> None:
        reason = reason_of("QOS", word, tres)
        if reason is not None:
            out.append(
                (tuple(names.split()), Limit(scope, what, tres, most, title, reason, f"QOS {qos.name}"))
            )

    for n, names, scope, what, title, word in (
        (limits.grp_jobs, "grp_jobs", every, What.RUNNING, "GrpJobs", "GRP_JOBS"),
        (limits.grp_submit, "grp_submit", every, What.UNFINISHED, "GrpSubmit", ""),
        (limits.max_jobs_pu, "max_jobs max_jobs_pu", user, What.RUNNING, "MaxJobsPU", "MAX_JOBS_PER_USER"),
        (
            limits.max_jobs_pa,
            "max_jobs max_jobs_pa",
            account,
            What.RUNNING,
            "MaxJobsPA",
            "MAX_JOBS_PER_ACCOUNT",
        ),
        (limits.max_submit_pu, "max_submit max_submit_pu", user, What.UNFINISHED, "MaxSubmitPU", ""),
        (limits.max_submit_pa, "max_submit max_submit_pa", account, What.UNFINISHED, "MaxSubmitPA", ""),
    ):
        if n is not None:
            one(names, scope, what, "", n, title, word)
    if limits.grp_wall_s is not None:
        one("grp_wall", every, What.SPENT, WALL, limits.grp_wall_s, "GrpWall", "GRP_WALL")
    if limits.max_wall_s is not None:
        one("max_wall", None, What.TIME_OF_JOB, WALL, limits.max_wall_s, "MaxWall", "MAX_WALL")
    for tres, name, together, what, title, word in (
        (limits.grp_tres, "grp_tres", every, What.HELD, "GrpTRES", "GRP"),
        (limits.grp_tres_run_mins, "grp_run", every, What.LEFT, "GrpTRESRunMins", "GRP_RUN_MINS"),
        (limits.grp_tres_mins, "grp_mins", every, What.SPENT, "GrpTRESMins", "GRP_MINS"),
        (limits.max_tres_pu, "max_tres_pu", user, What.HELD, "MaxTRESPU", "MAX_PER_USER"),
        (limits.max_tres_pa, "max_tres_pa", account, What.HELD, "MaxTRESPA", "MAX_PER_ACCOUNT"),
        (limits.max_tres, "max_tres", None, What.JOB, "MaxTRES", "MAX"),
        (limits.max_tres_per_node, "max_node", None, What.NODE_OF_JOB, "MaxTRESPerNode", "MAX_PER_NODE"),
        (limits.max_tres_mins, "max_mins", None, What.TIME_OF_JOB, "MaxTRESMins", "MAX_MINS"),
        (limits.min_tres, "min_tres", None, What.LEAST, "MinTRES", "MIN"),
    ):
        for resource, amount in tres:
            one(name, together, what, resource, _in_seconds(what, amount), title, word)
    return out


def _by_association(key: AssociationKey, own: AssociationKey, limits: Limits) -> list[tuple[str, Limit]]:
    """Limits of the association, each with the name under which it gives way to a QOS."""
    if limits == NO_LIMITS:
        return []
    out: list[tuple[str, Limit]] = []
    all_below, mine, of = of_association(key), of_association(own), _name(key)

    def one(name: str, scope: Scope | None, what: What, tres: str, most: int, title: str, word: str) -> None:
        reason = reason_of("ASSOC", word, tres)
        if reason is not None:
            out.append((name, Limit(scope, what, tres, most, title, reason, of)))

    for n, name, scope, what, title, word in (
        (limits.grp_jobs, "grp_jobs", all_below, What.RUNNING, "GrpJobs", "GRP_JOBS"),
        (limits.grp_submit, "grp_submit", all_below, What.UNFINISHED, "GrpSubmit", ""),
        (limits.max_jobs, "max_jobs", mine, What.RUNNING, "MaxJobs", "MAX_JOBS"),
        (limits.max_submit, "max_submit", mine, What.UNFINISHED, "MaxSubmit", ""),
    ):
        if n is not None:
            one(name, scope, what, "", n, title, word)
    if limits.grp_wall_s is not None:
        one("grp_wall", all_below, What.SPENT, WALL, limits.grp_wall_s, "GrpWall", "GRP_WALL")
    if limits.max_wall_s is not None:
        one("max_wall", None, What.TIME_OF_JOB, WALL, limits.max_wall_s, "MaxWall", "MAX_WALL")
    for tres, name, together, what, title, word in (
        (limits.grp_tres, "grp_tres", all_below, What.HELD, "GrpTRES", "GRP"),
        (limits.grp_tres_run_mins, "grp_run", all_below, What.LEFT, "GrpTRESRunMins", "GRP_RUN_MINS"),
        (limits.grp_tres_mins, "grp_mins", all_below, What.SPENT, "GrpTRESMins", "GRP_MINS"),
        (limits.max_tres, "max_tres", None, What.JOB, "MaxTRES", "MAX"),
        (limits.max_tres_per_node, "max_node", None, What.NODE_OF_JOB, "MaxTRESPerNode", "MAX_PER_NODE"),
        (limits.max_tres_mins, "max_mins", None, What.TIME_OF_JOB, "MaxTRESMins", "MAX_MINS"),
    ):
        for resource, amount in tres:
            one(name, together, what, resource, _in_seconds(what, amount), title, word)
    return out


def reason_of(level: str, word: str, tres: str) -> Reason | None:
    """Slurm's reason for a limit of this kind on this resource: NONE for word "", a limit at submission; None
    where such a limit has no meaning (of licences on a node)."""
    if not word:
        return Reason.NONE
    suffix = "" if tres in ("", WALL) else f"_{tres.partition('/')[0].upper()}"
    return Reason.__members__.get(f"{level}_{word}{suffix}")


def _in_seconds(what: What, amount: int) -> int:
    return amount * MINUTE_S if what in WITH_TIME else amount


def _of_qos(name: str, holder: Holder) -> tuple[Scope, Scope, Scope]:
    return Scope(QOS, name), Scope(QOS_USER, name, holder.user), Scope(QOS_ACCOUNT, name, holder.account)


def _name(key: AssociationKey) -> str:
    """How messages name the association: "account chem", "ann in account chem"."""
    if not key.user:
        return f"account {key.account}"
    partition = f", partition {key.partition}" if key.partition else ""
    return f"{key.user} in account {key.account}{partition}"
