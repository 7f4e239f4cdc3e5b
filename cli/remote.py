"""Calls to a scheduler on another machine: gRPC, or HTTP where the address says so. Imported only then.

PACKHORSE_SERVER is `HOST:PORT` (gRPC) or `http://HOST:PORT` (the HTTP door). The token is PACKHORSE_TOKEN,
else the file `secrets/token` of PACKHORSE_HOME. Where `ca.pem` lies in PACKHORSE_HOME, gRPC goes over TLS and
trusts that certificate only.
"""

from __future__ import annotations

import os
from typing import Any

from packhorse.cli import transport, wire


def token() -> str:
    """The caller's bearer token, "" if there is none."""
    if given := os.environ.get("PACKHORSE_TOKEN"):
        return given.strip()
    try:
        with open(transport.home() + "/secrets/token", encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""


def certificate() -> bytes:
    """The certificate that the scheduler's must come from, empty where there is none (loopback only)."""
    try:
        with open(transport.home() + "/ca.pem", "rb") as file:
            return file.read()
    except OSError:
        return b""


def call(server: str, method: str, data: bytes) -> dict[str, Any]:
    """The reply of the scheduler at `server` to `method`, whose request is the JSON `data`."""
    if server.startswith("http://"):
        return _http(server[len("http://") :].rstrip("/"), method, data)
    if "://" in server:
        raise transport.TransportError(
            f'PACKHORSE_SERVER "{server}": accepted are HOST:PORT (gRPC) and http://HOST:PORT'
        )
    return _grpc(server, method, data)


def _http(address: str, method: str, data: bytes) -> dict[str, Any]:
    import socket

    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        raise transport.TransportError(f'PACKHORSE_SERVER "http://{address}": the port is missing')
    try:
        sock = socket.create_connection((host.strip("[]"), int(port)), transport.CONNECT_TIMEOUT_S)
    except OSError as error:
        raise transport.TransportError(f"cannot reach the scheduler at {address}: {error}") from error
    sock.settimeout(transport.REPLY_TIMEOUT_S)
    bearer = token()
    headers = f"Authorization: Bearer {bearer}\r\n" if bearer else ""
    status, payload = transport.exchange(sock, transport.request_bytes(method, address, data, headers))
    return transport.parse_reply(status, payload)


def _grpc(address: str, method: str, data: bytes) -> dict[str, Any]:
    import grpc

    from packhorse.cli import convert

    request = convert.request_of(method, wire.loads(data))
    bearer = token()
    metadata = (("authorization", f"Bearer {bearer}"),) if bearer else ()
    limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    root_ca = certificate()
    if root_ca:
        opened = grpc.secure_channel(address, grpc.ssl_channel_credentials(root_ca), options=limits)
    else:
        opened = grpc.insecure_channel(address, options=limits)
    with opened as channel:
        unary = channel.unary_unary(
            f"/{transport.SERVICE}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=convert.reply_reader(method),
        )
        try:
            reply = unary(request, timeout=transport.REPLY_TIMEOUT_S, metadata=metadata)
        except grpc.RpcError as error:
            raise _error(address, error) from error
    return convert.json_of(reply)


def _error(address: str, error: Any) -> Exception:
    """What a failed gRPC call means to the user."""
    code = error.code().name.lower()
    message = error.details() or code
    trailing = dict(error.trailing_metadata() or ())
    if code == "unavailable" and "packhorse-code" not in trailing and "slurm" not in trailing:
        return transport.TransportError(f"cannot reach the scheduler at {address}: {message}")
    if code == "deadline_exceeded":
        return transport.LostReply(f"no answer from {address} within {transport.REPLY_TIMEOUT_S:.0f} s")
    return transport.CallError(
        code, message, str(trailing.get("slurm", "")), str(trailing.get("refusal", ""))
    )
