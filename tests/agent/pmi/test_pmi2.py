"""PMI-2 byte for byte, as MPICH's pmi-2.0.txt and Slurm's libpmi2 have it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.agent.launch.pmi import pmi2
from packhorse.agent.launch.pmi.conversation import MOST_WAITING, Conversation
from packhorse.agent.launch.pmi.request import ProtocolError, Request
from packhorse.agent.launch.pmi.space import Layout, Space

INIT = b"cmd=init pmi_version=2 pmi_subversion=0\n"


def wire(text: str) -> bytes:
    return f"{len(text):<6}{text}".encode()


class Step:
    """All tasks of one step, on one node."""

    def __init__(self, n: int = 1) -> None:
        self.aborts: list[tuple[str, int]] = []
        layout = Layout("12.3", tuple(range(n)), n, 1, "n1")
        self.space = Space(layout, lambda payload: None, lambda why, code: self.aborts.append((why, code)))
        self.talks = [Conversation(self.space, rank) for rank in range(n)]
        for talk in self.talks:
            assert talk.feed(INIT) == b"cmd=response_to_init rc=0 pmi_version=2 pmi_subversion=0\n"

    def say(self, rank: int, text: str) -> bytes:
        return self.talks[rank].feed(wire(text))


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (
            "cmd=fullinit;pmijobid=12.3;pmirank=0;threaded=FALSE;",
            "cmd=fullinit-response;rc=0;pmi-version=2;pmi-subversion=0;rank=0;size=1;appnum=-1;debugged=FALSE;pmiverbose=FALSE;",
        ),
        ("cmd=job-getid;", "cmd=job-getid-response;rc=0;jobid=12.3;"),
        (
            "cmd=info-getjobattr;key=PMI_process_mapping;",
            "cmd=info-getjobattr-response;rc=0;found=TRUE;value=(vector,(0,1,1));",
        ),
        (
            "cmd=info-getjobattr;key=universeSize;",
            "cmd=info-getjobattr-response;rc=0;found=TRUE;value=1;",
        ),
        ("cmd=info-getjobattr;key=hasNameServ;", "cmd=info-getjobattr-response;rc=0;found=FALSE;"),
        ("cmd=info-getnodeattr;key=a;wait=FALSE;", "cmd=info-getnodeattr-response;rc=0;found=FALSE;"),
        ("cmd=info-putnodeattr;key=a;value=b;", "cmd=info-putnodeattr-response;rc=0;"),
        ("cmd=kvs-put;thrid=0x7f;key=a;value=b;", "cmd=kvs-put-response;thrid=0x7f;rc=0;"),
        ("cmd=kvs-get;jobid=;srcid=-1;key=a;", "cmd=kvs-get-response;rc=0;found=FALSE;"),
        ("cmd=kvs-fence;", "cmd=kvs-fence-response;rc=0;"),
        (
            "cmd=name-publish;name=s;port=p;infokeycount=0;",
            "cmd=name-publish-response;rc=14;errmsg=Packhorse has no PMI name service;",
        ),
        (
            "cmd=spawn;ncmds=1;preputcount=0;subcmd=x;maxprocs=1;argc=0;",
            "cmd=spawn-response;rc=14;errmsg=Packhorse does not spawn tasks for PMI;",
        ),
        ("cmd=finalize;", "cmd=finalize-response;rc=0;"),
    ],
)
def test_answers(asked: str, answer: str) -> None:
    assert Step().say(0, asked) == wire(answer)


def test_a_semicolon_in_a_value_is_doubled() -> None:
    step = Step()
    step.say(0, "cmd=kvs-put;key=k;value=a;;;;b=c;;;")
    step.say(0, "cmd=kvs-fence;")
    assert step.say(0, "cmd=kvs-get;key=k;") == wire("cmd=kvs-get-response;rc=0;found=TRUE;value=a;;;;b=c;;;")
    assert step.space.get("k") == "a;;b=c;"


TEXT = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=50)


@given(fields=st.dictionaries(TEXT.filter(lambda key: key and not set(key) & set("=;_")), TEXT))
def test_what_is_said_is_read_again(fields: dict[str, str]) -> None:
    fields.pop("cmd", None)
    fields.pop("rc", None)
    said = bytearray(pmi2.say(Request("x"), "name", rc=0, **fields))
    assert pmi2.cut(said) == [Request("name", {"rc": "0", **fields})]
    assert not said


def test_threads_do_not_wait_for_each_other() -> None:
    step = Step(2)
    assert step.say(0, "cmd=info-getnodeattr;thrid=1;key=a;wait=TRUE;") == b""
    assert step.say(1, "cmd=kvs-fence;") == b""
    assert step.say(0, "cmd=kvs-fence;thrid=2;") == wire("cmd=kvs-fence-response;thrid=2;rc=0;")
    assert step.talks[1].retry() == wire("cmd=kvs-fence-response;rc=0;")
    step.say(1, "cmd=info-putnodeattr;key=a;value=x;")
    answer = wire("cmd=info-getnodeattr-response;thrid=1;rc=0;found=TRUE;value=x;")
    assert step.talks[0].retry() == answer


def test_a_ring_hands_values_to_the_neighbours() -> None:
    step = Step(3)
    for rank in (2, 0):
        assert step.say(rank, f"cmd=ring;ring-count=1;ring-left=v{rank};ring-right=v{rank};") == b""
    last = step.say(1, "cmd=ring;ring-count=1;ring-left=v1;ring-right=v1;")
    assert last == wire("cmd=ring-response;rc=0;ring-count=1;ring-left=v0;ring-right=v2;")
    assert step.talks[0].retry() == wire("cmd=ring-response;rc=0;ring-count=0;ring-left=v2;ring-right=v1;")
    assert step.talks[2].retry() == wire("cmd=ring-response;rc=0;ring-count=2;ring-left=v1;ring-right=v0;")


def test_abort_of_the_world_and_of_one() -> None:
    step = Step(2)
    assert step.say(0, "cmd=abort;isworld=FALSE;msg=x;") == b""
    assert not step.aborts
    assert step.say(0, "cmd=abort;isworld=TRUE;msg=no; not so;".replace("; ", ";; ")) == b""
    assert step.aborts == [("packhorse-n1: error: task 0 aborted the step: no; not so", 1)]


@pytest.mark.parametrize(
    "rubbish",
    [
        b"twelve",
        b"999999cmd=",
        b"-1    ",
        b"5     cmd=x",
        wire("key=value;"),
        wire("cmd=nosuch;"),
        wire("cmd=x"),
    ],
)
def test_rubbish(rubbish: bytes) -> None:
    with pytest.raises(ProtocolError):
        Step().talks[0].feed(rubbish)


def test_a_task_cannot_ask_for_ever_without_an_answer() -> None:
    step = Step(2)
    for _ in range(MOST_WAITING):
        step.say(0, "cmd=info-getnodeattr;key=a;wait=TRUE;")
    with pytest.raises(ProtocolError, match="wait"):
        step.say(0, "cmd=info-getnodeattr;key=a;wait=TRUE;")


@given(data=st.binary(max_size=200))
def test_any_bytes_are_answered_or_refused(data: bytes) -> None:
    step = Step(2)
    try:
        assert isinstance(step.talks[0].feed(data), bytes)
    except ProtocolError:
        pass
