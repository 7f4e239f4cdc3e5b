"""Protobuf messages of the Scheduler service to the structs of `messages`, and back.

One converter per message, made once from the message's descriptor, so that no field can be forgotten. With
convert.py the only place that names a generated module.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from google.protobuf.message import Message

from packhorse.scheduler.service import messages
from packhorse.v1 import job_pb2, scheduler_pb2

M = TypeVar("M", bound=msgspec.Struct)

SERVICE = scheduler_pb2.DESCRIPTOR.services_by_name["Scheduler"]


def message_class(name: str) -> type[Message]:
    """The generated class of message `name`."""
    return cast(type[Message], getattr(scheduler_pb2, name, None) or getattr(job_pb2, name))


@cache
def reader(struct: type[M]) -> Callable[[Message], M]:
    """A function from the protobuf message named like `struct` to the struct."""
    descriptor = message_class(struct.__name__).DESCRIPTOR
    getters = [(field.name, _getter(field)) for field in descriptor.fields]

    def read(message: Message) -> M:
        return struct(**{name: get(message) for name, get in getters})

    return read


@cache
def writer(struct: type[M]) -> Callable[[M], Message]:
    """A function from `struct` to the protobuf message of the same name."""
    target = message_class(struct.__name__)
    setters = [(field.name, _setter(field)) for field in target.DESCRIPTOR.fields]

    def write(value: M) -> Message:
        fields: dict[str, Any] = {}
        for name, convert in setters:
            item = getattr(value, name)
            if item is not None:
                fields[name] = item if convert is None else convert(item)
        return target(**fields)

    return write


def parse_json(name: str, body: bytes) -> Message:
    """Any JSON that protobuf accepts for message `name` (both spellings of names, enum numbers, nulls).

    Raises ValueError with protobuf's own words. Slower than the structs' decoders, for where these give up.
    """
    from google.protobuf import json_format  # only bodies in an unusual spelling need it

    try:
        return json_format.Parse(body, message_class(name)())
    except json_format.ParseError as error:
        raise ValueError(str(error).split(" Available Fields")[0]) from error


def _struct(descriptor: Any) -> type[msgspec.Struct]:
    return cast(type[msgspec.Struct], getattr(messages, descriptor.name))


def _enum_name(field: Any) -> Callable[[int], str]:
    type_name = field.enum_type.name
    enum = getattr(messages, type_name)
    names = {number: enum(value.name) for number, value in field.enum_type.values_by_number.items()}

    def name(number: int) -> str:
        try:
            return cast(str, names[number])
        except KeyError:
            raise ValueError(f"{field.name}: {number} is not a {type_name}") from None

    return name


def _getter(field: Any) -> Callable[[Message], Any]:
    name = field.name
    if field.message_type is not None:
        read = reader(_struct(field.message_type))
        if field.is_repeated:
            return lambda message: [read(item) for item in getattr(message, name)]
        return lambda message: read(getattr(message, name)) if message.HasField(name) else None
    if field.is_repeated:
        return lambda message: list(getattr(message, name))
    if field.enum_type is not None:
        enum_name = _enum_name(field)
        return lambda message: enum_name(getattr(message, name))
    if field.has_presence:
        return lambda message: getattr(message, name) if message.HasField(name) else None
    return lambda message: getattr(message, name)


def _setter(field: Any) -> Callable[[Any], Any] | None:
    """How a value of this field is converted; None: it can be given to the message as it stands."""
    if field.message_type is not None:
        write = writer(_struct(field.message_type))
        if field.is_repeated:
            return lambda items: [write(item) for item in items]
        return write
    if field.enum_type is not None:
        numbers = {value.name: value.number for value in field.enum_type.values}
        return lambda item: numbers[item.value]
    return None
