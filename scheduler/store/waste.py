"""Waste, added up: in SQL for a store with a million rows, and row by row for one in memory.

Both do the same whole-number arithmetic, each step of it rounded down, so that they agree to the last bit;
the order of multiplications and divisions keeps every value of a thousand nodes' year within 64 bits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from packhorse.scheduler.model.accounting import AttemptRow
from packhorse.scheduler.model.waste import Waste, WasteQuery, WasteSort

_SUMS = Waste.__struct_fields__[1:-1]
"""Fields of Waste that are sums."""

_RUNS = """
SELECT *,
  CASE WHEN mem > 0 AND max_rss_kib > 0 THEN mem * ms / 1000 ELSE 0 END AS mem_given,
  CASE WHEN mem > 0 AND max_rss_kib > 0
    THEN max(0, mem * 1024 - max_rss_kib) / 1024 * ms / 1000 ELSE 0 END AS mem_wasted,
  CASE WHEN mem > 0 AND max_rss_kib <= 0 THEN mem * ms / 1000 ELSE 0 END AS mem_unmeasured,
  CASE WHEN cpu_us > 0 THEN cpus * ms ELSE 0 END AS cpu_given,
  CASE WHEN cpu_us > 0 THEN max(0, cpus * ms - cpu_us / 1000) ELSE 0 END AS cpu_wasted,
  CASE WHEN cpu_us <= 0 THEN cpus * ms ELSE 0 END AS cpu_unmeasured,
  CASE WHEN gpus > 0 AND gpu_ms > 0 THEN gpus * ms / 1000 ELSE 0 END AS gpu_given,
  CASE WHEN gpus > 0 AND gpu_ms > 0
    THEN gpus * ms / 1000 * (10000 - min(10000, gpu_busy_ms * 10000 / gpu_ms)) / 10000
    ELSE 0 END AS gpu_wasted,
  CASE WHEN gpus > 0 AND gpu_ms <= 0 THEN gpus * ms / 1000 ELSE 0 END AS gpu_unmeasured,
  1 AS n_runs, n_nodes > 1 AS n_wide, mem > 0 AS n_mem, mem > 0 AND max_rss_kib > 0 AS n_mem_measured,
  cpu_us > 0 AS n_cpu_measured, gpus > 0 AS n_gpu, gpus > 0 AND gpu_ms > 0 AS n_gpu_measured
FROM (
  SELECT "user", account, name, job, n_nodes, max_rss_kib, gpu_ms, gpu_busy_ms,
    max(0, ended_at - started_at - suspended_us) / 1000 AS ms,
    mem_mib / max(n_nodes, 1) AS mem,
    (n_cpus + max(n_nodes, 1) - 1) / max(n_nodes, 1) AS cpus,
    gpu_milli / max(n_nodes, 1) AS gpus,
    user_cpu_us + system_cpu_us AS cpu_us
  FROM attempts WHERE {where}
)
"""


def select(query: WasteQuery) -> tuple[str, list[int | str]]:
    """The query as a SELECT whose rows are a key's parts and then the other fields of Waste."""
    where = ["ended_at >= ?", "ended_at < ?", "started_at > 0"]
    values: list[int | str] = [query.since, query.until]
    for column, wanted in (
        ("uid", query.uids),
        ('"user"', query.users),
        ("account", query.accounts),
        ("name", query.names),
        ('"partition"', query.partitions),
    ):
        if wanted:
            where.append(f"{column} IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(wanted))
    keys = [f'"{key.value}"' for key in query.by]
    sums = [f"ifnull(sum({name}), 0)" for name in _SUMS]
    columns = ", ".join([*keys, *sums, "ifnull(max(job), 0)"])
    grouped = f" GROUP BY {', '.join(keys)}" if keys else ""
    order = ", ".join([f"sum({query.sort.value}_wasted) DESC", *keys])
    runs = _RUNS.format(where=" AND ".join(where))
    values.append(query.limit)
    return f"SELECT {columns} FROM ({runs}){grouped} ORDER BY {order} LIMIT ?", values


def from_values(query: WasteQuery, values: Sequence[int | str]) -> Waste:
    """A row of `select`."""
    n = len(query.by)
    return Waste(tuple([str(part) for part in values[:n]]), *[int(value) for value in values[n:]])


def added_up(rows: Iterable[AttemptRow], query: WasteQuery) -> list[Waste]:
    """What `select` finds among these rows."""
    sums: dict[tuple[str, ...], list[int]] = {} if query.by else {(): [0] * (len(_SUMS) + 1)}
    for row in rows:
        if row.started_at <= 0 or not _fits(row, query):
            continue
        key = tuple([str(getattr(row, part.value)) for part in query.by])
        one = of_row(row)
        total = sums.setdefault(key, [0] * (len(_SUMS) + 1))
        for i, name in enumerate(_SUMS):
            total[i] += getattr(one, name)
        total[-1] = max(total[-1], row.job)
    found = [Waste(key, *total) for key, total in sums.items()]
    found.sort(key=lambda waste: (-wasted(waste, query.sort), waste.key))
    return found[: query.limit]


def wasted(waste: Waste, sort: WasteSort) -> int:
    """The sum that decides the order."""
    amount: int = getattr(waste, f"{sort.value}_wasted")
    return amount


def of_row(row: AttemptRow) -> Waste:
    """One run alone."""
    n_nodes, usage = max(row.n_nodes, 1), row.usage
    ms = max(0, row.ended_at - row.started_at - row.suspended_us) // 1000
    mem = row.mem_mib // n_nodes
    cpus = -(-row.n_cpus // n_nodes)
    gpus = row.gpu_milli // n_nodes
    cpu_us = usage.user_cpu_us + usage.system_cpu_us
    mem_known, cpu_known, gpu_known = usage.max_rss_kib > 0, cpu_us > 0, usage.gpu_ms > 0
    mem_given, cpu_given, gpu_given = mem * ms // 1000, cpus * ms, gpus * ms // 1000
    mem_unused = max(0, mem * 1024 - usage.max_rss_kib) // 1024 * ms // 1000
    idle = 10_000 - min(10_000, usage.gpu_busy_ms * 10_000 // usage.gpu_ms) if gpu_known else 0
    return Waste(
        n_runs=1,
        n_wide=int(row.n_nodes > 1),
        n_mem=int(mem > 0),
        n_mem_measured=int(mem > 0 and mem_known),
        mem_given=mem_given if mem_known else 0,
        mem_wasted=mem_unused if mem > 0 and mem_known else 0,
        mem_unmeasured=0 if mem_known else mem_given,
        n_cpu_measured=int(cpu_known),
        cpu_given=cpu_given if cpu_known else 0,
        cpu_wasted=max(0, cpu_given - cpu_us // 1000) if cpu_known else 0,
        cpu_unmeasured=0 if cpu_known else cpu_given,
        n_gpu=int(gpus > 0),
        n_gpu_measured=int(gpus > 0 and gpu_known),
        gpu_given=gpu_given if gpu_known else 0,
        gpu_wasted=gpu_given * idle // 10_000 if gpu_known else 0,
        gpu_unmeasured=0 if gpu_known else gpu_given,
        last_job=row.job,
    )


def _fits(row: AttemptRow, query: WasteQuery) -> bool:
    return query.since <= row.ended_at < query.until and all(
        not wanted or value in wanted
        for value, wanted in (
            (row.uid, query.uids),
            (row.user, query.users),
            (row.account, query.accounts),
            (row.name, query.names),
            (row.partition, query.partitions),
        )
    )
