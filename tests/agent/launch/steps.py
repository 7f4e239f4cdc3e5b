"""Makes steps for tests: tasks that run a line of shell, and a client that owns them."""

from __future__ import annotations

from typing import Any

from packhorse.agent.launch.exitrecord import ExitRecord
from packhorse.agent.launch.launcher import Supervised
from packhorse.agent.launch.spec import LaunchSpec, StepPlan, Task
from tests.agent.launch.stepclient import StepClient
from tests.agent.launch.yard import Yard


def a_step(yard: Yard, body: str = "true", n: int = 1, **changes: Any) -> LaunchSpec:
    """A step of n tasks that run `body` in a shell, each with its rank in $R."""
    own = set(Task.__struct_fields__) - {"environment"}
    of_task = {name: changes.pop(name) for name in list(changes) if name in own}
    of_spec = {name: changes.pop(name) for name in list(changes) if name in LaunchSpec.__struct_fields__}
    given: dict[str, Any] = {"argv": ("/bin/sh", "-c", body)} | of_task
    tasks = tuple(Task(rank=rank, environment=(f"R={rank}",), **given) for rank in range(n))
    of_plan: dict[str, Any] = {"tasks": tasks, "n_tasks": n} | changes
    directory = yard.attempt()
    key = f"{directory.rpartition('-')[2]}.1.1.0"
    plan = StepPlan(**of_plan)
    return yard.spec(argv=(), attempt_dir=directory, key=key, label="STEP 7.0", step=plan, **of_spec)


async def started(
    yard: Yard, body: str = "true", n: int = 1, **changes: Any
) -> tuple[Supervised, StepClient]:
    """The step, with its owner attached."""
    client = StepClient()
    supervised = await yard.launcher.launch(a_step(yard, body, n, **changes))
    await client.attach(yard.launcher, supervised)
    return supervised, client


async def ran(yard: Yard, body: str = "true", n: int = 1, **changes: Any) -> tuple[ExitRecord, StepClient]:
    """The step, to its end."""
    supervised, client = await started(yard, body, n, **changes)
    await client.to_the_end()
    return await yard.end(supervised), client
