"""The environment a batch script or step starts with: as submitted, what the job adds, what the node adds."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from packhorse.agent import accounts
from packhorse.agent.orders import LaunchOrder

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOST_NAME = os.uname().nodename
OWN_PATH = f"{os.path.dirname(sys.executable)}:{DEFAULT_PATH}"


ORDINALS = ("CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")
ROCM_ORDINALS = "ROCR_VISIBLE_DEVICES"
ROCM_DEVICE = "/dev/kfd"


def batch(
    order: LaunchOrder, node: str, cluster: Mapping[str, str], *, constrained: bool = False
) -> list[str]:
    """`NAME=VALUE` strings, each name once; later sources win.

    cluster: what commands inside the job need to find this cluster again. constrained: files of devices that
    the job has not got cannot be opened.
    """
    env = {"PATH": OWN_PATH, "TMPDIR": "/tmp"}
    env.update(accounts.variables(order.uid, order.user))
    _add(env, order.environment)
    _add(env, order.slurm_environment)
    env["SLURMD_NODENAME"] = node
    env["SLURM_TOPOLOGY_ADDR"] = node
    env["SLURM_TOPOLOGY_ADDR_PATTERN"] = "node"
    env.setdefault("HOSTNAME", HOST_NAME)
    env["ENVIRONMENT"] = "BATCH"
    _gpus(env, order, constrained=constrained, rocm=os.path.exists(ROCM_DEVICE))
    env.update(cluster)
    return [f"{name}={value}" for name, value in env.items()]


def step(
    order: LaunchOrder, node: str, cluster: Mapping[str, str], *, constrained: bool = False
) -> list[str]:
    """What all tasks of a step on this node start with; as `batch`. The environment is that of the command
    that started it, and what it lacks is not made up but for what no program can do without."""
    env = {"PATH": OWN_PATH, "TMPDIR": "/tmp"}
    env.update(accounts.variables(order.uid, order.user))
    _add(env, order.environment)
    _add(env, order.slurm_environment)
    env["SLURMD_NODENAME"] = node
    env["SLURM_TOPOLOGY_ADDR"] = node
    env["SLURM_TOPOLOGY_ADDR_PATTERN"] = "node"
    _gpus(env, order, constrained=constrained, rocm=os.path.exists(ROCM_DEVICE))
    env.update(cluster)
    return [f"{name}={value}" for name, value in env.items()]


def _gpus(env: dict[str, str], order: LaunchOrder, *, constrained: bool, rocm: bool) -> None:
    """Which GPUs the job's programs see, as their drivers will number them.

    CUDA lists only GPUs whose file it can open, and counts those from 0; so does what lies above ROCm's own
    variable. Slurm with ConstrainDevices does the same.
    """
    indices = sorted({i for devices in order.devices if devices.kind == "gpu" for i in devices.indices})
    if not indices:
        return
    if rocm:
        env[ROCM_ORDINALS] = ",".join(map(str, indices))
    if rocm or constrained:
        env |= dict.fromkeys(ORDINALS, ",".join(map(str, range(len(indices)))))


def _add(env: dict[str, str], pairs: tuple[str, ...]) -> None:
    for pair in pairs:
        name, sep, value = pair.partition("=")
        if sep and name:
            env[name] = value
