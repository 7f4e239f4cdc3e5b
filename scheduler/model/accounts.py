"""Accounts, users, associations and QOS: who may use how much, with Slurm's names and meanings.

Accounts form a tree below ROOT. An *association* is an account by itself (user "") or a user in an account,
if wished for one partition only; shares and limits are its. A QOS is a named bundle of priority, limits and
preemption rights that a job chooses. A limit that is None is not set; 0 allows nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from packhorse.scheduler.model.tres import Tres

ROOT: Final = "root"
"""The account above all others. It always exists."""

FAIRSHARE_PARENT: Final = -1
"""Instead of shares: the user counts as the account does (Slurm's fairshare=parent)."""


class Limits(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Of an association. grp_…: of it and all below it together; max_…: of each user's, or each job's.

    Numbers of jobs: grp_jobs and max_jobs of running, grp_submit and max_submit of unfinished ones.
    Amounts: grp_tres and max_tres (a job's) at a time, max_tres_per_node. Budgets in TRES minutes:
    grp_tres_mins (spent, decaying as use does), grp_tres_run_mins (what running jobs may still use),
    max_tres_mins (a job's).
    Seconds: grp_wall_s (spent), max_wall_s (a job's time limit).
    quota: what the account is sure of; beyond it, it may use what its siblings leave of theirs, at most
    `borrow` more (None: any amount), and gives it back when they want it.
    """

    grp_jobs: int | None = None
    grp_submit: int | None = None
    grp_tres: Tres = ()
    grp_tres_mins: Tres = ()
    grp_tres_run_mins: Tres = ()
    grp_wall_s: int | None = None
    max_jobs: int | None = None
    max_submit: int | None = None
    max_tres: Tres = ()
    max_tres_per_node: Tres = ()
    max_tres_mins: Tres = ()
    max_wall_s: int | None = None
    quota: Tres = ()
    borrow: Tres | None = None


NO_LIMITS: Final = Limits()


class Account(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """parent: of all but ROOT. coordinators: users who may change what is below it."""

    name: str
    parent: str = ROOT
    description: str = ""
    organization: str = ""
    coordinators: tuple[str, ...] = ()


class AdminLevel(StrEnum):
    NONE = "None"
    OPERATOR = "Operator"
    ADMINISTRATOR = "Administrator"


class User(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """name: as the system knows the user."""

    name: str
    default_account: str = ""
    admin_level: AdminLevel = AdminLevel.NONE


class AssociationKey(NamedTuple):
    """user "": the account itself. partition "": any."""

    account: str
    user: str = ""
    partition: str = ""


class Association(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """shares: against those of its siblings; FAIRSHARE_PARENT. qos: names that may be used, empty: what the
    parent allows (with nothing set anywhere: all). default_qos "": the parent's. priority: against that of
    the other associations."""

    key: AssociationKey
    shares: int = 1
    limits: Limits = NO_LIMITS
    qos: tuple[str, ...] = ()
    default_qos: str = ""
    comment: str = ""
    priority: int = 0


class PreemptMode(StrEnum):
    """What becomes of a job that has to make room."""

    CLUSTER = ""  # as the configuration says
    OFF = "off"  # it never has to
    REQUEUE = "requeue"
    CANCEL = "cancel"
    SUSPEND = "suspend"


class QosLimits(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Of a QOS; as in Limits, and of each user's (pu) and each account's (pa) jobs in it together."""

    grp_jobs: int | None = None
    grp_submit: int | None = None
    grp_tres: Tres = ()
    grp_tres_mins: Tres = ()
    grp_tres_run_mins: Tres = ()
    grp_wall_s: int | None = None
    max_jobs_pu: int | None = None
    max_jobs_pa: int | None = None
    max_submit_pu: int | None = None
    max_submit_pa: int | None = None
    max_tres_pu: Tres = ()
    max_tres_pa: Tres = ()
    max_tres: Tres = ()
    max_tres_per_node: Tres = ()
    max_tres_mins: Tres = ()
    max_wall_s: int | None = None
    min_tres: Tres = ()


NO_QOS_LIMITS: Final = QosLimits()


class Qos(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """priority: against that of the other QOS. preempts: QOS whose jobs make room for its own.
    preempt_mode: of its own jobs when they have to, after grace_s; exempt_s: they run for so long before.
    usage_factor_milli: what a second costs, in thousandths. flags: Slurm's words (DenyOnLimit, NoDecay …).
    usage_threshold_milli: jobs of users whose fair share factor is lower wait, 0: none."""

    name: str
    priority: int = 0
    description: str = ""
    preempts: tuple[str, ...] = ()
    preempt_mode: PreemptMode = PreemptMode.CLUSTER
    grace_s: int = 0
    exempt_s: int = 0
    usage_factor_milli: int = 1000
    usage_threshold_milli: int = 0
    flags: tuple[str, ...] = ()
    limits: QosLimits = NO_QOS_LIMITS


class Holder(NamedTuple):
    """On whose name a job counts: what its limits and its share follow from. user: the name of its owner."""

    account: str
    user: str
    partition: str
    qos: str


class AccountsDelta(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Changes: these are there from now on, in place of what had the same name, and those are gone.

    reset_usage: associations whose use counts from zero again (sacctmgr modify … RawUsage=0).
    """

    accounts: tuple[Account, ...] = ()
    users: tuple[User, ...] = ()
    associations: tuple[Association, ...] = ()
    qos: tuple[Qos, ...] = ()
    gone_accounts: tuple[str, ...] = ()
    gone_users: tuple[str, ...] = ()
    gone_associations: tuple[AssociationKey, ...] = ()
    gone_qos: tuple[str, ...] = ()
    reset_usage: tuple[AssociationKey, ...] = ()
