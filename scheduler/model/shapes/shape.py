"""What an object of an answer is made of: its fields with their kinds, and how each is made of a row.

A row is a dict of columns. Kinds are what the OpenAPI document says of a field: the name of a plain one
(PLAIN), a shape, ("list", shape), ("map", kind) or ("nullable", shape).
"""

from __future__ import annotations

from packhorse.scheduler.model.signalspec import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Row = dict[str, Any]
    Kind = Any
    Field = tuple[Kind, Callable[[Row], Any]]

US = 1_000_000

VERSION = "v0.0.42"

PLAIN = ("text", "int", "bool", "float", "number", "float_number", "texts", "ints")
"""number, float_number: an object that tells nothing, without end, and an amount apart. texts: a list of
them; so is every set of flags or states."""


class Always:
    """Makes the same of every row."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, row: Row) -> Any:
        return self.value


class Shape:
    """An object. name: what it is called in the OpenAPI document. extra: fields that not every object has."""

    __slots__ = ("_blank", "_makers", "extra", "fields", "name")

    def __init__(
        self,
        name: str,
        fields: dict[str, Field],
        extra: dict[str, tuple[Kind, Callable[[Row], Any]]] | None = None,
    ) -> None:
        self.name = name
        self.fields = fields
        self.extra = extra or {}
        # What is the same for all is there from the beginning: it is more than half of a job's fields.
        self._blank = {
            key: make.value if isinstance(make, Always) else None for key, (_, make) in fields.items()
        }
        self._makers = [(key, make) for key, (_, make) in fields.items() if not isinstance(make, Always)]

    def of(self, row: Row) -> dict[str, Any]:
        """The object of a row. An extra field that comes out as None is left out."""
        made = self._blank.copy()
        for key, make in self._makers:
            made[key] = make(row)
        for key, (_, make) in self.extra.items():
            value = make(row)
            if value is not None:
                made[key] = value
        return made


def number(value: float, *, unset: bool = False, infinite: bool = False) -> dict[str, Any]:
    """A number object."""
    return {
        "set": not unset and not infinite,
        "infinite": infinite,
        "number": 0 if unset or infinite else value,
    }


# -- fields


def text(column: str) -> Field:
    """A column as it stands."""
    return "text", lambda row: row[column]


def whole(column: str) -> Field:
    """A whole number."""
    return "int", lambda row: row[column]


def truth(column: str) -> Field:
    """Yes or no, of 1 or 0."""
    return "bool", lambda row: bool(row[column])


def counted(column: str) -> Field:
    """A number that is always known."""
    return "number", lambda row: {"set": True, "infinite": False, "number": row[column]}


def asked(column: str) -> Field:
    """A number that is not set where the column has 0."""
    return "number", lambda row: number(row[column], unset=not row[column])


def bounded(column: str) -> Field:
    """A limit; there is none where the column has 0."""
    return "number", lambda row: number(row[column], infinite=not row[column])


def instant(column: str) -> Field:
    """Seconds since the epoch of a column in microseconds."""
    return "number", lambda row: {"set": True, "infinite": False, "number": row[column] // US}


def second(column: str) -> Field:
    """The same as a plain number."""
    return "int", lambda row: row[column] // US


def split(column: str) -> Field:
    """A list of the names that commas separate."""
    return "texts", lambda row: row[column].split(",") if row[column] else []


def always(kind: Kind, value: Any) -> Field:
    """What is the same for every row, since there is nothing of the kind here. The value is shared."""
    return kind, Always(value)


def no_text() -> Field:
    return always("text", "")


def no_number() -> Field:
    """A number that is not set."""
    return always("number", number(0, unset=True))


def no_texts() -> Field:
    return always("texts", [])


def inner(shape: Shape) -> Field:
    """An object made of the same row."""
    return shape, shape.of


def listed(shape: Shape, column: str) -> Field:
    """A list of objects, of the rows that the column has."""
    return ("list", shape), lambda row: [shape.of(item) for item in row[column]]


# -- what several answers have


def exit_field(code: str, signal: str) -> Field:
    """How something ended, of the columns of its exit code and signal."""
    return EXIT, lambda row: EXIT.of({"code": row[code], "signal": row[signal]})


def clean_exit() -> Field:
    """Of what has none of its own."""
    return always(EXIT, EXIT.of({"code": 0, "signal": 0}))


_SIGNAL = Shape(
    "exit_signal",
    {
        "id": ("number", lambda row: number(row["signal"], unset=not row["signal"])),
        "name": ("text", lambda row: signal_name(row["signal"]) if row["signal"] else ""),
    },
)
EXIT = Shape(
    "process_exit_code_verbose",
    {
        "status": (
            "texts",
            lambda row: ["SIGNALED" if row["signal"] else "ERROR" if row["code"] else "SUCCESS"],
        ),
        "return_code": ("number", lambda row: number(row["code"], unset=bool(row["signal"]))),
        "signal": inner(_SIGNAL),
    },
)

TRES = Shape("tres", {"type": text("type"), "name": text("name"), "id": whole("id"), "count": whole("count")})

_TRES_IDS = {"cpu": 1, "mem": 2, "energy": 3, "node": 4, "billing": 5}
"""As Slurm numbers what every cluster has. Others have no number that stays."""


def tres(text: str) -> list[dict[str, Any]]:
    """`cpu=2,mem=1000M,gres/gpu=1` as a list; memory in MiB, devices rounded up, since counts are whole."""
    from math import ceil

    from packhorse.scheduler.model.units import parse_mem_mib

    found = []
    for part in text.split(",") if text else []:
        name, _, amount = part.partition("=")
        kind, _, rest = name.partition("/")
        count = parse_mem_mib(amount) if kind == "mem" or rest == "gpumem" else ceil(float(amount))
        found.append({"type": kind, "name": rest, "id": _TRES_IDS.get(kind, 0), "count": count})
    return found


def tres_field(column: str) -> Field:
    """The list of a column's TRES."""
    return ("list", TRES), lambda row: tres(row[column])


def no_tres() -> Field:
    return always(("list", TRES), [])
