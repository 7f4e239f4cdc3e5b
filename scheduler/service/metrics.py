"""/metrics: what an operator watches. Counters count where it happens, gauges are read when asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from packhorse.scheduler.core.free_blocks import largest_free_blocks
from packhorse.scheduler.core.packing.board import CPU, MEM, SLOTS
from packhorse.scheduler.core.packing.slots import is_inner
from packhorse.scheduler.core.reclaim.lending import refresh
from packhorse.scheduler.core.when.hits import sums
from packhorse.scheduler.service.engine import Engine, Pass
from packhorse.scheduler.service.status import count_jobs, used
from packhorse.scheduler.service.tables.nodes import state_word

CONTENT_TYPE = CONTENT_TYPE_LATEST

_FAST = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Seconds: from a commit to memory to a pass over a very full queue."""


_DEVICE_GAUGES = (
    ("busy", "Share of the last moments in which something ran on it", "busy_milli", 1000),
    ("flops_share", "Floating-point operations of the last moments against its peak", "flops_milli", 1000),
    ("memory_used_mib", "Its memory in use", "mem_mib", 1),
    ("power_watts", "What it draws", "power_mw", 1000),
    ("celsius", "Its temperature", "celsius", 1),
)
"""(name, text, field of DeviceSample, parts of one)."""


class Metrics:
    """The engine's Meter, and the page. `watch` adds what is read from an engine."""

    def __init__(self, passed: Callable[[float, Pass], None] = lambda seconds, done: None) -> None:
        """passed: told of every pass too."""
        self.passed = passed
        # Else there is a series beside each counter that says when it was made.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._cycle = Histogram(
            "packhorse_cycle_seconds", "One scheduling pass", registry=self.registry, buckets=_FAST
        )
        self._commit = Histogram(
            "packhorse_commit_seconds",
            "From handing a batch of events to the store until it was durable",
            registry=self.registry,
            buckets=_FAST,
        )
        self._events = Counter("packhorse_events", "Events made durable", registry=self.registry)
        self._failures = Counter("packhorse_store_failures", "Commits that failed", registry=self.registry)
        self._jobs = Counter("packhorse_jobs_submitted", "Jobs and arrays accepted", registry=self.registry)
        self._calls = Counter(
            "packhorse_calls",
            "Calls answered, by method and code",
            ("method", "code"),
            registry=self.registry,
        )
        self._improver_runs = Counter(
            "packhorse_improver_runs",
            "Runs of the improver, by what came of them",
            ("result",),
            registry=self.registry,
        )
        for result in ("better", "same", "rejected", "stopped"):
            self._improver_runs.labels(result)
        self._improver_s = Histogram(
            "packhorse_improver_seconds",
            "How long starts waited for the improver",
            registry=self.registry,
            buckets=_FAST,
        )
        self._improver_value = Counter(
            "packhorse_improver_value_gained",
            "Device thousandths (without devices: thousandths of a node) that better plans placed more",
            registry=self.registry,
        )
        self._improver_jobs = Counter(
            "packhorse_improver_jobs_gained", "Jobs that better plans placed more", registry=self.registry
        )
        self._pass_failures = Counter(
            "packhorse_cycle_failures",
            "Passes that failed: once (made again), for jobs (set aside), for the policy (replaced)",
            ("kind",),
            registry=self.registry,
        )
        for kind in ("once", "jobs", "policy"):
            self._pass_failures.labels(kind)
        self._quarantined = Counter(
            "packhorse_jobs_quarantined",
            "Jobs and arrays set aside, since decisions about them failed",
            registry=self.registry,
        )
        self._calls_by: dict[tuple[str, str], Counter] = {}
        self._lag = Gauge(
            "packhorse_loop_lag_seconds",
            "How long a callback of the event loop waited for its turn, measured while this page was made",
            registry=self.registry,
        )

    def cycle_ran(self, seconds: float) -> None:
        self._cycle.observe(seconds)

    def committed(self, seconds: float, n_events: int) -> None:
        self._commit.observe(seconds)
        self._events.inc(n_events)

    def became_unavailable(self) -> None:
        self._failures.inc()

    def improver_ran(self, result: str, seconds: float, value: int, n_jobs: int) -> None:
        self._improver_runs.labels(result).inc()
        self._improver_s.observe(seconds)
        self._improver_value.inc(value)
        self._improver_jobs.inc(n_jobs)

    def pass_failed(self, kind: str, n_jobs: int) -> None:
        self._pass_failures.labels(kind).inc()
        self._quarantined.inc(n_jobs)

    def submitted(self, n_jobs: int) -> None:
        """So many jobs were accepted (an array counts once)."""
        self._jobs.inc(n_jobs)

    def answered(self, method: str, code: str) -> None:
        """A door answered a call."""
        counter = self._calls_by.get((method, code))
        if counter is None:
            counter = self._calls_by[method, code] = self._calls.labels(method, code)
        counter.inc()

    def watch(self, engine: Engine) -> None:
        """Read this engine whenever the page is asked for."""
        self.registry.register(_Gauges(engine))

    async def page(self) -> bytes:
        """The page in Prometheus' text format."""
        loop = asyncio.get_running_loop()
        called = loop.time()
        waited: asyncio.Future[None] = loop.create_future()
        loop.call_soon(waited.set_result, None)
        await waited
        self._lag.set(loop.time() - called)
        return generate_latest(self.registry)


class _Gauges(Collector):
    """What the state says now. While the store is away only that is reported."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        engine = self._engine
        up = GaugeMetricFamily("packhorse_store_up", "1 while the store takes writes")
        up.add_metric((), 0.0 if engine.trouble else 1.0)
        yield up
        if engine.trouble:
            return
        replaced = GaugeMetricFamily(
            "packhorse_policy_replaced", "1 while best fit decides, since the configured policy fails"
        )
        replaced.add_metric((), 0.0 if engine.state.fallback is None else 1.0)
        yield replaced
        yield from self._jobs()
        yield from self._nodes()
        yield from self._amounts()

    def _jobs(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily(
            "packhorse_jobs",
            "Jobs in memory; waiting array indices count one each",
            labels=("state", "reason"),
        )
        for (state, reason), n in sorted(count_jobs(self._engine.state).items()):
            jobs.add_metric((state, reason), n)
        yield jobs

    def _nodes(self) -> Iterator[Metric]:
        state = self._engine.state
        counts: dict[str, int] = {}
        for node in state.nodes.values():
            word = state_word(state, node)
            counts[word] = counts.get(word, 0) + 1
        nodes = GaugeMetricFamily("packhorse_nodes", "Registered nodes", labels=("state",))
        for word, n in sorted(counts.items()):
            nodes.add_metric((word,), n)
        yield nodes
        blocks = GaugeMetricFamily(
            "packhorse_largest_free_block_nodes",
            'Most free nodes below one switch (hops 0), one rack and so on; "any": all that are free',
            labels=("hops",),
        )
        sizes = largest_free_blocks(state)
        for hops, size in enumerate(sizes[:-1]):
            blocks.add_metric((str(hops),), size)
        blocks.add_metric(("any",), sizes[-1])
        yield blocks

    def _amounts(self) -> Iterator[Metric]:
        columns = self._engine.state.node_columns
        capacity = GaugeMetricFamily(
            "packhorse_capacity", "Registered amounts over all nodes", labels=("resource",)
        )
        allocated = GaugeMetricFamily("packhorse_allocated", "Amounts that jobs hold", labels=("resource",))
        for column, resource in enumerate(columns.resources):
            if column != SLOTS and not is_inner(resource):
                capacity.add_metric((resource,), float(columns.capacity[column].sum()))
                allocated.add_metric((resource,), float(columns.used[column].sum()))
        yield capacity
        yield allocated
        in_use = GaugeMetricFamily(
            "packhorse_used", "Amounts in use as agents last measured", labels=("resource",)
        )
        cpu_milli, mem_mib = used(self._engine)
        in_use.add_metric((columns.resources[CPU],), float(cpu_milli))
        in_use.add_metric((columns.resources[MEM],), float(mem_mib))
        yield in_use
        yield from self._measured()
        yield from self._lent()
        yield from self._estimated()

    def _estimated(self) -> Iterator[Metric]:
        """How right estimates of starts were."""
        book = self._engine.state.estimates
        scored = CounterMetricFamily(
            "packhorse_start_estimates",
            "Estimates of starts whose jobs have started, by whether the start was in the interval",
            labels=("nth", "inside"),
        )
        for nth, track in (("first", book.first), ("later", book.again)):
            scored.add_metric((nth, "yes"), track.n_inside)
            scored.add_metric((nth, "no"), track.n - track.n_inside)
        yield scored
        for one in sums(book):
            if one.by == "all":
                error = GaugeMetricFamily(
                    "packhorse_start_estimate_error_seconds",
                    "Median error of the median, of the last first estimates",
                )
                error.add_metric((), float(one.median_error_s))
                yield error

    def _lent(self) -> Iterator[Metric]:
        """Memory that is lent."""
        lent = GaugeMetricFamily("packhorse_lent", "Memory that is lent, beyond what is allocated, in MiB")
        lendable = GaugeMetricFamily("packhorse_lendable", "Memory that might be lent as well, in MiB")
        state = self._engine.state
        refresh(state)
        lent.add_metric((), float(state.reclaim.lent.sum()))
        lendable.add_metric((), float(state.reclaim.lendable.sum()))
        yield lent
        yield lendable
        borrowers = GaugeMetricFamily("packhorse_borrowers", "Jobs that have lent memory, by node and job")
        borrowers.add_metric((), float(sum(len(jobs) for jobs in state.reclaim.borrowers.values())))
        yield borrowers

    def _measured(self) -> Iterator[Metric]:
        """Nodes and devices as their agents last measured them; what one does not tell has no value."""
        pressure = GaugeMetricFamily(
            "packhorse_node_memory_pressure",
            "Share of the last 10 s in which some process of the node waited for memory",
            labels=("node",),
        )
        free = GaugeMetricFamily("packhorse_node_memory_free_mib", "Memory that is free", labels=("node",))
        gauges = {
            name: GaugeMetricFamily(f"packhorse_device_{name}", text, labels=("node", "kind", "index"))
            for name, text, _, _ in _DEVICE_GAUGES
        }
        for node, usage in sorted(self._engine.usage.items()):
            free.add_metric((node,), float(usage.mem_mib_free))
            if usage.pressure_milli is not None:
                pressure.add_metric((node,), usage.pressure_milli / 1000)
            for device in usage.devices:
                for name, _, field, scale in _DEVICE_GAUGES:
                    if (value := getattr(device, field)) is not None:
                        gauges[name].add_metric((node, device.kind, str(device.index)), value / scale)
        yield from (pressure, free, *gauges.values())
