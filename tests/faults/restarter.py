"""Somebody who watches over a cluster and starts again what died, as a service manager would."""

from __future__ import annotations

import threading

from tests.cluster import Cluster


class Restarter:
    """While the `with` block runs, `packhorse up` is called whenever a daemon is missing."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.starts = 0

    def __enter__(self) -> Restarter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if not self._cluster.is_whole():
            self._cluster.up()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            if not self._cluster.is_whole():
                self.starts += 1
                self._cluster.up(check=False)  # what it starts may be killed before it serves
