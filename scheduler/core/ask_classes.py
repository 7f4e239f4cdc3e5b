"""What waiting jobs ask for, each once: equal asks in the same partition that avoid the same nodes and want
the same licences and the same reservation are one class, with a number as long as jobs have it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.core.licenses import Wanted
from packhorse.scheduler.core.packing.board import Board
from packhorse.scheduler.core.packing.layout import Shape
from packhorse.scheduler.core.packing.request import Pairs, Request
from packhorse.scheduler.core.usage import about
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.gresspec import parse_licenses
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.resources import Ask, Placement

_IDLE_CLASSES: Final = 1024
"""Classes without rows that are kept, so that a stream of equal jobs interns once."""


class AskClass:
    """Equal asks in one partition: what a cycle knows about all of them. code: its index in `classes`. plain:
    a job takes amounts of CPU, memory and scratch space of one node, the same of every node."""

    __slots__ = (
        "_alone",
        "_request",
        "ask",
        "avoid",
        "code",
        "licenses",
        "partition",
        "plain",
        "profile",
        "reservation",
        "shape",
    )

    def __init__(
        self,
        code: int,
        ask: Ask,
        partition: str,
        avoid: tuple[NodeName, ...],
        licenses: str = "",
        reservation: str = "",
    ) -> None:
        self.code = code
        self.ask = ask
        self.partition = partition
        self.avoid = avoid
        self.licenses = licenses
        self.reservation = reservation
        self.shape = shape = Shape(ask)
        self.plain = shape.single and not (shape.multi or shape.has_devices or shape.undecided)
        self.profile: tuple[int, int, int, int, str] | None = None
        """What a job of it takes of a node; core/demand.py works it out when it first wants it."""
        self._request: Request | None = None
        self._alone: tuple[Pairs, tuple[Placement, ...]] = ([], ())

    def request(self, board: Board, partition: Partition | None, column_of: dict[str, int]) -> Request:
        """Ready to be placed on this board; made once for it. partition: as configured now."""
        request = self._request
        if request is None or request.serial != board.serial or request.partition is not partition:
            request = Request(self.ask, self.shape, partition, self.avoid, board, column_of)
            self._request = request
        return request

    def alone_on(self, node: NodeName) -> tuple[Pairs, tuple[Placement, ...]]:
        """What a job of a plain class takes of this node, and the placement; the last answer is kept."""
        pairs, placements = self._alone
        if not placements or placements[0].node != node:
            shape = self.shape
            cpu, mem, pairs = shape.base(shape.tasks)
            placements = (Placement(node, cpu, mem, shape.tasks, (), shape.tmp),)
            self._alone = pairs, placements
        return pairs, placements


class AskClasses:
    """See the module. rows: how many rows of the pending columns each class has."""

    def __init__(self) -> None:
        self.classes: list[AskClass | None] = []
        self.rows: list[int] = []
        self.fresh: list[int] = []
        """Codes given since the cycle last looked (it empties the list)."""
        self.n_odd = 0
        """How many of the classes are not plain."""
        self.licensed: dict[int, Wanted] = {}
        """Codes of the classes that want licences, and which."""
        self.reserved: dict[int, str] = {}
        """Codes of the classes that name a reservation, and which."""
        self.wants = np.zeros((3, 16))
        """About what a job of each class takes in all; see usage.about."""
        self.own_nodes = np.zeros(16)
        """How many nodes a job of each class has for itself."""
        self._code: dict[tuple[Ask, str, tuple[NodeName, ...], str, str], int] = {}
        self._free: list[int] = []
        self._n_idle = 0

    def is_plain(self, code: int) -> bool:
        """Whether the class is; see AskClass."""
        found = self.classes[code]
        return found is not None and found.plain

    def code_of(
        self, ask: Ask, partition: str, avoid: tuple[NodeName, ...], licenses: str, reservation: str
    ) -> int:
        """Code of the class, which gets one row more."""
        key = (ask, partition, avoid, licenses, reservation)
        code = self._code.get(key)
        if code is not None:
            if self.rows[code] == 0:
                self._n_idle -= 1
            self.rows[code] += 1
            return code
        if self._free:
            code = self._free.pop()
            self.classes[code] = AskClass(code, *key)
            self.rows[code] = 1
        else:
            code = len(self.classes)
            self.classes.append(AskClass(code, *key))
            self.rows.append(1)
        self._code[key] = code
        self.n_odd += not self.is_plain(code)
        if code >= self.wants.shape[1]:
            self.wants = np.concatenate([self.wants, np.zeros_like(self.wants)], axis=1)
            self.own_nodes = np.concatenate([self.own_nodes, np.zeros_like(self.own_nodes)])
        self.wants[:, code] = about(ask)
        self.own_nodes[code] = ask.min_nodes if ask.exclusive or ask.mem_all else 0
        if licenses:
            self.licensed[code] = parse_licenses(licenses)
        if reservation:
            self.reserved[code] = reservation
        self.fresh.append(code)
        return code

    def codes_of(
        self,
        asks: tuple[Ask, ...],
        partitions: tuple[str, ...],
        avoids: tuple[tuple[NodeName, ...], ...],
        licenses: tuple[str, ...],
        reservations: tuple[str, ...],
    ) -> np.ndarray | int:
        """Of many rows. Asks are told apart by identity first, since to compare them costs more."""
        keys = list(zip(map(id, asks), partitions, avoids, licenses, reservations, strict=True))
        codes = {key: self.code_of(ask, *key[1:]) for key, ask in dict(zip(keys, asks, strict=True)).items()}
        if len(codes) == 1:
            code = codes[keys[0]]
            self.rows[code] += len(keys) - 1
            return code
        for code in codes.values():
            self.rows[code] -= 1  # counted with the others
        found = np.array([codes[key] for key in keys], dtype=np.int32)
        for code, n in zip(*np.unique(found, return_counts=True), strict=True):
            self.rows[code] += int(n)
        return found

    def drop(self, code: int) -> None:
        """The class has one row less."""
        self.rows[code] -= 1
        if self.rows[code] == 0:
            self._n_idle += 1
            if self._n_idle > _IDLE_CLASSES:
                self._sweep()

    def _sweep(self) -> None:
        for code, found in enumerate(self.classes):
            if found is not None and self.rows[code] == 0:
                key = (found.ask, found.partition, found.avoid, found.licenses, found.reservation)
                del self._code[key]
                self.licensed.pop(code, None)
                self.reserved.pop(code, None)
                self.n_odd -= not found.plain
                self.classes[code] = None
                self._free.append(code)
        self._n_idle = 0
