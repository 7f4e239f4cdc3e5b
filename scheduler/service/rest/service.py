"""The REST interface of one scheduler."""

from __future__ import annotations

from collections.abc import Callable

from packhorse.scheduler.service.rest.actions import Actions
from packhorse.scheduler.service.rest.controller import Controller
from packhorse.scheduler.service.rest.database import Database
from packhorse.scheduler.service.rest.door import Rest
from packhorse.scheduler.service.rest.routes import Calls


def make_rest(calls: Calls, answered: Callable[[str, str], None]) -> Rest:
    """All of it. answered: told of every request of a known route, its operation and code."""
    routes = [*Controller(calls).routes(), *Actions(calls).routes(), *Database(calls).routes()]
    return Rest(routes, lambda: calls.engine.config.name, answered)
