"""Reservations and licences: `reservation_info` and `license`."""

from __future__ import annotations

from packhorse.scheduler.model.shapes.shape import (
    Shape,
    always,
    inner,
    instant,
    no_number,
    number,
    text,
    whole,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Row = dict[str, Any]


def tres_text(row: Row) -> str:
    """What it sets aside, as scontrol writes it."""
    parts = [f"cpu={row['cpus']}"] if row["cpus"] else []
    parts += [f"license/{name}" for name in _license_parts(row["licenses"])]
    return ",".join(parts) or "(null)"


def _license_parts(text: str) -> list[str]:
    """`name=count` of each."""
    found = []
    for part in text.split(",") if text else ():
        name, _, n = part.replace("=", ":").partition(":")
        found.append(f"{name}={n or 1}")
    return found


_PURGE = Shape(
    "reservation_info_purge",
    {
        "time": (
            "number",
            lambda row: number(max(row["purge_after_s"], 0), unset=row["purge_after_s"] < 0),
        )
    },
)
_CORE = Shape("reservation_core_spec", {"node": text("node"), "core": text("core")})
RESERVATION = Shape(
    "reservation_info",
    {
        "accounts": text("accounts"),
        "burst_buffer": always("text", ""),
        "core_count": whole("cores"),
        "core_specializations": (("list", _CORE), lambda row: []),
        "end_time": instant("end_at"),
        "features": text("features"),
        "flags": (
            "texts",
            lambda row: [flag.partition("=")[0] for flag in row["flags"].split(",") if flag],
        ),
        "groups": text("groups"),
        "licenses": text("licenses"),
        "max_start_delay": always("int", 0),
        "name": text("name"),
        "node_count": whole("n_nodes"),
        "node_list": text("nodes"),
        "partition": text("partition"),
        "purge_completed": inner(_PURGE),
        "start_time": instant("start_at"),
        "watts": no_number(),
        "tres": ("text", tres_text),
        "users": text("users"),
    },
)

LICENSE = Shape(
    "license",
    {
        "LicenseName": text("name"),
        "Total": whole("total"),
        "Used": whole("used"),
        "Free": whole("free"),
        "Remote": always("bool", False),
        "Reserved": always("int", 0),
        "LastConsumed": always("int", 0),
        "LastDeficit": always("int", 0),
        "LastUpdate": always("int", 0),
    },
)
