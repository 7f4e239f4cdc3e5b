"""A book of accounts behind the fake scheduler's socket: the real core and the real tables answer."""

from __future__ import annotations

from typing import Any

import msgspec

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.check import check
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.step import step
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.input import Caller, Start
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.model.reply import Planned, Refused
from packhorse.scheduler.service import messages
from packhorse.scheduler.service.accounts_change import change_input
from packhorse.scheduler.service.failures import failure_of, refused
from packhorse.scheduler.service.tables.accounts import list_accounts
from tests.cli.fake_scheduler import FakeScheduler, Reply

NOW = Instant(1_795_000_000 * US)
ADMIN = Caller(Owner(0, 0, "root", "root"), admin=True)


class Book:
    """Answers ChangeAccounts and ListAccounts. caller: who changes."""

    def __init__(self, scheduler: FakeScheduler, config: ClusterConfig | None = None) -> None:
        self.state = State.empty()
        self.caller = ADMIN
        self.cluster = "demo"
        for event in step(self.state, Start(config or ClusterConfig()), NOW).events:
            apply(self.state, event)
        scheduler.on("ChangeAccounts", self._change)
        scheduler.on("ListAccounts", self._list)

    def _change(self, body: dict[str, Any]) -> Reply:
        request = msgspec.convert(body, messages.ChangeAccountsRequest)
        try:
            decision = step(self.state, change_input(request, self.caller), NOW)
            if isinstance(decision.reply, Refused):
                raise refused(decision.reply)
        except PackhorseError as error:
            failure = failure_of(error)
            return 400, {"code": failure.code.value, "message": failure.message, "slurm": failure.slurm}
        for event in decision.events:
            apply(self.state, event)
        check(self.state)
        assert isinstance(decision.reply, Planned)
        return 200, {"lines": list(decision.reply.lines)}

    def _list(self, body: dict[str, Any]) -> Reply:
        request = msgspec.convert(body, messages.ListAccountsRequest)
        return 200, msgspec.to_builtins(list_accounts(self.state, request, NOW))
