"""The REST interface of one scheduler."""

from __future__ import annotations

from collections.abc import Callable

from packhorse.scheduler.service.methods import Methods
from packhorse.scheduler.service.rest.actions import Actions
from packhorse.scheduler.service.rest.controller import Controller
from packhorse.scheduler.service.rest.database import Database
from packhorse.scheduler.service.rest.door import Rest


def make_rest(methods: Methods, answered: Callable[[str, str], None]) -> Rest:
    """All of it. answered: told of every request of a known route, its operation and code."""
    routes = [*Controller(methods).routes(), *Actions(methods).routes(), *Database(methods).routes()]
    return Rest(routes, lambda: methods.engine.config.name, answered)
