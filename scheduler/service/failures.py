"""How a call that did not succeed is told to the caller: one table for every door.

A refusal of the core, or an error of the tree, becomes a `Code`, and a code is a gRPC status, a Connect
error code and an HTTP status. `slurm` carries Slurm's own phrase to the compatible commands.
"""

from __future__ import annotations

from enum import StrEnum

from packhorse.scheduler.model.errors import (
    BadValue,
    ConfigError,
    PackhorseError,
    StoreDamaged,
    StoreError,
    StoreNewer,
    StoreUnavailable,
)
from packhorse.scheduler.model.reply import RefusalCode, Refused


class Code(StrEnum):
    """Connect's error codes, the ones used here; upper-cased they are gRPC's."""

    INVALID_ARGUMENT = "invalid_argument"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    PERMISSION_DENIED = "permission_denied"
    UNAUTHENTICATED = "unauthenticated"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    FAILED_PRECONDITION = "failed_precondition"
    OUT_OF_RANGE = "out_of_range"
    UNIMPLEMENTED = "unimplemented"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"
    DATA_LOSS = "data_loss"


HTTP_STATUS: dict[Code, int] = {
    Code.INVALID_ARGUMENT: 400,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.UNAUTHENTICATED: 401,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.INTERNAL: 500,
    Code.DATA_LOSS: 500,
}
"""As Connect's specification pairs them."""

REFUSALS: dict[RefusalCode, Code] = {
    RefusalCode.INVALID: Code.INVALID_ARGUMENT,
    RefusalCode.IMPOSSIBLE: Code.FAILED_PRECONDITION,
    RefusalCode.NOT_FOUND: Code.NOT_FOUND,
    RefusalCode.DENIED: Code.PERMISSION_DENIED,
    RefusalCode.WRONG_STATE: Code.FAILED_PRECONDITION,
    RefusalCode.EXHAUSTED: Code.RESOURCE_EXHAUSTED,
    RefusalCode.CONFLICT: Code.ALREADY_EXISTS,
    RefusalCode.UNSUPPORTED: Code.UNIMPLEMENTED,
}

ERRORS: tuple[tuple[type[PackhorseError], Code], ...] = (
    (StoreUnavailable, Code.UNAVAILABLE),
    (StoreDamaged, Code.DATA_LOSS),
    (StoreNewer, Code.FAILED_PRECONDITION),
    (StoreError, Code.UNAVAILABLE),
    (BadValue, Code.INVALID_ARGUMENT),
    (ConfigError, Code.INVALID_ARGUMENT),
    (PackhorseError, Code.INTERNAL),
)
"""The first class that fits decides."""


class CallFailed(PackhorseError):
    """A call is answered with an error. refusal: the core's code, "" where the core was not asked."""

    def __init__(self, code: Code, message: str, *, slurm: str = "", refusal: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.slurm = slurm
        self.refusal = refusal


def refused(reply: Refused) -> CallFailed:
    """The error that tells a caller of this refusal."""
    return CallFailed(REFUSALS[reply.code], reply.message, slurm=reply.slurm, refusal=reply.code.value)


def failure_of(error: PackhorseError) -> CallFailed:
    """The error to answer with when `error` ended a call."""
    if isinstance(error, CallFailed):
        return error
    for kind, code in ERRORS:
        if isinstance(error, kind):
            return CallFailed(code, str(error))
    raise error


def error_body(failure: CallFailed) -> dict[str, str]:
    """`{"code": …, "message": …}` as Connect wants it, with `slurm` and `refusal` where they are known."""
    body = {"code": failure.code.value, "message": failure.message}
    if failure.slurm:
        body["slurm"] = failure.slurm
    if failure.refusal:
        body["refusal"] = failure.refusal
    return body
