"""Steps: srun within jobs and outside of them, on two nodes, through restarts of everything around them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import WITHIN_S, Cluster, kill, wait_until

Answer = tuple[int, str, str]


def srun(cluster: Cluster, *words: str, input: str = "", **variables: str) -> Answer:
    """(exit code, output, error output) of srun."""
    done = subprocess.run(
        ["srun", *words],
        env={**cluster.env, **variables},
        cwd=cluster.work,
        input=input,
        capture_output=True,
        text=True,
        timeout=2 * WITHIN_S,
        check=False,
        executable=str(cluster.root / "bin" / "srun"),
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[str]]]:
    """Commands that a test started."""
    found: list[subprocess.Popen[str]] = []
    yield found
    for process in found:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def start(cluster: Cluster, running: list[subprocess.Popen[str]], *words: str) -> subprocess.Popen[str]:
    """A command that runs while the test goes on."""
    process = subprocess.Popen(
        list(words),
        executable=str(cluster.root / "bin" / words[0]),
        env=cluster.env,
        cwd=cluster.work,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running.append(process)
    return process


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def error_line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def test_outside_of_a_job(cluster: Cluster) -> None:
    code, out, err = srun(
        cluster, "-N2", "-l", "sh", "-c", "echo $SLURM_NODEID $SLURMD_NODENAME $SLURM_NTASKS"
    )
    assert (code, err) == (0, "")
    assert sorted(out.splitlines()) == ["0: 0 node1 2", "1: 1 node2 2"]
    wait_until(
        lambda: (
            max((int(row["job_id"]), row["state"]) for row in cluster.jobs(fields=["state"]))[1]
            == "COMPLETED"
        ),
        "the job's end",
    )
    (row,) = [row for row in cluster.jobs(fields=["name", "exit_code"]) if row["name"] == "sh"][-1:]
    assert row["exit_code"] == 0


def test_within_a_batch_script(cluster: Cluster) -> None:
    """On both nodes, with the job's number of tasks, one step after the other, srun within srun."""
    job = cluster.sbatch(
        "-N2", "-n4", "--ntasks-per-node=2", "--wrap",
        "srun sh -c 'echo $SLURM_STEP_ID $SLURM_PROCID $SLURM_LOCALID $SLURMD_NODENAME'\n"
        "srun -N1 -n1 sh -c 'srun --overlap -n1 echo inner $SLURM_STEP_ID; exit 3'\n"
        "echo code $?\nsrun -w node2 -n1 sh -c 'echo on $SLURMD_NODENAME'",
    )  # fmt: skip
    assert cluster.wait(job).exit_code == 0
    lines = cluster.output(job).splitlines()
    assert sorted(lines[:4]) == ["0 0 0 node1", "0 1 1 node1", "0 2 0 node2", "0 3 1 node2"]
    rest = [text for text in lines[4:] if not text.startswith(("srun:", "packhorse-"))]
    assert rest == ["inner 1", "code 3", "on node2"]


def test_stdin(cluster: Cluster) -> None:
    code, out, _ = srun(cluster, "-N2", "-n2", "-l", "cat", input="line one\nline two\n")
    assert code == 0
    assert sorted(out.splitlines()) == ["0: line one", "0: line two", "1: line one", "1: line two"]
    code, out, _ = srun(cluster, "-n2", "-i1", "-l", "cat", input="x\n")
    assert (code, out) == (0, "1: x\n")
    code, out, _ = srun(cluster, "-n2", "-i", "none", "-l", "cat", input="x\n")
    assert (code, out) == (0, "")


def test_codes_and_signals_of_tasks(cluster: Cluster) -> None:
    code, _, err = srun(cluster, "-n3", "sh", "-c", "exit $SLURM_PROCID")
    assert code == 2
    assert sorted(err.splitlines()) == [
        "srun: error: node1: task 1: Exited with exit code 1",
        "srun: error: node1: task 2: Exited with exit code 2",
    ]
    code, _, err = srun(cluster, "-n1", "sh", "-c", "kill -9 $$")
    assert code == 137
    assert err.splitlines()[0] == "srun: error: node1: task 0: Killed"
    code, _, err = srun(cluster, "-n1", "/nosuch/program")
    assert code == 2
    assert "execve(): /nosuch/program: No such file or directory" in err


def test_kill_on_bad_exit(cluster: Cluster) -> None:
    began = time.monotonic()
    code, _, err = srun(cluster, "-N2", "-n2", "-K", "sh", "-c", "[ $SLURM_PROCID = 1 ] && exit 4; sleep 300")
    assert code == 143
    assert "srun: error: node2: task 1: Exited with exit code 4\n" in err
    assert "srun: error: node1: task 0: Terminated\n" in err
    assert time.monotonic() - began < 60


def test_signals_reach_the_tasks(cluster: Cluster, running: list[subprocess.Popen[str]]) -> None:
    script = "trap 'echo got usr1; exit 5' USR1; echo ready; while :; do sleep 0.1; done"
    process = start(cluster, running, "srun", "-n1", "sh", "-c", script)
    assert line(process) == "ready\n"
    process.send_signal(signal.SIGUSR1)
    assert line(process) == "got usr1\n"
    assert process.wait(WITHIN_S) == 5


def test_ctrl_c_twice(cluster: Cluster, running: list[subprocess.Popen[str]]) -> None:
    process = start(cluster, running, "srun", "-n1", "sh", "-c", "echo ready; exec sleep 300")
    assert line(process) == "ready\n"
    process.send_signal(signal.SIGINT)
    assert error_line(process) == "srun: interrupt (one more within 1 sec to abort)\n"
    assert error_line(process).endswith(".0 task 0: running\n")
    process.send_signal(signal.SIGINT)
    assert process.wait(WITHIN_S) == 130


def test_multi_prog(cluster: Cluster) -> None:
    (cluster.work / "silly.conf").write_text("# comment\n1,3 echo task:%t\n0,2 echo 'off  set':%o\n")
    code, out, err = srun(cluster, "-n4", "-l", "--multi-prog", "silly.conf")
    assert (code, err) == (0, "")
    assert sorted(out.splitlines()) == ["0: off  set:0", "1: task:1", "2: off  set:1", "3: task:3"]


def test_files_of_every_task(cluster: Cluster) -> None:
    code, out, _ = srun(
        cluster, "-N2", "-n2", "-o", "out-%t-%N", "sh", "-c", "echo $SLURM_PROCID; echo e >&2"
    )
    assert (code, out) == (0, "")
    assert (cluster.work / "out-0-node1").read_text() == "0\ne\n"
    assert (cluster.work / "out-1-node2").read_text() == "1\ne\n"


def test_steps_beside_each_other_wait_for_room(cluster: Cluster) -> None:
    job = cluster.sbatch(
        "-n2", "--wrap", "srun --exact -n2 sh -c 'sleep 2' & sleep 1; srun --exact -n1 echo second; wait"
    )
    assert cluster.wait(job).exit_code == 0
    text = cluster.output(job)
    assert "step creation temporarily disabled, retrying (Requested nodes are busy)" in text
    assert text.rstrip().endswith("second")


def test_more_than_the_job_has(cluster: Cluster) -> None:
    job = cluster.sbatch("-n2", "--wrap", "srun -n99 true")
    assert cluster.wait(job).exit_code == 1
    assert "srun: error: Unable to create step for job" in cluster.output(job)
    assert "More processors requested than permitted" in cluster.output(job)


def test_salloc(cluster: Cluster) -> None:
    inner = "echo $SLURM_JOB_NODELIST; srun -l sh -c 'echo step $SLURM_STEP_ID'; exit 3"
    done = subprocess.run(
        ["salloc", "-n2", "-J", "held", "sh", "-c", inner],
        executable=str(cluster.root / "bin" / "salloc"),
        env=cluster.env, cwd=cluster.work, capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert sorted(done.stdout.splitlines()) == ["0: step 0", "1: step 0", "node1"]
    assert [text.rstrip("0123456789") for text in done.stderr.splitlines()] == [
        "salloc: Granted job allocation ",
        "salloc: Relinquishing job allocation ",
    ]


def test_sbcast(cluster: Cluster, running: list[subprocess.Popen[str]]) -> None:
    source = cluster.work / "source"
    source.write_bytes(os.urandom(3_000_000))
    source.chmod(0o750)
    os.utime(source, (1_000_000_000, 1_100_000_000))
    near, far = cluster.root / "near", cluster.root / "far"

    def sbcast(*words: str) -> tuple[int, str]:
        done = cluster.run("sbcast", *words, check=False)
        assert done.stdout == ""
        return done.returncode, done.stderr

    assert sbcast(str(source), str(near))[1].startswith("sbcast: error: Need a job id to run this command")
    job = cluster.sbatch("-N2", "--wrap", "sleep 100")
    wait_until(lambda: cluster.state(job) == "RUNNING", "the job to run")
    to = (f"-j{job}", str(source))
    # Both nodes are this machine, and share the file.
    assert sbcast(*to, str(near)) == (0, "")
    assert near.read_bytes() == source.read_bytes()
    assert (near.stat().st_mode & 0o777, near.stat().st_mtime > 1_700_000_000) == (0o750, True)
    near.write_text("other")
    code, said = sbcast(*to, str(near))
    assert (code, near.read_text()) == (1, "other")
    assert f"sbcast: error: node1: {near}: File exists" in said
    assert sbcast("-fp", *to, str(near)) == (0, "")
    assert near.read_bytes() == source.read_bytes()
    assert int(near.stat().st_mtime) == 1_100_000_000
    assert sbcast("-C", *to, f"{far}/x")[0] == 1, "no such directory"
    far.mkdir()
    code, said = sbcast("-C", *to, f"{far}/")
    assert (code, said) == (0, "sbcast: warning: option --compress has no effect\n")
    assert (far / "source").read_bytes() == source.read_bytes()
    assert sorted(path.name for path in far.iterdir()) == ["source"], "nothing is left over"
    (far / "empty").touch()
    assert sbcast(f"-j{job}", str(far / "empty"), str(far / "empty2")) == (0, "")
    assert (far / "empty2").read_bytes() == b""
    # Of a step its nodes alone.
    step = start(
        cluster, running, "srun", f"--jobid={job}", "-n1", "-wnode2", "sh", "-c", "echo up; sleep 60"
    )
    assert line(step) == "up\n"
    steps = cluster.text("squeue", "-h", "-s", "-o", "%i").split()
    (number,) = (name for name in steps if name != f"{job}.batch")
    code, said = sbcast("-vj", number, str(source), str(far / "step"))
    assert code == 0 and said.startswith(
        f"sbcast: {source}: 3000000 bytes, mode 750, to {far}/step on node2\n"
    )
    cluster.run("scancel", str(job))


def test_sattach(cluster: Cluster, running: list[subprocess.Popen[str]]) -> None:
    script = "echo ready; for i in $(seq 300); do echo tick; sleep 0.1; done"
    process = start(cluster, running, "srun", "-n1", "sh", "-c", script)
    assert line(process) == "ready\n"
    (job,) = [row["job_id"] for row in cluster.jobs(fields=["state"]) if row["state"] == "RUNNING"]
    watcher = start(cluster, running, "sattach", "-l", f"{job}.0")
    assert line(watcher) == "0: tick\n"
    assert cluster.text("sattach", "--layout", f"{job}.0") == (
        "Job step layout:\n\t1 tasks, 1 nodes (node1)\n\n\tNode 0 (node1), 1 task(s): 0 \n"
    )
    process.send_signal(signal.SIGTERM)
    assert process.wait(WITHIN_S) == 143
    assert watcher.wait(WITHIN_S) == 143


def test_a_program_is_copied_to_the_nodes(cluster: Cluster) -> None:
    program = cluster.work / "program"
    program.write_text('#!/bin/sh\necho "copy $0"\n')
    program.chmod(0o755)
    (cluster.work / "copies").mkdir()
    code, out, err = srun(cluster, "-N2", "-n2", "-l", "--bcast=copies/", "./program")
    assert (code, err) == (0, "")
    (job,) = {text.split("slurm_bcast_")[1].split(".")[0] for text in out.splitlines()}
    assert sorted(out.splitlines()) == [
        f"{rank}: copy {cluster.work}/copies/slurm_bcast_{job}.0_node{rank + 1}" for rank in (0, 1)
    ]
    assert srun(cluster, "-n1", "--bcast=/nosuch/place", "./program")[0] != 0


def test_what_ends_a_step_is_told(cluster: Cluster, running: list[subprocess.Popen[str]]) -> None:
    code, _, err = srun(cluster, "-n1", "true")
    job = cluster.sbatch("-n2", "--wrap", "sleep 300")
    cluster.wait_state(job, "RUNNING")
    code, _, err = srun(cluster, f"--jobid={job}", "--overlap", "-n1", "-t", "0:01", "sleep", "300")
    assert code == 143 and "DUE TO TIME LIMIT" in err
    process = start(
        cluster, running, "srun", f"--jobid={job}", "--overlap", "-n1", "sh", "-c", "echo up; sleep 300"
    )
    assert line(process) == "up\n"
    cluster.text("scancel", f"{job}.1")
    assert process.wait(WITHIN_S) == 143
    assert error_line(process).startswith("srun: Job step aborted: Waiting up to")
    assert f"*** STEP {job}.1 ON node1 CANCELLED AT" in error_line(process)
    assert cluster.state(job) == "RUNNING"


def test_around_the_tasks(cluster: Cluster) -> None:
    for name, text in (
        ("prolog", "echo export MINE=$SLURM_PROCID; echo print before"),
        ("epilog", "echo after"),
    ):
        (cluster.work / name).write_text(f"#!/bin/sh\n{text}\n")
        (cluster.work / name).chmod(0o755)
    words = ["--task-prolog=./prolog", "--task-epilog=./epilog", "sh", "-c", "echo mine $MINE; exit 4"]
    code, out, _ = srun(cluster, "-n1", *words)
    assert (code, out) == (4, "before\nmine 0\nafter\n")


def test_much_goes_through(cluster: Cluster) -> None:
    text = "".join([f"line {number}\n" for number in range(400_000)])
    code, out, _ = srun(cluster, "-N2", "-n2", "-l", "cat", input=text)
    assert code == 0
    for rank in "01":
        own = [part[3:] for part in out.splitlines(keepends=True) if part.startswith(f"{rank}: ")]
        assert "".join(own) == text


@pytest.fixture
def frail() -> Iterator[Cluster]:
    """A cluster of one's own, whose daemons are killed."""
    with Cluster(nodes=2, cpus=8) as own:
        yield own


COUNT = "echo ready; for i in $(seq 40); do echo $i; sleep 0.1; done; exit 7"


def test_the_scheduler_dies_midway(frail: Cluster, running: list[subprocess.Popen[str]]) -> None:
    process = start(frail, running, "srun", "-N2", "-n2", "-l", "sh", "-c", COUNT)
    assert line(process).endswith("ready\n")
    kill(frail.scheduler())
    time.sleep(1)
    frail.up()
    out, err = process.communicate(timeout=2 * WITHIN_S)
    assert process.returncode == 7, err
    assert "0: 40" in out and "1: 40" in out
    wait_until(
        lambda: not [row for row in frail.jobs(fields=["end_at"]) if not int(row["end_at"])], "its end"
    )


def test_an_agent_dies_midway(frail: Cluster, running: list[subprocess.Popen[str]]) -> None:
    """The tasks' supervisor lives on, and so does the connection; the agent finds the step again."""
    process = start(frail, running, "srun", "-N2", "-n2", "-l", "sh", "-c", COUNT)
    assert line(process).endswith("ready\n")
    kill(frail.agent("node2"))
    time.sleep(1)
    frail.up()
    out, err = process.communicate(timeout=2 * WITHIN_S)
    assert process.returncode == 7, err
    assert [text for text in out.splitlines() if text.startswith("1: ")][-1] == "1: 40"


def test_srun_itself_dies(frail: Cluster, running: list[subprocess.Popen[str]]) -> None:
    """Its job is given back all the same, and the step with it."""
    process = start(frail, running, "srun", "-n1", "sh", "-c", "echo ready; exec sleep 300")
    assert line(process) == "ready\n"
    process.kill()
    process.wait()
    (job,) = [row["job_id"] for row in frail.jobs(fields=["state"]) if row["state"] == "RUNNING"]
    assert frail.wait(int(job)).state == "FAILED"
    holder = start(frail, running, "salloc", "-n1", "-Q", "sh", "-c", "echo ready; exec sleep 4")
    assert line(holder) == "ready\n"
    (job,) = [row["job_id"] for row in frail.jobs(fields=["state"]) if row["state"] == "RUNNING"]
    holder.kill()
    assert frail.wait(int(job)).state == "FAILED"


def test_a_terminal(cluster: Cluster) -> None:
    """srun --pty bash: its size, Ctrl-C within it, and its code."""
    pid, fd = os.forkpty()
    if not pid:
        os.chdir(cluster.work)
        path = str(cluster.root / "bin" / "srun")
        os.execve(path, ["srun", "--pty", "bash", "--norc"], {**cluster.env, "PS1": "$ ", "TERM": "dumb"})
    try:
        _set_size(fd, 30, 100)
        os.write(fd, b"stty size; echo A$((1+1))B\n")
        _read_until(fd, b"A2B")
        _set_size(fd, 41, 123)
        time.sleep(0.5)
        os.write(fd, b"stty size; echo C$((1+2))D\n")
        assert b"41 123" in _read_until(fd, b"C3D")
        os.write(fd, b"sleep 300\n")
        time.sleep(0.5)
        os.write(fd, b"\x03")
        os.write(fd, b"echo E$((2+2))F\n")
        _read_until(fd, b"E4F")
        os.write(fd, b"exit 7\n")
        assert _code(pid) == 7
    finally:
        os.close(fd)


def _set_size(fd: int, rows: int, columns: int) -> None:
    import fcntl
    import struct
    import termios

    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _read_until(fd: int, mark: bytes) -> bytes:
    import select

    found = b""
    deadline = time.monotonic() + WITHIN_S
    while mark not in found:
        assert select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0], found
        found += os.read(fd, 4096)
    return found


def _code(pid: int) -> int:
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError("srun did not end")


def test_the_output_path_is_srun_s(cluster: Cluster, tmp_path: Path) -> None:
    code, out, _ = srun(cluster, "-N2", "-n2", "-l", "-o", str(tmp_path / "all-%j.%s"), "hostname")
    assert (code, out) == (0, "")
    (path,) = tmp_path.glob("all-*.0")
    assert sorted(text[:3] for text in path.read_text().splitlines()) == ["0: ", "1: "]
