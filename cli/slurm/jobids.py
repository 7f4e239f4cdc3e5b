"""Job ids as people write them: `12`, `9_3`, `9_[4-7,9]`, `12.batch`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class JobIdError(ValueError):
    """Text that is no job id."""


def job_ref(text: str) -> dict[str, Any]:
    """The request's form of `ID`, `ID_INDEX` or `ID_[INDEXES]`. Raises JobIdError."""
    head, underscore, rest = text.partition("_")
    if not (head.isdecimal() and head.isascii() and 0 < int(head) < 1 << 62):
        raise JobIdError(text)
    ref: dict[str, Any] = {"jobId": int(head), "text": text}
    if underscore and rest != "*":
        if rest.isdecimal() and rest.isascii() and len(rest) < 11:
            ref["indices"] = [{"start": int(rest), "stop": int(rest), "step": 1}]
        elif rest[:1] == "[" and rest[-1:] == "]":
            from packhorse.scheduler.model.arrayspec import ArraySpecError, parse_array

            try:
                ranges, _ = parse_array(rest[1:-1])
            except ArraySpecError:
                raise JobIdError(text) from None
            ref["indices"] = [{"start": first, "stop": last, "step": step} for first, last, step in ranges]
        else:
            raise JobIdError(text)
    return ref


def split_ids(text: str) -> list[str]:
    """`1,9_[4-7,9],3` cut at commas outside brackets; empty parts are left out."""
    if "[" not in text:
        return [part.strip() for part in text.split(",") if part.strip()]
    parts = []
    current = ""
    depth = 0
    for char in text:
        depth += (char == "[") - (char == "]")
        if char == "," and not depth:
            parts.append(current.strip())
            current = ""
        else:
            current += char
    parts.append(current.strip())
    return [part for part in parts if part]


def split_step(text: str) -> tuple[str, str]:
    """(`12`, `batch`) of `12.batch`; the step is "" where none is named."""
    head, _, step = text.partition(".")
    return head, step
