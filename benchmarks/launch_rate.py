"""How fast jobs of `true` go through the launch layer alone, and what that costs.

    python benchmarks/launch_rate.py [--jobs 1000] [--concurrency 16] [--cgroups auto|v2|v1|none]

Prints jobs/s, processor time per job (the whole machine's, less what it used idle beforehand, and that of
fork server, agent side and jobs apart), latency from `launch` to record, and the private memory of one
supervisor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from packhorse.agent.cgroups import Cgroups
from packhorse.agent.launch import processes
from packhorse.agent.launch.launcher import Launcher
from packhorse.agent.launch.spec import LaunchSpec, Limits


def spec(home: Path, key: str, script: Path, limits: Limits) -> LaunchSpec:
    attempt_dir = home / "attempts" / key
    attempt_dir.mkdir(mode=0o700)
    return LaunchSpec(
        key=key,
        attempt_dir=str(attempt_dir),
        argv=(str(script),),
        environment=("PATH=/usr/bin:/bin", f"HOME={home}", f"SLURM_JOB_ID={key}"),
        cwd=str(home),
        uid=os.getuid(),
        gid=os.getgid(),
        stdout=str(home / "out" / f"{key}.out"),
        limits=limits,
    )


def private_kib(pid: int) -> int:
    """Memory that only this process holds."""
    total = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            total += int(line.split()[1])
    return total


def machine_busy_s() -> float:
    """Processor time that the machine has spent on anything but idling."""
    fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq = (int(field) for field in fields[:7])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


async def measure(jobs: int, concurrency: int, wish: Any, home: Path) -> dict[str, Any]:
    script = home / "true.sh"
    script.write_text("#!/bin/sh\ntrue\n", encoding="ascii")
    script.chmod(0o755)
    (home / "attempts").mkdir()
    (home / "out").mkdir()
    cgroups = Cgroups.detect("bench", home, wish)
    limits = Limits(mem_mib=256, cpu_milli=1000) if cgroups.kind != "none" else Limits()
    launcher = Launcher(home, cgroups)
    await launcher.start()
    latencies: list[float] = []
    rss_kib: list[int] = []
    job_cpu_us = 0

    async def one(key: str) -> None:
        nonlocal job_cpu_us
        before = time.perf_counter()
        record = await launcher.wait(await launcher.launch(spec(home, key, script, limits)))
        latencies.append(time.perf_counter() - before)
        if record.cause != "exited" or record.exit_code:
            raise SystemExit(f"{key}: {record}")
        job_cpu_us += record.user_us + record.system_us

    async def worker(numbers: list[int]) -> None:
        for number in numbers:
            await one(f"{number}.1.1")

    await worker([0])
    sleeper = home / "sleep.sh"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n", encoding="ascii")
    sleeper.chmod(0o755)
    supervised = await launcher.launch(spec(home, "sleeper", sleeper, limits))
    await asyncio.sleep(0.2)  # until it waits
    rss_kib.append(private_kib(supervised.pid))
    await launcher.terminate(supervised, 0)
    await launcher.wait(supervised)

    latencies.clear()
    job_cpu_us = 0
    queue = list(range(1, jobs + 1))
    idle_before = machine_busy_s()
    await asyncio.sleep(1)
    background = machine_busy_s() - idle_before
    server_before = sum(processes.cpu_us([launcher.fork_server_pid]))
    own_before = resource.getrusage(resource.RUSAGE_SELF)
    busy_before, began = machine_busy_s(), time.perf_counter()
    await asyncio.gather(*(worker(queue[at::concurrency]) for at in range(concurrency)))
    wall = time.perf_counter() - began
    busy = machine_busy_s() - busy_before - background * wall
    own = resource.getrusage(resource.RUSAGE_SELF)
    server = sum(processes.cpu_us([launcher.fork_server_pid])) - server_before
    server_kib = private_kib(launcher.fork_server_pid)
    await launcher.close()
    cgroups.close()
    agent_ms = (own.ru_utime + own.ru_stime - own_before.ru_utime - own_before.ru_stime) * 1000
    return {
        "jobs": jobs,
        "concurrency": concurrency,
        "cgroups": cgroups.describe(),
        "jobs_per_s": round(jobs / wall, 1),
        "latency_ms_median": round(statistics.median(latencies) * 1000, 2),
        "latency_ms_p99": round(sorted(latencies)[int(len(latencies) * 0.99)] * 1000, 2),
        "cpu_ms_per_job": {
            "machine": round(busy / jobs * 1000, 2),
            "agent_side": round(agent_ms / jobs, 2),
            "fork_server": round(server / jobs / 1000, 2),
            "job_itself": round(job_cpu_us / jobs / 1000, 2),
        },
        "supervisor_private_kib": rss_kib[0],
        "fork_server_private_kib": server_kib,
        "background_load_cores": round(background, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--cgroups", choices=("auto", "v2", "v1", "none"), default="auto")
    parser.add_argument("--directory", help="where to work (default: the temporary directory)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="launch-rate-", dir=options.directory) as home:
        result = asyncio.run(measure(options.jobs, options.concurrency, options.cgroups, Path(home)))
    if options.json:
        json.dump(result, sys.stdout)
        print()
        return
    for name, value in result.items():
        print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
