"""Finding the scheduler: on this machine by its home, elsewhere by address and token."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import NamedTuple

import grpc

from packhorse.cli import transport
from packhorse.client.results import CallFailed

RENEW_BEFORE_S = 60
MAX_MESSAGE_BYTES = 256 << 20

OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)

RETRIED = frozenset({grpc.StatusCode.UNAVAILABLE})
"""Statuses after which a call is repeated: reads always, changes because they carry a key."""

PAUSES_S = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0)


class Server(NamedTuple):
    """Where to dial, and the certificate to trust off loopback."""

    address: str
    root_ca: bytes | None


class Credentials:
    """The token for every call; on the scheduler's own machine fetched through its socket, and renewed.

    home: the cluster's home, used where no server is named.
    """

    def __init__(
        self,
        *,
        server: str | None = None,
        token: str | None = None,
        home: str | Path | None = None,
        root_ca: str | Path | None = None,
    ) -> None:
        self._server = server or os.environ.get("PACKHORSE_SERVER") or ""
        self._home = Path(home or transport.home()).expanduser().absolute()
        self._root_ca = Path(root_ca) if root_ca is not None else None
        self._token = token or os.environ.get("PACKHORSE_TOKEN") or ""
        self._given = bool(self._token)
        self._expires_at_s = 0.0

    def server(self) -> Server:
        """Raises CallFailed where no scheduler is to be found."""
        if self._server:
            return Server(self._server, _read(self._root_ca))
        path = self._home / "run" / "scheduler.addr"
        try:
            address = json.loads(path.read_text())["grpc"]
        except (OSError, ValueError, KeyError) as why:
            raise CallFailed("unavailable", self._nowhere()) from why
        # A door open on every address is reached here by a name that its certificate has.
        address = address.replace("0.0.0.0:", "localhost:").replace("[::]:", "localhost:")
        own_ca = self._home / "ca.pem"
        return Server(address, _read(self._root_ca or (own_ca if own_ca.exists() else None)))

    def _nowhere(self) -> str:
        """Why no scheduler was found in the home."""
        if any((self._home / "run").glob("joined-*.json")):
            return (
                f"{self._home} has joined another host's scheduler, and only commands are relayed to it: "
                "pass server= and token=, or set PACKHORSE_SERVER and PACKHORSE_TOKEN (packhorse token "
                "prints one there)"
            )
        return f"no scheduler has run in {self._home}: start one with packhorse up, or set PACKHORSE_HOME"

    @property
    def fresh(self) -> bool:
        """`metadata` will answer without asking the scheduler for a token."""
        return self._given or time.time() <= self._expires_at_s - RENEW_BEFORE_S

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with a call. Raises CallFailed."""
        if not self.fresh:
            self._fetch()
        return (("authorization", f"Bearer {self._token}"),)

    def _fetch(self) -> None:
        if self._server:
            raise CallFailed(
                "unauthenticated", f"no token for {self._server}: pass token= or set PACKHORSE_TOKEN"
            )
        try:
            answer = transport.call_socket(str(self._home / "run" / "scheduler.sock"), "IssueToken", {})
        except transport.TransportError as why:
            raise CallFailed("unavailable", str(why)) from why
        except transport.CallError as why:
            raise CallFailed(why.code, why.message) from why
        self._token = answer["token"]
        self._expires_at_s = transport.int_field(answer, "expires_at_us") / 1_000_000


def _read(path: Path | None) -> bytes | None:
    return path.read_bytes() if path is not None else None


def failed(error: grpc.RpcError) -> CallFailed:
    """The client's error for gRPC's."""
    code = error.code() if hasattr(error, "code") else grpc.StatusCode.UNKNOWN
    details = error.details() if hasattr(error, "details") else str(error)
    return CallFailed(code.name.lower(), details or code.name.lower())
