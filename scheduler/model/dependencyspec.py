"""`--dependency` texts: `afterok:12:13,after:14+5`, `afterany:7?afterok:8`, `singleton`.

Standard library only and no imports: the Slurm-style commands load this file.
"""

from __future__ import annotations

KINDS = ("after", "afterany", "afterok", "afternotok", "aftercorr", "singleton")
"""What this release can wait for. Slurm also has afterburstbuffer and expand, which are refused by name."""

_REFUSED = ("afterburstbuffer", "expand")

Condition = tuple[str, int, int, int]
"""(kind, job id, array index, minutes): index -1 is the whole job or array; minutes count after its start
(`after` only, else 0); `singleton` has job id 0."""


class DependencyError(ValueError):
    """A dependency that cannot be read; the text says which part and why."""


def parse_dependency(text: str) -> tuple[bool, tuple[Condition, ...]]:
    """(any_is_enough, conditions): conditions joined by `?` need one of them, by `,` all of them.

    As in Slurm a job id after a comma without a kind waits for its end: `afterok:1,2` is
    `afterok:1,afterany:2`.
    """
    if not text:
        return False, ()
    if "," in text and "?" in text:
        raise DependencyError(f'dependency "{text}": "," and "?" cannot be mixed')
    any_is_enough = "?" in text
    conditions: list[Condition] = []
    for part in text.split("?" if any_is_enough else ","):
        kind, colon, rest = part.partition(":")
        lowered = kind.lower()
        if lowered == "singleton" and not colon:
            conditions.append(("singleton", 0, -1, 0))
        elif lowered in _REFUSED:
            raise DependencyError(f'dependency "{text}": {lowered} is not supported by Packhorse yet')
        elif lowered in KINDS and lowered != "singleton" and colon:
            conditions.extend(_job(lowered, job, text) for job in rest.split(":"))
        elif kind[:1].isdecimal() and not colon:
            conditions.append(_job("afterany", kind, text))
        else:
            raise DependencyError(
                f'dependency "{text}": "{part}" is not one of {", ".join(KINDS)} with job ids (afterok:12:13)'
            )
    return any_is_enough, tuple(conditions)


def format_dependency(any_is_enough: bool, conditions: tuple[Condition, ...]) -> str:
    """The text of conditions, one kind per condition: `afterok:12,afterok:13`."""
    parts = []
    for kind, job_id, index, minutes in conditions:
        if kind == "singleton":
            parts.append(kind)
            continue
        parts.append(
            f"{kind}:{job_id}" + (f"_{index}" if index >= 0 else "") + (f"+{minutes}" if minutes else "")
        )
    return ("?" if any_is_enough else ",").join(parts)


def _job(kind: str, job: str, text: str) -> Condition:
    """One `ID`, `ID_INDEX`, `ID_*`, each with an optional `+MINUTES` for `after`."""
    name, plus, minutes = job.partition("+")
    id_text, underscore, index_text = name.partition("_")
    if not _is_number(id_text) or int(id_text) == 0:
        raise DependencyError(f'dependency "{text}": "{job}" is not a job id')
    if underscore and index_text != "*" and not _is_number(index_text):
        raise DependencyError(f'dependency "{text}": "{job}" is not a job id with an array index')
    if plus and (kind != "after" or not _is_number(minutes)):
        raise DependencyError(f'dependency "{text}": "+minutes" belongs to after:ID only')
    index = int(index_text) if underscore and index_text != "*" else -1
    return (kind, int(id_text), index, int(minutes) if plus else 0)


def _is_number(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) <= 12
