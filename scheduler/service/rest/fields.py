"""What may stand in the body of a request: fields with their kinds, and what each does to what is built."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Generic, NamedTuple, TypeVar

from packhorse.scheduler.model.errors import BadValue

B = TypeVar("B")

Take = Callable[[B, str, Any], None]
"""(what is built, the field's name, its value). Raises BadValue."""


class Body(NamedTuple):
    """An object that is read. name: in the OpenAPI document; fields: kinds by name."""

    name: str
    fields: dict[str, Any]


class Reader(Generic[B]):
    """Reads an object field by field.

    refused: fields that Slurm has and this cluster cannot heed; they may be there as long as they say
    nothing (false, empty, not set).
    """

    def __init__(self, name: str, fields: dict[str, tuple[Any, Take[B]]], refused: dict[str, str]) -> None:
        self.body = Body(name, {key: kind for key, (kind, _) in fields.items()})
        self._take = {key: take for key, (_, take) in fields.items()}
        self._refused = refused

    def read(self, what: str, value: Any, built: B) -> B:
        """`built`, with all that `value` says. what: its name, for messages. Raises BadValue."""
        for name, item in mapping(what, value).items():
            take = self._take.get(name)
            if take is not None:
                if item is not None:
                    take(built, name, item)
            elif name in self._refused:
                if says_something(item):
                    why = self._refused[name]
                    raise BadValue(f"{name}: not supported by Packhorse{': ' + why if why else ''}")
            else:
                near = get_close_matches(name, [*self._take, *self._refused], n=1)
                hint = f'; did you mean "{near[0]}"?' if near else ""
                raise BadValue(f'{what} has no field "{name[:100]}"{hint}')
        return built


def says_something(value: Any) -> bool:
    """Whether a value is more than Slurm's ways of saying nothing."""
    if isinstance(value, dict):
        if set(value) == {"set", "infinite", "number"}:
            return bool(value["set"] or value["infinite"])
        return any(says_something(item) for item in value.values())
    return bool(value)


def mapping(name: str, value: Any) -> dict[str, Any]:
    """An object. Raises BadValue."""
    if isinstance(value, dict):
        return value
    raise BadValue(f"{name}: not an object but {_kind(value)}")


def text(name: str, value: Any) -> str:
    """A text. Raises BadValue."""
    if isinstance(value, str):
        return value
    raise BadValue(f"{name}: not a text but {_kind(value)}")


def truth(name: str, value: Any) -> bool:
    """Yes or no. Raises BadValue."""
    if isinstance(value, bool):
        return value
    if value in (0, 1):
        return bool(value)
    raise BadValue(f"{name}: neither true nor false but {_kind(value)}")


def texts(name: str, value: Any) -> list[str]:
    """A list of texts; a text with commas is one too. Raises BadValue."""
    if isinstance(value, str):
        return [part for part in value.split(",") if part]
    if isinstance(value, list):
        return [text(name, item) for item in value]
    raise BadValue(f"{name}: not a list but {_kind(value)}")


def count(name: str, value: Any) -> int | None:
    """A whole number, plain, as digits or as a number object; None where that is not set. Raises BadValue."""
    found = bound(name, value)
    if found == ENDLESS:
        raise BadValue(f"{name}: without end is not possible here; give a number")
    return found


ENDLESS = -1
"""A number object that is infinite."""


def bound(name: str, value: Any) -> int | None:
    """The same, where a limit may be infinite: ENDLESS."""
    if isinstance(value, dict):
        unknown = value.keys() - {"set", "infinite", "number"}
        if unknown:
            raise BadValue(f'{name}: a number object has set, infinite and number, not "{min(unknown)}"')
        if value.get("infinite"):
            return ENDLESS
        if not value.get("set", "number" in value):
            return None
        value = value.get("number", 0)
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and len(value) <= 18:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if not -(2**63) <= value < 2**63:
            raise BadValue(f"{name}: {value} is beyond 64 bits")
        return value
    raise BadValue(f"{name}: not a whole number but {_kind(value)}")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value[:80]}"'
    names = {dict: "an object", list: "a list", type(None): "null"}
    return names.get(type(value), str(value)[:80])
