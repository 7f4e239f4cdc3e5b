"""What only a file can do: be newer, damaged, locked, something else, or left behind by a crash."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from packhorse.scheduler.model.errors import StoreDamaged, StoreError, StoreNewer, StoreUnavailable
from packhorse.scheduler.model.event import SCHEMA
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.resources import Usage
from packhorse.scheduler.store import schema, sqlite_file
from packhorse.scheduler.store.lock import StoreLocked
from packhorse.scheduler.store.protocol import AttemptQuery, Batch, Live, Retention, blob_ref
from packhorse.scheduler.store.sqlite import FILE_NAME, SqliteStore
from packhorse.scheduler.store.sqlite_file import Tuning
from tests.store.conftest import sqlite_store
from tests.store.samples import append, records, row, submitted

BLOB = b"VARIABLE=value\0" * 1000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store with a little of everything, closed."""
    store = sqlite_store(tmp_path)
    store.append(Batch(records(store, submitted(1, 5)), [(blob_ref(BLOB), BLOB)], [row(1)]))
    append(store, *(submitted(job) for job in range(6, 20)))
    store.write_snapshot(3, [b"older"])
    store.write_snapshot(10, [b"newer"])
    store.close()
    return tmp_path / "store" / FILE_NAME


def change(file: Path, statement: str, *values: object) -> None:
    """As disk rot or another program might."""
    connection = sqlite3.connect(file)
    assert connection.execute(statement, values).rowcount != 0
    connection.commit()
    connection.close()


class TestFile:
    def test_is_durable_and_private(self, file: Path) -> None:
        store = sqlite_file.SqliteFile(file, Tuning())
        assert store.was_clean
        with store.statement() as connection:
            for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("auto_vacuum", 2)):
                assert connection.execute(f"PRAGMA {pragma}").fetchall() == [(value,)]
        store.close()
        for path in file.parent.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700

    def test_readers_cannot_write(self, file: Path) -> None:
        store = sqlite_file.SqliteFile(file, Tuning())
        for reader in (store.points, store.queries):
            with pytest.raises(StoreUnavailable), reader() as connection:
                connection.execute("DELETE FROM log")
        store.close()

    def test_weaker_durability_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite_file, "_SYNCHRONOUS_FULL", 3)
        with pytest.raises(StoreUnavailable, match=r"does not allow synchronous 3 \(it stays 2\)"):
            sqlite_store(tmp_path)

    def test_one_at_a_time(self, tmp_path: Path) -> None:
        store = sqlite_store(tmp_path)
        with pytest.raises(StoreLocked, match=f"in use by process {os.getpid()}"):
            sqlite_store(tmp_path)
        store.close()
        sqlite_store(tmp_path).close()

    def test_a_failed_opening_leaves_no_lock(self, file: Path) -> None:
        change(file, "UPDATE meta SET value = 99 WHERE key = 'event_schema'")
        for _ in range(2):
            with pytest.raises(StoreNewer):
                SqliteStore(file)

    def test_the_lock_of_the_dead_does_not_count(self, tmp_path: Path) -> None:
        code = (
            "import os, signal, sys; from pathlib import Path\n"
            "from tests.store.conftest import sqlite_store\n"
            "store = sqlite_store(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
        )
        root = Path(__file__).parents[2]
        child = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root, check=False)
        assert child.returncode == -signal.SIGKILL
        store = sqlite_store(tmp_path)
        assert not store.was_clean
        store.close()

    def test_opens_without_migrating_what_is_up_to_date(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "sqlite_utils", None)
        SqliteStore(file, ballast=0).close()

    def test_an_empty_file_is_an_empty_store(self, tmp_path: Path) -> None:
        """A crash between making the file and making its tables."""
        (tmp_path / "store").mkdir()
        (tmp_path / "store" / FILE_NAME).touch()
        store = sqlite_store(tmp_path)
        append(store, submitted(1))
        store.close()

    def test_migrations_are_recorded(self, file: Path) -> None:
        connection = sqlite3.connect(file)
        names = connection.execute("SELECT name FROM _sqlite_migrations ORDER BY id").fetchall()
        version = connection.execute("PRAGMA user_version").fetchone()
        connection.close()
        assert tuple(name for (name,) in names) == schema.NAMES
        assert version == (schema.FORMAT,)


class TestRefused:
    def test_newer_format(self, file: Path) -> None:
        change(file, f"PRAGMA user_version = {schema.FORMAT + 1}")
        with pytest.raises(
            StoreNewer, match=rf"format {schema.FORMAT + 1}; .* up to {schema.FORMAT}: run the"
        ):
            SqliteStore(file)

    def test_newer_events(self, file: Path) -> None:
        change(file, "UPDATE meta SET value = ? WHERE key = 'event_schema'", SCHEMA + 1)
        with pytest.raises(StoreNewer, match=f"event schema {SCHEMA + 1}; .* up to {SCHEMA}:"):
            SqliteStore(file)

    def test_not_a_database(self, file: Path) -> None:
        file.write_bytes(b"to be or not to be" * 1000)
        with pytest.raises(StoreDamaged, match=rf"{file} is damaged .* restore it from a backup"):
            SqliteStore(file)

    def test_another_programs_database(self, file: Path) -> None:
        file.unlink()
        connection = sqlite3.connect(file)
        connection.execute("CREATE TABLE t(x)")
        connection.close()
        with pytest.raises(StoreDamaged, match="of something else"):
            SqliteStore(file)

    def test_cut_short(self, file: Path) -> None:
        change(file, "UPDATE meta SET value = 0 WHERE key = 'clean'")
        with file.open("r+b") as opened:
            opened.truncate(8 * sqlite_file.PAGE_SIZE)
        with pytest.raises(StoreDamaged, match=r"is damaged .*restore"):
            SqliteStore(file)

    def test_overwritten_after_an_unclean_end(self, file: Path) -> None:
        change(file, "UPDATE meta SET value = 0 WHERE key = 'clean'")
        connection = sqlite3.connect(file)
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'attempts'").fetchone()[0]
        connection.close()
        with file.open("r+b") as opened:
            opened.seek((page - 1) * sqlite_file.PAGE_SIZE)
            opened.write(b"\xff" * sqlite_file.PAGE_SIZE)
        with pytest.raises(StoreDamaged, match=r"is damaged .*restore"):
            SqliteStore(file)


class TestDamage:
    def test_a_record_that_changed(self, file: Path) -> None:
        change(file, "UPDATE log SET data = ? WHERE seq = 5", b"\x01\x90")
        store = SqliteStore(file)
        with pytest.raises(StoreDamaged, match="record 5 is not what was stored"):
            list(store.read_log())
        with pytest.raises(StoreDamaged, match="record 5 is not what was stored"):
            store.job_log(JobId(9))
        store.close()

    @pytest.mark.parametrize("seq", [5, 15])
    def test_a_record_that_is_gone(self, file: Path, seq: int) -> None:
        change(file, "DELETE FROM log WHERE seq = ?", seq)
        store = SqliteStore(file)
        if seq == 5:
            with pytest.raises(StoreDamaged, match="record 5 is missing"):
                list(store.read_log())
        else:  # the last: nothing tells that it ever was, but for the snapshot being older
            assert store.last_seq() == 14
        store.close()

    def test_a_blob_that_changed(self, file: Path) -> None:
        for content in (b"", zlib.compress(b"other")):
            change(file, "UPDATE blobs SET content = ?", content)
            store = SqliteStore(file)
            with pytest.raises(StoreDamaged, match=r"blob .* is not what was stored"):
                store.blob(blob_ref(BLOB))
            store.close()

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE snapshot_parts SET data = x'00' WHERE id >> 32 = 2",
            "DELETE FROM snapshot_parts WHERE id >> 32 = 2",
        ],
    )
    def test_a_damaged_snapshot_gives_way_to_the_one_before(self, file: Path, damage: str) -> None:
        change(file, damage)
        store = SqliteStore(file)
        found = store.read_snapshot()
        assert found is not None
        assert (found[0], list(found[1])) == (3, [b"older"])
        store.close()

    def test_without_any_snapshot_the_whole_log_will_do(self, file: Path) -> None:
        change(file, "UPDATE snapshot_parts SET crc = 0")
        store = SqliteStore(file)
        assert store.read_snapshot() is None
        assert len(list(store.read_log())) == 15
        store.close()

    def test_without_snapshot_and_the_begin_of_the_log(self, file: Path) -> None:
        change(file, "UPDATE snapshot_parts SET crc = 0")
        change(file, "DELETE FROM log WHERE seq < 4")
        store = SqliteStore(file)
        with pytest.raises(
            StoreDamaged, match=r"no usable snapshot, and the log begins with record 4; snapshot 10"
        ):
            store.read_snapshot()
        store.close()

    def test_a_snapshot_that_the_log_does_not_reach(self, file: Path) -> None:
        change(file, "UPDATE snapshot_parts SET crc = 0 WHERE id >> 32 = 2")
        change(file, "DELETE FROM log WHERE seq < 5")
        store = SqliteStore(file)
        with pytest.raises(StoreDamaged, match="snapshot 3: the log begins later, with record 5"):
            store.read_snapshot()
        store.close()


class TestFull:
    """A file that may not grow stands for a full disk."""

    def fill(self, store: SqliteStore) -> int:
        """Submit until it fails; returns how many submissions were acknowledged."""
        for n in range(10_000):
            content = b"#%d\n" % n + os.urandom(3000)
            batch = Batch(records(store, submitted(store.last_seq() + 1)), [(blob_ref(content), content)])
            try:
                store.append(batch)
            except StoreUnavailable as error:
                assert "disk full" in str(error)
                assert str(store.where) in str(error)
                return n
        raise AssertionError("it never filled up")

    def test_nothing_half_written_and_going_on_after(self, tmp_path: Path) -> None:
        path = tmp_path / "store" / FILE_NAME
        store = SqliteStore(path, ballast=0, tuning=Tuning(max_pages=100))
        acknowledged = self.fill(store)
        assert acknowledged > 20
        with pytest.raises(StoreUnavailable, match="disk full"):
            store.append(Batch(records(store, submitted(store.last_seq() + 1))))
        with pytest.raises(StoreUnavailable, match="disk full"):
            store.compact_step(Retention(), Live(acknowledged, frozenset()), Instant(0))
        assert len(list(store.read_log())) == acknowledged
        assert store.reopen() == acknowledged
        store.close()
        store = SqliteStore(path, ballast=0)
        assert store.last_seq() == acknowledged
        append(store, submitted(acknowledged + 1))
        connection = sqlite3.connect(path)
        assert connection.execute("SELECT count(*) FROM blobs").fetchone() == (acknowledged,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
        store.close()

    def test_room_made_by_compaction(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "store" / FILE_NAME, ballast=0, tuning=Tuning(max_pages=100))
        acknowledged = self.fill(store)
        store.reopen()
        while store.compact_step(Retention(), Live(acknowledged, frozenset()), Instant(0)):
            pass
        assert self.fill(store) > 20
        store.close()

    def test_a_snapshot_that_finds_no_room_leaves_the_one_before(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "store" / FILE_NAME, ballast=0, tuning=Tuning(max_pages=200))
        append(store, submitted(1), submitted(2))
        store.write_snapshot(1, [b"small"])
        with pytest.raises(StoreUnavailable, match="disk full"):
            store.write_snapshot(2, [os.urandom(200_000) for _ in range(20)])
        assert store.reopen() == 2
        found = store.read_snapshot()
        assert found is not None
        assert (found[0], list(found[1])) == (1, [b"small"])
        while store.compact_step(Retention(), Live(2, frozenset()), Instant(0)):
            pass
        store.write_snapshot(2, [b"small again"])
        append(store, submitted(3))
        store.close()


class TestSmall:
    def test_file_shrinks_when_much_is_dropped(self, tmp_path: Path) -> None:
        store = sqlite_store(tmp_path)
        for n in range(40):
            content = os.urandom(1 << 20)
            store.append(Batch(records(store, submitted(n + 1)), [(blob_ref(content), content)]))
        steps = 0
        while store.compact_step(Retention(), Live(40, frozenset()), Instant(0)):
            steps += 1
        assert steps > 20
        store.close()
        assert (tmp_path / "store" / FILE_NAME).stat().st_size < 25 << 20

    def test_steps_are_short_and_resume(self, tmp_path: Path) -> None:
        store = sqlite_store(tmp_path)
        append(store, *(submitted(job) for job in range(1, 3001)))
        store.append(Batch(rows=[row(job) for job in range(1, 3001)]))
        store.write_snapshot(3000, [b"x"])
        retention = Retention(log_keep_us=0, attempts_keep_us=0)
        steps = 0
        while store.compact_step(retention, Live(3000, frozenset()), Instant(1 << 60)):
            steps += 1
            if steps == 3:
                assert len(list(store.read_log(2999))) > 0
                append(store, submitted(3001))
        assert steps > 5
        assert store.attempts(AttemptQuery()) == []
        assert [record.seq for record in store.read_log(3000)] == [3001]
        store.close()

    def test_compaction_under_a_readers_feet_is_no_damage(self, tmp_path: Path) -> None:
        store = sqlite_store(tmp_path)
        for first in range(1, 5001, 1000):
            append(store, *(submitted(job) for job in range(first, first + 1000)))
        store.write_snapshot(5000, [b"x"])
        reader = store.read_log()
        assert next(reader).seq == 1
        while store.compact_step(Retention(log_keep_us=0), Live(0, frozenset()), Instant(1 << 60)):
            pass
        with pytest.raises(StoreError, match="the log begins with record 5000") as raised:
            list(reader)
        assert not isinstance(raised.value, StoreDamaged)
        store.close()

    def test_a_copy_made_by_sqlite_is_a_backup(self, file: Path, tmp_path: Path) -> None:
        store = SqliteStore(file, ballast=0)
        connection = sqlite3.connect(file)
        connection.execute("VACUUM INTO ?", (str(tmp_path / "backup.db"),))
        connection.close()
        append(store, submitted(20))
        store.close()
        shutil.move(tmp_path / "backup.db", file)
        store = SqliteStore(file, ballast=0)
        assert store.last_seq() == 15
        assert store.blob(blob_ref(BLOB)) == BLOB
        store.close()

    def test_what_is_not_hexadecimal_is_no_reference(self, file: Path) -> None:
        store = SqliteStore(file, ballast=0)
        with pytest.raises(ValueError, match="non-hexadecimal"):
            store.blob("../../etc/passwd")
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.blob(blob_ref(BLOB))


def test_a_store_of_the_first_format_is_migrated_with_its_rows(tmp_path: Path) -> None:
    """What an older program wrote is read with zeros for what was not measured then."""
    file = tmp_path / "store.db"
    SqliteStore(file).close()
    connection = sqlite3.connect(file)
    for table in ("usage_series", "loans", "node_times", "reservation_times", "steps"):
        connection.execute(f"DROP TABLE {table}")
    later = (*schema.USAGE_COLUMNS[6:], *schema._LATER)
    for name in later:
        connection.execute(f"ALTER TABLE attempts DROP COLUMN {name}")
    old = [name for name in schema.ATTEMPT_COLUMNS if name not in later]
    names, marks = ", ".join(f'"{name}"' for name in old), ", ".join("?" * len(old))
    for tres in (
        "cpu=1,gres/gpu=2,gres/gpu:h200=2,mem=1G",
        "cpu=1,gres/gpu=0.25",
        "cpu=1,gres/gpu:1g.10gb=1",
    ):
        values = ["x" if name in schema.TEXT_COLUMNS else 7 for name in old]
        values[old.index("alloc_tres")] = tres
        connection.execute(f"INSERT INTO attempts ({names}) VALUES ({marks})", values)
    connection.execute("DELETE FROM _sqlite_migrations WHERE name <> ?", (schema.NAMES[0],))
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    store = SqliteStore(file)
    rows = store.attempts(AttemptQuery())
    assert [row.usage for row in rows] == [Usage(7, 7, 7, 7, 7, 7)] * 3
    assert [(row.command, row.gpu_milli) for row in rows] == [("", 2000), ("", 250), ("", 0)]
    assert {(row.wckey, row.reservation, row.suspended_us) for row in rows} == {("", "", 0)}
    store.close()
