"""What one node knows of a step's tasks: pairs of keys and values, fences, who can still come to one.

A fence is over when all tasks of the step came to it; what was put before it can be got after it, and not
before. Tasks of one node are counted here; for several nodes the step's owner joins them. A task that is gone
comes to no fence any more: if another one waits for it, nobody will ever go on, and the step is aborted.

Keys and values are text of which each character is one byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from packhorse.agent.launch.pmi import exchange

SUCCESS = 0
NO_ROOM, BAD_KEY, LONG_KEY, LONG_VALUE = 2, 4, 5, 7
OTHER = 14
"""PMI2_ERR_…: codes of failures."""

MAX_KEY = 64
MAX_VALUE = 1024
MAX_NAME = 256
"""Characters of a key, a value, and a space's name: the limits that clients know too."""

MOST_PUT = 16 << 20
"""Bytes that the tasks of a node may put before one fence, and of its node's attributes."""

MAPPING_KEY = "PMI_process_mapping"
RING = "\x01ring"
"""Begins keys under which rings are exchanged, which no task can put."""


class Layout(NamedTuple):
    """Of a step. name: no other one has it. ranks: on this node, of n_tasks in all."""

    name: str
    ranks: tuple[int, ...]
    n_tasks: int
    n_nodes: int
    node: str = ""


class Space:
    """version: grows whenever somebody who waits may go on. mapping: which rank runs where (MPICH's
    PMI_process_mapping), None while it is not known, "" where nobody knows.

    tell says something to the owner; abort ends the step: why ("" where somebody else has said it), and the
    code that it ends with.
    """

    def __init__(
        self, layout: Layout, tell: Callable[[bytes], None], abort: Callable[[str, int], None]
    ) -> None:
        self.layout = layout
        self.version = 0
        self.mapping: str | None = f"(vector,(0,1,{layout.n_tasks}))" if layout.n_nodes == 1 else None
        self.over = 0
        """So many fences are."""
        self._tell = tell
        self._abort = abort
        self._aborted = False
        self._pairs: dict[str, str] = {}
        self._size = 0
        self._attributes: dict[str, str] = {}
        self._attributes_size = 0
        self._new: list[bytes] = []
        self._new_size = 0
        self._entered = dict.fromkeys(layout.ranks, 0)
        self._told = 0
        self._gone: set[int] = set()
        self._parts: list[bytes] = []
        self._parts_size = 0

    # -- pairs

    def put(self, key: str, value: str) -> int:
        """A code: SUCCESS, or why not."""
        return _refusal(key, value) or self._put(key, value)

    def _put(self, key: str, value: str) -> int:
        pair = exchange.pack_pair(key.encode("latin-1"), value.encode("latin-1"))
        if self._new_size + len(pair) > MOST_PUT:
            return NO_ROOM
        self._new.append(pair)
        self._new_size += len(pair)
        return SUCCESS

    def get(self, key: str) -> str | None:
        """What was put before the last fence, by whomever."""
        return self._pairs.get(key)

    def put_attribute(self, key: str, value: str) -> int:
        """The same for tasks of this node only, at once."""
        if refused := _refusal(key, value):
            return refused
        if self._attributes_size + len(key) + len(value) > MOST_PUT:
            return NO_ROOM
        self._attributes[key] = value
        self._attributes_size += len(key) + len(value)
        self.version += 1
        return SUCCESS

    def attribute(self, key: str) -> str | None:
        """One of this node."""
        return self._attributes.get(key)

    # -- fences

    def enter(self, rank: int) -> int:
        """A task has come to its next fence: the number of that, which is over when `over` says so."""
        self._entered[rank] += 1
        number = self._entered[rank]
        while min(self._entered.values()) > self._told:
            self._told += 1
            self._contribute()
        self._check_gone()
        return number

    def enter_ring(self, rank: int, left: str, right: str) -> int:
        """The same for one that hands these to its neighbours."""
        number = self._entered[rank] + 1
        for side, value in (("left", left), ("right", right)):
            self._put(f"{RING}.{number}.{rank}.{side}", value[:MAX_VALUE])
        return self.enter(rank)

    def neighbours(self, number: int, rank: int) -> tuple[str, str]:
        """What the ones before and after handed on in the ring of this number, which is over."""
        n = self.layout.n_tasks
        right = self._pairs.get(f"{RING}.{number}.{(rank - 1) % n}.right", "")
        left = self._pairs.get(f"{RING}.{number}.{(rank + 1) % n}.left", "")
        return right, left

    def _contribute(self) -> None:
        put, self._new, self._new_size = self._new, [], 0
        if self.layout.n_nodes == 1:
            self._merge(b"".join(put))
            return
        for payload in exchange.parts(self._told, put):
            self._tell(payload)

    def _merge(self, data: bytes) -> None:
        for key, value in exchange.pairs(data):
            self._pairs[key.decode("latin-1")] = value.decode("latin-1")
        self._size += len(data)
        if self._size > exchange.MOST:
            self.abort(f"its tasks put more than {exchange.MOST >> 20} MiB of PMI keys and values", 1)
        self.over += 1
        self.version += 1

    def heard(self, payload: bytes) -> None:
        """The owner said this. Raises ValueError if it makes no sense."""
        kind = payload[:1]
        if kind == exchange.MAPPING:
            self.mapping = payload[1:].decode("latin-1")
            self.version += 1
        elif kind == exchange.PART:
            self._take(exchange.part(payload))
        elif kind == exchange.ABORT:
            code = exchange.code_of(payload)
            if not self._aborted:
                self._aborted = True
                self._abort("", code)

    def _take(self, part: exchange.Part) -> None:
        """An owner whose connection broke says it all again, so some may come twice, or not at all."""
        if part.fence != self.over + 1:
            return
        if part.number == 0:
            self._parts, self._parts_size = [], 0
        if part.number != len(self._parts):
            return
        self._parts.append(part.data)
        self._parts_size += len(part.data)
        if self._parts_size > exchange.MOST:
            self.abort(f"its tasks put more than {exchange.MOST >> 20} MiB of PMI keys and values", 1)
            self._parts = []
        elif part.last:
            data, self._parts = b"".join(self._parts), []
            self._merge(data)

    # -- ends

    def gone(self, rank: int) -> None:
        """Nothing more is heard of this task."""
        self._gone.add(rank)
        self._check_gone()

    def _check_gone(self) -> None:
        furthest = max(self._entered.values(), default=0)
        missing = sorted(rank for rank in self._gone if self._entered[rank] < furthest)
        if missing:
            what = "task" if len(missing) == 1 else "tasks"
            names = ", ".join(map(str, missing[:8])) + ", ..." * (len(missing) > 8)
            self.abort(f"{what} {names} ended without coming to the PMI fence that others wait at", 1)

    def abort(self, why: str, code: int) -> None:
        """Ends the step; only the first one counts."""
        if not self._aborted:
            self._aborted = True
            self._tell(exchange.aborted(code))
            self._abort(f"packhorse-{self.layout.node}: error: {why}", code)


def _refusal(key: str, value: str) -> int:
    if not key or key.startswith(RING):
        return BAD_KEY
    if len(key) > MAX_KEY:
        return LONG_KEY
    return LONG_VALUE if len(value) > MAX_VALUE else SUCCESS
