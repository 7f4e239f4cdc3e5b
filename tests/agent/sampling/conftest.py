"""Real jobs to measure, with the machine's cgroups and again without any."""

from tests.agent.launch.conftest import plain, wish, yard

__all__ = ["plain", "wish", "yard"]
