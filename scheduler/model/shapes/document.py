"""The whole of an answer: what was asked for, with meta, errors and warnings beside it."""

from __future__ import annotations

from packhorse.scheduler.model.shapes.shape import VERSION, Shape, always, counted, inner, number, text, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

RELEASE = ("24", "11", "0")
"""The Slurm whose answers these are like."""

_PLUGIN = Shape(
    "openapi_meta_plugin",
    {
        "type": text("plugin_type"),
        "name": text("plugin_name"),
        "data_parser": always("text", f"data_parser/{VERSION}"),
        "accounting_storage": always("text", ""),
    },
)
_CLIENT = Shape(
    "openapi_meta_client", {"source": text("source"), "user": text("user"), "group": text("group")}
)
_NUMBERS = Shape(
    "openapi_meta_version",
    {
        "major": always("text", RELEASE[0]),
        "micro": always("text", RELEASE[2]),
        "minor": always("text", RELEASE[1]),
    },
)
_SLURM = Shape(
    "openapi_meta_slurm",
    {"version": inner(_NUMBERS), "release": always("text", ".".join(RELEASE)), "cluster": text("cluster")},
)
META = Shape(
    "openapi_meta",
    {
        "plugin": inner(_PLUGIN),
        "client": inner(_CLIENT),
        "command": ("texts", lambda row: row["command"]),
        "slurm": inner(_SLURM),
    },
)

ERROR = Shape(
    "openapi_error",
    {
        "description": text("description"),
        "error_number": whole("error_number"),
        "error": text("error"),
        "source": text("source"),
    },
)
WARNING = Shape("openapi_warning", {"description": text("description"), "source": text("source")})

LAST_UPDATE = counted("now_s")
"""The field beside lists of the controller's."""

NOBODY = {
    "plugin_type": "",
    "plugin_name": "",
    "source": "",
    "user": "",
    "group": "",
    "command": [],
    "cluster": "",
}
"""What META says of a caller of whom it says nothing."""


def envelope(
    content: dict[str, Any],
    about: dict[str, Any],
    *,
    now_s: int = 0,
    errors: Sequence[dict[str, Any]] = (),
    warnings: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """`content` with the rest. about: for META, what NOBODY leaves to say. now_s: 0 for no last_update."""
    whole_answer = dict(content)
    if now_s:
        whole_answer["last_update"] = number(now_s)
    whole_answer["meta"] = META.of(NOBODY | about)
    whole_answer["errors"] = [ERROR.of(error) for error in errors]
    whole_answer["warnings"] = [WARNING.of(warning) for warning in warnings]
    return whole_answer
