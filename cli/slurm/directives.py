"""`#SBATCH` lines of a batch script.

Slurm's rules (checked against sbatch 22.05): a directive starts in the first column; several options and a
trailing comment may stand on one line; quotes are stripped; reading stops at the first line that is neither
blank nor a comment.
"""

from __future__ import annotations

MAGIC = "#SBATCH"


class DirectiveError(Exception):
    """A directive that cannot be read. line: its number, counted from 1."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


def directive_words(script: str, magic: str = MAGIC) -> list[str]:
    """The words of all directives in order, as if they stood on the command line. Raises DirectiveError."""
    words: list[str] = []
    number = 0
    start = 0
    n = len(script)
    while start < n:
        end = script.find("\n", start)
        if end < 0:
            end = n
        number += 1
        if script.startswith(magic, start):
            words.extend(words_of(script[start + len(magic) : end], number))
        elif script[start : start + 1] != "#" and script[start:end].strip():
            break
        start = end + 1
    return words


def words_of(text: str, number: int) -> list[str]:
    """The words of one line; text after an unquoted # is a comment."""
    words: list[str] = []
    current = ""
    open_word = False  # an empty pair of quotes is a word too
    quote = ""
    escaped = False
    for char in text:
        if escaped:
            if quote or not char.isspace():
                current += char
                escaped = False
                continue
            escaped = False
        if char == "\\":
            escaped = True
            open_word = True
        elif quote:
            if char == quote:
                quote = ""
            else:
                current += char
        elif char in "\"'":
            quote = char
            open_word = True
        elif char == "#":
            break
        elif char.isspace():
            if open_word:
                words.append(current)
            current = ""
            open_word = False
        else:
            current += char
            open_word = True
    if quote:
        raise DirectiveError(f"Unmatched `{quote}` in [{text}]", number)
    if open_word:
        words.append(current)
    return words
