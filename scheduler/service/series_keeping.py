"""Moves series of usage between the engine's book (series_book.py) and its store, beside everything else."""

from __future__ import annotations

import asyncio

import structlog

from packhorse.scheduler.model.errors import PackhorseError, StoreUnavailable
from packhorse.scheduler.model.usage_series import Series
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.series_book import Name, joined, packed, unpacked
from packhorse.scheduler.store.protocol import Store

log = structlog.get_logger()

LOOK_S = 5.0
AT_ONCE = 256
"""Series read or written in one go: about ten milliseconds of the writer's time."""


class SeriesKeeper:
    """Looks every `look_s` what there is to move."""

    def __init__(self, engine: Engine, *, look_s: float = LOOK_S) -> None:
        self._engine = engine
        self._look_s = look_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Write what was measured since the last parts."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self.turn(write_all=True)
        except PackhorseError as error:
            log.warning("series.not_kept", why=str(error))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._look_s)
            try:
                await self.turn()
            except StoreUnavailable:
                pass  # said elsewhere; it comes back
            except Exception:
                log.exception("series.not_kept")

    async def turn(self, *, write_all: bool = False) -> None:
        """Read what is unread, write what is due. Raises StoreError."""
        engine, book = self._engine, self._engine.series
        names = book.unread(AT_ONCE)
        if names:
            found = await engine.ask(lambda store: [_stored(store, name) for name in names])
            for name, earlier in zip(names, found, strict=True):
                book.read(name, earlier)
        late = book.late()
        if late:
            earlier_ones = await engine.ask(lambda store: [_stored(store, one.name) for one in late])
            await engine.keep(
                [
                    packed(one.name, one.series if earlier is None else joined(earlier, one.series))
                    for one, earlier in zip(late, earlier_ones, strict=True)
                ]
            )
        parts = book.parts(None if write_all else AT_ONCE)
        if parts:
            await engine.keep(parts)


def _stored(store: Store, name: Name) -> Series | None:
    return unpacked(store.series(*name))
