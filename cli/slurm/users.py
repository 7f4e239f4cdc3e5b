"""User names and numbers."""

from __future__ import annotations

import os


def own_name() -> str:
    """The caller's name, the number where the system has none."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def known_name(text: str) -> str:
    """The name of a user given by name or number, "" if there is no such user."""
    import pwd

    try:
        if text.isdecimal() and text.isascii():
            return pwd.getpwuid(int(text)).pw_name
        return pwd.getpwnam(text).pw_name
    except (KeyError, OverflowError):
        return text if text.isdecimal() and text.isascii() else ""
