"""A queue order in a file of its own: short jobs first, but nobody waits for ever.

    packhorse simulate lublin:jobs=2000,procs=256 --policy easy,sjf,examples/policy/aged_sjf.py

A job's key is how long it is expected to run, less twice what it has waited; the lowest key goes first.
`Waiting` (scheduler/core/orders.py) says what else there is to decide by.
"""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core.orders import Order, Waiting

PATIENCE = 2.0


def key(waiting: Waiting) -> np.ndarray:
    """Seconds; `[n]`."""
    return waiting.run_s - PATIENCE * waiting.wait_s


ORDER = Order("aged-sjf", "short jobs first, old ones sooner", moves=True, key=key)
