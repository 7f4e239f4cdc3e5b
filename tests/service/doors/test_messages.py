"""The structs are the protobuf messages: same fields, same JSON, and back without loss."""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor as F

from packhorse.scheduler.service import messages
from packhorse.scheduler.service.convert_queries import SERVICE, message_class, reader, writer
from packhorse.v1 import job_pb2, scheduler_pb2

NAMES = sorted([*job_pb2.DESCRIPTOR.message_types_by_name, *scheduler_pb2.DESCRIPTOR.message_types_by_name])


@pytest.mark.parametrize("name", NAMES)
def test_fields_agree(name: str) -> None:
    struct = getattr(messages, name)
    described = message_class(name).DESCRIPTOR.fields
    assert list(struct.__struct_fields__) == [field.name for field in described]
    json_names = [field.encode_name for field in msgspec.structs.fields(struct)]
    assert json_names == [field.json_name for field in described]
    hints = typing.get_type_hints(struct)
    for field in described:
        expected = json_type(field)
        if field.is_repeated:
            expected = list[expected]  # type: ignore[valid-type]
        elif field.message_type is not None or field.has_presence:
            expected = expected | None
        assert hints[field.name] == expected, field.full_name


def json_type(field: Any) -> Any:
    if field.message_type is not None:
        return getattr(messages, field.message_type.name)
    if field.enum_type is not None:
        return getattr(messages, field.enum_type.name)
    return {
        F.TYPE_STRING: str,
        F.TYPE_BYTES: bytes,
        F.TYPE_BOOL: bool,
        F.TYPE_DOUBLE: float,
        F.TYPE_INT32: int,
        F.TYPE_INT64: int,
        F.TYPE_SINT64: int,
        F.TYPE_UINT32: int,
        F.TYPE_UINT64: int,
    }[field.type]


def test_every_method_has_its_messages() -> None:
    for method in SERVICE.methods:
        assert hasattr(messages, method.input_type.name)
        assert hasattr(messages, method.output_type.name)


def filled(name: str, depth: int = 0) -> Any:
    """A protobuf message with every field set to something that is not its default."""
    message: Any = message_class(name)()
    for number, field in enumerate(message.DESCRIPTOR.fields, start=1):
        value: Any
        if field.message_type is not None:
            inner = filled(field.message_type.name, depth + 1)
            if field.is_repeated:
                getattr(message, field.name).extend([inner, inner])
            else:
                getattr(message, field.name).CopyFrom(inner)
            continue
        if field.enum_type is not None:
            value = field.enum_type.values[-1].number
        else:
            kind = json_type(field)
            value = {str: f"tëxt {number}", bytes: b"\0\xff\xfb" * 7, bool: True, float: 1.5}.get(
                kind, number
            )
            if kind is int and field.type in (F.TYPE_INT64, F.TYPE_SINT64):
                value = 2**62 + number
        if field.is_repeated:
            getattr(message, field.name).extend([value, value])
        else:
            setattr(message, field.name, value)
    return message


@pytest.mark.parametrize("name", NAMES)
def test_there_and_back(name: str) -> None:
    struct = getattr(messages, name)
    for message in (filled(name), message_class(name)()):
        value = reader(struct)(message)
        assert writer(struct)(value) == message


@pytest.mark.parametrize("name", NAMES)
def test_json_is_protobufs_json(name: str) -> None:
    struct = getattr(messages, name)
    for message in (filled(name), message_class(name)()):
        value = reader(struct)(message)
        ours = msgspec.json.encode(value)
        assert json_format.Parse(ours, message_class(name)()) == message
        theirs = json_format.MessageToJson(message).encode()
        assert msgspec.json.decode(theirs, type=struct, strict=False) == value


def test_optional_fields_know_unset_from_zero() -> None:
    read = reader(messages.JobSpec)
    assert read(job_pb2.JobSpec()).time_limit_s is None
    assert read(job_pb2.JobSpec(time_limit_s=0)).time_limit_s == 0
    assert writer(messages.JobSpec)(messages.JobSpec(time_limit_s=0)).HasField("time_limit_s")


def test_numbers_must_fit_their_field() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"nTasks": 4294967296}', type=messages.Ask)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"signal": 2147483648}', type=messages.CancelJobsRequest)
