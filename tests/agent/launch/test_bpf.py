"""Device rules as instructions: run by a small machine here, and by the kernel where it lets us."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.agent.cgroups import Cgroups
from packhorse.agent.launch import bpf
from packhorse.agent.launch.bpf import Instruction
from packhorse.agent.launch.spec import Limits
from tests.agent.launch.yard import Yard

BLOCK, CHAR = 1, 2
MKNOD, READ, WRITE = 1, 2, 4


def answer(instructions: list[Instruction], kind: int, major: int, minor: int, access: int) -> int:
    """What a program says to an access, by the meaning that linux/bpf.h gives these instructions."""
    context = {0: access << 16 | kind, 4: major, 8: minor}
    registers = [0] * 11
    at = 0
    for _ in range(10_000):
        code, target, source, offset, number = instructions[at]
        at += 1
        match code:
            case bpf.LOAD:
                registers[target] = context[offset]
            case bpf.MOVE:
                registers[target] = registers[source]
            case bpf.SET:
                registers[target] = number
            case bpf.AND:
                registers[target] &= number
            case bpf.RIGHT_SHIFT:
                registers[target] >>= number
            case bpf.SKIP_IF_EQUAL:
                at += offset if registers[target] == number else 0
            case bpf.SKIP_UNLESS_EQUAL:
                at += offset if registers[target] != number else 0
            case bpf.EXIT:
                return registers[0]
            case _:
                raise AssertionError(f"no such instruction: {code:#x}")
    raise AssertionError("it does not end")


numbers = st.integers(0, 3)
rules = st.lists(
    st.tuples(
        st.sampled_from("bc"),
        numbers,
        st.one_of(st.just("*"), numbers),
        st.sampled_from(["r", "w", "m", "rw", "rm", "wm", "rwm"]),
    ),
    max_size=5,
)


@given(rules, st.sampled_from([BLOCK, CHAR]), numbers, numbers, st.integers(1, 7))
def test_a_program_denies_what_its_rules_name_and_nothing_else(
    asked: list[tuple[str, int, str | int, str]], kind: int, major: int, minor: int, access: int
) -> None:
    denied = any(
        (BLOCK if letter == "b" else CHAR, own) == (kind, major)
        and last in ("*", minor)
        and access & sum({"m": MKNOD, "r": READ, "w": WRITE}[what] for what in rights)
        for letter, own, last, rights in asked
    )
    program = bpf.program(tuple(f"{k} {a}:{b} {rights}" for k, a, b, rights in asked))
    assert answer(program, kind, major, minor, access) == (0 if denied else 1)


@pytest.mark.parametrize("rule", ["", "c 1:2", "a *:* rwm", "c 1:x r", "c -1:2 r", "c 1:2 x"])
def test_what_is_no_rule_is_named(rule: str) -> None:
    with pytest.raises(ValueError, match="is not a device rule"):
        bpf.program((rule,))


def test_an_instruction_is_eight_bytes_in_this_machines_order() -> None:
    assert Instruction(bpf.SKIP_IF_EQUAL, 6, 1, 2, 7).encoded()[:4] == bytes((0x15, 0x16, 2, 0))
    assert {len(one.encoded()) for one in bpf.program(("c 195:* rwm",))} == {8}


@pytest.mark.parametrize("wish", ["v1", "v2"])
async def test_a_job_cannot_open_a_device_of_others(tmp_path: Path, wish: str) -> None:
    """By the kernel, with files of a driver that is not here: what is allowed is missing, not forbidden."""
    yard = Yard(tmp_path, wish)  # type: ignore[arg-type]
    try:
        if "devices" not in yard.cgroups.controllers:
            pytest.skip("devices cannot be kept from jobs here")
        for minor in (0, 1):
            os.mknod(tmp_path / f"nvidia{minor}", stat.S_IFCHR | 0o666, os.makedev(195, minor))
        body = "for n in 0 1; do (: < nvidia$n) 2>&1; done; (: < /dev/null) && echo null"
        await yard.run(body, limits=Limits(deny_devices=("c 195:1 rwm",)))
        own, other, null = yard.out.read_text().splitlines()
        assert own.endswith("No such device or address")
        assert other.endswith("Operation not permitted")
        assert null == "null"
    finally:
        await yard.close()


def test_where_the_kernel_refuses_the_group_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError) as raised:  # no group of any version
        bpf.keep_from_devices(str(tmp_path), ("c 195:1 rwm",))
    assert raised.value.filename == str(tmp_path)


def test_cgroups_say_whether_devices_are_kept(tmp_path: Path) -> None:
    found = Cgroups.detect("t", tmp_path, "v2")
    try:
        assert ("devices" in found.controllers) is not ("devices" in found.missing) or found.kind == "none"
    finally:
        found.close()
