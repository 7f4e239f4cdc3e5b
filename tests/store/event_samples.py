"""One event of every kind, as they were written down in events_schema1.txt.

`python -m tests.store.event_samples` adds the kinds that the file lacks; a line once written never changes.
"""

from __future__ import annotations

from pathlib import Path

from packhorse.scheduler.model.accounts import (
    Account,
    AccountsDelta,
    AdminLevel,
    Association,
    AssociationKey,
    Limits,
    PreemptMode,
    Qos,
    QosLimits,
    User,
)
from packhorse.scheduler.model.cluster import ClusterConfig, Partition
from packhorse.scheduler.model.crontab import CronEntry, Crontab
from packhorse.scheduler.model.event import (
    AccountsChanged,
    ArrayRemainderCancelled,
    ArraySubmitted,
    ArrayTaskSplit,
    AttemptStarted,
    BatchEnded,
    CallAnswered,
    Configured,
    CrontabSet,
    Event,
    Item,
    JobEnded,
    JobEnding,
    JobGpusBusy,
    JobGpusIdle,
    JobGranted,
    JobHeld,
    JobQuarantined,
    JobReleased,
    JobReopened,
    JobRequeued,
    JobResumed,
    JobsEligible,
    JobsForgotten,
    JobsRanked,
    JobsSubmitted,
    JobSuspended,
    JobTerminating,
    JobUpdated,
    JobWarned,
    LoansChanged,
    MemoryEstimated,
    NodeDowned,
    NodeDrained,
    NodeOffered,
    NodeRegistered,
    NodeResumed,
    NodeSilenced,
    PartitionSwitched,
    PolicyTaught,
    ReclaimSwitched,
    ReservationDeleted,
    ReservationSet,
    SchedulerStarted,
    StartEstimate,
    StartsEstimated,
    StepCreated,
    StepEnding,
    StepPartEnded,
    StepStarted,
    TriggersCleared,
    TriggerSet,
    TriggersFired,
    UsageLearned,
)
from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.job import (
    ArraySpec,
    BatchEnd,
    Condition,
    Dependency,
    DependencyKind,
    EndCause,
    Held,
    IndexRange,
    JobSpec,
    JobState,
    Owner,
    Retry,
    WarnSignal,
)
from packhorse.scheduler.model.loan import EndedLoan, Loan, LoanEnd, Switch
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.model.reply import RefusalCode, Refused, Submitted
from packhorse.scheduler.model.reservation import Repeat, Reservation
from packhorse.scheduler.model.resources import Ask, Device, Devices, Gres, Placement, Usage
from packhorse.scheduler.model.step import Overlap, StepPart, StepSpec
from packhorse.scheduler.model.trigger import Fired, Trigger, TriggerKind
from packhorse.scheduler.store.codec import encode

RECORDED = Path(__file__).with_name("events_schema1.txt")

AT = Instant(1_700_000_000_000_001)
LATER = Instant(1_700_000_600_000_000)
JOB, ARRAY, NODE = JobId(77), JobId(70), NodeName("node1")
KEY = AttemptKey(JOB, 2, 9)
OWNER = Owner(1000, 100, "alice", "users")
USAGE = Usage(1, 2, 3, 4, 5, 6)
STEP = AttemptKey(JOB, 2, 9, 3)
STEP_SPEC = StepSpec(
    "train", ("./train", "-v"), "cc" * 32, "/home/alice", n_tasks=2, nodes_required=(NODE,),
    gres_per_task=(Gres("gpu", "", 1),), distribution="cyclic", overlap=Overlap.EXACT, rlimits=(("core", 0),),
    multi_prog=(("0", ("./lead",)), ("*", ("./train", "%t"))), time_limit_s=60,
)  # fmt: skip
PART = StepPart(NODE, (0, 1), 2000, 1024, (Devices("gpu", "h200", (0, 1)),))
LOAN = Loan(JobId(76), NODE, 512, AT)
OFFER = Offer(3, 8000, 32_000, False, "maintenance", (("gpu", 1),))
SPEC = JobSpec(
    "train",
    Ask(
        n_tasks=4, gres_per_node=(Gres("gpu", "h200", 2),), features="a&b", nodes_excluded=(NodeName("bad"),)
    ),
    "main",
    "aa" * 32,
    "bb" * 32,
    "/home/alice",
    args=("-x", "1"),
    time_limit_s=3600,
    dependency=Dependency((Condition(DependencyKind.AFTERCORR, JobId(5)),)),
    retry=Retry(3),
    warn=WarnSignal(10),
)

EVENTS: tuple[Event, ...] = (
    SchedulerStarted(AT, 9),
    Configured(AT, ClusterConfig(partitions=(Partition("main", is_default=True, max_time_s=60),))),
    JobsSubmitted(AT, OWNER, JOB, (SPEC,), (Item(0), Item(0, "other", ("-y",)))),
    ArraySubmitted(AT, OWNER, ARRAY, SPEC, ArraySpec((IndexRange(0, 9, 3), IndexRange(20, 20, 1)), 2)),
    ArrayTaskSplit(AT, ARRAY, 3, JOB),
    ArrayRemainderCancelled(AT, ARRAY, (IndexRange(6, 9, 3),), 1000),
    JobGranted(AT, JOB, KEY, (Placement(NODE, 4000, 1024, 2, (Devices("gpu", "h200", (0, 1)),)),), LATER),
    AttemptStarted(AT, JOB, KEY, LATER, AT),
    JobsEligible(AT, (JOB, ARRAY)),
    JobWarned(AT, JOB, KEY),
    JobEnding(AT, JOB, KEY, EndCause.TIME_LIMIT, 0, True, LATER),
    JobTerminating(AT, JOB, KEY),
    JobEnded(AT, JOB, JobState.FAILED, KEY, AT, 3, 9, "NonZeroExitCode", "why", -1, USAGE, LATER),
    JobRequeued(
        AT, JOB, KEY, EndCause.NODE_FAIL, JobState.NODE_FAIL, LATER, Held.REQUEUED, AT, 1, 2, USAGE, NODE,
        True, "lost", LATER, 0, "BeginTime",
    ),
    JobReopened(AT, JOB, 1000, LATER, Held.USER),
    JobHeld(AT, JOB, Held.ADMIN, 0),
    JobReleased(AT, JOB, 0),
    JobUpdated(AT, ARRAY, SPEC, 0, LATER, 5),
    NodeRegistered(AT, NodeSpec(NODE, "host", 8000, 32_000, 0, (Device("gpu", "h200", 0),)), "boot", OFFER),
    NodeOffered(AT, NODE, OFFER),
    NodeSilenced(AT, NODE),
    NodeDrained(AT, NODE, "disk", 0),
    NodeDowned(AT, NODE, "power", 0),
    NodeResumed(AT, NODE, 0),
    JobsForgotten(AT, (JOB, JobId(80))),
    CallAnswered(AT, 1000, "key-1", "fingerprint", Submitted(JOB, 2)),
    PolicyTaught(AT, "packhorse", ((4000, 8192, 1, 250, "gpu", 724), (8000, 0, 0, 0, "", 300)), "8f3d"),
    JobsRanked(AT, (JOB, ARRAY)),
    MemoryEstimated(AT, NODE, ((JOB, 2_048), (ARRAY, 16))),
    LoansChanged(AT, JOB, KEY, (LOAN,), (EndedLoan(LOAN, LoanEnd.MOVED),)),
    ReclaimSwitched(AT, (Switch("account", "bio", True),), 0),
    UsageLearned(AT, "packhorse", (0.5, 2.0)),
    JobGpusIdle(AT, JOB, KEY, LATER),
    JobGpusBusy(AT, JOB, KEY),
    AccountsChanged(
        AT,
        AccountsDelta(
            (Account("bio", "root", "Biology", "science", ("ann",)),),
            (User("ann", "bio", AdminLevel.OPERATOR),),
            (
                Association(
                    AssociationKey("bio", "ann", "main"), 20,
                    Limits(5, 10, (("cpu", 8000),), (("gres/gpu", 60),), (), 3600, 2, 4, (("mem", 1024),)),
                    ("normal",), "normal", "new",
                ),
            ),
            (
                Qos("high", 100, "", ("normal",), PreemptMode.REQUEUE, 60, 300, 2000, 500, ("NoDecay",),
                    QosLimits(max_tres_pu=(("cpu", 16_000),))),
            ),
            ("old",), ("bob",), (AssociationKey("old", "bob"),), ("long",), (AssociationKey("bio"),),
        ),
        0,
    ),
    ReservationSet(
        AT,
        Reservation("course", AT, LATER, (NODE,), (4000,), ("ann",), ("bio",), flags=("DAILY",),
                    repeat=Repeat.DAILY, licenses="matlab:2"),
        0,
    ),
    ReservationDeleted(AT, "course", 0),
    JobSuspended(AT, JOB, KEY, -1, ARRAY),
    JobResumed(AT, JOB, KEY, LATER, 0),
    JobQuarantined(AT, JOB, "ValueError: broken"),
    StartsEstimated(AT, (StartEstimate(JOB, AT, LATER, LATER),)),
    StepCreated(AT, STEP, STEP_SPEC, (PART,), LATER),
    StepStarted(AT, STEP, NODE, LATER),
    StepEnding(AT, STEP, EndCause.CANCELLED, 1000),
    StepPartEnded(AT, STEP, NODE, AT, LATER, 3, 9, "terminated", "why", USAGE),
    BatchEnded(AT, KEY, BatchEnd(AT, LATER, 3, 9, "exited", usage=USAGE, detail="why")),
    PartitionSwitched(AT, "gpu", "DRAIN", 0),
    TriggerSet(
        AT,
        Trigger(7, OWNER, TriggerKind.DOWN, "/bin/tell", JOB, (NODE,), 60, True, LATER, (NODE,)),
    ),
    TriggersCleared(AT, (7, 8), 0),
    TriggersFired(AT, (Fired(7, OWNER, "/bin/tell", "n1"),)),
    CrontabSet(
        AT, Crontab(OWNER, "@hourly /bin/job\n", (CronEntry(0, "@hourly", JOB),), ((0, 3600), (9, 7200))), 0
    ),
    CallAnswered(AT, 1000, "key-2", "fingerprint", Refused(RefusalCode.IMPOSSIBLE, "no node", "phrase")),
)  # fmt: skip

JOBS: dict[str, tuple[int, int]] = {
    **{
        type(event).__name__: (JOB, JOB)
        for event in EVENTS
        if type(event).__name__.startswith(("Job", "Attempt", "Step", "Batch"))
    },
    "JobsSubmitted": (JOB, JOB + 1),
    "ArraySubmitted": (ARRAY, ARRAY),
    "ArrayTaskSplit": (JOB, JOB),
    "ArrayRemainderCancelled": (ARRAY, ARRAY),
    "JobsEligible": (ARRAY, JOB),
    "JobsRanked": (ARRAY, JOB),
    "LoansChanged": (JOB, JOB),
    "MemoryEstimated": (0, 0),
    "StartsEstimated": (0, 0),
    "JobUpdated": (ARRAY, ARRAY),
    "JobsForgotten": (0, 0),
}
"""Whose story an event of the kind belongs to; what is not named: nobody's."""


def main() -> None:
    lines = RECORDED.read_text().splitlines() if RECORDED.exists() else []
    written = {line.split()[0] for line in lines}
    lines += [
        f"{record.kind} {record.data.hex()}"
        for record in (encode(event, 1) for event in EVENTS)
        if record.kind not in written
    ]
    RECORDED.write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
