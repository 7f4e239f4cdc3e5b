"""No command line ends in a traceback; what is parsed and written again is the same.

The commands run in this process without a scheduler: whatever they make of their words, they end with an exit
status of Slurm's and say why in words.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packhorse.cli.slurm import process, times
from packhorse.cli.slurm.compat.page import listed, table_of
from packhorse.cli.slurm.jobids import JobIdError, job_ref
from packhorse.cli.slurm.when import WhenError, parse_when_s
from packhorse.scheduler.model import units
from packhorse.scheduler.model.arrayspec import ArraySpecError, array_indexes, format_array, parse_array
from packhorse.scheduler.model.dependencyspec import DependencyError, format_dependency, parse_dependency
from packhorse.scheduler.model.gresspec import GresError, parse_gpus, parse_gres, parse_licenses
from packhorse.scheduler.model.hostlist import HostlistError, compress, compress_sorted, expand
from packhorse.scheduler.model.signalspec import SignalError, parse_signal, parse_warning

STATUS = {"sbatch": (0, 1, 255), "srun": (0, 1, 255), "salloc": (0, 1, 255)}
"""Of the others: 0 and 1."""

HERE = [*(name for name in listed()[0] if table_of(name) is not None), "seff"]

VALUES = st.one_of(
    st.sampled_from(
        [
            *(
                "",
                "0",
                "1",
                "-1",
                "4294967296",
                "99999999999999999999",
                "1-3",
                "3-1",
                "2:30",
                "1-00:00:00",
                "now",
            ),
            *(
                "tomorrow",
                "12_[1-3%2]",
                "12.0",
                "12.batch",
                "n[1-3]",
                "n[1-",
                "]",
                "a,b",
                ",",
                "=",
                "a=b",
                "ALL",
            ),
            *(
                "none",
                "%i %j",
                "%.18i",
                "%",
                "jobid:10",
                "jobid:.",
                "500M",
                "1.5G",
                "K",
                "gpu:2",
                "gpu:",
                "a:b:c:d",
            ),
            *(
                "afterok:1:2",
                "USR1@60",
                "B:",
                "²",
                "\x1f",
                "é",
                " ",
                "-",
                "--",
                ":",
                "block:cyclic",
                "map_cpu:0,x",
            ),
            *("RUNNING,XX", "show", "job", "nodes", "update", "NodeName=a", "State=", "user", "Utilization"),
        ]
    ),
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
)


def words_of(command: str) -> st.SearchStrategy[list[str]]:
    """Options of the command in all spellings, with values; words; rubbish. Not --server, which goes out."""
    table = dict(table_of(command) or {"help": ("h", 0, ""), "version": ("v", 0, "")})
    table.pop("server", None)
    names = st.sampled_from(sorted(table))
    letters = st.sampled_from(sorted({letter for letter, _, _ in table.values() if letter}) or ["h"])
    word = st.one_of(
        names.map(lambda name: f"--{name}"),
        st.builds(lambda name, value: f"--{name}={value}", names, VALUES),
        st.builds(lambda name, cut: f"--{name[: max(1, cut)]}", names, st.integers(1, 6)),
        letters.map(lambda letter: f"-{letter}"),
        st.builds(lambda letter, value: f"-{letter}{value}", letters, VALUES),
        VALUES,
    )
    return st.lists(word, max_size=5).filter(lambda words: not any(one.startswith("--se") for one in words))


@pytest.fixture(scope="module", autouse=True)
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home without a scheduler, an empty folder to be in, nothing on standard input."""
    folder = tmp_path_factory.mktemp("nowhere")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH", "S"))}
    old = Path.cwd()
    os.chdir(folder)
    with mock.patch.dict(os.environ, {**kept, "PACKHORSE_HOME": str(folder / "home")}, clear=True):
        yield
    os.chdir(old)


def ran(command: str, words: list[str]) -> tuple[int, str, str]:
    module = importlib.import_module(f"packhorse.cli.slurm.{command}")
    times.forget_format()
    out, err, nothing = (io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace") for _ in range(3))
    with redirect_stdout(out), redirect_stderr(err), mock.patch.object(sys, "stdin", nothing):
        code = process.run(command, module.command, words)
    texts = []
    for stream in (out, err):
        stream.seek(0)
        texts.append(stream.read())
    return code, texts[0], texts[1]


@pytest.mark.parametrize("command", HERE)
def test_no_command_line_ends_in_a_traceback(command: str) -> None:
    @given(words_of(command))
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def any_words(words: list[str]) -> None:
        code, out, err = ran(command, words)
        assert code in STATUS.get(command, (0, 1)), (words, code, err)
        assert code == 0 or err or out, (words, code)
        assert "Traceback" not in err

    any_words()


@given(st.integers(0, units.MAX_TIME_LIMIT_S))
def test_times_round_trip(seconds: int) -> None:
    assert units.parse_time_limit_s(units.format_clock(seconds)) == seconds
    assert units.parse_time_limit_s(units.format_elapsed(seconds)) == seconds
    assert units.parse_time_limit_s(units.format_time_limit(seconds)) == seconds


@given(st.integers(0, 1 << 50))
def test_memory_round_trips(mib: int) -> None:
    assert units.parse_mem_mib(units.format_mem_mib(mib)) == mib


NAMES = st.lists(
    st.builds(
        lambda prefix, number, width: f"{prefix}{str(number).zfill(width) if number >= 0 else ''}",
        st.sampled_from(["n", "node", "a-b", "r1n", "x.y", "gpu0"]),
        st.integers(-1, 120),
        st.integers(1, 4),
    ),
    max_size=40,
)


@given(NAMES)
def test_host_lists_round_trip(names: list[str]) -> None:
    assert expand(compress(names)) == names
    assert sorted(expand(compress_sorted(names))) == sorted(set(names))
    assert compress_sorted(expand(compress_sorted(names))) == compress_sorted(names)


@given(st.sets(st.integers(0, 400), min_size=1, max_size=60), st.integers(0, 50))
def test_arrays_round_trip(indexes: set[int], limit: int) -> None:
    text = ",".join(map(str, indexes)) + (f"%{limit}" if limit else "")
    ranges, read = parse_array(text)
    assert (array_indexes(ranges), read) == (sorted(indexes), limit)
    assert parse_array(format_array(ranges, limit)) == (ranges, limit)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 90), st.integers(1, 7)), min_size=1, max_size=4)
)
def test_ranges_of_arrays_round_trip(parts: list[tuple[int, int, int]]) -> None:
    text = ",".join(f"{first}-{first + more}:{step}" for first, more, step in parts)
    ranges, _ = parse_array(text)
    expected = {index for first, more, step in parts for index in range(first, first + more + 1, step)}
    assert array_indexes(ranges) == sorted(expected)
    assert parse_array(format_array(ranges)) == (ranges, 0)


@given(st.lists(st.sampled_from(["afterok", "afterany", "afternotok", "after"]), min_size=1, max_size=4))
def test_dependencies_round_trip(kinds: list[str]) -> None:
    text = ",".join(f"{kind}:{number}" for number, kind in enumerate(kinds, start=1))
    any_is_enough, conditions = parse_dependency(text)
    assert parse_dependency(format_dependency(any_is_enough, conditions)) == (any_is_enough, conditions)


PARSERS: list[tuple[Callable[[str], object], type[Exception]]] = [
    (units.parse_time_limit_s, units.UnitError),
    (units.parse_mem_mib, units.UnitError),
    (units.parse_count_range, units.UnitError),
    (expand, HostlistError),
    (parse_array, ArraySpecError),
    (parse_dependency, DependencyError),
    (parse_gres, GresError),
    (parse_gpus, GresError),
    (parse_licenses, GresError),
    (parse_signal, SignalError),
    (parse_warning, SignalError),
    (job_ref, JobIdError),
    (lambda text: parse_when_s(text, 1_800_000_000), WhenError),
]


@pytest.mark.parametrize(("parse", "refusal"), PARSERS)
def test_any_text_is_read_or_refused(parse: Callable[[str], object], refusal: type[Exception]) -> None:
    @given(st.one_of(VALUES, st.text(alphabet="0123456789-:.,[]%_@+KMGabgpuBn² ", max_size=14)))
    @settings(max_examples=60, deadline=None)
    def any_text(text: str) -> None:
        with suppress(refusal):
            parse(text)

    any_text()
