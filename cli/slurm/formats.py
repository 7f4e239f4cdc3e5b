"""Output formats: `-o "%.18i %9P"` and `-O JobID:8,Name:.12,State:###`, and rows printed by them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from packhorse.cli.slurm.table import Table

    Field = tuple[str, Callable[[Table], Sequence[str]]]
    """(header, the texts of every row)."""

DEFAULT_WIDTH = 20
"""Of an -O field without width and suffix."""


class Piece:
    """One field with its place on the line. width 0: as long as it is; suffix: follows the field."""

    __slots__ = ("field", "right", "suffix", "width")

    def __init__(self, field: Any, width: int, right: bool, suffix: str) -> None:
        self.field = field
        self.width = width
        self.right = right
        self.suffix = suffix

    def template(self, cut: bool = True) -> str:
        """For the % operator on a text. cut: what is too long is cut off."""
        suffix = self.suffix.replace("%", "%%")
        if not self.width:
            return "%s" + suffix
        most = f".{self.width}" if cut else ""
        return f"%{'' if self.right else '-'}{self.width}{most}s{suffix}"


def parse_letters(text: str, fields: Mapping[str, Any]) -> tuple[str, list[Piece], list[str]]:
    """A `%` format: (text before the first field, pieces, letters that are no fields).

    `%[.][width]letter`: a dot justifies to the right. `%%` before a field is read as one `%`. A letter that
    is no field stays in the text as it was written.
    """
    prefix = ""
    pieces: list[Piece] = []
    bad: list[str] = []
    at = 0
    n = len(text)

    def literal(more: str) -> None:
        nonlocal prefix
        if pieces:
            pieces[-1].suffix += more
        else:
            prefix += more

    while at < n:
        mark = text.find("%", at)
        if mark < 0:
            literal(text[at:])
            break
        literal(text[at:mark])
        start = mark
        while mark + 1 < n and text[mark + 1] == "%":
            mark += 1
        end = mark + 1
        right = text[end : end + 1] == "."
        if right:
            end += 1
        digits = end
        while end < n and text[end] in "0123456789":
            end += 1
        letter = text[end : end + 1]
        if not letter:
            break
        if letter in fields:
            pieces.append(Piece(fields[letter], int(text[digits:end] or "0"), right, ""))
        else:
            bad.append(letter)
            literal(text[start : end + 1])
        at = end + 1
    return prefix, pieces, bad


def parse_names(text: str, fields: Mapping[str, Any]) -> tuple[list[Piece], list[str]]:
    """A named format: (pieces, names that are no fields).

    `name[:[.][width][suffix]]`: with a suffix and no width the field is as long as it is. fields: by
    lower-case name.
    """
    pieces: list[Piece] = []
    bad: list[str] = []
    for item in text.split(","):
        name, colon, rest = item.partition(":")
        if not name.strip():
            # An empty item, and a lone suffix (":x"), are what a trailing separator leaves.
            continue
        field = fields.get(name.strip().lower())
        if field is None:
            bad.append(name)
            continue
        right = rest[:1] == "."
        if right:
            rest = rest[1:]
        suffix = rest.lstrip("0123456789")
        digits = rest[: len(rest) - len(suffix)]
        width = int(digits) if digits else (0 if suffix else DEFAULT_WIDTH)
        pieces.append(Piece(field, width, right, suffix if colon else ""))
    return pieces, bad


def render(
    prefix: str, pieces: Sequence[Piece], table: Table, header: bool, whole: frozenset[str] = frozenset()
) -> str:
    """The lines of the table, each ended by a newline. whole: headers of fields whose values are never
    cut.
    """
    start = prefix.replace("%", "%%")
    lines: list[str] = []
    if header:
        template = start + "".join([piece.template() for piece in pieces]) + "\n"
        lines.append(template % tuple([piece.field[0] for piece in pieces]))
    template = start + "".join([piece.template(piece.field[0] not in whole) for piece in pieces]) + "\n"
    if pieces:
        columns = [piece.field[1](table) for piece in pieces]
        lines.extend([template % row for row in zip(*columns, strict=True)])
    else:
        lines.extend([template.replace("%%", "%")] * table.n)
    return "".join(lines)
