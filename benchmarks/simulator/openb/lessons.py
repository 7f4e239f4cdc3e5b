"""Policies made ready, with one lesson for all seeds of a variant.

The seeds put the same nodes in other orders, and what a policy learns does not depend on the order: it
learns on the nodes in an order of their own, once per process and mix.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.core.packing.policy import Ground, Mix, Policy, Scorer

_KEPT: Final = 4

_lessons: dict[tuple[object, ...], np.ndarray] = {}


def made(policy: Policy, ground: Ground, mix: Mix) -> Scorer:
    """The policy for these nodes and this mix."""
    if policy.learn is None or policy.taught is None:
        return policy.make(ground, mix)
    plain = _in_plain_order(ground)
    key = (policy.name, *(column.tobytes() for column in (*plain[:4], *mix)))
    if key not in _lessons:
        while len(_lessons) >= _KEPT:
            del _lessons[next(iter(_lessons))]
        _lessons[key] = policy.learn(plain, mix)
    return policy.taught(ground, mix, _lessons[key])


def _in_plain_order(ground: Ground) -> Ground:
    """The same nodes sorted by what they have."""
    first = ground.type_of[0] if ground.type_of.shape[0] else np.zeros(ground.cpu.size)
    order = np.lexsort((ground.mem, ground.cpu, ground.n_devices, first))
    return Ground(
        ground.cpu[order],
        ground.mem[order],
        ground.n_devices[order],
        np.ascontiguousarray(ground.type_of[:, order]),
        ground.node_class[order],
        ground.n_types,
    )
