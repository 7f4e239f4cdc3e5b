"""In what order jobs of equal tier and priority are looked at: a key per job, the lowest first, then the id.

    fcfs     as they came, which is what "priority" means where nobody set any
    sjf, ljf, saf, sqf   shortest, longest, smallest area (CPUs x time), fewest CPUs first
    wfp3, unicep         Tang et al., "Fault-aware, utility-based job scheduling on Blue Gene/P", CLUSTER 2009
    f1 … f4              Carastan-Santos and de Camargo, "Obtaining dynamic scheduling policies with
                         simulation and machine learning", SC 2017, table 3
    multifactor          Slurm's priority/multifactor with the weights of [priority]: core/multifactor.py
    fairshare, fairshare-age   decayed use of the owner, alone or with age; they know nothing of accounts
    drf                  Ghodsi et al., "Dominant resource fairness", NSDI 2011: progressive filling, among
                         users; once there are accounts among these, weighed by their shares (section 4.3)
    wfp3-rl, unicep-rl   as wfp3 and unicep, but with the wait that the published RLScheduler numbers (Zhang
                         et al., SC 2020) were made with: -1 less the submission time, since the start of a
                         waiting job was not set there. For reproducing these numbers only.
    packhorse            smallest expected work per slowdown gained first, long waits before it all, with
                         room and quiet hours kept for those concerned: core/batch/turns.py

    srtf, srsf   shortest remaining time first; the same times devices (shortest remaining service)
    las2d        Tiresias-L: Gu et al., "Tiresias: a GPU cluster manager for distributed deep learning", NSDI
                 2019: three queues by the service that a job has had, run time times devices. Within a queue
                 those that run come first, as long as they have run in it; then those that have run in it
                 before, the last one that was stopped first; then as they came to it. (So does the simulator
                 of Zhao et al., "Multi-resource interleaving for deep learning training", SIGCOMM 2022.)
    las2d-10     the same with six queues, each ten times as long as the one before

Times are expected run times: the user's limit, or what a predictor makes of it. What remains is that less how
long the job has run in all its attempts. Devices of a job that has none are its CPUs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.predictors import total_cpu_milli
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.resources import Ask

NOBODY: Final = "none"
BY_ORDER: Final = "order"
"""Values of `preempt` of the configuration: no running job makes room for another; the order is one of
running and waiting jobs together."""


class Waiting(NamedTuple):
    """n jobs that may start, or run already where running jobs may be stopped. submit_s: since when they may,
    counted from the cluster's origin; wait_s: since then; run_s: how long they are expected to run in all;
    cpus: of the whole job. For an order with `users`: used_s, CPU seconds that the owner has used, older ones
    counting for less (core/usage.py); dominant, the largest of the owner's shares of CPUs, memory and devices
    once all of the owner's that come before the job run as well. width: its devices, or CPUs where it has
    none; attained_s: how long it has run in all its attempts; since_s: since when it runs now, or waits,
    counted like submit_s. All `[n]`, decimal. running: whether it holds an allocation `[n]`."""

    submit_s: np.ndarray
    wait_s: np.ndarray
    run_s: np.ndarray
    cpus: np.ndarray
    used_s: np.ndarray
    dominant: np.ndarray
    width: np.ndarray
    attained_s: np.ndarray
    since_s: np.ndarray
    running: np.ndarray


class Order(NamedTuple):
    """An order by name. moves: keys change as time goes by. users: it looks at their shares. marks: run time
    times width, in seconds, at which a job comes to stand elsewhere in the order; ascending."""

    name: str
    summary: str
    moves: bool
    key: Callable[[Waiting], np.ndarray]
    users: bool = False
    marks: tuple[int, ...] = ()


def width_milli(ask: Ask) -> int:
    """Thousandths of devices that a job takes; of CPUs if it takes no devices; at least 1."""
    per_node = sum(g.n * g.milli for g in ask.gres_per_node)
    per_task = sum(g.n * g.milli for g in ask.gres_per_task)
    per_job = sum(g.n * g.milli for g in ask.gres_per_job)
    devices = per_node * ask.min_nodes + per_task * ask.n_tasks + per_job
    return max(devices or total_cpu_milli(ask), 1)


def _log10(x: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.log10(np.maximum(x, 1.0))
    return found


def _f1(w: Waiting) -> np.ndarray:
    return np.asarray(_log10(w.run_s) * w.cpus + 870.0 * _log10(w.submit_s))


def _f2(w: Waiting) -> np.ndarray:
    return np.asarray(np.sqrt(w.run_s) * w.cpus + 25_600.0 * _log10(w.submit_s))


def _f3(w: Waiting) -> np.ndarray:
    return np.asarray(w.run_s * w.cpus + 6_860_000.0 * _log10(w.submit_s))


def _f4(w: Waiting) -> np.ndarray:
    return np.asarray(w.run_s * np.sqrt(w.cpus) + 530_000.0 * _log10(w.submit_s))


def _wfp3(w: Waiting, wait_s: np.ndarray) -> np.ndarray:
    return np.asarray(-((wait_s / np.maximum(w.run_s, 1.0)) ** 3) * w.cpus)


def _unicep(w: Waiting, wait_s: np.ndarray) -> np.ndarray:
    width = np.maximum(np.log2(np.maximum(w.cpus, 1.0)), 1e-9)
    return np.asarray(-wait_s / (width * np.maximum(w.run_s, 1.0)))


def _remaining_s(w: Waiting) -> np.ndarray:
    found: np.ndarray = np.maximum(w.run_s - w.attained_s, 0.0)
    return found


TIRESIAS_MARKS: Final = (3250, 7200)
"""Device-seconds at which a job falls into the next queue; as Muri's simulator has them."""
TENFOLD_MARKS: Final = (3250, 32_500, 325_000, 3_250_000, 32_500_000)
"""The first of them, and further ones wherever jobs of another order of magnitude may be told apart."""

_LATEST_S: Final = 1e11
"""After every instant, in seconds: times become parts of a key below 1."""


def _las2d(w: Waiting, marks: tuple[int, ...] = TIRESIAS_MARKS) -> np.ndarray:
    """Three times the queue, plus which part of it, plus the place in that part."""
    queue = np.searchsorted(np.array(marks), w.attained_s * w.width, side="right")
    came_at = np.array((0, *marks))[queue]
    here_s = w.attained_s - np.ceil(came_at / np.maximum(w.width, 1e-3))
    now_s = w.submit_s + w.wait_s
    run_s = np.where(w.running, now_s - w.since_s, 0.0)
    runs_here = w.running & ((run_s <= 0) | (here_s > 0))  # one that has just come to it is the last
    since_s = np.where(w.running, now_s - np.clip(here_s, 0.0, run_s), w.since_s)
    since = since_s / _LATEST_S
    waits = np.where(here_s > 0, 2.0 - since, 2.0 + since)
    return np.asarray(3.0 * queue + np.where(runs_here, since, waits))


def _fairshare_age(w: Waiting) -> np.ndarray:
    """As Slurm's multifactor priority with the weights of its example: age 1000 up to seven days, fair share
    10000 as 2^-(used / mean used)."""
    age = np.minimum(w.wait_s / (7 * 86_400), 1.0)
    mean = w.used_s.mean() if w.used_s.size else 0.0
    fair = np.exp2(-w.used_s / mean) if mean > 0 else np.ones(w.used_s.size)
    return np.asarray(-(1000.0 * age + 10_000.0 * fair))


FCFS: Final = "priority"
PACKHORSE: Final = "packhorse"
MULTIFACTOR: Final = "multifactor"
DRF: Final = "drf"

ORDERS: Final[dict[str, Order]] = {
    order.name: order
    for order in (
        Order(FCFS, "priority, then as they came", False, lambda w: np.zeros(w.run_s.size)),
        Order("sjf", "shortest first", False, lambda w: w.run_s),
        Order("ljf", "longest first", False, lambda w: -w.run_s),
        Order("saf", "smallest area first: CPUs times run time", False, lambda w: w.run_s * w.cpus),
        Order("sqf", "fewest CPUs first", False, lambda w: w.cpus),
        Order("f1", "log10(run) CPUs + 870 log10(submit)", False, _f1),
        Order("f2", "sqrt(run) CPUs + 25600 log10(submit)", False, _f2),
        Order("f3", "run CPUs + 6.86e6 log10(submit)", False, _f3),
        Order("f4", "run sqrt(CPUs) + 5.3e5 log10(submit)", False, _f4),
        Order("wfp3", "largest (wait/run)^3 CPUs first", True, lambda w: _wfp3(w, w.wait_s)),
        Order("unicep", "largest wait/(log2(CPUs) run) first", True, lambda w: _unicep(w, w.wait_s)),
        Order("fairshare", "who has used least first", True, lambda w: w.used_s, True),
        Order(
            MULTIFACTOR,
            "core/multifactor.py works the keys out",
            True,
            lambda w: np.zeros(w.run_s.size),
            True,
        ),
        Order("fairshare-age", "age and fair share, as in Slurm's example", True, _fairshare_age, True),
        Order(DRF, "whose largest share of a resource is least first", True, lambda w: w.dominant, True),
        Order("wfp3-rl", "wfp3 as in RLScheduler", False, lambda w: _wfp3(w, -1.0 - w.submit_s)),
        Order(PACKHORSE, "core/batch/turns.py works the keys out", False, lambda w: np.zeros(w.run_s.size)),
        Order("unicep-rl", "unicep as in RLScheduler", False, lambda w: _unicep(w, -1.0 - w.submit_s)),
        Order("srtf", "shortest remaining time first", True, _remaining_s),
        Order("srsf", "least remaining time times devices first", True, lambda w: _remaining_s(w) * w.width),
        Order("las2d", "queues by run time times devices so far", True, _las2d, marks=TIRESIAS_MARKS),
        Order(
            "las2d-10",
            "las2d with ever longer queues",
            True,
            lambda w: _las2d(w, TENFOLD_MARKS),
            marks=TENFOLD_MARKS,
        ),
    )
}
"""All that come with Packhorse."""


def order(name: str) -> Order:
    """The order of this name; BadValue lists the known ones."""
    found = ORDERS.get(name)
    if found is None:
        raise BadValue(f'order "{name}" is not known; there are {", ".join(sorted(ORDERS))}')
    return found
