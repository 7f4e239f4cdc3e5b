"""Agents and the wires to them, simulated: what the core's commands do, and everything that can go wrong.

An agent here keeps the rules of the real one (agent/machine.py): it starts an attempt at most once, refuses
those that are not newer than what it has seen of the job, keeps an exit until it is acknowledged, and stops
leased work by itself. Messages wait in both directions until they are delivered, may arrive twice or out of
order, and are lost with the stream. `Agent.running` is the truth about what runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from packhorse.scheduler.model.command import AckExit, Command, Continue, Launch, Suspend, Terminate
from packhorse.scheduler.model.ids import US, AttemptKey, Instant, JobId
from packhorse.scheduler.model.input import (
    Input,
    RegisterNode,
    ReportExit,
    ReportStart,
    ReportSuspension,
    RunningAttempt,
)
from packhorse.scheduler.model.node import NodeSpec, Offer

UNKNOWN = Instant(0)


class Truth:
    """What really happened, whoever heard of it: which attempts began, and how they ended."""

    def __init__(self) -> None:
        self.begun: set[AttemptKey] = set()
        self.ended: dict[AttemptKey, ReportExit] = {}

    def begins(self, key: AttemptKey) -> None:
        """An attempt begins once in the whole cluster, ever."""
        assert key not in self.begun, f"{key} begins a second time"
        self.begun.add(key)


@dataclass
class Agent:
    """One node and its agent. inbox: commands on their way here; outbox: reports on their way out."""

    spec: NodeSpec
    truth: Truth
    boot: int = 0
    connected: bool = False
    silent_since: Instant = UNKNOWN
    offers: int = 0
    launching: dict[AttemptKey, None] = field(default_factory=dict)
    running: dict[AttemptKey, Instant] = field(default_factory=dict)
    stopping: dict[AttemptKey, None] = field(default_factory=dict)
    exits: dict[AttemptKey, ReportExit] = field(default_factory=dict)
    suspended: set[AttemptKey] = field(default_factory=set)
    newest: dict[JobId, AttemptKey] = field(default_factory=dict)
    inbox: list[Command] = field(default_factory=list)
    outbox: list[Input] = field(default_factory=list)

    # -- the stream --------------------------------------------------------------------------------------

    def connect(self) -> None:
        """A new stream. What was on the old one towards here is lost; the introduction comes first."""
        self.inbox.clear()
        self.connected = True
        self.offers += 1
        self.outbox.append(
            RegisterNode(
                self.spec,
                f"{self.spec.name}-{self.boot}",
                Offer(self.offers, self.spec.cpu_milli, self.spec.mem_mib),
                running=tuple(
                    RunningAttempt(key, at, key in self.suspended) for key, at in self.running.items()
                ),
                launching=tuple(self.launching),
                exited=tuple(self.exits),
            )
        )
        self.outbox += self.exits.values()

    def disconnect(self, now: Instant, lose_reports: bool) -> None:
        """The stream breaks. Commands on it are lost; reports may still be in the scheduler's hands."""
        if self.in_touch:
            self.silent_since = now
        self.connected = False
        self.inbox.clear()
        if lose_reports:
            self.outbox.clear()

    @property
    def in_touch(self) -> bool:
        """The scheduler has answered on this stream: only that keeps leases alive."""
        return self.connected and not any(isinstance(report, RegisterNode) for report in self.outbox)

    def reboot(self) -> None:
        """Nothing of before runs; what was on disk is still there."""
        self.boot += 1
        self.running.clear()
        self.launching.clear()
        self.stopping.clear()
        self.suspended.clear()

    # -- orders ------------------------------------------------------------------------------------------

    def obey(self, command: Command, now: Instant, refuse: bool) -> None:
        """One command arrived."""
        match command:
            case Launch(attempt=key):
                self._launch(key, refuse)
            case Terminate(attempt=key):
                self._terminate(key)
            case AckExit(attempt=key):
                self.exits.pop(key, None)
            case Suspend(attempt=key) | Continue(attempt=key):
                self._suspend(key, isinstance(command, Suspend), refuse)

    def _suspend(self, key: AttemptKey, stop: bool, refuse: bool) -> None:
        """Stops its processes, or lets them go on; once it is told to end that is over."""
        if key not in self.running or key in self.stopping:
            return
        if refuse:
            self._say(ReportSuspension(self.spec.name, key, not stop, "its supervisor is deaf"))
            return
        (self.suspended.add if stop else self.suspended.discard)(key)
        self._say(ReportSuspension(self.spec.name, key, stop))

    def _launch(self, key: AttemptKey, refuse: bool) -> None:
        if key in self.running:
            self._say(ReportStart(self.spec.name, key, self.running[key]))
        elif key in self.exits:
            self._say(self.exits[key])
        elif key not in self.launching:
            newest = self.newest.get(key.job)
            busy = any(other.job == key.job for other in (*self.running, *self.launching))
            if refuse or busy or (newest is not None and key <= newest):
                self._refuse(key)
            else:
                self.newest[key.job] = key
                self.launching[key] = None

    def _terminate(self, key: AttemptKey) -> None:
        if key in self.exits:
            self._say(self.exits[key])
        elif key in self.running or key in self.launching:
            self.stopping[key] = None
            self.suspended.discard(key)
        else:
            self.newest[key.job] = max(key, self.newest.get(key.job, key))
            self._refuse(key)

    def _refuse(self, key: AttemptKey) -> None:
        self._say(
            ReportExit(
                self.spec.name, key, UNKNOWN, UNKNOWN, cause="refused", launch_error="no", refused=True
            )
        )

    # -- what happens on the node ------------------------------------------------------------------------

    def begin(self, key: AttemptKey, now: Instant) -> None:
        """The batch script runs."""
        self.truth.begins(key)
        del self.launching[key]
        self.running[key] = now
        self._say(ReportStart(self.spec.name, key, now))

    def end(self, key: AttemptKey, now: Instant, code: int = 0, signal: int = 0, **how: object) -> None:
        """The attempt is over, and that is written down."""
        started_at = self.running.pop(key, UNKNOWN)
        self.launching.pop(key, None)
        self.stopping.pop(key, None)
        self.suspended.discard(key)
        report = ReportExit(self.spec.name, key, started_at, now, code, signal, **how)  # type: ignore[arg-type]
        self.exits[key] = report
        self.truth.ended[key] = report
        self._say(report)

    def forget(self, key: AttemptKey, journal_too: bool) -> None:
        """The attempt is gone without an exit; with the journal even the memory that it ever was."""
        self.running.pop(key, None)
        self.stopping.pop(key, None)
        self.suspended.discard(key)
        if journal_too:
            self.newest.pop(key.job, None)

    def enforce_leases(self, now: Instant, leases: dict[JobId, int], grace_s: int) -> None:
        """Out of contact for longer than a job's lease: its node stops it."""
        if self.in_touch:
            return
        for key in [*self.running, *self.launching]:
            lease_s = leases.get(key.job, 0)
            if lease_s and now >= self.silent_since + (lease_s + grace_s) * US:
                self.end(key, now, signal=15, cause="lease")

    def _say(self, report: Input) -> None:
        if self.connected:
            self.outbox.append(report)
