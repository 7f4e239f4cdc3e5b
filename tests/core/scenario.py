"""A cluster for tests of the core: states only what matters, drives `step` and `apply`, checks everything.

    cluster = a_cluster(nodes=2, cpus=8)
    job = cluster.submit(cpus=4)
    cluster.run_cycle()
    cluster.exit(job, 1)
    assert cluster.state_of(job) == "FAILED"

Every event is applied, checked for its effect on states, and kept in `log`; after every input the
invariants hold. Agents answer only when the test lets them (`start`, `exit`, `silence`, `register`).
"""

from __future__ import annotations

from typing import Any

from packhorse.scheduler.core import indices
from packhorse.scheduler.core.accounting import accounting_rows
from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.check import check
from packhorse.scheduler.core.decision import Decision
from packhorse.scheduler.core.node_times import node_rows
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.reservations.times import reservation_rows
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.step import next_timer, step
from packhorse.scheduler.core.steps.rows import step_rows
from packhorse.scheduler.core.transitions import allowed
from packhorse.scheduler.model.accounting import AttemptRow, NodeRow, ReservationRow, StepRow
from packhorse.scheduler.model.cluster import ClusterConfig, Partition
from packhorse.scheduler.model.command import Command, Launch
from packhorse.scheduler.model.event import Event, Item
from packhorse.scheduler.model.ids import US, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.input import (
    Caller,
    Cancel,
    Changes,
    CreateReservation,
    DeleteReservation,
    Hold,
    Input,
    NodeAction,
    RegisterNode,
    Release,
    ReportExit,
    ReportSilence,
    ReportStart,
    Requeue,
    ResumeJobs,
    RunCycle,
    RunningAttempt,
    SignalScope,
    Start,
    Submit,
    SubmitArray,
    SuspendJobs,
    Target,
    Tick,
    UpdateJob,
    UpdateNode,
    UpdateReservation,
)
from packhorse.scheduler.model.job import (
    Active,
    ArraySpec,
    Condition,
    Dependency,
    DependencyKind,
    IndexRange,
    Job,
    JobSpec,
    Owner,
)
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.model.reply import Done, Outcome, Refused, Submitted
from packhorse.scheduler.model.reservation import ListChange, Reservation, ReservationWish
from packhorse.scheduler.model.resources import Ask, Device, Gres

NOON = Instant(1_750_000_000 * US)

USER = Owner(1000, 1000, "mule", "pack")
OTHER = Owner(1001, 1000, "donkey", "pack")
ROOT = Owner(0, 0, "root", "root")
ADMIN = Caller(ROOT, admin=True)


class ManualClock:
    """Time as the test wants it."""

    def __init__(self, now: Instant = NOON) -> None:
        self.now = now

    def advance(self, seconds: float) -> Instant:
        """Let time pass; it never runs backwards."""
        assert seconds >= 0
        self.now = Instant(self.now + round(seconds * US))
        return self.now


def a_node(
    name: str = "n1",
    cpus: int = 8,
    mem_mib: int = 16_000,
    gpus: int = 0,
    features: tuple[str, ...] = (),
    layouts: tuple[tuple[str, ...], ...] = (),
) -> NodeSpec:
    """A machine as its agent would describe it. layouts: how its GPUs may be cut."""
    devices = tuple(Device("gpu", "", index, layouts=layouts) for index in range(gpus))
    return NodeSpec(NodeName(name), name, cpus * 1000, mem_mib, devices=devices, features=features)


def a_spec(*, cpus: int = 1, gpus: int = 0, nodes: int = 1, mem_mib: int = 0, **fields: Any) -> JobSpec:
    """A spec with one task of so many CPUs on each node; fields are those of JobSpec and of Ask."""
    of_ask = {name: fields.pop(name) for name in Ask.__struct_fields__ if name in fields}
    ask = {
        "n_tasks": nodes,
        "min_nodes": nodes,
        "cpu_milli_per_task": cpus * 1000,
        "mem_mib_per_node": mem_mib,
        "gres_per_node": (Gres("gpu", "", gpus),) if gpus else (),
        **of_ask,
    }
    given = {
        "name": "job",
        "partition": "",
        "script_ref": "script",
        "env_ref": "env",
        "work_dir": "/work",
        "time_limit_s": -1,
        **fields,
    }
    return JobSpec(ask=Ask(**ask), **given)


def an_array(text: str) -> ArraySpec:
    """`0-9`, `1,3-7:2%4`."""
    spec, _, limit = text.partition("%")
    ranges = []
    for part in spec.split(","):
        span, _, step_text = part.partition(":")
        low, dash, high = span.partition("-")
        stop = int(high) if dash else int(low)
        ranges.append(IndexRange(int(low), stop, int(step_text or 1)))
    return ArraySpec(tuple(ranges), int(limit or 0))


def after(kind: str, *jobs: int, any_of: bool = False, index: int = -1, delay_s: int = 0) -> Dependency:
    """`after("afterok", 3, 4)`."""
    conditions = tuple(Condition(DependencyKind(kind), JobId(job), index, delay_s) for job in jobs or (0,))
    return Dependency(conditions, any_of)


class Cluster:
    """See the module."""

    def __init__(self, config: ClusterConfig | None = None) -> None:
        self.clock = ManualClock()
        self.state = State.empty()
        self.log: list[Event] = []
        self.rows: list[AttemptRow] = []
        self.node_rows: list[NodeRow] = []
        self.windows: list[ReservationRow] = []
        self.step_rows: list[StepRow] = []
        self.sent: list[Command] = []
        self.boots: dict[str, int] = {}
        self.specs: dict[str, NodeSpec] = {}
        self.do(Start(config or a_config()))

    # -- inputs ------------------------------------------------------------------------------------------

    def do(self, input: Input) -> Decision:
        """One input: decide, apply, check. Commands are kept in `sent`."""
        decision = step(self.state, input, self.clock.now)
        for event in decision.events:
            self.rows += accounting_rows(self.state, event)
            self.node_rows += node_rows(self.state, event)
            self.windows += reservation_rows(self.state, event)
            self.step_rows += step_rows(self.state, event)
            self.before(event)
            before = {id: job.state for id, job in self.state.jobs.items()}
            apply(self.state, event)
            self._check_table(event, before)
        self.log += decision.events
        self.sent += decision.commands
        check(self.state)
        return decision

    def before(self, event: Event) -> None:
        """Called with every event while the state is as it was before."""

    def submit(
        self, *, count: int = 1, caller: Caller | None = None, spec: JobSpec | None = None, **what: Any
    ) -> JobId:
        """Submit and expect success; returns the (first) job's id."""
        reply = self.try_submit(count=count, caller=caller, spec=spec, **what)
        assert isinstance(reply, Submitted), reply
        return reply.first_id

    def try_submit(
        self, *, count: int = 1, caller: Caller | None = None, spec: JobSpec | None = None, **what: Any
    ) -> Submitted | Refused:
        """Submit and return the answer."""
        wanted = spec or a_spec(**what)
        reply = self.do(Submit(caller or Caller(USER), (wanted,), (Item(0),) * count)).reply
        assert isinstance(reply, Submitted | Refused)
        return reply

    def submit_array(self, array: str, *, caller: Caller | None = None, **what: Any) -> JobId:
        """Submit an array and expect success."""
        reply = self.do(SubmitArray(caller or Caller(USER), a_spec(**what), an_array(array))).reply
        assert isinstance(reply, Submitted), reply
        return reply.first_id

    def run_cycle(self) -> list[JobId]:
        """Let the scheduler place work; returns the jobs that were granted nodes."""
        decision = self.do(RunCycle())
        return [command.job for command in decision.commands if isinstance(command, Launch)]

    def start(self, *jobs: int) -> None:
        """The agents say that these jobs run now."""
        for job in jobs:
            active = self.active(job)
            self.do(ReportStart(active.placements[0].node, active.attempt, self.clock.now))

    def run(self, *jobs: int) -> None:
        """A cycle, after which these jobs run."""
        self.run_cycle()
        self.start(*jobs)

    def exit(
        self, job: int, code: int = 0, *, signal: int = 0, attempt: AttemptKey | None = None, **report: Any
    ) -> None:
        """The job's present attempt (or the one given) is over."""
        active = self.job(job).phase
        if attempt is None or (isinstance(active, Active) and active.attempt == attempt):
            active = self.active(job)
            node, key, since = active.placements[0].node, active.attempt, active.started_at
        else:
            node, key, since = NodeName("n1"), attempt, self.clock.now
        given = {"started_at": since or self.clock.now, "ended_at": self.clock.now, **report}
        self.do(ReportExit(node, key, exit_code=code, exit_signal=signal, **given))

    def tick(self) -> Decision:
        """Do what time has made due, once."""
        return self.do(Tick())

    def pass_time(self, seconds: float) -> None:
        """Let time pass, waking the core at every timer on the way as the engine would."""
        end = Instant(self.clock.now + round(seconds * US))
        for _ in range(10_000):
            at = next_timer(self.state)
            if at is None or at > end:
                break
            self.clock.now = Instant(max(self.clock.now, at))
            done = self.tick()
            assert done.events or done.more, f"a timer at {at} was due for nothing"
        else:
            raise AssertionError("timers never end")
        self.clock.now = end

    def cancel(self, *refs: str | int, signal: int = 0, caller: Caller | None = None) -> tuple[Outcome, ...]:
        """scancel; refs as people write them: 12, "12_3", "12_[1-4]"."""
        call = Cancel(caller or Caller(USER), self.targets(*refs), signal, SignalScope.STEPS)
        return self._done(call)

    def hold(
        self, *refs: str | int, caller: Caller | None = None, as_user: bool = False
    ) -> tuple[Outcome, ...]:
        """scontrol hold."""
        return self._done(Hold(caller or Caller(USER), self.targets(*refs), as_user))

    def release(self, *refs: str | int, caller: Caller | None = None) -> tuple[Outcome, ...]:
        """scontrol release."""
        return self._done(Release(caller or Caller(USER), self.targets(*refs)))

    def requeue(
        self, *refs: str | int, hold: bool = False, caller: Caller | None = None
    ) -> tuple[Outcome, ...]:
        """scontrol requeue."""
        return self._done(Requeue(caller or Caller(USER), self.targets(*refs), hold))

    def suspend(self, *refs: str | int, caller: Caller = ADMIN) -> tuple[Outcome, ...]:
        """scontrol suspend."""
        return self._done(SuspendJobs(caller, self.targets(*refs)))

    def go_on(self, *refs: str | int, caller: Caller = ADMIN) -> tuple[Outcome, ...]:
        """scontrol resume, of jobs."""
        return self._done(ResumeJobs(caller, self.targets(*refs)))

    def update(self, *refs: str | int, caller: Caller | None = None, **changes: Any) -> tuple[Outcome, ...]:
        """scontrol update job."""
        return self._done(UpdateJob(caller or Caller(USER), self.targets(*refs), Changes(**changes)))

    def drain(self, name: str, reason: str = "fan") -> tuple[Outcome, ...]:
        """scontrol update node State=DRAIN."""
        return self._done(UpdateNode(ADMIN, (NodeName(name),), NodeAction.DRAIN, reason))

    def down(self, name: str, reason: str = "burnt") -> tuple[Outcome, ...]:
        """scontrol update node State=DOWN."""
        return self._done(UpdateNode(ADMIN, (NodeName(name),), NodeAction.DOWN, reason))

    def resume(self, name: str) -> tuple[Outcome, ...]:
        """scontrol update node State=RESUME."""
        return self._done(UpdateNode(ADMIN, (NodeName(name),), NodeAction.RESUME))

    def register(
        self,
        spec: NodeSpec | str,
        *,
        running: tuple[int, ...] | None = None,
        launching: tuple[int, ...] = (),
        exited: tuple[int, ...] = (),
        reboot: bool = False,
        **known: Any,
    ) -> list[Command]:
        """An agent connects. running: jobs it knows to run (None: all that do); returns what it is told."""
        node = self.specs[spec] if isinstance(spec, str) else spec
        self.specs[node.name] = node
        if reboot:
            self.boots[node.name] = self.boots.get(node.name, 0) + 1
        boot = f"boot-{self.boots.setdefault(node.name, 0)}"
        offer = Offer(1, node.cpu_milli, node.mem_mib)
        if running is None:
            here = self.state.node_columns.jobs_on(node.name) if node.name in self.state.nodes else ()
            running = () if reboot else tuple(id for id in here if self.active(id).started_at)
        decision = self.do(
            RegisterNode(
                node,
                boot,
                offer,
                running=tuple(
                    RunningAttempt(self.active(job).attempt, self.active(job).started_at or self.clock.now)
                    for job in running
                )
                + known.get("also_running", ()),
                launching=tuple(self.active(job).attempt for job in launching),
                exited=tuple(self.active(job).attempt for job in exited),
                kept=known.get("kept", ()),
            )
        )
        return list(decision.commands)

    def silence(self, name: str) -> None:
        """The agent's stream is gone."""
        self.do(ReportSilence(NodeName(name)))

    def try_reserve(
        self,
        name: str = "",
        *,
        start_s: float | None = None,
        hours: float | None = None,
        caller: Caller | None = None,
        update: bool = False,
        **wish: Any,
    ) -> Done | Refused:
        """scontrol create (or update) reservation; start_s: from now. Lists of names as people write them:
        "n1,n2", "+n3", "-n3"."""
        for key in ("nodes", "users", "accounts", "groups", "qos", "flags"):
            if isinstance(wish.get(key), str):
                text = wish[key]
                sign = text[:1] if text[:1] in ("+", "-") else ""
                wish[key] = ListChange(tuple(text.removeprefix(sign).split(",")), sign)
        asked = ReservationWish(
            name,
            Instant(self.clock.now + round(start_s * US)) if start_s is not None else None,
            duration_s=round(hours * 3600) if hours is not None else None,
            **wish,
        )
        make = UpdateReservation if update else CreateReservation
        return self._one(make(caller or ADMIN, asked))

    def reserve(self, name: str = "r", *, start_s: float = 0, hours: float = 1, **wish: Any) -> Reservation:
        """Create a reservation, for mule unless others are named, and expect success."""
        wish.setdefault("users", "mule")
        reply = self.try_reserve(name, start_s=start_s, hours=hours, **wish)
        assert isinstance(reply, Done), reply
        return self.state.reservations[name]

    def change_reservation(self, name: str = "r", **wish: Any) -> Reservation:
        """Update a reservation and expect success."""
        reply = self.try_reserve(name, update=True, **wish)
        assert isinstance(reply, Done), reply
        return self.state.reservations[name]

    def unreserve(self, name: str = "r", caller: Caller | None = None) -> Done | Refused:
        """scontrol delete."""
        return self._one(DeleteReservation(caller or ADMIN, name))

    def _one(self, input: Input) -> Done | Refused:
        """The answer of a call with one outcome."""
        reply = self.do(input).reply
        assert isinstance(reply, Done) and len(reply.outcomes) == 1
        [outcome] = reply.outcomes
        return reply if outcome.code is None else Refused(outcome.code, outcome.message, outcome.slurm)

    # -- what became of it -------------------------------------------------------------------------------

    def job(self, job: int) -> Job:
        """The job as it is."""
        return self.state.jobs[JobId(job)]

    def active(self, job: int) -> Active:
        """Its attempt; fails if it holds no allocation."""
        phase = self.job(job).phase
        assert isinstance(phase, Active), phase
        return phase

    def task(self, array: int, index: int) -> JobId:
        """The job that an index of an array became."""
        return self.state.tasks[JobId(array)].by_index[index]

    def state_of(self, job: int) -> str:
        """Slurm's word for where it is."""
        return self.job(job).state.value

    def reason_of(self, job: int) -> Reason:
        """Why it waits."""
        return self.state.pending_columns.reason(JobId(job))

    def waiting(self, array: int) -> str:
        """Indices of the array that have no job yet."""
        return indices.text(self.state.arrays[JobId(array)].remaining)

    def sent_since(self, n: int) -> list[Command]:
        """Commands after the first n."""
        return self.sent[n:]

    def replayed(self) -> State:
        """A new state made from the log alone."""
        state = State.empty()
        for event in self.log:
            apply(state, event)
        return state

    def targets(self, *refs: str | int) -> tuple[Target, ...]:
        """What people write, as the commands send it."""
        found = []
        for ref in refs:
            job, underscore, rest = str(ref).partition("_")
            array = an_array(rest.strip("[]")) if underscore else None
            found.append(Target(str(ref), JobId(int(job)), array))
        return tuple(found)

    # -- inside ------------------------------------------------------------------------------------------

    def _done(self, input: Input) -> tuple[Outcome, ...]:
        reply = self.do(input).reply
        assert isinstance(reply, Done), reply
        return reply.outcomes

    def _check_table(self, event: Event, before: dict[JobId, Any]) -> None:
        """Every change of a job's state is in the table of transitions."""
        after_event = {id: job.state for id, job in self.state.jobs.items()}
        for id, was in before.items():
            now = after_event.get(id)
            if now is None:
                assert not allowed(type(event), was), f"{event} made {was} vanish"
            elif now is not was:
                assert now in allowed(type(event), was), f"{event} took {id} from {was} to {now}"


def a_config(**fields: Any) -> ClusterConfig:
    """A configuration; partition fields go to `main`, the default partition."""
    of_partition = {name: fields.pop(name) for name in Partition.__struct_fields__ if name in fields}
    of_partition.pop("name", None)
    main = Partition("main", is_default=True, **of_partition)
    return ClusterConfig(name="test", partitions=(main, *fields.pop("others", ())), **fields)


def a_cluster(
    nodes: int = 1, cpus: int = 8, mem_mib: int = 16_000, gpus: int = 0, config: ClusterConfig | None = None
) -> Cluster:
    """A cluster of equal nodes n1, n2 … that are all connected."""
    cluster = Cluster(config or a_config())
    for i in range(1, nodes + 1):
        cluster.register(a_node(f"n{i}", cpus, mem_mib, gpus))
    cluster.sent.clear()
    return cluster
