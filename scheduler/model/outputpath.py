"""File name patterns of --output, --error and --input: `%x-%j.out`, `%A_%4a.log`.

Slurm's symbols; a number between % and the letter pads a number with zeros (`%5j`, at most 10 wide). A path
with a backslash is taken as it stands, without the backslashes.
Standard library only and no imports: the Slurm-style commands and the agents load this file.
"""

from __future__ import annotations

DEFAULT_OUTPUT = "slurm-%j.out"
DEFAULT_ARRAY_OUTPUT = "slurm-%A_%a.out"

NO_INDEX = 4294967294
"""What %a becomes outside an array (Slurm's NO_VAL)."""

_MAX_WIDTH = 10


def default_output(is_array: bool) -> str:
    """The pattern where the user gave none."""
    return DEFAULT_ARRAY_OUTPUT if is_array else DEFAULT_OUTPUT


def expand_pattern(
    pattern: str,
    *,
    job_id: int,
    array_job_id: int = 0,
    array_index: int = -1,
    job_name: str = "",
    user: str = "",
    node: str = "",
    node_index: int = 0,
    step: str = "batch",
    task: int = 0,
    per_task: bool = False,
) -> str:
    """The path of one process. array_job_id 0 and array_index -1: not an array; step: `batch` or a step's
    number.

    per_task: what differs between a step's nodes and tasks (%t, %n, %N), and %%, is left for them to fill in.
    Unknown symbols stay as they are. The result is not made absolute.
    """
    if "\\" in pattern:
        return pattern.replace("\\", "")
    if "%" not in pattern:
        return pattern
    out = ""
    start = 0
    n = len(pattern)
    while True:
        mark = pattern.find("%", start)
        if mark < 0 or mark + 1 >= n:
            return out + pattern[start:]
        out += pattern[start:mark]
        end = mark + 1
        while end < n and pattern[end] in "0123456789":
            end += 1
        letter = pattern[end : end + 1]
        width = min(int(pattern[mark + 1 : end] or "0"), _MAX_WIDTH)
        if per_task and letter in ("%", "t", "n", "N"):
            out += pattern[mark : end + 1]
        elif letter == "%" and end == mark + 1:
            out += "%"
        elif letter == "j":
            out += str(job_id).zfill(width)
        elif letter == "A":
            out += str(array_job_id or job_id).zfill(width)
        elif letter == "a":
            out += str(array_index if array_index >= 0 else NO_INDEX).zfill(width)
        elif letter == "b":
            out += str((array_index if array_index >= 0 else NO_INDEX) % 10).zfill(width)
        elif letter == "n":
            out += str(node_index).zfill(width)
        elif letter == "t":
            out += str(task).zfill(width)
        elif letter == "J":
            out += str(job_id).zfill(width) if step == "batch" else f"{str(job_id).zfill(width)}.{step}"
        elif letter == "s":
            out += step.zfill(width) if step.isdecimal() else step
        elif letter == "N":
            out += node.partition(".")[0]
        elif letter == "u":
            out += user
        elif letter == "x":
            out += job_name
        else:
            out += pattern[mark : end + 1]
        start = end + 1
