"""A line on stderr that says how far a benchmark is: renewed on a terminal, elsewhere a new one at times."""

from __future__ import annotations

import sys
import time
from typing import Final

_WIDTH: Final = 30
_EVERY_S: Final = 10.0
"""Where the line cannot be renewed."""


class Progress:
    """done of total; a context manager, so that the terminal's line ends whatever happens."""

    def __init__(self, total: int, what: str) -> None:
        self._total = total
        self._what = what
        self._done = 0
        self._terminal = sys.stderr.isatty()
        self._began = time.monotonic()
        self._said = self._began

    def __enter__(self) -> Progress:
        self._show("")
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def step(self, note: str, n: int = 1) -> None:
        """So many more are done."""
        self._done += n
        self._show(note)

    def _show(self, note: str) -> None:
        now = time.monotonic()
        filled = _WIDTH * self._done // max(self._total, 1)
        left = (now - self._began) * (self._total - self._done) / self._done if self._done else None
        line = (
            f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {self._done} of {self._total} {self._what}"
            f"{'' if left is None or not left else f', {left:.0f} s left'}{f'  {note}' if note else ''}"
        )
        if self._terminal:
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
        elif now - self._said >= _EVERY_S:
            self._said = now
            print(line, file=sys.stderr, flush=True)
