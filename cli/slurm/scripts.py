"""Batch scripts as they were submitted."""

from __future__ import annotations

from packhorse.cli.transport import call, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def batch_script(ref: dict[str, Any]) -> str:
    """The script of one job; bytes that are no text are kept as surrogates."""
    from binascii import a2b_base64

    reply = call("GetJobScript", {"job": ref})
    return a2b_base64(str(field(reply, "script", ""))).decode("utf-8", "surrogateescape")
