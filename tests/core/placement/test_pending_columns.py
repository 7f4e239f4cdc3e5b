"""The queue in columns behaves as a dictionary of rows and a sort would."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from packhorse.scheduler.core.pending_columns import PendingColumns, PendingRow
from packhorse.scheduler.core.priority import BASE_PRIORITY, base_priority
from packhorse.scheduler.core.reasons import REASONS, Reason
from packhorse.scheduler.model.cluster import ClusterConfig, Partition
from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.model.job import JobSpec
from packhorse.scheduler.model.resources import Ask

CONFIGS = [
    ClusterConfig(partitions=(Partition("a"), Partition("b"))),
    ClusterConfig(partitions=(Partition("a", priority_tier=2), Partition("b", priority=7))),
]

asks = st.builds(Ask, cpu_milli_per_task=st.integers(1, 5).map(lambda n: n * 1000))
fields = st.fixed_dictionaries(
    {
        "ask": asks,
        "partition": st.sampled_from(["a", "b", "unknown"]),
        "time_limit_s": st.integers(0, 3),
        "priority": st.none() | st.integers(BASE_PRIORITY - 3, BASE_PRIORITY + 9),
        "nice": st.integers(-3, 3),
        "count": st.integers(0, 3),
        "room": st.integers(-1, 2),
        "avoid": st.sampled_from([(), (NodeName("n1"),)]),
        "eligible": st.booleans(),
    }
)


class QueueMachine(RuleBasedStateMachine):
    """Rows come, change and go, with the order asked for now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.columns = PendingColumns()
        self.rows: dict[int, PendingRow] = {}
        self.config = CONFIGS[0]
        self.next_id = 100

    def row(self, id: int, values: dict[str, object]) -> PendingRow:
        reason = Reason.NONE if values["eligible"] else Reason.HELD_USER
        return PendingRow(id=JobId(id), reason=reason, **values)  # type: ignore[arg-type]

    @rule(values=fields, low=st.integers(1, 99))
    def add(self, values: dict[str, object], low: int) -> None:
        id = low if low % 3 == 0 else self.next_id
        self.next_id += 1
        row = self.row(id, values)
        if id in self.rows:
            with pytest.raises(ValueError):
                self.columns.add(row)
            return
        self.columns.add(row)
        self.rows[id] = row

    @rule(values=st.lists(fields, max_size=8), again=st.booleans())
    def add_many(self, values: list[dict[str, object]], again: bool) -> None:
        rows = [self.row(self.next_id + i, v) for i, v in enumerate(values)]
        self.next_id += len(rows)
        if again and len(rows) > 3 and self.rows:
            with pytest.raises(ValueError):
                self.columns.add_many([*rows, next(iter(self.rows.values()))])
            return
        self.columns.add_many(rows)
        self.rows.update((row.id, row) for row in rows)

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from(sorted(self.rows)), unique=True, max_size=5))
        if len(ids) == 1:
            self.columns.remove(JobId(ids[0]))
        else:
            with pytest.raises(KeyError):
                self.columns.remove_many([*map(JobId, ids), JobId(10**9)])
            self.columns.remove_many([JobId(id) for id in ids])
        for id in ids:
            del self.rows[id]

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), values=fields)
    def replace(self, data: st.DataObject, values: dict[str, object]) -> None:
        id = data.draw(st.sampled_from(sorted(self.rows)))
        self.rows[id] = self.row(id, values)
        self.columns.replace(self.rows[id])

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), count=st.integers(0, 3), room=st.none() | st.integers(-1, 2))
    def set_count(self, data: st.DataObject, count: int, room: int | None) -> None:
        id = data.draw(st.sampled_from(sorted(self.rows)))
        self.columns.set_count(JobId(id), count, room)
        row = self.rows[id]
        self.rows[id] = row._replace(count=count, room=row.room if room is None else room)

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), eligible=st.booleans())
    def set_eligible(self, data: st.DataObject, eligible: bool) -> None:
        id = data.draw(st.sampled_from(sorted(self.rows)))
        reason = Reason.NONE if eligible else Reason.DEPENDENCY
        self.columns.set_eligible(JobId(id), eligible, reason)
        self.rows[id] = self.rows[id]._replace(eligible=eligible)

    @rule(config=st.sampled_from(CONFIGS))
    def configure(self, config: ClusterConfig) -> None:
        self.config = config

    @rule()
    def order(self) -> None:
        partitions = {p.name: p for p in self.config.partitions}

        def key(row: PendingRow) -> tuple[int, int, int]:
            p = partitions.get(row.partition)
            tier, bonus = (p.priority_tier, p.priority) if p else (0, 0)
            own = BASE_PRIORITY + bonus - row.nice if row.priority is None else row.priority
            return -tier, -own, row.id

        ready = [r for r in self.rows.values() if r.eligible and r.count > 0 and r.room != 0]
        uniform = self.config is CONFIGS[0]
        if uniform:  # then an unknown partition orders like the known ones
            ready.sort(key=lambda r: key(r._replace(partition="a")))
        else:
            ready.sort(key=key)
        order = self.columns.order(self.config)
        assert self.columns.id[order].tolist() == [r.id for r in ready]
        assert self.columns.n_ready == len(ready)

    @invariant()
    def rows_are_kept(self) -> None:
        assert len(self.columns) == len(self.rows)
        for id, row in self.rows.items():
            kept = self.columns.row(JobId(id))
            assert kept._replace(reason=row.reason) == row
            if row.eligible and row.count and row.room == 0:
                assert kept.reason is Reason.ARRAY_TASK_LIMIT
        assert sum(self.columns.reason_counts().values()) == len(self.rows)


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_classes_are_shared_and_their_numbers_used_again() -> None:
    columns = PendingColumns()
    config = CONFIGS[0]
    for wave in range(30):
        rows = [
            PendingRow(JobId(wave * 200 + i + 1), Ask(mem_mib_per_node=wave * 200 + i), "a")
            for i in range(200)
        ]
        columns.add_many(rows)
        columns.order(config)
        assert columns.class_of(rows[7].id).ask == rows[7].ask
        columns.remove_many([row.id for row in rows])
    assert len(columns.classes) < 2500
    assert columns.id.shape[0] <= 1024
    columns.add_many([PendingRow(JobId(10**6 + i), Ask(), "a") for i in range(50)])
    assert len({columns.class_of(JobId(10**6 + i)) for i in range(50)}) == 1


def test_a_row_costs_about_a_hundred_bytes() -> None:
    columns = PendingColumns()
    columns.add_many([PendingRow(JobId(i + 1), Ask(), "a") for i in range(20_000)])
    arrays = [v for v in vars(columns).values() if hasattr(v, "nbytes") and v.shape[0] == columns.id.shape[0]]
    assert sum(v.itemsize for v in arrays) <= 112


def test_reasons_have_one_number_each_for_ever() -> None:
    assert [reason.code for reason in REASONS] == list(range(len(REASONS)))
    assert REASONS[:4] == (Reason.NONE, Reason.PRIORITY, Reason.RESOURCES, Reason.DEPENDENCY)
    assert Reason.HELD_REQUEUED.value == "job requeued in held state"


def test_priority_that_is_shown() -> None:
    partition = Partition("a", priority=50)
    spec = JobSpec("j", Ask(), "a", "", "", "/")
    assert base_priority(spec, partition) == BASE_PRIORITY + 50
    import msgspec

    assert base_priority(msgspec.structs.replace(spec, nice=60), partition) == BASE_PRIORITY - 10
    assert base_priority(msgspec.structs.replace(spec, nice=10**9), partition) == 1
    assert base_priority(msgspec.structs.replace(spec, priority=7, nice=5), None) == 7


def test_an_eligible_row_keeps_the_reason_of_the_last_cycle() -> None:
    columns = PendingColumns()
    columns.add(PendingRow(JobId(1), Ask(), "a", count=5))
    columns.set_reason(JobId(1), Reason.RESOURCES)
    columns.set_count(JobId(1), 4)
    columns.set_eligible(JobId(1), True)
    assert columns.reason(JobId(1)) is Reason.RESOURCES
    columns.set_room(JobId(1), 0)
    assert columns.reason(JobId(1)) is Reason.ARRAY_TASK_LIMIT and columns.n_ready == 0
    columns.set_room(JobId(1), 2)
    assert columns.reason(JobId(1)) is Reason.NONE and columns.n_ready == 1
    columns.set_eligible(JobId(1), False, Reason.HELD_ADMIN)
    assert columns.reason(JobId(1)) is Reason.HELD_ADMIN


def test_there_may_be_many_qos() -> None:
    """As many as the book of accounts may have."""
    columns = PendingColumns()
    for i in range(1, 1_001):
        columns.add(PendingRow(JobId(i), Ask(), "main", qos=f"qos{i}"))
    assert columns.row(JobId(1_000)).qos == "qos1000"
