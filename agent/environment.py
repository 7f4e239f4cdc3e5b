"""The environment a batch script starts with: what was submitted, what the job adds, what the node adds."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from packhorse.agent import accounts
from packhorse.agent.orders import LaunchOrder

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOST_NAME = os.uname().nodename
OWN_PATH = f"{os.path.dirname(sys.executable)}:{DEFAULT_PATH}"


def batch(order: LaunchOrder, node: str, cluster: Mapping[str, str]) -> list[str]:
    """`NAME=VALUE` strings, each name once; later sources win.

    cluster: what commands inside the job need to find this cluster again.
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
    env.update(cluster)
    return [f"{name}={value}" for name, value in env.items()]


def _add(env: dict[str, str], pairs: tuple[str, ...]) -> None:
    for pair in pairs:
        name, sep, value = pair.partition("=")
        if sep and name:
            env[name] = value
