"""From the order for a step to its tasks: programs, files, environment, processors, GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packhorse.agent.binding import Processor
from packhorse.agent.bounds import Bounds
from packhorse.agent.launch.spec import LaunchSpec, Limits, StepPlan
from packhorse.agent.stepplan import Node, spec_of
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.resources import Devices
from tests.agent.stepagent import an_order, step_key

MACHINE = [Processor(cpu, core=cpu) for cpu in range(4)]


def a_spec(bounds: Bounds | None = None, node: Node | None = None, **changes: Any) -> LaunchSpec:
    order = an_order(Path("/work"), step_key(4), **changes)
    assert order.step is not None
    return spec_of(
        order,
        order.step,
        node=node or Node("n2", MACHINE, {}),
        directory="/spool/a",
        contact="/spool/contact",
        cluster={"PACKHORSE_HOME": "/home/p"},
        bounds=bounds or Bounds(Limits()),
    )


def a_plan(bounds: Bounds | None = None, node: Node | None = None, **changes: Any) -> StepPlan:
    plan = a_spec(bounds, node, **changes).step
    assert plan is not None
    return plan


def test_what_slurm_tells_each_task() -> None:
    """As a task of a step over two nodes is told (shared golden of four tasks)."""
    plan = a_plan(ranks=(2, 3), node_index=1, cpu_milli=2000)
    told = [dict(pair.split("=", 1) for pair in task.environment) for task in plan.tasks]
    common = {"SLURM_CPUS_ON_NODE": "2", "SLURM_GTIDS": "2,3", "SLURM_NODEID": "1"}
    assert told == [
        common | {"SLURM_LOCALID": "0", "SLURM_PROCID": "2"},
        common | {"SLURM_LOCALID": "1", "SLURM_PROCID": "3"},
    ]


def test_the_environment_is_the_commands_own_with_what_the_node_adds() -> None:
    spec = a_spec(environment=("PATH=/own", "A=1"), slurm_environment=("SLURM_STEP_ID=4", "A=2"))
    told = dict(pair.split("=", 1) for pair in spec.environment)
    assert (told["PATH"], told["A"], told["SLURM_STEP_ID"]) == ("/own", "2", "4")
    assert (told["SLURMD_NODENAME"], told["SLURM_TOPOLOGY_ADDR"], told["PACKHORSE_HOME"]) == (
        "n2",
        "n2",
        "/home/p",
    )
    assert not {"ENVIRONMENT", "HOSTNAME"} & told.keys()
    assert spec.label == "STEP 1.4"


def test_files_by_pattern() -> None:
    plan = a_plan(ranks=(0, 12), node_index=3, std_out="o-%t-%4t-%n-%N-%%t", std_err="/abs/%t", std_in="")
    assert [task.stdout for task in plan.tasks] == ["/work/o-0-0000-3-n2-%t", "/work/o-12-0012-3-n2-%t"]
    assert [task.stderr for task in plan.tasks] == ["/abs/0", "/abs/12"]
    assert {task.stdin for task in plan.tasks} == {""}


def test_errors_go_where_output_goes() -> None:
    assert a_plan(std_out="/o/%t").tasks[0].stderr == "/o/0"
    task = a_plan(std_err="/e").tasks[0]
    assert (task.stdout, task.stderr) == ("", "/e")


def test_several_programs() -> None:
    programs = (("1-2", ("b", "%t", "%o")), ("*", ("a", "x%t", "%o")))
    plan = a_plan(ranks=(0, 1, 2), argv=(), programs=programs)
    assert [task.argv for task in plan.tasks] == [("a", "x0", "0"), ("b", "1", "0"), ("b", "2", "1")]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"argv": ()}, "no command given"),
        ({"programs": (("1", ("a",)),)}, "task 0 has no program"),
        ({"programs": (("a-b", ("a",)),)}, "no task numbers"),
        ({"programs": (("0-99999999", ("a",)),)}, "too many tasks"),
        ({"ranks": ()}, "0 tasks on one node"),
        ({"ranks": tuple(range(5000))}, "5000 tasks on one node, limit 4096"),
        ({"cpu_bind": "x"}, "--cpu-bind=x"),
    ],
)
def test_what_nobody_can_carry_out(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(BadValue, match=why):
        a_plan(**changes)


def test_tasks_are_bound_and_say_so() -> None:
    plan = a_plan(Bounds(Limits(), (1, 2)), ranks=(4, 5), cpu_bind="verbose,threads")
    assert [task.cpus for task in plan.tasks] == [(1,), (2,)]
    assert plan.tasks[1].banner % 77 == "cpu-bind_threads=MASK - n2, task  5  1 [77]: mask 0x4 set"
    plan = a_plan(Bounds(Limits(), (1, 2)), ranks=(4, 5), cpu_bind="v,none")
    assert plan.tasks[0].banner % 77 == "cpu-bind=NONE - n2, task  4  0 [77]: mask 0x6"


GPUS = (Devices("gpu", "h200", (2, 3)),)


def visible(plan: StepPlan) -> list[str]:
    found = []
    for task in plan.tasks:
        told = dict(pair.split("=", 1) for pair in task.environment)
        assert told.get("CUDA_VISIBLE_DEVICES") == told.get("GPU_DEVICE_ORDINAL")
        found.append(told.get("CUDA_VISIBLE_DEVICES", ""))
    return found


def test_gpus_of_each_task() -> None:
    given = ("CUDA_VISIBLE_DEVICES=2,3",)
    changes: dict[str, Any] = {"devices": GPUS, "slurm_environment": given, "ranks": (0, 1)}
    assert visible(a_plan(**changes)) == ["", ""]
    assert visible(a_plan(gpus_per_task=1, **changes)) == ["2", "3"]
    assert visible(a_plan(gpu_bind="map_gpu:3,2", **changes)) == ["3", "2"]
    constrained = Bounds(Limits(), constrained=True)
    assert visible(a_plan(constrained, gpus_per_task=1, **changes)) == ["0", "1"]
    assert visible(a_plan(constrained, gpu_bind="map_gpu:1,0", **changes)) == ["1", "0"]
    near = Node("n2", [Processor(0, numa=0), Processor(1, core=1, numa=1)], {2: 1, 3: 0})
    bounds = Bounds(Limits(), (0, 1))
    assert visible(a_plan(bounds, near, gpu_bind="closest", cpu_bind="rank", **changes)) == ["3", "2"]
    named = Node("n2", MACHINE, {}, "GPU-x,GPU-y")
    assert visible(a_plan(constrained, named, gpus_per_task=1, **changes)) == ["GPU-x", "GPU-y"]
