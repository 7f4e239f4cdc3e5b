"""The table of licences, as scontrol asks for it."""

from __future__ import annotations

from packhorse.scheduler.core.state import State
from packhorse.scheduler.service.tables.table import Catalogue, ints, texts


class LicenseView:
    """The configured licences, and how many of each the jobs hold that have an allocation now."""

    def __init__(self, state: State) -> None:
        self.licenses = state.config.licenses
        self.used = {name: state.licenses.held.get(name, 0) for name, _ in self.licenses}


LICENSES: Catalogue[LicenseView] = {
    "name": texts(lambda view: [name for name, _ in view.licenses]),
    "total": ints(lambda view: [total for _, total in view.licenses]),
    "used": ints(lambda view: [view.used[name] for name, _ in view.licenses]),
    "free": ints(lambda view: [max(total - view.used[name], 0) for name, total in view.licenses]),
}
