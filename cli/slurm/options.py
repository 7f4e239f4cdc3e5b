"""Command lines as GNU getopt_long reads them, with its messages.

Long options may be shortened to an unambiguous beginning, take values as `--name=value` or `--name value`;
short ones may be bundled (`-hj 12`). Every command has one table; an option of Slurm's that this release
lacks is in the table too, marked NOT_YET, so that it is refused by name instead of ignored.
"""

from __future__ import annotations

import sys

NONE = 0
REQUIRED = 1
OPTIONAL = 2
"""Whether an option takes a value. An optional value is given as --name=value or -xvalue only."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Option = tuple[str, int, str]
    """(short letter or "", value, what becomes of it: "" used, NOT_YET, HARMLESS)."""

USED = ""
NOT_YET = "not yet"
HARMLESS = "harmless"
"""HARMLESS options are read and have no effect; `--help` lists them."""
WARNED = "warned"
"""WARNED ones have no effect either, which is said, because somebody may have counted on it."""


class UsageError(Exception):
    """A command line that cannot be read. lines: what to print; code: exit status."""

    def __init__(self, lines: str, code: int) -> None:
        super().__init__(lines)
        self.lines = lines
        self.code = code


class Parser:
    """The options of one command."""

    def __init__(
        self, prog: str, table: Mapping[str, Option], *, bad: int = 1, hint: bool = True, permute: bool = True
    ) -> None:
        """bad: exit status for a wrong command line. hint: whether messages end with 'Try "PROG --help"'.

        permute: options may follow arguments; otherwise the first argument ends the options.
        """
        self.prog = prog
        self.table = table
        self.bad = bad
        self.hint = hint
        self.permute = permute
        self._by_letter: dict[str, str] = {}

    def parse(self, words: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
        """([(long name, value or "")], arguments), in order. Raises UsageError."""
        found: list[tuple[str, str]] = []
        arguments: list[str] = []
        index = 0
        n = len(words)
        while index < n:
            word = words[index]
            index += 1
            if word == "--":
                arguments.extend(words[index:])
                break
            if word[:2] == "--":
                index = self._long(word, words, index, found)
            elif word[:1] == "-" and word != "-":
                index = self._short(word, words, index, found)
            elif self.permute:
                arguments.append(word)
            else:
                arguments.extend(words[index - 1 :])
                break
        return found, arguments

    def refuse_unsupported(self, found: list[tuple[str, str]]) -> None:
        """Raises UsageError for the first option that this release does not support."""
        for name, _ in found:
            if self.table[name][2] == NOT_YET:
                raise UsageError(
                    f"{self.prog}: error: option --{name} is not supported by Packhorse yet", self.bad
                )

    def _long(self, word: str, words: Sequence[str], index: int, found: list[tuple[str, str]]) -> int:
        given, equals, value = word[2:].partition("=")
        name = given if given in self.table else self._completed(given, word)
        takes = self.table[name][1]
        if equals:
            if takes == NONE:
                raise self._error(f"option '--{name}' doesn't allow an argument")
        elif takes == REQUIRED:
            if index >= len(words):
                raise self._error(f"option '--{name}' requires an argument")
            value = words[index]
            index += 1
        found.append((name, value))
        return index

    def _completed(self, given: str, word: str) -> str:
        """The one long option that begins with `given`."""
        names = [name for name in self.table if name.startswith(given)] if given else []
        # Spellings of one option (same letter and value) are no ambiguity.
        if len(names) == 1 or (
            names and len({self.table[name] for name in names}) == 1 and self.table[names[0]][0]
        ):
            return names[0]
        if not names:
            raise self._error(f"unrecognized option '{word}'")
        listed = " ".join([f"'--{name}'" for name in names])
        raise self._error(f"option '{word}' is ambiguous; possibilities: {listed}")

    def _short(self, word: str, words: Sequence[str], index: int, found: list[tuple[str, str]]) -> int:
        if not self._by_letter:
            for name, (letter, _, _) in self.table.items():
                if letter:
                    self._by_letter.setdefault(letter, name)
        at = 1
        while at < len(word):
            letter = word[at]
            at += 1
            name = self._by_letter.get(letter, "")
            if not name:
                raise self._error(f"invalid option -- '{letter}'")
            takes = self.table[name][1]
            value = ""
            if takes != NONE and at < len(word):
                value = word[at:]
                at = len(word)
            elif takes == REQUIRED:
                if index >= len(words):
                    raise self._error(f"option requires an argument -- '{letter}'")
                value = words[index]
                index += 1
            found.append((name, value))
        return index

    def _error(self, text: str) -> UsageError:
        lines = f"{self.prog}: {text}"
        if self.hint:
            lines += f'\nTry "{self.prog} --help" for more information'
        return UsageError(lines, self.bad)


def is_set(value: str) -> bool:
    """Whether a variable with this value switches an option on that takes none: empty, `yes`, or a number
    other than 0."""
    return value in ("", "yes") or (value.isdecimal() and value.isascii() and int(value[:20]) > 0)


def from_variables(
    environment: Mapping[str, str], table: Mapping[str, Option], variables: Mapping[str, str]
) -> list[tuple[str, str]]:
    """The options that variables stand for, as (long name, value). variables: names and their options."""
    found: list[tuple[str, str]] = []
    for variable, name in variables.items():
        if variable in environment:
            value = environment[variable]
            if table[name][1] != NONE:
                found.append((name, value))
            elif is_set(value):
                found.append((name, ""))
    return found


def print_version() -> None:
    """What `--version` prints: the Slurm whose commands these follow. `packhorse version` tells ours."""
    sys.stdout.write("slurm 24.11.0\n")


def take_server(found: list[tuple[str, str]]) -> None:
    """`--server ADDRESS`: ours, not Slurm's; the same as PACKHORSE_SERVER."""
    for name, value in found:
        if name == "server":
            import os

            os.environ["PACKHORSE_SERVER"] = value
