"""YAML of what JSON is made of: dicts with text keys, lists, texts, numbers, yes and no, nothing.

Texts are written as JSON writes them wherever a plain one could be taken for something else; JSON is YAML.
"""

from __future__ import annotations

from json import dumps

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./ ")
_WORDS = frozenset(
    ("true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "none", "infinity")
)


def yaml(value: object) -> str:
    """The document, with the mark that begins one."""
    lines: list[str] = ["---"]
    _write(value, "", lines)
    return "\n".join(lines) + "\n"


def _write(value: object, indent: str, lines: list[str]) -> None:
    """The lines of a dict or a list that is not empty, or one of anything else."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            _entry(f"{indent}{_text(str(key))}:", item, indent + "  ", lines)
    elif isinstance(value, list | tuple) and value:
        for item in value:
            before = len(lines)
            _write(item, indent + "  ", lines)
            # The first line of what the item is made of stands beside its dash.
            lines[before] = f"{indent}- {lines[before][len(indent) + 2 :]}"
    else:
        lines.append(indent + _scalar(value))


def _entry(head: str, value: object, indent: str, lines: list[str]) -> None:
    if isinstance(value, dict | list | tuple) and value:
        lines.append(head)
        _write(value, indent, lines)
    else:
        lines.append(f"{head} {_scalar(value)}")


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float) and value != value:
        return ".nan"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return ".inf" if value > 0 else "-.inf"
    return dumps(value)


def _text(text: str) -> str:
    """Plain where it starts with a letter, is no word of YAML's and has no sign in it; else in quotes."""
    plain = (
        text[:1].isalpha()
        and _PLAIN.issuperset(text)
        and not text.endswith(" ")
        and text.lower() not in _WORDS
    )
    return text if plain else dumps(text)
