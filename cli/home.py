"""One cluster's home: where its configuration, store, socket, logs and pid files are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from packhorse.scheduler.model.pidfile import running_pid


class Home(NamedTuple):
    """Paths below PACKHORSE_HOME."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "packhorse.toml"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def ca(self) -> Path:
        """The authority behind the scheduler's certificate; absent where it listens on loopback only."""
        return self.root / "ca.pem"

    @property
    def socket(self) -> Path:
        return self.run / "scheduler.sock"

    @property
    def shape(self) -> Path:
        """What `packhorse up` was asked for, so that it can be asked for again without options."""
        return self.root / "cluster.json"

    def agent_pid_file(self, node: str) -> Path:
        return self.run / f"agent-{node}.pid"

    def node(self, node: str) -> Path:
        return self.root / "nodes" / node

    def scheduler_pid(self) -> int:
        """The running scheduler, 0 if none runs."""
        return running_pid(str(self.run / "scheduler.pid"))

    def agent_pids(self) -> dict[str, int]:
        """Node name -> running agent on this machine."""
        found = {}
        for path in sorted(self.run.glob("agent-*.pid")):
            if pid := running_pid(str(path)):
                found[path.name.removeprefix("agent-").removesuffix(".pid")] = pid
        return found


def default_home() -> Path:
    """PACKHORSE_HOME, or ~/.packhorse."""
    return Path(os.environ.get("PACKHORSE_HOME") or Path.home() / ".packhorse")
