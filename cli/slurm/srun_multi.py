"""The file of `srun --multi-prog`: which ranks run which program.

A line is a set of ranks (`0-2,5`, `*` for all others), a program, and its arguments; single quotes keep
blanks together, a backslash at the end continues a line. The nodes replace %t and %o in the arguments.
"""

from __future__ import annotations

from packhorse.cli.slurm.process import CommandError, program

LONGEST = 1 << 20


def programs(words: list[str]) -> list[tuple[str, list[str]]]:
    """(ranks, words) of every line. words: the file, and arguments that are added to each."""
    path, *more = words
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(LONGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise _wrong(f"Unable to open configuration file {path}: {why}") from None
    if len(text) > LONGEST:
        raise _wrong(f"configuration file {path} is over {LONGEST} bytes")
    found: list[tuple[str, list[str]]] = []
    taken: dict[int, int] = {}
    for at, line in enumerate(text.replace("\\\n", " ").split("\n"), 1):
        if line.startswith("#") or not line.strip():
            continue
        ranks, *argv = _words(line, path, at)
        _check(ranks, path, at, taken)
        if not argv:
            raise _wrong(
                f"configuration file {path}, line {at}: No executable program specified for this task"
            )
        found.append((ranks, [*argv, *more]))
    if not found:
        raise _wrong(f"configuration file {path} names no program")
    return found


def _words(line: str, path: str, at: int) -> list[str]:
    words: list[str] = []
    current = ""
    inside = quoted = False
    for char in line:
        if char == "'":
            quoted = not quoted
            inside = True
        elif char.isspace() and not quoted:
            if inside:
                words.append(current)
            current, inside = "", False
        else:
            current += char
            inside = True
    if quoted:
        raise _wrong(f"configuration file {path}, line {at}: a quote is not closed")
    return [*words, current] if inside else words


def _check(ranks: str, path: str, at: int, taken: dict[int, int]) -> None:
    """Raises for what is no set of ranks, or has ranks of another line."""
    if ranks == "*":
        return
    for part in ranks.split(","):
        low, dash, high = part.partition("-")
        if not all(
            word.isdecimal() and word.isascii() and len(word) < 7 for word in (low, high if dash else low)
        ):
            raise _wrong(f'configuration file {path}, line {at}: "{ranks}" is not a set of tasks')
        if dash and int(high) < int(low):
            raise _wrong(f'configuration file {path}, line {at}: "{part}" ends before it begins')
        for rank in range(int(low), int(high if dash else low) + 1):
            if rank in taken:
                raise _wrong(
                    f"configuration file {path}: task {rank} is in line {taken[rank]} and in line {at}"
                )
            taken[rank] = at


def _wrong(text: str) -> CommandError:
    return CommandError(f"{program()}: error: {text}", 1)
