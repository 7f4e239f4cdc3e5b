"""From an order to what is launched: rights, environment, and the way back."""

from __future__ import annotations

import os

import msgspec
import pytest

from packhorse.agent import environment, launching
from packhorse.agent.launch.exitrecord import ExitRecord, LaunchFailure
from packhorse.agent.orders import LaunchOrder
from packhorse.scheduler.model.ids import AttemptKey, JobId
from packhorse.scheduler.model.job import EndCause

ORDER = LaunchOrder(
    attempt=AttemptKey(JobId(7), 2, 3),
    uid=os.geteuid(),
    gid=os.getegid(),
    user="somebody",
    script=b"#!/bin/sh\n",
    environment=("PATH=/own/bin", "A=1", "SLURM_JOB_ID=stale", "=odd", "B=x=y"),
    slurm_environment=("SLURM_JOB_ID=7",),
    work_dir="/work",
    std_in="",
    std_out="/work/o",
    std_err="",
    args=("one", "two"),
    mem_mib=512,
    cpu_milli=2000,
    allow_root=True,
)


def test_later_sources_of_the_environment_win() -> None:
    env = dict(pair.split("=", 1) for pair in environment.batch(ORDER, "n1", {"PACKHORSE_HOME": "/h"}))
    assert env["PATH"] == "/own/bin"
    assert env["SLURM_JOB_ID"] == "7"
    assert env["SLURMD_NODENAME"] == "n1"
    assert env["B"] == "x=y"
    assert env["PACKHORSE_HOME"] == "/h"
    assert "" not in env


def test_without_a_submitted_environment_the_commands_are_still_found() -> None:
    bare = msgspec.structs.replace(ORDER, environment=())
    env = dict(pair.split("=", 1) for pair in environment.batch(bare, "n1", {}))
    assert "/usr/bin" in env["PATH"].split(":")
    assert env["TMPDIR"] == "/tmp"


def test_a_spec_runs_the_script_with_its_arguments_within_its_limits() -> None:
    spec = launching.spec_of(ORDER, node="n1", directory="/s/a", script="/s/j", contact="/s/c", cluster={})
    assert spec.argv == ("/s/j", "one", "two")
    assert (spec.limits.mem_mib, spec.limits.cpu_milli) == (512, 2000)
    assert spec.stdin == "/dev/null"
    assert spec.contact_file == ""


@pytest.mark.parametrize(
    ("me", "uid", "allowed", "word"), [(5, 6, True, "root"), (0, 0, False, "allow_root_jobs")]
)
def test_what_may_not_run_is_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, me: int, uid: int, allowed: bool, word: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: me)
    order = msgspec.structs.replace(ORDER, uid=uid, allow_root=allowed)
    assert word in launching.objection(order)


def test_root_runs_jobs_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert launching.objection(msgspec.structs.replace(ORDER, uid=1000, allow_root=False)) == ""


def test_an_exit_record_becomes_a_report() -> None:
    record = ExitRecord(
        key="7.2.3", cause="oom", signal=9, started_at=5, ended_at=9, max_rss_kib=10, peak_mem_kib=20
    )
    report = launching.report_of(ORDER.attempt, record)
    assert (report.cause, report.exit_signal, report.usage.max_rss_kib, report.lost) == ("oom", 9, 20, False)
    failed = ExitRecord(
        key="7.2.3", cause="launch_error", launch_error=LaunchFailure("exec", 2, "no such file")
    )
    assert launching.report_of(ORDER.attempt, failed).launch_error == "no such file"
    assert launching.report_of(ORDER.attempt, ExitRecord(key="7.2.3", cause="lost")).lost


def test_the_notice_says_why() -> None:
    assert launching.notice(ORDER.attempt, "n1", EndCause.TIME_LIMIT).endswith("DUE TO TIME LIMIT ***")
    assert launching.notice(ORDER.attempt, "n1", EndCause.GPU_IDLE).endswith("DUE TO IDLE GPUS ***")
    assert "JOB 7 ON n1 CANCELLED" in launching.notice(ORDER.attempt, "n1", EndCause.CANCELLED)
    assert launching.ordered_cause("time_limit") == "time_limit"
    assert launching.ordered_cause("cancelled") == "terminated"
