"""Events, rows and stores that the store's tests are made of."""

from __future__ import annotations

from typing import Any

from packhorse.scheduler.model.accounting import AttemptRow, LoanRow, StepRow
from packhorse.scheduler.model.event import (
    ArraySubmitted,
    ArrayTaskSplit,
    AttemptStarted,
    Event,
    Item,
    JobEnded,
    JobGranted,
    JobsSubmitted,
)
from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.job import ArraySpec, IndexRange, JobSpec, JobState, Owner
from packhorse.scheduler.model.resources import Ask, Placement, Usage
from packhorse.scheduler.store.codec import encode
from packhorse.scheduler.store.protocol import Batch, LogRecord, Store, blob_ref

OWNER = Owner(1000, 1000, "alice", "users")
SCRIPT = b"#!/bin/sh\ntrue\n"
SPEC = JobSpec("job", Ask(), "main", blob_ref(SCRIPT), blob_ref(b""), "/tmp")


def submitted(first: int, count: int = 1, at: int = 1) -> JobsSubmitted:
    return JobsSubmitted(Instant(at), OWNER, JobId(first), (SPEC,), tuple(Item(0) for _ in range(count)))


def array_submitted(array: int, size: int, at: int = 1) -> ArraySubmitted:
    return ArraySubmitted(Instant(at), OWNER, JobId(array), SPEC, ArraySpec((IndexRange(0, size - 1, 1),)))


def split(array: int, index: int, job: int, at: int = 1) -> ArrayTaskSplit:
    return ArrayTaskSplit(Instant(at), JobId(array), index, JobId(job))


def life(job: int, at: int = 1) -> list[Event]:
    """What happens to a job that runs once and ends well, from the grant on."""
    key = AttemptKey(JobId(job), 1, 1)
    placement = Placement(NodeName("node1"), 1000, 100)
    return [
        JobGranted(Instant(at), JobId(job), key, (placement,)),
        AttemptStarted(Instant(at + 1), JobId(job), key),
        JobEnded(Instant(at + 2), JobId(job), JobState.COMPLETED, key, Instant(at + 1)),
    ]


def records(store: Store, *events: Event) -> list[LogRecord]:
    """The events as the records that come next in the store's log."""
    return [encode(event, seq) for seq, event in enumerate(events, store.last_seq() + 1)]


def append(store: Store, *events: Event) -> None:
    store.append(Batch(records(store, *events)))


def row(job: int, attempt: int = 1, **fields: object) -> AttemptRow:
    """An accounting row; what is not said is an ordinary job's."""
    ordinary: dict[str, object] = {
        "job": job, "attempt": attempt, "array_id": 0, "index": -1, "array_indices": "", "name": "job",
        "uid": 1000, "gid": 1000, "user": "alice", "group": "users", "account": "", "partition": "main",
        "qos": "normal", "state": "COMPLETED", "reason": "None", "detail": "", "exit_code": 0,
        "exit_signal": 0, "cancelled_by": -1, "submitted_at": 10 * job, "eligible_at": 10 * job,
        "started_at": 10 * job + 1, "ended_at": 10 * job + 2, "time_limit_s": 60, "n_nodes": 1, "n_tasks": 1,
        "n_cpus": 1, "mem_mib": 100, "req_mem": "100M", "req_tres": "cpu=1", "alloc_tres": "cpu=1",
        "nodes": "node1", "priority": 1, "restarts": 0, "work_dir": "/tmp", "comment": "",
        "submit_line": "sbatch job.sh", "features": "", "command": "", "gpu_milli": 0,
        "wckey": "", "reservation": "", "suspended_us": 0, "allocation": "",
        "usage": Usage(1, 2, 3, 4, 5, 6),
    }  # fmt: skip
    return AttemptRow(**(ordinary | fields))  # type: ignore[arg-type]


def step(job: int, number: int, attempt: int = 1, **fields: Any) -> StepRow:
    """A step of this job that is over."""
    given = {
        "job": JobId(job), "attempt": attempt, "step": number, "name": "true", "nodes": "node[1-2]",
        "n_nodes": 2, "n_tasks": 4, "n_cpus": 4, "mem_mib": 100, "alloc_tres": "cpu=4", "layout": "Block",
        "state": "FAILED", "exit_code": 3, "exit_signal": 0, "cancelled_by": -1, "detail": "why",
        "started_at": Instant(5),
        "ended_at": Instant(9), "submit_line": "srun true", "max_rss_node": "node2",
        "usage": Usage(*range(1, 15)),
    }  # fmt: skip
    return StepRow(**{**given, **fields})


def loan(borrower: int, **fields: Any) -> LoanRow:
    """A loan to this job that is over."""
    given = {
        "node": NodeName("n2"), "lender": JobId(900), "lender_user": "ann", "lender_account": "",
        "borrower": JobId(borrower), "borrower_attempt": 1, "borrower_user": "eve", "borrower_account": "",
        "mem_mib": 512, "since": Instant(100), "until": Instant(200), "outcome": "returned",
    }  # fmt: skip
    return LoanRow(**{**given, **fields})
