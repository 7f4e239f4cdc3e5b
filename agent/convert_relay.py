"""The RPC Relay on the wire: a call of somebody on this host, and what the scheduler answers."""

from __future__ import annotations

from typing import NamedTuple

import grpc.aio

from packhorse.v1 import scheduler_pb2 as pb


class Call(NamedTuple):
    """uid, gid, user, group: who calls, as the kernel and this host's name service say. body: JSON."""

    uid: int
    gid: int
    user: str
    group: str
    method: str
    body: bytes


async def relay(
    channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...], call: Call
) -> tuple[int, bytes]:
    """HTTP status and body of the answer. Raises grpc.aio.AioRpcError."""
    rpc = channel.unary_unary(
        "/packhorse.v1.Scheduler/Relay",
        request_serializer=pb.RelayRequest.SerializeToString,
        response_deserializer=pb.RelayResponse.FromString,
    )
    answer = await rpc(pb.RelayRequest(**call._asdict()), metadata=metadata)
    return answer.http_status, answer.body
