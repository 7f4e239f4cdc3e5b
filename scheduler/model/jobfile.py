"""Where a job's input and output go, as far as it can be known."""

from __future__ import annotations

from packhorse.scheduler.model.outputpath import default_output, expand_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def job_file(row: dict[str, Any], name: str) -> str:
    """The absolute path of `std_in`, `std_out` or `std_err` of a job. Symbols not decided yet stay: %a of the
    waiting part of an array, %N before the start.
    """
    is_array = bool(row["array_pending"]) or row["array_task_id"] >= 0
    pattern: str = row[name]
    if not pattern:
        if name == "std_in":
            pattern = "/dev/null"
        else:
            pattern = row["std_out"] or default_output(is_array)
    if "\\" not in pattern:
        if row["array_pending"]:
            pattern = _protected(pattern, "ab")
        if not row["batch_host"]:
            pattern = _protected(pattern, "N")
    path = expand_pattern(
        pattern,
        job_id=row["job_id"],
        array_job_id=row["array_job_id"],
        array_index=row["array_task_id"],
        job_name=row["name"],
        user=row["user"],
        node=row["batch_host"],
    )
    return path if path.startswith("/") else f"{row['work_dir'].rstrip('/')}/{path}"


def _protected(pattern: str, letters: str) -> str:
    """The pattern with these symbols doubled, so that they come out of the expansion as they went in."""
    out = ""
    at = 0
    while at < len(pattern):
        end = at + 1
        if pattern[at] == "%":
            while end < len(pattern) and pattern[end].isdecimal():
                end += 1
            letter = pattern[end : end + 1]
            end = min(end + 1, len(pattern))
            if letter and letter in letters:
                out += "%"
        out += pattern[at:end]
        at = end
    return out
