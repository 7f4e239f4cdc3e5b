"""Between the commands' JSON and protobuf messages, for calls over gRPC; imported only then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from packhorse.v1 import scheduler_pb2

_METHODS = scheduler_pb2.DESCRIPTOR.services_by_name["Scheduler"].methods_by_name


def request_of(method: str, body: dict[str, Any]) -> Message:
    """The request message of a Scheduler method from its JSON. KeyError for an unknown method."""
    request: Message = getattr(scheduler_pb2, _METHODS[method].input_type.name)()
    json_format.ParseDict(body, request)
    return request


def reply_reader(method: str) -> Callable[[bytes], Message]:
    """What makes a reply message of bytes."""
    read: Callable[[bytes], Message] = getattr(scheduler_pb2, _METHODS[method].output_type.name).FromString
    return read


def json_of(reply: Message) -> dict[str, Any]:
    """The JSON of a reply message."""
    return json_format.MessageToDict(reply)
