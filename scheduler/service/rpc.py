"""What a door needs to know of a method: its name, what it is called with, and how it answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from packhorse.scheduler.service.auth import Principal


class Unary(NamedTuple):
    """A method with one answer. request: the struct its body is read as."""

    name: str
    request: type[msgspec.Struct]
    response: type[msgspec.Struct]
    call: Callable[[Principal, Any], Awaitable[msgspec.Struct]]
    takes_protobuf: bool = False
    """The protobuf message may be given as it came: its fields have the same names."""


class Streaming(NamedTuple):
    """A method with any number of answers. What is wrong with a request shows before the first."""

    name: str
    request: type[msgspec.Struct]
    response: type[msgspec.Struct]
    call: Callable[[Principal, Any], Awaitable[AsyncGenerator[Any]]]


Method = Unary | Streaming
