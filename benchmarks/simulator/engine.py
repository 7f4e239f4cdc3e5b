"""The simulator's loop: the next thing that happens goes into the very `step` that the daemon calls.

The heap holds what the world will do: jobs that end, machines that fail and come back. Everything that
happens at one instant is told first, ends before arrivals, then one scheduling cycle follows, as in the
daemon, where a cycle sees all that came in while the last one ran. Not one rule about jobs is here: what is
decided comes out of the core as commands, and the world carries them out.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Final

import numpy as np
from msgspec.structs import replace

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.decision import Decision
from packhorse.scheduler.core.grant import n_to_serve
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.step import next_timer, step
from packhorse.scheduler.core.when.note import due, estimates
from packhorse.scheduler.model.accounts import AccountsDelta
from packhorse.scheduler.model.accounts_change import AccountChange
from packhorse.scheduler.model.cluster import AccountsPolicy, ClusterConfig, Enforce
from packhorse.scheduler.model.command import Continue, Launch, Suspend, Terminate
from packhorse.scheduler.model.errors import BadValue, PackhorseError
from packhorse.scheduler.model.event import (
    AccountsChanged,
    Event,
    Item,
    JobEnded,
    JobGranted,
    JobRequeued,
    JobResumed,
    JobsForgotten,
    JobSuspended,
    StartsEstimated,
)
from packhorse.scheduler.model.ids import US, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.input import (
    Caller,
    ChangeAccounts,
    CreateReservation,
    Input,
    NoteEstimates,
    RegisterNode,
    ReportExit,
    ReportSilence,
    ReportStart,
    ReportUsage,
    RunCycle,
    Start,
    Submit,
    Tick,
)
from packhorse.scheduler.model.job import Active, EndCause, Owner
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.model.reply import Done, Refused, Submitted
from packhorse.scheduler.model.resources import Placement
from packhorse.simulator.asks import Asks, LimitOf, asked, clairvoyant, with_models
from packhorse.simulator.lab_policy import LabPolicy
from packhorse.simulator.memory import Memory, Use
from packhorse.simulator.outcome import NOT_YET, Outcome
from packhorse.simulator.reservations import Made
from packhorse.simulator.sampling import Sampler
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.world import Dice, World

ORIGIN: Final = Instant(1_000_000_000 * US)
"""Instant of the trace's second 0: time 0 means "unknown" to the scheduler."""

_TERM: Final = 15
_KILL: Final = 9

_FINISHED: Final = 1000
_LONG_S: Final = 100 * 366 * 86_400
"""Finished jobs are forgotten when there are too many, never because time has passed: that would be a tick
for nearly every job."""


class NotRunnable(PackhorseError):
    """A job of the trace that the cluster refuses: which one and why."""


class PolicyFailed(PackhorseError):
    """A pass raised. A live cluster goes on without the job, or by the plainest policy (core/quarantine.py);
    figures of such a run would not be those of the policy that it is named after."""


class _Kind(IntEnum):
    """What happens next, in the order of what happens at one instant."""

    EXIT = 0
    BACK = 1
    FAIL = 2
    STARTED = 3
    REPORT = 4
    RESERVE = 5


_ADMIN: Final = Caller(Owner(0, 0, "root", "root"), admin=True)

CONFIG: Final = ClusterConfig(
    min_job_age_s=_LONG_S,
    max_finished_kept=_FINISHED,
    max_requeues=1 << 30,
    accounts=AccountsPolicy(Enforce.ACCOUNTS),
)
"""Of a simulated cluster, where nothing else is said: traces name users whom no file of accounts lists."""


class Simulation:
    """One run. Give it jobs by `run`, then ask for the `outcome`.

    keep_going: jobs that the cluster refuses are left out and listed in `refused`; otherwise NotRunnable.
    seen: is told every event; progress: how many jobs have ended, now and then. limit: of jobs, unless the
    policy is clairvoyant. before: is told every event that is about to change the state. uses: of memory
    over time, by the names that jobs give. estimate: what draws for estimates of starts depend on; None:
    there are no estimates. accounts: changes of the empty book, made first; book: or all that there
    is in one, known to be right; account_of: see Asks. Raises BadValue for changes that are refused.
    reservations: when they are made, by time. after_pass: is called when a pass is over.
    """

    def __init__(
        self,
        policy: LabPolicy,
        nodes: Sequence[NodeSpec],
        world: World,
        config: ClusterConfig | None = None,
        keep_going: bool = False,
        seen: Callable[[Event], None] | None = None,
        progress: Callable[[int], None] | None = None,
        limit: LimitOf = asked,
        uses: Mapping[str, Use] | None = None,
        before: Callable[[Event], None] | None = None,
        estimate: int | None = None,
        accounts: tuple[AccountChange, ...] = (),
        account_of: str = "default",
        reservations: Sequence[Made] = (),
        after_pass: Callable[[], None] | None = None,
        book: AccountsDelta | None = None,
    ) -> None:
        self.policy = policy
        self.state = State.empty()
        self.now_us = 0
        self.refused: list[tuple[str, str]] = []
        self.n_cycles = 0
        self._nodes = tuple(with_models(spec) for spec in nodes)
        self._world = world
        self._dice = Dice(world)
        self._keep_going = keep_going
        self._seen, self._before, self._progress = seen, before, progress
        self._after_pass = after_pass
        self._estimate = estimate
        base = config or CONFIG
        self._asks = Asks(
            nodes,
            clairvoyant if policy.clairvoyant else limit,
            frozenset(partition.name for partition in base.partitions),
            account_of,
        )
        self._arrivals = _Arrivals((), world.think_times)
        self._heap: list[tuple[int, _Kind, int, object]] = []
        self._n_entries = 0
        self._sampler = Sampler()
        self._jobs: list[TraceJob] = []
        self._number: dict[JobId, int] = {}
        self._boots = dict.fromkeys([spec.name for spec in nodes], 0)
        self._start: list[int] = []
        self._end: list[int] = []
        self._restarts: list[int] = []
        self._lost: list[int] = []
        self._stopped: list[int] = []
        self._since: list[int] = []
        self._began: list[int] = []
        """The first instruction of what was launched last."""
        self._attempt: list[AttemptKey | None] = []
        self._to_run: list[int] = []
        """What each job still has to run."""
        self._ends_at: list[int] = []
        """When what was launched last ends by itself, unless it is suspended."""
        self._suspended_at: list[int] = []
        self._stood_us: list[int] = []
        """For how long it was suspended before that."""
        self._where: list[tuple[str, ...]] = []
        self._names: dict[tuple[Placement, ...], tuple[str, ...]] = {}
        self._cpu_milli = self._gpu_milli = 0
        self._n_ended = 0
        self._memory = Memory(uses or {})
        self._changed = True
        """Something happened since the last cycle that one could make a difference for."""
        self._do(Start(policy.configured(replace(base, origin=ORIGIN))))
        if accounts:
            reply = self._do(ChangeAccounts(Caller(Owner(0, 0, "root", "root"), admin=True), accounts)).reply
            if isinstance(reply, Refused):
                raise BadValue(f"accounts: {reply.message}")
        if book is not None:
            self._tell(AccountsChanged(Instant(ORIGIN), book, 0))
        for spec in self._nodes:
            self._register(spec)
        for made in reservations:
            if made.at_us <= 0:
                self._reserve(made)
            else:
                self._push(made.at_us, _Kind.RESERVE, made)
        if world.report_s:
            self._push(0, _Kind.REPORT, None)
        if world.failures_per_day:
            self._push(self._dice.next_failure_us(len(nodes)), _Kind.FAIL, None)

    # -- running -----------------------------------------------------------------------------------------

    def run(self, jobs: Iterable[TraceJob], until_us: int | None = None) -> None:
        """Everything until the last job has ended, or until then. Jobs by time of submission."""
        self._arrivals = arrivals = _Arrivals(jobs, self._world.think_times)
        while True:
            times = [arrivals.next_us, self._heap[0][0] if self._heap and not self._idle(arrivals) else None]
            # Nobody wakes up only to forget.
            state = self.state
            wakes = state.batch.wake_at or state.held.wake_at or state.preempting.wake_at
            due = len(self.state.timers) or wakes or self.state.reservations
            timer = next_timer(self.state) if due else None
            if timer is not None and len(self.state.jobs) > len(self.state.finished):
                times.append(timer - ORIGIN)
            known = [at for at in times if at is not None]
            if not known or (until_us is not None and min(known) > until_us):
                break
            self.now_us = max(min(known), self.now_us)
            self._instant(arrivals)

    @property
    def killed(self) -> list[TraceJob]:
        """Jobs that their machine ended because it had no memory left, as often as it did."""
        return self._memory.killed

    def outcome(self, trace: str) -> Outcome:
        """What became of the jobs that have come so far."""
        return Outcome(
            self.policy.name,
            trace,
            self._world.seed,
            self._jobs,
            np.array(self._start, dtype=np.int64),
            np.array(self._end, dtype=np.int64),
            np.array(self._restarts, dtype=np.int64),
            np.array(self._lost, dtype=np.int64),
            np.array(self._stopped, dtype=np.int64),
            self._where,
            sum(spec.cpu_milli for spec in self._nodes),
            sum(1 for spec in self._nodes for d in spec.devices if d.kind == "gpu"),
            self._sampler.samples(),
            self._world.think_times,
        )

    def _idle(self, arrivals: _Arrivals) -> bool:
        """Whether only machines that fail and come back are left to happen."""
        return arrivals.done and self._n_ended == len(self._jobs)

    def _instant(self, arrivals: _Arrivals) -> None:
        """All that happens now, and one cycle."""
        now = self.now_us
        if self._world.one_by_one:
            for job in arrivals.until(now):
                self._submit(job)
                self._cycle()
        while self._heap and self._heap[0][0] <= now:
            _, kind, _, what = heapq.heappop(self._heap)
            self._happen(kind, what)
            if self._world.one_by_one:
                self._cycle()
        for job in arrivals.until(now):
            self._submit(job)
        self._cycle()
        if self._sampler.due(now):
            self._sampler.look(self.state, now, self._cpu_milli, self._gpu_milli)

    def _cycle(self) -> None:
        """What time brings about by now, and a scheduling cycle if anybody waits."""
        now = self.now_us
        timer = next_timer(self.state)
        while timer is not None and timer <= ORIGIN + now:
            wanted = self._do(Tick()).more  # which itself says whether something changed
            self._changed |= wanted
            timer = next_timer(self.state)
        if self._changed and n_to_serve(self.state):
            self.n_cycles += 1
            while self._do(RunCycle()).more:
                pass
            if self._after_pass is not None:
                self._after_pass()
            if self._estimate is not None:
                self._tell_starts(self._estimate)
        self._changed = False

    def _tell_starts(self, seed: int) -> None:
        """Jobs that go on waiting are told when they will start, those who are due."""
        now = Instant(ORIGIN + self.now_us)
        if wanted := due(self.state, now):
            self._do(NoteEstimates(tuple(estimates(self.state, now, seed, wanted))))

    def _happen(self, kind: _Kind, what: object) -> None:
        if kind is _Kind.EXIT:
            assert isinstance(what, ReportExit)
            if self._is_late(what):
                return
            if self._runs(what.attempt, min(self._began_at(what.attempt), what.ended_at), what.started_at):
                self._do(what)
        elif kind is _Kind.STARTED:
            assert isinstance(what, ReportStart)
            if self._runs(what.attempt, self._began_at(what.attempt), what.started_at):
                self._do(what)
        elif kind is _Kind.RESERVE:
            assert isinstance(what, Made)
            self._reserve(what)
        elif kind is _Kind.REPORT:
            self._report_use()
            self._push(self.now_us + round(self._world.report_s * US), _Kind.REPORT, None)
        elif kind is _Kind.FAIL:
            spec = self._nodes[self._dice.node(len(self._nodes))]
            if self.state.nodes[spec.name].reachable:
                self._do(ReportSilence(spec.name))
                self._push(self.now_us + round(self._world.repair_s * US), _Kind.BACK, spec)
            self._push(self.now_us + self._dice.next_failure_us(len(self._nodes)), _Kind.FAIL, None)
        else:
            assert isinstance(what, NodeSpec)
            self._boots[what.name] += 1
            self._register(what)

    def _reserve(self, made: Made) -> None:
        """What an administrator would do."""
        reply = self._do(CreateReservation(_ADMIN, made.wish_from(ORIGIN))).reply
        assert isinstance(reply, Done)
        for outcome in reply.outcomes:
            if outcome.code is not None:
                raise NotRunnable(f"reservation {outcome.ref}: {outcome.message}")

    def _report_use(self) -> None:
        """Machines say what is used of their memory, once they have ended jobs where there is none left."""
        columns = self.state.node_columns
        for spec in self._nodes:
            running = [
                (job, self._jobs[self._number[id]], self._began[self._number[id]] + self._stood(id))
                for id in columns.jobs_on(spec.name)
                if isinstance((job := self.state.jobs[id]).phase, Active)
            ]
            if not running or not self.state.nodes[spec.name].reachable:
                continue
            found = self._memory.look(spec, running, self.now_us)
            for attempt in found.ended:
                began = self._began[self._number[attempt.job]]
                self._exit_at(self.now_us, spec.name, attempt, began, _KILL, cause="oom")
            at = Instant(ORIGIN + self.now_us)
            self._changed |= self._do(ReportUsage(spec.name, at, found.free_mib, None, found.used)).more

    def _is_late(self, exit: ReportExit) -> bool:
        """Whether the attempt would have ended by itself, but was suspended on the way."""
        if exit.exit_signal or exit.cause != "exited":
            return False
        number = self._number[exit.attempt.job]
        return self._suspended_at[number] != NOT_YET or self._ends_at[number] > self.now_us

    def _stood(self, id: JobId) -> int:
        """For how long what was launched last has been suspended."""
        number = self._number[id]
        since = self._suspended_at[number]
        return self._stood_us[number] + (self.now_us - since if since != NOT_YET else 0)

    def _began_at(self, attempt: AttemptKey) -> Instant:
        return Instant(ORIGIN + self._began[self._number[attempt.job]])

    def _runs(self, attempt: AttemptKey, began: Instant, said: Instant) -> bool:
        """Whether the attempt is alive: the last one of its job, launched last when it says that it began,
        and none of its machines has failed."""
        job = self.state.jobs.get(attempt.job)
        if began != said:
            return False
        if job is None or not isinstance(job.phase, Active) or job.phase.attempt != attempt:
            return False
        return all(self.state.nodes[placement.node].reachable for placement in job.phase.placements)

    # -- telling and doing -------------------------------------------------------------------------------

    def _do(self, input: Input) -> Decision:
        decision = step(self.state, input, Instant(ORIGIN + self.now_us))
        if decision.trouble is not None:
            raise PolicyFailed(f"the policy failed at second {self.now_us // US}: {decision.trouble.error}")
        for event in decision.events:
            kind = type(event)
            if kind is JobGranted:
                self._granted(event)  # type: ignore[arg-type]
            elif kind is JobEnded or kind is JobRequeued:
                self._left(event)  # type: ignore[arg-type]
            if kind is JobSuspended or kind is JobResumed:
                self._paused(event)  # type: ignore[arg-type]
            self._tell(event)
            self._changed |= kind is not JobsForgotten and kind is not StartsEstimated
        for command in decision.commands:
            if type(command) is Launch:
                self._launch(command)
            elif type(command) is Terminate:
                self._terminate(command)
            elif type(command) is Suspend:
                self._suspend(command)
            elif type(command) is Continue:
                self._continue(command)
        return decision

    def _tell(self, event: Event) -> None:
        if self._before is not None:
            self._before(event)
        apply(self.state, event)
        if self._seen is not None:
            self._seen(event)

    def _submit(self, job: TraceJob) -> None:
        try:
            spec = self._asks.spec(job)
        except BadValue as bad:
            self._refuse(job, str(bad))
            return
        reply = self._do(Submit(self._asks.caller(job), (spec,), (Item(0),))).reply
        if isinstance(reply, Refused):
            self._refuse(job, reply.message)
            return
        assert isinstance(reply, Submitted)
        self._number[reply.first_id] = len(self._jobs)
        self._jobs.append(job)
        self._start.append(NOT_YET)
        self._end.append(NOT_YET)
        self._restarts.append(0)
        self._lost.append(0)
        self._stopped.append(0)
        self._since.append(NOT_YET)
        self._began.append(NOT_YET)
        self._attempt.append(None)
        self._to_run.append(job.run_us)
        self._ends_at.append(NOT_YET)
        self._suspended_at.append(NOT_YET)
        self._stood_us.append(0)
        self._where.append(())

    def _refuse(self, job: TraceJob, why: str) -> None:
        if not self._keep_going:
            raise NotRunnable(f"job {job.id}: {why}")
        self.refused.append((job.id, why))
        self._arrivals.ended(job.id, self.now_us)

    def _launch(self, command: Launch) -> None:
        number = self._number[command.job]
        job = self._jobs[number]
        if self._attempt[number] == command.attempt:  # its machine has failed and come back without it
            self._restarts[number] += 1
            self._lost[number] += self.now_us - self._since[number]
            self._since[number] = self.now_us
            self._to_run[number] = job.run_us
        self._attempt[number] = command.attempt
        self._began[number] = began = self.now_us + round(self._world.launch_s * US)
        if self._world.enforce_limits:
            at = Instant(ORIGIN + began)
            if began > self.now_us:
                self._push(began, _Kind.STARTED, ReportStart(command.node, command.attempt, at))
            else:
                self._do(ReportStart(command.node, command.attempt, at))
        run_us = self._jobs[number].start_us + self._to_run[number]
        self._ends_at[number] = began + run_us
        self._suspended_at[number], self._stood_us[number] = NOT_YET, 0
        self._exit_at(began + run_us, command.node, command.attempt, began, 0)

    def _suspend(self, command: Suspend) -> None:
        number = self._number[command.attempt.job]
        if self._attempt[number] == command.attempt and self._suspended_at[number] == NOT_YET:
            self._suspended_at[number] = self.now_us

    def _continue(self, command: Continue) -> None:
        """It ends as much later as it was suspended."""
        number = self._number[command.attempt.job]
        since = self._suspended_at[number]
        if self._attempt[number] != command.attempt or since == NOT_YET:
            return
        self._suspended_at[number] = NOT_YET
        self._stood_us[number] += self.now_us - since
        self._ends_at[number] += self.now_us - since
        self._exit_at(self._ends_at[number], command.node, command.attempt, self._began[number], 0)

    def _terminate(self, command: Terminate) -> None:
        """It ends at once, or when it has taken its leave. The exit it would have had later finds nobody any
        more."""
        number = self._number[command.attempt.job]
        self._exit_at(
            self.now_us + round(self._world.stop_s * US),
            command.node,
            command.attempt,
            self._began[number],
            _TERM,
        )

    def _exit_at(
        self,
        at_us: int,
        node: NodeName,
        attempt: AttemptKey,
        began_us: int,
        signal: int,
        cause: str = "exited",
    ) -> None:
        began = Instant(ORIGIN + min(began_us, at_us))
        report = ReportExit(node, attempt, began, Instant(ORIGIN + at_us), exit_signal=signal, cause=cause)
        self._push(at_us, _Kind.EXIT, report)

    def _register(self, spec: NodeSpec) -> None:
        boot = f"boot{self._boots[spec.name]}"
        self._do(RegisterNode(spec, boot, Offer(1, spec.cpu_milli, spec.mem_mib)))

    def _push(self, at_us: int, kind: _Kind, what: object) -> None:
        self._n_entries += 1
        heapq.heappush(self._heap, (at_us, kind, self._n_entries, what))

    # -- keeping the books -------------------------------------------------------------------------------

    def _granted(self, event: JobGranted) -> None:
        number = self._number[event.job]
        if self._start[number] == NOT_YET:
            self._start[number] = self.now_us
        else:
            self._restarts[number] += 1
            self._stopped[number] += self.now_us - self._since[number]
        self._since[number] = self.now_us
        names = self._names.get(event.placements)
        if names is None:
            if len(self._names) > 10_000:
                self._names.clear()
            names = self._names[event.placements] = tuple(str(p.node) for p in event.placements)
        self._where[number] = names
        self._count(event.placements, 1)

    def _left(self, event: JobEnded | JobRequeued) -> None:
        job = self.state.jobs[event.job]
        number = self._number[event.job]
        if isinstance(job.phase, Active):
            if job.phase.suspended_at:
                self._cpu_milli += sum(p.cpu_milli for p in job.phase.placements)
            self._count(job.phase.placements, -1)
        if isinstance(event, JobEnded):
            self._end[number] = self.now_us
            self._n_ended += 1
            self._arrivals.ended(self._jobs[number].id, self.now_us)
            if self._progress is not None and not self._n_ended % 256:
                self._progress(self._n_ended)
        else:
            held_us, kept_us = self.now_us - self._since[number] - self._stood(event.job), 0
            if event.cause is EndCause.PREEMPTED and self._world.keeps_work:
                before_us = round(self._world.launch_s * US) + self._jobs[number].start_us
                kept_us = min(max(held_us - before_us, 0), self._to_run[number])
                self._to_run[number] -= kept_us
            else:
                self._to_run[number] = self._jobs[number].run_us
            self._lost[number] += held_us - kept_us
            self._since[number] = self.now_us

    def _paused(self, event: JobSuspended | JobResumed) -> None:
        phase = self.state.jobs[event.job].phase
        assert isinstance(phase, Active)
        cpu_milli = sum(p.cpu_milli for p in phase.placements)
        self._cpu_milli += cpu_milli if isinstance(event, JobResumed) else -cpu_milli

    def _count(self, placements: tuple[Placement, ...], sign: int) -> None:
        for placement in placements:
            self._cpu_milli += sign * placement.cpu_milli
            for d in placement.devices:
                if d.kind == "gpu":
                    self._gpu_milli += sign * d.milli * len(d.indices)


class _Arrivals:
    """Jobs by time of submission. think_times: see World."""

    def __init__(self, jobs: Iterable[TraceJob], think_times: bool) -> None:
        self._jobs: Iterator[TraceJob] = iter(jobs)
        self._next: TraceJob | None = next(self._jobs, None)
        self._n = 0
        self._later: list[tuple[int, int, TraceJob]] = []
        self._think_times = think_times
        self._waiting: dict[str, list[TraceJob]] = {}
        self._ended: dict[str, int | None] = {}
        """When the jobs that came so far have ended, None: not yet."""
        self._last_us = -(1 << 62)

    @property
    def done(self) -> bool:
        """Whether nobody comes any more."""
        return self._next is None and not self._later and not self._waiting

    @property
    def next_us(self) -> int | None:
        """When the next one comes, None: not before another one ends, or never."""
        first = self._next.submit_us if self._next is not None else None
        later = self._later[0][0] if self._later else None
        if first is None or later is None:
            return first if later is None else later
        return min(first, later)

    def until(self, now_us: int) -> Iterator[TraceJob]:
        """Those that come up to now."""
        while self._later and self._later[0][0] <= now_us:
            yield self._came(heapq.heappop(self._later)[2])
        while self._next is not None and self._next.submit_us <= now_us:
            job = self._next
            if job.submit_us < self._last_us:
                raise NotRunnable(
                    f"job {job.id}: submitted at {job.submit_us / US:g} s, before the one above it in the "
                    f"trace ({self._last_us / US:g} s); sort the trace by time of submission"
                )
            self._last_us = job.submit_us
            self._next = next(self._jobs, None)
            if not self._think_times:
                yield job
            elif job.after not in self._ended:
                yield self._came(job)
            else:
                ended_us = self._ended[job.after]
                if ended_us is None:
                    self._waiting.setdefault(job.after, []).append(job)
                elif ended_us + job.think_us > now_us:
                    self._put_off(job, ended_us)
                else:
                    yield self._came(job)

    def ended(self, id: str, now_us: int) -> None:
        """A job has ended for good, or was refused."""
        if self._think_times:
            self._ended[id] = now_us
            for job in self._waiting.pop(id, ()):
                self._put_off(job, now_us)

    def _put_off(self, job: TraceJob, ended_us: int) -> None:
        self._n += 1
        heapq.heappush(self._later, (max(ended_us + job.think_us, job.submit_us), self._n, job))

    def _came(self, job: TraceJob) -> TraceJob:
        self._ended[job.id] = None
        return job
