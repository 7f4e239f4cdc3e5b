"""What options and variables of srun make of a step."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packhorse.cli.slurm import process, salloc_options, sattach, srun, srun_options, srun_step
from packhorse.cli.slurm.options import HARMLESS, NONE, NOT_YET, USED, WARNED
from packhorse.cli.slurm.process import CommandError
from packhorse.cli.slurm.steps.lines import LineWriter
from packhorse.cli.slurm.steps.tasks import ranges
from tests.cli.fake_door import Visit
from tests.cli.fake_scheduler import FakeScheduler
from tests.cli.stepped import Stepped

JOB = {
    "SLURM_JOB_ID": "12",
    "SLURM_JOB_NODELIST": "node[1-2]",
    "SLURM_NTASKS": "4",
    "SLURM_NPROCS": "4",
    "SLURM_NNODES": "2",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_JOB_NAME": "batch",
    "SLURM_MEM_PER_NODE": "500",
    "SLURM_CPUS_PER_TASK": "2",
    "SLURM_PROCID": "0",
    "SLURM_STEP_ID": "3",
    "CUDA_VISIBLE_DEVICES": "1",
}
"""What a job finds of itself."""


@pytest.fixture
def stepped(scheduler: FakeScheduler, tmp_path: Path) -> Iterator[Stepped]:
    world = Stepped(scheduler, tmp_path)

    def script(visit: Visit) -> None:
        visit.welcome([0])
        visit.ended(0)
        visit.over()

    world.serve(([0], script))
    yield world
    world.close()


def asked(stepped: Stepped, *words: str, **variables: str) -> dict[str, Any]:
    """The step that these words ask for."""
    code, _, err = stepped.run("srun", *words, "true", variables=variables)
    assert code == 0, err
    return stepped.spec()


def environment(spec: dict[str, Any]) -> dict[str, str]:
    return dict(item.split("=", 1) for item in spec["environment"])


def test_a_step_has_the_job_s_tasks_and_nodes(stepped: Stepped) -> None:
    spec = asked(stepped, **JOB)
    assert (spec["nTasks"], spec["minNodes"], spec["maxNodes"], spec["name"]) == (4, 2, 2, "true")
    assert "memMibPerNode" not in spec and "cpuMilliPerTask" not in spec, (
        "what the job has; -c is not inherited"
    )


def test_the_command_line_decides(stepped: Stepped) -> None:
    spec = asked(stepped, "-n", "1", **JOB)
    assert (spec["nTasks"], spec["minNodes"]) == (1, 1)
    spec = asked(stepped, "-N1", "--ntasks-per-node=3", **JOB)
    assert (spec.get("nTasks"), spec["minNodes"], spec["tasksPerNode"]) == (None, 1, 3)
    spec = asked(stepped, "-w", "node2", **JOB)
    assert (spec["nodesRequired"], spec.get("minNodes")) == (["node2"], None)


def test_fewer_tasks_than_nodes_are_told(stepped: Stepped) -> None:
    assert stepped.run("srun", "-n1", "true", variables=JOB)[2] == (
        "srun: Warning: can't run 1 processes on 2 nodes, setting nnodes to 1\n"
    )


def test_what_a_job_left_behind_shapes_no_other(stepped: Stepped) -> None:
    spec = asked(stepped, "--jobid=99", **JOB)
    assert not {"nTasks", "minNodes", "memMibPerNode"} & spec.keys()
    kept = environment(spec)
    assert "SLURM_PROCID" not in kept and "SLURM_NTASKS" not in kept and "CUDA_VISIBLE_DEVICES" not in kept
    rest = {name: value for name, value in JOB.items() if name != "SLURM_JOB_ID"}
    assert stepped.run("srun", "true", variables=rest)[0] == 0
    assert stepped.scheduler.bodies("SubmitJob")[-1]["spec"]["ask"] == {}
    assert stepped.run("srun", "true", variables={"SLURM_NTASKS": "3"})[0] == 0
    assert stepped.scheduler.bodies("SubmitJob")[-1]["spec"]["ask"] == {"nTasks": 3}, "set by hand it counts"


def test_the_environment_of_a_step(stepped: Stepped) -> None:
    kept = environment(asked(stepped, MINE="x", **JOB))
    assert kept["MINE"] == "x" and kept["SLURM_NTASKS"] == "4" and kept["SLURM_UMASK"] == "0022"
    assert "SLURM_PROCID" not in kept and "SLURM_STEP_ID" not in kept, "those of the task that calls"
    kept = environment(asked(stepped, SLURM_JOB_GPUS="0,1", SLURM_GPUS_ON_NODE="2", **JOB))
    assert kept["CUDA_VISIBLE_DEVICES"] == "NoDevFiles", "until the node says which are the step's"
    assert (kept["SLURM_JOB_GPUS"], kept.get("SLURM_GPUS_ON_NODE")) == ("0,1", None)
    kept = environment(asked(stepped, "--export=NONE", MINE="x", **JOB))
    assert "MINE" not in kept and "PATH" not in kept and kept["SLURM_JOB_ID"] == "12"
    kept = environment(asked(stepped, "--export=MINE,OWN=1", MINE="x", OTHER="y", **JOB))
    assert (kept["MINE"], kept["OWN"], kept.get("OTHER"), kept["SLURM_JOB_ID"]) == ("x", "1", None, "12")
    kept = environment(asked(stepped, "--export=ALL,OWN=1", OTHER="y"))
    assert (kept["OWN"], kept["OTHER"], kept["SLURM_SUBMIT_DIR"]) == ("1", "y", str(stepped.root))


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        ("-m cyclic", {"distribution": "cyclic"}),
        ("-m block:cyclic,Pack", {"distribution": "block"}),
        ("-m plane=4", {"distribution": "plane", "planeSize": 4}),
        ("-r 1", {"relative": 1}),
        ("--exact", {"overlap": "exact"}),
        ("--exclusive", {"overlap": "exact"}),
        ("-c 2", {"overlap": "exact", "cpuMilliPerTask": 2000}),
        ("-c 2 --overlap", {"overlap": "overlap", "cpuMilliPerTask": 2000}),
        ("--external-launcher", {"overlap": "overlap"}),
        ("-O", {"cpuMilliPerTask": 1}),
        ("--cpu-bind=q,none", {"cpuBind": "none"}),
        ("--cpu-bind=v,core", {"cpuBind": "verbose,cores"}),
        ("--cpu-bind=verbose,map_cpu:0,1*2", {"cpuBind": "verbose,map_cpu:0,1*2"}),
        (
            "--gpus-per-task=2",
            {"gpuBind": "per_task:2", "gresPerTask": [{"kind": "gpu", "type": "", "count": 2}]},
        ),
        ("--gpus-per-task=2 --gpu-bind=none", {"gpuBind": "none"}),
        ("--gpu-bind=single:2", {"gpuBind": "single:2"}),
        ("--mem-per-cpu=1G", {"memMibPerCpu": 1024}),
        ("--gres=none", {"gresPerStep": [{"kind": "none"}]}),
        ("--gres=gpu:1", {"gresPerNode": [{"kind": "gpu", "type": "", "count": 1}]}),
        ("-K", {"killOnBadExit": True}),
        ("-W 9", {"waitS": 9}),
        ("-u", {"unbuffered": True}),
        ("--pty", {"pty": True, "rows": 24, "columns": 80}),
        ("--mpi=pmi2", {"mpi": "pmi2"}),
        ("-t 5", {"timeLimitS": 300}),
        ("-x node1 -N1-3", {"nodesExcluded": ["node1"], "minNodes": 1, "maxNodes": 3}),
        ("--open-mode=append", {"append": True}),
        ("-J name", {"name": "name"}),
        ("--task-prolog=none", {"argv": ["/usr/bin/true"]}),
    ],
)
def test_options_of_a_step(stepped: Stepped, words: str, fields: dict[str, object]) -> None:
    spec = asked(stepped, *words.split(), SLURM_JOB_ID="12")
    assert {name: spec.get(name) for name in fields} == fields


def test_options_about_a_job_mean_nothing_within_one(stepped: Stepped) -> None:
    words = ["-p", "x", "-A", "y", "--qos=z", "-C", "f", "--ntasks-per-core=1", "-d", "afterok:1", "--tmp=1G"]
    assert (
        asked(stepped, *words, SLURM_JOB_ID="12")["nTasks" if "nTasks" in stepped.spec() else "name"]
        == "true"
    )


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("-n zero true", 1, 'srun: error: Invalid numeric value "zero" for --ntasks.'),
        ("--cpu-bind=odd true", 255, 'srun: error: unrecognized --cpu-bind argument "odd"'),
        ("--gpu-bind=odd true", 255, "srun: error: Invalid --gpu-bind specification: odd"),
        ("-m odd true", 255, "srun: error: Invalid --distribution specification: odd"),
        ("-r 1 true", 1, "srun: fatal: --relative is for steps of a job that there is already"),
        ("-K2x true", 1, 'srun: error: Invalid numeric value "2x" for --kill-on-bad-exit.'),
        ("-I1x true", 255, 'srun: error: Invalid numeric value "1x" for --immediate.'),
        ("--jobid=x true", 255, 'srun: error: Invalid numeric value "x" for --jobid.'),
        ("-Z true", 255, "srun: error: option --no-allocate is not supported by Packhorse yet"),
        (
            "-n1 true : -n2 true",
            255,
            "srun: error: heterogeneous steps (:) are not supported by Packhorse yet",
        ),
        (
            "--multi-prog nosuch",
            1,
            "srun: error: Unable to open configuration file nosuch: No such file or directory",
        ),
        ("-n 1", 1, "srun: fatal: No command given to execute."),
        ("--nosuch true", 255, "srun: unrecognized option '--nosuch'"),
        ("-o o.%t -e all true", 1, "srun: error: --error through srun and --output to files of the nodes"),
    ],
)
def test_refused(stepped: Stepped, words: str, code: int, text: str) -> None:
    found, out, err = stepped.run("srun", *words.split())
    assert (found, out) == (code, "")
    assert err.startswith(text)
    assert "Traceback" not in err
    assert not stepped.scheduler.requests


def test_what_has_no_effect_is_said_on_the_command_line_only(stepped: Stepped) -> None:
    code, _, err = stepped.run(
        "srun", "--hint=nomultithread", "--network=x", "true", variables={"SLURM_HINT": "x"}
    )
    assert code == 0
    assert (
        err == "srun: warning: option --hint has no effect\nsrun: warning: option --network has no effect\n"
    )
    assert stepped.run("srun", "true", variables={"SLURM_HINT": "x", "SLURM_CORE_SPEC": "1"})[2] == ""


def test_values_are_listed(stepped: Stepped) -> None:
    assert stepped.run("srun", "--mpi=list") == (0, "MPI plugin types are...\n\tnone\n\tpmi2\n", "")
    code, out, _ = stepped.run("srun", "--cpu-bind=help")
    assert code == 0 and "map_cpu:<list>" in out


def test_multi_prog(stepped: Stepped) -> None:
    (stepped.root / "conf").write_text("# c\n0-1 /bin/echo 'a b' %t\n\n* /bin/hostname\\\n -f\n")
    code, _, err = stepped.run("srun", "-n3", "--multi-prog", "conf", "more")
    assert (code, err) == (0, "")
    assert stepped.spec()["multiProg"] == [
        {"ranks": "0-1", "argv": ["/bin/echo", "a b", "%t", "more"]},
        {"ranks": "*", "argv": ["/bin/hostname", "-f", "more"]},
    ]
    assert "argv" not in stepped.spec()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("0 a\n0-2 b\n", "task 0 is in line 1 and in line 2"),
        ("2-1 a\n", '"2-1" ends before it begins'),
        ("x a\n", '"x" is not a set of tasks'),
        ("0\n", "No executable program specified for this task"),
        ("0 'a\n", "a quote is not closed"),
        ("# nothing\n", "names no program"),
    ],
)
def test_multi_prog_files_that_are_wrong(stepped: Stepped, text: str, error: str) -> None:
    (stepped.root / "conf").write_text(text)
    code, _, err = stepped.run("srun", "--multi-prog", "conf")
    assert code == 1 and error in err and "Traceback" not in err


def test_prolog_and_epilog_run_here(stepped: Stepped) -> None:
    for name in ("before", "after"):
        script = stepped.root / name
        script.write_text(f'#!/bin/sh\necho {name} "$@"\n')
        script.chmod(0o755)
    code, out, _ = stepped.run("srun", "--prolog=./before", "--epilog=./after", "x", "y")
    assert (code, out) == (0, "before x y\nafter x y\n")


def test_task_prolog_and_epilog_run_around_the_program(tmp_path: Path) -> None:
    """The wrapper itself, as a node would run it."""
    prolog, epilog = tmp_path / "p", tmp_path / "e"
    prolog.write_text("#!/bin/sh\necho export SET=1 2\necho unset GONE\necho print hello\necho noise\n")
    epilog.write_text("#!/bin/sh\necho over\n")
    prolog.chmod(0o755)
    epilog.chmod(0o755)
    options = {"task-prolog": str(prolog), "task-epilog": str(epilog)}
    argv = srun_step._wrapped(options, ["/bin/sh", "-c", 'echo "$SET" "$GONE"; exit 3'], str(tmp_path))
    done = subprocess.run(
        argv, env={"GONE": "x", "PATH": "/bin"}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "hello\n1 2 \nover\n", "")


def test_preserve_env(stepped: Stepped) -> None:
    spec = asked(stepped, "-E", "-n2", **JOB)
    assert spec["argv"][0] == "/usr/bin/env"
    assert "SLURM_NTASKS=4" in spec["argv"] and spec["nTasks"] == 2


def test_a_host_file(stepped: Stepped) -> None:
    (stepped.root / "hosts").write_text("node2\nnode1\nnode2\n")
    spec = asked(stepped, SLURM_HOSTFILE=str(stepped.root / "hosts"), SLURM_JOB_ID="12")
    assert (spec["nodesRequired"], spec["distribution"], spec["nTasks"]) == (
        ["node2", "node1", "node2"],
        "arbitrary",
        3,
    )


def test_the_table_says_what_becomes_of_every_option() -> None:
    text = srun_options.table_text()
    for name, (_, _, what) in srun_options.TABLE.items():
        assert what in (USED, HARMLESS, WARNED, NOT_YET)
        assert f"--{name}" in text
    assert set(srun_options.NOTES) <= srun_options.TABLE.keys()
    assert srun_options.TABLE.keys() >= srun_options.STEP
    for table in (srun_options.TABLE, salloc_options.TABLE):
        assert list(table) == sorted(table), "ambiguity messages list them in this order"


OPTIONS_22_05 = """
accel-bind account acctg-freq bb bbf bcast bcast-exclude begin chdir cluster-constraint clusters
comment compress constraint container contiguous core-spec cores-per-socket cpu-bind cpu-freq
cpus-per-gpu cpus-per-task deadline delay-boot dependency disable-status distribution epilog error
exact exclude exclusive export extra-node-info gid gpu-bind gpu-freq gpus gpus-per-node
gpus-per-socket gpus-per-task gres gres-flags help het-group hint hold immediate input job-name
jobid kill-on-bad-exit label licenses mail-type mail-user mcs-label mem mem-bind mem-per-cpu
mem-per-gpu mincpus mpi msg-timeout multi-prog network nice no-allocate no-kill nodefile nodelist
nodes ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode output
overcommit overlap oversubscribe partition power prefer preserve-env priority profile prolog
propagate pty qos quiet quit-on-interrupt reboot relative reservation resv-ports send-libs signal
slurmd-debug sockets-per-node spread-job switches task-epilog task-prolog test-only thread-spec
threads threads-per-core time time-min tmp uid unbuffered usage use-min-nodes verbose version wait
wckey x11
"""


def test_every_option_of_22_05_is_known() -> None:
    assert not set(OPTIONS_22_05.split()) - srun_options.TABLE.keys()


TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12)
"""What an argument may be: the kernel ends it at a zero byte."""

WORDS = st.lists(
    st.one_of(
        st.sampled_from(
            [f"--{name}" for name in srun_options.TABLE if name not in ("pty", "multi-prog", "server")]
        ),
        st.builds(
            "--{}={}".format,
            st.sampled_from(
                [
                    name
                    for name, (_, takes, _) in srun_options.TABLE.items()
                    if takes != NONE
                    and name not in ("server", "prolog", "epilog", "input", "output", "error", "pty")
                ]
            ),
            TEXT,
        ),
        st.sampled_from(
            ["-n", "-N", "-c", "-w", "-l", "-K", "-I", "-m", "1", "2-1", "a,b", "x[1-", ":", "", "-", "true"]
        ),
        TEXT,
    ),
    max_size=8,
)


@given(words=WORDS, job=st.sampled_from(["", "12", "x"]))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_command_line_ends_in_a_traceback(
    scheduler: FakeScheduler, monkeypatch: pytest.MonkeyPatch, words: list[str], job: str
) -> None:
    """Whatever is typed: a step is asked for, or there is an error line and a code."""
    scheduler.fail("CreateStep", "failed_precondition", "no", "no")
    scheduler.fail("SubmitJob", "failed_precondition", "no", "no")
    with monkeypatch.context() as patch, contextlib.redirect_stderr(io.StringIO()) as err:
        patch.setenv("SLURM_JOB_ID", job)
        with contextlib.redirect_stdout(io.StringIO()):
            code = process.run("srun", srun.command, words)
    assert isinstance(code, int)
    assert code == 0 or err.getvalue()


@given(words=st.lists(TEXT, max_size=4))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_command_line_of_sattach_does(scheduler: FakeScheduler, words: list[str]) -> None:
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        assert isinstance(process.run("sattach", sattach.command, words), int)


@given(
    pieces=st.lists(st.tuples(st.integers(0, 11), st.binary(max_size=30)), max_size=30),
    label=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_lines_come_out_whole_and_in_order(pieces: list[tuple[int, bytes]], label: bool) -> None:
    """However the bytes are cut: of every task all of them, in order, whole lines together."""
    read_end, write_end = os.pipe()
    writer = LineWriter(write_end, 12, label=label, whole_lines=True)
    for rank, data in pieces:
        writer.feed(rank, data)
        writer.flush()
    writer.finish_all()
    os.close(write_end)
    with open(read_end, "rb") as file:
        found = file.read()
    sent = {rank: b"".join([data for one, data in pieces if one == rank]) for rank, _ in pieces}
    if not label:
        assert sorted(found) == sorted(b"".join(sent.values()))
        return
    lines = found.split(b"\n")[:-1]
    for rank, data in sent.items():
        head = b"%2d: " % rank
        own = [text[len(head) :] for text in lines if text.startswith(head)]
        whole = data.split(b"\n")
        assert own == (whole[:-1] if not whole[-1] else whole)


def test_ranges() -> None:
    assert ranges([3, 0, 1, 2, 7, 9, 10]) == "0-3,7,9-10"
    assert ranges([]) == ""


def test_cpu_binding() -> None:
    assert srun_step.cpu_binding("quiet") == ""
    assert srun_step.cpu_binding("v") == "verbose"
    with pytest.raises(CommandError):
        srun_step.cpu_binding("ldoms")


def test_the_module_prints_the_table() -> None:
    for module in ("srun_options", "salloc_options"):
        words = [sys.executable, "-m", f"packhorse.cli.slurm.{module}"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert "| `-n`, `--ntasks=…` |" in done.stdout


def test_sruns_own_variable_for_what_is_exported_counts_more() -> None:
    given = {"SRUN_EXPORT_ENV": "ALL,A=1", "SLURM_EXPORT_ENV": "NONE"}
    assert dict(srun_options.from_environment(given, ""))["export"] == "ALL,A=1"
