"""A job without a batch script, held by the command that asked for it: salloc, and srun outside of a job."""

from __future__ import annotations

import os
import sys
from _signal import SIGHUP, SIGINT, SIGQUIT, SIGTERM, getsignal, signal  # type: ignore[import-not-found]
from time import monotonic, sleep

from packhorse.cli.slurm.process import CommandError, program
from packhorse.cli.slurm.submission import refused
from packhorse.cli.transport import CallError, TransportError, call, field, int_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

AT_ONCE_S = 1
"""A job that does not start within so long is said to wait."""

WAIT_S = 50
"""One call waits this long at the scheduler, then asks again."""

RETRY_S = 2.0

END_WITHIN_S = 30.0
"""So long is a scheduler that is away waited for, to be told that the job is not needed any more."""

END_PAUSE_S = 0.1

_WAITING = frozenset(("", "PENDING", "CONFIGURING", "REQUEUED", "SUSPENDED", "RUNNING"))

_NOT_NOW = {
    "PartitionConfig": "Requested partition configuration not available now",
    "PartitionNodeLimit": "Requested partition configuration not available now",
    "PartitionTimeLimit": "Requested partition configuration not available now",
    "PartitionDown": "Required partition not available (inactive or drain)",
    "PartitionInactive": "Required partition not available (inactive or drain)",
    "ReqNodeNotAvail": "Required node not available (down, drained or reserved)",
}
"""Slurm's sentences before those who ask are told to wait, by the reason of the job."""


class Interrupted(Exception):
    """A signal came while the command waited."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Interruptible:
    """While it is entered, signals that end a command raise Interrupted in it. Where that got lost (in the
    end of some object, say), `check` raises it again.
    """

    NUMBERS = (SIGINT, SIGQUIT, SIGTERM, SIGHUP)

    def __enter__(self) -> Interruptible:
        self._came = 0
        self._before = [(number, getsignal(number)) for number in self.NUMBERS]
        for number in self.NUMBERS:
            signal(number, self._raise)
        return self

    def check(self) -> None:
        """Raises Interrupted if a signal came."""
        if self._came:
            raise Interrupted(self._came)

    def _raise(self, number: int, frame: object) -> None:
        self._came = number
        raise Interrupted(number)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            signal(number, handler)


def submit(request: dict[str, Any]) -> int:
    """The number of the job that was submitted. Raises CommandError."""
    try:
        reply = call("SubmitJob", request)
    except CallError as error:
        raise refused(error, bool(request.get("testOnly"))) from None
    for warning in field(reply, "warnings", []):
        sys.stderr.write(f"{program()}: warning: {warning}\n")
    job_id = int_field(reply, "job_id")
    if request.get("testOnly"):
        from packhorse.cli.slurm.submission import tell_estimate

        tell_estimate(reply, job_id)
    for note in field(reply, "notes", []):
        sys.stderr.write(f"{program()}: {note}\n")
    return job_id


def granted(job_id: int, immediate_s: int, quiet: bool) -> dict[str, Any] | None:
    """What the job got, once it has it; None where a signal came before. immediate_s: give up after so long,
    0: never.

    Raises CommandError where it gets nothing.
    """
    try:
        return _granted(job_id, immediate_s, quiet)
    except Interrupted:
        return None


def _granted(job_id: int, immediate_s: int, quiet: bool) -> dict[str, Any]:
    prog = program()
    told = False
    deadline = monotonic() + immediate_s if immediate_s else 0.0
    with Interruptible() as signals:
        while True:
            signals.check()
            timeout_s = WAIT_S if told else AT_ONCE_S
            if deadline:
                timeout_s = max(1, min(timeout_s, int(deadline - monotonic() + 0.5)))
            reply = _ask(job_id, timeout_s)
            if reply is not None and field(reply, "ready", False):
                if told and not quiet:
                    sys.stderr.write(f"{prog}: job {job_id} has been allocated resources\n")
                return reply
            if reply is not None and field(reply, "state", "") not in _WAITING:
                raise CommandError(_ended(job_id, reply))
            if deadline and monotonic() >= deadline:
                end(job_id, 1)
                raise CommandError(
                    f"{prog}: error: Unable to allocate resources: Requested nodes are busy",
                    _immediate_code(),
                )
            if reply is not None and not told and not deadline:
                told = True
                if not quiet:
                    _tell_waiting(job_id, str(field(reply, "reason", "")))
            sys.stderr.flush()


def _ask(job_id: int, timeout_s: int) -> dict[str, Any] | None:
    """One question; None where the scheduler is away."""
    try:
        return call("AwaitAllocation", {"jobId": job_id, "timeoutS": timeout_s})
    except CallError as error:
        if error.code == "unavailable":
            sleep(RETRY_S)
            return None
        raise
    except TransportError as error:
        sys.stderr.write(f"{program()}: warning: {error}; waiting for it to come back\n")
        sleep(RETRY_S)
        return None


def _tell_waiting(job_id: int, reason: str) -> None:
    prog = program()
    if first := _NOT_NOW.get(reason.partition(",")[0].strip("()")):
        sys.stderr.write(f"{prog}: {first}\n")
    if prog == "salloc":
        sys.stderr.write(f"salloc: Pending job allocation {job_id}\n")
    sys.stderr.write(f"{prog}: job {job_id} queued and waiting for resources\n")


def _ended(job_id: int, reply: dict[str, Any]) -> str:
    """Of a job that was over before it had anything."""
    prog = program()
    state, detail = str(field(reply, "state", "")), str(field(reply, "detail", ""))
    why = f": {detail}" if detail else f" ({state})"
    return f"{prog}: error: Job allocation {job_id} has been revoked{why}"


def end(job_id: int, code: int, number: int = 0) -> None:
    """The command is done with the job: its exit code, or the signal that ended it. A scheduler that is away
    is waited for, since the job would go on otherwise.
    """
    body: dict[str, Any] = {"jobId": job_id, "idempotencyKey": os.urandom(16).hex()}
    if code:
        body["exitCode"] = code
    if number:
        body["exitSignal"] = number
    deadline = monotonic() + END_WITHIN_S
    while True:
        try:
            call("EndAllocation", body)
            return
        except (CallError, TransportError) as error:
            code_of_error = error.code if isinstance(error, CallError) else "unavailable"
            if code_of_error in ("not_found", "failed_precondition"):
                return
            if code_of_error != "unavailable" or monotonic() > deadline:
                sys.stderr.write(f"{program()}: error: job {job_id} may still run: {error}\n")
                return
        sleep(END_PAUSE_S)


def _immediate_code() -> int:
    """SLURM_EXIT_IMMEDIATE replaces the status of a command whose request was not met at once."""
    given = os.environ.get("SLURM_EXIT_IMMEDIATE", "")
    return int(given) if given.isdecimal() and given.isascii() else 1


def immediate_s(options: dict[str, str]) -> int:
    """Of --immediate, 0 where it is not given."""
    if "immediate" not in options:
        return 0
    text = options["immediate"] or "1"
    if not (text.isdecimal() and text.isascii()) or len(text) > 9:
        raise CommandError(f'{program()}: error: Invalid numeric value "{text}" for --immediate.', 255)
    return int(text) or 1
