"""Jobs of a known size, measured while they run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from packhorse.agent.launch.launcher import Supervised
from packhorse.agent.launch.spec import Limits
from packhorse.agent.sampling.attempt import AttemptMeter, final_usage, read_kept
from packhorse.scheduler.model.resources import Usage
from tests.agent.launch.yard import Yard, until
from tests.agent.sampling.orders import KEY, an_order

MIB = 1024
"""In KiB."""

PYTHON_KIB = 40 * MIB
"""More than an interpreter takes by itself."""


@pytest.fixture
def said() -> list[str]:
    """What the meters found odd."""
    return []


def meter(supervised: Supervised, said: list[str]) -> AttemptMeter:
    return AttemptMeter(KEY, supervised, an_order(400), said.append)


async def python(yard: Yard, program: str, *arguments: str) -> Supervised:
    return await yard.launch(
        argv=("python3", "-c", program, *arguments),
        limits=Limits(mem_mib=400),
        environment=(f"PATH={os.environ['PATH']}",),
    )


async def settled(look: Callable[[], None], holds: Callable[[], object], what: str) -> None:
    """Looks again and again: a kernel books pages with some delay."""

    def looked() -> object:
        look()
        return holds()

    await until(looked, what)


async def test_memory_and_its_peak(yard: Yard, said: list[str]) -> None:
    program = (
        "import time; x = bytearray(150 << 20); print(file=open('full', 'w')); "
        "[time.sleep(0.01) for _ in iter(lambda: __import__('os').path.exists('shrink'), True)]; "
        "del x; print(file=open('shrunk', 'w')); time.sleep(600)"
    )
    running = await python(yard, program)
    watched = meter(running, said)
    await yard.written("full")
    watched.look()
    assert 150 * MIB <= watched.mem_kib < 150 * MIB + PYTHON_KIB
    yard.path("shrink").touch()
    await yard.written("shrunk")
    await settled(watched.look_at_memory, lambda: watched.mem_kib < PYTHON_KIB, "the memory to be given back")
    usage = watched.usage()
    assert 150 * MIB <= usage.max_rss_kib < 150 * MIB + PYTHON_KIB
    assert usage.max_vm_kib > 150 * MIB
    assert not said
    watched.close()
    await yard.launcher.terminate(running, 0)
    await yard.end(running)


async def test_pages_that_processes_share_count_once(yard: Yard, said: list[str]) -> None:
    program = (
        "import mmap, os, time; x = mmap.mmap(-1, 100 << 20); x.write(b'x' * (100 << 20)); "
        "[os.fork() or (sum(x[::4096]), print(file=open(f'child{i}', 'w')), time.sleep(600)) "
        "for i in range(3)]; time.sleep(600)"
    )
    running = await python(yard, program)
    watched = meter(running, said)
    for child in range(3):
        await yard.written(f"child{child}")
    watched.look()
    assert 100 * MIB <= watched.mem_kib < 100 * MIB + 4 * PYTHON_KIB
    watched.close()
    await yard.launcher.terminate(running, 0)
    await yard.end(running)


async def test_page_cache_is_apart_and_disk_traffic_is_told(yard: Yard, said: list[str]) -> None:
    body = "dd if=/dev/zero of=big bs=1M count=100 2>/dev/null; touch done; echo >> done; exec sleep 600"
    running = await yard.launch(body, limits=Limits(mem_mib=400))
    watched = meter(running, said)
    await yard.written("done")
    watched.look()
    usage = watched.usage()
    assert watched.mem_kib < PYTHON_KIB
    assert 100 << 20 <= usage.disk_write_bytes < 101 << 20
    if not yard.cgroups.isolation.startswith("rlimits"):
        assert 95 * MIB < usage.max_cache_kib < 110 * MIB
        assert usage.max_rss_kib < PYTHON_KIB
    await yard.launcher.terminate(running, 0)
    record = await yard.end(running)
    watched.close()
    if not yard.cgroups.isolation.startswith("rlimits"):
        assert record.peak_mem_kib < PYTHON_KIB
    told = Usage(max_rss_kib=max(record.max_rss_kib, record.peak_mem_kib), max_cache_kib=record.cache_kib)
    final = final_usage(record, told, watched.kept())
    assert final.max_rss_kib < PYTHON_KIB


async def test_processor_time_of_the_living_and_the_dead(yard: Yard, said: list[str]) -> None:
    burn = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"
    running = await yard.launch(f"({burn}); ({burn}); echo >> done; exec sleep 600")
    watched = meter(running, said)
    await yard.written("done")
    watched.look()
    seen = watched.usage()
    await yard.launcher.terminate(running, 0)
    record = await yard.end(running)
    watched.close()
    total = seen.user_cpu_us + seen.system_cpu_us
    assert total > 30_000
    assert total == pytest.approx(record.user_us + record.system_us, rel=0.3, abs=60_000)


async def test_the_next_attempt_of_a_supervisor_begins_at_nothing(yard: Yard, said: list[str]) -> None:
    burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"
    await yard.run(f"dd if=/dev/zero of=big bs=1M count=20 2>/dev/null; {burn}")
    running = await yard.launch("echo >> done; exec sleep 600")
    watched = meter(running, said)
    await yard.written("done")
    watched.look()
    usage = watched.usage()
    assert usage.user_cpu_us + usage.system_cpu_us < 250_000
    assert usage.disk_write_bytes < 1 << 20
    watched.close()
    await yard.launcher.terminate(running, 0)
    await yard.end(running)


async def test_another_agent_goes_on_counting(yard: Yard, said: list[str]) -> None:
    program = (
        "import time; x = bytearray(120 << 20); print(file=open('full', 'w')); time.sleep(0.2); del x; "
        "t = time.process_time() + 0.3\nwhile time.process_time() < t: pass\n"
        "print(file=open('done', 'w')); time.sleep(600)"
    )
    running = await python(yard, program)
    first = meter(running, said)
    await yard.written("full")
    first.look()
    first.keep()
    first.close()
    await yard.written("done")
    second = meter(running, said)
    second.look()
    usage = second.usage()
    assert 120 * MIB <= usage.max_rss_kib < 120 * MIB + PYTHON_KIB, "its peak was before this agent"
    assert second.mem_kib < 120 * MIB
    assert usage.user_cpu_us + usage.system_cpu_us > 250_000
    assert read_kept(running.attempt_dir).usage.max_rss_kib == first.peak_kib
    second.close()
    await yard.launcher.terminate(running, 0)
    await yard.end(running)
    assert not said


async def test_a_job_that_ends_between_two_looks(yard: Yard, said: list[str], tmp_path: Path) -> None:
    running = await yard.launch("exit 3")
    watched = meter(running, said)
    await asyncio.wait_for(yard.launcher.wait(running), 30)
    watched.look()
    watched.look_at_memory()
    assert not said
    watched.close()
