"""Steps on an agent: ordered, attached to at its door, told to end, found again, reported."""

from __future__ import annotations

from pathlib import Path

from packhorse.agent.orders import ExitsAcked
from packhorse.scheduler.model.input import RunningAttempt
from tests.agent.stepagent import a_step_agent, an_order, step_key


async def test_a_step_is_ordered_attached_to_and_reported(tmp_path: Path) -> None:
    async with a_step_agent(tmp_path) as agent:
        key = step_key()
        await agent.order(an_order(tmp_path, key, argv=("/bin/sh", "-c", "echo rank $SLURM_PROCID; exit 3")))
        client = await agent.attach(key)
        await client.to_the_end()
        assert bytes(client.out[0]) == b"rank 0\n"
        end = await agent.ended(key)
        assert (end.cause, end.exit_code, end.refused) == ("exited", 3, False)
        assert any(isinstance(one, RunningAttempt) and one.attempt == key for one in agent.reports)
        await agent.order(ExitsAcked((key,)))
        assert key not in agent.runtime.machine.attempts
