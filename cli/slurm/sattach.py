"""sattach: join a step that runs, its output, its input, and what becomes of its tasks."""

from __future__ import annotations

import sys

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
from packhorse.cli.slurm.submission import error_code
from packhorse.cli.transport import CallError, call, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from packhorse.cli.slurm.steps.door import StepNode

PROG = "sattach"

TABLE = {
    "error-filter": ("", REQUIRED, USED),
    "help": ("h", NONE, USED),
    "input-filter": ("", REQUIRED, USED),
    "label": ("l", NONE, USED),
    "layout": ("", NONE, USED),
    "output-filter": ("", REQUIRED, USED),
    "pty": ("", NONE, USED),
    "quiet": ("Q", NONE, USED),
    "server": ("", REQUIRED, USED),
    "usage": ("u", NONE, USED),
    "verbose": ("v", NONE, USED),
    "version": ("V", NONE, USED),
    "debugger-test": ("", NONE, HARMLESS),
}

PARSER = Parser(PROG, TABLE, bad=1)


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `sattach WORDS`."""
    try:
        return _command(words)
    except (CommandError, UsageError) as error:
        error.code = error_code(error.code)
        raise


def _command(words: list[str]) -> int:
    found, arguments = PARSER.parse(words)
    options = dict(found)
    for name in ("help", "usage", "version"):
        if name in options:
            if name == "version":
                print_version()
            else:
                from packhorse.cli.slurm import usage

                usage.show(PROG, name)
            return 0
    take_server(found)
    if len(arguments) != 1:
        raise CommandError(f"{PROG}: error: One and only one step to attach to has to be given, as in 15.0")
    job_id, step_id = _step(arguments[0])
    filters = [_rank(options, f"{name}-filter") for name in ("output", "error", "input")]
    if "pty" in options and any(rank >= 0 for rank in filters):
        raise CommandError(f"{PROG}: error: --pty is not compatible with the filter options")
    try:
        made = call("GetStep", {"jobId": job_id, "stepId": step_id})
    except CallError as error:
        raise CommandError(f"{PROG}: error: {arguments[0]}: {error.slurm or error.message}") from None
    from packhorse.cli.slurm.steps.start import step_nodes, still_there

    nodes = step_nodes(made)
    if "layout" in options:
        sys.stdout.write(layout(nodes))
        return 0
    from packhorse.cli.slurm.steps.client import StepClient
    from packhorse.cli.slurm.steps.lines import LineWriter
    from packhorse.cli.slurm.steps.steering import Settings
    from packhorse.cli.slurm.steps.terminal import Raw

    settings = Settings()
    settings.prog = PROG
    settings.role = "watch"
    settings.quiet = "quiet" in options
    settings.verbose = "verbose" in options
    settings.stdin = -1  # only a step's owner feeds it
    n_tasks = sum([len(node.ranks) for node in nodes])
    label, pty = "label" in options, "pty" in options
    client = StepClient(
        str(field(made, "key", "")),
        f"{job_id}.{step_id}",
        nodes,
        LineWriter(1, n_tasks, label=label, whole_lines=not pty, only=filters[0]),
        LineWriter(2, n_tasks, label=label, whole_lines=not pty, only=filters[1]),
        settings,
        lambda: still_there(job_id, step_id),
    )
    if not pty:
        return client.run()
    with Raw(0):
        return client.run()


def layout(nodes: list[StepNode]) -> str:
    """What --layout prints: which tasks are where."""
    from packhorse.scheduler.model.hostlist import compress

    n_tasks = sum([len(node.ranks) for node in nodes])
    names = compress([node.name for node in nodes])
    lines = ["Job step layout:", f"\t{n_tasks} tasks, {len(nodes)} nodes ({names})", ""]
    for index, node in enumerate(nodes):
        ranks = "".join([f"{rank} " for rank in node.ranks])
        lines.append(f"\tNode {index} ({node.name}), {len(node.ranks)} task(s): {ranks}")
    return "\n".join(lines) + "\n"


def _step(text: str) -> tuple[int, int]:
    """(job, step) of `15.0`, `15` being its first."""
    job, dot, step = text.partition(".")
    parts = (job, step) if dot else (job, "0")
    if not all(part.isdecimal() and part.isascii() and len(part) < 19 for part in parts):
        raise CommandError(f'{PROG}: error: "{text}" is not a step: write JOB.STEP, as in 15.0')
    return int(job), int(parts[1])


def _rank(options: dict[str, str], name: str) -> int:
    """The one task that a filter lets through, -1: all."""
    text = options.get(name, "")
    if not text:
        return -1
    if not (text.isdecimal() and text.isascii() and len(text) < 10):
        raise CommandError(f'{PROG}: error: Invalid numeric value "{text}" for --{name}.')
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
