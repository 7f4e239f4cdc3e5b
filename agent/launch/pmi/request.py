"""One request of a task, whichever protocol it came in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from packhorse.agent.launch.pmi.space import Space

MOST_BYTES = 64 << 10
"""Of one request."""


class ProtocolError(ValueError):
    """What a task said is no PMI."""


@dataclass(slots=True)
class Request:
    """fields: a later one of the same name wins. fence: the one that the task waits for because of it."""

    command: str
    fields: dict[str, str] = field(default_factory=dict)
    fence: int = 0

    def __getitem__(self, name: str) -> str:
        return self.fields.get(name, "")


Answer = Callable[[Space, int, Request], bytes | None]
"""To the request of the task of that rank; None: not yet. Raises ProtocolError."""


class Dialect(NamedTuple):
    """A protocol. cut: takes whole requests from the front of what was received (raises ProtocolError)."""

    version: int
    subversion: int
    cut: Callable[[bytearray], list[Request]]
    answer: Answer


def integer(text: str, otherwise: int) -> int:
    """What is no number counts as `otherwise`."""
    try:
        return int(text)
    except ValueError:
        return otherwise
