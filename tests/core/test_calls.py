"""Idempotency keys: a repeated call gets the first answer and changes nothing."""

from packhorse.scheduler.model.event import CallAnswered, Item
from packhorse.scheduler.model.input import Caller, Cancel, Submit
from packhorse.scheduler.model.reply import RefusalCode, Refused, Submitted
from tests.core.scenario import OTHER, USER, a_cluster, a_config, a_spec


def call(key: str, fingerprint: str = "f", owner: object = USER) -> Caller:
    return Caller(owner, key=key, fingerprint=fingerprint)  # type: ignore[arg-type]


def test_a_lost_answer_and_a_repeated_call_make_one_job() -> None:
    cluster = a_cluster()
    submit = Submit(call("k1"), (a_spec(),), (Item(0),))
    first, second = cluster.do(submit), cluster.do(submit)
    assert first.reply == second.reply == Submitted(cluster.state.jobs[next(iter(cluster.state.jobs))].id, 1)
    assert second.events == ()
    assert len(cluster.state.jobs) == 1
    assert cluster.replayed() == cluster.state


def test_a_key_belongs_to_its_user_and_its_call() -> None:
    cluster = a_cluster()
    cluster.submit(caller=call("k"))
    assert cluster.submit(caller=call("k", owner=OTHER)) == 2
    reply = cluster.try_submit(caller=call("k", "another"))
    assert isinstance(reply, Refused)
    assert reply.code is RefusalCode.CONFLICT


def test_refused_calls_may_be_tried_again() -> None:
    cluster = a_cluster()
    assert isinstance(cluster.try_submit(caller=call("k"), partition="nosuch"), Refused)
    assert cluster.submit(caller=call("k")) == 1


def test_a_signal_is_sent_once() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run(job)
    n = len(cluster.sent)
    for _ in range(2):
        cluster.do(Cancel(call("s"), cluster.targets(job), 10))
    assert len(cluster.sent) == n + 1
    assert isinstance(cluster.log[-1], CallAnswered)


def test_keys_are_kept_for_a_while_only() -> None:
    cluster = a_cluster(config=a_config(key_retention_s=60, max_keys_kept=3))
    for i in range(5):
        cluster.submit(caller=call(f"k{i}"))
    assert [key for _, key in cluster.state.answered] == ["k2", "k3", "k4"]
    cluster.clock.advance(61)
    cluster.submit(caller=call("k5"))
    assert [key for _, key in cluster.state.answered] == ["k5"]
    assert cluster.submit(caller=call("k4")) == 7
