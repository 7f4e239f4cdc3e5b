"""A yard of nodes and a queue, without the state machine around them: what the placement tests need.

    yard = Yard()
    yard.node("n1", cpus=8)
    yard.wait(1, cpus=4, limit_s=60)
    assert yard.cycle() == {1: "n1"}

Grants are applied to the columns and checked there; `pass_time` lets jobs end at their time limit.
"""

from __future__ import annotations

from collections.abc import Sequence

from packhorse.scheduler.core import cycle
from packhorse.scheduler.core.pending_columns import PendingRow
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.cluster import ClusterConfig, Partition
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, JobId, NodeName
from packhorse.scheduler.model.input import Guided
from packhorse.scheduler.model.node import Admin, Node, NodeSpec, Offer
from packhorse.scheduler.model.resources import Ask, Device, Gres, Placement

NOON = Instant(1_750_000_000 * US)


def devices(text: str) -> tuple[Device, ...]:
    """`gpu:2`, `gpu:h200:2,gpu:a100:1`: devices numbered within their kind."""
    out: list[Device] = []
    count: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        kind, *type_, n = part.split(":")
        for _ in range(int(n)):
            out.append(Device(kind, type_[0] if type_ else "", count.get(kind, 0)))
            count[kind] = count.get(kind, 0) + 1
    return tuple(out)


def gres(text: str) -> tuple[Gres, ...]:
    """`gpu:2`, `gpu:h200:2,fpga:1`."""
    out = []
    for part in filter(None, text.split(",")):
        kind, *type_, n = part.split(":")
        out.append(Gres(kind, type_[0] if type_ else "", int(n)))
    return tuple(out)


def a_node(
    name: str,
    cpus: int = 8,
    mem: int = 16_000,
    gpus: str = "",
    features: tuple[str, ...] = (),
    weight: int = 1,
    tmp: int = 0,
) -> Node:
    """A registered node that offers all it has."""
    spec = NodeSpec(
        NodeName(name),
        name,
        cpus * 1000,
        mem,
        tmp_mib=tmp,
        devices=devices(gpus),
        features=features,
        weight=weight,
    )
    return Node(spec, "boot", Offer(1, cpus * 1000, mem), NOON)


def an_ask(cpus: int = 1, mem: int = 0, tasks: int = 1, **more: object) -> Ask:
    """cpus per task, MiB per node; everything else under Ask's own names."""
    return Ask(n_tasks=tasks, cpu_milli_per_task=cpus * 1000, mem_mib_per_node=mem, **more)  # type: ignore[arg-type]


class Yard:
    """See the module."""

    def __init__(
        self, *partitions: Partition, depth: int = 1, max_starts: int = 4096, policy: str = "tightest"
    ) -> None:
        self.state = State()
        self.state.config = ClusterConfig(
            partitions=partitions or (Partition("main", is_default=True),),
            backfill_depth=depth,
            policy=policy,
            max_starts_per_cycle=max_starts,
        )
        self.now = NOON
        self.asks: dict[int, tuple[Ask, int]] = {}
        self.running: dict[JobId, int] = {}
        self.started: dict[int, int] = {}
        """Second since NOON at which each job started."""
        self._array_tasks = 1_000_000

    def node(self, name: str, **amounts: object) -> None:
        self.put(a_node(name, **amounts))  # type: ignore[arg-type]

    def put(self, node: Node) -> None:
        self.state.nodes[node.name] = node
        self.state.node_columns.put(node)

    def change(self, name: str, **changes: object) -> None:
        """admin=, reachable=, offer= …: as the state machine would put the changed node."""
        import msgspec

        self.put(msgspec.structs.replace(self.state.nodes[NodeName(name)], **changes))

    def drain(self, name: str, reason: str = "") -> None:
        self.change(name, admin=Admin.DRAIN, reason=reason)

    def wait(
        self,
        id: int,
        ask: Ask | None = None,
        *,
        limit_s: int = 0,
        partition: str = "main",
        priority: int | None = None,
        nice: int = 0,
        count: int = 1,
        room: int = -1,
        avoid: tuple[NodeName, ...] = (),
        **amounts: object,
    ) -> None:
        """A job waits; its ask given whole or as cpus=, mem=, tasks= …"""
        ask = ask or an_ask(**amounts)  # type: ignore[arg-type]
        self.asks[id] = (ask, limit_s)
        self.state.pending_columns.add(
            PendingRow(JobId(id), ask, partition, limit_s, priority, nice, self.now, count, room, avoid)
        )

    def plan(self, guide: Sequence[Guided] = (), hold: bool = False) -> cycle.Plan:
        return cycle.plan(self.state, self.now, guide, hold)

    def cycle(self, guide: Sequence[Guided] = ()) -> dict[int, str]:
        """One cycle, its grants applied. Where jobs went: node names joined by +, tasks of arrays by ;."""
        plan = self.plan(guide)
        where: dict[int, list[str]] = {}
        for grant in plan.grants:
            self.grant(grant.id, grant.placements)
            where.setdefault(grant.id, []).append("+".join(p.node for p in grant.placements))
        self.state.node_columns.check()
        return {id: ";".join(names) for id, names in where.items()}

    def grant(self, id: JobId, placements: tuple[Placement, ...]) -> None:
        """What apply does with a grant."""
        pending = self.state.pending_columns
        ask, limit_s = self.asks[id]
        row = pending.row(id)
        if row.count > 1 or row.room >= 0:
            self._array_tasks += 1
            holder = JobId(self._array_tasks)
            if row.count == 1:
                pending.remove(id)
            else:
                pending.set_count(id, row.count - 1, max(row.room - 1, -1) if row.room >= 0 else -1)
        else:
            holder = id
            pending.remove(id)
        end_by = Instant(self.now + limit_s * US) if limit_s else UNKNOWN
        self.state.node_columns.allocate(holder, placements, exclusive=ask.exclusive)
        self.state.running_columns.add(holder, end_by, placements)
        self.running[holder] = end_by
        self.started[id] = (self.now - NOON) // US

    def end(self, id: int) -> None:
        self.state.node_columns.release(JobId(id))
        self.state.running_columns.remove(JobId(id))
        del self.running[JobId(id)]

    def pass_time(self, seconds: int) -> None:
        """Jobs whose time limit comes meanwhile end."""
        self.now = Instant(self.now + seconds * US)
        for id, end_by in list(self.running.items()):
            if end_by and end_by <= self.now:
                self.end(id)

    def run_to(self, second: int) -> None:
        """A cycle at every second in which something ends, until then."""
        self.cycle()
        while (self.now - NOON) // US < second:
            ends = [end for end in self.running.values() if end > self.now]
            step = min([*ends, NOON + second * US]) - self.now
            self.pass_time(max(step // US, 1))
            self.cycle()

    def reason(self, id: int) -> Reason:
        return self.state.pending_columns.reason(JobId(id))

    def planned(self, id: int) -> int:
        """Second since NOON of the planned start, -1 for none."""
        at = self.state.pending_columns.planned(JobId(id))
        return (at - NOON) // US if at else -1
