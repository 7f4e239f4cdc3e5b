"""What srun does about a step besides moving its bytes: signals that it gets, tasks that fail or end before
the others, and how the step is ended. The sentences are Slurm's (22.05).
"""

from __future__ import annotations

from _signal import (  # type: ignore[import-not-found]
    SIG_IGN,
    SIGHUP,
    SIGINT,
    SIGPIPE,
    SIGQUIT,
    SIGTERM,
    SIGTSTP,
    SIGUSR1,
    SIGUSR2,
    SIGWINCH,
    signal,
)
from time import monotonic

from packhorse.cli.slurm.steps import frames
from packhorse.cli.slurm.steps.tasks import tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from packhorse.cli.slurm.steps.pmi import Star
    from packhorse.cli.slurm.steps.tasks import Tasks

GRACE_S = 30.0
"""Between TERM and KILL where srun ends a step: Slurm's KillWait."""

FORCED_GRACE_S = 2.0
"""The same after a second Ctrl-C."""

SILENT_WAIT_S = 60
"""Without --wait: told once when so much time has passed since the first task ended."""


class Settings:
    """How a step is attended. Times in seconds; wait_s 0: for ever."""

    def __init__(self) -> None:
        self.prog = "srun"
        self.role = "owner"
        self.kill_on_bad_exit = False
        self.wait_s = 0
        self.no_kill = False
        self.disable_status = False
        self.quit_on_interrupt = False
        self.quiet = False
        self.verbose = False
        self.stdin = 0
        """The descriptor whose bytes go to the tasks, -1: none."""
        self.input_rank = -1
        """The only task that gets them, -1: all."""
        self.star: Star | None = None
        """Joins the nodes, where the tasks find each other by PMI."""
        self.window: Callable[[], tuple[int, int]] | None = None
        """Rows and columns of our terminal, where task 0 has one."""

    @property
    def owns(self) -> bool:
        """Whether it is the step's owner, who feeds, signals and ends it, and nobody who watches."""
        return self.role == "owner"


class Steering:
    """Of one step. to_all: sends a frame to all its nodes.

    writing: output is being written, perhaps to somebody who does not read it, and signals cannot wait for
    the loop. ending: the step was told to end; given_up: it is not waited for any more.
    """

    def __init__(self, step: str, settings: Settings, tasks: Tasks, to_all: Callable[[bytes], None]) -> None:
        self.writing = False
        self.ending = False
        self.given_up = False
        self._step = step
        self._set = settings
        self._tasks = tasks
        self._to_all = to_all
        self._signals: list[int] = []
        self._acting = False
        self._interrupted_at = -10.0
        self._aborts = 0
        self._abort_told = False
        self._first_end_at = 0.0
        self._wait_told = False

    def say(self, text: str) -> None:
        """One line to the user."""
        if not self._set.quiet or text.startswith("error:"):
            tell(f"{self._set.prog}: {text}\n")

    def end(self, grace_s: float = GRACE_S) -> None:
        """Tells all nodes to end the step."""
        self.ending = True
        self._to_all(frames.end_frame(grace_s))

    # -- signals

    def take_signals(self) -> None:
        """From now on they are ours."""
        signal(SIGPIPE, SIG_IGN)
        if not self._set.owns:
            return
        signal(SIGTSTP, SIG_IGN)
        numbers = [SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2]
        if self._set.window is not None:
            numbers.append(SIGWINCH)
        for number in numbers:
            signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: object) -> None:
        self._signals.append(number)
        if self.writing:
            self.act()

    def act(self) -> None:
        """Does what the signals mean that came."""
        if self._acting:
            return  # within itself: the one outside sees to it
        self._acting = True
        while self._signals:
            number = self._signals.pop(0)
            if number == SIGWINCH:
                if self._set.window is not None:
                    self._to_all(frames.window_frame(*self._set.window()))
            elif number == SIGINT:
                self._interrupt()
            elif number == SIGQUIT:
                self.say("Quit")
                self._abort(FORCED_GRACE_S)
            elif number == SIGTERM:
                self._abort(GRACE_S)
            else:
                self._to_all(frames.signal_frame(number))
        self._acting = False

    def _interrupt(self) -> None:
        """Ctrl-C: once tells how things stand, twice within a second ends the step, once more srun."""
        now = monotonic()
        again = now - self._interrupted_at <= 1.0
        self._interrupted_at = now
        if self._set.window is not None:
            self._to_all(frames.signal_frame(SIGINT))
        elif not again and not self._set.quit_on_interrupt:
            if self._set.disable_status:
                self.say(f"sending Ctrl-C to StepId={self._step}")
                self._to_all(frames.signal_frame(SIGINT))
                return
            what = "abort already in progress" if self._aborts else "one more within 1 sec to abort"
            self.say(f"interrupt ({what})")
            self._tasks.print_status()
        elif self._aborts:
            self.say("job abort in progress")
            self._tasks.code = max(self._tasks.code, 128 + SIGINT)
            self.given_up = True
        else:
            self.say(f"sending Ctrl-C to StepId={self._step}")
            self._to_all(frames.signal_frame(SIGINT))
            self._abort(FORCED_GRACE_S)

    def _abort(self, grace_s: float) -> None:
        if not self._aborts:
            self.say("forcing job termination")
            self._tell_abort()
        self._aborts += 1
        self.end(grace_s)

    def _tell_abort(self) -> None:
        self._abort_told = True
        self.say(f"Job step aborted: Waiting up to {int(GRACE_S) + 2} seconds for job step to finish.")

    # -- what is heard of the step

    def noticed(self, line: str) -> None:
        """The step says something to the user: of its end by somebody else, perhaps."""
        if " CANCELLED AT " in line and self._set.owns and not self.ending and not self._abort_told:
            self._tell_abort()
        tell(line + "\n")

    def failed_first(self) -> None:
        """The first task has failed, with --kill-on-bad-exit."""
        if self._tasks.left:
            self._tell_terminating()
            self.end()

    def joined(self, star: Star) -> None:
        """Its nodes were told so; a step that a task aborted, or that cannot go on, is ended."""
        if self.ending or star.code < 0:
            return
        if star.stuck:
            self.say(f"error: {star.stuck}: terminating StepId={self._step}")
        self.end(0)

    def ended(self) -> None:
        """A task is over."""
        if not self._first_end_at:
            self._first_end_at = monotonic()

    @property
    def due(self) -> float:
        """When `act_on_time` has something to do, 0: never."""
        if not self._first_end_at or self._wait_told or not self._set.owns:
            return 0.0
        return self._first_end_at + (self._set.wait_s or SILENT_WAIT_S)

    def act_on_time(self, now: float) -> None:
        """Some tasks have gone on for long after the first one's end."""
        if not self.due or now < self.due:
            return
        self._wait_told = True
        if not self._tasks.left:
            return  # only their output is still on its way
        if self._set.wait_s:
            self.say(f"First task exited {self._set.wait_s}s ago")
            self._tasks.print_status()
            self._tell_terminating()
            self.end()
        else:
            self.say(f"warning: First task exited {SILENT_WAIT_S}s ago")
            self._tasks.print_status()

    def _tell_terminating(self) -> None:
        self.say(f"launch/slurm: _step_signal: Terminating StepId={self._step}")
