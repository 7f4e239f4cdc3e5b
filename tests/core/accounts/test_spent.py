"""What associations and QOS have spent: against brute force, in a tree that changes, and with real jobs."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from packhorse.scheduler.core.accounts.billing import billing_milli
from packhorse.scheduler.core.accounts.book import AccountBook
from packhorse.scheduler.core.accounts.decay import Decay, period
from packhorse.scheduler.core.accounts.spent import Charge, Spent, path
from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.model.accounts import (
    ROOT,
    Account,
    AccountsDelta,
    Association,
    AssociationKey,
    Qos,
    User,
)
from packhorse.scheduler.model.cluster import AccountsPolicy, Enforce, Partition, Priorities
from packhorse.scheduler.model.event import AccountsChanged
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.input import Reconfigure, Start
from packhorse.scheduler.model.tres import make_tres
from tests.core.scenario import ADMIN, NOON, Cluster, a_cluster, a_config

DAY_S = 86_400
ROOT_KEY = AssociationKey(ROOT)
TOP, LEFT, RIGHT = AssociationKey("top"), AssociationKey("left"), AssociationKey("right")
ANN, BOB = AssociationKey("left", "ann"), AssociationKey("right", "bob")
MULE = AssociationKey("left", "mule")


def a_tree() -> AccountsDelta:
    """root over top; top over left (ann, mule) and right (bob)."""
    accounts = (Account("top"), Account("left", "top"), Account("right", "top"))
    users = tuple(User(name) for name in ("ann", "bob", "mule"))
    keys = (TOP, LEFT, RIGHT, ANN, BOB, MULE)
    return AccountsDelta(accounts, users, tuple(Association(key) for key in keys))


def a_book() -> AccountBook:
    book = AccountBook()
    book.change(a_tree())
    return book


def at(seconds: float) -> Instant:
    return Instant(NOON + round(seconds * US))


def a_charge(own: AssociationKey, cpus: int = 1, qos: str = "normal") -> Charge:
    return Charge(own, (qos,), (("cpu", cpus * 1_000_000), ("billing", cpus * 1000), ("wall", 1000)))


@given(
    half_life_s=st.sampled_from([0, 3600, 7 * DAY_S]),
    spans=st.lists(
        st.tuples(st.integers(0, 200_000), st.integers(1, 100_000), st.integers(1, 64)), max_size=12
    ),
    asked_at=st.integers(0, 400_000),
)
def test_use_is_what_brute_force_says(
    half_life_s: int, spans: list[tuple[int, int, int]], asked_at: int
) -> None:
    """Each job's use on its own: the integral of its rate, each moment weighed by its age."""
    book, spent = a_book(), Spent()
    spent.fade(book, Decay(half_life_s), NOON)
    moves = [(start, 1, job, cpus) for job, (start, _, cpus) in enumerate(spans)]
    moves += [(start + length, 0, job, 0) for job, (start, length, _) in enumerate(spans)]
    for when, starts, job, cpus in sorted(moves):
        if when > asked_at:
            continue
        if starts:
            spent.charge(book, JobId(job + 1), a_charge(ANN, cpus), at(when))
        else:
            spent.release(book, JobId(job + 1), at(when))
    fade = math.log(2) / half_life_s if half_life_s else 0.0
    wanted = 0.0
    for start, length, cpus in spans:
        old, young = asked_at - start, max(asked_at - start - length, 0)
        if old > 0:
            wanted += cpus * (
                (math.exp(-fade * young) - math.exp(-fade * old)) / fade if fade else old - young
            )
    for key in (ANN, LEFT, TOP, ROOT_KEY):
        assert spent.billing(key, at(asked_at)) == pytest.approx(wanted, rel=1e-9, abs=1e-6)
        assert spent.of(key, at(asked_at)).get("cpu", 0.0) == pytest.approx(wanted * 1000, rel=1e-9, abs=1e-3)
    assert spent.billing(BOB, at(asked_at)) == 0.0


def test_billings_are_those_of_each_and_look_ahead() -> None:
    book, spent = a_book(), Spent()
    spent.fade(book, Decay(3600), NOON)
    for job, key in enumerate((ANN, BOB, ANN), 1):
        spent.charge(book, JobId(job), a_charge(key, job), at(job * 100))
    spent.release(book, JobId(1), at(777))
    now = at(1000)
    found = spent.billings(now)
    assert found == {key: pytest.approx(spent.billing(key, now)) for key in spent.by_key}
    ahead = spent.billings(now, 500)
    assert ahead == {key: pytest.approx(spent.billing(key, at(1500))) for key in spent.by_key}
    assert ahead[BOB] > found[BOB]


def test_looking_ahead_forgets_nothing_before_its_time() -> None:
    """At ten to midnight of a day after which use is forgotten."""
    book, spent = a_book(), Spent()
    midnight = Instant(1_750_032_000 * US)
    spent.fade(book, Decay(0, "daily"), Instant(midnight - 3000 * US))
    spent.charge(book, JobId(1), a_charge(ANN), Instant(midnight - 3000 * US))
    assert spent.billings(Instant(midnight - 600 * US), 1800)[ANN] == 2400 + 1800
    assert spent.billings(Instant(midnight + 600 * US), 1800)[ANN] == 600 + 1800


def test_numbers_by_hand() -> None:
    """A job of 4 CPUs for one half-life, then another of nothing: 4 x H / ln 2 x 1/2, then half of that."""
    book, spent = a_book(), Spent()
    spent.fade(book, Decay(3600), NOON)
    spent.charge(book, JobId(1), a_charge(ANN, 4), NOON)
    spent.release(book, JobId(1), at(3600))
    after = 4 * 3600 / math.log(2) / 2
    assert spent.billing(ANN, at(3600)) == pytest.approx(after)
    assert spent.billing(ANN, at(7200)) == pytest.approx(after / 2)
    assert spent.wall_s(ANN, at(3600)) == pytest.approx(after / 4)
    assert spent.of_qos("normal", at(7200))["billing"] == pytest.approx(after / 2)
    assert not spent.by_key[ANN].rates and not spent.charges, "nothing runs, and no rest of a rate is left"


def test_asking_leaves_no_trace() -> None:
    """A pass asks; a log that is replayed has no passes."""
    book = a_book()
    asked, alone = Spent(), Spent()
    for spent in (asked, alone):
        spent.fade(book, Decay(1000), NOON)
    for step in range(50):
        for spent in (asked, alone):
            spent.charge(book, JobId(step + 1), a_charge(ANN if step % 2 else BOB), at(step * 77))
            spent.release(book, JobId(step // 2), at(step * 77))
        asked.of(TOP, at(step * 77 + 5))
        asked.billing(ANN, at(step * 1000))
    assert asked == alone


def test_a_period_ends_and_use_begins_again() -> None:
    """Weekly: from Sunday, in UTC. What runs goes on."""
    book, spent = a_book(), Spent()
    sunday = Instant(1_749_945_600 * US)  # 2025-06-15
    spent.fade(book, Decay(0, "weekly"), Instant(sunday - 100 * US))
    spent.charge(book, JobId(1), a_charge(ANN), Instant(sunday - 100 * US))
    assert spent.billing(ANN, Instant(sunday - US)) == 99
    assert spent.billing(ANN, sunday) == 0
    assert spent.billing(ANN, Instant(sunday + 7 * US)) == 7
    spent.release(book, JobId(1), Instant(sunday + 20 * US))
    assert spent.billing(ANN, Instant(sunday + 3600 * US)) == 20
    assert spent.billing(ANN, Instant(sunday + 7 * DAY_S * US)) == 0


@pytest.mark.parametrize(
    ("reset", "days"),
    [("daily", (15, 16)), ("weekly", (15, 22)), ("monthly", (1, 31)), ("yearly", (-150, 215))],
)
def test_periods(reset: str, days: tuple[int, int]) -> None:
    """Around 2025-06-15 15:06:40, in days of that June."""
    june = 1_748_736_000  # 2025-06-01
    start, end = period(reset, NOON)
    assert [(edge // US - june) // DAY_S + 1 for edge in (start, end)] == list(days)
    assert start % (DAY_S * US) == end % (DAY_S * US) == 0


def test_a_qos_without_decay_keeps_what_was_spent() -> None:
    book = a_book()
    spent = Spent()
    delta = AccountsDelta(qos=(Qos("grant", flags=("NoDecay",)),))
    spent.fade(book, Decay(100), NOON)
    spent.change(book, delta, NOON)
    spent.charge(book, JobId(1), a_charge(ANN, qos="grant"), NOON)
    spent.release(book, JobId(1), at(100))
    assert spent.of_qos("grant", at(100_000))["billing"] == 100
    assert spent.billing(ANN, at(100_000)) == pytest.approx(0, abs=1e-6)
    spent.change(book, AccountsDelta(qos=(Qos("grant"),)), at(1000))
    assert spent.of_qos("grant", at(1100))["billing"] == pytest.approx(50), "it fades from the change on"


def sums(spent: Spent, book: AccountBook, now: Instant) -> None:
    """Parents have spent what their children have."""
    for account in book.accounts:
        key = AssociationKey(account)
        children = [k for k in book.associations if k != ROOT_KEY and book.parent(k) == key]
        if children:
            total = math.fsum(spent.billing(child, now) for child in children)
            assert spent.billing(key, now) == pytest.approx(total, rel=1e-9, abs=1e-6), account


@settings(max_examples=60)
@given(seed=st.integers(0, 1 << 32))
def test_parents_have_what_their_children_have_whatever_becomes_of_the_tree(seed: int) -> None:
    random = Random(seed)
    book, spent = AccountBook(), Spent()
    names = [f"a{i}" for i in range(6)]
    accounts = tuple(Account(name, random.choice([ROOT, *names[:i]])) for i, name in enumerate(names))
    # Only accounts without accounts below them have users, so that jobs count under leaves.
    parents = {account.parent for account in accounts}
    leaves = [name for name in names if name not in parents]
    users = [AssociationKey(name, f"u{i}") for name in leaves for i in range(2)]
    keys = [AssociationKey(name) for name in names] + users
    delta = AccountsDelta(accounts, (User("u0"), User("u1")), tuple(Association(key) for key in keys))
    spent.fade(book, Decay(random.choice([0, 500])), NOON)
    spent.change(book, delta, NOON)
    now = NOON
    for step in range(60):
        now = Instant(now + random.randrange(1, 300) * US)
        match random.randrange(6):
            case 0 | 1 | 2:
                spent.charge(book, JobId(step + 1), a_charge(random.choice(users), random.randint(1, 9)), now)
            case 3:
                spent.release(book, JobId(random.randint(1, step + 1)), now)
            case 4:
                name = random.choice(names)
                above = [p for p in sorted({ROOT, *parents}) if not book.is_below(p, name)]
                spent.change(book, AccountsDelta((Account(name, random.choice(above)),)), now)
            case 5:
                spent.change(book, AccountsDelta(reset_usage=(random.choice(keys),)), now)
        book.check()
        spent.check(book)
        assert all(spent.billing(key, now) >= 0 for key in keys)
        sums(spent, book, Instant(now + 50 * US))


def test_two_accounts_change_places() -> None:
    """top > left becomes left > top, in one change: either order of the two gives the same sums."""
    for order in (1, -1):
        book, spent = a_book(), Spent()
        for job, key in enumerate((ANN, BOB), 1):
            spent.charge(book, JobId(job), a_charge(key, job), NOON)
        swap = (Account("left", ROOT), Account("top", "left"))[::order]
        spent.change(book, AccountsDelta(swap), at(10))
        assert path(book, BOB) == [BOB, RIGHT, TOP, LEFT, ROOT_KEY]
        used = [spent.billing(key, at(20)) for key in (ANN, BOB, RIGHT, TOP, LEFT, ROOT_KEY)]
        assert used == pytest.approx([20, 40, 40, 40, 60, 60])
        for job in (1, 2):
            spent.release(book, JobId(job), at(30))
        assert not any(ledger.rates for ledger in spent.by_key.values())


def test_reset_takes_it_from_all_above_and_below() -> None:
    book, spent = a_book(), Spent()
    for job, key in enumerate((ANN, BOB), 1):
        spent.charge(book, JobId(job), a_charge(key), NOON)
    spent.change(book, AccountsDelta(reset_usage=(LEFT,)), at(100))
    assert [spent.billing(key, at(110)) for key in (ANN, LEFT, BOB, TOP, ROOT_KEY)] == [10, 10, 110, 120, 120]


def test_what_is_deleted_is_forgotten_and_its_jobs_count_above() -> None:
    book, spent = a_book(), Spent()
    spent.charge(book, JobId(1), a_charge(ANN), NOON)
    spent.change(book, AccountsDelta(gone_associations=(ANN,), gone_users=("ann",)), at(10))
    assert ANN not in spent.by_key
    assert spent.billing(LEFT, at(20)) == 20
    spent.release(book, JobId(1), at(30))
    assert spent.billing(TOP, at(99)) == 30


def test_billing_weighs_resources() -> None:
    tres = make_tres(
        [("cpu", 4000), ("mem", 16 * 1024), ("gres/gpu", 500), ("node", 1), ("license/matlab", 2)]
    )
    weights = (("cpu", 1.0), ("mem", 0.25), ("gres/gpu", 20.0), ("license/matlab", 3.0))
    partition = Partition("main", billing=weights)
    assert billing_milli(partition, tres) == 24_000
    assert billing_milli(partition, tres, max_tres=True) == 16_000
    assert billing_milli(Partition("plain"), tres) == billing_milli(None, tres) == 4_000


# -- real jobs -----------------------------------------------------------------------------------------------


def a_counted_cluster(**priority: int | str) -> Cluster:
    """Two nodes of 8 CPUs; a GPU weighs 10 CPUs."""
    weights = (("cpu", 1.0), ("gres/gpu", 10.0))
    config = a_config(
        billing=weights,
        priorities=Priorities(**priority),  # type: ignore[arg-type]
        accounts=AccountsPolicy(Enforce.ACCOUNTS),
    )
    cluster = a_cluster(nodes=2, cpus=8, gpus=2, config=config)
    change(cluster, a_tree())
    return cluster


def change(cluster: Cluster, delta: AccountsDelta) -> None:
    event = AccountsChanged(cluster.clock.now, delta, 0)
    apply(cluster.state, event)
    cluster.log.append(event)


def test_jobs_are_charged_from_grant_to_release() -> None:
    cluster = a_counted_cluster(half_life_s=0)
    job = cluster.submit(cpus=2, gpus=1, account="left")
    start = cluster.clock.now
    cluster.run(job)
    cluster.clock.advance(100)
    now, spent = cluster.clock.now, cluster.state.spent
    assert spent.billing(MULE, now) == spent.billing(LEFT, now) == spent.billing(TOP, now) == 1200
    assert spent.of(ROOT_KEY, now)["gres/gpu"] == 100_000
    assert spent.of(ROOT_KEY, now)["cpu"] == 200_000
    assert spent.wall_s(TOP, now) == spent.wall_s_of_qos("normal", now) == 100
    assert spent.billing(BOB, now) == spent.billing(RIGHT, now) == 0
    cluster.requeue(job)
    cluster.exit(job, signal=15)
    cluster.clock.advance(1000)
    assert spent.billing(MULE, cluster.clock.now) == 1200
    assert spent.billing(MULE, Instant(start + 50 * US)) == 1200, "no time before the last change is known"
    assert not spent.charges


def test_a_qos_says_what_a_second_costs() -> None:
    cluster = a_counted_cluster(half_life_s=0)
    change(cluster, AccountsDelta(qos=(Qos("normal", usage_factor_milli=500),)))
    cluster.run(cluster.submit(cpus=2, account="left"))
    cluster.clock.advance(100)
    assert cluster.state.spent.billing(MULE, cluster.clock.now) == 100
    assert cluster.state.spent.of(MULE, cluster.clock.now)["cpu"] == 100_000
    assert cluster.state.spent.wall_s(MULE, cluster.clock.now) == 100


def test_a_suspended_job_pays_for_what_it_keeps() -> None:
    from packhorse.scheduler.core.accounts import charging

    cluster = a_counted_cluster(half_life_s=0)
    job = cluster.submit(cpus=2, gpus=1, mem_mib=1000, account="left")
    cluster.run(job)
    cluster.clock.advance(10)
    active = replace(cluster.active(job), suspended_at=cluster.clock.now)
    suspended = replace(cluster.job(job), phase=active)
    charging.charge(cluster.state, suspended, cluster.clock.now)
    used = cluster.state.spent.of(MULE, cluster.clock.advance(10))
    assert used == {"cpu": 20_000, "gres/gpu": 20_000, "billing": 220, "mem": 20_000, "node": 20}
    assert cluster.state.spent.wall_s(MULE, cluster.clock.now) == 10


def test_a_job_costs_what_it_cost_at_its_start() -> None:
    """Whatever the weights are by then, and also when it was suspended meanwhile; who starts later has the
    new ones."""
    cluster = a_counted_cluster(half_life_s=0)
    job = cluster.submit(cpus=2, gpus=1, account="left")
    cluster.run(job)
    dear = replace(
        cluster.state.config,
        partitions=(
            replace(cluster.state.config.partitions[0], billing=(("cpu", 100.0), ("gres/gpu", 100.0))),
        ),
    )
    cluster.clock.advance(10)
    cluster.do(Reconfigure(ADMIN, dear))
    cluster.clock.advance(10)
    billing = partial(cluster.state.spent.billing, MULE)
    assert billing(cluster.clock.now) == 20 * 12
    cluster.suspend(job)
    cluster.clock.advance(10)
    assert billing(cluster.clock.now) == 20 * 12 + 10 * 100, "its GPU, as it is weighed at that time"
    again = load(dump(cluster.state.freeze()))
    assert again.spent == cluster.state.spent
    cluster.go_on(job)
    cluster.clock.advance(10)
    assert billing(cluster.clock.now) == 30 * 12 + 10 * 100
    later = cluster.submit(cpus=1, account="left")
    cluster.run(later)
    cluster.clock.advance(10)
    assert billing(cluster.clock.now) == 40 * 12 + 20 * 100
    assert cluster.replayed() == cluster.state


def test_nothing_is_counted_before_there_is_an_account_and_then_all_that_runs() -> None:
    cluster = a_cluster(nodes=1, cpus=8)
    job = cluster.submit(cpus=2, account="left")
    cluster.run(job)
    assert not cluster.state.spent.by_key and not cluster.state.spent.charges
    cluster.clock.advance(100)
    change(cluster, a_tree())
    assert cluster.state.spent.wall_s(MULE, cluster.clock.advance(10)) == pytest.approx(10, rel=1e-4)


def test_changed_rules_hold_from_then_on() -> None:
    cluster = a_counted_cluster(half_life_s=0)
    cluster.run(cluster.submit(cpus=1, account="left", time_limit_s=0))
    cluster.clock.advance(1000)
    config = replace(cluster.state.config, priorities=Priorities(half_life_s=1000))
    cluster.do(Start(config))
    cluster.clock.advance(1000)
    wanted = 1000 / 2 + 1000 / math.log(2) / 2
    assert cluster.state.spent.billing(MULE, cluster.clock.now) == pytest.approx(wanted)


def test_replay_and_snapshots_give_the_same() -> None:
    cluster = a_counted_cluster(half_life_s=3600)
    for number in range(12):
        cluster.submit(cpus=3, account=("left", "right", "nobody")[number % 3])
    for _ in range(6):
        for job in cluster.run_cycle():
            cluster.start(job)
        cluster.clock.advance(333.3)
        cluster.exit(next(iter(cluster.state.running_columns.jobs())))
    change(cluster, AccountsDelta(accounts=(Account("right", ROOT),), reset_usage=(MULE,)))
    assert cluster.state.spent.charges
    again = load(dump(cluster.state.freeze()))
    assert again.spent == cluster.state.spent
    assert again == cluster.state == cluster.replayed()
    for state in (again, cluster.state):
        used = [state.spent.billing(key, at(10_000)) for key in (MULE, LEFT, RIGHT, TOP, ROOT_KEY)]
        assert all(a <= b for a, b in pairwise(used[-2:]))
    frozen = cluster.state.freeze()
    cluster.exit(next(iter(cluster.state.running_columns.jobs())))
    assert frozen.spent == again.spent, "a frozen state does not change any more"


def test_what_a_deleted_qos_spent_is_forgotten() -> None:
    """Else such names would stay for ever, and a new QOS begin with the use of an old one."""
    cluster = a_cluster()
    for name in ("a", "b"):
        apply_to(cluster, AccountsDelta(qos=(Qos(name),)))
        job = cluster.submit(qos=name)
        cluster.run(job)
        cluster.clock.advance(10)
        cluster.exit(job)
        assert cluster.state.spent.wall_s_of_qos(name, cluster.clock.now) == pytest.approx(10, rel=1e-3)
        apply_to(cluster, AccountsDelta(gone_qos=(name,)))
    assert not cluster.state.spent.by_qos
    assert cluster.replayed() == cluster.state


def apply_to(cluster: Cluster, delta: AccountsDelta) -> None:
    event = AccountsChanged(cluster.clock.now, delta, 0)
    apply(cluster.state, event)
    cluster.log.append(event)
