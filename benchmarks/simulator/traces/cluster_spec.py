"""Clusters written down in one line, or in a TOML file: which nodes a simulation has.

    cluster := pool { "+" pool }
    pool    := N | "procs=" N                     one node with N CPUs: a machine of which only CPUs count
             | N "x" CPUS                         N nodes with so many CPUs each
             | N "x(" item { "," item } ")"       N nodes with all of this:
    item    := "cpus=" NUMBER                     CPUs of each, up to three decimals; needed
             | "mem=" AMOUNT | "tmp=" AMOUNT      memory and local disk, with K, M (also none), G, T or P
             | KIND [":" TYPE] ":" N              devices, as gpu:8 or gpu:a100:8
             | "devmem=" AMOUNT                   memory of each device named before it
             | "link=" N                          devices in a link group, of those named before it
             | "feature=" NAME                    may be repeated
             | "racks=" N                         the nodes stand in so many racks, each one block of nodes
             | "name=" PREFIX                     nodes are PREFIX1, PREFIX2 …; else n1, n2 … across the pools

Blanks may stand anywhere between the words. Memory that is not stated is a TiB for each CPU: more than any
job of a trace asks for, so that it never decides. A pool of CPUs alone is called "pool".

Examples: `256`, `100x1`, `1152x(cpus=8)`, `8x(cpus=64,mem=256G,gpu:a100:8,link=4,racks=2) + 4x(cpus=96)`.

The TOML file has the same things under names: one table `[[nodes]]` for each pool with `n` or `names` (a
host list as `gpu[01-16]`), `cpus`, `mem`, `tmp`, `devices` (a list of texts), `devmem`, `link`, `features`,
`racks` or `topology` (a list, from the top down).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from packhorse.scheduler.model.node import NodeSpec
from packhorse.scheduler.model.units import UnitError, parse_mem_mib
from packhorse.simulator.traces import cluster_file
from packhorse.simulator.traces.cluster_pool import (
    MEM_MIB_PER_CPU,
    MOST_CPUS,
    MOST_DEVICES,
    MOST_NODES,
    ClusterSpecError,
    DeviceGroup,
    Pool,
    nodes,
)


def cluster(text: str) -> tuple[NodeSpec, ...]:
    """The nodes of a text in the grammar above, or of the TOML file of that name.

    Raises ClusterSpecError that names the place in the text, or the file, its line and key.
    """
    return nodes(pools(text), text)


def pools(text: str) -> list[Pool]:
    """The same, before the nodes get their names."""
    if text.strip().endswith(".toml"):
        return cluster_file.pools(Path(text.strip()))
    return Parser(text).pools()


class Parser:
    """Reads one text from left to right; `at` is the next character."""

    def __init__(self, text: str) -> None:
        self.text = re.sub(r"\s", " ", text)
        self.at = 0

    def pools(self) -> list[Pool]:
        """All of the text. Raises ClusterSpecError."""
        found = [self._pool()]
        while self._skip("+"):
            found.append(self._pool())
        if self.at < len(self.text):
            self.wrong("+ and another pool, or the end")
        n = sum(pool.n for pool in found)
        if n > MOST_NODES:
            raise ClusterSpecError(f'cluster "{self.text}": {n} nodes, limit {MOST_NODES}')
        return found

    def wrong(self, expected: str, at: int | None = None, to: int | None = None) -> NoReturn:
        """Raises ClusterSpecError about the text from `at` to `to`, by default the next word."""
        at = self.at if at is None else at
        word = self.text[at:to] if to is not None else self._word_at(at)
        found = f'"{word}"' if word else "the end"
        raise ClusterSpecError(f'cluster "{self.text}", character {at + 1}: {found}, expected {expected}')

    def _pool(self) -> Pool:
        if self._skip("procs"):
            self._need("=", '"=" and a number of CPUs')
            return Pool(1, self.cpus(), prefix="pool")
        start = self.at
        if not self.text[self.at :].lstrip()[:1].isdecimal():
            self._blanks()
            self.wrong("a number of CPUs, as 256, or of nodes, as 8x64 or 8x(cpus=64,mem=256G,gpu:a100:8)")
        n = self._number("a number of nodes", MOST_CPUS)
        if not self._skip("x"):
            if n == 0:
                self.wrong("at least 1 CPU", start, self.at)
            return Pool(1, n * 1000, prefix="pool")
        if not 1 <= n <= MOST_NODES:
            self.wrong(f"1 to {MOST_NODES} nodes", start, self.at)
        if not self._skip("("):
            return Pool(n, self.cpus())
        return self._items(n, start)

    def _items(self, count: int, start: int) -> Pool:
        pool = Pool(count, 0)
        while True:
            pool = self._item(pool)
            if self._skip(")"):
                break
            self._need(",", '"," and another item, or ")"')
        if not pool.cpu_milli:
            self.wrong("cpus= among what is in the brackets", start, self.at)
        return pool

    def _item(self, pool: Pool) -> Pool:
        """The pool with one more of the things that are said about it."""
        self._blanks()
        start, word = self.at, self.name("an item, as cpus=64, mem=256G, gpu:a100:8, feature=ib or racks=4")
        if self._skip(":"):
            return pool._replace(devices=(*pool.devices, self._device(word)))
        self._need("=", f'"=" or ":" after {word}')
        if word in _READ:
            return _READ[word](self, pool)
        self.wrong(
            "cpus, mem, tmp, devmem, link, feature, racks, name, or devices as gpu:a100:8", start, self.at - 1
        )

    def _device(self, kind: str) -> DeviceGroup:
        self._blanks()
        start, type_ = self.at, ""
        word = self.name("a type or a count of devices")
        if self._skip(":"):
            type_, start = word, self.at
            word = self.name("a count of devices")
        if not word.isdecimal() or len(word) > 9 or not 1 <= int(word) <= MOST_DEVICES:
            self.wrong(f"a count of devices from 1 to {MOST_DEVICES}", start)
        return DeviceGroup(kind, type_, int(word))

    def cpus(self) -> int:
        """Thousandths of CPUs."""
        self._blanks()
        start, text = self.at, self._match(r"[0-9.]+")
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", text):
            self.wrong("a number of CPUs with at most three decimals", start)
        whole, _, rest = text.partition(".")
        milli = int(whole) * 1000 + int((rest + "000")[:3])
        if not 1 <= milli <= MOST_CPUS * 1000:
            self.wrong(f"0.001 to {MOST_CPUS} CPUs", start)
        return milli

    def _number(self, what: str, most: int) -> int:
        self._blanks()
        start, text = self.at, self._match(r"[0-9]+")
        if not text or len(text) > 18 or int(text) > most:
            self.wrong(f"{what}, at most {most}", start)
        return int(text)

    def from_one(self, what: str, most: int) -> int:
        start = self.at
        number = self._number(what, most)
        if not number:
            self.wrong(f"{what} from 1 on", start)
        return number

    def amount(self) -> int:
        self._blanks()
        start, text = self.at, self._match(r"[0-9A-Za-z.]+")
        try:
            mib = parse_mem_mib(text)
        except UnitError:
            mib = -1
        if not 0 <= mib <= MEM_MIB_PER_CPU * MOST_CPUS:
            self.wrong("an amount as 256G: a whole number with K, M, G, T or P", start)
        return mib

    def name(self, expected: str) -> str:
        self._blanks()
        start, text = self.at, self._match(r"[A-Za-z0-9_.-]+")
        if not text:
            self.wrong(expected, start)
        return text

    def _blanks(self) -> None:
        self._match(r"\s*")

    def _match(self, pattern: str) -> str:
        found = re.compile(pattern).match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found.group()

    def _skip(self, word: str) -> bool:
        """Whether the word comes next, blanks aside; then it is passed."""
        self._blanks()
        if not self.text.startswith(word, self.at):
            return False
        self.at += len(word)
        self._blanks()
        return True

    def _need(self, word: str, expected: str) -> None:
        if not self._skip(word):
            self.wrong(expected)

    def _word_at(self, at: int) -> str:
        found = re.compile(r"[A-Za-z0-9_.:=-]+|.?", re.DOTALL).match(self.text, at)
        return found.group() if found else ""

    def devices_of(self, pool: Pool, mem_mib: int = 0, link: int = 0) -> Pool:
        """The pool with the memory or the link groups of its last devices."""
        if not pool.devices:
            self.wrong("devices, as gpu:8, before what is said about them")
        last = pool.devices[-1]
        last = last._replace(mem_mib=mem_mib or last.mem_mib, link=link or last.link)
        return pool._replace(devices=(*pool.devices[:-1], last))


_READ: Final[dict[str, Callable[[Parser, Pool], Pool]]] = {
    "cpus": lambda parser, pool: pool._replace(cpu_milli=parser.cpus()),
    "mem": lambda parser, pool: pool._replace(mem_mib=parser.amount()),
    "tmp": lambda parser, pool: pool._replace(tmp_mib=parser.amount()),
    "devmem": lambda parser, pool: parser.devices_of(pool, mem_mib=parser.amount()),
    "link": lambda parser, pool: parser.devices_of(pool, link=parser.from_one("devices", MOST_DEVICES)),
    "feature": lambda parser, pool: pool._replace(features=(*pool.features, parser.name("a feature"))),
    "racks": lambda parser, pool: pool._replace(racks=parser.from_one("racks", pool.n)),
    "name": lambda parser, pool: pool._replace(prefix=parser.name("a prefix of names")),
}
