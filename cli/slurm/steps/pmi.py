"""Joins the nodes of a step whose tasks find each other by PMI: what those of one node put before a fence is
told to all of them, once all have come to it.

The words are those of agent/launch/pmi/exchange.py. What a node says arrives once; what is said to one may be
lost with its connection, so it is said again at the next greeting, and the node knows what it has.
"""

from __future__ import annotations

from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 64 << 20
"""Bytes of pairs of one fence."""

LONGEST_MAPPING = 900
"""Clients of PMI-1 read lines of 1024 bytes."""

_PART = Struct("<IIB")
_CODE = Struct("<i")
_BEGIN = 1 + _PART.size


class Star:
    """ranks: those of each node. code: what the step is to end with, -1 while it goes on. stuck: why it is
    over though no task aborted it, "" if one did.
    """

    def __init__(self, ranks: Sequence[Sequence[int]]) -> None:
        self.stuck = ""
        self.code = -1
        self._mapping = b"M" + mapping(ranks).encode()
        self._n = len(ranks)
        self._fence = 1  # the one that nodes come to
        self._parts: list[list[bytes]] = [[] for _ in ranks]
        self._size = 0
        self._arrived: set[int] = set()
        self._ended: set[int] = set()
        self._last: list[bytes] = []  # payloads of the fence before

    def greeting(self) -> list[bytes]:
        """What a node that has just answered is told."""
        return [self._mapping, *self._last] if self._n > 1 else []

    def heard(self, index: int, payload: bytes) -> list[bytes]:
        """A node said this: what all of them are to be told."""
        if payload[:1] == b"A":
            return self._end(_CODE.unpack_from(payload, 1)[0] & 0xFF)
        if payload[:1] != b"F":
            return []
        fence, _, last = _PART.unpack_from(payload, 1)
        if fence != self._fence:
            return []
        data = payload[_BEGIN:]
        if data:
            self._parts[index].append(data)
            self._size += len(data)
            if self._size > MOST:
                self.stuck = f"its tasks put more than {MOST >> 20} MiB of PMI keys and values before a fence"
                return self._end(1)
        if last:
            self._arrived.add(index)
            if len(self._arrived) == self._n:
                return self._complete()
            return self._check()
        return []

    def _complete(self) -> list[bytes]:
        chunks = [data for parts in self._parts for data in parts] or [b""]
        end = len(chunks) - 1
        self._last = [b"F" + _PART.pack(self._fence, at, at == end) + data for at, data in enumerate(chunks)]
        self._fence += 1
        self._parts = [[] for _ in self._parts]
        self._size = 0
        self._arrived.clear()
        return self._last

    def task_ended(self, index: int) -> list[bytes]:
        """One of a node's tasks is over: what all nodes are to be told."""
        self._ended.add(index)
        return self._check()

    def _check(self) -> list[bytes]:
        """A node comes to no fence any more when one of its tasks is over."""
        if self.code < 0 and self._arrived and self._ended - self._arrived:
            self.stuck = "a task ended without coming to the PMI fence that tasks on other nodes wait at"
            return self._end(1)
        return []

    def _end(self, code: int) -> list[bytes]:
        """The step is over, for all nodes; only the first one counts."""
        if self.code >= 0:
            return []
        self.code = code
        self._parts = [[] for _ in self._parts]
        return [b"A" + _CODE.pack(code)]


def mapping(ranks: Sequence[Sequence[int]]) -> str:
    """Which rank runs where, as MPICH's PMI_process_mapping: blocks (first node, nodes, ranks on each), again
    from the first when there are more ranks. "" for one that is too long to be told.
    """
    node_of = {rank: index for index, own in enumerate(ranks) for rank in own}
    runs: list[list[int]] = []  # node, ranks
    for rank in sorted(node_of):
        node = node_of[rank]
        if runs and runs[-1][0] == node:
            runs[-1][1] += 1
        else:
            runs.append([node, 1])
    blocks: list[list[int]] = []  # first node, nodes, ranks on each
    for node, size in runs:
        if blocks and blocks[-1][2] == size and sum(blocks[-1][:2]) == node:
            blocks[-1][1] += 1
        else:
            blocks.append([node, 1, size])
    blocks = blocks[: _period(blocks)]
    text = ",".join(["(vector", *[f"({first},{nodes},{size})" for first, nodes, size in blocks]]) + ")"
    return text if len(text) <= LONGEST_MAPPING else ""


def _period(blocks: list[list[int]]) -> int:
    """After so many they repeat, the last time perhaps only in part."""
    for period in range(1, len(blocks)):
        if all(block == blocks[at % period] for at, block in enumerate(blocks[:-1])) and _begins(
            blocks[-1], blocks[(len(blocks) - 1) % period]
        ):
            return period
    return len(blocks)


def _begins(block: list[int], whole: list[int]) -> bool:
    """Whether a block is the same, or where the ranks end within it."""
    first, nodes, size = block
    if first != whole[0]:
        return False
    return (size == whole[2] and nodes <= whole[1]) or (nodes == 1 and size < whole[2])
