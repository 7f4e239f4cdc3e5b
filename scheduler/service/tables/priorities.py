"""The table of what makes up the priorities of waiting jobs, as sprio asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from packhorse.scheduler.core.multifactor import Factors, Key, Terms, weigh
from packhorse.scheduler.core.orders import MULTIFACTOR
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.job import ArrayJob, Held, Job, Pending
from packhorse.scheduler.service.tables.table import Catalogue, Field, ints, texts


class PriorityView:
    """Those of the jobs that wait for their turn: not held, nor for a time or for another job (as in Slurm's
    sprio). An array's remainder is one row.

    A job with a priority of its own has no terms; under another order than "multifactor" none has.
    """

    def __init__(self, state: State, now: Instant, chosen: Sequence[Job | ArrayJob]) -> None:
        pending = state.pending_columns
        self.rows = [
            job
            for job in chosen
            if isinstance(job.phase, Pending)
            and job.phase.held is Held.NO
            and job.phase.eligible_at
            and job.id in pending
        ]
        slots = np.array([pending.slot(job.id) for job in self.rows], dtype=np.intp)
        weights = state.config.priorities
        factors = Key(state, now).factors(slots)
        weighed = state.config.order == MULTIFACTOR
        if not weighed:
            _, negative, _ = pending.keys(slots, pending.rules(state.config))
            factors = factors._replace(explicit=slots >= 0, own=-negative)
        self.explicit = factors.explicit if weighed else pending.explicit[slots]
        free = ~factors.explicit
        self.factors: Factors = factors._replace(
            **{name: getattr(factors, name) * free for name in (*TERMS, "tres")}
        )
        self.terms: Terms = weigh(weights, self.factors)
        self.weights = {
            "age": weights.weight_age,
            "assoc": weights.weight_assoc,
            "fairshare": weights.weight_fairshare,
            "job_size": weights.weight_job_size,
            "partition": weights.weight_partition,
            "qos": weights.weight_qos,
        }
        self.tres_names = [name for name, _ in weights.weight_tres]

    def tres(self, values: np.ndarray, form: Callable[[float], str]) -> list[str]:
        """`cpu=19,gres/gpu=250` of each row, what is nothing left out."""
        found = []
        for column in values.T.tolist():
            some = zip(self.tres_names, column, strict=True)
            found.append(",".join(f"{name}={form(value)}" for name, value in some if value))
        return found


TERMS = ("age", "assoc", "fairshare", "job_size", "partition", "qos")


def _term(name: str) -> Field[PriorityView]:
    return ints(lambda view: getattr(view.terms, name).tolist())


def _factor(name: str) -> Field[PriorityView]:
    """With nine decimals; 0 where the factor has no weight."""
    return texts(
        lambda view: [
            f"{value if view.weights[name] else 0.0:.9f}" for value in getattr(view.factors, name).tolist()
        ]
    )


def _of_spec(name: str) -> Field[PriorityView]:
    return ints(
        lambda view: [
            0 if explicit else getattr(job.spec, name)
            for job, explicit in zip(view.rows, view.explicit.tolist(), strict=True)
        ]
    )


PRIORITIES: Catalogue[PriorityView] = {
    "job_id": ints(lambda view: [job.id for job in view.rows]),
    "user": texts(lambda view: [job.owner.user for job in view.rows]),
    "uid": ints(lambda view: [job.owner.uid for job in view.rows]),
    "account": texts(lambda view: [job.spec.account for job in view.rows]),
    "partition": texts(lambda view: [job.spec.partition for job in view.rows]),
    "qos": texts(lambda view: [job.spec.qos for job in view.rows]),
    "priority": ints(lambda view: np.maximum(view.terms.priority, 1).tolist()),
    "explicit": ints(lambda view: view.explicit.astype(int).tolist()),
    "site": _of_spec("site_factor"),
    "nice": _of_spec("nice"),
    **{f"{name}_term": _term(name) for name in TERMS},
    "tres_terms": texts(lambda view: view.tres(view.terms.tres, lambda value: f"{value:.0f}")),
    **{f"{name}_factor": _factor(name) for name in TERMS},
    "tres_factors": texts(lambda view: view.tres(view.factors.tres, lambda value: f"{value:.9f}")),
}
