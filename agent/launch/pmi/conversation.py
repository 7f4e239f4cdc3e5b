"""What one task says over its socket, and what it is answered."""

from __future__ import annotations

from packhorse.agent.launch.pmi import pmi1
from packhorse.agent.launch.pmi.pmi1 import PMI1
from packhorse.agent.launch.pmi.pmi2 import PMI2
from packhorse.agent.launch.pmi.request import Dialect, ProtocolError, Request, integer
from packhorse.agent.launch.pmi.space import Space

MOST_WAITING = 64
"""Requests of one task that wait for others."""

_FIRST_LINE = 256


class Conversation:
    """Bytes in, bytes out. The first line is one of PMI-1, also where it asks for PMI-2."""

    def __init__(self, space: Space, rank: int) -> None:
        self.rank = rank
        self._space = space
        self._buffer = bytearray()
        self._dialect: Dialect | None = None
        self._waiting: list[Request] = []

    def feed(self, data: bytes) -> bytes:
        """The answers to what is complete now, as far as there are any. Raises ProtocolError."""
        self._buffer += data
        said = b""
        if self._dialect is None:
            said = self._begin()
            if self._dialect is None:
                return said
        for request in self._dialect.cut(self._buffer):
            said += self._answer(self._dialect, request)
        return said

    def _begin(self) -> bytes:
        line, newline, rest = bytes(self._buffer).partition(b"\n")
        if not newline:
            if len(line) > _FIRST_LINE:
                raise ProtocolError("its first line has no end")
            return b""
        request = pmi1.parse(line.decode("latin-1"))
        if request.command != "init":
            raise ProtocolError(f"{request.command[:40]!r} before init")
        self._buffer = bytearray(rest)
        wanted = integer(request["pmi_version"], 0)
        chosen = {1: PMI1, 2: PMI2}.get(wanted)
        code = 0 if chosen is not None else 1
        self._dialect = chosen
        told = chosen or PMI2
        return pmi1.say("response_to_init", rc=code, pmi_version=told.version, pmi_subversion=told.subversion)

    def _answer(self, dialect: Dialect, request: Request) -> bytes:
        said = dialect.answer(self._space, self.rank, request)
        if said is not None:
            return said
        if len(self._waiting) == MOST_WAITING:
            raise ProtocolError(f"more than {MOST_WAITING} requests wait")
        self._waiting.append(request)
        return b""

    def retry(self) -> bytes:
        """Answers to what waited and does not have to any more."""
        if not self._waiting or self._dialect is None:
            return b""
        waiting, self._waiting = self._waiting, []
        return b"".join([self._answer(self._dialect, request) for request in waiting])
