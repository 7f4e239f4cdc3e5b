"""Where the input of a step comes from and its output goes: --input, --output, --error.

Files whose names differ from task to task or node to node (%t, %n, %N) are opened by the nodes; all others by
srun, through which the bytes go then.
"""

from __future__ import annotations

import os

from packhorse.cli.slurm.process import CommandError, program
from packhorse.cli.slurm.sbatch_request import refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from packhorse.cli.slurm.steps.lines import LineWriter

NOTHING = "/dev/null"
ALL = -1
NONE = -2


class Stream:
    """One of the three. pattern: a file that the nodes open, "": through srun. path: srun's own file, a
    pattern too, "": its standard stream. rank: the one task that is meant, ALL, or NONE.
    """

    def __init__(self, pattern: str = "", path: str = "", rank: int = ALL) -> None:
        self.pattern = pattern
        self.path = path
        self.rank = rank


class Streams:
    """All three of a step. append: files are not emptied."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self.append = _append(options)
        self.input = _stream(options.get("input", ""))
        if self.input.rank == NONE:
            self.input.pattern = ""
        self.output = _stream(options.get("output", ""))
        self.errors = _stream(options["error"]) if "error" in options else self.output
        self.one_file = self.errors is self.output or self.errors.path == self.output.path != ""
        if self.output.pattern and not self.errors.pattern:
            raise refuse(
                "--error through srun and --output to files of the nodes (%t, %n, %N or none) cannot be "
                "combined: give --error a file of the nodes too, as in --error=err.%t",
                1,
            )

    def describe(self, spec: dict[str, object]) -> None:
        """Adds to a step's request what the nodes have to know."""
        for key, stream in (("stdIn", self.input), ("stdOut", self.output), ("stdErr", self.errors)):
            if stream.pattern:
                spec[key] = stream.pattern
        if self.errors.pattern == self.output.pattern:
            spec.pop("stdErr", None)
        if self.append:
            spec["append"] = True
        if self.input.rank != ALL:
            spec["inputRank"] = self.input.rank

    def open_input(self, names: Names) -> int:
        """The descriptor whose bytes go to the tasks, -1: none."""
        if self.input.rank == NONE or self.input.pattern:
            return -1
        if not self.input.path:
            return 0
        path = names.expand(self.input.path)
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _unopened("stdin", path, error) from None

    def open_outputs(
        self, names: Names, n_tasks: int, *, label: bool, raw: bool
    ) -> tuple[LineWriter, LineWriter]:
        """(output, error output). raw: pass on what comes as it comes."""
        from packhorse.cli.slurm.steps.lines import LineWriter

        out_fd = self._open(self.output, names, 1)
        err_fd = out_fd if self.one_file and self.output.path else self._open(self.errors, names, 2)
        whole = not raw
        return (
            LineWriter(out_fd, n_tasks, label=label, whole_lines=whole, only=self.output.rank),
            LineWriter(err_fd, n_tasks, label=label, whole_lines=whole, only=self.errors.rank),
        )

    def _open(self, stream: Stream, names: Names, standard: int) -> int:
        if not stream.path:
            return standard
        path = names.expand(stream.path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_APPEND if self.append else os.O_TRUNC)
        try:
            return os.open(path, flags, 0o666)
        except OSError as error:
            raise _unopened("stdout" if standard == 1 else "stderr", path, error) from None


class Names:
    """What the symbols in a file's name stand for."""

    def __init__(self, job_id: int, step_id: int, job_name: str) -> None:
        self._job_id = job_id
        self._step_id = step_id
        self._job_name = job_name

    def expand(self, pattern: str) -> str:
        """The file's name."""
        if "%" not in pattern and "\\" not in pattern:
            return pattern
        from packhorse.cli.slurm.users import own_name
        from packhorse.scheduler.model.outputpath import expand_pattern

        environment = os.environ
        return expand_pattern(
            pattern,
            job_id=self._job_id,
            array_job_id=_number(environment.get("SLURM_ARRAY_JOB_ID"), self._job_id),
            array_index=_number(environment.get("SLURM_ARRAY_TASK_ID"), -1),
            job_name=self._job_name,
            user=own_name(),
            node=os.uname().nodename.partition(".")[0],
            step=str(self._step_id),
        )


def of_nodes(pattern: str) -> bool:
    """Whether the nodes open this file: its name has %t, %n or %N in it."""
    if "\\" in pattern:
        return False
    at = pattern.find("%")
    while at >= 0:
        at += 1
        while pattern[at : at + 1].isdecimal():
            at += 1
        if pattern[at : at + 1] in ("t", "n", "N"):
            return True
        at = pattern.find("%", at + 1)
    return False


def _stream(mode: str) -> Stream:
    if mode in ("", "all", "-"):
        return Stream()
    if mode == "none":
        return Stream(pattern=NOTHING, rank=NONE)
    if mode.isdecimal() and mode.isascii() and len(mode) < 10:
        return Stream(rank=int(mode))
    return Stream(pattern=mode) if of_nodes(mode) else Stream(path=mode)


def _append(options: Mapping[str, str]) -> bool:
    if "open-mode" not in options:
        return False
    mode = options["open-mode"].lower()
    if mode not in ("a", "append", "t", "truncate"):
        raise refuse("Invalid --open-mode specification")
    return mode[0] == "a"


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdecimal() and text.isascii() else otherwise


def _unopened(stream: str, path: str, error: OSError) -> CommandError:
    return CommandError(f"{program()}: error: Could not open {stream} file {path}: {error.strerror}", 1)
