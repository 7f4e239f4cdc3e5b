"""Compaction of the SQLite store: what need not be kept goes, a few milliseconds' worth at a time.

A pass goes through the phases below in order; a phase that finds nothing to do passes on to the next within
the same step. What a step takes on grows and shrinks with how long the last one took.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from packhorse.scheduler.model.crashpoint import crash_point
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.store import crash_points
from packhorse.scheduler.store.protocol import MIB, Live, Retention
from packhorse.scheduler.store.sqlite_file import PAGE_SIZE, SqliteFile
from packhorse.scheduler.store.sqlite_snapshots import Snapshots

STEP_S = 0.002
"""What a step aims at: one that meets a checkpoint takes some milliseconds longer."""

_LEAST = 64
"""Items a step takes on at least, well below a millisecond's work: a busy machine must not stop it all."""

_MOST = {
    "log": 512,
    "attempts": 512,
    "steps": 512,
    "loans": 512,
    "times": 512,
    "series": 512,
    "blobs": 512,
    "pages": 128,
}
"""And at most: what was cheap in one step (free pages at the end of the file) may be dear in the next."""

_SERIES_LOOKED_AT = 64
"""Series whose mean size stands for all."""

_STEP_BYTES = MIB
"""Of blobs removed in one step, however few they are."""

_FREE_KEPT = 0.25
"""Share of the file's pages that may lie free, for the log to grow into, before the file is made smaller."""

_FREE_KEPT_PAGES = 16 * MIB // PAGE_SIZE


class Compaction:
    """Where the current pass stands."""

    def __init__(self, file: SqliteFile, snapshots: Snapshots) -> None:
        self._file = file
        self._snapshots = snapshots
        self._pace = dict.fromkeys(_MOST, _LEAST)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget the pass that was under way."""
        self._phase = 0
        self._blobs_seen = 0
        self._blobs_end = 0
        self._series_left: int | None = None

    def step(self, retention: Retention, live: Live, recent: dict[str, int], now: Instant) -> bool:
        """See Store.compact_step. recent: blobs that batches named, with their last records; is trimmed."""
        phases: tuple[Callable[[], bool], ...] = (
            self._snapshots.drop_some,
            lambda: self._paced("log", lambda n: self._drop_log(retention, now, n)),
            lambda: self._paced(
                "attempts", lambda n: self._drop_old("attempts", "ended_at", retention, now, n)
            ),
            lambda: self._paced("steps", lambda n: self._drop_old("steps", "ended_at", retention, now, n)),
            lambda: self._paced("loans", lambda n: self._drop_old("loans", "until", retention, now, n)),
            lambda: self._paced("times", lambda n: self._drop_times(retention, now, n)),
            lambda: self._paced("series", lambda n: self._drop_series(retention, now, n)),
            lambda: self._paced("blobs", lambda n: self._drop_blobs(live, recent, n)),
            lambda: self._paced("pages", self._shrink),
        )
        while self._phase < len(phases):
            if phases[self._phase]():
                crash_point(crash_points.IN_COMPACTION)
                return True
            self._phase += 1
        self.begin_anew()
        return False

    def _paced(self, name: str, work: Callable[[int], bool]) -> bool:
        """Run the work for as many items as have lately taken about STEP_S; True if it did anything."""
        n = self._pace[name]
        begun = time.perf_counter()
        did = work(n)
        took = time.perf_counter() - begun
        if took > STEP_S:
            self._pace[name] = max(n // 2, _LEAST)
        elif did and took < STEP_S / 2:
            self._pace[name] = min(n * 2, _MOST[name])
        return did

    def _drop_log(self, retention: Retention, now: Instant, n: int) -> bool:
        covered = self._snapshots.covered_seq()
        with self._file.points() as connection:
            last = connection.execute("SELECT ifnull(max(seq), 0) FROM log").fetchone()[0]
            rows = connection.execute("SELECT seq, at FROM log ORDER BY seq LIMIT ?", (n,)).fetchall()
        up_to = 0
        for seq, at in rows:
            old = at < now - retention.log_keep_us or seq <= last - retention.log_max_records
            if not old or seq > covered or seq == last:
                break
            up_to = seq
        if not up_to:
            return False
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM log WHERE seq <= ?", (up_to,))
        return True

    def _drop_old(self, table: str, ended: str, retention: Retention, now: Instant, n: int) -> bool:
        """Rows of the table that ended (a column says when) before what is kept."""
        if retention.attempts_keep_us is None:
            return False
        before = now - retention.attempts_keep_us
        with self._file.points() as connection:
            oldest = connection.execute(f"SELECT min({ended}) FROM {table}").fetchone()[0]
        if oldest is None or oldest >= before:
            return False
        with self._file.transaction() as connection:
            connection.execute(
                f"DELETE FROM {table} WHERE id IN "
                f"(SELECT id FROM {table} WHERE {ended} < ? ORDER BY {ended} LIMIT ?)",
                (before, n),
            )
        return True

    def _drop_times(self, retention: Retention, now: Instant, n: int) -> bool:
        tables = ("node_times", "reservation_times")
        return any(self._drop_old(table, "until", retention, now, n) for table in tables)

    def _drop_series(self, retention: Retention, now: Instant, n: int) -> bool:
        """Series that are too old, and the oldest of those for which there is no room.

        How many there are is counted once in a pass, and how large they are is taken from the newest: adding
        up the sizes of a million would read them all.
        """
        with self._file.points() as connection:
            if self._series_left is None:
                count: int = connection.execute("SELECT count(*) FROM usage_series").fetchone()[0]
                size = connection.execute(
                    "SELECT avg(length(data)) FROM (SELECT data FROM usage_series ORDER BY id DESC LIMIT ?)",
                    (_SERIES_LOOKED_AT,),
                ).fetchone()[0]
                self._series_left = max(0, count - int(retention.series_max_bytes / (size or 1)))
            oldest = connection.execute("SELECT min(ended_at) FROM usage_series").fetchone()[0]
        before = -1 if retention.series_keep_us is None else now - retention.series_keep_us
        old = oldest is not None and oldest < before
        if not old and not self._series_left:
            return False
        n = n if old else min(n, self._series_left)
        with self._file.transaction() as connection:
            gone = connection.execute(
                "DELETE FROM usage_series WHERE id IN "
                "(SELECT id FROM usage_series WHERE ended_at < ? ORDER BY ended_at LIMIT ?)",
                (before if old else 1 << 62, n),
            ).rowcount
        self._series_left = max(0, self._series_left - gone)
        return True

    def _drop_blobs(self, live: Live, recent: dict[str, int], n: int) -> bool:
        """Look at the next n blobs. Those added while the pass is under way are left to the next."""
        with self._file.points() as connection:
            if not self._blobs_end:
                self._blobs_end = connection.execute("SELECT ifnull(max(id), 0) FROM blobs").fetchone()[0]
            rows = connection.execute(
                "SELECT id, ref, length(content) FROM blobs WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
                (self._blobs_seen, self._blobs_end, n),
            ).fetchall()
        if not rows:
            for ref in [ref for ref, seq in recent.items() if seq <= live.seq]:
                del recent[ref]
            return False
        dead: list[tuple[int, str]] = []
        n_bytes = 0
        for id_, content_ref, size in rows:
            self._blobs_seen = id_
            ref = content_ref.hex()
            if ref not in live.refs and recent.get(ref, 0) <= live.seq:
                dead.append((id_, ref))
                n_bytes += size
                if n_bytes > _STEP_BYTES:
                    break
        if dead:
            with self._file.transaction() as connection:
                connection.executemany("DELETE FROM blobs WHERE id = ?", [(id_,) for id_, _ in dead])
            for _, ref in dead:
                recent.pop(ref, None)
        return True

    def _shrink(self, n: int) -> bool:
        """Give up to n free pages at the end of the file back to the disk."""
        with self._file.points() as connection:
            pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
            free: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
        spare = free - max(_FREE_KEPT_PAGES, int(pages * _FREE_KEPT))
        if spare <= 0:
            return False
        self._file.vacuum(min(n, spare))
        return True
