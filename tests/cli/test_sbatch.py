"""sbatch: what is submitted for which options, and what is refused without asking anybody."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from packhorse.cli import transport
from packhorse.cli.slurm import waiting
from tests.cli.commands import Run
from tests.cli.fake_scheduler import FakeScheduler

EVERYTHING = """
-J name -n 4 -N 2-3 -c 2 --ntasks-per-node=2 --mincpus=3 --mem-per-cpu=4G --tmp=1G
--gres=gpu:h100:2,nic --gpus-per-task=1 -G a100:8 -C a&b -w node[1-2] -x node7 --exclusive
--contiguous -t 1-0 -p main -A lab -q long --comment=c -a 0-9:3%2 -b 2027-01-01T00:00:00
-d afterok:5:6,after:7+3 --kill-on-invalid-dep=yes -H --nice=7 --priority=9 --no-requeue
--signal=B:USR1@90 -o out.%j -e none -i in --open-mode=append -D sub
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a script in it."""
    here = tmp_path / "demo"
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "job.sh").write_text("#!/bin/sh\ntrue\n")
    return here


@pytest.fixture
def submitted(scheduler: FakeScheduler, run: Run) -> Any:
    """submitted("-n", "2", "job.sh") -> the request."""
    scheduler.on("SubmitJob", {"jobId": "7"})

    def submit(*words: str) -> dict[str, Any]:
        code, out, err = run("sbatch", *words)
        assert (code, out) == (0, "Submitted batch job 7\n"), err
        return scheduler.bodies("SubmitJob")[-1]

    return submit


def test_a_script(submitted: Any, place: Path) -> None:
    request = submitted("job.sh", "one", "two three")
    spec = request["spec"]
    assert base64.b64decode(spec["script"]) == b"#!/bin/sh\ntrue\n"
    assert spec["name"] == "job.sh"
    assert spec["command"] == f"{place}/job.sh one two three"
    assert spec["args"] == ["one", "two three"]
    assert spec["workDir"] == str(place)
    assert spec["submitLine"] == "sbatch job.sh one two three"
    assert spec["submitHost"] == os.uname().nodename
    assert spec["ask"] == {}
    assert len(request["idempotencyKey"]) == 32
    assert not spec.keys() & {"timeLimitS", "partition", "given", "hold", "requeue"}


def test_everything_at_once(submitted: Any, place: Path) -> None:
    (place / "sub").mkdir()
    (place / "sub" / "job.sh").write_text("#!/bin/sh\n:\n")
    request = submitted(*EVERYTHING.split(), "job.sh")
    spec = request["spec"]
    assert spec["ask"] == {
        "nTasks": 4,
        "minNodes": 2,
        "maxNodes": 3,
        "cpuMilliPerTask": 2000,
        "tasksPerNode": 2,
        "minCpuMilliPerNode": 3000,
        "memMibPerCpu": 4096,
        "tmpMibPerNode": 1024,
        "gresPerNode": [
            {"kind": "gpu", "type": "h100", "count": 2},
            {"kind": "nic", "type": "", "count": 1},
        ],
        "gresPerTask": [{"kind": "gpu", "type": "", "count": 1}],
        "gresPerJob": [{"kind": "gpu", "type": "a100", "count": 8}],
        "features": "a&b",
        "nodesRequired": ["node1", "node2"],
        "nodesExcluded": ["node7"],
        "exclusive": True,
        "contiguous": True,
    }
    assert spec["given"] == {
        "nTasks": True,
        "cpusPerTask": True,
        "tasksPerNode": True,
        "gpus": "a100:8",
        "gpusPerTask": "1",
    }
    assert (spec["name"], spec["partition"], spec["account"], spec["qos"]) == ("name", "main", "lab", "long")
    assert (spec["timeLimitS"], spec["beginAtUs"]) == (86400, 1798761600 * 1_000_000)
    assert request["array"] == {"ranges": [{"start": 0, "stop": 9, "step": 3}], "limit": 2}
    assert spec["dependency"] == {
        "conditions": [
            {"kind": "afterok", "jobId": 5},
            {"kind": "afterok", "jobId": 6},
            {"kind": "after", "jobId": 7, "delayS": 180},
        ],
        "anyOf": False,
    }
    assert (spec["hold"], spec["nice"], spec["priority"], spec["requeue"]) == (True, 7, 9, False)
    assert spec["killOnInvalidDep"] is True
    assert spec["warn"] == {"signal": 10, "secondsBefore": 90, "batchOnly": True}
    assert (spec["stdOut"], spec["stdErr"], spec["stdIn"], spec["append"]) == (
        "out.%j",
        "/dev/null",
        "in",
        True,
    )
    assert spec["workDir"] == f"{place}/sub"
    assert spec["command"] == f"{place}/sub/job.sh"


def test_the_directives_of_the_issue(submitted: Any, place: Path) -> None:
    (place / "d.sh").write_text(
        "#!/bin/bash\n#SBATCH -J JobName\n#SBATCH --time=11:00:00\n#SBATCH --mem-per-cpu=4096\n"
        "#SBATCH --cpus-per-task=4\necho\n"
    )
    spec = submitted("d.sh")["spec"]
    assert spec["name"] == "JobName"
    assert spec["timeLimitS"] == 11 * 3600
    assert spec["ask"] == {"cpuMilliPerTask": 4000, "memMibPerCpu": 4096}


def test_the_command_line_wins_over_variables_and_these_over_the_script(
    submitted: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "d.sh").write_text("#!/bin/sh\n#SBATCH -J script -t 5 -p script --mem=1G --requeue\n:\n")
    monkeypatch.setenv("SBATCH_TIMELIMIT", "6")
    monkeypatch.setenv("SBATCH_PARTITION", "variable")
    spec = submitted("-p", "line", "--mem-per-cpu=2G", "--no-requeue", "d.sh")["spec"]
    assert (spec["name"], spec["timeLimitS"], spec["partition"]) == ("script", 360, "line")
    assert spec["ask"] == {"memMibPerCpu": 2048}
    assert spec["requeue"] is False


def test_the_last_of_equal_options_wins(submitted: Any) -> None:
    spec = submitted("-t", "1", "--requeue", "-t", "2", "--no-requeue", "--requeue", "job.sh")["spec"]
    assert spec["timeLimitS"] == 120
    assert spec["requeue"] is True


def test_a_command(submitted: Any) -> None:
    spec = submitted("--wrap", "exit 3", "-J", "fails")["spec"]
    text = base64.b64decode(spec["script"]).decode()
    assert text == "#!/bin/sh\n# This script was created by sbatch --wrap.\n\nexit 3\n"
    assert spec["name"] == "fails"
    assert "command" not in spec
    assert submitted("--wrap", "x")["spec"]["name"] == "wrap"


def test_a_script_found_through_path(submitted: Any, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "bin").mkdir()
    (place / "bin" / "tool.sh").write_text("#!/bin/sh\n:\n")
    monkeypatch.setenv("PATH", f"/nowhere:{place}/bin")
    assert submitted("tool.sh")["spec"]["command"] == f"{place}/bin/tool.sh"


def variables(request: dict[str, Any]) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in request["spec"]["environment"])


@pytest.fixture
def in_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a job whose script calls sbatch."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in {
        "PATH": "/bin",
        "HOME": "/home/u",
        "SLURM_JOB_ID": "99",
        "SLURM_NTASKS": "64",
        "SLURM_CONF": "/etc/slurm.conf",
        "SLURMD_NODENAME": "old",
        "CUDA_VISIBLE_DEVICES": "3",
        "PMIX_RANK": "1",
        "MINE": "a=b",
    }.items():
        monkeypatch.setenv(name, value)


def test_the_parents_job_does_not_shape_the_child(
    monkeypatch: pytest.MonkeyPatch, scheduler: FakeScheduler, in_a_job: None, run: Run
) -> None:
    monkeypatch.setenv("PACKHORSE_HOME", str(scheduler.home))
    scheduler.on("SubmitJob", {"jobId": 7})
    assert run("sbatch", "job.sh")[0] == 0
    found = variables(scheduler.bodies("SubmitJob")[0])
    found.pop("PYTEST_CURRENT_TEST", None)
    assert found == {
        "PATH": "/bin",
        "HOME": "/home/u",
        "SLURM_CONF": "/etc/slurm.conf",
        "MINE": "a=b",
        "PACKHORSE_HOME": str(scheduler.home),
    }


@pytest.mark.parametrize(
    ("export", "wanted"),
    [
        ("NONE", {}),
        ("MINE", {"MINE": "a=b"}),
        ("MINE,NEW=1,ABSENT", {"MINE": "a=b", "NEW": "1"}),
        ("NEW='x,y',Z=", {"NEW": "x,y", "Z": ""}),
    ],
)
def test_export(
    monkeypatch: pytest.MonkeyPatch,
    scheduler: FakeScheduler,
    in_a_job: None,
    run: Run,
    export: str,
    wanted: dict[str, str],
) -> None:
    monkeypatch.setenv("PACKHORSE_HOME", str(scheduler.home))
    scheduler.on("SubmitJob", {"jobId": 7})
    assert run("sbatch", f"--export={export}", "job.sh")[0] == 0
    request = scheduler.bodies("SubmitJob")[0]
    login = {"PACKHORSE_SBATCH_GET_USER_ENV": "1", "PACKHORSE_GET_USER_ENV": "8L"}
    assert variables(request) == {**wanted, "SLURM_CONF": "/etc/slurm.conf", **login}
    assert request["spec"]["given"] == {"export": export}


def test_export_all_and_more(submitted: Any, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setenv("MINE", "old")
    assert variables(submitted("--export=ALL,MINE=new", "job.sh"))["MINE"] == "new"
    (place / "vars").write_bytes(b"A=1\0B=two\nlines\0")
    found = variables(submitted("--export=NONE", "--export-file=vars", "job.sh"))
    assert (found["A"], found["B"]) == ("1", "two\nlines")


def test_a_variable_that_is_no_text_stays_behind(submitted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAD", "\udcff")
    monkeypatch.setenv("GOOD", "é")
    found = variables(submitted("job.sh"))
    assert found["GOOD"] == "é"
    assert "BAD" not in found


def test_parsable_and_quiet(scheduler: FakeScheduler, run: Run) -> None:
    scheduler.on("SubmitJob", {"jobId": 7})
    assert run("sbatch", "--parsable", "job.sh") == (0, "7\n", "")
    assert run("sbatch", "--parsable", "-M", "demo", "job.sh") == (0, "7;demo\n", "")
    assert run("sbatch", "-M", "demo", "job.sh") == (0, "Submitted batch job 7 on cluster demo\n", "")
    assert run("sbatch", "-Q", "job.sh") == (0, "", "")
    code, out, err = run("sbatch", "-M", "other", "job.sh")
    assert (code, out) == (1, "")
    assert err.startswith("sbatch: error: 'other' can't be reached now")


def test_refusals_name_the_thing_and_say_slurms_phrase(scheduler: FakeScheduler, run: Run) -> None:
    scheduler.fail(
        "SubmitJob", "failed_precondition", "9 nodes asked, 2 there", "Node count specification invalid"
    )
    assert run("sbatch", "-N", "9", "job.sh") == (
        1,
        "",
        (
            "sbatch: error: 9 nodes asked, 2 there\n"
            "sbatch: error: Batch job submission failed: Node count specification invalid\n"
        ),
    )
    assert run("sbatch", "--test-only", "job.sh")[2].endswith(
        "allocation failure: Node count specification invalid\n"
    )
    scheduler.fail("SubmitJob", "unavailable", "store unavailable: disk full", status=503)
    assert run("sbatch", "job.sh") == (
        1,
        "",
        "sbatch: error: Batch job submission failed: store unavailable: disk full\n",
    )


def test_test_only(scheduler: FakeScheduler, run: Run) -> None:
    line = "Job 8 to start at 2026-11-23T06:16:31 using 4 processors on nodes node[1-2] in partition normal"
    scheduler.on("SubmitJob", {"jobId": 8, "estimate": line})
    assert run("sbatch", "--test-only", "job.sh") == (0, "", f"sbatch: {line}\n")
    assert scheduler.bodies("SubmitJob")[0]["testOnly"] is True
    scheduler.on("SubmitJob", {"jobId": 8, "plannedStartUs": 1795413391000000})
    assert run("sbatch", "--test-only", "job.sh")[2] == "sbatch: Job 8 to start at 2026-11-23T05:56:31\n"


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([{"state": "COMPLETED"}], 0),
        ([{"state": "FAILED", "exitCode": 9}], 9),
        ([{"state": "FAILED", "exitSignal": 9}], 1),
        ([{"state": "CANCELLED"}], 1),
        ([{"state": "FAILED", "exitCode": 2}, {"state": "FAILED", "exitCode": 4}], 4),
    ],
)
def test_wait(scheduler: FakeScheduler, run: Run, results: list[dict[str, Any]], code: int) -> None:
    scheduler.on("SubmitJob", {"jobId": 7})
    answers: list[dict[str, Any]] = [{"results": []}, {"results": results, "allEnded": True}]
    scheduler.on("WaitJobs", lambda body: answers.pop(0))
    assert run("sbatch", "-W", "job.sh") == (code, "Submitted batch job 7\n", "")


def test_wait_outlives_the_scheduler(
    scheduler: FakeScheduler, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler.on("SubmitJob", {"jobId": 7})
    scheduler.on("WaitJobs", {"results": [{"state": "COMPLETED"}], "allEnded": True})
    monkeypatch.setattr(transport, "sleep", lambda pause: None)
    monkeypatch.setattr(waiting, "sleep", lambda pause: None)
    scheduler.mishaps = ["", *["drop"] * 15]
    code, out, err = run("sbatch", "-W", "job.sh")
    assert (code, out) == (0, "Submitted batch job 7\n")
    assert err.count("waiting for it to come back") == 1


def test_fewer_tasks_than_nodes(scheduler: FakeScheduler, run: Run) -> None:
    scheduler.on("SubmitJob", {"jobId": 7})
    code, _, err = run("sbatch", "-N", "2", "-n", "1", "job.sh")
    assert (code, err) == (0, "sbatch: Warning: can't run 1 processes on 2 nodes, setting nnodes to 1\n")
    assert scheduler.bodies("SubmitJob")[0]["spec"]["ask"] == {"nTasks": 1, "minNodes": 1, "maxNodes": 1}


def test_no_scheduler(run: Run) -> None:
    code, out, err = run("sbatch", "job.sh")
    assert (code, out) == (1, "")
    assert err.startswith("sbatch: error: Batch job submission failed: no scheduler is running at ")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("-c 0 job.sh", 1, 'sbatch: error: Invalid numeric value "0" for --cpus-per-task.'),
        ("-N x job.sh", 255, 'sbatch: error: "x" is not a valid node count'),
        ("-N 3-2 job.sh", 255, "sbatch: error: Maximum node count 2 is less than minimum node count 3"),
        (
            "--nice=99999999999 job.sh",
            255,
            "sbatch: error: Invalid --nice value, out of range (+/- 2147483645)",
        ),
        ("--priority=-1 job.sh", 255, "sbatch: error: Priority must be >= 0"),
        ("--tmp=x job.sh", 255, "sbatch: error: Invalid --tmp specification"),
        ("--open-mode=x job.sh", 255, "sbatch: error: Invalid --open-mode specification"),
        ("--exclusive=x job.sh", 255, "sbatch: error: Invalid --exclusive specification"),
        ("--kill-on-invalid-dep=x job.sh", 255, "sbatch: error: Invalid --kill-on-invalid-dep specification"),
        ("--mem=1.5G job.sh", 255, "sbatch: error: Invalid --mem specification"),
        (
            "--mem=1 --mem-per-cpu=1 job.sh",
            1,
            "sbatch: fatal: --mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.",
        ),
        (
            "--reboot job.sh",
            255,
            "sbatch: error: option --reboot is not supported by Packhorse yet",
        ),
        ("--wrap true job.sh", 1, "sbatch: error: Script arguments not permitted with --wrap option"),
        (
            "-n 1 : -n 2 job.sh",
            255,
            "sbatch: error: heterogeneous jobs (:) are not supported by Packhorse yet",
        ),
        ("--export-file=none job.sh", 1, "sbatch: error: Could not open user environment file none"),
        ("directory", 1, "sbatch: error: Batch script is empty!"),
        (
            "stray.sh",
            255,
            "sbatch: error: Invalid directive found in batch script: foo",
        ),
        (
            "het.sh",
            255,
            "sbatch: error: heterogeneous jobs (#SBATCH hetjob) are not supported by Packhorse yet",
        ),
        (
            "dos.sh",
            1,
            (
                "sbatch: error: Batch script contains DOS line breaks (\\r\\n)\n"
                "sbatch: error: instead of expected UNIX line breaks (\\n)."
            ),
        ),
        (
            "nul.sh",
            1,
            (
                "sbatch: error: The Slurm controller does not allow scripts that\n"
                "sbatch: error: contain a NULL character '\\0'."
            ),
        ),
        (
            "--gres=nic:0.5 job.sh",
            1,
            (
                'sbatch: error: Invalid generic resource (gres) specification: "nic:0.5": "0.5" is not a '
                "whole count; only of a gpu there are shares"
            ),
        ),
    ],
)
def test_refused_without_asking(
    run: Run, scheduler: FakeScheduler, place: Path, words: str, code: int, message: str
) -> None:
    (place / "directory").mkdir()
    (place / "stray.sh").write_text("#!/bin/sh\n#SBATCH -J x foo\n")
    (place / "het.sh").write_text("#!/bin/sh\n#SBATCH -N 1\n#SBATCH hetjob\n#SBATCH -N 2\n")
    (place / "dos.sh").write_bytes(b"#!/bin/sh\r\ntrue\r\n")
    (place / "nul.sh").write_bytes(b"#!/bin/sh\ntrue\0\n")
    assert run("sbatch", *words.split()) == (code, "", message + "\n")
    assert scheduler.requests == []


def test_a_script_over_the_limit(run: Run, scheduler: FakeScheduler, place: Path) -> None:
    (place / "big.sh").write_bytes(b"#!/bin/sh\n" + b"#" * (1 << 20))
    code, _, err = run("sbatch", "big.sh")
    assert code == 1
    assert f"Batch script {place}/big.sh is over the limit of 1048576 bytes (1 MiB)" in err
    assert scheduler.requests == []
    (place / "fits.sh").write_bytes((b"#!/bin/sh\n" + b"#" * (1 << 20))[: 1 << 20])
    scheduler.on("SubmitJob", {"jobId": 1})
    assert run("sbatch", "fits.sh")[0] == 0


def test_the_sites_code_for_errors(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_EXIT_ERROR", "77")
    assert run("sbatch", "--nosuch")[0] == 77
    assert run("sbatch", "nosuch.sh")[0] == 77


def test_a_working_directory_that_was_removed(run: Run, place: Path) -> None:
    (place / "job.sh").unlink()
    place.rmdir()
    for words in (("--wrap", "true"), ("/bin/job.sh",)):
        assert run("sbatch", *words) == (1, "", "sbatch: error: getcwd failed: No such file or directory\n")


def test_bytes_that_are_no_text(submitted: Any, run: Run) -> None:
    spec = submitted("--wrap", "echo \udcff")["spec"]
    assert base64.b64decode(spec["script"]).endswith(b"echo \xff\n")
    assert spec["submitLine"].endswith("echo ?")
    assert run("sbatch", "-J", "a\udcff", "--wrap", "true") == (
        1,
        "",
        "sbatch: error: Batch job submission failed: not UTF-8 text: a\\udcff\n",
    )


def test_more_memory_after_running_out_of_it(submitted: Any, place: Path) -> None:
    spec = submitted("--mem=1G", "--oom-retry=1.5x,max=3", "job.sh")["spec"]
    assert (spec["oomFactorMilli"], spec["oomMaxRetries"]) == (1500, 3)
    (place / "job.sh").write_text("#!/bin/sh\n#SBATCH --oom-retry=2x\n#SBATCH --idle-gpu-ok\ntrue\n")
    spec = submitted("job.sh")["spec"]
    assert (spec["oomFactorMilli"], spec["idleGpuOk"]) == (2000, True)
    assert "oomMaxRetries" not in spec


def test_right_size_is_the_schedulers_work_and_is_told(scheduler: FakeScheduler, run: Run) -> None:
    note = "--mem 64G -> 11G: 50 past runs used at most 9.8G"
    scheduler.on("SubmitJob", {"jobId": "7", "notes": [note]})
    assert run("sbatch", "--right-size", "job.sh") == (0, "Submitted batch job 7\n", f"sbatch: {note}\n")
    request = scheduler.bodies("SubmitJob")[-1]
    assert (request["rightSize"], request.get("rightSizeCpus")) == (True, None)
    assert run("sbatch", "--right-size=cpus", "job.sh")[0] == 0
    assert scheduler.bodies("SubmitJob")[-1]["rightSizeCpus"] is True


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("--oom-retry=1x", 'Invalid --oom-retry specification: "1x" is not a factor over 1 and up to 100'),
        ("--oom-retry=2x,4", 'Invalid --oom-retry specification: "4" is not max=N'),
        ("--right-size=gpus", 'Invalid --right-size specification: "gpus" is not cpus'),
    ],
)
def test_what_cannot_be_meant_by_them(scheduler: FakeScheduler, run: Run, option: str, problem: str) -> None:
    code, out, err = run("sbatch", option, "job.sh")
    assert (code, out) == (1, "")
    assert err.startswith(f"sbatch: error: {problem}") and err.count("\n") == 1
    assert scheduler.bodies("SubmitJob") == []


def test_show_job_tells_of_all_three(scheduler: FakeScheduler, run: Run) -> None:
    from tests.cli import session

    row = session.job(
        9,
        "train",
        oom_retry="2x,max=16,tried=1",
        right_sized="--mem 64G -> 11G: 50 past runs used at most 9.8G",
        gpus_idle_since=session.at("03:00:00"),
        gpus_stop_at=session.at("05:30:00"),
    )
    scheduler.table("ListJobs", [row], session.NOW_S)
    _, out, _ = run("scontrol", "show", "job", "9")
    assert out.endswith(
        "   PackhorseOomRetry=2x,max=16,tried=1\n"
        "   PackhorseRightSize=--mem 64G -> 11G: 50 past runs used at most 9.8G\n"
        "   PackhorseGpusIdleSince=2026-11-23T03:00:00 StopAt=2026-11-23T05:30:00\n"
        "   \n\n"
    )


def test_a_gang_goes_along(submitted: Any, place: Path) -> None:
    (place / "job.sh").write_text("#!/bin/sh\n#SBATCH --gang=pair:2@30m\ntrue\n")
    assert submitted("job.sh")["spec"]["gang"] == {"name": "pair", "size": 2, "waitS": 1800}
    assert submitted("--gang=trio:3", "job.sh")["spec"]["gang"] == {"name": "trio", "size": 3, "waitS": 0}


def test_a_gang_that_cannot_be_read(scheduler: FakeScheduler, run: Run) -> None:
    problem = '"pair" is not NAME:SIZE[@TIME], such as pair:2 or pair:2@30m'
    said = f"sbatch: error: Invalid --gang specification: {problem}\n"
    assert run("sbatch", "--gang=pair", "job.sh") == (1, "", said)
    assert scheduler.bodies("SubmitJob") == []


def test_show_job_tells_of_its_gang(scheduler: FakeScheduler, run: Run) -> None:
    from tests.cli import session

    scheduler.table("ListJobs", [session.job(9, "train", gang="pair:2, 1 of 2 here")], session.NOW_S)
    assert "   PackhorseGang=pair:2, 1 of 2 here\n" in run("scontrol", "show", "job", "9")[1]


@pytest.mark.parametrize("entity", ["jobid", "JobId", "jobs", "jo", "j"])
def test_show_takes_what_slurm_takes_for_a_job(scheduler: FakeScheduler, run: Run, entity: str) -> None:
    """`scontrol show jobid -dd ID` is in many scripts, slurm_gpustat's among them."""
    from tests.cli import session

    scheduler.table("ListJobs", [session.job(9, "train")], session.NOW_S)
    assert run("scontrol", "show", entity, "-dd", "9")[1].startswith("JobId=9 JobName=train\n")


@pytest.mark.parametrize("entity", ["h", "jobsteps", "what"])
def test_show_of_what_is_nothing_or_several(scheduler: FakeScheduler, run: Run, entity: str) -> None:
    said = f"invalid entity:{entity} for keyword:show \n"
    assert run("scontrol", "show", entity)[2] == said


def test_devices_of_the_job_without_their_numbers(scheduler: FakeScheduler, run: Run) -> None:
    """`JOB_GRES` is the sum over the nodes, where slurm_gpustat reads the type; numbers are the node's."""
    from tests.cli import session

    row = session.job(
        9,
        "train",
        nodes="n[1-2]",
        gres_detail="gpu:h200:2(IDX:0,3),nic:1(IDX:0)",
        alloc_tres="cpu=2,node=2,billing=2,gres/gpu=4,gres/nic=2",
    )
    scheduler.table("ListJobs", [row], session.NOW_S)
    shown = run("scontrol", "show", "job", "-d", "9")[1]
    assert "   JOB_GRES=gpu:h200:4,nic:2\n" in shown
    assert "GRES=gpu:h200:2(IDX:0,3),nic:1(IDX:0)\n" in shown
