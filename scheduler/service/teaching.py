"""Has the placement policy learn from what jobs are like here, in a process of its own, and tells the core.

Learning takes seconds of one core, at a lower priority than everything else. It happens soon after jobs that
take devices are there, and then whenever the mix of jobs or the nodes have changed, but not more often than
configured. The core is told by an input like any other, so that a recorded run can be replayed.
"""

from __future__ import annotations

import asyncio
import io
import os
import pickle
import sys
import time

import numpy as np
import structlog

from packhorse.scheduler.core import demand
from packhorse.scheduler.core.demand import Lesson, mix_of
from packhorse.scheduler.core.packing.policies import policy
from packhorse.scheduler.model.errors import PackhorseError, StoreUnavailable
from packhorse.scheduler.model.input import Teach
from packhorse.scheduler.plugins import require_policy
from packhorse.scheduler.service.engine import Engine

log = structlog.get_logger()

FIRST_S = 5.0
"""After the start, and between looks whether there is something to learn."""

LONGEST_S = 600.0
"""A lesson that takes longer is given up."""


class LessonFailed(PackhorseError):
    """The process that was to learn ended badly."""


class Teacher:
    """Runs beside the engine until it is stopped. every_s: least time between two lessons, 0: never learn."""

    def __init__(self, engine: Engine, every_s: int, look_s: float = FIRST_S) -> None:
        self._engine = engine
        self._every_s = every_s
        self._look_s = look_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, if there is a policy that learns."""
        if self._every_s and policy(self._engine.config.policy).learn is not None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End it, a lesson that is under way too."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._look_s)
            try:
                if await self._teach():
                    await asyncio.sleep(self._every_s)
            except StoreUnavailable:
                pass  # there is no state to learn from; it comes back
            except PackhorseError as error:
                log.warning("policy.lesson_failed", why=str(error))
                await asyncio.sleep(self._every_s)
            except Exception:
                log.exception("policy.lesson_failed")
                await asyncio.sleep(self._every_s)

    async def _teach(self) -> bool:
        """One lesson, if one is due."""
        state = self._engine.state
        lesson = demand.due(
            policy(state.config.policy), state.taught, state.pending_columns, state.node_columns
        )
        if lesson is None:
            return False
        board = state.node_columns.board()
        began = time.perf_counter()
        learned = await learn_elsewhere(lesson.policy.name, board.ground, mix_of(lesson.mix, board))
        log.info(
            "policy.taught", policy=lesson.policy.name, asks=len(lesson.mix), s=time.perf_counter() - began
        )
        self._tell(lesson, learned)
        return True

    def _tell(self, lesson: Lesson, learned: np.ndarray) -> None:
        """The core goes by it from now on; nodes that changed meanwhile will be learned next time."""
        self._engine.state.demand.keep(lesson, learned)
        self._engine.post(Teach(lesson.policy.name, lesson.mix, lesson.ground))


async def learn_elsewhere(name: str, ground: object, mix: object) -> np.ndarray:
    """What the policy of this name learns, worked out by another process. Raises LessonFailed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "packhorse.scheduler.service.teaching"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LONGEST_S):
            out, error = await process.communicate(pickle.dumps((name, ground, mix)))
    except TimeoutError:
        raise LessonFailed(f'policy "{name}" had learned nothing after {LONGEST_S:.0f} s') from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        last = error.decode(errors="replace").strip().rpartition("\n")[2]
        raise LessonFailed(f'policy "{name}": learning ended with status {process.returncode}: {last}')
    found: np.ndarray = np.load(io.BytesIO(out))
    return found


def main() -> int:
    """The other process: reads policy, ground and mix, writes what was learned."""
    os.nice(10)
    name, ground, mix = pickle.load(sys.stdin.buffer)
    learn = require_policy(name).learn
    assert learn is not None, f"policy {name} does not learn"
    out = io.BytesIO()
    np.save(out, learn(ground, mix))
    sys.stdout.buffer.write(out.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main())
