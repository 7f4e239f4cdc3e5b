"""Calls that agents pass on for people on their hosts: the same methods, the same JSON, a smaller table.

The agent's token proves the agent, and the agent's word is all there is for the user: its kernel told it who
called. So a relayed call may do what that user may do to their own, and no more: nobody is an administrator
that way, not even uid 0 or a user whom the configuration names, and nobody gets a token or admits a node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from packhorse.scheduler.model.errors import BadValue, PackhorseError
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.service import bounds
from packhorse.scheduler.service.auth import RELAYED, Principal, Relation, require
from packhorse.scheduler.service.convert_agents import TunnelWish
from packhorse.scheduler.service.failures import CallFailed, Code, failure_of
from packhorse.scheduler.service.json_calls import Answer, JsonCalls
from packhorse.scheduler.service.messages import OutcomesResponse, RelayRequest, RelayResponse
from packhorse.scheduler.service.rpc import Method, Unary

MAX_UID = 2**32 - 2
"""The last one is the kernel's word for none."""

MAX_NAME = 256


class Relay:
    """The RPC `Relay` over a table of methods. methods: that table, with `Relay` in it.

    answered: told of every call that was passed on, its method and code. is_admin: whose denials have to say
    that they are no administrator this way.
    """

    def __init__(
        self,
        methods: Mapping[str, Method],
        *,
        answered: Callable[[str, str], None],
        is_admin: Callable[[Owner], bool],
    ) -> None:
        relay = Unary("Relay", RelayRequest, RelayResponse, self.call)
        self.methods: dict[str, Method] = {**methods, relay.name: relay}
        self._calls = JsonCalls(self.methods, answered)
        self._is_admin = is_admin

    async def call(self, principal: Principal, request: RelayRequest) -> RelayResponse:
        """The answer, or the error, that the method's caller is to get.

        Raises PackhorseError for what is the agent's fault and not the caller's.
        """
        require(principal, "Relay", Relation.OWN)
        owner = relayed_owner(request)
        remark = _remark(principal.node) if self._is_admin(owner) else ""
        try:
            answer = await self._answer(Principal(owner), request, remark)
        except PackhorseError as error:
            failure = failure_of(error)
            if failure.refusal == "denied":
                failure = CallFailed(
                    failure.code,
                    failure.message + remark,
                    slurm=failure.slurm and failure.slurm + remark,
                    refusal=failure.refusal,
                )
            answer = self._calls.failed(request.method, failure)
        return RelayResponse(http_status=answer.status, body=answer.body)

    async def _answer(self, caller: Principal, request: RelayRequest, remark: str) -> Answer:
        method = self._calls.method(request.method)
        if method is None:
            raise self._calls.unknown(request.method)
        if method.name not in RELAYED or not isinstance(method, Unary):
            raise CallFailed(
                Code.PERMISSION_DENIED,
                f"{method.name} is not relayed; call it on the scheduler's host, or over TCP with a token "
                "(packhorse token prints one there)",
                slurm="Access/permission denied",
            )
        answer = await self._calls.unary(method, caller, request.body)
        if isinstance(answer, OutcomesResponse):
            for outcome in answer.outcomes:
                if outcome.code == "denied":
                    outcome.message += remark
                    outcome.slurm = outcome.slurm and outcome.slurm + remark
        return self._calls.done(method, answer)


def relayed_owner(request: RelayRequest | TunnelWish) -> Owner:
    """Whom the agent names. Raises BadValue."""
    uid = bounds.whole("uid", request.uid, 0, MAX_UID)
    gid = bounds.whole("gid", request.gid, 0, MAX_UID)
    return Owner(uid, gid, _name("user", request.user, uid), _name("group", request.group, gid))


def _name(what: str, name: str, number: int) -> str:
    """The name, or the number where there is none, as for callers on the scheduler's host."""
    if not bounds.text(what, name, MAX_NAME).isprintable():
        raise BadValue(f"{what}: has a character that no name has")
    return name or str(number)


def _remark(node: str) -> str:
    """Follows Slurm's phrase too, since that is what the commands show."""
    return (
        f" (on {node} nobody is an administrator, not even root; administrators call on the scheduler's host)"
    )
