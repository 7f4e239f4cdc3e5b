"""Which processors and GPUs each task of a step gets, as --cpu-bind and --gpu-bind ask. Without I/O.

Tasks share the step's processors out in blocks, in the order of their numbers: with c processors per task the
first has the first c, the next the c that follow, and one for which none are left begins from the front.
Nothing here leaves the step's processors: of a mask or map that does, the part inside counts, and where that
is none the task may use all of the step's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from packhorse.agent.binding import Processor
from packhorse.scheduler.model.errors import BadValue

MOST = 1 << 14
"""Entries of a list with repetitions."""


class CpuBind(NamedTuple):
    """What --cpu-bind says. kind "" where it says nothing of that. values: of a map or mask."""

    kind: str = ""
    values: tuple[int, ...] = ()
    verbose: bool = False


def parse_cpu_bind(text: str) -> CpuBind:
    """Raises BadValue, a line for the user."""
    kind, verbose = "", False
    values: tuple[int, ...] = ()
    words = text.lower().split(",") if text else []
    while words:
        word = words.pop(0)
        if not word or word in ("q", "quiet"):
            verbose = False
        elif word in ("v", "verbose"):
            verbose = True
        elif word in _SHORT:
            kind, values = _SHORT[word], ()
        else:
            name, colon, first = word.partition(":")
            if name not in _LISTS or not colon:
                raise BadValue(f"--cpu-bind={text}: {word!r} is no way to bind tasks")
            kind, values = name, _numbers(f"--cpu-bind={text}", [first, *words], 16 if _is_mask(name) else 0)
            break
    return CpuBind(kind, values, verbose)


_SHORT = {
    "no": "none", "none": "none", "rank": "rank", "rank_ldom": "rank_ldom", "socket": "sockets",
    "sockets": "sockets", "core": "cores", "cores": "cores", "thread": "threads", "threads": "threads",
    "ldom": "ldoms", "ldoms": "ldoms",
}  # fmt: skip
_LISTS = ("map_cpu", "mask_cpu", "map_ldom", "mask_ldom")


def _is_mask(name: str) -> bool:
    return name.startswith("mask")


def _numbers(what: str, words: Iterable[str], base: int) -> tuple[int, ...]:
    """A list as in "0*4,3*4". base 16: hexadecimal with or without 0x; 0: decimal, or hexadecimal with it."""
    found: list[int] = []
    for word in words:
        number, star, times = word.partition("*")
        try:
            n = int(times) if star else 1
            value = int(number, base or (16 if number.startswith("0x") else 10))
        except ValueError:
            raise BadValue(f"{what}: {word!r} is not a number in a list") from None
        if n < 1 or value < 0 or len(found) + n > MOST:
            raise BadValue(f"{what}: {word!r} is out of range")
        found += [value] * n
    return tuple(found)


def cpus_of_tasks(
    bind: CpuBind,
    n_tasks: int,
    cpu_milli_per_task: int,
    cpus: Sequence[int],
    machine: Sequence[Processor],
) -> list[tuple[int, ...]]:
    """The processors of each task, () for all of the step's.

    cpus: the step's, () for those of the machine. Without a word each task gets its own where the step has
    just as many as its tasks need; a step that shares the machine's with others is not bound then.
    """
    own = sorted(cpus) or sorted(processor.cpu for processor in machine)
    allowed = set(own)
    each = max(1, cpu_milli_per_task // 1000)
    chosen: list[tuple[int, ...]]
    here = [processor for processor in machine if processor.cpu in allowed]
    match bind.kind:
        case "none":
            return [()] * n_tasks
        case "":
            exact = bool(cpus) and len(own) == n_tasks * each and cpu_milli_per_task % 1000 == 0
            chosen = _blocks(own, n_tasks, each) if exact and n_tasks > 1 else [()] * n_tasks
        case "threads":
            chosen = _blocks(own, n_tasks, each)
        case "cores":
            chosen = _whole(_blocks(own, n_tasks, each), here, lambda one: (one.socket, one.core))
        case "sockets":
            chosen = _whole(_blocks(own, n_tasks, each), here, lambda one: one.socket)
        case "ldoms":
            chosen = _whole(_blocks(own, n_tasks, each), here, lambda one: one.numa)
        case "rank":
            chosen = [(own[i % len(own)],) for i in range(n_tasks)]
        case "rank_ldom":
            domains = sorted({one.numa for one in here})
            chosen = [_in_domains({domains[i % len(domains)]}, here) for i in range(n_tasks)]
        case "map_cpu":
            chosen = [(value,) for value in _repeated(bind.values, n_tasks)]
        case "mask_cpu":
            chosen = [_bits(value) for value in _repeated(bind.values, n_tasks)]
        case "map_ldom":
            chosen = [_in_domains({value}, here) for value in _repeated(bind.values, n_tasks)]
        case _:
            chosen = [_in_domains(set(_bits(value)), here) for value in _repeated(bind.values, n_tasks)]
    return [tuple([cpu for cpu in some if cpu in allowed]) for some in chosen]


def _blocks(own: Sequence[int], n_tasks: int, each: int) -> list[tuple[int, ...]]:
    n = len(own)
    return [tuple(sorted({own[(i * each + k) % n] for k in range(min(each, n))})) for i in range(n_tasks)]


def _whole(
    blocks: list[tuple[int, ...]], here: Sequence[Processor], part: Callable[[Processor], object]
) -> list[tuple[int, ...]]:
    """The blocks, with all processors of the parts of the machine that they touch."""
    of = {one.cpu: part(one) for one in here}
    found = []
    for block in blocks:
        touched = {of[cpu] for cpu in block if cpu in of}
        found.append(tuple(sorted(cpu for cpu in of if of[cpu] in touched)))
    return found


def _in_domains(domains: set[int], here: Sequence[Processor]) -> tuple[int, ...]:
    return tuple(sorted(one.cpu for one in here if one.numa in domains))


def _repeated(values: tuple[int, ...], n: int) -> list[int]:
    return [values[i % len(values)] for i in range(n)]


def _bits(mask: int) -> tuple[int, ...]:
    return tuple([bit for bit in range(mask.bit_length()) if mask >> bit & 1])


def mask(cpus: Iterable[int]) -> str:
    """As Slurm tells of it: hexadecimal."""
    return f"0x{sum(1 << cpu for cpu in set(cpus)):x}"


# -- GPUs


class Gpu(NamedTuple):
    """One of the step's GPUs here: by what programs find it, its number on the node, its NUMA node (-1: not
    known)."""

    name: str
    number: int
    numa: int = -1


def gpus_of_tasks(
    gpu_bind: str,
    gpus_per_task: int,
    gpus: Sequence[Gpu],
    numa_of_tasks: Sequence[frozenset[int]],
    *,
    counted_anew: bool,
) -> list[tuple[int, ...]] | None:
    """For each task the places in `gpus` of those it sees; None: every task sees all.

    numa_of_tasks: the NUMA nodes of each task's processors, as many as there are tasks. counted_anew: users
    count the step's GPUs from 0, as its programs do, not as the node does. Raises BadValue.
    """
    what = f"--gpu-bind={gpu_bind}"
    words = [word for word in gpu_bind.lower().split(",") if word not in ("v", "verbose")]
    kind, _, first = words[0].partition(":") if words else ("", "", "")
    n = len(numa_of_tasks)
    if not kind and gpus_per_task:
        kind, first = "per_task", str(gpus_per_task)
    if not kind or kind == "none" or not gpus or (n == 1 and kind not in ("per_task", "map_gpu", "mask_gpu")):
        return None
    everything = tuple(range(len(gpus)))
    match kind:
        case "closest":
            return [_close(gpus, numa) for numa in numa_of_tasks]
        case "single":
            tasks_per_gpu = _one(what, first)
            near = [_close(gpus, numa) for numa in numa_of_tasks]
            return [(near[i][(i // tasks_per_gpu) % len(near[i])],) for i in range(n)]
        case "per_task":
            each = _one(what, first)
            return [
                tuple(sorted({(i * each + k) % len(gpus) for k in range(min(each, len(gpus)))}))
                for i in range(n)
            ]
        case "map_gpu" | "mask_gpu":
            values = _repeated(_numbers(what, [first, *words[1:]], 16 if _is_mask(kind) else 0), n)
            places = {(i if counted_anew else gpu.number): i for i, gpu in enumerate(gpus)}
            wanted = [_bits(value) if _is_mask(kind) else (value,) for value in values]
            return [tuple([places[one] for one in some if one in places]) or everything for some in wanted]
    raise BadValue(f"{what}: {kind!r} is no way to bind tasks")


def _close(gpus: Sequence[Gpu], numa: frozenset[int]) -> tuple[int, ...]:
    near = tuple([i for i, gpu in enumerate(gpus) if gpu.numa in numa])
    return near or tuple(range(len(gpus)))


def _one(what: str, text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise BadValue(f"{what}: {text!r} is not a number from 1")
    return int(text)
