"""Recordings of inputs: their file through crashes, limits and other versions; replaying and comparing."""

from __future__ import annotations

from pathlib import Path

import pytest

from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.event import SchedulerStarted
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import RunCycle, Start, Tick
from packhorse.scheduler.service import recording
from packhorse.scheduler.service.recording import Happened, Recorder, RecordingBroken, Recovered, read
from packhorse.scheduler.service.replay_command import main
from packhorse.scheduler.service.replaying import compare, replay
from packhorse.scheduler.store.codec import encode
from packhorse.scheduler.store.memory import MemoryStore
from packhorse.scheduler.store.sqlite import SqliteStore
from tests.service.engine.cluster import Cluster
from tests.service.engine.fake_agent import FakeAgent

TICKS = [Happened(Instant(at), Tick()) for at in range(1, 6)]


def record(path: Path, *entries: Happened, limit_mib: int = 1) -> None:
    recorder = Recorder(path, limit_mib)
    for entry in entries:
        recorder.input(entry.now, entry.input)
    recorder.close()


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "inputs.rec"
    record(path, *TICKS[:2])
    record(path, *TICKS[2:])
    assert list(read(path)) == TICKS
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_an_entry_that_a_crash_cut_short(tmp_path: Path, cut: int) -> None:
    """It is named by those who read, and taken off by the next one who writes."""
    path = tmp_path / "inputs.rec"
    record(path, *TICKS[:3])
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    entries = read(path)
    assert [next(entries), next(entries)] == TICKS[:2]
    with pytest.raises(
        RecordingBroken, match=r"inputs\.rec: ends in the middle of entry 3 .* the 2 before it"
    ):
        next(entries)
    record(path, *TICKS[2:])
    assert list(read(path)) == TICKS


def test_an_entry_that_is_not_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "inputs.rec"
    record(path, *TICKS[:3])
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(RecordingBroken, match=r"entry 3 \(byte \d+\) is not what was written \(checksum\)"):
        list(read(path))


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (b"packhorse inputs 2\n", "a recording of format 2; this packhorse reads format 1"),
        (b"\x08\x00\x00\x00whatever", "not a recording of inputs"),
        (b"", "not a recording of inputs"),
    ],
)
def test_other_files(tmp_path: Path, first: bytes, says: str) -> None:
    """They are refused by name, and no scheduler fails to start over them."""
    path = tmp_path / "inputs.rec"
    path.write_bytes(first)
    with pytest.raises(RecordingBroken, match=says):
        list(read(path))
    record(path, *TICKS)
    assert list(read(path)) == TICKS
    old = tmp_path / "inputs.rec.old"
    assert (old.read_bytes() if old.exists() else b"") == first


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecordingBroken, match=r"none\.rec: No such file"):
        list(read(tmp_path / "none.rec"))


def test_it_ends_at_its_limit_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, path = tmp_path / "begun.rec", tmp_path / "inputs.rec"
    start = Happened(Instant(0), Start(ClusterConfig()))
    record(begun, start)
    monkeypatch.setattr(recording, "MIB", begun.stat().st_size + 1)
    record(path, start, *TICKS)
    found = replay(path)
    assert "ended at its limit of 1 MiB (record_limit_mib)" in found.trouble
    assert found.n_inputs == 2, "the start, and the tick that went over the limit"


def test_a_disk_that_is_full_ends_the_recording_and_nothing_else() -> None:
    recorder = Recorder(Path("/dev/full"))
    for _ in range(2):
        recorder.input(Instant(1), Tick())
        recorder.flush()
    recorder.close()


async def a_recorded_life(path: Path, recorded: Path, jobs: int) -> None:
    cluster = await Cluster(SqliteStore(path, ballast=0), recording=recorded).start()
    agent = FakeAgent(cpus=2)
    await agent.connect(cluster.address)
    first = await cluster.submit(jobs)
    await cluster.ended(*range(first, first + jobs))
    await agent.disconnect()
    await cluster.stop()


async def test_replaying_compares_with_the_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, recorded = tmp_path / "store" / "packhorse.db", tmp_path / "log" / "inputs.rec"
    recorded.parent.mkdir()
    for _ in range(2):
        await a_recorded_life(store, recorded, 3)
    assert main([str(recorded)]) == 0
    said = capsys.readouterr().out
    assert "2 times begun" in said
    assert "difference none" in said
    assert "unknown" not in said
    assert "beyond" not in said


async def test_the_first_difference_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, recorded = tmp_path / "store" / "packhorse.db", tmp_path / "log" / "inputs.rec"
    recorded.parent.mkdir()
    await a_recorded_life(store, recorded, 3)
    entries = list(read(recorded))
    cycles = [i for i, e in enumerate(entries) if isinstance(e, Happened) and isinstance(e.input, RunCycle)]
    first = entries[cycles[0]]
    assert isinstance(first, Happened)
    entries[cycles[0]] = Happened(Instant(first.now + 1), first.input)
    recorded.unlink()
    recorder = Recorder(recorded)
    for entry in entries:
        recorder._write(entry)
    recorder.close()
    assert main([str(recorded), "--out", str(tmp_path / "events")]) == 1
    said = capsys.readouterr().out
    assert "difference at event " in said
    assert said.count("JobGranted(at=") == 2
    assert main([str(recorded), "--until", "3"]) == 0
    assert "same       3 events" in capsys.readouterr().out


async def test_a_recording_of_another_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    SqliteStore(tmp_path / "other.db", ballast=0).close()
    recorded = tmp_path / "inputs.rec"
    await a_recorded_life(tmp_path / "packhorse.db", recorded, 1)
    assert main([str(recorded), "--store", str(tmp_path / "other.db")]) == 1
    out, err = capsys.readouterr()
    assert "is other.db" not in out
    assert "no event is in both" in err
    assert main([str(recorded), "--store", str(tmp_path / "none.db")]) == 1
    assert "none.db: there is no such file" in capsys.readouterr().err


def test_what_one_side_does_not_know_is_counted() -> None:
    store = [encode(SchedulerStarted(Instant(at), 1), at) for at in range(1, 8)]
    mine = {record.seq: record for record in store[2:5]}
    assert compare(mine, store) == (3, 4, 0, None)
    assert compare(mine, store[:4]) == (2, 2, 1, None)
    assert compare(mine, store, until=3) == (1, 2, 0, None)
    mine[4] = encode(SchedulerStarted(Instant(4), 2), 4)
    found = compare(mine, store).difference
    assert found is not None
    assert (found.recorded, found.replayed, found.before) == (store[3], mine[4], [store[2]])


def test_a_recovery_voids_what_was_lost_with_the_store(tmp_path: Path) -> None:
    store = MemoryStore()
    recorder = Recorder(tmp_path / "inputs.rec")
    for at in (1, 2):  # the store forgets the first life
        recorder.recovered(store)
        recorder.input(Instant(at), Start(ClusterConfig()))
    recorder.close()
    found = replay(tmp_path / "inputs.rec")
    assert [record.at for record in found.log.values()] == [2, 2]
    assert (found.n_lives, found.n_inputs) == (2, 2)
    assert sum(isinstance(entry, Recovered) for entry in read(tmp_path / "inputs.rec")) == 2
