"""Lines of text files, plain or gzipped, read as they are needed, with errors that name the file."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

from packhorse.simulator.traces.broken import TraceBroken


def lines(path: Path, *, strict: bool = True) -> Iterator[str]:
    """The lines of a file, each with its end; a name that ends in .gz is decompressed.

    strict: bytes that are not UTF-8 are an error; else they become U+FFFD (old logs name people in Latin-1).
    Raises TraceBroken where the file cannot be read, is damaged or is no text.
    """
    n = 0
    try:
        with _opened(path, "strict" if strict else "replace") as file:
            for line in file:
                n += 1
                yield line
    except FileNotFoundError:
        raise TraceBroken(f"{path}: there is no such file") from None
    except (OSError, EOFError, zlib.error) as why:
        after = f" after line {n}" if n else ""
        raise TraceBroken(f"{path}: cannot be read{after}: {getattr(why, 'strerror', None) or why}") from why
    except UnicodeDecodeError as why:
        byte = why.object[why.start]
        raise TraceBroken(f"{path}: is no text: byte 0x{byte:02x} below line {n} is not UTF-8") from why


def head(path: Path, n: int) -> list[str]:
    """The first n lines, fewer where there are no more; raises as `lines`."""
    return [line for line, _ in zip(lines(path, strict=False), range(n), strict=False)]


def _opened(path: Path, errors: str) -> TextIO:
    """newline="": csv wants to see the ends of lines itself."""
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8", errors=errors, newline=""))
    return path.open(encoding="utf-8", errors=errors, newline="")
