"""`packhorse shadow`: what the shadow would have done otherwise, and switching it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import structlog

from packhorse.scheduler.config.file import overlaid
from packhorse.scheduler.core.shadow.compare import Kind
from packhorse.scheduler.core.shadow.twin import settings_apart
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.plugins import require_policy
from packhorse.scheduler.service import messages
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.failures import CallFailed, Code

log = structlog.get_logger(__name__)

LATEST = 20
MAX_LATEST = 500
MAX_CONFIG = 1 << 20


def get_shadow(engine: Engine, request: messages.GetShadowRequest) -> messages.GetShadowResponse:
    """The answer to a GetShadowRequest."""
    shadowing, shadow = engine.shadow, engine.shadow.shadow
    ledger = shadowing.ledger
    n_passes = max(ledger.n_passes, 1)
    newest = islice(reversed(ledger.latest), min(request.latest or LATEST, MAX_LATEST))
    return messages.GetShadowResponse(
        on=shadow is not None,
        name=shadow.name if shadow else "",
        since_us=shadow.since if shadow else 0,
        error=shadowing.error,
        n_passes=ledger.n_passes,
        n_failed=shadowing.n_failed,
        last_at_us=shadowing.last_at,
        last_ms=round(1000 * shadowing.last_s),
        live_milli=ledger.live_milli // n_passes,
        shadow_milli=ledger.shadow_milli // n_passes,
        counts=[
            messages.ShadowCount(kind=kind.value, n=ledger.counts[kind], n_jobs=len(ledger.jobs[kind]))
            for kind in Kind
            if ledger.counts[kind]
        ],
        latest=[
            messages.ShadowDifference(
                at_us=seen.at,
                job_id=seen.difference.job,
                kind=seen.difference.kind.value,
                live=seen.difference.live,
                shadow=seen.difference.shadow,
                shift_s=round(seen.difference.shift_us / US),
            )
            for seen in newest
        ],
        settings=settings_apart(engine.state.config, shadow.config) if shadow else [],
    )


def begin_shadow(engine: Engine, path: Path) -> None:
    """The one that the configuration names. What is wrong with it is said by `packhorse shadow`."""
    try:
        config = _overlaid(path.read_text(encoding="utf-8"), str(path), engine)
    except (OSError, UnicodeDecodeError) as error:
        engine.shadow.error = f"{path}: {error}"
    except PackhorseError as error:
        engine.shadow.error = "; ".join(str(error).splitlines())
    else:
        engine.shadow.switch_on(str(path), config, engine.clock.now())
        return
    log.error("shadow.not_begun", why=engine.shadow.error)


def switch_shadow(engine: Engine, request: messages.SwitchShadowRequest) -> messages.SwitchShadowResponse:
    """On with a configuration, or off. Raises CallFailed for one that the scheduler would not start with."""
    if request.off:
        engine.shadow.switch_off()
        return messages.SwitchShadowResponse()
    if len(request.config) > MAX_CONFIG:
        raise CallFailed(Code.INVALID_ARGUMENT, f"{request.name}: larger than {MAX_CONFIG} bytes")
    try:
        config = _overlaid(request.config, request.name, engine)
    except PackhorseError as error:
        raise CallFailed(Code.INVALID_ARGUMENT, "; ".join(str(error).splitlines())) from error
    engine.shadow.switch_on(request.name, config, engine.clock.now())
    return messages.SwitchShadowResponse(on=True, settings=settings_apart(engine.state.config, config))


def _overlaid(text: str, name: str, engine: Engine) -> ClusterConfig:
    """The live configuration with what this one says instead. Raises ConfigError and BadValue."""
    config = overlaid(text, name, engine.state.config)
    require_policy(config.policy)
    return config
