"""One step from its request to its end: created, attached to, attended."""

from __future__ import annotations

import os
import sys

from packhorse.cli.slurm import srun_step
from packhorse.cli.slurm.process import CommandError
from packhorse.cli.slurm.srun_streams import Names, Streams
from packhorse.cli.slurm.steps.allocation import Interrupted, Interruptible, immediate_s
from packhorse.cli.slurm.steps.door import DoorError, StepNode
from packhorse.cli.transport import CallError, TransportError, call, field, int_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from packhorse.cli.slurm.steps.steering import Settings

PROG = "srun"
WAIT_S = 50
"""A step that has no room yet is asked for again after so long, and as soon as another one ends."""


class Launch:
    """A step to be run. inside: the job was there before. signalled: a signal ended one of its tasks."""

    def __init__(
        self, options: dict[str, str], arguments: list[str], job_id: int, inside: bool, line: str
    ) -> None:
        self.job_id = job_id
        self.signalled = False
        self._options = options
        self._arguments = arguments
        self._inside = inside
        self._streams = Streams(options)
        self._immediate_s = immediate_s(options)
        self._spec = srun_step.describe(
            options, arguments, str(job_id) if job_id else "", inside, line, self._streams
        )

    def run(self) -> int:
        """The code to exit with. Raises CommandError where no step was started."""
        options = self._options
        if "bcast" in options:
            from packhorse.cli.slurm.steps.broadcast import broadcast

            broadcast(self, options, self._spec)
        made = self.create(self._spec)
        self._hook("prolog")
        try:
            return self.attend(made)
        finally:
            self._hook("epilog")

    def create(self, spec: dict[str, Any]) -> dict[str, Any]:
        """The scheduler's answer about a step that was started. Raises CommandError."""
        told = False
        wait_s = 0
        with Interruptible() as signals:
            try:
                while True:
                    signals.check()
                    made = self._ask(spec, wait_s)
                    if not field(made, "busy", ""):
                        if told:
                            self._say(f"Step created for StepId={self.job_id}.{int_field(made, 'step_id')}")
                        return made
                    if self._immediate_s and told:
                        raise CommandError(self._refusal("Requested nodes are busy"))
                    if not told and not self._immediate_s:
                        self._say(
                            f"Job {self.job_id} step creation temporarily disabled, retrying "
                            "(Requested nodes are busy)"
                        )
                    told = True
                    wait_s = self._immediate_s or WAIT_S
            except Interrupted as error:
                self._say(f"Cancelled pending job step with signal {error.number}")
                why = "Job/step already completing or completed"
                raise CommandError(self._refusal(why)) from None

    def _ask(self, spec: dict[str, Any], wait_s: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "jobId": self.job_id,
            "spec": spec,
            "idempotencyKey": os.urandom(16).hex(),
        }
        if wait_s:
            body["waitS"] = wait_s
        try:
            return call("CreateStep", body)
        except CallError as error:
            ours = "" if error.slurm in ("", error.message) else f"{PROG}: error: {error.message}\n"
            why = error.slurm or error.message
            if error.code == "not_found" and self._inside:
                text = (
                    f"{PROG}: error: Unable to confirm allocation for job {self.job_id}: {why}\n"
                    f"{PROG}: Check SLURM_JOB_ID environment variable. Expired or invalid job {self.job_id}"
                )
                raise CommandError(text) from None
            raise CommandError(ours + self._refusal(why)) from None

    def _refusal(self, why: str) -> str:
        return f"{PROG}: error: Unable to create step for job {self.job_id}: {why}"

    def attend(self, made: dict[str, Any]) -> int:
        """Attaches to a step and stays until it is over."""
        from packhorse.cli.slurm.steps.client import StepClient
        from packhorse.cli.slurm.steps.terminal import Raw

        options = self._options
        nodes = step_nodes(made)
        step_id = int_field(made, "step_id")
        pty = "pty" in options
        names = Names(self.job_id, step_id, str(self._spec["name"]))
        out, err = self._streams.open_outputs(
            names,
            sum([len(node.ranks) for node in nodes]),
            label="label" in options and not pty,
            raw=pty or "unbuffered" in options,
        )
        settings = self._settings(names)
        if self._spec.get("mpi") == "pmi2":
            from packhorse.cli.slurm.steps.pmi import Star

            settings.star = Star([node.ranks for node in nodes])
        client = StepClient(
            str(field(made, "key", "")),
            f"{self.job_id}.{step_id}",
            nodes,
            out,
            err,
            settings,
            lambda: still_there(self.job_id, step_id),
        )
        if not pty:
            code = client.run()
        else:
            with Raw(0):
                code = client.run()
        self.signalled = client.tasks.signalled
        return code

    def _settings(self, names: Names) -> Settings:
        from packhorse.cli.slurm.steps.steering import Settings

        options = self._options
        settings = Settings()
        settings.kill_on_bad_exit = srun_step.kills_on_bad_exit(options)
        settings.wait_s = int(self._spec.get("waitS", 0))
        settings.no_kill = "no-kill" in options and options["no-kill"] != "off"
        settings.disable_status = "disable-status" in options
        settings.quit_on_interrupt = "quit-on-interrupt" in options
        settings.quiet = "quiet" in options
        settings.verbose = "verbose" in options
        settings.stdin = self._streams.open_input(names)
        settings.input_rank = max(self._streams.input.rank, -1)
        if "pty" in options:
            from packhorse.cli.slurm.steps.terminal import size

            settings.input_rank = 0
            settings.window = lambda: size(0)
        return settings

    def _hook(self, name: str) -> None:
        """Runs --prolog or --epilog here, with the step's words as arguments."""
        path = self._options.get(name, "")
        if not path or path == "none":
            return
        program = srun_step.resolved(path, os.getcwd())
        try:
            pid = os.posix_spawn(program, [program, *self._arguments], os.environ)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except OSError as error:
            sys.stderr.write(f"{PROG}: error: {name} {path}: {error.strerror}\n")
            return
        if status:
            sys.stderr.write(f"{PROG}: error: {name} {path} ended with code {status}\n")

    def _say(self, text: str) -> None:
        if "quiet" not in self._options:
            sys.stderr.write(f"{PROG}: {text}\n")
            sys.stderr.flush()


def step_nodes(made: dict[str, Any]) -> list[StepNode]:
    """The nodes of a step, of what the scheduler said about it."""
    return [
        StepNode(
            str(field(node, "node", "")),
            str(field(node, "host_name", "")),
            str(field(node, "boot_id", "")),
            str(field(node, "door", "")),
            [int(rank) for rank in field(node, "ranks", [])],
        )
        for node in field(made, "nodes", [])
    ]


def still_there(job_id: int, step_id: int) -> None:
    """Raises DoorError when the scheduler says that the step is over; one that is away says nothing."""
    try:
        call("GetStep", {"jobId": job_id, "stepId": step_id}, again=False)
    except CallError as error:
        if error.code in ("not_found", "failed_precondition"):
            raise DoorError(error.message, True) from None
    except TransportError:
        return
