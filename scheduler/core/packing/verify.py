"""Is a solution allowed, and how good is it: plain loops that know neither packer nor solver.

Every answer of the improver goes through `verify` before it is used. The rules are written down here a second
time on purpose: this module shares no code with those that pack.
"""

from __future__ import annotations

from collections import Counter

from packhorse.scheduler.core.packing.problem import Placed, Problem, Score, Solution


def verify(problem: Problem, solution: Solution) -> list[str]:
    """What is wrong, one sentence each; empty if the solution is allowed."""
    wrong: list[str] = []
    free = problem.free.tolist()
    devices = problem.dev_free.tolist()
    types = problem.dev_type.tolist()
    licences = list(problem.licences)
    jobs: Counter[int] = Counter()
    on_node: Counter[tuple[int, int]] = Counter()
    for j, job in enumerate(solution.placed):
        if not 0 <= job.ask < len(problem.asks):
            wrong.append(f"job {j}: no ask class {job.ask}")
            continue
        found = _shape(problem, job, types)
        wrong.extend(f"job {j} of class {job.ask}: {sentence}" for sentence in found)
        if found:
            continue
        ask = problem.asks[job.ask]
        jobs[job.ask] += 1
        for k, amount in enumerate(ask.licences):
            licences[k] -= amount
        for node, taken in job.members:
            on_node[job.ask, node] += 1
            for i, amount in enumerate(ask.amounts):
                free[node][i] -= amount
            for d in taken:
                if ask.milli == 1000 and problem.dev_free[node, d] != 1000:
                    wrong.append(f"job {j} of class {job.ask}: device {d} of node {node} is not wholly free")
                devices[node][d] -= ask.milli
    for c, n in sorted(jobs.items()):
        if n > problem.asks[c].count:
            wrong.append(f"class {c}: {n} jobs placed, {problem.asks[c].count} wait")
    for (c, node), n in sorted(on_node.items()):
        if 0 < problem.asks[c].per_node < n:
            wrong.append(f"class {c}: {n} on node {node}, limit {problem.asks[c].per_node}")
    for k, left in enumerate(licences):
        if left < 0:
            wrong.append(f"licence {k}: {-left} more taken than free")
    for node in range(problem.n_nodes):
        for i, left in enumerate(free[node]):
            if left < 0:
                wrong.append(f"node {node}: {-left} more of resource {i} taken than free")
        for d, left in enumerate(devices[node]):
            if left < 0:
                wrong.append(f"node {node}: {-left} thousandths more of device {d} taken than free")
    return wrong


def _shape(problem: Problem, job: Placed, types: list[list[int]]) -> list[str]:
    """What is wrong with the job whatever else is placed."""
    wrong = []
    ask = problem.asks[job.ask]
    nodes = [node for node, _ in job.members]
    if len(nodes) != ask.members:
        wrong.append(f"{len(nodes)} of its {ask.members} members")
    if len(set(nodes)) != len(nodes):
        wrong.append("two members on one node")
    for node, taken in job.members:
        if not 0 <= node < problem.n_nodes:
            wrong.append(f"no node {node}")
            continue
        if ask.nodes is not None and node not in ask.nodes:
            wrong.append(f"node {node} is not allowed")
        if len(taken) != ask.n_devices or len(set(taken)) != len(taken):
            wrong.append(f"devices {list(taken)} on node {node}, asked {ask.n_devices} different ones")
        for d in taken:
            if not 0 <= d < len(types[node]) or types[node][d] < 0:
                wrong.append(f"node {node} has no device {d}")
            elif ask.types and types[node][d] not in ask.types:
                wrong.append(f"device {d} of node {node} is of type {types[node][d]}, not allowed")
    return wrong


def score(problem: Problem, solution: Solution) -> Score:
    """How good an allowed solution is.

    Stranded are the free thousandths of partly used devices, and of all devices of a node that has less left
    of some resource than every ask with devices takes.
    """
    free = problem.free.tolist()
    devices = problem.dev_free.tolist()
    level = dict.fromkeys(problem.ranks, 0)
    used = set()
    for job in solution.placed:
        ask = problem.asks[job.ask]
        level[ask.rank] += ask.value
        for node, taken in job.members:
            used.add(node)
            for i, amount in enumerate(ask.amounts):
                free[node][i] -= amount
            for d in taken:
                devices[node][d] -= ask.milli
    stranded = 0
    needs = [ask.amounts for ask in problem.asks if ask.n_devices]
    if needs:
        least = [min(column) for column in zip(*needs, strict=True)]
        for node in range(problem.n_nodes):
            short = any(left < need for left, need in zip(free[node], least, strict=True))
            stranded += sum(milli for milli in devices[node] if short or milli < 1000)
    cost = sum(int(problem.wake_cost[node]) for node in sorted(used))
    return Score(tuple(level[rank] for rank in problem.ranks), stranded, cost)
