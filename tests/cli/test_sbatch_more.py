"""`#PBS` lines, what options of sbatch leave in the environment, and mail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.cli.slurm import pbs, sbatch_steps
from packhorse.cli.slurm.process import CommandError
from packhorse.cli.slurm.sbatch_options import PARSER, from_environment
from packhorse.cli.slurm.submission import merged
from packhorse.scheduler.model.mailspec import TYPES, MailError, parse_mail_types
from tests.cli.commands import Run
from tests.cli.fake_scheduler import FakeScheduler


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("-N calc -q long -A lab", ["--job-name=calc", "--partition=long", "--account=lab"]),
        ("-l nodes=2:ppn=4,walltime=1:00:00", ["--nodes=2", "--ntasks-per-node=4", "--time=1:00:00"]),
        ("-l select=2:ncpus=8:mem=4gb", ["--nodes=2", "--mincpus=8", "--mem=4g"]),
        ("-l nodes=node1+node2:fast", ["--nodelist=node1,node2", "--constraint=fast"]),
        ("-lmem=2gb", ["--mem=2g"]),
        ("-o out -e host:/tmp/err -j oe", ["--output=out", "--error=/tmp/err"]),
        ("-m abe -M ann@example.org", ["--mail-type=FAIL,BEGIN,END", "--mail-user=ann@example.org"]),
        ("-m n", ["--mail-type=NONE"]),
        ("-V -h -r n -p 5", ["--hold", "--no-requeue", "--nice=-5"]),
        ("-v A=1,B -W depend=afterok:12", ["--export=ALL,A=1,B", "--dependency=afterok:12"]),
        ("-J 1-10 -k oe -S /bin/sh", ["--array=1-10"]),
    ],
)
def test_pbs_lines(words: str, options: list[str]) -> None:
    assert pbs.words(words.split()) == options


@pytest.mark.parametrize("words", ["-F x", "-l nosuch=1", "-W nosuch=1", "-p high", "-N", "name"])
def test_what_is_not_understood_is_refused(words: str) -> None:
    with pytest.raises(CommandError, match="#PBS"):
        pbs.words(words.split())


@given(st.lists(st.text("-NlqmMWJpv=:,+abcden0123456789 ", max_size=12), max_size=4))
def test_any_pbs_line_is_read_or_refused(words: list[str]) -> None:
    try:
        pbs.words(words)
    except CommandError as error:
        assert "#PBS" in str(error.lines if hasattr(error, "lines") else error)


def test_sbatch_lines_say_more_than_pbs_lines(
    scheduler: FakeScheduler, run: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler.on("SubmitJob", {"jobId": 7})
    (place / "job.sh").write_text("#!/bin/sh\n#PBS -N old -l walltime=0:10:00\n#SBATCH -J new\n")
    assert run("sbatch", "job.sh")[0] == 0
    (place / "odd.sh").write_text("#!/bin/sh\n#PBS -F odd\n")
    code, _, err = run("sbatch", "odd.sh")
    assert code == 255 and "#PBS -F is not understood; --ignore-pbs leaves such lines out" in err
    assert run("sbatch", "--ignore-pbs", "odd.sh")[0] == 0
    first, second = [body["spec"] for body in scheduler.bodies("SubmitJob")]
    assert (first["name"], first["timeLimitS"]) == ("new", 600)
    assert (second["name"], second.get("timeLimitS")) == ("odd.sh", None)


@pytest.mark.parametrize(
    ("options", "variables"),
    [
        ({"distribution": "cyclic"}, {"DISTRIBUTION": "cyclic"}),
        ({"distribution": "plane=4"}, {"DISTRIBUTION": "plane=4", "DIST_PLANESIZE": "4"}),
        ({"distribution": "block:cyclic,NoPack"}, {"DISTRIBUTION": "block:cyclic,NoPack"}),
        ({"gpu-bind": "closest"}, {"GPU_BIND": "closest"}),
        ({"overcommit": "", "ntasks": "8"}, {"OVERCOMMIT": "1", "NTASKS": "8", "NPROCS": "8"}),
        ({"container": "/b"}, {"CONTAINER": "/b"}),
        ({"container-image": "debian:12"}, {"CONTAINER_IMAGE": "debian:12"}),
        ({"hint": "nomultithread"}, {}),
        ({"export": "ALL,A=1"}, {}),
    ],
)
def test_what_steps_find(options: dict[str, str], variables: dict[str, str]) -> None:
    assert sbatch_steps.variables(options) == {f"PACKHORSE_SBATCH_{k}": v for k, v in variables.items()}


@pytest.mark.parametrize(
    ("text", "how"), [("", "8L"), ("10", "10L"), ("10L", "10L"), ("S", "8S"), ("3s", "3S")]
)
def test_the_login_environment(text: str, how: str) -> None:
    found = sbatch_steps.variables({"get-user-env": text})
    assert found == {"PACKHORSE_SBATCH_GET_USER_ENV": "1", "PACKHORSE_GET_USER_ENV": how}


@pytest.mark.parametrize(
    "options",
    [
        {"distribution": "round"},
        {"distribution": "plane"},
        {"distribution": "block=2"},
        {"hint": "quick"},
        {"time-min": "soon"},
        {"get-user-env": "0"},
        {"get-user-env": "9X"},
        {"get-user-env": "99999"},
        {"container": "a", "container-image": "b"},
    ],
)
def test_what_cannot_be_meant(options: dict[str, str]) -> None:
    with pytest.raises(CommandError, match="Invalid --"):
        sbatch_steps.variables(options)


def test_overcommitted_tasks_take_a_cpu_for_each_node(
    scheduler: FakeScheduler, run: Run, place: Path
) -> None:
    scheduler.on("SubmitJob", {"jobId": 7})
    assert run("sbatch", "-O", "-n", "8", "-N", "2", "--wrap", "true") == (0, "Submitted batch job 7\n", "")
    spec: dict[str, Any] = scheduler.bodies("SubmitJob")[0]["spec"]
    assert spec["ask"] == {"minNodes": 2, "maxNodes": 2} and "given" not in spec
    assert {"PACKHORSE_SBATCH_NTASKS=8", "PACKHORSE_SBATCH_OVERCOMMIT=1"} <= set(spec["environment"])


def test_an_option_without_effect_is_named(scheduler: FakeScheduler, run: Run, place: Path) -> None:
    scheduler.on("SubmitJob", {"jobId": 7})
    code, out, err = run("sbatch", "--ntasks-per-core=1", "--bb=x", "--wckey=k", "--wrap", "true")
    assert (code, out) == (0, "Submitted batch job 7\n")
    assert err.splitlines() == [
        "sbatch: warning: option --ntasks-per-core has no effect",
        "sbatch: warning: option --bb has no effect",
    ]
    assert scheduler.bodies("SubmitJob")[0]["spec"]["wckey"] == "k"


def test_kinds_of_mail_add_up() -> None:
    line, _ = PARSER.parse(["--mail-type=BEGIN", "--mail-type=end,FAIL"])
    assert parse_mail_types(merged(PARSER, line)["mail-type"]) == "BEGIN,END,FAIL"
    assert parse_mail_types("ALL") == "BEGIN,END,FAIL,REQUEUE,INVALID_DEPEND,STAGE_OUT"
    assert parse_mail_types("ALL,NONE") == ""
    assert parse_mail_types("time_limit_80,ARRAY_TASKS") == "TIME_LIMIT_80,ARRAY_TASKS"
    with pytest.raises(MailError, match='"x" is not one of'):
        parse_mail_types("x")


@given(st.lists(st.sampled_from(TYPES)))
def test_kinds_of_mail_read_back(kinds: list[str]) -> None:
    text = parse_mail_types(",".join(kinds)) if kinds else ""
    assert not text or parse_mail_types(text) == text


def test_how_long_to_wait_for_switches() -> None:
    found = from_environment({"SBATCH_REQ_SWITCH": "1", "SBATCH_WAIT4SWITCH": "30:00"})
    assert found == [("switches", "1@30:00")]
    assert from_environment({"SBATCH_WAIT4SWITCH": "30:00"}) == []
