"""What the agent writes down, and what a new process reads of it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from packhorse.agent.files import Spool
from packhorse.agent.orders import LaunchOrder
from packhorse.scheduler.model.ids import AttemptKey, JobId
from packhorse.scheduler.model.resources import Devices


def an_order(job: int = 1) -> LaunchOrder:
    return LaunchOrder(
        attempt=AttemptKey(JobId(job), 1, 1),
        uid=os.geteuid(),
        gid=os.getegid(),
        user="u",
        script=b"#!/bin/sh\ntrue\n",
        environment=("A=1",),
        slurm_environment=(),
        work_dir="/",
        std_in="/dev/null",
        std_out="/dev/null",
        std_err="",
        devices=(Devices("gpu", "", (0, 1)),),
    )


def test_an_order_is_read_back_without_its_script(tmp_path: Path) -> None:
    order = an_order()
    Spool(tmp_path).journal(order)
    again = Spool(tmp_path)
    assert list(again.known()) == [order.attempt]
    assert again.order(order.attempt) == msgspec.structs.replace(order, script=b"")
    script = again.script(order.attempt)
    assert script.read_bytes() == order.script
    assert script.stat().st_mode & 0o777 == 0o500
    assert again.directory(order.attempt).stat().st_mode & 0o777 == 0o700


def test_what_is_forgotten_leaves_nothing(tmp_path: Path) -> None:
    spool, order = Spool(tmp_path), an_order()
    spool.journal(order)
    spool.forget(order.attempt)
    assert list(spool.known()) == []
    assert not spool.script(order.attempt).exists()


def test_an_attempt_is_journalled_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.journal(an_order())
    with pytest.raises(FileExistsError):
        spool.journal(an_order())


def test_attempts_are_known_oldest_first_and_strangers_are_ignored(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for job in (12, 3):
        spool.journal(an_order(job))
    (spool.attempts / "lost+found").mkdir()
    assert [key.job for key in spool.known()] == [3, 12]


def test_the_epoch_survives(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert spool.epoch() == 0
    spool.keep_epoch(41)
    assert Spool(tmp_path).epoch() == 41


def test_a_half_written_order_is_no_order(tmp_path: Path) -> None:
    spool, order = Spool(tmp_path), an_order()
    spool.journal(order)
    path = spool.directory(order.attempt) / "order"
    path.write_bytes(path.read_bytes()[:-5])
    assert spool.order(order.attempt) is None
