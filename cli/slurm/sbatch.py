"""sbatch: submit a batch script.

Options come from the command line, from SBATCH_* variables and from #SBATCH lines; the first of these that
has an option decides (as Slurm's manual page says, and 22.05 does).
"""

from __future__ import annotations

import os
import sys

from packhorse.cli.slurm import sbatch_request
from packhorse.cli.slurm.options import UsageError, print_version, take_server
from packhorse.cli.slurm.process import CommandError, run
from packhorse.cli.slurm.sbatch_options import PARSER, TABLE, from_environment
from packhorse.cli.slurm.sbatch_request import SCRIPT_LIMIT, WRAP_HEAD, refuse
from packhorse.cli.slurm.submission import (
    error_code,
    list_options,
    merged,
    refused,
    tell_estimate,
    tell_no_effect,
    warn_of_too_many_nodes,
)
from packhorse.cli.transport import CallError, TransportError, call, field, int_field

PROG = "sbatch"


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `sbatch WORDS`."""
    try:
        return _command(words)
    except (CommandError, UsageError) as error:
        error.code = error_code(error.code)
        raise
    except TransportError as error:
        raise CommandError(f"{PROG}: error: Batch job submission failed: {error}", error_code(1)) from error


def _command(words: list[str]) -> int:
    line_options, arguments = PARSER.parse(words)
    for name, _ in line_options:
        if name in ("help", "usage", "version"):
            _tell(name)
            return 0
    if (arguments and arguments[0] == ":") or ":" in words[: len(words) - len(arguments)]:
        raise refuse("heterogeneous jobs (:) are not supported by Packhorse yet")
    line = dict(line_options)
    if "wrap" in line and arguments:
        raise refuse("Script arguments not permitted with --wrap option", 1)
    directives: list[tuple[str, str]] = []
    path = ""
    if "wrap" in line:
        script = (WRAP_HEAD + line["wrap"] + "\n").encode("utf-8", "surrogateescape")
        name = "wrap"
    else:
        script, path = _read_script(arguments, line.get("chdir", ""))
        directives = _directives(script, path)
        if b"#PBS" in script and "ignore-pbs" not in line and "SBATCH_IGNORE_PBS" not in os.environ:
            directives = _pbs(script, path) + directives
        name = os.path.basename(path) or PROG
    options = merged(PARSER, directives, from_environment(dict(os.environ)), line_options)
    take_server(list(options.items()))
    tell_no_effect(TABLE, options)
    shown = " ".join([PROG, *words])
    shown_command = " ".join([path, *arguments[1:]]) if path else ""
    request = sbatch_request.build(options, script, name, shown_command, arguments[1:], shown)
    warn_of_too_many_nodes(request["spec"]["ask"])
    if "verbose" in options:
        list_options(options)
    return _submit(request, options)


def _tell(name: str) -> None:
    if name == "version":
        print_version()
        return
    from packhorse.cli.slurm import usage

    usage.show(PROG, name)


def _read_script(arguments: list[str], chdir: str) -> tuple[bytes, str]:
    """(the script, its path, "" for standard input)."""
    path = ""
    try:
        if not arguments or arguments[0] == "-":
            script = sys.stdin.buffer.read(SCRIPT_LIMIT + 1)
        else:
            path = _resolve(arguments[0], chdir)
            with open(path, "rb") as file:
                script = file.read(SCRIPT_LIMIT + 1)
    except IsADirectoryError:
        script = b""
    except OSError:
        raise refuse(f"Unable to open file {arguments[0] if arguments else '-'}", 1) from None
    shown = path or "on standard input"
    if len(script) > SCRIPT_LIMIT:
        raise refuse(
            f"Batch script {shown} is over the limit of {SCRIPT_LIMIT} bytes (1 MiB): keep data and programs "
            f"in files of their own\n{PROG}: error: Batch job submission failed: "
            "Pathname of a file, directory or other parameter too long",
            1,
        )
    if not script.strip():
        raise refuse("Batch script is empty!", 1)
    if not script.startswith(b"#!"):
        raise refuse(
            "This does not look like a batch script.  The first\n"
            f"{PROG}: error: line must start with #! followed by the path to an interpreter.\n"
            f"{PROG}: error: For instance: #!/bin/sh",
            1,
        )
    if b"\0" in script:
        raise refuse(
            "The Slurm controller does not allow scripts that\n"
            f"{PROG}: error: contain a NULL character '\\0'.",
            1,
        )
    if b"\r\n" in script:
        raise refuse(
            "Batch script contains DOS line breaks (\\r\\n)\n"
            f"{PROG}: error: instead of expected UNIX line breaks (\\n).",
            1,
        )
    return script, path


def _resolve(given: str, chdir: str) -> str:
    """Where the script lies: in the directory of --chdir, in the present one, else on PATH for a bare
    name."""
    here = sbatch_request.working_directory()
    path = os.path.join(here, chdir, given)
    for place in (path, os.path.join(here, given)):
        if os.path.exists(place):
            return place
    if "/" in given:
        return path
    for directory in os.environ.get("PATH", "").split(":"):
        candidate = os.path.join(directory or ".", given)
        if os.access(candidate, os.R_OK) and os.path.isfile(candidate):
            return os.path.abspath(candidate)
    return path


def _directives(script: bytes, path: str) -> list[tuple[str, str]]:
    """The options in the script's #SBATCH lines."""
    if b"#SBATCH" not in script:
        return []
    words = _words(script, path, "#SBATCH")
    if "hetjob" in words or "packjob" in words:
        raise refuse("heterogeneous jobs (#SBATCH hetjob) are not supported by Packhorse yet")
    options, others = PARSER.parse(words)
    if others:
        raise refuse(f"Invalid directive found in batch script: {others[0]}")
    return options


def _pbs(script: bytes, path: str) -> list[tuple[str, str]]:
    """What the script's #PBS lines amount to; its #SBATCH lines say more."""
    from packhorse.cli.slurm import pbs

    return PARSER.parse(pbs.words(_words(script, path, pbs.MAGIC)))[0]


def _words(script: bytes, path: str, magic: str) -> list[str]:
    from packhorse.cli.slurm.directives import DirectiveError, directive_words

    try:
        return directive_words(script.decode("utf-8", "surrogateescape"), magic)
    except DirectiveError as error:
        shown = path or "(standard input)"
        raise CommandError(f"{PROG}: fatal: {shown}: line {error.line}: {error}", 1) from None


def _submit(request: dict[str, object], options: dict[str, str]) -> int:
    cluster = ""
    if options.get("clusters"):
        from packhorse.cli.slurm.clusters import checked

        cluster = checked(PROG, options["clusters"])
    test_only = "test-only" in options
    try:
        reply = call("SubmitJob", request)
    except CallError as error:
        raise refused(error, test_only) from None
    for warning in field(reply, "warnings", []):
        sys.stderr.write(f"{PROG}: warning: {warning}\n")
    job_id = int_field(reply, "job_id")
    if test_only:
        tell_estimate(reply, job_id)
    for note in field(reply, "notes", []):
        sys.stderr.write(f"{PROG}: {note}\n")
    if test_only:
        return 0
    if "quiet" not in options:
        if "parsable" in options:
            sys.stdout.write(f"{job_id};{cluster}\n" if cluster else f"{job_id}\n")
        else:
            sys.stdout.write(
                f"Submitted batch job {job_id}" + (f" on cluster {cluster}\n" if cluster else "\n")
            )
        sys.stdout.flush()
    if "wait" in options:
        from packhorse.cli.slurm.waiting import wait_for

        return wait_for(PROG, job_id)
    return 0


if __name__ == "__main__":
    sys.exit(main())
