"""What speaks against new work on a node, and who takes it back."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from packhorse.agent import readiness, site_options
from packhorse.agent.files import Spool
from packhorse.agent.readiness import Against, Readiness
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.node import Offer

OFFER = Offer(7, 4000, 8192, dead_devices=(("gpu", 1),))


@pytest.fixture
def files() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


class Watched:
    """A readiness that notes what is offered after every change."""

    def __init__(self, spool: Spool, files: ThreadPoolExecutor) -> None:
        self.offers: list[str] = []
        self.readiness = Readiness(spool, files, self._changed)

    def _changed(self) -> None:
        self.offers.append(self.offer().reason)

    def offer(self) -> Offer:
        return self.readiness.offer(OFFER)


def test_reasons_come_and_go(tmp_path: Path, files: ThreadPoolExecutor) -> None:
    watched = Watched(Spool(tmp_path), files)
    assert watched.offer() == OFFER
    watched.readiness.say(Against.HEALTH, "hot")
    watched.readiness.say(Against.HEALTH, "hot")
    watched.readiness.say(Against.DISK, "full")
    assert not watched.offer().accepting and watched.offer().dead_devices == OFFER.dead_devices
    watched.readiness.say(Against.HEALTH, "")
    watched.readiness.say(Against.HEALTH, "")
    watched.readiness.say(Against.DISK, "")
    assert watched.offers == ["hot", "full; hot", "full", ""]
    assert watched.offer() == OFFER


async def test_a_drain_lasts_until_it_is_resumed(tmp_path: Path, files: ThreadPoolExecutor) -> None:
    spool = Spool(tmp_path)
    watched = Watched(spool, files)
    await watched.readiness.drain("prolog failed: exit 3")
    await watched.readiness.drain("epilog failed: exit 1")
    assert watched.offers == ["prolog failed: exit 3"], "the first is told"
    again = Watched(Spool(tmp_path), files)
    assert again.offer().reason == "prolog failed: exit 3"
    await again.readiness.resume()
    assert again.offers == [""]
    assert Watched(Spool(tmp_path), files).offer().accepting


async def test_a_full_disk_is_tried_until_it_takes_a_write(
    tmp_path: Path, files: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    class Full(Spool):
        def keep_epoch(self, epoch: int) -> None:
            tries.append(epoch)
            if len(tries) < 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(readiness, "DISK_CHECK_S", 0.001)
    watched = Watched(Full(tmp_path), files)
    watched.readiness.say(Against.HEALTH, "hot")
    await asyncio.gather(
        watched.readiness.disk_trouble("full", lambda: 5), watched.readiness.disk_trouble("full", lambda: 5)
    )
    assert tries == [5, 5, 5]
    assert watched.offers == ["hot", "full; hot", "hot"]


@pytest.mark.parametrize(
    ("text", "value"), [("90", 90), ("90s", 90), ("5m", 300), ("1.5h", 5400), ("0.5", 0.5), ("24h", 86_400)]
)
def test_seconds(text: str, value: float) -> None:
    assert site_options.seconds("prolog-timeout", text) == value


@pytest.mark.parametrize("text", ["", "0", "-1", "often", "25h", "nan", "inf", "5 m s", "m"])
def test_no_seconds(text: str) -> None:
    with pytest.raises(BadValue, match="--prolog-timeout"):
        site_options.seconds("prolog-timeout", text)
