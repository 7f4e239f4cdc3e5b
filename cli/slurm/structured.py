"""`--json` and `--yaml` of the commands, in the shape of Slurm 24.11's data parser v0.0.42.

The shapes are those of the scheduler's REST interface (scheduler/model/shapes).
"""

from __future__ import annotations

from packhorse.cli.slurm.process import CommandError
from packhorse.scheduler.model.shapes.document import envelope
from packhorse.scheduler.model.shapes.shape import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from packhorse.scheduler.model.shapes.shape import Shape


def document(prog: str, options: dict[str, str], content: dict[str, Any], now_s: int = 0) -> str:
    """The answer in the form that the options name. now_s: of the scheduler, where the answer tells it.

    Raises CommandError for the shapes of another version.
    """
    form = "yaml" if "yaml" in options else "json"
    version = options[form]
    if version not in ("", VERSION):
        raise CommandError(f"{prog}: error: --{form}={version}: answers have the shape of {VERSION} only")
    answer = envelope(content, {"command": [prog]}, now_s=now_s)
    if form == "yaml":
        from packhorse.scheduler.model.shapes.yaml import yaml

        return yaml(answer)
    from packhorse.cli.wire import dumps_text

    return dumps_text(answer, 2) + "\n"


def listing(
    prog: str, options: dict[str, str], name: str, shape: Shape, rows: list[dict[str, Any]], now_s: int = 0
) -> str:
    """The same of one list, an object of `shape` for each row."""
    return document(prog, options, {name: [shape.of(row) for row in rows]}, now_s)
