"""The configuration as people read it: reference page and example file, printed from the table of keys."""

from __future__ import annotations

from collections.abc import Iterator

from packhorse.scheduler.config.keys import KEYS, PARTITION, SECTIONS, Key


def markdown() -> str:
    """docs/configuration.md."""
    return "\n".join(_page()) + "\n"


def example() -> str:
    """A file with every key at its default, commented out: it changes nothing until a line is uncommented."""
    lines = [
        "# Packhorse configuration. None of it is needed: every line shows the default.",
        "# Check a changed file with: packhorse scheduler --check-config packhorse.toml",
    ]
    for section, text in SECTIONS.items():
        header = f"[[{section}]]" if section == PARTITION else f"[{section}]"
        lines += ["", *_comment(text), f"# {header}" if section == PARTITION else header]
        for key in _keys(section):
            unit = f" ({key.unit})" if key.unit else ""
            lines += ["", *_comment(f"{key.text}{unit}"), f"# {key.name} = {key.default or _REQUIRED}"]
    return "\n".join(lines) + "\n"


_REQUIRED = '"main"'


def _page() -> Iterator[str]:
    yield "# Configuration"
    yield ""
    yield "One TOML file, `PACKHORSE_HOME/packhorse.toml`; without it, or without a key, the defaults hold."
    yield "`packhorse scheduler --check-config FILE` names every mistake with its line and what is accepted."
    yield "A scheduler reads the file when it starts."
    for section, text in SECTIONS.items():
        yield ""
        yield f"## `[[{section}]]`" if section == PARTITION else f"## `[{section}]`"
        yield ""
        yield text
        yield ""
        yield "| key | default | unit | accepted | meaning |"
        yield "|---|---|---|---|---|"
        for key in _keys(section):
            default = f"`{key.default}`" if key.default else "none"
            cells = (f"`{key.name}`", default, key.unit, key.accepted, key.text)
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _keys(section: str) -> list[Key]:
    return [key for key in KEYS if key.section == section]


def _comment(text: str) -> Iterator[str]:
    """The text as comment lines of at most 100 characters."""
    line = "#"
    for word in text.split():
        if len(line) + len(word) + 1 > 100:
            yield line
            line = "#"
        line += f" {word}"
    yield line
