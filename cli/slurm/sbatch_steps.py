"""What options of sbatch leave in the job's environment: for the steps that it will start, and for the node
that starts the script."""

from __future__ import annotations

from packhorse.cli.slurm.process import CommandError, program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SAID = "PACKHORSE_SBATCH_"
"""Before the names of variables that are SLURM_… in the job: what comes from a job that sbatch ran in has no
such name."""

HOW_USER_ENV = "PACKHORSE_GET_USER_ENV"
"""Seconds and mode, as in "8L"; the node takes it out again."""

_HINTS = ("compute_bound", "memory_bound", "multithread", "nomultithread")


def variables(options: Mapping[str, str]) -> dict[str, str]:
    """The variables. Raises CommandError for what cannot be meant."""
    found = {f"{SAID}{name}": value for name, value in _said(options).items()}
    if "get-user-env" in options or not _takes_all(options.get("export") or "ALL"):
        found[f"{SAID}GET_USER_ENV"] = "1"
        found[HOW_USER_ENV] = _how(options.get("get-user-env", ""))
    return found


def _said(options: Mapping[str, str]) -> dict[str, str]:
    """Those that are SLURM_… in the job, without that."""
    found: dict[str, str] = {}
    if "distribution" in options:
        found |= _distribution(options["distribution"])
    if "gpu-bind" in options:
        found["GPU_BIND"] = options["gpu-bind"]
    if "overcommit" in options:
        found["OVERCOMMIT"] = "1"
        if "ntasks" in options:
            found |= dict.fromkeys(("NTASKS", "NPROCS"), options["ntasks"])
    if options.get("hint", "nomultithread") not in _HINTS:
        raise _refused("hint", f'"{options["hint"]}" is not one of {", ".join(_HINTS)}')
    if "time-min" in options:
        _check_time(options["time-min"])
    if "container" in options:
        found["CONTAINER"] = options["container"]
    if "container-image" in options:
        if "container" in options:
            raise _refused("container-image", "--container names a bundle already; give one of the two")
        found["CONTAINER_IMAGE"] = options["container-image"]
    return found


def _takes_all(export: str) -> bool:
    """Whether the caller's environment goes along, so that there is no need for another one."""
    return "ALL" in export.upper().split(",")


def _distribution(text: str) -> dict[str, str]:
    """`block:cyclic`, `plane=4`, `cyclic,NoPack`."""
    first, _, size = text.partition(",")[0].partition(":")[0].partition("=")
    if first not in ("block", "cyclic", "arbitrary", "plane", "*") or (first == "plane") != size.isdecimal():
        raise _refused("distribution", text)
    found = {"DISTRIBUTION": text}
    if first == "plane":
        found["DIST_PLANESIZE"] = size
    return found


def _how(text: str) -> str:
    """`[SECONDS][S|L]` of --get-user-env, filled up: 8 seconds, a login shell."""
    seconds, mode = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "L")
    seconds = seconds or "8"
    if mode not in "SL" or not (seconds.isdecimal() and seconds.isascii() and 0 < int(seconds) <= 600):
        raise _refused(
            "get-user-env", f'"{text}" is not a number of seconds up to 600, S, L, or both as in 10L'
        )
    return seconds + mode


def _check_time(text: str) -> None:
    from packhorse.scheduler.model.units import UnitError, parse_time_limit_s

    try:
        parse_time_limit_s(text)
    except UnitError:
        raise CommandError(f"{program()}: error: Invalid --time-min specification", 255) from None


def _refused(option: str, why: str) -> CommandError:
    return CommandError(f"{program()}: error: Invalid --{option} specification: {why}", 255)
