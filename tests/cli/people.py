"""What a scheduler answers about past runs: of a job that asks for far too much, and of one little known."""

from typing import Any


def advice(resource: str, *amounts: int, sure: bool = True, text: str = "") -> dict[str, Any]:
    """present, suggested, n_runs, n_fit, median, most, chance."""
    names = ("present", "suggested", "nRuns", "nFit", "median", "most", "chanceMilli")
    return {"resource": resource, **dict(zip(names, amounts, strict=True)), "sure": sure, "text": text}


SURE = {
    "name": "train",
    "user": "ann",
    "command": "/home/ann/train.sh --rate 1",
    "nRuns": "50",
    "advice": [
        advice("mem", 65_536, 11_264, 50, 50, 9_900, 10_035, 980),
        advice("time", 86_400, 4_500, 50, 50, 2_880, 3_000, 980),
        advice("cpus", 8, 3, 50, 50, 1_900, 1_940, 980),
        advice("gpus", 2, 0, 50, 50, 0, 4, 980, text="nothing ran on its GPUs in 50 past runs"),
    ],
    "options": "--mem=11G --oom-retry=2x --time=01:15:00 --cpus-per-task=3",
}

UNSURE = {
    "name": "once",
    "user": "ann",
    "command": "script:0123456789abcdef",
    "anyArguments": True,
    "nRuns": 1,
    "advice": [
        advice(
            *("mem", 0, 64, 1, 1, 12, 12, 500),
            sure=False,
            text="not sure enough to go by: only 1 past run of this job was measured, 9 are needed",
        )
    ],
}

UNKNOWN = {"name": "never", "user": "ann", "note": 'no run of "never" by ann ended well in the last 90 days'}


FITS = "fits 50 of 50 past runs, which used 9.7G as a rule and at most 9.8G"


def suggestion(body: dict[str, Any]) -> dict[str, Any]:
    """By the name asked for; any job is the sure one."""
    named: dict[str, dict[str, Any]] = {"once": UNSURE, "never": UNKNOWN}
    return named.get(body.get("name", ""), SURE)


def _sum(
    key: str, runs: int, mem: tuple[int, int], cpu: tuple[int, int], gpu: tuple[int, int]
) -> dict[str, Any]:
    """GiB hours, CPU hours and GPU hours, given and wasted."""
    gib, hour = 1024 * 3600, 3_600_000
    return {
        "key": key,
        **dict.fromkeys(("nRuns", "nMem", "nMemMeasured", "nCpuMeasured"), runs),
        **dict.fromkeys(("nGpu", "nGpuMeasured"), runs if gpu[0] else 0),
        "memGiven": str(mem[0] * gib),
        "memWasted": str(mem[1] * gib),
        "cpuGiven": cpu[0] * hour,
        "cpuWasted": cpu[1] * hour,
        "gpuGiven": gpu[0] * hour,
        "gpuWasted": gpu[1] * hour,
        "lastJob": 1234,
    }


def waste(body: dict[str, Any]) -> dict[str, Any]:
    """Two users, one of them much worse; 12 of 340 runs were not measured."""
    total = _sum("", 340, (1000, 750), (400, 100), (48, 36))
    total |= {"nMemMeasured": 328, "memUnmeasured": 35 * 1024 * 3600, "nWide": 3}
    rows = [_sum("ann", 300, (900, 740), (300, 60), (48, 36)), _sum("", 40, (100, 10), (100, 40), (0, 0))]
    answer: dict[str, Any] = {
        "total": total,
        "rows": rows,
        "sinceUs": body["sinceUs"],
        "untilUs": body["sinceUs"] + 7 * 86_400 * 1_000_000,
    }
    if body.get("jobs"):
        answer["jobs"] = [
            {"user": "ann", "name": "train", "sum": rows[0], "text": FITS, "options": SURE["options"]},
            {"user": "ann", "name": "once", "sum": _sum("", 1, (2, 1), (1, 1), (0, 0))},
        ]
    return answer
