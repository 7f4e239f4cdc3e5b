"""How right estimates of starts were, for `packhorse estimates`."""

from __future__ import annotations

from itertools import islice

from packhorse.scheduler.core.when.book import Scored
from packhorse.scheduler.core.when.hits import sums
from packhorse.scheduler.service import messages
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.store.protocol import DAY_US

MAX_LATEST = 2_000


def list_estimates(engine: Engine, request: messages.ListEstimatesRequest) -> messages.ListEstimatesResponse:
    """The answer to a ListEstimatesRequest."""
    state = engine.state
    book, pending = state.estimates, state.pending_columns
    both = sorted((*book.first.scored, *book.again.scored), key=lambda scored: scored.start, reverse=True)
    return messages.ListEstimatesResponse(
        sums=[messages.EstimateSum(**found._asdict()) for found in sums(book)],
        days=[
            messages.EstimateDay(
                day_us=day.day * DAY_US,
                n=day.n,
                n_inside=day.inside,
                error_s=day.error_s,
                wait_s=day.wait_s,
            )
            for day in book.first.days
        ],
        latest=[_shown(scored) for scored in islice(both, min(request.latest, MAX_LATEST))],
        n_scored=book.first.n,
        n_inside=book.first.n_inside,
        n_told=sum(1 for job, last in book.told if not last and job in pending),
        now_us=engine.clock.now(),
    )


def _shown(scored: Scored) -> messages.ScoredEstimate:
    estimate = scored.estimate
    return messages.ScoredEstimate(
        job_id=estimate.job,
        last=estimate.last,
        told_at_us=scored.at,
        low_at_us=estimate.low,
        median_at_us=estimate.median,
        high_at_us=estimate.high,
        start_at_us=scored.start,
        partition=scored.partition,
        nth=scored.nth,
    )
