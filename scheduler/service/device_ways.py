"""Devices of one kind that a job asks for in two ways are the same devices, as in Slurm.

`--gpus=8 --gpus-per-task=2` are four tasks, `--gpus=8 --gpus-per-node=4` two nodes, `--gpus-per-node=4
--gpus-per-task=1` four tasks on every node. They do not add up.
"""

from __future__ import annotations

import msgspec

from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.resources import Ask, Gres, is_slice

JOB, NODE, TASK = "gres_per_job", "gres_per_node", "gres_per_task"


def one_way(ask: Ask, n_tasks: int, min_nodes: int) -> Ask:
    """The ask with each kind of whole devices in one of its lists, and the tasks and nodes that follow.

    n_tasks, min_nodes: as they were told, 0 for not at all. Raises BadValue where they contradict.
    """
    ways = {way: {g.kind for g in getattr(ask, way)} for way in (JOB, NODE, TASK)}
    kinds = [
        kind for kind in sorted(set().union(*ways.values())) if sum(kind in w for w in ways.values()) > 1
    ]
    if not kinds:
        return ask
    ask = msgspec.structs.replace(ask, n_tasks=n_tasks, min_nodes=min_nodes)
    for kind in kinds:
        ask = _same(ask, kind)
    nodes = ask.min_nodes or 1
    return msgspec.structs.replace(
        ask, n_tasks=ask.n_tasks or nodes * max(1, ask.tasks_per_node), min_nodes=nodes
    )


def _same(ask: Ask, kind: str) -> Ask:
    """Without the devices of this kind that are told twice."""
    told = {way: _only(ask, way, kind) for way in (JOB, NODE, TASK)}
    if len({is_slice(g.type) for g in told.values() if g is not None}) > 1:
        return ask  # slices and whole ones; the core says that there is no such thing
    types = {g.type for g in told.values() if g is not None and g.type}
    if len(types) > 1:
        raise BadValue(
            f"gres {kind}: {' and '.join(sorted(types))} in two ways; ask for both in the same way"
        )
    job, node, task = told.values()
    if job and node:
        nodes = _times(JOB, job, NODE, node)
        ask = _nodes(ask, nodes, f"{JOB} {job} and {NODE} {node}")
    elif job and task:
        n_tasks = _times(JOB, job, TASK, task)
        if ask.n_tasks not in (0, n_tasks):
            raise BadValue(f"n_tasks: {ask.n_tasks}, but {JOB} {job} and {TASK} {task} make {n_tasks}")
        ask = msgspec.structs.replace(ask, n_tasks=n_tasks)
    if node and task:
        ask = _tasks(ask, _times(NODE, node, TASK, task), f"{NODE} {node} and {TASK} {task}")
    kept = TASK if task else NODE
    lists = {way: tuple([g for g in getattr(ask, way) if g.kind != kind]) for way in told}
    n = told[kept].n  # type: ignore[union-attr]
    lists[kept] += (Gres(kind, min(types, default=""), n),)
    return msgspec.structs.replace(ask, **lists)


def _only(ask: Ask, way: str, kind: str) -> Gres | None:
    found: list[Gres] = [g for g in getattr(ask, way) if g.kind == kind]
    if len(found) > 1:
        listed = ",".join(map(str, found))
        raise BadValue(f"{way} {listed}: {kind} is asked for in another way, too; leave one of them out")
    return found[0] if found else None


def _times(whole_way: str, whole: Gres, part_way: str, part: Gres) -> int:
    """How often one amount goes into the other. Raises BadValue."""
    times, rest = divmod(whole.n, part.n)
    if rest or not times:
        raise BadValue(f"{whole_way} {whole}: not a multiple of {part_way} {part}; leave one of them out")
    return times


def _nodes(ask: Ask, nodes: int, why: str) -> Ask:
    if nodes < ask.min_nodes or 0 < ask.max_nodes < nodes:
        raise BadValue(f"{why} make {nodes} node{'s' * (nodes != 1)}, which min_nodes and max_nodes exclude")
    return msgspec.structs.replace(ask, min_nodes=nodes, max_nodes=nodes)


def _tasks(ask: Ask, on_each: int, why: str) -> Ask:
    """With so many tasks on each node."""
    if ask.tasks_per_node not in (0, on_each):
        raise BadValue(f"tasks_per_node: {ask.tasks_per_node}, but {why} make {on_each}")
    if ask.n_tasks:
        if ask.n_tasks % on_each:
            raise BadValue(f"n_tasks: {ask.n_tasks}, but {why} make {on_each} on each node")
        ask = _nodes(ask, ask.n_tasks // on_each, f"n_tasks {ask.n_tasks}, {why}")
    return msgspec.structs.replace(ask, tasks_per_node=on_each)
