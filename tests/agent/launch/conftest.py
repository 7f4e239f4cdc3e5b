"""Every test that launches jobs runs with the machine's cgroups, and again without any."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from packhorse.agent.cgroups import Wish
from tests.agent.launch.yard import Yard


@pytest.fixture(params=["auto", "none"])
def wish(request: pytest.FixtureRequest) -> Wish:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
async def yard(tmp_path: Path, wish: Wish) -> AsyncIterator[Yard]:
    yard = Yard(tmp_path, wish)
    if wish == "auto" and not yard.cgroups.tracking:
        pytest.skip("no cgroup can be used here")
    try:
        yield yard
    finally:
        await yard.close()


@pytest.fixture
async def plain(tmp_path: Path) -> AsyncIterator[Yard]:
    """Without cgroups, for what has nothing to do with them."""
    yard = Yard(tmp_path, "none")
    try:
        yield yard
    finally:
        await yard.close()
