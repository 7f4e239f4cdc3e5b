"""What ended runs were given and did not use, added up."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from packhorse.scheduler.model.ids import Instant


class WasteKey(StrEnum):
    """What runs are put together by: fields of AttemptRow."""

    USER = "user"
    ACCOUNT = "account"
    NAME = "name"


class WasteSort(StrEnum):
    """Whose waste comes first."""

    MEM = "mem"
    CPU = "cpu"
    GPU = "gpu"


class WasteQuery(msgspec.Struct, frozen=True, gc=False):
    """Which runs, and how to add them up. An empty tuple: any. since, until: ended in [since, until).

    by: one sum for each combination of these; empty: one sum of all. limit: that many sums, those with the
    most waste of `sort` first.
    """

    since: Instant
    until: Instant
    by: tuple[WasteKey, ...] = ()
    uids: tuple[int, ...] = ()
    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    sort: WasteSort = WasteSort.MEM
    limit: int = 1000


class Waste(msgspec.Struct, frozen=True, gc=False):
    """Sums over n_runs attempts that ran, whole ones: their last run counts from its start, whenever that
    was.

    Of an attempt on several nodes (n_wide of them) only the first node is measured, and only its part is
    added up here. Memory in MiB seconds, CPUs and GPUs in milliseconds of one. given and wasted are of
    measured runs; unmeasured is what runs were given that nobody measured, of which nothing is known. wasted:
    memory: limit less the most that was in use, over the whole run; CPUs: those given times the run, less CPU
    time; GPUs: those given times the run, times the part of the time in which nothing ran on them. n_mem,
    n_gpu: runs with a memory limit, with GPUs. last_job: the highest number among them.
    """

    key: tuple[str, ...] = ()
    n_runs: int = 0
    n_wide: int = 0
    n_mem: int = 0
    n_mem_measured: int = 0
    mem_given: int = 0
    mem_wasted: int = 0
    mem_unmeasured: int = 0
    n_cpu_measured: int = 0
    cpu_given: int = 0
    cpu_wasted: int = 0
    cpu_unmeasured: int = 0
    n_gpu: int = 0
    n_gpu_measured: int = 0
    gpu_given: int = 0
    gpu_wasted: int = 0
    gpu_unmeasured: int = 0
    last_job: int = 0
