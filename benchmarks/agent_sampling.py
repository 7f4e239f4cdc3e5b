"""What sampling costs an agent: real jobs, watched for a while, and the processor time that took.

    python benchmarks/agent_sampling.py [--jobs 100] [--seconds 30] [--json FILE]

Four situations, with the machine's cgroups and without any: jobs that just started; that have run for an hour
and do nothing new; whose memory moves all the time; and a node on which memory is lent. Each job is a shell
with a child that holds some memory. Measured is the time of the thread that samples, in the process that an
agent would be; the goal is 1 % of a core for 100 jobs. Beside it, how many bytes a point of a stored series
takes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from packhorse.agent.cgroups import Cgroups, Wish
from packhorse.agent.launch.launcher import Launcher, Supervised
from packhorse.agent.launch.spec import LaunchSpec, Limits
from packhorse.agent.orders import LaunchOrder, UsageSample
from packhorse.agent.usage import Sampler
from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId
from packhorse.scheduler.model.usage_series import Point, Series

HELD_MIB = 4
MEM_MIB = 64

STILL = f"""\
import time
x = bytearray({HELD_MIB} << 20)
print(flush=True)
time.sleep(9999)
"""
MOVING = f"""\
import time
print(flush=True)
while True:
    x = bytearray({2 * HELD_MIB} << 20); time.sleep(0.4); del x; time.sleep(0.4)
"""

SITUATIONS = ("young", "settled", "moving", "lent")


async def launch(launcher: Launcher, home: Path, number: int, program: str) -> Supervised:
    """One job: a shell, and its child with the memory. Returns once that is there."""
    directory = home / f"attempt-{number}"
    directory.mkdir(mode=0o700)
    return await launcher.launch(
        LaunchSpec(
            key=f"{number}.1.1",
            attempt_dir=str(directory),
            argv=("/bin/sh", "-c", f"{sys.executable} -ISc '{program}'; true"),
            environment=(f"PATH={os.environ['PATH']}",),
            cwd=str(home),
            uid=os.getuid(),
            gid=os.getgid(),
            stdout=str(directory / "out"),
            limits=Limits(mem_mib=MEM_MIB),
        )
    )


async def watched(
    running: list[Supervised], situation: str, seconds: float
) -> tuple[float, list[UsageSample]]:
    """(processor seconds of sampling per second, the reports)."""
    sampler = Sampler()
    lent_mib = MEM_MIB // 2 if situation == "lent" else 0
    for number, supervised in enumerate(running):
        order = LaunchOrder(
            AttemptKey(JobId(number + 1), 1, 1), 0, 0, "", b"", (), (), "/", "", "", "",
            mem_mib=MEM_MIB, lent_mib=lent_mib,
        )  # fmt: skip
        sampler.watch(order.attempt, supervised, order)
        if situation != "young":
            sampler._watched[order.attempt].began -= 3600
            sampler._watched[order.attempt].looks_at = sampler.report_s
    reports: list[UsageSample] = []
    if situation != "young":  # the first looks find everything new
        await drive(sampler, 12.0, reports)
        reports.clear()
    spent = await drive(sampler, seconds, reports)
    for number in range(len(running)):
        sampler.end(AttemptKey(JobId(number + 1), 1, 1))
    return spent / seconds, reports


async def drive(sampler: Sampler, seconds: float, reports: list[UsageSample]) -> float:
    """Steps as the runtime takes them; the processor time of the steps."""
    spent = 0.0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.thread_time()
        report = sampler.step(Instant(time.time_ns() // 1000))
        pause_s = sampler.pause_s()
        spent += time.thread_time() - begun
        if report is not None:
            reports.append(report)
        await asyncio.sleep(min(pause_s, max(0.0, end - time.monotonic())))
    return spent


async def bytes_per_point(running: Supervised, seconds: int) -> float:
    """Of the series of one job whose memory moves, measured every second."""
    sampler = Sampler()
    sampler.report_s = 1.0
    key = AttemptKey(JobId(1), 1, 1)
    sampler.watch(key, running, None)
    reports: list[UsageSample] = []
    await drive(sampler, seconds, reports)
    sampler.end(key)
    series = Series()
    for report in reports:
        sample = report.attempts[0]
        cpu_ms = (sample.usage.user_cpu_us + sample.usage.system_cpu_us) // 1000
        series.add(Point(report.at // 1_000_000, cpu_ms, sample.rss_kib, sample.cache_kib))
    return len(series.encode()) / len(series)


async def measure(wish: Wish, n_jobs: int, seconds: float) -> list[dict[str, object]]:
    """All situations with this kind of cgroups."""
    rows: list[dict[str, object]] = []
    for situation in SITUATIONS:
        with tempfile.TemporaryDirectory(prefix="ph-sampling-") as name:
            home = Path(name)
            cgroups = Cgroups.detect("bench", home, wish)
            launcher = Launcher(home, cgroups)
            await launcher.start()
            program = MOVING if situation == "moving" else STILL
            running = [await launch(launcher, home, number, program) for number in range(n_jobs)]
            outs = [home / f"attempt-{number}" / "out" for number in range(n_jobs)]
            while not all(out.exists() and out.stat().st_size for out in outs):  # noqa: ASYNC110 - other processes' files
                await asyncio.sleep(0.1)
            share, reports = await watched(running, situation, seconds)
            rows.append(
                {
                    "cgroups": cgroups.isolation.partition(":")[0],
                    "situation": situation,
                    "jobs": n_jobs,
                    "percent_of_a_core": round(100 * share, 3),
                    "reports_per_s": round(len(reports) / seconds, 2),
                }
            )
            if situation == "moving":
                rows[-1]["bytes_per_point"] = round(await bytes_per_point(running[0], 60), 1)
            print(json.dumps(rows[-1]), flush=True)
            for supervised in running:
                await launcher.terminate(supervised, 0)
            await asyncio.gather(*(launcher.wait(supervised) for supervised in running))
            await launcher.close()
            cgroups.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    wishes: tuple[Wish, ...] = ("auto", "none")
    for wish in wishes:
        rows += asyncio.run(measure(wish, args.jobs, args.seconds))
    if args.json:
        document = {
            "command": f"python benchmarks/agent_sampling.py --jobs {args.jobs} --seconds {args.seconds:g}",
            "machine": f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}",
            "rows": rows,
        }
        args.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
