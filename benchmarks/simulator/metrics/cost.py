"""What a run took: interruptions and the work they cost, energy, money."""

from __future__ import annotations

import msgspec
import numpy as np

from packhorse.scheduler.model.resources import WHOLE
from packhorse.simulator.metrics.columns import US_PER_HOUR, Columns
from packhorse.simulator.metrics.usage import Curve, Window, time_mean
from packhorse.simulator.outcome import Outcome


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the cluster draws and costs; whatever is not given is 0.

    nodes, node_watts: machines that are always on, and what each draws with nothing on it. cpu_idle_watts,
    cpu_busy_watts, gpu_idle_watts, gpu_busy_watts: each CPU and device, free and allocated. Money, in any
    currency: per_kwh, per_cpu_hour and per_gpu_hour of what is allocated, per_hour of the whole cluster.
    """

    nodes: int = 0
    node_watts: float = 0.0
    cpu_idle_watts: float = 0.0
    cpu_busy_watts: float = 0.0
    gpu_idle_watts: float = 0.0
    gpu_busy_watts: float = 0.0
    per_kwh: float = 0.0
    per_cpu_hour: float = 0.0
    per_gpu_hour: float = 0.0
    per_hour: float = 0.0


def preemptions(outcome: Outcome) -> int:
    """Sum of the restarts: how often a job that ran had to begin again."""
    return int(outcome.restarts.sum())


def lost_cpu_hours(outcome: Outcome, of: Columns) -> float:
    """Sum of lost run time x CPUs."""
    return _hours(of.cpu_milli, outcome.lost_us)


def lost_gpu_hours(outcome: Outcome, of: Columns) -> float:
    """Sum of lost run time x devices."""
    return _hours(of.gpu_milli, outcome.lost_us)


def stopped_hours(outcome: Outcome) -> float:
    """Sum over the jobs of the time between first start and end in which they did not run."""
    return float(outcome.stopped_us.sum()) / US_PER_HOUR


def _hours(milli: np.ndarray, us: np.ndarray) -> float:
    return float(milli.astype(np.float64) @ us) / WHOLE / US_PER_HOUR


def energy_kwh(outcome: Outcome, of: Curve, prices: Prices, within: Window) -> float:
    """Integral over the window of nodes x node watts + idle watts of all CPUs and devices
    + (busy - idle watts) of the allocated ones, in kWh.
    """
    cpus, gpus = _allocated(of, within)
    watts = prices.nodes * prices.node_watts
    watts += outcome.capacity_milli / WHOLE * prices.cpu_idle_watts
    watts += cpus * (prices.cpu_busy_watts - prices.cpu_idle_watts)
    watts += outcome.capacity_gpus * prices.gpu_idle_watts
    watts += gpus * (prices.gpu_busy_watts - prices.gpu_idle_watts)
    return watts * within.length_us / US_PER_HOUR / 1000


def money(outcome: Outcome, of: Curve, prices: Prices, within: Window) -> float:
    """kWh x price + allocated CPU-hours and GPU-hours x their prices + hours of the window x price of one."""
    cpus, gpus = _allocated(of, within)
    hours = within.length_us / US_PER_HOUR
    an_hour = cpus * prices.per_cpu_hour + gpus * prices.per_gpu_hour + prices.per_hour
    return energy_kwh(outcome, of, prices, within) * prices.per_kwh + hours * an_hour


def _allocated(of: Curve, within: Window) -> tuple[float, float]:
    """CPUs and devices, on the mean over the window."""
    cpus, gpus = (time_mean(milli, of.at_us, within) for milli in (of.cpu_milli, of.gpu_milli))
    return cpus / WHOLE, gpus / WHOLE
