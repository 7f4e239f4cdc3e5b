"""Pieces of a page, with every text that is not ours escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, NamedTuple

from packhorse.simulator.report import colors

TIGHT: Final = 6
"""Columns; more policies side by side are written smaller."""


UNKNOWN: Final = ("–", "never")
"""Texts of a cell of numbers that has none; they sort as the greatest."""


class Cell(NamedTuple):
    """text: as shown. value: what the column is sorted by, None: the text. best: of those beside it. hint:
    said when the pointer rests on it. color: position of the policy that it names.
    """

    text: str
    value: float | None = None
    best: bool = False
    hint: str = ""
    color: int | None = None


class Head(NamedTuple):
    """Of a column: its name, its unit, what is said when the pointer rests on it; color: position of the
    policy that it is about.
    """

    name: str
    unit: str = ""
    hint: str = ""
    color: int | None = None


def table(heads: Sequence[Head], rows: Sequence[Sequence[Cell]], *, sortable: bool = True) -> str:
    """The first column has names. A row of one cell is a heading of those below it."""
    lines = "".join(f"<tr>{_row(row, len(heads))}</tr>\n" for row in rows)
    top = "".join(_head(head, i == 0, sortable) for i, head in enumerate(heads))
    head, body = f"<thead><tr>{top}</tr></thead>", f"<tbody>\n{lines}</tbody>"
    kind = " class=tight" if not sortable and len(heads) > TIGHT else ""
    return f'<div class="scroll"><table{kind}>{head}\n{body}</table></div>'


def _head(head: Head, first: bool, sortable: bool) -> str:
    name = escape(head.name) if head.color is None else policy(head.name, head.color)
    name += f" <small>{escape(head.unit)}</small>" if head.unit else ""
    attributes = " data-sort" if sortable else ""
    attributes += f' title="{escape(head.hint)}"' if head.hint else ""
    return f'<th scope="col"{attributes}{" class=name" if first else ""}>{name}</th>'


def _row(row: Sequence[Cell], width: int) -> str:
    if len(row) == 1 < width:
        return f'<th class="group" colspan="{width}" scope="rowgroup">{escape(row[0].text)}</th>'
    return "".join(_cell(cell, i == 0) for i, cell in enumerate(row))


def _cell(cell: Cell, first: bool) -> str:
    attributes = " class=name" if first else " class=best" if cell.best else ""
    if cell.value is not None:
        attributes += f' data-value="{cell.value:.10g}"'
    elif cell.text in UNKNOWN:
        attributes += ' data-value=""'
    attributes += f' title="{escape(cell.hint)}"' if cell.hint else ""
    mean, pm, deviation = cell.text.partition(" ± ")
    text = escape(mean) if cell.color is None else policy(mean, cell.color)
    text += f" <small>± {escape(deviation)}</small>" if pm else ""
    return f"<td{attributes}>{text}</td>"


def policy(name: str, position: int) -> str:
    """Its name beside its colour."""
    return f'<span class="swatch" style="background: {colors.variable(position)}"></span>{escape(name)}'


def plot(svg: str, caption: str, label: str) -> str:
    """label: what those hear who do not see it."""
    labelled = svg.replace('role="img"', f'role="img" aria-label="{escape(label)}"', 1)
    return f'<figure><div class="scroll">{labelled}</div><figcaption>{escape(caption)}</figcaption></figure>'


def pairs(entries: Sequence[tuple[str, str]]) -> str:
    """Names and what is to say about each, which is HTML already."""
    return f'<dl class="about">{"".join(f"<dt>{escape(k)}</dt><dd>{v}</dd>" for k, v in entries if v)}</dl>'


def folds(parts: Iterable[str]) -> str:
    """Folded parts beside each other."""
    return f'<div class="folds">{"".join(parts)}</div>'


def folded(title: str, inside: str) -> str:
    """Opened by a click. title: HTML already."""
    return f"<details><summary>{title}</summary>{inside}</details>"
