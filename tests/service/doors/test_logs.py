"""Logs must never be what keeps a scheduler from doing its work."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from packhorse.scheduler.service import logs


@pytest.fixture
def restored() -> Iterator[None]:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


def test_a_full_disk_does_not_stop_what_is_logged(tmp_path: Path, restored: None) -> None:
    out = logs.configure(tmp_path, "/dev/full", "info")
    for number in range(1000):
        structlog.get_logger().error("store.failed", why="x" * 100, number=number)
    logging.getLogger("library").warning("said by a library")
    with pytest.raises(OSError, match="No space left"):
        out.close()


def test_a_caller_that_speaks_no_http_is_no_error_of_ours(tmp_path: Path, restored: None) -> None:
    from aiohttp.http_exceptions import BadHttpMessage

    out = logs.configure(tmp_path, "log", "info")
    try:
        raise BadHttpMessage("Pause on PRI/Upgrade")
    except BadHttpMessage:
        logging.getLogger("aiohttp.server").exception("Error handling request")
    out.close()
    text = (tmp_path / "log").read_text()
    assert "http.malformed" in text
    assert "Traceback" not in text
