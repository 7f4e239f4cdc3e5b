"""How fast tasks' output comes to the client of a step, and how long a step takes to start.

    python -m benchmarks.step_output [--tasks 64] [--mb 10] [--starts 50] [--json FILE]

One supervisor, one client that counts bytes (and in a first run checks each task's against what it wrote), on
one processor together with the tasks (`--cpus 0` for all processors). Tasks are `cat` of a file of lines, so
that they cost as little as a writer can. Starts: from the order for the step to the first byte of what a task
wrote, and to the news of the end; tasks of `echo`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import resource
import socket
import statistics
import struct
import tempfile
import time
from pathlib import Path

from packhorse.agent.cgroups import Cgroups
from packhorse.agent.launch.control import Attach
from packhorse.agent.launch.launcher import Launcher, Supervised
from packhorse.agent.launch.spec import LaunchSpec, StepPlan, Task

HEADER = struct.Struct("<BII")
CONFIRM_EVERY = 1 << 17
READ = 1 << 18


class Counted:
    """What came of each task, without keeping it."""

    def __init__(self, n: int) -> None:
        self.digests = [hashlib.md5(usedforsecurity=False) for _ in range(n)]
        self.sizes = [0] * n
        self.first_at = self.over_at = 0.0


def receive(connection: socket.socket, counted: Counted, *, check: bool) -> None:
    """Reads frames until the step is over. check: digest the bytes, which costs as much as the rest."""
    buffer = bytearray(READ + (1 << 17))
    view = memoryview(buffer)
    filled = got = confirmed = 0
    while True:
        n = connection.recv_into(view[filled:])
        assert n, "hung up on"
        filled += n
        got += n
        at = 0
        while filled - at >= HEADER.size:
            kind, rank, length = HEADER.unpack_from(buffer, at)
            end = at + HEADER.size + length
            if end > filled:
                break
            if kind == 1:
                counted.first_at = counted.first_at or time.perf_counter()
                counted.sizes[rank] += length
                if check:
                    counted.digests[rank].update(view[at + HEADER.size : end])
            elif kind == 6:
                counted.over_at = time.perf_counter()
                return
            at = end
        view[: filled - at] = view[at:filled]
        filled -= at
        if got - confirmed >= CONFIRM_EVERY:
            confirmed = got
            connection.sendall(HEADER.pack(20, 0, 8) + struct.pack("<Q", got))


class Place:
    """Where steps run. No control groups: they have nothing to do with it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.launcher = Launcher(home, Cgroups.detect("bench", home, "none"))
        self._number = 0

    async def launch(self, argv: tuple[str, ...], n: int) -> Supervised:
        self._number += 1
        directory = self.home / f"step-{self._number}"
        directory.mkdir(mode=0o700)
        tasks = tuple([Task(rank=rank, argv=argv) for rank in range(n)])
        return await self.launcher.launch(
            LaunchSpec(
                key=f"1.1.1.{self._number}",
                attempt_dir=str(directory),
                argv=(),
                environment=("PATH=/usr/bin:/bin",),
                cwd=str(self.home),
                uid=os.getuid(),
                gid=os.getgid(),
                step=StepPlan(tasks=tasks, n_tasks=n, input_rank=-2),
            )
        )

    async def attach(self, supervised: Supervised) -> socket.socket:
        near, far = socket.socketpair()
        with far:
            await self.launcher.send(supervised, Attach(owner=True), far)
        line = b""
        while not line.endswith(b"\n"):
            line += near.recv(1)
        return near


async def throughput(place: Place, n: int, mb: int, *, check: bool) -> dict[str, float]:
    """MB/s of all tasks together; CPU seconds of the supervisor's side and of this client."""
    source = place.home / "lines"
    line = b"".join(b"%015d of a task's output\n" % i for i in range(1024))
    wanted = mb * 1_000_000
    source.write_bytes((line * (wanted // len(line) + 1))[:wanted])
    digest = hashlib.md5(source.read_bytes(), usedforsecurity=False).digest()
    supervised = await place.launch(("/bin/cat", str(source)), n)
    connection = await place.attach(supervised)
    counted = Counted(n)
    begun, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    with connection:
        receive(connection, counted, check=check)
    seconds = counted.over_at - begun
    peak_mib = _peak_mib(supervised.pid)
    now = resource.getrusage(resource.RUSAGE_SELF)
    record = await place.launcher.wait(supervised)
    assert record.exit_code == 0 and counted.sizes == [wanted] * n, "something is lost"
    if check:
        assert all(one.digest() == digest for one in counted.digests), "something is not in order"
    return {
        "mb_per_s": n * mb / seconds,
        "client_cpu_s": now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime,
        "supervisor_peak_mib": peak_mib,
    }


def _peak_mib(pid: int) -> float:
    """The most that a process was resident with, what it shares with others included."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


async def starts(place: Place, n_tasks: int, times: int) -> dict[str, float]:
    """Milliseconds from the order to the first byte, and to the frame that tells of the end."""
    first, over = [], []
    for _ in range(times):
        begun = time.perf_counter()
        supervised = await place.launch(("/bin/echo", "here"), n_tasks)
        connection = await place.attach(supervised)
        counted = Counted(n_tasks)
        with connection:
            receive(connection, counted, check=False)
        first.append((counted.first_at - begun) * 1000)
        over.append((counted.over_at - begun) * 1000)
        await place.launcher.wait(supervised)
    return {"first_byte_ms": statistics.median(first), "over_ms": statistics.median(over)}


async def measure(args: argparse.Namespace) -> dict[str, object]:
    if args.cpus:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.cpus])
    with tempfile.TemporaryDirectory() as home:
        place = Place(Path(home))
        await place.launcher.start()
        try:
            return {
                "checked": await throughput(place, args.tasks, args.mb, check=True),
                "output": await throughput(place, args.tasks, args.mb, check=False),
                "start_1": await starts(place, 1, args.starts),
                "start_8": await starts(place, 8, args.starts),
            }
        finally:
            await place.launcher.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=64)
    parser.add_argument("--mb", type=int, default=10)
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = asyncio.run(measure(args))
    print(json.dumps(found, indent=1))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
