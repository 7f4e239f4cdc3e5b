"""Jobs that run and end by themselves: codes, files, environment, what is left behind."""

# ruff: noqa: ASYNC240 (a blocking look at a file is what a test is for)
from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

import pytest

from packhorse.agent.cgroups import Wish
from packhorse.agent.launch import attemptdir, contact
from packhorse.agent.launch.exitrecord import ExitRecord
from packhorse.agent.launch.launcher import Supervised
from tests.agent.launch.yard import Yard, until


async def test_exit_code_and_output(yard: Yard) -> None:
    supervised = await yard.launch(
        'echo "$1 in $(pwd)"; exit 3', argv=(yard.script('echo "$1"; pwd; exit 3'), "a b")
    )
    record = await yard.end(supervised)
    assert (record.cause, record.exit_code, record.signal, record.core_dumped) == ("exited", 3, 0, False)
    assert yard.out.read_text() == f"a b\n{yard.home}\n"
    assert record.launch_error is None
    assert record.started_at == supervised.started_at < record.ended_at
    assert 0 < record.run_us < 60_000_000
    assert attemptdir.read_exit(supervised.attempt_dir) == record
    assert sorted(os.listdir(supervised.attempt_dir)) == ["control", "exit", "started"]


async def test_both_clocks_are_read_when_it_begins(plain: Yard) -> None:
    """Or an attempt would seem to end sooner than it did, by as long as its supervisor took to come."""
    apart_us = []
    for _ in range(5):
        supervised = await plain.launch("true")
        await plain.end(supervised)
        started = attemptdir.read_started(supervised.attempt_dir)
        assert started is not None
        boot_ahead_us = contact.boot_clock_us() - time.time_ns() // 1000
        apart_us.append(abs(started.boot_clock_us - started.started_at - boot_ahead_us))
    assert sorted(apart_us)[len(apart_us) // 2] < 50


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGUSR1, signal.SIGPIPE])
async def test_end_by_signal(plain: Yard, number: int) -> None:
    record = await plain.run(f"ulimit -c 0; kill -{number} $$")
    assert (record.cause, record.exit_code, record.signal) == ("exited", 0, number)


async def test_environment_is_what_was_given_and_the_mark(plain: Yard) -> None:
    supervised = await plain.launch(
        argv=("/usr/bin/env",), environment=("A=1", "B=x=y", "EMPTY=", "PACKHORSE_ATTEMPT=of an outer job")
    )
    await plain.end(supervised)
    assert sorted(plain.out.read_text().splitlines()) == [
        "A=1", "B=x=y", "EMPTY=", f"PACKHORSE_ATTEMPT={supervised.token}",
    ]  # fmt: skip


async def test_program_is_searched_in_the_jobs_path(plain: Yard) -> None:
    (plain.home / "bin").mkdir()
    os.symlink("/bin/echo", plain.home / "bin" / "say-it")
    record = await plain.run(argv=("say-it", "hello"), environment=(f"PATH=/nowhere:{plain.home}/bin",))
    assert record.exit_code == 0
    assert plain.out.read_text() == "hello\n"


async def test_signals_descriptors_and_session_are_clean(plain: Yard) -> None:
    await plain.run(argv=("/bin/cat", "/proc/self/status"))
    lines = dict(line.split(":\t", 1) for line in plain.out.read_text().splitlines())
    c_library_own = (
        0b11 << 31
    )  # signals 32 and 33, which posix_spawn leaves ignored and nobody can send by name
    assert int(lines["SigBlk"], 16) == int(lines["SigCgt"], 16) == 0
    assert int(lines["SigIgn"], 16) & ~c_library_own == 0


async def test_a_limit_of_processor_time_is_the_jobs_and_not_its_supervisors(plain: Yard) -> None:
    supervised = await plain.launch("while :; do :; done", rlimits=(("cpu", 1),))
    status = Path(f"/proc/{supervised.pid}/status").read_text()
    ignored = next(line for line in status.splitlines() if line.startswith("SigIgn:")).split()[1]
    assert int(ignored, 16) & (1 << (signal.SIGXCPU - 1)), "one that has worked long would be killed"
    assert (await plain.end(supervised)).signal == signal.SIGXCPU


async def test_a_session_without_terminal_and_no_foreign_descriptors(plain: Yard) -> None:
    await plain.run("cat /proc/self/stat; ls /proc/self/fd | wc -l; echo $$")
    stat, descriptors, pid = plain.out.read_text().splitlines()
    _, session, terminal = stat.rpartition(")")[2].split()[2:5]
    assert (session, terminal) == (pid, "0")
    assert int(descriptors) == 4  # and the one that ls reads the directory with


async def test_one_file_for_both_streams_keeps_their_order(plain: Yard) -> None:
    body = "for i in 1 2 3; do echo out$i; echo err$i >&2; done"
    await plain.run(body, stderr=f"{plain.home}/./out")
    assert plain.out.read_text().split() == ["out1", "err1", "out2", "err2", "out3", "err3"]


async def test_two_files(plain: Yard) -> None:
    await plain.run("echo out; echo err >&2", stderr=str(plain.path("err")))
    assert (plain.out.read_text(), plain.path("err").read_text()) == ("out\n", "err\n")


@pytest.mark.parametrize(("append", "expected"), [(True, "before\nnow\n"), (False, "now\n")])
async def test_append_and_truncate(plain: Yard, append: bool, expected: str) -> None:
    plain.out.write_text("before\n")
    await plain.run("echo now", append=append)
    assert plain.out.read_text() == expected


async def test_stdin(plain: Yard) -> None:
    plain.path("in").write_text("from a file\n")
    await plain.run("cat; cat", stdin=str(plain.path("in")))
    assert plain.out.read_text() == "from a file\n"


async def test_output_to_a_fifo_without_a_reader_does_not_hold_the_supervisor(plain: Yard) -> None:
    os.mkfifo(plain.path("pipe"))
    record = await plain.run("echo hello", stdout=str(plain.path("pipe")))
    assert (record.cause, record.exit_code) == ("exited", 0)


async def test_a_gigabyte_goes_straight_to_the_file(plain: Yard) -> None:
    supervised = await plain.launch("head -c 1073741824 /dev/zero")
    record = await plain.end(supervised)
    size = plain.out.stat().st_size
    plain.out.unlink()
    assert (record.exit_code, size) == (0, 1 << 30)


async def test_limits_umask_nice_and_processors(plain: Yard) -> None:
    cpu = min(os.sched_getaffinity(0))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    record = await plain.run(
        "ulimit -n; ulimit -c; ulimit -v; umask; nice; grep Cpus_allowed_list /proc/self/status; touch made",
        rlimits=(("nofile", 77), ("CORE", 0), ("as", 8 << 30), ("fsize", 1 << 20)),
        umask=0o027,
        nice=3,
        cpus=(cpu,),
    )
    assert record.exit_code == 0
    nofile, core, virtual, umask, nice, cpus = plain.out.read_text().splitlines()
    assert (nofile, core, umask) == ("77", "0", "0027")
    assert virtual == str((8 << 30) // 1024)
    assert int(nice) == os.nice(0) + 3
    assert cpus.split()[1] == str(cpu)
    assert plain.path("made").stat().st_mode & 0o777 == 0o640
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


async def test_a_soft_limit_above_the_hard_one_is_raised_or_cut(plain: Yard) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    await plain.run("ulimit -u", rlimits=(("nproc", -1),))
    # Raising it takes CAP_SYS_RESOURCE, which not even every root has.
    assert plain.out.read_text().strip() in {"unlimited", str(hard)}


async def test_usage_counts_every_process(plain: Yard) -> None:
    burn = "python3 -c 'import time\nwhile time.process_time() < 0.15: pass'"
    record = await plain.run(f"{burn} & {burn}; wait", environment=(f"PATH={os.environ['PATH']}",))
    assert record.user_us + record.system_us >= 300_000


async def test_the_largest_process_counts(plain: Yard) -> None:
    hold = "python3 -c 'x = b\"x\" * (60 << 20)'"
    record = await plain.run(hold, environment=(f"PATH={os.environ['PATH']}",))
    assert 60 << 10 < record.max_rss_kib < 200 << 10


async def test_a_small_job_is_not_said_to_be_as_large_as_its_supervisor(plain: Yard) -> None:
    assert (await plain.run("true")).max_rss_kib == 0


async def test_daemons_do_not_outlive_the_job(yard: Yard) -> None:
    daemon = "setsid setsid bash -c \"trap '' TERM HUP; echo \\$\\$ >> daemons; while :; do sleep 1; done\" &"
    body = (
        f"{daemon}\n{daemon}\nwhile [ $(cat daemons 2>/dev/null | wc -l) -lt 2 ]; do sleep 0.01; done; exit 4"
    )
    record = await yard.run(body)
    assert (record.cause, record.exit_code, record.unkillable) == ("exited", 4, 0)
    for pid in await yard.written("daemons", 2):
        assert not Path(f"/proc/{pid}").exists()


async def test_a_crowd_does_not_outlive_the_job(yard: Yard) -> None:
    body = "trap '' TERM; for i in $(seq 100); do (setsid sleep 600 &) ; done; exit 0"
    record = await yard.run(body)
    assert (record.cause, record.exit_code, record.unkillable) == ("exited", 0, 0)


async def test_an_attempt_directory_with_a_long_name(plain: Yard) -> None:
    directory = plain.home / ("x" * 150) / "attempt-0"
    directory.mkdir(parents=True)
    supervised = await plain.launch("sleep 600", attempt_dir=str(directory))
    await plain.launcher.terminate(supervised, 0)
    assert (await plain.end(supervised)).signal == signal.SIGKILL


async def test_a_record_reads_back_as_it_was_written(plain: Yard) -> None:
    supervised = await plain.launch("exit 9")
    await plain.end(supervised)
    text = Path(supervised.attempt_dir, attemptdir.EXIT).read_text()
    assert '"exit_code":9' in text  # readable for people too
    found = await plain.launcher.adopt(supervised.attempt_dir)
    assert isinstance(found, ExitRecord)
    assert found.exit_code == 9
    plain.launcher.discard(supervised.attempt_dir)
    assert not os.path.exists(supervised.attempt_dir)


@pytest.mark.parametrize("wish", ["v1", "none"])
async def test_a_bound_job_has_its_processors_and_no_others(tmp_path: Path, wish: Wish) -> None:
    """By a cpuset, which it cannot leave; without one by its affinity."""
    cpu = min(os.sched_getaffinity(0))
    yard = Yard(tmp_path, wish)
    try:
        if wish == "v1" and "cpuset" not in yard.cgroups.controllers:
            pytest.skip("needs the cpuset controller")
        widen = "import os; os.sched_setaffinity(0, range(512)); print(len(os.sched_getaffinity(0)))"
        supervised = await yard.launch(
            f"nproc\nuntil test -e go; do sleep 0.01; done\npython3 -c '{widen}'",
            cpus=(cpu,),
            environment=(f"PATH={os.environ['PATH']}",),
        )
        await until(lambda: yard.out.exists() and yard.out.read_text() == "1\n", "nproc")
        adopted = await Yard(tmp_path, wish).launcher.adopt(supervised.attempt_dir)
        assert isinstance(adopted, Supervised)
        assert adopted.cpus == supervised.cpus == (cpu,)
        everywhere = os.sched_getaffinity(0)
        await until(
            lambda: os.sched_getaffinity(supervised.pid) == everywhere, "the supervisor to be free again"
        )
        yard.path("go").touch()
        await yard.end(supervised)
        had = 1 if wish == "v1" else len(os.sched_getaffinity(0))
        assert yard.out.read_text().splitlines() == ["1", str(had)]
    finally:
        await yard.close()
