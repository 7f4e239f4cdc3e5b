"""A store in memory whose commits a test can hold up, count and let fail."""

from __future__ import annotations

import threading

from packhorse.scheduler.store.memory import MemoryStore
from packhorse.scheduler.store.protocol import Batch


class GatedStore(MemoryStore):
    """append waits at the gate while it is closed. appended: what each commit held."""

    def __init__(self, *, capacity: int | None = None, reserve: int = 0) -> None:
        super().__init__(capacity=capacity, reserve=reserve)
        self.appended: list[Batch] = []
        self.waiting = threading.Event()
        self._gate = threading.Event()
        self._gate.set()

    def shut(self) -> None:
        self.waiting.clear()
        self._gate.clear()

    def open(self) -> None:
        self._gate.set()

    def append(self, batch: Batch) -> None:
        if not self._gate.is_set():
            self.waiting.set()
            assert self._gate.wait(20), "the gate was never opened"
        super().append(batch)
        self.appended.append(batch)

    @property
    def kinds(self) -> list[list[str]]:
        """The kinds of events of each commit."""
        return [[record.kind for record in batch.records] for batch in self.appended]
