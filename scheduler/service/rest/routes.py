"""What a route is: how it is called, what it takes, what it answers, and the function that does so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, overload

import msgspec

from packhorse.scheduler.model.shapes.shape import VERSION, Shape
from packhorse.scheduler.service.auth import Principal
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.messages import Table
from packhorse.scheduler.service.rest.fields import Body
from packhorse.scheduler.service.rpc import Method, Unary
from packhorse.scheduler.service.status import About

SLURM = f"/slurm/{VERSION}"
SLURMDB = f"/slurmdb/{VERSION}"


class Parameter(NamedTuple):
    """One of the path or of the query. kind: "text" or "int"."""

    name: str
    text: str
    kind: str = "text"


class Call(NamedTuple):
    """A request of a known route. path, query: parameters by name; body: what JSON was read, checked to be an
    object where the route takes one."""

    principal: Principal
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any]

    def names(self, parameter: str) -> list[str]:
        """The names in a parameter of the query that commas separate."""
        return [name for name in self.query.get(parameter, "").split(",") if name]


class Calls(NamedTuple):
    """The methods of the service, each counted and timed as for every door, and whose they are."""

    methods: Mapping[str, Method]
    engine: Engine
    about: About

    async def ask(self, name: str, principal: Principal, request: msgspec.Struct) -> Any:
        """The answer of method `name`. Raises PackhorseError."""
        method = self.methods[name]
        if not isinstance(method, Unary):
            raise TypeError(f"{name} has no single answer")
        return await method.call(principal, request)


class Listed(NamedTuple):
    """A list of answers that is still to be made: an object of the shape for each row."""

    shape: Shape
    rows: Sequence[dict[str, Any]]


class Answer(NamedTuple):
    """content: by the names that the route promised; lists may be Listed. now_s: for `last_update`, 0 for
    none. errors: of parts that failed while others did not."""

    content: dict[str, Any]
    now_s: int = 0
    warnings: Sequence[str] = ()
    errors: Sequence[dict[str, Any]] = ()
    status: int = 200


class Route(NamedTuple):
    """content: the kind of each thing answered (shapes/shape.py). path: parameters in braces."""

    method: str
    path: str
    summary: str
    content: dict[str, Any]
    call: Callable[[Call], Awaitable[Answer]]
    query: tuple[Parameter, ...] = ()
    body: Body | None = None
    dated: bool = False
    """Whether `last_update` stands beside the content."""

    @property
    def operation(self) -> str:
        """Its name in the OpenAPI document, as slurmrestd would call it."""
        parts = [part for part in self.path.replace(".", "").split("/") if part and not part.startswith("{")]
        if self.path.endswith("/qos/{qos}"):  # one of several has the name of all
            parts[-1] = "single_qos"
        return "_".join([*parts[:2], self.method.lower(), *parts[2:]])


UPDATE_TIME = Parameter("update_time", "read and not needed: answers are whole and of now", "int")
FLAGS = Parameter("flags", "read and not needed: answers have every detail")


class Rows(Sequence[dict[str, Any]]):
    """The rows of a table, each made when it is looked at. same: columns that every row has besides."""

    def __init__(self, table: Table, **same: str) -> None:
        self._n = table.n_rows
        self._names = [*[column.name for column in table.columns], *same]
        self._columns = [
            *[column.ints or column.texts for column in table.columns],
            *[[value] * self._n for value in same.values()],
        ]

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, which: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, which: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, which: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(which, int):
            return {name: column[which] for name, column in zip(self._names, self._columns, strict=True)}
        some = [column[which] for column in self._columns]
        return [dict(zip(self._names, row, strict=True)) for row in zip(*some, strict=True)]


def rows(table: Table) -> list[dict[str, Any]]:
    """All rows of a table."""
    return Rows(table)[:]
