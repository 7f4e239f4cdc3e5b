"""A contended pass held back, improved and followed; and a guide that can do no harm, whatever it says."""

from __future__ import annotations

from collections import Counter
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.scheduler.core.contended import Contended
from packhorse.scheduler.core.cycle import Plan
from packhorse.scheduler.core.packing.improver import Improvement, Limits
from packhorse.scheduler.core.packing.problem import Problem
from packhorse.scheduler.core.packing.verify import verify
from packhorse.scheduler.core.pending_columns import PendingRow
from packhorse.scheduler.core.propose import Proposal, limits_of, propose
from packhorse.scheduler.model.cluster import Improver
from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.model.input import Guided
from packhorse.scheduler.model.resources import Ask, Gres
from tests.core.placement.yard import Yard, an_ask, gres

QUICK = Limits(deterministic=0.5)
LATEST = -(1 << 62)


def guided(job: int, *nodes: str, device: int = -1) -> Guided:
    return Guided(JobId(job), tuple(NodeName(name) for name in nodes), device)


def held(yard: Yard) -> Contended:
    """What a pass with hold finds contended."""
    case = yard.plan(hold=True).contended
    assert case is not None
    assert verify(case.problem, case.hint) == []
    return case


def improved(yard: Yard) -> Proposal:
    found = propose(held(yard), QUICK)
    assert isinstance(found.answer, Improvement)
    return found


def unlike_nodes(**more: object) -> Yard:
    """A node with memory and one with CPUs. A small job goes to the first, where the second one would have to
    go."""
    yard = Yard(policy="tightest", **more)  # type: ignore[arg-type]
    yard.node("mem", cpus=4, mem=16_000)
    yard.node("wide", cpus=8, mem=8_000)
    return yard


def test_a_pass_that_blocks_itself_is_improved_and_both_start() -> None:
    yard = unlike_nodes()
    yard.wait(1, cpus=4, mem=6_000)
    yard.wait(2, cpus=4, mem=12_000)
    assert yard.plan().contended is None, "only asked for"
    found = improved(yard)
    assert len(found.guide) == 2
    assert yard.cycle(found.guide) == {1: "wide", 2: "mem"}


def test_a_plan_that_cannot_be_better_is_not_held() -> None:
    yard = unlike_nodes()
    yard.wait(1, cpus=4, mem=6_000)
    assert yard.plan(hold=True).contended is None, "nothing is left behind"
    yard.wait(2, cpus=4, mem=30_000)
    assert yard.plan(hold=True).contended is None, "no node is large enough"
    yard.wait(3, cpus=12)
    assert yard.plan(hold=True).contended is None


def test_a_full_cluster_is_never_contended() -> None:
    yard = unlike_nodes()
    yard.wait(1, cpus=4, mem=6_000)
    yard.wait(2, cpus=8, mem=6_000)
    assert len(yard.cycle()) == 2
    yard.wait(3, cpus=4, mem=6_000)
    assert yard.plan(hold=True).contended is None


def test_shares_and_whole_devices_are_moved_to_their_devices() -> None:
    """A share of one device blocks a job of two whole ones, while another node has a single one."""
    yard = Yard(policy="tightest")
    yard.node("a", cpus=8, gpus="gpu:2")
    yard.node("b", cpus=20, gpus="gpu:1")
    yard.wait(1, Ask(cpu_milli_per_task=1000, gres_per_node=(Gres("gpu", "", 1, milli=500),)))
    yard.wait(2, cpus=8, gres_per_node=gres("gpu:2"))
    found = improved(yard)
    (share,) = [g for g in found.guide if g.job == 1]
    assert share == guided(1, "b", device=0)
    assert yard.cycle(found.guide) == {1: "b", 2: "a"}


def test_gangs_and_arrays() -> None:
    """Array tasks in the way of a gang go elsewhere, as many as there may be."""
    yard = Yard(policy="tightest")
    for name in ("a1", "a2"):
        yard.node(name, cpus=4, mem=16_000)
    for name in ("b1", "b2"):
        yard.node(name, cpus=8, mem=8_000)
    yard.wait(1, cpus=4, mem=6_000, count=5, room=2)
    yard.wait(2, tasks=2, cpus=4, mem=12_000, min_nodes=2, max_nodes=2)
    case = held(yard)
    assert sorted(case.jobs) == [(JobId(1), JobId(1)), (JobId(2),)]
    found = propose(case, QUICK)
    where = yard.cycle(found.guide)
    assert where[2] == "a1+a2"
    assert Counter(where[1].split(";")) in (Counter(b1=1, b2=1), Counter(b1=2), Counter(b2=2))


def test_jobs_that_go_on_are_never_given_up_for_their_equals() -> None:
    """Two small jobs would be worth more than the big one before them; they are behind it."""
    yard = Yard(policy="tightest")
    yard.node("n", cpus=8)
    yard.wait(1, cpus=5)
    yard.wait(2, cpus=4)
    yard.wait(3, cpus=4)
    assert yard.plan(hold=True).contended is None
    yard.wait(4, cpus=8, priority=20_000)
    assert yard.plan(hold=True).contended is None


def test_a_more_important_job_may_take_the_place_of_a_lesser_one() -> None:
    """The important one blocked by an equal gets its node, for which the lesser one has to wait."""
    yard = unlike_nodes(depth=0)
    yard.wait(1, cpus=4, mem=6_000, priority=20_000)
    yard.wait(2, cpus=4, mem=12_000, priority=20_000)
    yard.wait(3, cpus=8, mem=2_000, priority=100)
    assert yard.plan().grants[-1].id == 3
    found = improved(yard)
    assert yard.cycle(found.guide) == {1: "wide", 2: "mem"}


def test_what_a_problem_cannot_express_stays_where_it_is() -> None:
    yard = unlike_nodes()
    yard.wait(1, an_ask(cpus=4, exclusive=True))
    yard.wait(2, cpus=4, mem=12_000)
    assert yard.plan(hold=True).contended is None
    yard = unlike_nodes()
    yard.wait(9, cpus=1, mem=6_000, nodes_required=("mem",))
    yard.wait(1, an_ask(cpus=4, exclusive=True, mem=1_000))
    yard.wait(2, cpus=3, mem=12_000)
    assert yard.plan(hold=True).contended is None, "job 9 may be nowhere else"


def test_the_most_nodes_and_jobs_are_kept() -> None:
    yard = Yard(policy="tightest")
    for i in range(6):
        yard.node(f"m{i}", cpus=4, mem=16_000)
        yard.node(f"w{i}", cpus=8, mem=8_000)
    for i in range(6):
        yard.wait(1 + i, cpus=4, mem=6_000)
        yard.wait(11 + i, cpus=4, mem=12_000)
    case = held(yard)
    assert case.problem.n_nodes == 12
    small = Improver(max_nodes=4, max_jobs=3)
    yard.state.config = type(yard.state.config)(policy="tightest", improver=small)
    cut = held(yard)
    assert cut.problem.n_nodes <= 4
    assert len(cut.hint.placed) <= 3
    assert Problem.from_json(cut.problem.to_json()) == cut.problem


def test_a_guide_is_followed_and_a_stale_one_does_no_harm() -> None:
    yard = unlike_nodes()
    yard.node("third", cpus=8)
    yard.wait(1, cpus=4, mem=6_000)
    yard.wait(2, cpus=4, mem=1_000)
    assert yard.cycle([guided(1, "third"), guided(2, "gone"), guided(99, "third")])[1] == "third"
    yard = unlike_nodes()
    yard.wait(1, cpus=4, mem=6_000)
    yard.wait(2, cpus=8, mem=6_000)
    plain = yard.plan()
    assert len(plain.grants) == 2
    assert yard.plan([guided(1, "wide")]).grants == plain.grants, "job 2 would be left behind for it"
    assert yard.plan([guided(1, "mem", "wide")]).grants == plain.grants, "two nodes for a job of one"


def test_a_guide_hands_out_no_more_licences_than_are_free() -> None:
    yard = unlike_nodes()
    config = yard.state.config
    yard.state.config = msgspec.structs.replace(config, licenses=(("matlab", 3),))
    for id, count in ((1, 4), (2, 1)):
        yard.state.pending_columns.add(
            PendingRow(JobId(id), an_ask(mem=100), "main", count=count, licenses="matlab:1")
        )
    plan = yard.plan([guided(1, "wide"), guided(1, "mem"), guided(2, "wide")])
    assert [grant.id for grant in plan.grants] == [1, 1, 1]
    assert {grant.placements[0].node for grant in plan.grants[:2]} == {"wide", "mem"}
    yard.wait(3, cpus=4, mem=15_500)
    assert yard.plan(hold=True).contended is None, "jobs with licences are left where they are"


def test_the_same_pass_gets_the_same_guide_where_limits_are_deterministic() -> None:
    yard = _random_yard(Random(9))
    cases = [yard.plan(hold=True).contended for _ in range(2)]
    assert cases[0] is not None
    assert cases[0] == cases[1]
    guides = {propose(case, Limits(deterministic=0.2, seed=5)).guide for case in cases if case}
    assert len(guides) == 1


def test_limits_come_from_the_settings() -> None:
    assert limits_of(Improver(limit_ms=500, hold_ms=200), lambda: 0.0).wall_s == 0.16
    assert limits_of(Improver(limit_ms=500, hold_ms=900), lambda: 0.0).wall_s == 0.5
    exact = limits_of(Improver(deterministic_limit=2.5, seed=3), lambda: 0.0)
    assert (exact.deterministic, exact.seed, exact.clock) == (2.5, 3, None)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6))
def test_a_random_guide_neither_overbooks_nor_delays(seed: int) -> None:
    """Whatever a guide says: the columns stay right, and the first row in order that fares differently fares
    better."""
    yard = _random_yard(Random(seed))
    yard.cycle()
    yard.pass_time(5)
    for id in range(101, 109):
        _random_job(yard, id, Random(seed * 31 + id))
    dice = Random(seed + 7)
    names = list(yard.state.nodes)
    guide = [
        guided(dice.choice([*range(1, 20), *range(101, 109)]), *dice.sample(names, dice.choice((1, 1, 1, 2))))
        for _ in range(12)
    ]
    plain, led = yard.plan(), yard.plan(guide)
    fates = [_fates(plain), _fates(led)]
    order = yard.state.pending_columns.order(yard.state.config)
    for id in yard.state.pending_columns.id[order].tolist():
        was, now = (fate.get(id, (0, LATEST)) for fate in fates)
        if was != now:
            assert now > was, "worse for a row before any is better"
            break
    yard.cycle(guide)  # checks the columns


def test_what_the_improver_promises_is_kept() -> None:
    """Where it finds a better answer, the plan made with it starts more, or more important ones."""
    n_better = 0
    for seed in range(40):
        yard = _random_yard(Random(seed), depth=0)
        case = yard.plan(hold=True).contended
        if case is None:
            continue
        guide = propose(case, Limits(deterministic=0.1)).guide
        if guide:
            n_better += 1
            assert _fates(yard.plan(guide)) != _fates(yard.plan()), f"seed {seed}"
    assert n_better >= 10


def test_jobs_a_problem_cannot_express_do_not_take_what_was_made_free() -> None:
    """Job 3, which wants a node for itself, would rather have the one that job 1 leaves for job 2."""
    yard = unlike_nodes(depth=0)
    yard.node("own", cpus=8, mem=9_000)
    yard.wait(1, cpus=4, mem=6_000)
    yard.wait(2, an_ask(cpus=3, mem=3_000, exclusive=True))
    yard.wait(3, cpus=4, mem=12_000)
    found = improved(yard)
    without = yard.plan([place for place in found.guide if place.job != 2])
    assert [grant.id for grant in without.grants] == [1, 2]
    assert yard.cycle(found.guide) == {1: "own", 2: "wide", 3: "mem"}


def _fates(plan: Plan) -> dict[int, tuple[int, int]]:
    """By job: how many start, and the planned start, later ones less."""
    counts = Counter(g.id for g in plan.grants)
    return {
        id: (counts[id], -plan.planned[id] if id in plan.planned else LATEST)
        for id in {*counts, *plan.planned}
    }


def _random_yard(dice: Random, depth: int = 1) -> Yard:
    yard = Yard(policy="tightest", depth=depth)
    for i in range(dice.randint(2, 6)):
        yard.node(
            f"n{i}",
            cpus=dice.choice((4, 8)),
            mem=dice.choice((8_000, 16_000)),
            gpus=dice.choice(("", "gpu:2")),
        )
    for id in range(1, 20):
        _random_job(yard, id, dice)
    return yard


def _random_job(yard: Yard, id: int, dice: Random) -> None:
    more: dict[str, object] = {}
    kind = dice.randrange(5)
    if kind == 0:
        more["gres_per_node"] = gres(f"gpu:{dice.randint(1, 2)}")
    elif kind == 1:
        more["gres_per_node"] = (Gres("gpu", "", 1, milli=dice.choice((300, 500))),)
    elif kind == 2:
        more |= {"tasks": 2, "min_nodes": 2, "max_nodes": 2}
    elif kind == 3 and dice.random() < 0.3:
        more["exclusive"] = True
    yard.wait(
        id,
        cpus=dice.randint(1, 4),
        mem=dice.choice((1_000, 4_000, 9_000)),
        limit_s=dice.choice((5, 20, 100)),
        priority=dice.choice((None, None, 20_000)),
        count=dice.choice((1, 1, 3)),
        **more,  # type: ignore[arg-type]
    )
