"""Orders to suspend and continue, as an agent carries them out, and what it says of them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from packhorse.agent.binding import Binder, Processor
from packhorse.agent.bounds import Bounding
from packhorse.agent.launch import control, launcher
from packhorse.agent.launch.launcher import Supervised
from packhorse.agent.orders import SuspendOrder, SuspensionReport
from packhorse.agent.suspending import Suspensions
from packhorse.agent.usage import Sampler
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.node import NodeSpec
from tests.agent.launch.yard import Yard
from tests.agent.sampling.orders import KEY, an_order

STOP, GO_ON = SuspendOrder(KEY, True), SuspendOrder(KEY, False)


class Place:
    """An attempt that sleeps, bound to the first of two processors."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.said: list[SuspensionReport] = []
        self.binder = Binder([Processor(0), Processor(1, 1)], 2000)
        self.binder.take(str(KEY), 1000)
        bounding = Bounding(NodeSpec(NodeName("n1"), "host", 2000, 100), binder=self.binder)
        self.sampler = Sampler()
        self.suspensions = Suspensions(yard.launcher, bounding, self.sampler, self.said.append)

    async def begin(self) -> Supervised:
        supervised = await self.yard.launch("sleep 600", key=str(KEY))
        self.sampler.watch(KEY, supervised, an_order())
        return supervised

    def is_suspended(self) -> bool:
        return self.sampler._watched[KEY].meter.is_suspended


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    yard = Yard(tmp_path, "none")
    yield Place(yard)
    await yard.close()


async def test_it_says_what_came_of_it(place: Place) -> None:
    supervised = await place.begin()
    await place.suspensions.obey(STOP, supervised)
    assert place.said == [SuspensionReport(KEY, True)]
    assert place.is_suspended() and place.binder.load_milli() == {0: 1, 1: 0}
    await place.suspensions.obey(GO_ON, supervised)
    assert place.said[1:] == [SuspensionReport(KEY, False)]
    assert not place.is_suspended() and place.binder.load_milli() == {0: 1000, 1: 0}
    await place.yard.launcher.terminate(supervised, 0)
    await place.yard.end(supervised)
    await place.suspensions.obey(STOP, supervised)
    assert place.said[2:] == [SuspensionReport(KEY, False, "it is over")]


async def test_a_supervisor_that_does_not_answer(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "REPLY_S", 0.05)
    supervised = await place.begin()
    os.kill(supervised.pid, signal.SIGSTOP)
    await place.suspensions.obey(STOP, supervised)
    assert place.said == [SuspensionReport(KEY, False, "its supervisor does not answer")]
    assert place.binder.load_milli() == {0: 1000, 1: 0}
    os.kill(supervised.pid, signal.SIGCONT)
    monkeypatch.undo()
    await place.yard.launcher.terminate(supervised, 0)
    await place.yard.end(supervised)


async def test_what_counts_is_what_came_of_the_newest_order(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However late the answer to an older one is read."""
    supervised = await place.begin()
    real = place.yard.launcher.send
    late = asyncio.Event()

    async def send(to: Supervised, order: control.Order) -> control.ControlReply:
        reply = await real(to, order)
        if isinstance(order, control.Suspend):
            await late.wait()
        return reply

    monkeypatch.setattr(place.yard.launcher, "send", send)
    older = asyncio.create_task(place.suspensions.obey(STOP, supervised))
    await asyncio.sleep(0.05)
    await place.suspensions.obey(GO_ON, supervised)
    late.set()
    await older
    assert place.said == [SuspensionReport(KEY, False)]
    assert not place.is_suspended()
    monkeypatch.undo()
    await place.yard.launcher.terminate(supervised, 0)
    await place.yard.end(supervised)
