"""PMI-1 byte for byte, as MPICH's pmi-1.1.txt and its "simple" client have it."""

from __future__ import annotations

import pytest

from packhorse.agent.launch.pmi.conversation import Conversation
from packhorse.agent.launch.pmi.request import ProtocolError
from packhorse.agent.launch.pmi.space import Layout, Space

INIT = b"cmd=init pmi_version=1 pmi_subversion=1\n"


class Step:
    """A step on one node; aborts: what was said of its end."""

    def __init__(self, n: int = 1, n_nodes: int = 1) -> None:
        self.told: list[bytes] = []
        self.aborts: list[tuple[str, int]] = []
        layout = Layout("12.0", tuple(range(n)), n * n_nodes, n_nodes, "n1")
        self.space = Space(layout, self.told.append, lambda why, code: self.aborts.append((why, code)))
        self.talks = [Conversation(self.space, rank) for rank in range(n)]

    def say(self, rank: int, text: bytes) -> bytes:
        return self.talks[rank].feed(text)


def begun(n: int = 1, n_nodes: int = 1) -> Step:
    step = Step(n, n_nodes)
    for rank in range(n):
        assert step.say(rank, INIT) == b"cmd=response_to_init rc=0 pmi_version=1 pmi_subversion=1\n"
    return step


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (b"cmd=get_maxes\n", b"cmd=maxes rc=0 kvsname_max=256 keylen_max=64 vallen_max=1024\n"),
        (b"cmd=get_appnum\n", b"cmd=appnum rc=0 appnum=-1\n"),
        (b"cmd=get_universe_size\n", b"cmd=universe_size rc=0 size=1\n"),
        (b"cmd=get_my_kvsname\n", b"cmd=my_kvsname rc=0 kvsname=12.0\n"),
        (b"cmd=put kvsname=12.0 key=a value=b=c;d\n", b"cmd=put_result rc=0\n"),
        (b"cmd=get kvsname=12.0 key=nosuch\n", b"cmd=get_result rc=1\n"),
        (
            b"cmd=get kvsname=12.0 key=PMI_process_mapping\n",
            b"cmd=get_result rc=0 value=(vector,(0,1,1))\n",
        ),
        (b"cmd=barrier_in\n", b"cmd=barrier_out rc=0\n"),
        (b"cmd=publish_name service=s port=p\n", b"cmd=publish_result rc=1 info=fail msg=no_name_service\n"),
        (b"cmd=create_kvs\n", b"cmd=newkvs rc=1 msg=one_space_only\n"),
        (
            b"mcmd=spawn\nnprocs=1\nexecname=x\ntotspawns=1\nspawnssofar=1\nargcnt=0\nendcmd\n",
            b"cmd=spawn_result rc=1 msg=Packhorse_does_not_spawn\n",
        ),
        (b"cmd=finalize\n", b"cmd=finalize_ack rc=0\n"),
    ],
)
def test_answers(asked: bytes, answer: bytes) -> None:
    assert begun().say(0, asked) == answer


def test_a_request_may_come_in_pieces_and_several_in_one() -> None:
    step = Step()
    for at in range(len(INIT) - 1):
        assert step.say(0, INIT[at : at + 1]) == b""
    assert step.say(0, b"\ncmd=get_appnum\ncmd=get_my").startswith(b"cmd=response_to_init rc=0")
    assert step.say(0, b"_kvsname\n") == b"cmd=my_kvsname rc=0 kvsname=12.0\n"


def test_pairs_are_there_after_the_barrier_and_not_before() -> None:
    step = begun(2)
    step.say(0, b"cmd=put kvsname=12.0 key=k value=v\n")
    get = b"cmd=get kvsname=12.0 key=k\n"
    assert step.say(0, get) == b"cmd=get_result rc=1\n"
    assert step.say(0, b"cmd=barrier_in\n") == b""
    assert step.talks[0].retry() == b""
    assert step.say(1, b"cmd=barrier_in\n") == b"cmd=barrier_out rc=0\n"
    assert step.talks[0].retry() == b"cmd=barrier_out rc=0\n"
    assert step.talks[0].retry() == b""
    assert step.say(1, get) == b"cmd=get_result rc=0 value=v\n"


def test_limits_are_those_that_were_told() -> None:
    step = begun()
    for key, value, code in (
        ("k" * 64, "v" * 1024, 0),
        ("k" * 65, "v", 1),
        ("k", "v" * 1025, 1),
        ("", "v", 1),
    ):
        assert (
            step.say(0, f"cmd=put key={key} value={value}\n".encode())
            == f"cmd=put_result rc={code}\n".encode()
        )


def test_abort_has_no_answer_and_a_code() -> None:
    step = begun(2)
    assert step.say(1, b"cmd=abort exitcode=7\n") == b""
    assert step.say(0, b"cmd=abort exitcode=9\n") == b""
    assert step.aborts == [("packhorse-n1: error: task 1 aborted the step with code 7", 7)]


def test_where_ranks_run_is_answered_when_it_is_known() -> None:
    step = begun(1, n_nodes=2)
    assert step.say(0, b"cmd=get key=PMI_process_mapping\n") == b""
    step.space.heard(b"M(vector,(0,2,1))")
    assert step.talks[0].retry() == b"cmd=get_result rc=0 value=(vector,(0,2,1))\n"


@pytest.mark.parametrize(
    "rubbish",
    [b"cmd=get_appnum\n", b"GET / HTTP/1.1\n", b"x" * 300],
)
def test_what_does_not_begin_with_init_is_no_pmi(rubbish: bytes) -> None:
    with pytest.raises(ProtocolError):
        Step().say(0, rubbish)


@pytest.mark.parametrize(
    "rubbish", [b"cmd=nosuch\n", b"hello\n", b"\n", b"x" * 70_000, b"mcmd=" + b"x" * 70_000]
)
def test_rubbish_after_init(rubbish: bytes) -> None:
    with pytest.raises(ProtocolError):
        begun().say(0, rubbish)


def test_a_version_that_is_not_spoken() -> None:
    answer = Step().say(0, b"cmd=init pmi_version=3 pmi_subversion=0\n")
    assert answer == b"cmd=response_to_init rc=1 pmi_version=2 pmi_subversion=0\n"
