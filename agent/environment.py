"""The environment a batch script starts with: what was submitted, what the job adds, what the node adds."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping

from packhorse.agent.orders import LaunchOrder

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def batch(order: LaunchOrder, node: str, cluster: Mapping[str, str]) -> list[str]:
    """`NAME=VALUE` strings, each name once; later sources win.

    cluster: what commands inside the job need to find this cluster again.
    """
    env: dict[str, str] = {"PATH": f"{os.path.dirname(sys.executable)}:{DEFAULT_PATH}", "TMPDIR": "/tmp"}
    env.update(_of_user(order.uid, order.user))
    env.update(_split(order.environment))
    env.update(_split(order.slurm_environment))
    env["SLURMD_NODENAME"] = node
    env["SLURM_TOPOLOGY_ADDR"] = node
    env["SLURM_TOPOLOGY_ADDR_PATTERN"] = "node"
    env["HOSTNAME"] = env.get("HOSTNAME", os.uname().nodename)
    env["ENVIRONMENT"] = "BATCH"
    env.update(cluster)
    return [f"{name}={value}" for name, value in env.items()]


def _of_user(uid: int, user: str) -> dict[str, str]:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return {"USER": user, "LOGNAME": user}
    return {
        "USER": entry.pw_name,
        "LOGNAME": entry.pw_name,
        "HOME": entry.pw_dir,
        "SHELL": entry.pw_shell or "/bin/sh",
    }


def _split(pairs: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, sep, value in (pair.partition("=") for pair in pairs) if sep and name}
