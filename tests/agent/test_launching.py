"""From an order to what is launched: rights, environment, and the way back."""

from __future__ import annotations

import os

import msgspec
import pytest

from packhorse.agent import environment, launching
from packhorse.agent.bounds import Bounds
from packhorse.agent.launch.exitrecord import ExitRecord, LaunchFailure
from packhorse.agent.launch.spec import Limits
from packhorse.agent.orders import LaunchOrder
from packhorse.scheduler.model.ids import AttemptKey, JobId
from packhorse.scheduler.model.job import EndCause
from packhorse.scheduler.model.resources import Devices

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


@pytest.mark.parametrize(
    ("constrained", "rocm", "ordinals", "rocr"),
    [
        (False, False, "1,3", None),
        (True, False, "0,1", None),  # CUDA counts the files it can open
        (False, True, "0,1", "1,3"),  # ROCm's own variable comes first, the others count what that leaves
    ],
)
def test_gpus_are_numbered_as_their_driver_will(
    monkeypatch: pytest.MonkeyPatch, constrained: bool, rocm: bool, ordinals: str, rocr: str | None
) -> None:
    monkeypatch.setattr(environment, "ROCM_DEVICE", "/dev/null" if rocm else "/dev/no-such")
    order = msgspec.structs.replace(
        ORDER,
        devices=(Devices("gpu", "h200", (3,)), Devices("gpu", "h200", (1,), 500)),
        slurm_environment=("CUDA_VISIBLE_DEVICES=1,3", "GPU_DEVICE_ORDINAL=1,3", "SLURM_JOB_GPUS=1,3"),
    )
    env = dict(pair.split("=", 1) for pair in environment.batch(order, "n1", {}, constrained=constrained))
    assert env["CUDA_VISIBLE_DEVICES"] == env["GPU_DEVICE_ORDINAL"] == ordinals
    assert (env.get("ROCR_VISIBLE_DEVICES"), env["SLURM_JOB_GPUS"]) == (rocr, "1,3")
    without = environment.batch(msgspec.structs.replace(ORDER, devices=()), "n1", {}, constrained=constrained)
    assert not [pair for pair in without if "DEVICE" in pair]


def test_without_a_submitted_environment_the_commands_are_still_found() -> None:
    bare = msgspec.structs.replace(ORDER, environment=())
    env = dict(pair.split("=", 1) for pair in environment.batch(bare, "n1", {}))
    assert "/usr/bin" in env["PATH"].split(":")
    assert env["TMPDIR"] == "/tmp"


def test_a_spec_runs_the_script_with_its_arguments_within_its_limits() -> None:
    spec = launching.spec_of(
        ORDER,
        node="n1",
        directory="/s/a",
        script="/s/j",
        contact="/s/c",
        cluster={},
        bounds=Bounds(Limits(mem_mib=512, pids=9), (3, 4)),
    )
    assert spec.argv == ("/s/j", "one", "two")
    assert (spec.limits, spec.cpus) == (Limits(mem_mib=512, pids=9), (3, 4))
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
        key="7.2.3",
        cause="oom",
        signal=9,
        started_at=5,
        ended_at=9,
        max_rss_kib=10,
        peak_mem_kib=20,
        cache_kib=7,
        oom_kills=2,
    )
    report = launching.report_of(ORDER.attempt, record)
    assert (report.usage.max_cache_kib, report.usage.oom_kills) == (7, 2)
    assert (report.cause, report.exit_signal, report.usage.max_rss_kib, report.lost) == ("oom", 9, 20, False)
    failed = ExitRecord(
        key="7.2.3", cause="launch_error", launch_error=LaunchFailure("exec", 2, "no such file")
    )
    report = launching.report_of(ORDER.attempt, failed)
    assert (report.launch_error, report.refused) == ("no such file", False)
    failed = msgspec.structs.replace(failed, launch_error=LaunchFailure("cgroup", 28, "no room for a cgroup"))
    report = launching.report_of(ORDER.attempt, failed)
    assert (report.launch_error, report.refused) == ("no room for a cgroup", True), "another node may have"
    assert launching.report_of(ORDER.attempt, ExitRecord(key="7.2.3", cause="lost")).lost


def test_the_notice_says_why() -> None:
    assert launching.notice(ORDER.attempt, "n1", EndCause.TIME_LIMIT).endswith("DUE TO TIME LIMIT ***")
    assert launching.notice(ORDER.attempt, "n1", EndCause.GPU_IDLE).endswith("DUE TO IDLE GPUS ***")
    assert "JOB 7 ON n1 CANCELLED" in launching.notice(ORDER.attempt, "n1", EndCause.CANCELLED)
    assert launching.ordered_cause("time_limit") == "time_limit"
    assert launching.ordered_cause("cancelled") == "terminated"
