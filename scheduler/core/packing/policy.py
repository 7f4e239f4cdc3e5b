"""What a placement policy is: a score for every node that could take a job now, the lowest wins.

A policy sees the free amounts of the nodes that fit (`Sight`), what the job takes of one node (`Want`), what
does not change while the nodes stay the same (`Ground`), and what jobs are like here (`Mix`). It is asked
only about nodes that fit, so it can prefer and never over-allocate. Equal scores go to the first node by
name.

A policy is a value in `POLICIES`, chosen by name; `packhorse.policies` entry points add more
(packing/policies.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from packhorse.scheduler.model.resources import WHOLE


class Want(NamedTuple):
    """What a job takes of one node. milli: of each device, 1000 for whole ones; below, n_devices is 1. Of
    jobs without devices both are 0."""

    cpu_milli: int
    mem_mib: int
    n_devices: int
    milli: int

    @property
    def shares(self) -> bool:
        """It takes a share of one device."""
        return 0 < self.milli < WHOLE


class Ground(NamedTuple):
    """What is constant: n nodes by position, with up to D devices each, of n_types types.

    cpu, mem: capacity `[n]` (milli-CPU, MiB). n_devices: `[n]`. type_of: code of each device's type `[D, n]`,
    -1 where there is no such device. node_class: `[n]`, equal for nodes alike in everything; class codes
    count from 0.
    """

    cpu: np.ndarray
    mem: np.ndarray
    n_devices: np.ndarray
    type_of: np.ndarray
    node_class: np.ndarray
    n_types: int


class Sight(NamedTuple):
    """The k nodes that are to be scored; each can take the job.

    at: positions `[k]`. cpu, mem: free `[k]`. dev: free thousandths of every device `[D, k]`, 0 where there
    is none. may: which devices the job may use and have enough free `[D, k]`; of whole devices those that are
    wholly free. known: what `Scorer.know` said of these nodes, with these amounts free `[m, k]`; None: it has
    not been asked.
    """

    at: np.ndarray
    cpu: np.ndarray
    mem: np.ndarray
    dev: np.ndarray
    may: np.ndarray
    known: np.ndarray | None = None


class Mix(NamedTuple):
    """What jobs are like: m classes of asks with how often they come. All `[m]`, most frequent first.

    cpu, mem: milli-CPU and MiB. n_devices, milli: as in Want. types: which device types each may use
    `[m, n_types]`. weight: part of all jobs, sums up to 1.
    """

    cpu: np.ndarray
    mem: np.ndarray
    n_devices: np.ndarray
    milli: np.ndarray
    types: np.ndarray
    weight: np.ndarray

    def typical(self, part: float = 0.95) -> Mix:
        """The most frequent classes that together make up this part of all jobs, weights summing up to 1."""
        if not self.weight.size:
            return self
        m = min(int(np.searchsorted(np.cumsum(self.weight), part - 1e-12)) + 1, self.weight.size)
        weight = self.weight[:m]
        return Mix(
            self.cpu[:m],
            self.mem[:m],
            self.n_devices[:m],
            self.milli[:m],
            self.types[:m],
            weight / weight.sum(),
        )


Scores = tuple[np.ndarray, np.ndarray]
"""Score of each node `[k]` (any number type, lower is better, finite), and which device a job that takes a
share goes to `[k]`, 0 for other jobs. Which whole devices a job gets is not the policy's choice."""


class Scorer(Protocol):
    """A policy made ready for one Ground and Mix. Pure: the same arguments, the same scores.

    relative: a node's score depends on which other nodes are scored with it (best fit stretches scores over
    all that fit, and rounds). Then all nodes that fit are scored anew at every decision, none is kept.
    """

    relative: bool

    def phase(self, fill: float) -> int:
        """Which of its phases applies when this part (0..1) of all devices is allocated. Scores are kept
        while the phase and the node stay the same; 0 for a policy without phases."""

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        """The scores of these nodes for a job that takes `want` of one of them."""


@runtime_checkable
class Knowing(Scorer, Protocol):
    """A scorer with a part of its work that depends on the node alone, whatever is asked: it is kept for each
    node until something is taken there. It also scores one node by plain numbers, which for a few nodes is
    faster than by vectors; the answers are the same."""

    def know(self, at: np.ndarray, cpu: np.ndarray, dev: np.ndarray) -> np.ndarray:
        """That part, integers `[m, k]`, m always the same. at, cpu, dev: as in Sight."""

    def know_one(self, at: int, cpu: int, dev: list[int]) -> Sequence[int]:
        """The same of one node."""

    def score_one(
        self, want: Want, at: int, cpu: int, mem: int, dev: list[int], may: list[bool], known: Sequence[int]
    ) -> tuple[int, int]:
        """Score and device as `scores` gives them. may: empty for a job that takes no share."""


class Policy(NamedTuple):
    """A policy by name. make: for nodes and mix as they are now; remade when either changes materially.

    One that has a lot to learn first, for seconds, gives both parts as well, so that a running scheduler can
    have it learn elsewhere and start with what it knows without: learn: the slow part; taught: the scorer,
    from what `learn` returned for the same mix and the same nodes in any order, or None. `make` is both
    together.

    devices: it makes of the mix what concerns devices only, so that where no node has any the mix is not even
    worked out.
    """

    name: str
    summary: str
    make: Callable[[Ground, Mix], Scorer]
    learn: Callable[[Ground, Mix], np.ndarray] | None = None
    taught: Callable[[Ground, Mix, np.ndarray | None], Scorer] | None = None
    devices: bool = False
