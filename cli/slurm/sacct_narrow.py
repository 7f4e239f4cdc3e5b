"""sacct's filters on what a job asked for and was given: --constraints, --ncpus, --nnodes, --reason,
--timelimit-min, --timelimit-max, --wckeys; and --truncate. They are about jobs: steps go with theirs.
"""

from __future__ import annotations

from packhorse.cli.slurm.process import CommandError
from packhorse.scheduler.model.units import UnitError, parse_count_range, parse_time_limit_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Row = dict[str, Any]
    Test = Callable[[Row], bool]


def narrowed(rows: list[Row], options: dict[str, str]) -> list[Row]:
    """The rows of jobs that pass, in the same order. Raises CommandError for values that are none."""
    tests = [make(options) for name, make in _MAKE.items() if name in options]
    if not tests:
        return rows
    passed = {
        (row["job_id"], row["attempt"])
        for row in rows
        if row["row_kind"] == "job" and all(test(row) for test in tests)
    }
    return [row for row in rows if (row["job_id"], row["attempt"]) in passed]


def truncated(rows: list[Row], since_us: int, until_us: int) -> None:
    """Starts and ends outside the window become its edges. since_us: 0 for the beginning."""
    for row in rows:
        if row["start_at"]:
            row["start_at"] = max(row["start_at"], since_us)
        if row["end_at"]:
            row["end_at"] = min(row["end_at"], until_us)


def _constraints(options: dict[str, str]) -> Test:
    """All of them among the features asked for."""
    wanted = {name.strip() for name in options["constraints"].split(",") if name.strip()}

    def test(row: Row) -> bool:
        text = row["features"]
        asked = {word for word in text.translate(_NOT_IN_NAMES).split() if word}
        return wanted <= asked

    return test


_NOT_IN_NAMES = str.maketrans(dict.fromkeys("&|,()[]*", " "))


def _range(option: str, column: str) -> Callable[[dict[str, str]], Test]:
    def make(options: dict[str, str]) -> Test:
        text = options[option]
        try:
            low, high = parse_count_range(text)
        except UnitError:
            raise CommandError(f"sacct: error: --{option}={text}: write a number or MIN-MAX") from None
        return lambda row: low <= int(row[column]) <= high

    return make


def _reason(options: dict[str, str]) -> Test:
    wanted = {word.strip().lower() for word in options["reason"].split(",")}
    return lambda row: str(row["reason"]).lower() in wanted


def _wckeys(options: dict[str, str]) -> Test:
    wanted = {word.strip() for word in options["wckeys"].split(",")}
    return lambda row: row["wckey"] in wanted


def _time_limit(options: dict[str, str]) -> Test:
    """That limit, or between the two; 0 is no limit, which no bound includes but itself."""
    low = _limit(options, "timelimit-min")
    if "timelimit-max" not in options:
        return lambda row: int(row["time_limit_s"]) == low
    high = _limit(options, "timelimit-max") or (1 << 62)
    return lambda row: low <= (int(row["time_limit_s"]) or (1 << 62)) <= high


def _limit(options: dict[str, str], name: str) -> int:
    try:
        return parse_time_limit_s(options[name])
    except UnitError as error:
        raise CommandError(f"sacct: error: --{name}: {error}") from None


_MAKE: dict[str, Callable[[dict[str, str]], Test]] = {
    "constraints": _constraints,
    "ncpus": _range("ncpus", "alloc_cpus"),
    "nnodes": _range("nnodes", "n_nodes"),
    "reason": _reason,
    "timelimit-min": _time_limit,
    "wckeys": _wckeys,
}
