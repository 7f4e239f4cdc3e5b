"""`sacctmgr --json show …` and `--yaml`, in the shapes of /slurmdb."""

from __future__ import annotations

from packhorse.cli.slurm.process import CommandError
from packhorse.cli.slurm.sacctmgr_show import listed
from packhorse.cli.slurm.structured import listing
from packhorse.scheduler.model.shapes import book

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Row = dict[str, Any]

PROG = "sacctmgr"

_SHAPES = {
    "account": ("accounts", book.ACCOUNT),
    "association": ("associations", book.ASSOC),
    "coordinator": ("coordinators", book.COORDINATOR),
    "qos": ("qos", book.QOS),
    "tres": ("TRES", book.TRES_ROW),
    "user": ("users", book.USER),
    "wckey": ("wckeys", book.WCKEY),
}


def document(entity: str, rows: list[Row], options: dict[str, str]) -> str:
    """What is printed of rows of an entity. Raises CommandError where there is no shape of it."""
    if entity not in _SHAPES:
        raise CommandError(f"{PROG}: error: show {entity} has no JSON; there are {', '.join(_SHAPES)}")
    name, shape = _SHAPES[entity]
    return listing(PROG, options, name, shape, _completed(entity, rows))


def _completed(entity: str, rows: list[Row]) -> list[Row]:
    """With what the shapes tell beyond the table. Of accounts and users each once."""
    if entity == "association":
        ways = {row["id"]: row["lineage"] for row in book.with_lineages(listed("associations"))}
        return [row | {"lineage": ways[row["id"]]} for row in rows]
    if entity in ("account", "user"):
        associations = book.grouped(listed("associations"), entity)
        keys = book.grouped(_numbered(listed("wckeys")), "user")
        return [
            row | {"associations": associations.get(name, []), "wckeys": keys.get(name, [])}
            for name, row in {row[entity]: row for row in rows}.items()
        ]
    if entity == "coordinator":
        return [{"name": row["user"]} for row in rows]
    if entity == "wckey":
        return _numbered(rows)
    return rows


def _numbered(rows: list[Row]) -> list[Row]:
    return [row | {"id": at} for at, row in enumerate(rows, 1)]
