"""Dependencies, signals and output paths in Slurm's spellings."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.model.dependencyspec import DependencyError, format_dependency, parse_dependency
from packhorse.scheduler.model.gangspec import GangError, parse_gang
from packhorse.scheduler.model.oomspec import OomRetryError, format_factor, parse_oom_retry
from packhorse.scheduler.model.outputpath import NO_INDEX, default_output, expand_pattern
from packhorse.scheduler.model.signalspec import SignalError, parse_signal, parse_warning, signal_name
from packhorse.scheduler.model.units import format_span


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("afterok:12:13", (False, (("afterok", 12, -1, 0), ("afterok", 13, -1, 0)))),
        ("afterok:1,2", (False, (("afterok", 1, -1, 0), ("afterany", 2, -1, 0)))),
        ("after:14+5", (False, (("after", 14, -1, 5),))),
        ("afterany:7?afternotok:8", (True, (("afterany", 7, -1, 0), ("afternotok", 8, -1, 0)))),
        ("aftercorr:9", (False, (("aftercorr", 9, -1, 0),))),
        ("afterok:9_3", (False, (("afterok", 9, 3, 0),))),
        ("afterok:9_*", (False, (("afterok", 9, -1, 0),))),
        ("singleton", (False, (("singleton", 0, -1, 0),))),
        ("5", (False, (("afterany", 5, -1, 0),))),
        ("", (False, ())),
    ],
)
def test_dependency(text: str, meaning: object) -> None:
    assert parse_dependency(text) == meaning


@pytest.mark.parametrize(
    "text",
    [
        "whenever:1",
        "afterok",
        "afterok:",
        "afterok:x",
        "afterok:0",
        "afterok:1:",
        "singleton:1",
        "afterok:1+5",
        "after:1+x",
        "afterok:1,afterok:2?afterok:3",
        "afterburstbuffer:1",
        "expand:1",
        "afterok:1_x",
        ",",
    ],
)
def test_dependency_unreadable(text: str) -> None:
    with pytest.raises(DependencyError):
        parse_dependency(text)


CONDITIONS = st.one_of(
    st.just(("singleton", 0, -1, 0)),
    st.tuples(st.just("after"), st.integers(1, 9999), st.integers(-1, 9), st.integers(0, 90)),
    st.tuples(
        st.sampled_from(["afterany", "afterok", "afternotok", "aftercorr"]),
        st.integers(1, 9999),
        st.integers(-1, 9),
        st.just(0),
    ),
)


@given(st.booleans(), st.lists(CONDITIONS, min_size=2, max_size=5))
def test_dependency_round_trip(any_is_enough: bool, conditions: list[tuple[str, int, int, int]]) -> None:
    text = format_dependency(any_is_enough, tuple(conditions))
    assert parse_dependency(text) == (any_is_enough, tuple(conditions))


def test_signals() -> None:
    assert [parse_signal(text) for text in ("TERM", "SIGTERM", "term", "15", "USR2", "9")] == [
        15,
        15,
        15,
        15,
        12,
        9,
    ]
    assert [signal_name(number) for number in (1, 9, 15, 31, 64)] == ["HUP", "KILL", "TERM", "SYS", "64"]
    for bad in ("NOSUCH", "0", "65", "", "SIG", "-9", "9999"):
        with pytest.raises(SignalError):
            parse_signal(bad)


def test_warning_signals() -> None:
    assert parse_warning("USR1") == (10, 60, False)
    assert parse_warning("B:USR2@30") == (12, 30, True)
    assert parse_warning("USR2@90") == (12, 90, False)
    assert parse_warning("R:15@0") == (15, 0, False)
    assert parse_warning("RB:INT@5") == (2, 5, True)
    for bad in ("NOSUCH", "X:TERM", ":TERM", "TERM@", "TERM@-1", "TERM@99999", "B:", "TERM@5x"):
        with pytest.raises(SignalError):
            parse_warning(bad)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("slurm-%j.out", "slurm-128.out"),
        ("job%4j.out", "job0128.out"),
        ("job%j-%2t.out", "job128-03.out"),
        ("%A_%a.log", "120_7.log"),
        ("%A_%3a.log", "120_007.log"),
        ("%x.%u.%N.%n", "hello.ann.node2.1"),
        ("%j%%%J", "128%128.0"),
        ("%s", "0"),
        ("%99j", "0000000128"),
        ("%5N", "node2"),
        ("%b", "7"),
        ("a%qb%", "a%qb%"),
        ("plain", "plain"),
        ("raw\\%j", "raw%j"),
    ],
)
def test_output_path(pattern: str, path: str) -> None:
    assert (
        expand_pattern(
            pattern,
            job_id=128,
            array_job_id=120,
            array_index=7,
            job_name="hello",
            user="ann",
            node="node2.example",
            node_index=1,
            step="0",
            task=3,
        )
        == path
    )


def test_output_path_outside_arrays_and_of_the_batch_script() -> None:
    assert expand_pattern("%A_%a", job_id=5) == f"5_{NO_INDEX}"
    assert expand_pattern("%J-%s", job_id=5) == "5-batch"
    assert default_output(False) == "slurm-%j.out"
    assert default_output(True) == "slurm-%A_%a.out"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("2x", (2000, 0)),
        ("1.5x", (1500, 0)),
        ("2", (2000, 0)),
        ("1.001X,max=3", (1001, 3)),
        ("99x", (99_000, 0)),
    ],
)
def test_oom_retry(text: str, meaning: tuple[int, int]) -> None:
    assert parse_oom_retry(text) == meaning
    assert parse_oom_retry(format_factor(meaning[0]))[0] == meaning[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", '"" is not a factor'), ("1x", '"1x" is not a factor over 1'), ("x", '"x"'), ("-2x", '"-2x"'),
        ("101x", "up to 100"), ("1.0001x", '"1.0001x"'), ("2x,3", '"3" is not max=N'),
        ("2x,min=3", "is not max=N"), ("2x,max=", '"" is not a number of runs'),
        ("2x,max=0", "from 1 to 1000"), ("²x", "is not a factor"),
    ],
)  # fmt: skip
def test_oom_retry_that_cannot_be_read(text: str, problem: str) -> None:
    with pytest.raises(OomRetryError, match=re.escape(problem)):
        parse_oom_retry(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (40, "40 s"), (60, "1 min"), (7800, "2 h 10 min"), (7200, "2 h"), (90_061, "1 d 1 h")],
)
def test_spans_in_words(seconds: int, text: str) -> None:
    assert format_span(seconds) == text


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("pair:2", ("pair", 2, 0)),
        ("a:b:3@90", ("a:b", 3, 90)),
        ("x@y:10000@30m", ("x@y", 10_000, 1800)),
        ("g:1@2H", ("g", 1, 7200)),
        ("g:4@1d", ("g", 4, 86_400)),
    ],
)
def test_gangs(text: str, meaning: tuple[str, int, int]) -> None:
    assert parse_gang(text) == meaning


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", '"" is not NAME:SIZE[@TIME]'), ("pair", '"pair" is not NAME'), (":2", '":2" is not NAME'),
        ("a b:2", "is not NAME"), ("g:0", '"0" is not a number of members from 1 to 10000'),
        ("g:10001", '"10001"'), ("g:", '"" is not a number'), ("g:\u00b2", "is not a number of members"),
        ("g:2@", '"" is not a time'), ("g:2@0", '"0" is not a time'), ("g:2@5w", '"5w"'),
        ("g:2@366d", "up to 365d"),
    ],
)  # fmt: skip
def test_gangs_that_cannot_be_read(text: str, problem: str) -> None:
    with pytest.raises(GangError, match=re.escape(problem)):
        parse_gang(text)
