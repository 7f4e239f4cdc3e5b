"""sbcast: a file is copied to all nodes of a job, by a step of the job that reads it from us.

The step runs as the job's owner, beside whatever else runs, and holds nothing. What it writes has another
name until it is whole.
"""

from __future__ import annotations

import os
import stat
import sys
from time import time

from packhorse.cli.slurm.options import (
    HARMLESS,
    NONE,
    OPTIONAL,
    REQUIRED,
    USED,
    WARNED,
    Parser,
    UsageError,
    print_version,
    take_server,
)
from packhorse.cli.slurm.process import CommandError, run
from packhorse.cli.slurm.submission import tell_no_effect
from packhorse.cli.transport import CallError, call, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROG = "sbcast"

TABLE = {
    "compress": ("C", OPTIONAL, WARNED),
    "exclude": ("", REQUIRED, HARMLESS),
    "fanout": ("F", REQUIRED, HARMLESS),
    "force": ("f", NONE, USED),
    "help": ("", NONE, USED),
    "jobid": ("j", REQUIRED, USED),
    "preserve": ("p", NONE, USED),
    "send-libs": ("", OPTIONAL, WARNED),
    "server": ("", REQUIRED, USED),
    "size": ("s", REQUIRED, HARMLESS),
    "timeout": ("t", REQUIRED, HARMLESS),
    "usage": ("", NONE, USED),
    "verbose": ("v", NONE, USED),
    "version": ("V", NONE, USED),
}

PARSER = Parser(PROG, TABLE, bad=1)

VARIABLES = {
    "SBCAST_COMPRESS": "compress",
    "SBCAST_EXCLUDE": "exclude",
    "SBCAST_FANOUT": "fanout",
    "SBCAST_FORCE": "force",
    "SBCAST_PRESERVE": "preserve",
    "SBCAST_SEND_LIBS": "send-libs",
    "SBCAST_SIZE": "size",
    "SBCAST_TIMEOUT": "timeout",
}

_COPY = """\
umask 077
d=$1
p=$d.$SLURM_JOB_ID.$SLURM_STEP_ID.$SLURMD_NODENAME
say() { echo "sbcast: error: $SLURMD_NODENAME: $d: $1" >&2; exit 1; }
there() { [ -e "$d" ] || [ -h "$d" ]; }
ours() { [ "$(stat -c %Z "$d")" -ge "$6" ]; }
[ ! -d "$d" ] || say "Is a directory"
if [ -z "$2" ] && there && ! ours "$@"; then say "File exists"; fi
trap 'rm -f "$p"' EXIT
trap 'exit 1' TERM INT
cat >"$p" || exit 1
[ "$(wc -c <"$p")" -eq "$5" ] || say "not all of it came"
chmod "$3" "$p" || exit 1
if [ -n "$4" ]; then touch -m -d "@${4% *}" "$p" && touch -a -d "@${4#* }" "$p" || exit 1; fi
if [ -n "$2" ]; then mv -f "$p" "$d"
elif ln "$p" "$d" 2>/dev/null; then :
elif ! there; then mv -n "$p" "$d"
elif ours "$@" && cmp -s "$p" "$d"; then :
else say "File exists"
fi
"""
"""$1: where to. $2: "f" to replace what is there. $3: its mode. $4: "MODIFIED ACCESSED", seconds, "" for now.
$5: its size. $6: since when, in seconds, what is there may be this very copy, made on a node that shares the
directory."""


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `sbcast WORDS`."""
    found, arguments = PARSER.parse(words)
    options = {option: os.environ[name] for name, option in VARIABLES.items() if name in os.environ}
    options.update(found)
    for name in ("help", "usage", "version"):
        if name in options:
            if name == "version":
                print_version()
            else:
                from packhorse.cli.slurm import usage

                usage.show(PROG, name)
            return 0
    take_server(found)
    if len(arguments) != 2:
        raise UsageError(
            f'Need two file names, have {len(arguments)} names\nTry "{PROG} --help" for more information', 1
        )
    _check_amounts(options)
    if options.get("compress") == "none":
        del options["compress"]
    if options.get("send-libs") == "no":
        del options["send-libs"]
    tell_no_effect(TABLE, options)
    return _broadcast(options, *arguments)


def _check_amounts(options: dict[str, str]) -> None:
    """Raises CommandError for numbers that are none, even where they have no effect here."""
    for name in ("fanout", "size", "timeout"):
        text = options.get(name, "")
        digits = text[:-1] if name == "size" and text[-1:].lower() in ("k", "m") else text
        if text and not (digits.isascii() and digits.isdecimal() and len(digits) < 19):
            raise CommandError(f'{PROG}: error: --{name}={text}: not a number, as in "8m" for --size', 1)


def _broadcast(options: dict[str, str], source: str, target: str) -> int:
    job_id, nodes = _where(options.get("jobid") or os.environ.get("SLURM_JOB_ID", ""))
    try:
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CommandError(f"{PROG}: error: Can't open `{source}`: {error.strerror}", 1) from None
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise CommandError(f"{PROG}: error: {source}: only a regular file can be copied", 1)
    if target.endswith("/"):
        target += os.path.basename(source)
    place = os.path.join(os.getcwd(), target)
    times = f"{found.st_mtime_ns / 1e9:.6f} {found.st_atime_ns / 1e9:.6f}" if "preserve" in options else ""
    force = "f" if "force" in options else ""
    began = str(int(time()))
    mode = f"{stat.S_IMODE(found.st_mode) & 0o777:o}"
    spec: dict[str, Any] = {
        "name": "bcast",
        "workDir": "/",
        "environment": ["PATH=/usr/local/bin:/usr/bin:/bin"],
        "argv": ["/bin/sh", "-c", _COPY, "sh", place, force, mode, times, str(found.st_size), began],
        "tasksPerNode": 1,
        "overlap": "overlap",
    }
    if nodes:
        spec |= {"nodesRequired": nodes, "minNodes": len(nodes), "maxNodes": len(nodes)}
    made = _create(job_id, spec)
    if "verbose" in options:
        names = " ".join([str(field(node, "node", "")) for node in field(made, "nodes", [])])
        sys.stderr.write(f"{PROG}: {source}: {found.st_size} bytes, mode {mode}, to {place} on {names}\n")
    from packhorse.cli.slurm.steps.copying import feed

    return feed(PROG, job_id, made, fd, quiet="verbose" not in options)


def _where(text: str) -> tuple[int, list[str]]:
    """The job, and the nodes where a step of it is named; [] for all of the job's. Raises CommandError."""
    if not text:
        raise CommandError(
            f"{PROG}: error: Need a job id to run this command. Run from within a Slurm job or use the "
            "--jobid option.",
            1,
        )
    job, dot, step = text.partition(".")
    if not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in (job, step) if part or dot):
        raise CommandError(f'{PROG}: error: "{text}" is no job and no step of one: write 15 or 15.0', 1)
    if not dot:
        return int(job), []
    try:
        found = call("GetStep", {"jobId": int(job), "stepId": int(step)})
    except CallError as error:
        raise CommandError(f"{PROG}: error: {text}: {error.slurm or error.message}", 1) from None
    return int(job), [str(field(node, "node", "")) for node in field(found, "nodes", [])]


def _create(job_id: int, spec: dict[str, Any]) -> dict[str, Any]:
    """The step that copies. It holds nothing, so nothing is waited for. Raises CommandError."""
    body = {"jobId": job_id, "spec": spec, "idempotencyKey": os.urandom(16).hex()}
    try:
        made = call("CreateStep", body)
    except CallError as error:
        raise CommandError(f"{PROG}: error: job {job_id}: {error.slurm or error.message}", 1) from None
    if busy := field(made, "busy", ""):
        raise CommandError(f"{PROG}: error: job {job_id}: {busy}", 1)
    return made


if __name__ == "__main__":
    sys.exit(main())
