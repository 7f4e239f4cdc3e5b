"""scrontab: jobs that are run again and again, as cron does it.

A line is five fields of a time (or a nickname such as @daily) and a command; the options of sbatch for it
stand in #SCRON lines before it, and are forgotten after it. The command is run by /bin/sh in the home of its
user.
"""

from __future__ import annotations

import os
import sys

from packhorse.cli.slurm import sbatch_request
from packhorse.cli.slurm.options import (
    HARMLESS,
    NONE,
    REQUIRED,
    USED,
    Parser,
    UsageError,
    print_version,
    take_server,
)
from packhorse.cli.slurm.process import CommandError, run
from packhorse.cli.transport import CallError, call, field
from packhorse.scheduler.model.errors import BadValue, PackhorseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROG = "scrontab"

TABLE: dict[str, tuple[str, int, str]] = {
    "clusters": ("M", REQUIRED, USED),
    "edit": ("e", NONE, USED),
    "help": ("", NONE, USED),
    "list": ("l", NONE, USED),
    "quiet": ("Q", NONE, HARMLESS),
    "remove": ("r", NONE, USED),
    "server": ("", REQUIRED, USED),
    "usage": ("", NONE, USED),
    "user": ("u", REQUIRED, USED),
    "verbose": ("v", NONE, HARMLESS),
    "version": ("V", NONE, USED),
}

PARSER = Parser(PROG, TABLE)

MAGIC = "#SCRON"
BAD = "#BAD: "

EMPTY = """\
# min hour day-of-month month day-of-week command
#
# Options of sbatch for the next command: #SCRON --time=10
# Instead of the five fields: @yearly @monthly @weekly @daily @hourly
"""
"""What there is to edit for somebody without a crontab."""

HEAD = "#!/bin/sh\n# This job was submitted through scrontab\n"

REFUSED = ("array", "dependency", "begin", "gang", "hold", "wait", "test-only", "wrap")
"""Options of sbatch that a job which is run again and again cannot have."""


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `scrontab WORDS`."""
    found, arguments = PARSER.parse(words)
    options = dict(found)
    if "version" in options:
        print_version()
        return 0
    for name in ("help", "usage"):
        if name in options:
            from packhorse.cli.slurm import usage

            usage.show(PROG, name)
            return 0
    take_server(found)
    if options.get("clusters"):
        from packhorse.cli.slurm.clusters import checked

        checked(PROG, options["clusters"])
    modes = [name for name in ("edit", "list", "remove") if name in options]
    if len(modes) + bool(arguments) > 1 or len(arguments) > 1:
        raise _error("Only one of -e, -l, -r and a file may be given")
    user = options.get("user", "")
    if modes == ["list"]:
        sys.stdout.write(_text(user))
        return 0
    if modes == ["remove"]:
        _text(user)
        _send(user, "")
        return 0
    if modes == ["edit"]:
        return _edit(user)
    _send(user, _read(arguments[0] if arguments else "-"))
    return 0


def _error(text: str) -> CommandError:
    return CommandError(f"{PROG}: error: {text}")


def _text(user: str) -> str:
    """The crontab. Raises CommandError where there is none."""
    answer = call("GetCrontab", {"user": user})
    text = str(field(answer, "text", ""))
    if not text:
        raise CommandError(f"no crontab for {field(answer, 'user', '') or user}")
    return text


def _read(path: str) -> str:
    try:
        if path == "-":
            return sys.stdin.read()
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise _error(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _edit(user: str) -> int:
    """In the user's editor, again and again until it can be taken or is given up."""
    import subprocess
    import tempfile

    answer = call("GetCrontab", {"user": user})
    before = str(field(answer, "text", ""))
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    text = before or EMPTY
    with tempfile.TemporaryDirectory(prefix="scrontab-") as folder:
        path = os.path.join(folder, "crontab")
        while True:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            code = subprocess.run(["/bin/sh", "-c", f'{editor} "$0"', path], check=False).returncode
            if code:
                raise _error(f"editor ended with status {code}; the crontab is as it was")
            text = _read(path)
            if text == (before or EMPTY):
                sys.stderr.write("no changes were made to the crontab\n")
                return 0
            try:
                _send(user, text)
                return 0
            except CommandError as error:
                sys.stderr.write(f"{error.text}\nDo you want to retry the same edit? (y/n) ")
                sys.stderr.flush()
                if sys.stdin.readline().strip().lower()[:1] != "y":
                    raise CommandError("the crontab is as it was") from None


def _send(user: str, text: str) -> None:
    """The crontab in place of the one before. Raises CommandError that names every line that is wrong."""
    if text and not text.endswith("\n"):
        text += "\n"
    entries, wrong = _entries(user, text)
    if wrong:
        raise CommandError("\n".join([f"{PROG}: error: line {number}: {why}" for number, why in wrong]))
    request = {"user": user, "text": text, "entries": entries, "idempotencyKey": os.urandom(16).hex()}
    try:
        call("SetCrontab", request)
    except CallError as error:
        raise _error(f"{error.slurm}: {error.message}" if error.slurm else error.message) from None


def _entries(user: str, text: str) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    """The jobs of a crontab, and what is wrong with which lines, counted from 1."""
    from packhorse.cli.slurm.directives import DirectiveError, words_of

    entries: list[dict[str, Any]] = []
    wrong: list[tuple[int, str]] = []
    words: list[str] = []
    for number, line in enumerate(text.splitlines()):
        if line.startswith(MAGIC):
            try:
                words += words_of(line[len(MAGIC) :], number + 1)
            except DirectiveError as error:
                wrong.append((number + 1, str(error)))
        elif line.strip() and not line.lstrip().startswith("#"):
            try:
                when, what = _split(line)
                entries.append({"line": number, "when": when, "spec": _spec(user, words, what)})
            except (CommandError, UsageError, PackhorseError) as error:
                why = getattr(error, "text", None) or getattr(error, "lines", None) or str(error)
                wrong.append((number + 1, str(why).removeprefix(f"{PROG}: error: ")))
            words = []
    return entries, wrong


def _split(line: str) -> tuple[str, str]:
    """(time, command). Raises BadValue."""
    from packhorse.scheduler.model.cron import parse_cron

    line = line.strip()
    parts = line.split(None, 1 if line.startswith("@") else 5)
    n = 1 if line.startswith("@") else 5
    when = " ".join(parts[:n])
    parse_cron(when)
    if len(parts) <= n:
        raise BadValue("no command after the time")
    return when, parts[n]


def _spec(user: str, words: list[str], what: str) -> dict[str, Any]:
    """The job of a line. Raises CommandError and UsageError."""
    from packhorse.cli.slurm.sbatch_options import PARSER as SBATCH
    from packhorse.cli.slurm.submission import merged

    found, arguments = SBATCH.parse(words)
    if arguments:
        raise CommandError(f"{arguments[0]} is no option of a job")
    options = merged(SBATCH, [], [], found)
    for name in REFUSED:
        if name in options:
            raise CommandError(f"--{name} is not for jobs of a crontab")
    options.setdefault("export", "NONE")
    options.setdefault("chdir", _home(user))
    script = (HEAD + what + "\n").encode("utf-8", "surrogateescape")
    name = os.path.basename(what.split()[0])
    request = sbatch_request.build(options, script, name, what, [], f"{PROG} {what}")
    spec: dict[str, Any] = request["spec"]
    return spec


def _home(user: str) -> str:
    import pwd

    try:
        return (pwd.getpwnam(user) if user else pwd.getpwuid(os.getuid())).pw_dir
    except KeyError:
        return "/"


if __name__ == "__main__":
    sys.exit(main())
