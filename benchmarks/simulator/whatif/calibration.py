"""How well the simulation under today's configuration gives the waits that were recorded: a what-if is only
as good as that.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from packhorse.scheduler.model.ids import US
from packhorse.simulator.outcome import NOT_YET, Outcome


class Calibration(msgspec.Struct, frozen=True):
    """Of the jobs that were recorded and simulated. All in seconds. off_mean: mean of |simulated - recorded|;
    off_p95: what 95 % of them are off at most; bias: mean of simulated - recorded. correlation: Pearson's of
    the two waits, None where one of them is always the same.
    """

    n: int
    recorded_mean: float
    simulated_mean: float
    off_mean: float
    off_p95: float
    bias: float
    correlation: float | None


def calibrate(today: Outcome, started_us: Mapping[str, int], launch_s: float) -> Calibration:
    """launch_s: what of a recorded wait is no wait for the scheduler, but the launch of the job."""
    began = [i for i, job in enumerate(today.jobs) if today.start_us[i] != NOT_YET and job.id in started_us]
    submit = np.array([today.jobs[i].submit_us for i in began], np.float64)
    recorded = (np.array([started_us[today.jobs[i].id] for i in began], np.float64) - submit) / US
    simulated = (today.start_us[began] - submit) / US + launch_s
    if not began:
        return Calibration(0, 0.0, 0.0, 0.0, 0.0, 0.0, None)
    off = np.abs(simulated - recorded)
    varies = len(began) > 1 and recorded.std() > 0 and simulated.std() > 0
    return Calibration(
        n=len(began),
        recorded_mean=_rounded(recorded.mean()),
        simulated_mean=_rounded(simulated.mean()),
        off_mean=_rounded(off.mean()),
        off_p95=_rounded(np.percentile(off, 95)),
        bias=_rounded((simulated - recorded).mean()),
        correlation=_rounded(np.corrcoef(recorded, simulated)[0, 1]) if varies else None,
    )


def sentence(of: Calibration) -> str:
    """For people."""
    if not of.n:
        return "no job was both recorded and simulated: nothing tells how good the simulation is"
    same = "no correlation: the waits are all the same"
    if of.correlation is not None:
        same = f"correlation {of.correlation:.3f}"
    return (
        f"simulated under today's configuration, {of.n:,} jobs wait {of.simulated_mean:,.2f} s on average, "
        f"as recorded {of.recorded_mean:,.2f} s; a job is off by {of.off_mean:,.2f} s on average, 95 % by "
        f"at most {of.off_p95:,.2f} s; {same}"
    )


def _rounded(value: float) -> float:
    return float(f"{value:.10g}")
