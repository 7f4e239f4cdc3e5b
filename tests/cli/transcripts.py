"""Transcripts of commands: what was run, and what it answered.

One command each: sections `== argv` (an argument a line), `== exit`, `== stdout`, `== stderr`.
"""

from pathlib import Path
from typing import NamedTuple

from tests.cli.commands import Answer


class Transcript(NamedTuple):
    """One command and its answer."""

    argv: list[str]
    code: int
    out: str
    err: str


def read(path: Path) -> Transcript:
    """The transcript in a file. A section begins at a line of its own, or where the stream before it
    ended.
    """
    text = path.read_text()
    _, _, rest = text.partition("== argv\n")
    argv, _, rest = rest.partition("== exit\n")
    argv = argv.partition("== stdin\n")[0]
    code, _, rest = rest.partition("\n== stdout\n")
    out, _, err = rest.rpartition("== stderr\n")
    return Transcript(argv.splitlines(), int(code), out, err)


def write(argv: list[str], answer: Answer) -> str:
    """The text of a transcript."""
    code, out, err = answer
    lines = "".join([word + "\n" for word in argv])
    return f"== argv\n{lines}== exit\n{code}\n== stdout\n{out}== stderr\n{err}"
