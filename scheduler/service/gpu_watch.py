"""From samples of devices to spans in which a job's GPUs did nothing: what the core is told of them.

A span lasts as long as every report shows every GPU of the job, on all its nodes, measured and idle. A GPU
that is busy ends it, and so does one that was not measured, a node that is not heard of, and a restart of the
scheduler: what nobody saw is never idleness. The core is told of a span when it has become long enough to
matter, of its end only after that, so that the log holds a few events for an idle job and none for others.
"""

from __future__ import annotations

from collections.abc import Mapping

from packhorse.scheduler.core.gpu_idle import applies, stop_at
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.cluster import GpuIdle, GpuIdleAction
from packhorse.scheduler.model.ids import UNKNOWN, US, AttemptKey, Instant, NodeName
from packhorse.scheduler.model.input import ReportGpus
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.resources import Placement
from packhorse.scheduler.model.sample import DeviceSample
from packhorse.scheduler.service.convert_agents import NodeUsage

MISSED = 3
"""Reports that a node may leave out before what it said last counts no longer."""


class GpuWatch:
    """The spans that last, by the first node of each attempt. All times are the scheduler's own."""

    def __init__(self, usage_s: float) -> None:
        """usage_s: how often agents report."""
        self._fresh_us = round(MISSED * usage_s * US)
        self._heard: dict[NodeName, Instant] = {}
        self._since: dict[NodeName, dict[AttemptKey, Instant]] = {}

    def heard(
        self, state: State, node: NodeName, usage: Mapping[NodeName, NodeUsage], now: Instant
    ) -> list[ReportGpus]:
        """The node has reported (usage holds what); returns what the core is to be told, in the order of
        jobs."""
        policy = state.config.gpu_idle
        gap = now - self._heard.get(node, now) > self._fresh_us
        self._heard[node] = now
        if not policy.enabled or node not in state.nodes:
            self._since.pop(node, None)
            return []
        before = {} if gap else self._since.get(node, {})
        spans: dict[AttemptKey, Instant] = {}
        reports = []
        for id in sorted(state.node_columns.jobs_on(node)):
            job = state.jobs[id]
            active = job.phase
            if not isinstance(active, Active) or active.placements[0].node != node:
                continue
            if active.ending is not None or not active.started_at or not has_gpus(active):
                continue
            if active.suspended_at:
                continue  # its span is over, and a new one may begin when it goes on
            key = active.attempt
            if applies(policy, job) and self._idle(policy, active, usage, now):
                spans[key] = before.get(key, now)
            if _matters(policy, active, spans.get(key, UNKNOWN), now):
                reports.append(ReportGpus(key, spans.get(key, UNKNOWN)))
        self._since[node] = spans
        return reports

    def silent(self, node: NodeName) -> None:
        """The node is not heard of any more."""
        self._heard.pop(node, None)
        self._since.pop(node, None)

    def _idle(
        self, policy: GpuIdle, active: Active, usage: Mapping[NodeName, NodeUsage], now: Instant
    ) -> bool:
        """Every GPU of the attempt was measured a moment ago, and nothing ran on it."""
        for placement in active.placements:
            said, at = usage.get(placement.node), self._heard.get(placement.node)
            if said is None or at is None or now - at > self._fresh_us:
                return False
            for busy in busy_milli(placement, active.attempt, said):
                if busy is None or busy >= policy.busy_below_milli:
                    return False
        return True


def has_gpus(active: Active) -> bool:
    """Whether the attempt holds any, or a part of one."""
    return any(devices.kind == "gpu" for placement in active.placements for devices in placement.devices)


def busy_milli(placement: Placement, attempt: AttemptKey, said: NodeUsage) -> list[int | None]:
    """How busy each GPU of the placement was, as its node last said; None: not measured.

    A shared one counts as busy while anybody uses it.
    """
    own = [
        device
        for key, sample in said.attempts.items()
        if key.job == attempt.job and (key == attempt or key.whole == attempt)
        for device in sample.devices
    ]
    measured: dict[int, DeviceSample] = {}
    for device in (*said.devices, *own):
        if device.kind == "gpu":
            measured[device.index] = device
    return [
        measured[index].busy_milli if index in measured else None
        for devices in placement.devices
        if devices.kind == "gpu"
        for index in devices.indices
    ]


def _matters(policy: GpuIdle, active: Active, since: Instant, now: Instant) -> bool:
    """Whether the core would do something about it."""
    warned = active.gpus_warned_at
    if not warned:
        return bool(since) and now - since >= policy.warn_after_s * US
    if not since or since > warned:
        return True
    return policy.action is not GpuIdleAction.WARN and now >= stop_at(policy, active)
