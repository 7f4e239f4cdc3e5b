"""Room on a real file system: a small one of its own, filled to the brim."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhorse.scheduler.model.errors import StoreUnavailable
from packhorse.scheduler.store.protocol import MIB, Batch, Space, blob_ref
from packhorse.scheduler.store.space import DiskSpace
from packhorse.scheduler.store.sqlite import FILE_NAME, SqliteStore
from tests.store.samples import append, records, row, submitted


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """24 MiB of memory as a file system."""
    where = tmp_path / "disk"
    where.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(where)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a file system here: {mounted.stderr.decode().strip()}")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def fill_up(file: Path) -> None:
    """What some other program does to the disk."""
    with file.open("wb", buffering=0) as out:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    out.write(bytes(size))
            except OSError:
                continue


def submit_until_refused(store: SqliteStore) -> str:
    for _ in range(100_000):
        content = os.urandom(5000)
        batch = Batch(records(store, submitted(store.last_seq() + 1)), [(blob_ref(content), content)])
        try:
            store.append(batch)
        except StoreUnavailable as error:
            return str(error)
    raise AssertionError("the disk never filled up")


@pytest.mark.needs_root
def test_disk_full_and_free_again(small_disk: Path) -> None:
    store = SqliteStore(small_disk / FILE_NAME, reserve=0, ballast=0)
    append(store, submitted(1))
    fill_up(small_disk / "other")
    reason = submit_until_refused(store)
    assert "disk full (0 MiB free): make room" in reason
    acknowledged = store.last_seq()
    # Still full: everything can be read, nothing written.
    assert store.reopen() == acknowledged
    assert len(list(store.read_log())) == acknowledged
    assert "disk full" in submit_until_refused(store)
    assert store.last_seq() == acknowledged
    # Room again: on it goes, without a new process.
    (small_disk / "other").unlink()
    assert store.reopen() == acknowledged
    append(store, submitted(acknowledged + 1))
    store.close()
    store = SqliteStore(small_disk / FILE_NAME, reserve=0, ballast=0)
    assert store.last_seq() == acknowledged + 1
    assert len(list(store.read_log())) == acknowledged + 1
    store.close()


@pytest.mark.needs_root
def test_the_ballast_lets_running_work_end(small_disk: Path) -> None:
    store = SqliteStore(small_disk / FILE_NAME, reserve=2 * MIB, ballast=4 * MIB)
    append(store, submitted(1))
    assert not store.space().low
    fill_up(small_disk / "other")
    assert store.space().low
    assert "disk full" in submit_until_refused(store)
    store.reopen()
    for job in range(1, 501):
        store.append(Batch(records(store, submitted(store.last_seq() + 1)), (), [row(job)]))
    store.close()


@pytest.mark.needs_root
def test_a_full_disk_does_not_keep_the_store_from_opening(small_disk: Path) -> None:
    store = SqliteStore(small_disk / FILE_NAME, reserve=2 * MIB, ballast=4 * MIB)
    append(store, submitted(1))
    store.close()
    fill_up(small_disk / "other")
    store = SqliteStore(small_disk / FILE_NAME, reserve=2 * MIB, ballast=4 * MIB)
    append(store, submitted(2))
    assert store.last_seq() == 2
    store.close()


def test_ballast_comes_and_goes(tmp_path: Path) -> None:
    disk = DiskSpace(tmp_path / FILE_NAME, reserve=0, ballast=MIB)
    assert not disk.has_ballast()
    assert disk.load_ballast()
    assert (tmp_path / f"{FILE_NAME}.ballast").stat().st_blocks * 512 >= MIB
    assert disk.load_ballast()
    assert disk.drop_ballast() == MIB
    assert disk.drop_ballast() == 0
    assert not disk.has_ballast()


def test_no_ballast_where_it_would_eat_the_reserve(tmp_path: Path) -> None:
    free = DiskSpace(tmp_path / FILE_NAME).space().free
    disk = DiskSpace(tmp_path / FILE_NAME, reserve=2 * free, ballast=MIB)
    assert disk.space().low
    assert not disk.load_ballast()
    assert list(tmp_path.iterdir()) == []


def test_low_is_below_the_reserve() -> None:
    assert Space(9, 10).low
    assert not Space(10, 10).low
