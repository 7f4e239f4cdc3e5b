"""Which processors an attempt gets: whole cores for whole CPUs, a common pool for parts of one. Without I/O.

A CPU is what the machine calls one: a hardware thread. An attempt of n whole CPUs gets n of them to itself,
and one with a part of a CPU over (0.5, 2.25) shares that part: it runs on a processor of the pool, in which
the parts of several attempts lie side by side. In the order of what is tried:

1. whole free cores, with all their threads, in the smallest part of the machine that has enough of them: the
   NUMA nodes of the attempt's devices, one NUMA node, one socket, the machine;
2. free threads of cores that others have begun, likewise;
3. the least loaded processors. No processor is free then: parts that lie scattered, since an attempt stays
   where it began, or a node that counts more CPUs than it has.

So two attempts are on one core only while no core is free, save for parts in the pool. A node that declares
more CPUs than there are binds nothing: its operator wants them shared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

WHOLE = 1000
"""Thousandths of a processor."""


class Processor(NamedTuple):
    """One hardware thread, as the kernel numbers it. core is a number within its socket."""

    cpu: int
    core: int = 0
    socket: int = 0
    numa: int = 0


class Share(NamedTuple):
    """An attempt's part of one processor."""

    cpu: int
    milli: int


class Binder:
    """Who has which processors of one machine. Same calls, same answers.

    processors: those that attempts may have. capacity_milli: what the node declares; above what there is
    nothing is bound.
    """

    def __init__(self, processors: Iterable[Processor], capacity_milli: int) -> None:
        self._all = sorted(processors)
        self.binds = 0 < capacity_milli <= len(self._all) * WHOLE
        self._of = {processor.cpu: processor for processor in self._all}
        self._load = dict.fromkeys(self._of, 0)
        self._held: dict[str, tuple[Share, ...]] = {}
        self._lent: dict[str, tuple[str, tuple[int, ...]]] = {}
        """Steps: whose processors they use, and which."""
        self._away: dict[str, tuple[Share, ...]] = {}
        """Of suspended attempts, which hold a thousandth of each instead."""
        self._cores: dict[tuple[int, int], list[Processor]] = {}
        for processor in self._all:
            self._cores.setdefault((processor.socket, processor.core), []).append(processor)
        by_numa: dict[int, list[Processor]] = {}
        by_socket: dict[int, list[Processor]] = {}
        for processor in self._all:
            by_numa.setdefault(processor.numa, []).append(processor)
            by_socket.setdefault(processor.socket, []).append(processor)
        self._parts = [list(by_numa.values()), list(by_socket.values()), [self._all]]

    def take(self, key: str, cpu_milli: int, numa: Iterable[int] = ()) -> tuple[int, ...]:
        """The processors that attempt `key` is bound to from now on, ascending; () for no binding.

        numa: the NUMA nodes of its devices. An attempt that has some already keeps them.
        """
        if not self.binds or cpu_milli <= 0:
            return ()
        if key not in self._held:
            self._hold(key, self._choose(cpu_milli, frozenset(numa)))
        return self.of(key)

    def lend(self, key: str, holder: str, cpu_milli: int, *, cpus: Iterable[int] = ()) -> tuple[int, ...]:
        """The processors that step `key` has of those of `holder`, its batch script, ascending: the ones that
        fewest other steps of it use. () for none: the holder has none here.

        cpus: those that an earlier agent gave it.
        """
        own = self.of(holder)
        if not own:
            return ()
        given = tuple([cpu for cpu in sorted(cpus) if cpu in own])
        if not given:
            used = Counter([cpu for of, some in self._lent.values() if of == holder for cpu in some])
            n = min(len(own), max(1, -(-cpu_milli // WHOLE)))
            given = tuple(sorted(sorted(own, key=lambda cpu: (used[cpu], cpu))[:n]))
        self._lent[key] = holder, given
        return given

    def adopt(self, key: str, cpus: Iterable[int], cpu_milli: int) -> None:
        """Attempt `key` was bound to `cpus` by an earlier agent; those that are not here any more are left
        out.

        cpu_milli: what it was given; 0 for unknown: all of them.
        """
        here = [cpu for cpu in sorted(set(cpus)) if cpu in self._load]
        if not self.binds or not here or key in self._held:
            return
        left = cpu_milli or len(here) * WHOLE
        shares = []
        for cpu in sorted(here, key=lambda cpu: self._load[cpu]):  # its part of one is where others are
            milli = min(left, WHOLE)
            if milli <= 0:
                break
            shares.append(Share(cpu, milli))
            left -= milli
        self._hold(key, tuple(shares))

    def release(self, key: str) -> None:
        """Attempt `key` is over; nothing happens if it had none."""
        self._away.pop(key, None)
        self._lent.pop(key, None)
        self._let_go(key)

    def suspend(self, key: str) -> None:
        """Attempt `key` does nothing for a while: others may have its processors where no other is free."""
        if key in self._held and key not in self._away:
            shares = self._away[key] = self._held[key]
            self._let_go(key)
            self._hold(key, tuple([Share(cpu, 1) for cpu, _ in shares]))

    def resume(self, key: str) -> tuple[int, ...]:
        """It goes on. Its processors from now on, ascending: those that it had, if nobody has come to them;
        () if it has none."""
        if key in self._lent:
            holder, cpus = self._lent[key]
            moved = not set(cpus) <= set(self.of(holder))  # where the batch script went on
            return (self.lend(key, holder, len(cpus) * WHOLE) if moved else ()) or cpus
        shares = self._away.pop(key, None)
        if shares is None:
            return self.of(key)
        self._let_go(key)
        if any(self._load[cpu] + milli > WHOLE for cpu, milli in shares):
            numa = frozenset([self._of[cpu].numa for cpu, _ in shares])
            shares = self._choose(sum([milli for _, milli in shares]), numa)
        self._hold(key, shares)
        return self.of(key)

    def of(self, key: str) -> tuple[int, ...]:
        """The processors of attempt `key`, ascending; () if it has none."""
        if key in self._lent:
            return self._lent[key][1]
        return tuple(sorted(share.cpu for share in self._held.get(key, ())))

    def load_milli(self) -> dict[int, int]:
        """By processor: what attempts hold of it. More than WHOLE means that it is shared for want of
        others.
        """
        return dict(self._load)

    def _hold(self, key: str, shares: tuple[Share, ...]) -> None:
        self._held[key] = shares
        for cpu, milli in shares:
            self._load[cpu] += milli

    def _let_go(self, key: str) -> None:
        for cpu, milli in self._held.pop(key, ()):
            self._load[cpu] -= milli

    # -- the choice

    def _choose(self, cpu_milli: int, numa: frozenset[int]) -> tuple[Share, ...]:
        n_whole, part = divmod(cpu_milli, WHOLE)
        domains = self._domains(numa)
        chosen = self._whole(n_whole, domains)
        shares = [Share(cpu, WHOLE) for cpu in chosen]
        if part:
            near = {self._of[cpu].numa for cpu in chosen} or numa
            shares.append(Share(self._partly(part, set(chosen), near), part))
        return tuple(shares)

    def _domains(self, numa: frozenset[int]) -> list[list[list[Processor]]]:
        """Parts of the machine to try, in groups: within a group the one that fits most tightly is taken."""
        if not numa:
            return self._parts
        near = [processor for processor in self._all if processor.numa in numa]
        sockets = {processor.socket for processor in near}
        around = [processor for processor in self._all if processor.socket in sockets]
        return [[near], [around], *self._parts]

    def _whole(self, n: int, domains: Sequence[Sequence[Sequence[Processor]]]) -> list[int]:
        """n processors, free ones as long as there are any."""
        for free in (self._in_free_cores, self._free):
            for group in domains:
                fitting = [found for domain in group if len(found := free(domain)) >= n]
                if fitting:
                    return min(fitting, key=len)[:n]
        return sorted(self._load, key=lambda cpu: (self._load[cpu], cpu))[:n]

    def _in_free_cores(self, domain: Sequence[Processor]) -> list[int]:
        """Processors of cores on which nobody is, core by core."""
        cores = dict.fromkeys((processor.socket, processor.core) for processor in domain)
        return [
            processor.cpu
            for core in cores
            if not any(self._load[other.cpu] for other in self._cores[core])
            for processor in self._cores[core]
        ]

    def _free(self, domain: Sequence[Processor]) -> list[int]:
        """Processors on which nobody is, those of free cores first."""
        free = self._in_free_cores(domain)
        begun = set(free)
        return free + [p.cpu for p in domain if not self._load[p.cpu] and p.cpu not in begun]

    def _partly(self, part: int, own: set[int], near: Iterable[int]) -> int:
        """The processor of the pool that takes a part: the fullest with room, else a new one, else the
        emptiest.

        own: processors that the attempt has whole already.
        """
        close = set(near)
        pool = [cpu for cpu, load in self._load.items() if cpu not in own and 0 < load <= WHOLE - part]
        if pool:
            return min(pool, key=lambda cpu: (self._of[cpu].numa not in close, -self._load[cpu], cpu))
        others = [cpu for cpu in self._load if cpu not in own] or list(self._load)
        return min(others, key=lambda cpu: (self._load[cpu], *self._newness(cpu, own, close), cpu))

    def _newness(self, cpu: int, own: set[int], close: set[int]) -> tuple[bool, int]:
        """How gladly the pool grows by `cpu`: near, on a core that it has begun, then on one that is free."""
        processor = self._of[cpu]
        core = [other.cpu for other in self._cores[processor.socket, processor.core]]
        if any(0 < self._load[other] < WHOLE for other in core):
            return processor.numa not in close, 0
        free = not any(self._load[other] or other in own for other in core)
        return processor.numa not in close, 1 if free else 2
