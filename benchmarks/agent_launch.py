"""One agent alone, driven by a scheduler that only gives orders: how fast it starts jobs, what it weighs,
what becomes of its jobs when it is killed.

    python -m benchmarks.agent_launch [--cgroups auto|v1|v2|none] [--keep]

A start is timed from the moment before its order goes into the stream to the first thing that the job's
script does: `bash` writing the time it has. So the way over gRPC and the start of bash are in it.

On a machine that has other work too, `chrt -r 1` before it takes the processors from that for half a minute;
the figures then say so.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import grpc
import grpc.aio

from benchmarks.__main__ import HEADER, RESULTS, machine, revision
from benchmarks.line import Line
from packhorse.v1 import agent_pb2 as pb
from packhorse.v1.agent_pb2_grpc import AgentsServicer, add_AgentsServicer_to_server

NODE = "n1"
ONE_BY_ONE = 200
MANY = 600
IN_FLIGHT = 24
HELD = 200
KILLED = 100
STAMP = b'#!/bin/bash\necho "$EPOCHREALTIME"\n'
HOLD = b"#!/bin/bash\nexec sleep 600\n"
HOLD_AND_EXIT = b'#!/bin/bash\nuntil test -e go; do sleep 0.2; done\nexit "$1"\n'


async def _no_tunnels(context: grpc.aio.ServicerContext[pb.TunnelBytes, pb.TunnelBytes]) -> None:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "there are no tunnels")


class Orders(AgentsServicer):
    """A scheduler without a plan: sends what it is told to, and hears what became of it."""

    def __init__(self) -> None:
        self.out: asyncio.Queue[pb.SchedulerMessage] = asyncio.Queue()
        self.hello: pb.Hello | None = None
        self.greeted = asyncio.Event()
        self.running: set[int] = set()
        self.exits: dict[int, pb.Exited] = {}
        self.changed = asyncio.Condition()
        self.sessions = 0

    async def Session(
        self,
        request_iterator: AsyncIterator[pb.AgentMessage],
        context: grpc.aio.ServicerContext[pb.AgentMessage, pb.SchedulerMessage],
    ) -> AsyncIterator[pb.SchedulerMessage]:
        self.out = asyncio.Queue()
        hearing = asyncio.ensure_future(self._hear(request_iterator))
        try:
            while True:
                yield await self.out.get()
        finally:
            hearing.cancel()

    async def Tunnel(  # type: ignore[override]
        self,
        request_iterator: AsyncIterator[pb.TunnelBytes],
        context: grpc.aio.ServicerContext[pb.TunnelBytes, pb.TunnelBytes],
    ) -> None:
        """Nobody is told to open one."""
        await _no_tunnels(context)

    async def RelayTunnel(  # type: ignore[override]
        self,
        request_iterator: AsyncIterator[pb.TunnelBytes],
        context: grpc.aio.ServicerContext[pb.TunnelBytes, pb.TunnelBytes],
    ) -> None:
        """Nor is anything passed on by one."""
        await _no_tunnels(context)

    async def _hear(self, messages: AsyncIterator[pb.AgentMessage]) -> None:
        async for message in messages:
            for one in message.batch.messages if message.HasField("batch") else (message,):
                self._take(one)
            async with self.changed:
                self.changed.notify_all()

    def _take(self, message: pb.AgentMessage) -> None:
        match message.WhichOneof("message"):
            case "hello":
                self.hello = message.hello
                self.sessions += 1
                self.running = {running.attempt.job_id for running in message.hello.running}
                welcome = pb.Welcome(epoch=1, cluster="bench", heartbeat_s=5, usage_s=30, takes_batches=True)
                self.out.put_nowait(pb.SchedulerMessage(welcome=welcome))
                self.greeted.set()
            case "started":
                self.running.add(message.started.attempt.job_id)
            case "exited":
                exited = message.exited
                self.running.discard(exited.attempt.job_id)
                self.exits[exited.attempt.job_id] = exited
                self.out.put_nowait(pb.SchedulerMessage(ack_exits=pb.AckExits(attempts=[exited.attempt])))
            case "heartbeat":
                self.out.put_nowait(pb.SchedulerMessage(heartbeat=pb.HeartbeatReply()))
            case _:
                pass


class Bench:
    """An agent's process and the scheduler that it talks to, in a directory of their own."""

    def __init__(self, root: Path, cgroups: str) -> None:
        self.root = root
        self.home = root / "home"
        self.work = root / "work"
        self.cgroups = cgroups
        self.orders = Orders()
        self._server = grpc.aio.server()
        self._last = 0
        self.agent: asyncio.subprocess.Process | None = None
        for directory in (self.home / "secrets", self.home / "run", self.work):
            directory.mkdir(parents=True)

    async def open(self) -> None:
        add_AgentsServicer_to_server(self.orders, self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        (self.home / "secrets" / f"agent-{NODE}.token").write_text("none\n")
        (self.home / "run" / "scheduler.addr").write_text(json.dumps({"grpc": f"127.0.0.1:{port}"}))

    async def start_agent(self, *options: str) -> float:
        """Seconds until it had introduced itself."""
        self.orders.greeted.clear()
        began = time.perf_counter()
        with (self.root / "agent.log").open("ab") as log:
            self.agent = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "packhorse.agent", "--home", str(self.home), "--node", NODE),
                *("--mem", "64G", "--cgroups", self.cgroups),
                *options,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        await asyncio.wait_for(self.orders.greeted.wait(), 60)
        return time.perf_counter() - began

    async def stop_agent(self, number: int = signal.SIGTERM) -> None:
        assert self.agent is not None
        self.agent.send_signal(number)
        await self.agent.wait()

    async def close(self) -> None:
        await self._server.stop(None)

    def order(self, script: bytes, *args: str, cpu_milli: int = 1000) -> int:
        """Sends a launch; the job's number."""
        self._last += 1
        launch = pb.Launch(
            attempt=pb.AttemptKey(job_id=self._last, number=1, epoch=1),
            uid=os.geteuid(),
            gid=os.getegid(),
            user="bench",
            script=script,
            args=args,
            environment=["PATH=/usr/local/bin:/usr/bin:/bin", f"HOME={self.root}", *FILLER],
            slurm_environment=[f"SLURM_JOB_ID={self._last}"],
            work_dir=str(self.work),
            std_out=str(self.work / f"{self._last}.out"),
            umask=0o022,
            cpu_milli=cpu_milli,
            mem_mib=256,
            kill_wait_s=1,
            allow_root=True,
        )
        self.orders.out.put_nowait(pb.SchedulerMessage(launch=launch))
        return self._last

    def end(self, job: int) -> None:
        key = pb.AttemptKey(job_id=job, number=1, epoch=1)
        order = pb.TerminateAttempt(attempt=key, grace_s=0, cause="cancelled")
        self.orders.out.put_nowait(pb.SchedulerMessage(terminate=order))

    async def until(self, ready: object, within_s: float = 120) -> None:
        """Waits until `ready()`; asked whenever the agent has said something."""
        assert callable(ready)
        async with asyncio.timeout(within_s), self.orders.changed:
            await self.orders.changed.wait_for(ready)

    def stamp(self, job: int) -> float:
        """When the job's script began, wall clock. Raises RuntimeError if it did not."""
        exited = self.orders.exits[job]
        if exited.exit_code or exited.exit_signal or exited.launch_error:
            raise RuntimeError(f"job {job} failed: {exited}")
        return float((self.work / f"{job}.out").read_text())


FILLER = [f"VARIABLE_{n}={'x' * 30}" for n in range(40)]
"""As many variables as a login shell has."""


async def one_by_one(bench: Bench, n: int = ONE_BY_ONE) -> list[float]:
    """Milliseconds from order to user code, one job at a time."""
    found = []
    for _ in range(n):
        began = time.time()
        job = bench.order(STAMP)
        await bench.until(lambda job=job: job in bench.orders.exits)
        found.append((bench.stamp(job) - began) * 1000)
    return found


async def many(bench: Bench, n: int = MANY) -> float:
    """Starts per second with IN_FLIGHT jobs at any time."""
    exits = bench.orders.exits
    before = len(exits)
    began = time.time()
    jobs: list[int] = []
    while len(jobs) < n:
        ended = len(exits) - before
        jobs += [bench.order(STAMP) for _ in range(min(n - len(jobs), IN_FLIGHT - (len(jobs) - ended)))]
        await bench.until(lambda ended=ended: len(exits) - before > ended)
    await bench.until(lambda: len(exits) - before == n)
    return n / (max(map(bench.stamp, jobs)) - began)


def memory_mib(pids: list[int]) -> tuple[float, float]:
    """What processes hold together: pages shared out among those that share them, and as resident pages."""
    pss = rss = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                pss += int(line.split()[1])
            elif line.startswith("Rss:"):
                rss += int(line.split()[1])
    return pss / 1024, rss / 1024


def own_processes(agent: int) -> list[int]:
    """Agent, fork server and supervisors, not the jobs."""
    found = [agent]
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                command = Path(f"/proc/{name}/cmdline").read_bytes()
                parent = int(Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            if b"agent.launch.forkserver" in command and (parent in found or parent in children(agent)):
                found.append(int(name))
    return found


def children(pid: int) -> list[int]:
    return [
        int(child)
        for thread in os.listdir(f"/proc/{pid}/task")
        for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
    ]


async def weight(bench: Bench, n: int) -> tuple[float, float]:
    """(PSS, RSS) in MiB with n jobs that do nothing; they are ended afterwards."""
    assert bench.agent is not None
    jobs = [bench.order(HOLD) for _ in range(n)]
    await bench.until(lambda: bench.orders.running >= set(jobs))
    await asyncio.sleep(3)  # free supervisors have gone, jobs have become what they are
    found = memory_mib(own_processes(bench.agent.pid))
    for job in jobs:
        bench.end(job)
    await bench.until(lambda: all(job in bench.orders.exits for job in jobs))
    return found


async def killed(bench: Bench, n: int = KILLED) -> tuple[int, float, int]:
    """(jobs that outlived kill -9 of their agent, seconds to their adoption, true exit codes)."""
    (bench.work / "go").unlink(missing_ok=True)
    jobs = [bench.order(HOLD_AND_EXIT, str(i % 7)) for i in range(n)]
    await bench.until(lambda: bench.orders.running >= set(jobs))
    await bench.stop_agent(signal.SIGKILL)
    took = await bench.start_agent("--cpus", "512")
    survived = len(bench.orders.running & set(jobs))
    (bench.work / "go").touch()
    await bench.until(lambda: all(job in bench.orders.exits for job in jobs))
    true = sum(bench.orders.exits[job].exit_code == i % 7 for i, job in enumerate(jobs))
    return survived, took, true


async def lines(root: Path, cgroups: str) -> list[Line]:
    """Every figure, in the order of docs/isolation.md."""
    bench = Bench(root, cgroups)
    await bench.open()
    found = []
    try:
        await bench.start_agent()  # as many processors as there are: jobs are bound
        await one_by_one(bench, 20)
        assert bench.orders.hello is not None
        isolation = bench.orders.hello.isolation
        times = sorted(await one_by_one(bench))
        p99 = times[int(len(times) * 0.99)]
        found.append(
            Line(
                "launch overhead, order → user code, median",
                statistics.median(times),
                *("ms", "less", 15, 15),
                samples=len(times),
                note=f"p99 {p99:.1f} ms; {isolation}",
                extra={"p99_ms": p99},
            )
        )
        await bench.stop_agent()
        await bench.start_agent("--cpus", "512")
        await many(bench, 100)
        rates = [await many(bench) for _ in range(3)]
        found.append(
            Line(
                "starts",
                statistics.median(rates),
                "/s",
                "more",
                200,
                200,
                3,
                f"{IN_FLIGHT} at a time, {MANY} jobs",
            )
        )
        await asyncio.sleep(2)
        pss, rss = await weight(bench, 0)
        found.append(Line("memory without a job", pss, "MiB", "less", 80, 80, note=f"resident {rss:.0f} MiB"))
        pss, rss = await weight(bench, HELD)
        most = 80 + 3 * HELD
        note = (
            f"{(pss - found[-1].value) / HELD:.2f} MiB a job; resident {rss:.0f} MiB, shared pages many times"
        )
        found.append(Line(f"memory with {HELD} jobs", pss, "MiB", "less", most, most, note=note))
        survived, took, true = await killed(bench)
        what = "of its jobs that outlive kill -9 of the agent"
        note = f"{true} of {KILLED} exit codes true"
        found.append(
            Line(what, survived, f"of {KILLED}", "more", KILLED, KILLED, note=note, extra={"true": true})
        )
        found.append(Line("until they are adopted, start of the agent included", took, "s", "less", 5, 5))
    finally:
        await bench.stop_agent()
        await bench.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agent_launch")
    parser.add_argument("--cgroups", choices=("auto", "v1", "v2", "none"), default="auto")
    parser.add_argument("--keep", action="store_true", help="write the figures to benchmarks/results/")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agent-launch-") as root:
        os.chmod(root, 0o755)
        load = os.getloadavg()[0]
        found = asyncio.run(lines(Path(root), options.cgroups))
    print(HEADER)
    for line in found:
        print(line.row())
    if options.keep:
        today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
        path = (
            RESULTS / f"{today}-agent-launch{'' if options.cgroups == 'auto' else '-' + options.cgroups}.json"
        )
        kept = {
            "machine": machine(),
            "load_before": round(load, 2),
            "real_time_priority": os.sched_getscheduler(0) != os.SCHED_OTHER,
            "revision": revision(),
            "command": " ".join(["python -m benchmarks.agent_launch", *sys.argv[1:]]),
            "lines": [asdict(line) for line in found],
        }
        path.write_text(json.dumps(kept, indent=1) + "\n")
    return 1 if any(line.verdict == "below" for line in found) else 0


if __name__ == "__main__":
    sys.exit(main())
