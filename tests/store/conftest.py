"""Stores to test: every kind that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from packhorse.scheduler.store.memory import MemoryStore
from packhorse.scheduler.store.protocol import Store
from packhorse.scheduler.store.sqlite import FILE_NAME, SqliteStore

Make = Callable[[], Store]


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    made: Store = MemoryStore() if request.param == "memory" else sqlite_store(tmp_path)
    yield made
    made.close()


def sqlite_store(directory: Path) -> SqliteStore:
    """Opened as the scheduler does, but for the ballast."""
    return SqliteStore(directory / "store" / FILE_NAME, ballast=0)
