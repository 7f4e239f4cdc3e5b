"""The cluster in one screen: GetStatus and Ping."""

from __future__ import annotations

import os
import time
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from packhorse.scheduler.core.packing.board import CPU, FIXED, MEM
from packhorse.scheduler.core.packing.slots import is_inner
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.reclaim.lending import lendable_mib
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.job import Active, Job
from packhorse.scheduler.model.node import Node
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.messages import (
    Amount,
    CountByState,
    GetStatusResponse,
    NodeStatus,
    PingResponse,
)
from packhorse.scheduler.service.tables.nodes import reason_of, state_word


class About(NamedTuple):
    """This scheduler process."""

    host: str
    started_at: Instant
    version: str


def installed_version() -> str:
    """Of the installed package; of a source tree that is not installed there is none."""
    try:
        return version("packhorse")
    except PackageNotFoundError:
        return "0+source"


def ping(about: About, engine: Engine) -> PingResponse:
    """Who serves this cluster, since when."""
    return PingResponse(
        cluster=engine.config.name,
        version=about.version,
        host=about.host,
        epoch=0 if engine.trouble else engine.state.epoch,
        started_at_us=about.started_at,
        now_us=engine.clock.now(),
        pid=os.getpid(),
    )


def status(about: About, engine: Engine) -> GetStatusResponse:
    """Jobs by state and reason, nodes, and amounts over all of them."""
    state = engine.state
    nodes = [_node(state, engine, state.nodes[name]) for name in state.node_columns.board().names]
    totals: dict[str, Amount] = {}
    for node in nodes:
        for amount in node.amounts:
            total = totals.setdefault(amount.resource, Amount(resource=amount.resource))
            total.capacity += amount.capacity
            total.allocated += amount.allocated
            total.lent += amount.lent
            total.used = -1 if min(total.used, amount.used) < 0 else total.used + amount.used
    cpu_milli, mem_mib = used(engine)
    for resource, measured in (
        (state.node_columns.resources[CPU], cpu_milli),
        (state.node_columns.resources[MEM], mem_mib),
    ):
        if resource in totals and totals[resource].used >= 0:
            totals[resource].used = measured
    return GetStatusResponse(
        scheduler=ping(about, engine),
        jobs=[
            CountByState(state=word, reason=reason, count=n)
            for (word, reason), n in sorted(count_jobs(state).items())
        ],
        nodes=nodes,
        amounts=list(totals.values()),
        store=engine.trouble or "ok",
        warnings=warnings(state),
    )


def warnings(state: State) -> list[str]:
    """What an administrator has to do something about."""
    found = []
    if (broken := state.fallback) is not None:
        since = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(broken.since // US))
        names = f'placement policy "{state.config.policy}", order "{state.config.order}"'
        found.append(
            f"{names}: failed for most jobs since {since} ({broken.error}); best fit and first come, first "
            "served until it works (packhorse.toml, scontrol reconfigure)"
        )
    n = state.pending_columns.reason_counts().get(Reason.QUARANTINED, 0)
    if n:
        jobs = "1 job is" if n == 1 else f"{n} jobs are"
        found.append(
            f"{jobs} quarantined, since decisions about them failed: scontrol show job, scontrol release"
        )
    return found


def used(engine: Engine) -> tuple[int, int]:
    """Milli-CPUs and MiB in use over all machines; several nodes on one machine measure the same, once."""
    nodes = engine.state.nodes
    by_machine = {nodes[name].boot_id: usage for name, usage in engine.usage.items() if name in nodes}
    return (
        sum([usage.cpu_milli_used for usage in by_machine.values()]),
        sum([usage.mem_mib_used for usage in by_machine.values()]),
    )


def count_jobs(state: State) -> Counter[tuple[str, str]]:
    """Jobs by (state, reason); a waiting array counts once for each waiting index."""
    columns = state.pending_columns
    counts: Counter[tuple[str, str]] = Counter(
        {("PENDING", reason.value): n for reason, n in columns.reason_counts().items()}
    )
    for array in state.arrays.values():
        extra = sum([found.size for found in array.remaining]) - 1
        if extra > 0:
            counts["PENDING", columns.reason(array.id).value] += extra
    counts.update((job.state.value, "") for job in state.jobs.values() if type(job.phase) is Active)
    counts.update(_ended(state))
    return counts


def _ended(state: State) -> Counter[tuple[str, str]]:
    """Those still in memory."""
    found: Counter[tuple[str, str]] = Counter()
    for id in state.finished:
        job: Job | None = state.jobs.get(id)
        if job is not None:
            found[job.state.value, ""] += 1
    return found


def _node(state: State, engine: Engine, node: Node) -> NodeStatus:
    columns = state.node_columns
    row = columns.row_of[node.name]
    usage = engine.usage.get(node.name)
    _, lent = lendable_mib(state, node.name)
    amounts = [
        Amount(
            resource=resource,
            capacity=int(columns.capacity[column, row]),
            allocated=int(columns.used[column, row]),
            used=-1
            if usage is None
            else {CPU: usage.cpu_milli_used, MEM: usage.mem_mib_used}.get(column, -1),
            lent=lent if column == MEM else 0,
        )
        for column, resource in enumerate(columns.resources)
        if column in (CPU, MEM)
        or (column >= FIXED and columns.capacity[column, row] and not is_inner(resource))
    ]
    return NodeStatus(
        name=node.name,
        state=state_word(state, node),
        reason="; ".join(filter(None, [reason_of(node), *[f"warning: {w}" for w in node.offer.warnings]])),
        amounts=amounts,
        n_jobs=len(columns.jobs_on(node.name)),
        declared=node.spec.declared,
    )
