"""Who gets which processors: placed by hand, and any sequence of starts and ends on any machine."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from packhorse.agent.binding import WHOLE, Binder, Processor


def machine(sockets: int, cores: int, threads: int, numa_per_socket: int = 1) -> list[Processor]:
    """Numbered as Linux does: the second threads of all cores after all first ones."""
    found: list[Processor] = []
    for _ in range(threads):
        for socket in range(sockets):
            for core in range(cores):
                numa = socket * numa_per_socket + core * numa_per_socket // cores
                found.append(Processor(len(found), core, socket, numa))
    return found


def binder(*shape: int) -> Binder:
    processors = machine(*shape)
    return Binder(processors, len(processors) * WHOLE)


def test_the_threads_of_a_core_go_together() -> None:
    one = binder(1, 4, 2)  # core c has processors c and c + 4
    assert one.take("a", 2000) == (0, 4)
    assert one.take("b", 3000) == (1, 2, 5)  # a core and a half
    assert one.take("c", 1000) == (3,)  # a free core before the rest of another's
    assert one.take("d", 1000) == (6,)
    assert one.take("e", 1000) == (7,)
    assert set(one.load_milli().values()) == {WHOLE}


def test_near_its_devices_then_on_the_same_socket_then_anywhere() -> None:
    two = binder(2, 4, 1, 2)  # NUMA nodes 0..3 of two processors each, two of them in each socket
    assert two.take("a", 1000, [3]) == (6,)
    assert two.take("b", 2000, [3]) == (4, 5)  # node 3 has one left: the socket has three
    assert two.take("c", 3000, [2]) == (0, 1, 2)


def test_the_tightest_node_that_has_enough() -> None:
    two = binder(2, 4, 1)
    two.take("a", 2000)  # socket 0 has two left, socket 1 four
    assert two.take("b", 2000) == (2, 3)
    assert two.take("c", 3000) == (4, 5, 6)


def test_a_suspended_attempt_leaves_its_processors_to_those_who_find_no_better_ones() -> None:
    one = binder(1, 4, 1)
    assert one.take("a", 2000) == (0, 1)
    one.suspend("a")
    one.suspend("a")
    assert one.take("b", 2000) == (2, 3)  # free ones first
    assert one.take("c", 1000) == (0,)  # then those of one that does nothing, not those of one that runs
    assert one.of("a") == (0, 1)
    one.release("b")
    assert one.resume("a") == (1, 2)  # another has come to 0, and 2 and 3 are free by now
    assert one.load_milli() == {0: WHOLE, 1: WHOLE, 2: WHOLE, 3: 0}
    assert one.resume("a") == (1, 2)
    one.suspend("a")
    assert one.resume("a") == (1, 2)  # the same where nobody has come
    one.suspend("a")
    one.release("a")
    assert one.resume("a") == ()
    one.release("c")
    assert set(one.load_milli().values()) == {0}


def test_parts_share_a_pool_and_leave_whole_cores_free() -> None:
    one = binder(1, 4, 1)
    assert one.take("a", 500) == one.take("b", 250) == one.take("c", 250)
    assert one.take("d", 500) != one.of("a")
    assert one.take("e", 2000) == (2, 3)
    one.release("a")
    assert one.take("f", 500) == one.of("b")  # the room of the one that ended
    one.release("e")
    assert one.take("g", 1500) == (1, 2)  # one to itself, and its half beside d's


def test_for_want_of_free_ones_the_least_loaded() -> None:
    two = binder(1, 2, 1)
    two.take("a", 500)
    two.take("b", 700)
    assert two.take("c", 800) == two.of("a")
    assert two.take("d", 1000) == two.of("b")


@pytest.mark.parametrize("capacity", [0, 5000])
def test_a_node_that_declares_more_than_it_has_binds_nothing(capacity: int) -> None:
    none = Binder(machine(1, 4, 1), capacity)
    assert not none.binds
    none.adopt("a", (1,), 1000)
    assert none.take("b", 1000) == none.of("a") == ()


def test_what_an_earlier_agent_bound_stays_bound() -> None:
    one = binder(1, 4, 1)
    one.adopt("a", (0, 2), 1500)
    one.adopt("a", (3,), 1000)  # heard twice
    assert (one.of("a"), one.load_milli()) == ((0, 2), {0: 1000, 1: 0, 2: 500, 3: 0})
    assert one.take("b", 2000) == (1, 3)
    assert one.take("c", 500) == (2,)
    one.adopt("z", (17,), 1000)  # a processor that is gone
    assert one.of("z") == ()
    for key in ("a", "b", "c", "a", "never heard of"):
        one.release(key)
    assert set(one.load_milli().values()) == {0}


class Node(RuleBasedStateMachine):
    """Attempts come, go and are found again by a new agent; what is asked never exceeds the node."""

    attempts: Bundle[str] = Bundle("attempts")

    @initialize(
        sockets=st.integers(1, 2), cores=st.integers(1, 4), threads=st.integers(1, 2), numa=st.integers(1, 2)
    )
    def boot(self, sockets: int, cores: int, threads: int, numa: int) -> None:
        self.processors = machine(sockets, cores, threads, numa)
        self.binder = Binder(self.processors, len(self.processors) * WHOLE)
        self.asked: dict[str, int] = {}
        self.n = 0

    @rule(
        target=attempts,
        milli=st.one_of(st.integers(1, 4).map(lambda n: n * WHOLE), st.integers(1, 3500)),
        numa=st.sets(st.integers(0, 3), max_size=2),
    )
    def start(self, milli: int, numa: set[int]) -> str:
        self.n += 1
        key = f"{self.n}.1.1"
        if sum(self.asked.values()) + milli > len(self.processors) * WHOLE:
            return key
        before = self.binder.load_milli()
        cpus = self.binder.take(key, milli, numa)
        self.asked[key] = milli
        assert len(cpus) == len(set(cpus)) == -(-milli // WHOLE)  # what nproc shows is what was given
        self.check_choice(cpus, milli, before)
        assert self.binder.take(key, milli, numa) == cpus
        return key

    def check_choice(self, cpus: tuple[int, ...], milli: int, before: dict[int, int]) -> None:
        """None with others while there were free ones; none on a begun core while there were free cores."""
        n = milli // WHOLE
        free = {cpu for cpu, load in before.items() if not load}
        cores: dict[tuple[int, int], set[int]] = {}
        for processor in self.processors:
            cores.setdefault((processor.socket, processor.core), set()).add(processor.cpu)
        in_free_cores = {cpu for core in cores.values() if core <= free for cpu in core}
        if len(free) >= n:
            assert len(free & set(cpus)) >= n
        if len(in_free_cores) >= n:
            assert len(in_free_cores & set(cpus)) >= n

    @rule(key=consumes(attempts))
    def end(self, key: str) -> None:
        self.binder.release(key)
        self.asked.pop(key, None)

    @rule()
    def another_agent(self) -> None:
        before = {key: self.binder.of(key) for key in self.asked}
        self.binder = Binder(self.processors, len(self.processors) * WHOLE)
        for key, cpus in before.items():
            self.binder.adopt(key, cpus, self.asked[key])
        assert {key: self.binder.of(key) for key in self.asked} == before

    @invariant()
    def what_is_held_is_what_was_asked(self) -> None:
        if hasattr(self, "binder"):
            assert sum(self.binder.load_milli().values()) == sum(self.asked.values())


TestNode = Node.TestCase


def test_steps_share_out_what_their_batch_script_has() -> None:
    binder = Binder([Processor(cpu, core=cpu) for cpu in range(8)], 8000)
    assert binder.lend("1.0", "1", 2000) == ()
    assert binder.take("1", 4000) == (0, 1, 2, 3)
    assert binder.lend("1.0", "1", 2000) == (0, 1)
    assert binder.lend("1.1", "1", 1500) == (2, 3)
    assert binder.lend("1.2", "1", 1000) == (0,)  # all are in use: it overlaps
    binder.release("1.0")
    assert binder.lend("1.3", "1", 9000) == (0, 1, 2, 3)
    assert binder.lend("1.4", "1", 1000) == (1,)
    assert binder.take("2", 4000) == (4, 5, 6, 7), "steps take nothing from anybody else"
    assert binder.of("1.1") == (2, 3)
    assert sum(binder.load_milli().values()) == 8000


def test_a_step_that_was_found_keeps_its_processors() -> None:
    binder = Binder([Processor(cpu, core=cpu) for cpu in range(4)], 4000)
    binder.adopt("1", (0, 1, 2), 3000)
    assert binder.lend("1.0", "1", 1000, cpus=(2,)) == (2,)
    assert binder.lend("1.1", "1", 1000) == (0,)


def test_a_step_follows_its_batch_script_that_went_on_elsewhere() -> None:
    binder = Binder([Processor(cpu, core=cpu) for cpu in range(4)], 4000)
    binder.take("1", 2000)
    assert binder.lend("1.0", "1", 1000) == (0,)
    binder.suspend("1")
    binder.take("2", 4000)
    binder.release("2")
    binder.take("3", 2000)
    assert binder.resume("1.0") in ((0,), (1,))
    binder.release("3")
    assert binder.take("4", 1000)
    own = binder.resume("1")
    assert set(binder.resume("1.0")) <= set(own)
