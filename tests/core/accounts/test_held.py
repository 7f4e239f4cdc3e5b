"""A fork of what is held: cheap, and apart from what it was taken from."""

from __future__ import annotations

from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.core.accounts.held import Holdings, Running, Scope, of_association
from packhorse.scheduler.core.accounts.quota import book_of, quota
from packhorse.scheduler.core.why.snapshot import again, taken
from packhorse.scheduler.model.accounts import AssociationKey, Holder
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, JobId
from tests.core.accounts.limits import ANN, BOB, a_tree
from tests.core.scenario import a_cluster, a_config

HOLDERS = [Holder(account, user, "main", "normal") for account in ("chem", "bio") for user in ("ann", "bob")]


def scopes_of(holder: Holder) -> tuple[Scope, ...]:
    return (of_association(AssociationKey(holder.account)), Scope("qos", holder.qos))


steps = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["submit", "begin", "end", "sums", "fork"]),
        st.sampled_from(HOLDERS),
    ),
    max_size=40,
)


@given(steps)
def test_two_copies_are_apart(steps: list[tuple[int, str, Holder]]) -> None:
    """Whatever is done to one of two forks, and with forks of forks, each says what a copy of everything
    would say."""
    cheap = [Holdings(), Holdings()]
    whole = [Holdings(), Holdings()]
    for n, (which, what, holder) in enumerate(steps, 1):
        if what == "fork":
            cheap[1 - which], whole[1 - which] = cheap[which].fork(), deepcopy(whole[which])
        for one in (cheap[which], whole[which]):
            if what == "submit":
                one.submit(holder, 1)
            elif what == "begin":
                one.submit(holder, 1)
                one.begin(JobId(n), Running(holder, (("cpu", n),), Instant(n * US) if n % 2 else UNKNOWN))
            elif what == "end" and one.running:
                id = min(one.running)
                was = one.running[id].holder
                one.end(id)
                one.submit(was, -1)
            elif what == "sums":
                one.sums(scopes_of)
        assert cheap == whole
    for one, other in zip(cheap, whole, strict=True):
        assert one.sums(scopes_of) == other.sums(scopes_of)


def test_a_trial_copies_the_sums_that_it_changes_and_no_others() -> None:
    cluster = a_cluster(nodes=1, config=a_config())
    a_tree(cluster, chem={"grp_jobs": 2})
    first = cluster.submit(cpus=1, caller=ANN, account="chem")
    second = cluster.submit(cpus=1, caller=BOB, account="chem")
    cluster.run_cycle()
    snapshot = taken(cluster.state)
    of_first, of_second = (snapshot.held.running[id].holder for id in (first, second))
    quota(snapshot, cluster.clock.now)
    trial = again(snapshot)
    trial.held.submit(of_first, 1)
    assert trial.held.by_holder[of_first].n_unfinished == 2
    assert snapshot.held.by_holder[of_first].n_unfinished == 1
    assert trial.held.by_holder[of_second] is snapshot.held.by_holder[of_second]
    assert book_of(trial).terms is book_of(snapshot).terms
    assert book_of(trial) is not book_of(snapshot)
