"""A catalogue of columns, and the table of those that a caller asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar

from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.service.messages import Column, Table

V = TypeVar("V")


class Type(Enum):
    INT = "int"
    TEXT = "text"


class Field(NamedTuple, Generic[V]):
    """One column: how its values are made for all rows of a view at once."""

    type: Type
    values: Callable[[V], list[Any]]


Catalogue = dict[str, Field[V]]


def ints(values: Callable[[V], list[int]]) -> Field[V]:
    """A column of whole numbers."""
    return Field(Type.INT, values)


def texts(values: Callable[[V], list[str]]) -> Field[V]:
    """A column of texts."""
    return Field(Type.TEXT, values)


def check_fields(catalogue: Catalogue[V], wanted: Sequence[str]) -> Sequence[str]:
    """The fields to make, all of them if none is named. Raises CallFailed for one that does not exist."""
    for name in wanted:
        if name not in catalogue:
            from difflib import get_close_matches  # only when somebody made a mistake

            near = get_close_matches(name, list(catalogue), n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(catalogue)}"
            raise CallFailed(Code.INVALID_ARGUMENT, f'field "{name}" does not exist; {hint}')
    return wanted or list(catalogue)


def make_table(
    catalogue: Catalogue[V],
    view: V,
    fields: Sequence[str],
    *,
    n_rows: int,
    now: Instant,
    unknown: Sequence[str] = (),
) -> Table:
    """The table of these fields, checked before."""
    columns = []
    for name in fields:
        kind, values = catalogue[name]
        column = values(view)
        columns.append(
            Column(name=name, ints=column) if kind is Type.INT else Column(name=name, texts=column)
        )
    return Table(columns=columns, n_rows=n_rows, now_us=now, unknown=list(unknown))
