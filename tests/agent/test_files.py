"""What the agent writes down, and what a new process reads of it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import msgspec
import pytest

from packhorse.agent.files import Spool
from packhorse.agent.launch import durable
from packhorse.agent.orders import LaunchOrder
from packhorse.scheduler.model.errors import BadValue
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


def test_what_was_ordered_is_on_disk_and_the_script_is_its_users(tmp_path: Path) -> None:
    spool, order = Spool(tmp_path), an_order()
    assert spool.journal([order]) == [None]
    written = (spool.directory(order.attempt) / "order").read_bytes()
    assert msgspec.msgpack.decode(written, type=LaunchOrder) == msgspec.structs.replace(order, script=b"")
    script = spool.script(order.attempt)
    assert script.read_bytes() == order.script
    assert script.stat().st_mode & 0o777 == 0o500
    assert spool.directory(order.attempt).stat().st_mode & 0o777 == 0o700


def test_another_process_finds_what_was_journalled(tmp_path: Path) -> None:
    spool, order = Spool(tmp_path), an_order()
    spool.journal([order])
    again = Spool(tmp_path)
    [(key, name)] = again.found()
    again.take_over(key, name)
    assert key == order.attempt
    assert again.directory(key) == spool.directory(key)
    again.forget([key])
    assert again.found() == []


def test_what_is_forgotten_leaves_nothing(tmp_path: Path) -> None:
    spool, order = Spool(tmp_path), an_order()
    spool.journal([order])
    script = spool.script(order.attempt)
    spool.forget([order.attempt])
    assert spool.found() == []
    assert not script.exists()


def test_an_attempt_written_down_anew_is_in_another_place(tmp_path: Path) -> None:
    """What was asked to run it from the first place, and comes late, finds nothing there."""
    spool, order = Spool(tmp_path), an_order()
    spool.journal([order])
    first = spool.directory(order.attempt), spool.script(order.attempt)
    spool.journal_again(order)
    assert spool.script(order.attempt).read_bytes() == order.script
    assert spool.directory(order.attempt) != first[0]
    assert not any(path.exists() for path in first)


def test_an_attempt_is_journalled_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.journal([an_order()])
    errors = spool.journal([an_order(), an_order(2)])
    assert isinstance(errors[0], FileExistsError)
    assert errors[1] is None  # an order that cannot be written down does not hold up those that came with it
    assert [key.job for key, _ in spool.found()] == [1, 2]


def test_many_are_journalled_and_forgotten_at_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    orders = [an_order(job) for job in range(1, 20)]
    assert spool.journal(orders) == [None] * 19
    spool.forget([order.attempt for order in orders[1:]])
    assert [key.job for key, _ in spool.found()] == [1]
    assert os.listdir(spool.scripts) == [spool.script(orders[0].attempt).name]


def test_nothing_is_durable_where_the_directory_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    monkeypatch.setattr(durable, "IN_ORDER", frozenset())
    monkeypatch.setattr(durable, "_known", {})
    errors = Spool(tmp_path).journal([an_order(1), an_order(2)])
    assert [error.errno for error in errors if error is not None] == [errno.EIO] * 2


def test_attempts_are_known_oldest_first_and_strangers_are_ignored(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for job in (12, 3):
        spool.journal([an_order(job)])
    (spool.attempts / "lost+found").mkdir()
    assert [key.job for key, _ in spool.found()] == [3, 12]


def test_the_epoch_survives(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert spool.epoch() == 0
    spool.keep_epoch(41)
    assert Spool(tmp_path).epoch() == 41


@pytest.mark.parametrize("text", [b"", b"x\ny", b"\xff\x00", b"1.5"])
def test_an_epoch_that_is_none_is_not_taken_for_an_old_one(tmp_path: Path, text: bytes) -> None:
    spool = Spool(tmp_path)
    (tmp_path / "epoch").write_bytes(text)
    with pytest.raises(BadValue, match=r"epoch: .* is no epoch: write") as caught:
        spool.epoch()
    assert len(str(caught.value).splitlines()) == 1
