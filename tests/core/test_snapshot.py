"""Snapshots: the same state back, the same decisions from it, and damage recognised."""

import msgspec
import pytest

from packhorse.scheduler.core.check import check
from packhorse.scheduler.core.snapshot import AnyChunk, Header, Shared, Variants, dump, load
from packhorse.scheduler.core.step import step
from packhorse.scheduler.model.errors import StoreDamaged, StoreNewer
from packhorse.scheduler.model.event import Item
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.input import Caller, RegisterNode, RunCycle, Submit, Tick
from packhorse.scheduler.model.job import JobSpec, Retry
from packhorse.scheduler.model.node import Offer
from tests.core.scenario import NOON, USER, Cluster, a_cluster, a_spec, after


def busy_cluster() -> Cluster:
    """Something of everything that a state can hold."""
    cluster = a_cluster(nodes=2, cpus=4, gpus=2)
    cluster.submit(count=30, cpus=2, time_limit_s=60, caller=Caller(USER, key="k", fingerprint="f"))
    array = cluster.submit_array("0-99%3")
    cluster.submit_array("0-99", dependency=after("aftercorr", array))
    cluster.submit(hold=True)
    cluster.submit(begin_at=Instant(NOON + 90 * US), retry=Retry(2))
    cluster.submit(dependency=after("afterok", 1, 2))
    cluster.submit(dependency=after("afternotok", 9999), kill_on_invalid_dep=True)
    cluster.submit(name="solo", dependency=after("singleton"))
    cluster.submit(name="solo", dependency=after("singleton"), lease_s=60)
    cluster.submit(gpus=1, nodes=2)
    for job in cluster.run_cycle():
        cluster.start(job)
    cluster.exit(1)
    cluster.exit(2, 1)
    cluster.requeue(3)
    cluster.cancel(f"{array}_[50-60]")
    cluster.drain("n2")
    cluster.run_cycle()
    return cluster


def test_a_snapshot_holds_everything() -> None:
    cluster = busy_cluster()
    again = load(dump(cluster.state.freeze()))
    assert again == cluster.state
    check(again)
    assert again == cluster.replayed()
    assert again.tasks == cluster.state.tasks
    assert again.singletons == cluster.state.singletons
    # Equal specs are one object again.
    specs = {id(job.spec) for job in again.jobs.values()}
    assert len(specs) <= len({job.spec for job in again.jobs.values()})


def test_decisions_from_a_loaded_snapshot_are_the_same() -> None:
    cluster = busy_cluster()
    again = load(dump(cluster.state.freeze()))
    now = Instant(cluster.clock.now + 500 * US)
    assert step(again, Tick(), now) == step(cluster.state, Tick(), now)
    assert step(again, RunCycle(), now) == step(cluster.state, RunCycle(), now)


def test_a_frozen_state_does_not_move() -> None:
    cluster = busy_cluster()
    frozen = cluster.state.freeze()
    before = list(dump(frozen))
    cluster.submit(count=5)
    cluster.exit(4)
    assert list(dump(frozen)) == before


def test_damage_is_recognised() -> None:
    chunks = list(dump(busy_cluster().state.freeze()))
    for broken in (
        [],
        chunks[1:],
        chunks[:-1],
        [*chunks[:2], *chunks[3:]],
        [*chunks, chunks[-1]],
        [chunks[0][:-1], *chunks[1:]],
        [chunks[0], b"\x93\xa5never", *chunks[1:]],
    ):
        with pytest.raises(StoreDamaged):
            load(broken)


def a_sweep(n: int = 2500) -> Cluster:
    """Many jobs that differ in name and arguments, of two families, and some that differ otherwise."""
    cluster = Cluster()
    spec, other = a_spec(), a_spec(cpus=2, time_limit_s=70)
    items = tuple(Item(i % 2, f"name{i % 7}" if i % 3 else None, (str(i),)) for i in range(n))
    cluster.do(Submit(Caller(USER), (spec, other), items))
    for i in range(5):
        cluster.submit(name=f"alone{i}", nice=i)
    return cluster


def test_what_specs_have_in_common_is_written_once() -> None:
    cluster = a_sweep()
    chunks = list(dump(cluster.state.freeze()))
    again = load(chunks)
    assert again == cluster.state
    check(again)
    assert len({id(job.spec.ask) for job in again.jobs.values()}) == 2
    shared = [chunk for chunk in map(_decoded, chunks) if isinstance(chunk, Shared)]
    assert sum(len(chunk.specs) for chunk in shared) == 2 + 4  # the first of them differs in its name only
    assert sum(map(len, chunks)) < 110 * len(again.jobs)


def test_the_format_before_is_read() -> None:
    """Version 1 had every spec in full."""
    cluster = a_sweep(1200)
    chunks: list[bytes] = []
    specs: list[JobSpec] = []
    for chunk in map(_decoded, dump(cluster.state.freeze())):
        if isinstance(chunk, Header):
            chunk = msgspec.structs.replace(chunk, version=1)
        elif isinstance(chunk, Shared):
            specs += chunk.specs
        elif isinstance(chunk, Variants):
            whole = [msgspec.structs.replace(specs[n], name=name, args=args) for n, name, args in chunk.specs]
            specs += whole
            chunk = Shared(whole, [])
        chunks.append(msgspec.msgpack.encode(chunk))
    assert load(chunks) == cluster.state


def _decoded(chunk: bytes) -> AnyChunk:
    return msgspec.msgpack.decode(chunk, type=AnyChunk)  # type: ignore[no-any-return]


def test_a_variant_of_nothing_is_damage() -> None:
    chunks = [_decoded(chunk) for chunk in dump(a_sweep(50).state.freeze())]
    at = next(i for i, chunk in enumerate(chunks) if isinstance(chunk, Variants))
    chunks[at] = Variants([(10_000, "x", ())])
    with pytest.raises(StoreDamaged, match="spec that is missing"):
        load(map(msgspec.msgpack.encode, chunks))


def test_a_newer_format_is_refused() -> None:
    chunks = list(dump(Cluster().state.freeze()))
    newer = chunks[0].replace(b"packhorse-state\x03", b"packhorse-state\x63")
    assert newer != chunks[0]
    with pytest.raises(StoreNewer):
        load([newer, *chunks[1:]])


def test_the_order_in_which_nodes_filled_up_is_forgotten_alike() -> None:
    cluster = a_cluster()
    first, second = cluster.submit(hold=True), cluster.submit()
    cluster.run(second)
    cluster.release(first)
    cluster.run(first)
    again = load(dump(cluster.state.freeze()))
    reboot = RegisterNode(cluster.specs["n1"], "another boot", Offer(9, 8000, 16_000))
    live, loaded = (step(state, reboot, cluster.clock.now) for state in (cluster.state, again))
    assert live == loaded
    assert len(live.events) == 3
