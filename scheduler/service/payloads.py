"""Script texts and environments by content: named by their sha256, stored once, cached while in use.

A job's spec holds two references only. Whoever submits the first job that names a text hands it over with
the submission, and both become durable in one commit; a launch reads it back.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from packhorse.scheduler.store.protocol import blob_ref

CACHE_BYTES = 64 << 20
"""Texts kept in memory: a launch of anything submitted or launched lately reads no disk."""


class Payload(NamedTuple):
    """A text and its name, as a batch of the store takes them. ref: sha256, hex."""

    ref: str
    data: bytes


def payload(data: bytes) -> Payload:
    """`data` under its name."""
    return Payload(blob_ref(data), data)


def pack_environment(variables: Iterable[str]) -> bytes:
    """`NAME=VALUE` strings as one text, in the order given; none of them can hold a NUL."""
    return "\0".join(variables).encode(errors="surrogateescape")


def unpack_environment(data: bytes) -> list[str]:
    """The strings that were packed."""
    return data.decode(errors="surrogateescape").split("\0") if data else []


class Payloads:
    """The texts of one store, with the latest in memory. Used on the event loop only.

    fetch reads one from the store, in a thread; None: it has none of that name.
    """

    def __init__(self, fetch: Callable[[str], bytes | None], cache_bytes: int = CACHE_BYTES) -> None:
        self._fetch = fetch
        self._room = cache_bytes
        self._size = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def keep(self, ref: str, data: bytes) -> None:
        """Have this text at hand; the least recently used make room."""
        if ref in self._kept:
            self._kept.move_to_end(ref)
            return
        if len(data) > self._room:
            return
        self._kept[ref] = data
        self._size += len(data)
        while self._size > self._room:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped)

    def at_hand(self, ref: str) -> bytes | None:
        """The text if it is in memory."""
        data = self._kept.get(ref)
        if data is not None:
            self._kept.move_to_end(ref)
        return data

    async def get(self, ref: str) -> bytes | None:
        """The text, from memory or from the store; None where the store has none. Raises StoreError."""
        data = self.at_hand(ref)
        if data is None:
            data = await asyncio.to_thread(self._fetch, ref)
            if data is not None:
                self.keep(ref, data)
        return data
