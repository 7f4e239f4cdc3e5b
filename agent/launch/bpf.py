"""Keeping a version 2 group from devices: a BPF program of a few instructions, loaded by the plain system
call.

Version 1 has files for this (`devices.deny`); version 2 asks programs attached to the group, here one that
refuses what a rule of that older language names and allows the rest. The kernel lets a process open a device
only if the programs of all groups above it agree, so this one can only take away.

Program and context: linux/bpf.h, `struct bpf_cgroup_dev_ctx` (access << 16 | type, major, minor).
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import struct
from typing import NamedTuple

_PROG_LOAD, _PROG_ATTACH = 5, 8
_CGROUP_DEVICE_PROGRAM, _CGROUP_DEVICE, _ALLOW_MULTI = 15, 6, 2
_SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
_TYPES = {"b": 1, "c": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}
_RULE = re.compile(r"([bc]) (\d{1,4}):(\d{1,7}|\*) ([rwm]{1,3})")

LOAD, AND, RIGHT_SHIFT, MOVE, SET = 0x61, 0x57, 0x77, 0xBF, 0xB7
SKIP_IF_EQUAL, SKIP_UNLESS_EQUAL, EXIT = 0x15, 0x55, 0x95
_RESULT, _CONTEXT, _TYPE, _MAJOR, _MINOR, _ACCESSED, _SCRATCH = 0, 1, 2, 3, 4, 5, 6

_libc = ctypes.CDLL(None, use_errno=True)


class Instruction(NamedTuple):
    """One instruction: the operation, two registers, a jump or field offset and a number."""

    code: int
    target: int = 0
    source: int = 0
    offset: int = 0
    number: int = 0

    def encoded(self) -> bytes:
        """Its eight bytes."""
        return struct.pack("=BBhi", self.code, self.target | self.source << 4, self.offset, self.number)


def program(rules: tuple[str, ...]) -> list[Instruction]:
    """What answers 0 (no) for each access that a rule ("c 195:1 rwm", minor "*" for all) names, else 1.

    Raises ValueError for anything that is no such rule.
    """
    made = [
        Instruction(LOAD, _TYPE, _CONTEXT, 0),
        Instruction(MOVE, _ACCESSED, _TYPE),
        Instruction(AND, _TYPE, number=0xFFFF),
        Instruction(RIGHT_SHIFT, _ACCESSED, number=16),
        Instruction(LOAD, _MAJOR, _CONTEXT, 4),
        Instruction(LOAD, _MINOR, _CONTEXT, 8),
    ]
    for rule in rules:
        made += _refusal(rule)
    return [*made, Instruction(SET, _RESULT, number=1), Instruction(EXIT)]


def _refusal(rule: str) -> list[Instruction]:
    found = _RULE.fullmatch(rule)
    if found is None:
        raise ValueError(f'"{rule}" is not a device rule: write it as in "c 195:1 rwm"')
    kind, major, minor, access = found.groups()
    mask = 0
    for letter in access:
        mask |= _ACCESS[letter]
    last = [
        Instruction(MOVE, _SCRATCH, _ACCESSED),
        Instruction(AND, _SCRATCH, number=mask),
        Instruction(SKIP_IF_EQUAL, _SCRATCH, offset=2, number=0),
        Instruction(SET, _RESULT, number=0),
        Instruction(EXIT),
    ]
    asked = [(_TYPE, _TYPES[kind]), (_MAJOR, int(major))]
    if minor != "*":
        asked.append((_MINOR, int(minor)))
    tests = [
        Instruction(SKIP_UNLESS_EQUAL, register, offset=len(asked) - at - 1 + len(last), number=value)
        for at, (register, value) in enumerate(asked)
    ]
    return tests + last


def keep_from_devices(group: str, rules: tuple[str, ...]) -> None:
    """Attaches the program for `rules` to the version 2 group in directory `group`.

    It goes with the group. Raises OSError naming the group where the kernel does not have this, or not for
    us.
    """
    code = b"".join(instruction.encoded() for instruction in program(rules))
    text = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    load = struct.pack(
        "=IIQQIIQII",
        _CGROUP_DEVICE_PROGRAM,
        len(code) // 8,
        ctypes.addressof(text),
        ctypes.addressof(licence),
        *(0, 0, 0, 0, 0),
    )
    place = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        loaded = _bpf(_PROG_LOAD, load, group)
        try:
            _bpf(_PROG_ATTACH, struct.pack("=IIII", place, loaded, _CGROUP_DEVICE, _ALLOW_MULTI), group)
        finally:
            os.close(loaded)
    finally:
        os.close(place)


def _bpf(command: int, attributes: bytes, group: str) -> int:
    number = _SYSCALL.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), group)
    given = ctypes.create_string_buffer(attributes, len(attributes))
    size = ctypes.c_long(len(attributes))
    result = int(_libc.syscall(ctypes.c_long(number), ctypes.c_long(command), given, size))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), group)
    return result
