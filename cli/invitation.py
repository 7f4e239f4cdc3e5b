"""What another machine needs to join: where, whom to trust, and who it may say it is. One word of text."""

from __future__ import annotations

import base64
import binascii
import json
import os
from typing import NamedTuple

from packhorse.cli.home import Home
from packhorse.scheduler.model.errors import BadValue


class Invitation(NamedTuple):
    """grpc: HOST:PORT. ca: PEM of the authority to trust there. token: of this node's agent."""

    node: str
    grpc: str
    token: str
    ca: str

    def text(self) -> str:
        """One word; whoever has it can join as this node."""
        return base64.urlsafe_b64encode(json.dumps(self._asdict()).encode()).decode()

    @classmethod
    def read(cls, text: str) -> Invitation:
        """Raises BadValue."""
        try:
            fields = json.loads(base64.urlsafe_b64decode(text.encode()))
            return cls(**{name: str(fields[name]) for name in cls._fields})
        except (binascii.Error, ValueError, KeyError, TypeError) as why:
            raise BadValue("--join: that is not a whole invitation; packhorse invite prints one") from why

    def keep(self, home: Home) -> None:
        """Write it where the agent looks: its secrets readable by nobody else."""
        _write(home.secrets / f"agent-{self.node}.token", self.token, 0o600)
        _write(home.ca, self.ca, 0o644)
        _write(home.run / f"joined-{self.node}.json", json.dumps({"grpc": self.grpc}), 0o644)


def _write(path: os.PathLike[str], text: str, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "w") as out:
        out.write(text.rstrip() + "\n")
