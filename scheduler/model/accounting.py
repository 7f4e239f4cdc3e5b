"""Accounting rows: what stays of jobs and loans when they have left memory."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from packhorse.scheduler.model.ids import Instant, JobId, NodeName
from packhorse.scheduler.model.resources import Usage


class AttemptRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One ended attempt of a job, or a job that ended without ever running (attempt 0).

    index -1 outside arrays; array_indices: text of waiting indices cancelled together, else "". Amounts are
    those allocated where it ran, those asked for where it did not. nodes: hostlist. command: the script and
    its arguments, "script:…" (a digest) where it was no file. gpu_milli: thousandths of GPUs, 0 for devices
    of which that is not known yet. suspended_us: how much of its run it was suspended. allocation: what it
    had instead of a batch script, "" for nothing. usage: its steps included.
    """

    job: JobId
    attempt: int
    array_id: JobId
    index: int
    array_indices: str
    name: str
    uid: int
    gid: int
    user: str
    group: str
    account: str
    partition: str
    qos: str
    state: str
    reason: str
    detail: str
    exit_code: int
    exit_signal: int
    cancelled_by: int
    submitted_at: Instant
    eligible_at: Instant
    started_at: Instant
    ended_at: Instant
    time_limit_s: int
    n_nodes: int
    n_tasks: int
    n_cpus: int
    mem_mib: int
    req_mem: str
    req_tres: str
    alloc_tres: str
    nodes: str
    priority: int
    restarts: int
    work_dir: str
    comment: str
    submit_line: str
    features: str
    command: str
    gpu_milli: int
    wckey: str
    reservation: str
    suspended_us: int
    allocation: str
    usage: Usage


BATCH_STEP = -1
"""Instead of a step's number: the batch script of a job that also had steps."""


class StepRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An ended step of an attempt, or its batch script where there were steps beside it.

    nodes: hostlist. layout: how its tasks lay. cancelled_by: uid, -1: nobody. started_at 0: it never began.
    max_rss_node: where its memory was largest. usage: of all its nodes together.
    """

    job: JobId
    attempt: int
    step: int
    name: str
    nodes: str
    n_nodes: int
    n_tasks: int
    n_cpus: int
    mem_mib: int
    alloc_tres: str
    layout: str
    state: str
    exit_code: int
    exit_signal: int
    cancelled_by: int
    detail: str
    started_at: Instant
    ended_at: Instant
    submit_line: str
    max_rss_node: str
    usage: Usage


class NodeState(StrEnum):
    """What a node was, for reports of utilisation."""

    UP = "up"
    DOWN = "down"  # silent, taken down, or drained with nothing on it
    DRAINED = "drained"  # takes nothing new; what runs on it goes on


class NodeRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A node was that from since to until, with so much of everything. alloc: what jobs may have, as in a
    row's alloc_tres."""

    node: NodeName
    state: str
    tres: str
    since: Instant
    until: Instant


class ReservationRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A window of a reservation that is over, or the part of one that is. Lists are joined by commas."""

    name: str
    nodes: str
    tres: str
    flags: str
    users: str
    accounts: str
    since: Instant
    until: Instant


class LoanRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A loan that is over, or the part of one that is: so much memory of the lender, on that node, lent to
    that attempt of the borrower from since to until. outcome: a LoanEnd.
    """

    node: NodeName
    lender: JobId
    lender_user: str
    lender_account: str
    borrower: JobId
    borrower_attempt: int
    borrower_user: str
    borrower_account: str
    mem_mib: int
    since: Instant
    until: Instant
    outcome: str
