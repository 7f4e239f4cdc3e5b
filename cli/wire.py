"""JSON to and from bytes without the `json` package, whose import alone takes as long as a bare interpreter.

The work is done by the same C functions that `json` uses; where an interpreter lacks them, `json` itself is
loaded.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class WireError(ValueError):
    """Text that is not JSON."""


class _Rules:
    """What the scanner is to make of the text: plain dicts, lists, ints, floats."""

    strict = False
    object_hook = None
    object_pairs_hook = None
    array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, str] = {}  # noqa: RUF012 - the scanner asks for the attribute and keeps nothing in it


def _scanner() -> Callable[[str, int], tuple[Any, int]]:
    try:
        from _json import make_scanner

        rules: Any = _Rules
        scanner: Callable[[str, int], tuple[Any, int]] = make_scanner(rules)
        scanner('{"a": [1, 2.5, "x"]}', 0)
        return scanner
    except (ImportError, AttributeError, TypeError):
        from json.decoder import JSONDecoder

        return JSONDecoder(strict=False).raw_decode


def _quoter() -> Callable[[str], str]:
    try:
        from _json import encode_basestring_ascii

        return encode_basestring_ascii
    except ImportError:
        from json import dumps as quote

        return quote


_scan = _scanner()
_quote = _quoter()


def loads(data: bytes) -> Any:
    """The value of JSON text. Raises WireError."""
    try:
        text = data.decode("utf-8").strip()
        value, end = _scan(text, 0)
    except (ValueError, StopIteration) as error:
        raise WireError(f"not JSON: {data[:80]!r}") from error
    if end != len(text):
        raise WireError(f"text after JSON: {text[end : end + 80]!r}")
    return value


def dumps(value: object) -> bytes:
    """JSON of dicts (text keys), lists, tuples, texts, bytes (as base64, as proto3 JSON has it), numbers."""
    parts: list[str] = []
    _write(value, parts)
    return "".join(parts).encode("ascii")


def dumps_text(value: object, indent: int = 0) -> str:
    """JSON for people: one value a line, `indent` blanks a level; floats as Python prints them."""
    parts: list[str] = []
    _write_lines(value, parts, "\n", " " * indent)
    return "".join(parts)


def _write(value: object, parts: list[str]) -> None:
    if isinstance(value, str):
        parts.append(_quote(value))
    elif isinstance(value, dict):
        mark = "{"
        for key, item in value.items():
            parts.append(mark)
            parts.append(_quote(key))
            parts.append(":")
            _write(item, parts)
            mark = ","
        parts.append("{}" if mark == "{" else "}")
    elif isinstance(value, list | tuple):
        mark = "["
        for item in value:
            parts.append(mark)
            _write(item, parts)
            mark = ","
        parts.append("[]" if mark == "[" else "]")
    else:
        parts.append(_scalar(value))


def _write_lines(value: object, parts: list[str], newline: str, indent: str) -> None:
    """As _write, with line breaks; newline is the break at the current depth."""
    items: list[tuple[str, object]]
    if isinstance(value, dict):
        items = [(_quote(str(key)) + ": ", item) for key, item in value.items()]
        brackets = "{}"
    elif isinstance(value, list | tuple):
        items = [("", item) for item in value]
        brackets = "[]"
    else:
        parts.append(_quote(value) if isinstance(value, str) else _scalar(value))
        return
    if not items:
        parts.append(brackets)
        return
    mark = brackets[0]
    deeper = newline + indent
    for head, item in items:
        parts.append(mark + deeper + head)
        _write_lines(item, parts, deeper, indent)
        mark = ","
    parts.append(newline + brackets[1])


def _scalar(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, bytes | bytearray):
        from binascii import b2a_base64

        return '"' + b2a_base64(value, newline=False).decode("ascii") + '"'
    raise TypeError(f"{type(value).__name__} has no JSON")
