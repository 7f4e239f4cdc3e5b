"""A what-if in words: what was compared, what is assumed, how good it is, who gains and who loses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.node import NodeSpec
from packhorse.simulator.metrics.fairness import Change, Party
from packhorse.simulator.metrics.slowdown import Spread
from packhorse.simulator.summary import ClassOfJobs, Summary
from packhorse.simulator.whatif.runs import Run
from packhorse.simulator.whatif.site import Site, local_time

NAMED: Final = 5
"""Jobs and users of a kind that are named."""


def history(site: Site) -> str:
    """Which jobs."""
    first, last = site.jobs[0].submit_us, site.jobs[-1].submit_us
    users = len({job.user for job in site.jobs})
    text = f"{len(site.jobs):,} jobs of {users} user{'s' * (users != 1)}, submitted "
    text += f"{local_time(Instant(site.origin + first))} to {local_time(Instant(site.origin + last))}"
    left_out = sum(site.left_out.left_out.values())
    return text + (f"; {left_out:,} that never ran are left out" if left_out else "")


def cluster(nodes: Sequence[NodeSpec]) -> str:
    """How large."""
    gpus = sum(device.kind == "gpu" for node in nodes for device in node.devices)
    cpus = sum(node.cpu_milli for node in nodes) / 1000
    text = f"{len(nodes):,} node{'s' * (len(nodes) != 1)}, {cpus:,g} CPUs"
    return text + (f", {gpus:,} GPUs" if gpus else "")


def assumptions(site: Site, runs: Sequence[Run], own_nodes: bool) -> list[str]:
    """One sentence each, as true of this history. own_nodes: nodes are those of the store."""
    found = [
        "Jobs run as long as they ran, and are submitted when they were, however long they wait.",
        "Jobs that never ran and jobs that still run are not simulated, nor is what was lost to requeues.",
        "A job counts as submitted when it became eligible: that has its hold, begin time and dependency.",
        "Jobs ask for the CPUs, memory and devices that they were given.",
        "Features, licences, topologies, excluded nodes, nice and set priorities are not in the history.",
        "Nothing fails, and starts are never held for the improver. Predictors begin without any history.",
    ]
    if own_nodes:
        found.append("The nodes are those that are registered now, all of them up all the time.")
        if site.unavailable:
            names = _some(site.unavailable)
            found.append(f"Of these an operator has now set {names} down or draining; they count as up.")
    if site.launch_s:
        found.append(
            f"A launch takes {site.launch_s * 1000:,.0f} ms, the median of those in the log; the wait of a "
            "simulated job ends when it is granted its nodes, before the launch."
        )
    for run in runs:
        found += [
            f"{run.name}: {n:,} jobs of partition {partition or '(none)'} run in the default one."
            for partition, n in sorted(run.elsewhere.items())
        ]
    return found


def refusals(run: Run) -> list[str]:
    """Reasons by which jobs are refused, with their number and some names; empty if none is."""
    by_reason: dict[str, list[str]] = {}
    for id, reason in run.refused:
        by_reason.setdefault(reason, []).append(id)
    most = Counter({reason: len(ids) for reason, ids in by_reason.items()})
    return [
        f"{run.name} refuses {n:,} job{'s' * (n != 1)} ({_some(by_reason[reason])}): {reason}"
        for reason, n in most.most_common()
    ]


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def classes(summaries: Sequence[Summary]) -> str:
    """Mean and 95th percentile of the waits of each class, a column for each run."""
    lines = []
    for title, of in _KINDS:
        table = [[title, "jobs", *(run.policy for run in summaries)]]
        table += [
            [name, f"{n:,}", *(_wait(_named(of(run), name)) for run in summaries)]
            for name, n in [(each.name, each.n) for each in of(summaries[0])]
        ]
        if len(table) > 1:
            lines += [*_aligned(table), ""]
    return "\n".join(["wait, mean / p95, seconds", *lines])


_KINDS: Final[tuple[tuple[str, Callable[[Summary], list[ClassOfJobs]]], ...]] = (
    ("by size", lambda run: run.by_size),
    ("by run time", lambda run: run.by_run),
    ("by user", lambda run: run.by_user),
)


def _named(found: Sequence[ClassOfJobs], name: str) -> Spread | None:
    return next((each.wait_s for each in found if each.name == name), None)


def _wait(of: Spread | None) -> str:
    return "–" if of is None else f"{of.mean:,.1f} / {of.p95:,.1f}"


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in table
    ]


def gains(name: str, of: Change) -> list[str]:
    """Who is better and who is worse off than today."""
    gained, lost = of.gained_h + 0.0, of.lost_h + 0.0  # no minus before a zero
    text = f"{name} against {of.against}: {of.better:,} jobs end sooner ({gained:,.2f} h in all), "
    lines = [text + f"{of.worse:,} later ({lost:,.2f} h), {of.same:,} as before"]
    lines += [f"  gains most  {_party(party)}" for party in of.gainers[:NAMED]]
    lines += [f"  loses most  {_party(party)}" for party in of.losers[:NAMED]]
    return lines


def _party(of: Party) -> str:
    return f"{of.name or '(no name)'}: {of.sum_h:+,.2f} h over {of.n:,} jobs, {of.mean_h * 3600:+,.1f} s each"
