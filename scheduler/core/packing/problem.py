"""The contended part of a pass as values: what is free on which nodes, which jobs would like it, who got
what.

A `Problem` is small and complete: the improver (packing/improver.py), the verifier (packing/verify.py), the
bounds (packing/bound.py) and the plain packer (packing/best_fit.py) need nothing else, and its JSON form
replays a pass that surprised. Jobs that ask for the same are one `AskClass` with a count; which of them is
placed is the caller's choice, so a `Solution` does not name them.

Better means (`Score`): more value placed at the most important rank, then at the next and so on; then less
device capacity stranded; then less cost of nodes woken. So a job of a higher rank is never given up for jobs
of lower ranks, whatever their number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.model.resources import WHOLE

MOST: Final = 2**40
"""Largest amount, count or value: sums over a million nodes and asks still fit in 63 bits."""


class BadProblem(PackhorseError):
    """A field of a problem or solution that cannot be; says which."""


class AskClass(NamedTuple):
    """Jobs that ask for the same.

    rank: 0 is the most important. count: how many wait. amounts: taken of each resource on each node that
    takes part. n_devices, milli: on each node, `n_devices` whole devices with milli 1000, or one share of
    `milli` thousandths of one device; 0 and 0 without devices. types: allowed device types, () for any.
    nodes: allowed node indices in ascending order, None for all. value: what placing one job is worth.
    members: nodes of one job, all different, all or nothing. per_node: at most that many members of this
    class on one node, 0 for no limit. licences: taken of the cluster by one job, () for none.
    """

    rank: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs of it
    amounts: tuple[int, ...]
    n_devices: int = 0
    milli: int = 0
    types: tuple[int, ...] = ()
    nodes: tuple[int, ...] | None = None
    value: int = 1
    members: int = 1
    per_node: int = 0
    licences: tuple[int, ...] = ()

    @property
    def shares(self) -> bool:
        """It takes a share of one device."""
        return 0 < self.milli < WHOLE


class Placed(NamedTuple):
    """One job: the class it is of, and for each of its members the node and the devices there, ascending."""

    ask: int
    members: tuple[tuple[int, tuple[int, ...]], ...]


class Solution(NamedTuple):
    """The jobs that are placed; all others wait."""

    placed: tuple[Placed, ...] = ()

    def counts(self, n_classes: int) -> list[int]:
        """Jobs placed of each class."""
        counts = [0] * n_classes
        for job in self.placed:
            counts[job.ask] += 1
        return counts

    def to_json(self) -> str:
        """One line; equal solutions give equal text."""
        return json.dumps(
            [[j.ask, [[n, list(d)] for n, d in j.members]] for j in self.placed], separators=(",", ":")
        )

    @classmethod
    def from_json(cls, text: str) -> Solution:
        """Raises BadProblem for text that `to_json` does not write."""
        try:
            rows = json.loads(text)
            return cls(
                tuple(
                    Placed(
                        int(ask), tuple((int(n), tuple(int(d) for d in devices)) for n, devices in members)
                    )
                    for ask, members in rows
                )
            )
        except (ValueError, TypeError) as error:
            raise BadProblem(f"solution: {error}") from None


class Score(NamedTuple):
    """levels: value placed per rank of the problem, most important first. stranded_milli: device thousandths
    left where the asks with devices cannot use them. wake_cost: of the nodes used."""

    levels: tuple[int, ...]
    stranded_milli: int
    wake_cost: int

    def better_than(self, other: Score) -> bool:
        """Strictly, in the order of the objective."""
        return self.key() > other.key()

    def key(self) -> tuple[tuple[int, ...], int, int]:
        """Larger is better."""
        return self.levels, -self.stranded_milli, -self.wake_cost


@dataclass(frozen=True, eq=False)
class Problem:
    """Nodes by position and the ask classes that want them.

    free: `[n_nodes, n_resources]`, 64-bit. dev_free: free thousandths of each device `[n_nodes, D]`.
    dev_type: its type, -1 where there is no such device `[n_nodes, D]`. wake_cost: of using the node at all,
    0 for nodes in use `[n_nodes]`. licences: free in the cluster `[n_licences]`. Made by `of`.
    """

    free: np.ndarray
    dev_free: np.ndarray
    dev_type: np.ndarray
    wake_cost: np.ndarray
    licences: tuple[int, ...]
    asks: tuple[AskClass, ...]

    @classmethod
    def of(
        cls,
        free: np.ndarray | Sequence[Sequence[int]],
        asks: Iterable[AskClass],
        *,
        dev_free: np.ndarray | Sequence[Sequence[int]] | None = None,
        dev_type: np.ndarray | Sequence[Sequence[int]] | None = None,
        wake_cost: np.ndarray | Sequence[int] | None = None,
        licences: Sequence[int] = (),
    ) -> Problem:
        """Checked. Without dev_type all devices are of type 0; where there is none dev_free is 0.

        Raises BadProblem naming the field.
        """
        columns = _matrix("free", free)
        n = columns.shape[0]
        devices = _matrix("dev_free", dev_free if dev_free is not None else np.zeros((n, 0)))
        types = (
            np.zeros(devices.shape, dtype=np.int64)
            if dev_type is None
            else _matrix("dev_type", dev_type, least=-1, most=2**15)
        )
        cost = _matrix("wake_cost", np.zeros((n, 1)) if wake_cost is None else np.reshape(wake_cost, (-1, 1)))
        if devices.shape[0] != n or types.shape != devices.shape or cost.shape[0] != n:
            raise BadProblem(
                f"nodes: free has {n} rows, dev_free {devices.shape}, dev_type {types.shape}, "
                f"wake_cost {cost.shape[0]}"
            )
        if devices.size and int(devices.max()) > WHOLE:
            raise BadProblem(f"dev_free: {int(devices.max())} thousandths of one device, limit {WHOLE}")
        if bool((devices[types < 0] > 0).any()):
            raise BadProblem("dev_free: more than 0 where dev_type says there is no device (-1)")
        for k, amount in enumerate(licences):
            _within(f"licences[{k}]", amount)
        checked = tuple(asks)
        for c, ask in enumerate(checked):
            _check_ask(f"asks[{c}]", ask, n, columns.shape[1], len(licences))
        return cls(columns, devices, types, cost[:, 0], tuple(int(a) for a in licences), checked)

    @property
    def n_nodes(self) -> int:
        return int(self.free.shape[0])

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        """The ranks that occur, most important first."""
        return tuple(sorted({ask.rank for ask in self.asks}))

    @cached_property
    def least(self) -> np.ndarray | None:
        """The least that any ask with devices takes of each resource on a node; None without such asks."""
        rows = [ask.amounts for ask in self.asks if ask.n_devices]
        return np.array(rows, dtype=np.int64).min(axis=0) if rows else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())

    def to_json(self) -> str:
        """One line; equal problems give equal text."""
        value = {
            "free": self.free.tolist(),
            "dev_free": self.dev_free.tolist(),
            "dev_type": self.dev_type.tolist(),
            "wake_cost": self.wake_cost.tolist(),
            "licences": self.licences,
            "asks": [_without_defaults(ask) for ask in self.asks],
        }
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Problem:
        """Raises BadProblem for text that `to_json` does not write."""
        try:
            value = json.loads(text)
            n = len(value["free"])
            asks = [AskClass(**{k: _tuples(v) for k, v in row.items()}) for row in value["asks"]]
            return cls.of(
                np.array(value["free"], dtype=object).reshape(n, -1),
                asks,
                dev_free=np.array(value["dev_free"], dtype=object).reshape(n, -1),
                dev_type=np.array(value["dev_type"], dtype=object).reshape(n, -1),
                wake_cost=value["wake_cost"],
                licences=value["licences"],
            )
        except KeyError as error:
            raise BadProblem(f"problem: no field {error}") from None
        except (ValueError, TypeError) as error:
            raise BadProblem(f"problem: {error}") from None


def worth(amounts: Sequence[int], n_devices: int, milli: int, most: Sequence[int], members: int = 1) -> int:
    """The usual value of a job: its device thousandths; without devices its largest part of a big node in
    thousandths (`most`: what such a node has), at least 1."""
    if n_devices:
        return n_devices * milli * members
    parts = [WHOLE * a // m for a, m in zip(amounts, most, strict=True) if m > 0]
    return max(1, *parts) * members if parts else members


def _matrix(
    name: str, value: np.ndarray | Sequence[Sequence[int]], least: int = 0, most: int = MOST
) -> np.ndarray:
    try:
        given = np.asarray(value)
        if given.dtype.kind == "f" and not bool(
            (given == np.floor(given)).all() and np.isfinite(given).all()
        ):
            raise BadProblem(f"{name}: amounts are whole numbers")
        array = np.array(given if given.dtype.kind in "if" else given.astype(object), dtype=np.int64)
    except (OverflowError, ValueError, TypeError):
        raise BadProblem(f"{name}: not a table of whole numbers below 2**63") from None
    if array.ndim != 2:
        raise BadProblem(f"{name}: {array.ndim} dimensions instead of 2 (nodes, columns)")
    if array.size and (int(array.min()) < least or int(array.max()) > most):
        row, column = np.argwhere((array < least) | (array > most))[0].tolist()
        raise BadProblem(f"{name}[{row}][{column}]: {array[row, column]}, allowed {least} to {most}")
    array.flags.writeable = False
    return array


def _within(name: str, value: object, least: int = 0, most: int = MOST) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise BadProblem(f"{name}: {value!r} is no whole number")
    if not least <= value <= most:
        raise BadProblem(f"{name}: {value}, allowed {least} to {most}")


def _check_ask(name: str, ask: AskClass, n_nodes: int, n_resources: int, n_licences: int) -> None:
    _within(f"{name}.rank", ask.rank, least=-MOST)
    _within(f"{name}.count", ask.count, most=2**24)
    _within(f"{name}.value", ask.value)
    _within(f"{name}.members", ask.members, least=1, most=2**20)
    _within(f"{name}.per_node", ask.per_node)
    _within(f"{name}.n_devices", ask.n_devices, most=2**15)
    _within(f"{name}.milli", ask.milli, most=WHOLE)
    if bool(ask.n_devices) != bool(ask.milli):
        raise BadProblem(f"{name}: n_devices {ask.n_devices} with milli {ask.milli}: both or neither")
    if ask.shares and ask.n_devices != 1:
        raise BadProblem(f"{name}: a share of {ask.milli} thousandths is of one device, not {ask.n_devices}")
    if len(ask.amounts) != n_resources:
        raise BadProblem(
            f"{name}.amounts: {len(ask.amounts)} amounts, the nodes have {n_resources} resources"
        )
    if len(ask.licences) not in (0, n_licences):
        raise BadProblem(f"{name}.licences: {len(ask.licences)} amounts, the cluster has {n_licences}")
    for field in ("amounts", "licences"):
        for k, amount in enumerate(getattr(ask, field)):
            _within(f"{name}.{field}[{k}]", amount)
    if not any(ask.amounts) and not ask.n_devices and not ask.per_node and not any(ask.licences):
        raise BadProblem(f"{name}: takes nothing; give it an amount, a device or a per_node limit")
    if ask.nodes is not None and any(not 0 <= node < n_nodes for node in ask.nodes):
        raise BadProblem(f"{name}.nodes: a node index outside 0 to {n_nodes - 1}")
    if ask.nodes is not None and any(a >= b for a, b in zip(ask.nodes, ask.nodes[1:], strict=False)):
        raise BadProblem(f"{name}.nodes: not in ascending order")


def _without_defaults(ask: AskClass) -> dict[str, Any]:
    defaults = AskClass._field_defaults
    return {k: v for k, v in ask._asdict().items() if k not in defaults or v != defaults[k]}


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
