"""Logs: one JSON object a line in a file, or readable lines on standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, TextIO

import msgspec
import structlog

CONSOLE = "-"
"""As log file: standard error, for people."""


def configure(home: Path, file: str, level: str) -> TextIO:
    """Sends everything that is logged from now on to `file` below home; returns the open file."""
    number = logging.getLevelNamesMapping()[level.upper()]
    out: TextIO
    if file == CONSOLE:
        out = sys.stderr
    else:
        path = home / file
        path.parent.mkdir(parents=True, exist_ok=True)
        out = path.open("a", encoding="utf-8", buffering=1)
    renderer = _console if file == CONSOLE else _json
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=_Forbearing(out)),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Forward()]
    root.setLevel(max(number, logging.WARNING))
    return out


def set_level(level: str) -> None:
    """What is logged from now on, without another file."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        **{**structlog.get_config(), "wrapper_class": structlog.make_filtering_bound_logger(number)}
    )
    logging.getLogger().setLevel(max(number, logging.WARNING))


class _Forbearing:
    """Writes where it can: a full disk must not keep what is logged from being done."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> None:
        try:
            self._out.write(text)
        except OSError:
            pass  # there is nowhere left to say it

    def flush(self) -> None:
        try:
            self._out.flush()
        except OSError:
            pass


class _Forward(logging.Handler):
    """What libraries log through the standard library, as lines of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger()
        keys = {"logger": record.name, "text": record.getMessage()}
        error = record.exc_info[1] if record.exc_info else None
        if type(error).__module__ == "aiohttp.http_exceptions":
            # Not HTTP, and not our fault: an agent that dials a port which has changed hands, say.
            logger.info("http.malformed", why=str(error).partition("\n")[0])
            return
        if record.exc_info:
            keys["exception"] = logging.Formatter().formatException(record.exc_info)
        logger.log(max(record.levelno, logging.WARNING), "library.logged", **keys)


def _json(logger: object, method: str, keys: MutableMapping[str, Any]) -> str:
    ordered = {"at": keys.pop("at"), "level": keys.pop("level"), "event": keys.pop("event"), **keys}
    return msgspec.json.encode(ordered, enc_hook=str).decode()


def _console(logger: object, method: str, keys: MutableMapping[str, Any]) -> str:
    at, level, event = keys.pop("at"), keys.pop("level"), keys.pop("event")
    exception = keys.pop("exception", "")
    rest = " ".join([f"{key}={value}" for key, value in keys.items()])
    line = f"{at[11:23]} {level:<7} {event} {rest}".rstrip()
    return f"{line}\n{exception}" if exception else line
