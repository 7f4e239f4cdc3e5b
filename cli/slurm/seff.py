"""seff: how well a job used what it was given, ended or still running.

The lines of Slurm's own script (contribs/seff), then, for jobs with GPUs, ours: allocated and busy time, the
share of the peak that was computed (docs/usage.md), memory and energy. What was not measured is said to be
unknown, never 0.
"""

from __future__ import annotations

import sys

from packhorse.cli.slurm.fields_accounting import ACCOUNTING_COLUMNS, Units, elapsed_s, is_step
from packhorse.cli.slurm.jobids import JobIdError, job_ref
from packhorse.cli.slurm.process import CommandError, run
from packhorse.cli.slurm.table import fetch
from packhorse.scheduler.model.units import format_clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Row = dict[str, Any]

PROG = "seff"

USAGE = """\
Usage: seff [Options] <Jobid>
       Options:
       -h    Help menu
       -v    Version
       --server=ADDRESS    the scheduler to ask
"""

_WAITING = ("PENDING", "CONFIGURING")


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `seff WORDS`."""
    arguments = []
    for word in words:
        if word in ("-h", "--help"):
            sys.stdout.write(USAGE)
            return 0
        if word == "-v":
            sys.stdout.write("seff Version 2.1\n")  # whose lines these are
            return 0
        if word in ("-V", "--version"):
            from packhorse.cli.slurm.options import print_version

            print_version()
            return 0
        if word.startswith("--server="):
            from packhorse.cli.slurm.options import take_server

            take_server([("server", word.partition("=")[2])])
        elif word.startswith("-"):
            raise CommandError(f"Unknown option: {word}\n{USAGE.rstrip()}")
        else:
            arguments.append(word)
    if len(arguments) != 1:
        raise CommandError(USAGE.rstrip())
    try:
        ref = job_ref(arguments[0])
    except JobIdError:
        raise CommandError(
            f"{PROG}: error: '{arguments[0]}' is no job id: write a number, or 12_3 for an array's element"
        ) from None
    table = fetch("ListAccounting", {"fields": list(ACCOUNTING_COLUMNS), "jobs": [ref]})
    rows = table.rows()
    job = next((row for row in rows if not is_step(row)), None)
    if job is None:
        raise CommandError("Job not found.", 2)
    if job["array_pending"]:
        job = next((row for row in rows if not is_step(row) and not row["array_pending"]), job)
    own = [row for row in rows if is_step(row) and row["job_id"] == job["job_id"]]
    sys.stdout.write(report(job, combined(own), Units(table.now_us)))
    return 0


_ADDED = ("gpu_ms", "gpu_busy_ms", "gpu_energy_mj", "gpu_gflop", "gpu_peak_gflop")


def combined(steps: list[Row]) -> Row | None:
    """All steps of a job as one, None without any. CPU time and what GPUs did add up; memory is that of the
    step with the most, on all of its nodes together, as the script has it. -1: no step was measured.
    """
    if not steps:
        return None
    whole = dict(steps[-1])
    whole["user_cpu_us"] = sum(max(step["user_cpu_us"], 0) for step in steps)
    whole["system_cpu_us"] = sum(max(step["system_cpu_us"], 0) for step in steps)
    for name in _ADDED:
        known = [step[name] for step in steps if step[name] >= 0]
        whole[name] = sum(known) if known else -1
    whole["gpu_max_mem_mib"] = max(step["gpu_max_mem_mib"] for step in steps)
    measured = [step for step in steps if step["max_rss_kib"] >= 0]
    most = max(measured, key=lambda step: step["max_rss_kib"] * max(step["n_nodes"], 1), default=whole)
    n_nodes = max(most["n_nodes"], 1)
    whole["max_rss_kib"] = most["max_rss_kib"] * n_nodes if measured else -1
    whole["estimated"] = n_nodes > 1 or len(measured) > 1
    return whole


def report(job: Row, step: Row | None, units: Units) -> str:
    """All lines. step: its steps as one row, None for a job that never ran."""
    state = job["state"]
    lines = [f"Job ID: {job['job_id']}"]
    if job["array_job_id"] and job["array_task_id"] >= 0:
        lines.append(f"Array Job ID: {job['array_job_id']}_{job['array_task_id']}")
    lines += [f"Cluster: {job['cluster']}", f"User/Group: {job['user']}/{job['group']}"]
    running = not job["end_at"]
    lines.append(f"State: {state}" if running else f"State: {state} (exit code {job['exit_code']})")
    n_cpus, n_nodes = max(job["alloc_cpus"], 1), max(job["n_nodes"], 1)
    if n_cpus == 1:
        lines.append("Cores: 1")
    else:
        lines += [f"Nodes: {n_nodes}", f"Cores per node: {n_cpus // n_nodes}"]
    if step is None or state in _WAITING:
        lines.append(f"Efficiency not available for jobs in the {state} state.")
        return "".join([line + "\n" for line in lines])
    wall_s = elapsed_s(job, units)
    used, efficiency = "unknown", "unknown, out"
    cpu_us = max(step["user_cpu_us"], 0) + max(step["system_cpu_us"], 0)
    if cpu_us or not running or step["max_rss_kib"] >= 0:  # nothing comes of a job's first second
        cpu_s = (cpu_us + 500_000) // 1_000_000
        used, efficiency = format_clock(cpu_s), _percent(cpu_s, wall_s * n_cpus)
    lines += [
        f"CPU Utilized: {used}",
        f"CPU Efficiency: {efficiency} of {format_clock(wall_s * n_cpus)} core-walltime",
        f"Job Wall-clock time: {format_clock(wall_s)}",
        *_memory_lines(step["max_rss_kib"], job["mem_mib"] * 1024, n_nodes, step.get("estimated", False)),
    ]
    lines += _gpu_lines(job, step, wall_s)
    if running:
        lines.append(f"WARNING: Efficiency statistics may be misleading for {state} jobs.")
    return "".join([line + "\n" for line in lines])


def _memory_lines(used_kib: int, given_kib: int, n_nodes: int, estimated: bool) -> list[str]:
    """estimated: what was used is the largest of several figures."""
    used = size(used_kib) if used_kib >= 0 else "unknown"
    if estimated and used_kib >= 0:
        used += " (estimated maximum)"
    if not given_kib:
        return [f"Memory Utilized: {used}", "Memory Efficiency: unknown, it was given no memory limit"]
    efficiency = _percent(used_kib, given_kib) if used_kib >= 0 else "unknown, out"
    per_node = f"({size(given_kib / n_nodes)}/node)"
    return [f"Memory Utilized: {used}", f"Memory Efficiency: {efficiency} of {size(given_kib)} {per_node}"]


def _gpu_lines(job: Row, step: Row, wall_s: int) -> list[str]:
    n_gpus = _n_gpus(job["alloc_tres"])
    if not n_gpus:
        return []
    lines = [f"GPUs: {n_gpus:g}", f"GPU Allocated: {format_clock(round(wall_s * n_gpus))} GPU-walltime"]
    busy_ms, measured_ms = step["gpu_busy_ms"], step["gpu_ms"]
    if busy_ms < 0:
        lines.append("GPU Busy: unknown")
    else:
        lines.append(
            f"GPU Busy: {_percent(busy_ms, measured_ms)} of {format_clock(measured_ms // 1000)} measured"
        )
    done, peak = step["gpu_gflop"], step["gpu_peak_gflop"]
    if done < 0:
        lines.append("GPU FLOPS: unknown")
    else:
        lines.append(f"GPU FLOPS: {_percent(done, peak)} of peak ({_operations(done)} done)")
    mem_mib, energy_mj = step["gpu_max_mem_mib"], step["gpu_energy_mj"]
    lines.append(f"GPU Memory Utilized: {size(mem_mib * 1024) if mem_mib >= 0 else 'unknown'}")
    lines.append(f"GPU Energy: {_energy(energy_mj) if energy_mj >= 0 else 'unknown'}")
    return lines


def _n_gpus(tres: str) -> float:
    """How many GPUs an allocation has, shares as parts of one."""
    for part in tres.split(","):
        name, _, amount = part.partition("=")
        if name == "gres/gpu":
            try:
                return float(amount)
            except ValueError:
                return 0
    return 0


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole if whole else 0:.2f}%"


def size(kib: float) -> str:
    """`4.63 MB`, as that script writes amounts."""
    if kib <= 0:
        return "0.00 MB"
    index = 0
    while kib >= 1024 and index < 5:
        kib /= 1024
        index += 1
    return f"{kib:.2f} {'KMGTPE'[index]}B"


def _operations(gflop: int) -> str:
    amount, index = float(gflop), 0
    while amount >= 1000 and index < 3:
        amount /= 1000
        index += 1
    return f"{amount:.2f} {('GFLOP', 'TFLOP', 'PFLOP', 'EFLOP')[index]}"


def _energy(millijoules: int) -> str:
    joules = millijoules / 1000
    return f"{joules:.0f} J ({joules / 3_600_000:.3f} kWh)"


if __name__ == "__main__":
    sys.exit(main())
