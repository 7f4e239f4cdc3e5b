"""Slurm's configuration files as lines of `Key=Value` pairs, with file and line number of each.

The syntax is that of Slurm's parser (src/common/parse_config.c of 22.05): keys in any case, values bare or
in double quotes, blanks around `=` allowed, `#` begins a comment unless written as `\\#`, a line that ends
with a backslash goes on in the next one, and `Include FILE` takes in a file, whose name may have `%c` for the
cluster's name and is relative to the folder of the file that was named first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packhorse.scheduler.model.errors import BadValue

MAX_BYTES = 16 << 20
MAX_DEPTH = 16
"""Of one file, and of files that include each other."""

_PAIR = re.compile(r'\s*([A-Za-z0-9_.]+)\s*([-*+/]?)=\s*(?:"([^"]*)"|([^\s"]\S*))(?=\s|$)')
_INCLUDE = re.compile(r"\s*include\s+(\S.*?)\s*$", re.IGNORECASE)
_COMMENT = re.compile(r"(?<!\\)#.*")


class Pair(NamedTuple):
    """`Key=Value` as it stands in a file."""

    key: str
    value: str
    file: str
    number: int

    @property
    def place(self) -> str:
        return f"{self.file}:{self.number}"


class Line(NamedTuple):
    """The pairs of a line, at least one."""

    pairs: tuple[Pair, ...]

    @property
    def first(self) -> Pair:
        return self.pairs[0]


def read(path: Path) -> list[Line]:
    """All lines of a file and of those that it includes. Raises BadValue with file and line."""
    return _Reader(path.parent).lines(path, 0)


class _Reader:
    """folder: where included files are looked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cluster = ""

    def lines(self, path: Path, depth: int) -> list[Line]:
        found: list[Line] = []
        for number, text in _logical(_text_of(path)):
            place = f"{path}:{number}"
            include = _INCLUDE.match(text)
            if include and "=" not in text.split()[0]:
                found += self.lines(self._included(include[1], place), self._deeper(depth, place))
                continue
            pairs = _pairs(text, str(path), number)
            if not pairs:
                continue
            for pair in pairs:
                if pair.key.lower() == "clustername":
                    self._cluster = pair.value
            found.append(Line(pairs))
        return found

    def _deeper(self, depth: int, place: str) -> int:
        if depth >= MAX_DEPTH:
            raise BadValue(f"{place}: more than {MAX_DEPTH} files include each other; is it a circle?")
        return depth + 1

    def _included(self, name: str, place: str) -> Path:
        if "%c" in name and not self._cluster:
            raise BadValue(f"{place}: %c stands for the cluster's name, and no ClusterName came before")
        path = self._folder / name.replace("%c", self._cluster)
        if not path.is_file():
            raise BadValue(f"{place}: included file {path} is not there")
        return path


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadValue(f"{path}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise BadValue(f"{path}: more than {MAX_BYTES >> 20} MiB")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise BadValue(f"{path}:{number}: not UTF-8: {error.reason}") from error
    if "\0" in text:
        raise BadValue(f"{path}:{text.count(chr(10), 0, text.index(chr(0))) + 1}: a zero byte")
    return text


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, continued ones joined, numbered by where they begin."""
    held, begin = "", 0
    for number, raw in enumerate(text.split("\n"), start=1):
        line = _COMMENT.sub("", raw.rstrip("\r")).replace("\\#", "#")
        begin = begin or number
        if line.endswith("\\"):
            held += line[:-1]
            continue
        yield begin, held + line
        held, begin = "", 0
    if held:
        yield begin, held


def _pairs(text: str, file: str, number: int) -> tuple[Pair, ...]:
    found: list[Pair] = []
    at = 0
    while text[at:].strip():
        match = _PAIR.match(text, at)
        if match is None:
            raise BadValue(f'{file}:{number}: "{text[at:].strip()[:60]}" is not KEY=VALUE')
        key, sign, quoted, bare = match.groups()
        if sign:
            raise BadValue(f'{file}:{number}: "{key}{sign}=": only {key}=VALUE has a meaning here')
        found.append(Pair(key, bare if quoted is None else quoted, file, number))
        at = match.end()
    return tuple(found)
