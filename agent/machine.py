"""The agent's decisions, without I/O: orders and happenings in, instructions out.

Rules it keeps (DESIGN, "Durability, fencing, leases"):

- an attempt is journalled before it is forked, and forked at most once;
- an order for an attempt older than one already seen of the same job is refused, a repeated order is
  answered with what is known and starts nothing;
- a step is ordered, started and reported like an attempt, beside the batch script of its attempt and its
  other steps, and like an attempt it is started once;
- an exit is reported until it is acknowledged, over as many sessions as it takes;
- a scheduler whose leader epoch is older than one already seen is not obeyed.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, auto

import msgspec

from packhorse.agent.orders import (
    Dismissed,
    ExitReport,
    ExitsAcked,
    Heartbeat,
    HeartbeatAnswered,
    Introduction,
    JobOverOrder,
    LaunchOrder,
    Order,
    Report,
    ResumeOrder,
    SignalOrder,
    SuspendOrder,
    SuspensionReport,
    TerminateOrder,
    TimeLimitOrder,
    TunnelOrder,
    UsageSample,
    Welcome,
)
from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId
from packhorse.scheduler.model.input import RunningAttempt
from packhorse.scheduler.model.node import NodeSpec, Offer

SETTLED_KEPT = 100_000
"""Jobs whose newest settled attempt is remembered, so that a late order for it is refused; and so many steps.
"""

LAST_STEP = 1 << 32
"""Above the number of any step."""


class Standing(Enum):
    """How far an attempt has come on this node."""

    JOURNALLING = auto()
    LAUNCHING = auto()
    RUNNING = auto()
    EXITED = auto()


class Attempt(msgspec.Struct):
    """One attempt this node knows. stop: an order to end it that came before it ran. suspended: all of it is
    stopped."""

    key: AttemptKey
    standing: Standing
    order: LaunchOrder | None = None
    started_at: Instant = Instant(0)
    exit: ExitReport | None = None
    stop: TerminateOrder | None = None
    suspended: bool = False


class Send(msgspec.Struct, frozen=True):
    """Tell the scheduler, in the present session."""

    report: Report


class Journal(msgspec.Struct, frozen=True):
    """Write the order down, durably; then say `journalled`."""

    order: LaunchOrder


class Fork(msgspec.Struct, frozen=True):
    """Start the attempt's supervisor; then say `started` or `exited`."""

    order: LaunchOrder


class Tell(msgspec.Struct, frozen=True):
    """Pass an order on to the supervisor of a running attempt."""

    attempt: AttemptKey
    order: SignalOrder | TerminateOrder | TimeLimitOrder | SuspendOrder


class Forget(msgspec.Struct, frozen=True):
    """Remove the attempt's records: the scheduler has them."""

    attempt: AttemptKey


class KeepEpoch(msgspec.Struct, frozen=True):
    """Write down the newest leader epoch seen, durably, before anything of this session is done."""

    epoch: int


class Leave(msgspec.Struct, frozen=True):
    """Close the session. retry: connect again after the usual pause; otherwise stop the agent."""

    reason: str
    retry: bool


class Renew(msgspec.Struct, frozen=True):
    """The scheduler was heard from: leases run anew from now."""


class CloseJob(msgspec.Struct, frozen=True):
    """The attempt is over on all nodes, and nothing of it is left on this one."""

    attempt: AttemptKey


class Resume(msgspec.Struct, frozen=True):
    """Forget what failed prologs and epilogs speak against new work."""


class Dial(msgspec.Struct, frozen=True):
    """Let somebody on another host talk to a step of this node."""

    order: TunnelOrder


Instruction = Send | Journal | Fork | Tell | Forget | KeepEpoch | Leave | Renew | CloseJob | Resume | Dial


class Machine:
    """What one agent knows and decides. Every method returns instructions in the order to follow."""

    def __init__(self, spec: NodeSpec, boot_id: str, offer: Offer, *, epoch: int = 0) -> None:
        self.spec = spec
        self.boot_id = boot_id
        self.offer = offer
        self.epoch = epoch
        self.step_door = ""
        self.kept: tuple[AttemptKey, ...] = ()
        self.attempts: dict[AttemptKey, Attempt] = {}
        self.welcome: Welcome | None = None
        self._in_session = False
        self._introduced = offer
        self._of_job: dict[JobId, dict[AttemptKey, None]] = {}
        """What is known of a job, the batch script and steps, in the order in which it came."""
        self._settled: OrderedDict[JobId, AttemptKey] = OrderedDict()
        """What is not newer than this may not start any more, but for steps of the same attempt."""
        self._settled_steps: OrderedDict[AttemptKey, None] = OrderedDict()
        self._over: dict[AttemptKey, None] = {}
        """Attempts that are over elsewhere and still have something here."""

    @property
    def connected(self) -> bool:
        """A scheduler has welcomed this agent and the session is open."""
        return self.welcome is not None

    # -- what was found on disk when the agent started

    def adopt_running(self, key: AttemptKey, started_at: Instant, suspended: bool = False) -> None:
        self._know(Attempt(key, Standing.RUNNING, started_at=started_at, suspended=suspended))

    def adopt_exit(self, report: ExitReport) -> None:
        self._know(Attempt(report.attempt, Standing.EXITED, started_at=report.started_at, exit=report))

    # -- sessions

    def session_opened(self) -> list[Instruction]:
        self._in_session = True
        self._introduced = self.offer
        self.welcome = None
        return [Send(self._introduction())]

    def session_closed(self) -> list[Instruction]:
        self._in_session = False
        self.welcome = None
        return []

    def epoch_not_kept(self, epoch: int) -> None:
        """The newest epoch could not be written down: it was not obeyed, and the session must end.

        epoch: what is written down.
        """
        self.epoch = epoch
        self.welcome = None

    def _introduction(self) -> Introduction:
        by_key = sorted(self.attempts.values(), key=lambda attempt: attempt.key)
        return Introduction(
            spec=self.spec,
            boot_id=self.boot_id,
            offer=self.offer,
            running=tuple(
                RunningAttempt(a.key, a.started_at, a.suspended)
                for a in by_key
                if a.standing is Standing.RUNNING
            ),
            launching=tuple(
                a.key for a in by_key if a.standing in (Standing.JOURNALLING, Standing.LAUNCHING)
            ),
            exited=tuple(a.key for a in by_key if a.standing is Standing.EXITED),
            step_door=self.step_door,
            kept=self.kept,
        )

    # -- orders

    def received(self, order: Order) -> list[Instruction]:
        match order:
            case Welcome():
                return self._welcomed(order)
            case Dismissed(reason=reason, retry=retry):
                return [Leave(reason, retry)]
            case HeartbeatAnswered():
                return [Renew()]
        if self.welcome is None:
            return [Leave(f"{type(order).__name__} came before the welcome", retry=True)]
        match order:
            case LaunchOrder():
                return self._launch(order)
            case ExitsAcked(attempts=keys):
                return self._acked(keys)
            case ResumeOrder():
                return [Resume()]
            case TunnelOrder():
                return [Dial(order)]
            case JobOverOrder(attempt=key):
                return self._job_over(key)
            case TerminateOrder(attempt=key):
                return self._terminate(key, order)
            case SignalOrder(attempt=key) | TimeLimitOrder(attempt=key) | SuspendOrder(attempt=key):
                known = self.attempts.get(key)
                running = known is not None and known.standing is Standing.RUNNING
                return [Tell(key, order)] if running else []

    def _welcomed(self, welcome: Welcome) -> list[Instruction]:
        if welcome.epoch < self.epoch:
            return [
                Leave(
                    f"the scheduler's epoch {welcome.epoch} is older than {self.epoch}, already obeyed here",
                    retry=True,
                )
            ]
        out: list[Instruction] = []
        if welcome.epoch > self.epoch:
            self.epoch = welcome.epoch
            out.append(KeepEpoch(welcome.epoch))
        self.welcome = welcome
        out.append(Renew())
        if self.offer != self._introduced:
            out.append(Send(self.offer))  # it changed between introduction and welcome
        out.extend(
            Send(attempt.exit)
            for attempt in sorted(self.attempts.values(), key=lambda attempt: attempt.key)
            if attempt.exit is not None
        )
        return out

    def _launch(self, order: LaunchOrder) -> list[Instruction]:
        known = self.attempts.get(order.attempt)
        if known is not None:
            if known.standing is Standing.RUNNING:
                return [Send(RunningAttempt(known.key, known.started_at))]
            return [Send(known.exit)] if known.exit is not None else []
        if why := self._objection(order.attempt):
            return [self._refusal(order.attempt, why)]
        self._know(Attempt(order.attempt, Standing.JOURNALLING, order=order))
        return [Journal(order)]

    def _objection(self, key: AttemptKey) -> str:
        """Why this may not start, "" if it may."""
        whole = key.whole
        settled = self._settled.get(key.job)
        if settled is not None and key <= settled:  # a step is newer than the batch script of its attempt
            return f"attempt {settled.whole} of this job is newer or already settled"
        if key in self._settled_steps:
            return f"step {key} is already settled"
        for other in self._of_job.get(key.job, ()):
            if other.whole > whole:
                return f"attempt {other.whole} of this job is newer or already settled"
            if other.whole < whole and self.attempts[other].standing is not Standing.EXITED:
                return f"attempt {other} of this job still runs here"
        return ""

    @staticmethod
    def _refusal(key: AttemptKey, why: str) -> Send:
        return Send(
            ExitReport(key, Instant(0), Instant(0), cause="refused", launch_error=why, refused=True),
        )

    def _terminate(self, key: AttemptKey, order: TerminateOrder) -> list[Instruction]:
        known = self.attempts.get(key)
        if known is None:
            # Never heard of it, or settled long ago: say so, or the scheduler would wait for ever;
            # and should its launch still come, it must not start.
            self._settle(key)
            return [self._refusal(key, "no such attempt on this node")]
        if known.exit is not None:
            return [Send(known.exit)]
        if known.standing is Standing.RUNNING:
            return [Tell(key, order)]
        known.stop = order
        return []

    def _acked(self, keys: tuple[AttemptKey, ...]) -> list[Instruction]:
        out: list[Instruction] = []
        for key in keys:
            known = self.attempts.get(key)
            if known is None or known.exit is None:
                continue
            del self.attempts[key]
            del self._of_job[key.job][key]
            if not self._of_job[key.job]:
                del self._of_job[key.job]
            self._settle(key)
            out.append(Forget(key))
        return out

    def _settle(self, key: AttemptKey) -> None:
        """It may not start any more, nor an older attempt of its job."""
        if key.step >= 0:
            self._settled_steps[key] = None
            if len(self._settled_steps) > SETTLED_KEPT:
                self._settled_steps.popitem(last=False)
        self._let_start_after(key.whole)

    def _let_start_after(self, key: AttemptKey) -> None:
        self._settled[key.job] = max(key, self._settled.get(key.job, key))
        self._settled.move_to_end(key.job)
        if len(self._settled) > SETTLED_KEPT:
            self._settled.popitem(last=False)

    def _job_over(self, key: AttemptKey) -> list[Instruction]:
        """Nothing of it may start here any more; when nothing of it is left its records may go."""
        self._let_start_after(AttemptKey(key.job, key.number, key.epoch, LAST_STEP))
        if self._left_of(key):
            self._over[key] = None
            return []
        return [CloseJob(key)]

    def _left_of(self, whole: AttemptKey) -> bool:
        """Something of the attempt has not ended here."""
        return any(
            key.whole == whole and self.attempts[key].standing is not Standing.EXITED
            for key in self._of_job.get(whole.job, ())
        )

    # -- what happened on the node

    def journalled(self, key: AttemptKey, at: Instant) -> list[Instruction]:
        """The order is on disk. Forks it, unless it was told to stop meanwhile."""
        known = self.attempts[key]
        assert known.order is not None, "only orders are journalled"
        if (stopped := self.stopped_before(key, at)) is not None:
            return self.exited(stopped)
        known.standing = Standing.LAUNCHING
        return [Fork(known.order)]

    def stopped_before(self, key: AttemptKey, at: Instant) -> ExitReport | None:
        """How an attempt ended that was told to stop before it was forked, None if it was not."""
        known = self.attempts[key]
        if known.stop is None:
            return None
        return ExitReport(key, Instant(0), at, exit_signal=15, cause="terminated")

    def started(self, key: AttemptKey, at: Instant) -> list[Instruction]:
        known = self.attempts[key]
        known.standing = Standing.RUNNING
        known.started_at = at
        known.order = None  # large, and on disk
        out = self._say(RunningAttempt(key, at))
        if known.stop is not None:
            out.append(Tell(key, known.stop))
            known.stop = None
        return out

    def suspended(self, report: SuspensionReport) -> list[Instruction]:
        """An order to suspend or continue was carried out, or could not be."""
        known = self.attempts.get(report.attempt)
        if known is None or known.standing is not Standing.RUNNING:
            return []
        known.suspended = report.suspended
        return self._say(report)

    def exited(self, report: ExitReport) -> list[Instruction]:
        known = self.attempts.get(report.attempt)
        if known is None or known.exit is not None:
            return []
        known.standing = Standing.EXITED
        known.exit = report
        known.order = None
        out = self._say(report)
        whole = report.attempt.whole
        if whole in self._over and not self._left_of(whole):
            del self._over[whole]
            out.append(CloseJob(whole))
        return out

    def offered(self, offer: Offer) -> list[Instruction]:
        """The node can take something else than before; the epoch is counted here."""
        self.offer = msgspec.structs.replace(offer, epoch=self.offer.epoch + 1)
        return self._say(self.offer)

    def sampled(self, sample: UsageSample) -> list[Instruction]:
        return self._say(sample)

    def heartbeat(self, at: Instant) -> list[Instruction]:
        return self._say(Heartbeat(at))

    def running(self) -> list[AttemptKey]:
        return sorted(key for key, a in self.attempts.items() if a.standing is Standing.RUNNING)

    # -- bookkeeping

    def _say(self, report: Report) -> list[Instruction]:
        return [Send(report)] if self.welcome is not None else []

    def _know(self, attempt: Attempt) -> None:
        self.attempts[attempt.key] = attempt
        self._of_job.setdefault(attempt.key.job, {})[attempt.key] = None

    def runs_beside(self, key: AttemptKey) -> bool:
        """Whether something else of the same attempt has not ended here."""
        return any(
            other != key and other.whole == key.whole and self.attempts[other].standing is not Standing.EXITED
            for other in self._of_job.get(key.job, ())
        )
