"""Lines of `sacctmgr dump`: how they are cut, for those who load one and those who import one."""

from __future__ import annotations


def cut(text: str) -> list[str] | None:
    """Cut at colons that are in no quotes, which go; None if a quote is not closed."""
    parts, part, quote = [], "", ""
    for char in text:
        if quote:
            if char == quote:
                quote = ""
            else:
                part += char
        elif char in "'\"":
            quote = char
        elif char == ":":
            parts.append(part)
            part = ""
        else:
            part += char
    return None if quote else [*parts, part]
