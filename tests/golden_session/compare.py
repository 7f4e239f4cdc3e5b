"""Two transcripts of the same command, compared field by field.

What no two sessions have in common is taken out first: ids of jobs are translated, moments count from the
beginning of their session, and times that differ by less than the sessions may drift apart are the same time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

DRIFT_S = 240
"""So much later or earlier than in the other session may the same thing happen, and so much longer may it
take."""

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?!\d)")
DATE = re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}")
SPAN = re.compile(r"(?<![\w:.-])(?:(?:\d+-)?\d+:)?\d+:\d\d(?:\.\d+)?(?![\w:-])")
_PADDED = r"(?P<before> *)(?P<value>{})(?P<after> *)"


class Side(NamedTuple):
    """One of the two sessions. began: its first moment. translate: what is written differently only because
    it is another cluster."""

    began: datetime
    translate: Callable[[str], str]


class Field(NamedTuple):
    """A moment (seconds from the session's beginning) or a length of time."""

    kind: str
    seconds: float
    text: str


class Line(NamedTuple):
    """A line with its times taken out."""

    shape: str
    fields: tuple[Field, ...]
    text: str


def padded(pattern: re.Pattern[str], text: str, new: Callable[[str], str]) -> str:
    """`text` with what the pattern finds replaced; where it stands in a column, the column keeps its
    width."""

    def replace(found: re.Match[str]) -> str:
        before, after = found["before"], found["after"]
        width = found.end() - found.start()
        value = new(found["value"])
        first = found.start() == 0 or text[found.start() - 1] == "\n"
        if after and len(before) > 1 and first:
            return (value + after).rjust(width)
        if len(after) > 1:
            return (before + value + " ").ljust(width)
        return (value + after).rjust(width) if len(before) > 1 and not first else before + value + after

    return re.sub(_PADDED.format(pattern.pattern), replace, text)


def lines(text: str, side: Side) -> list[Line]:
    """What a stream said, line by line."""
    return [_line(line, side) for line in side.translate(text).splitlines()]


def _line(text: str, side: Side) -> Line:
    fields: list[Field] = []

    def moment(value: str) -> str:
        fields.append(Field("at", (datetime.fromisoformat(value) - side.began).total_seconds(), value))
        return "<AT>"

    def span(value: str) -> str:
        fields.append(Field("for", span_s(value), value))
        return "<FOR>"

    shape = padded(STAMP, DATE.sub("<DATE>", text), moment)
    shape = padded(SPAN, shape, span)
    return Line(shape.rstrip(), tuple(fields), text)


def span_s(text: str) -> float:
    """Seconds of D-H:M:S, H:M:S or M:S.

    >>> span_s("1-02:00:30"), span_s("5:30")
    (93630.0, 330.0)
    """
    days, dash, rest = text.rpartition("-")
    seconds = 0.0
    for part in rest.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds + (86400 * int(days) if dash else 0)


def differences(theirs: list[Line], ours: list[Line], *, in_order: bool) -> list[str]:
    """Lines as `diff` would show them; [] where both say the same."""
    if not in_order:
        theirs, ours = sorted(theirs), sorted(ours)
    found: list[str] = []
    left = list(ours)
    for line in theirs:
        match = next((i for i, other in enumerate(left) if _same(line, other)), None)
        if match is None:
            found.append(f"- {line.text}")
        else:
            if in_order and match:
                found += [f"+ {other.text}" for other in left[:match]]
                del left[:match]
                match = 0
            del left[match]
    return found + [f"+ {other.text}" for other in left]


def _same(theirs: Line, ours: Line) -> bool:
    return theirs.shape == ours.shape and all(
        mine.kind == other.kind and abs(mine.seconds - other.seconds) <= DRIFT_S
        for mine, other in zip(
            theirs.fields, ours.fields, strict=False
        )  # fewer where a time is meant to differ
    )


def translation(
    ids: Mapping[int, int], texts: Iterable[tuple[str, str]], left_out: str = "$^"
) -> Callable[[str], str]:
    """What makes our text theirs: job ids by `ids`, and other words. left_out: lines of jobs that only we
    have."""
    words = list(texts)
    among = "|".join(map(str, sorted(ids)))
    number = re.compile(rf"(?<!\d)(?:{among})(?!\d)")
    word = re.compile(rf"[^ \n]*(?<!\d)(?:{among})(?!\d)[^ \n]*")
    padding = re.compile(left_out, re.MULTILINE)

    def translate(text: str) -> str:
        text = padding.sub("", text)
        for ours, theirs in words:
            text = text.replace(ours, theirs)
        return padded(word, text, lambda value: number.sub(lambda found: str(ids[int(found[0])]), value))

    return translate
