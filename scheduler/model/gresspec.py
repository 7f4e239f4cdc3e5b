"""What people write about devices: `gpu:h200:2`, a share of one (`gpu:0.25`, `gpu:20G`), layouts, licences.

Pure text to tuples and without imports, since the Slurm-style commands read it at every start with devices.
"""

from __future__ import annotations

MAX_COUNT = 1 << 20
MAX_MEM_MIB = 1 << 32
MAX_LAYOUTS = 32
"""Of one kind of device; an NVIDIA H200 has 19."""
MAX_SLICES = 16
"""Of one device; MIG cuts into 7."""
SHARED_KINDS = ("gpu",)
"""Kinds of which a share can be asked for; model/resources.py has the same list for the scheduler."""

Wanted = tuple[str, str, int, int, int]
"""(kind, type or "", count, thousandths of a device, MiB of a device's memory). A share by memory has 1000
thousandths, as in model/resources.Gres."""

_WHOLE = 1000


class GresError(ValueError):
    """A text about devices that cannot be read; it says what is wrong and what to write."""


def parse_gres(text: str) -> list[Wanted]:
    """`gpu:2`, `gpu:h100:1,nic`, `gpu:0.25`, `gpu:h200:20G`, `gpu:1g.10gb:2`. Raises GresError.

    Entries of count 0 are left out.
    """
    found = []
    for part in text.split(","):
        words = part.removeprefix("gres:").removeprefix("gres/").replace("=", ":").split(":")
        if len(words) > 1 and _is_amount(words[-1], sure=len(words) > 2):
            amount = words.pop()
        else:
            amount = "1"
        if len(words) > 2 or not all(words):
            raise GresError(f'"{part}" is not KIND[:TYPE][:COUNT]')
        found += _wanted(part, words[0], words[1] if len(words) > 1 else "", amount)
    return found


def parse_gpus(text: str) -> list[Wanted]:
    """The same for options that are about GPUs anyway: `4`, `h100:2`, `0.25`, `h200:20G`, `a100:1,h100:1`."""
    found = []
    for part in text.split(","):
        type_, _, amount = part.rpartition(":")
        type_ = "" if type_ == "gpu" else type_.removeprefix("gpu:")
        if ":" in type_ or not _is_amount(amount, sure=True):
            raise GresError(f'"{part}" is not [TYPE:]COUNT')
        found += _wanted(part, "gpu", type_, amount)
    return found


def is_slice(type_: str) -> bool:
    """Whether a type names a slice of a device, "1g.10gb"; the same as model/resources.is_slice."""
    cores, dot, memory = type_.partition("g.")
    if not dot or not memory.endswith("gb"):
        return False
    memory = memory[:-2]
    return _is_number(cores, 2) and _is_number(memory, 4)


def parse_layouts(text: str) -> tuple[tuple[str, ...], ...]:
    """Ways to cut one device, as the slices of each: `7x1g.18gb|2x3g.71gb|1x4g.71gb+1x3g.71gb`.

    Raises GresError.
    """
    layouts = []
    for layout in text.split("|"):
        slices: list[str] = []
        for part in layout.split("+"):
            times, x, name = part.partition("x")
            if not x:
                times, name = "1", part
            if not _is_number(times, 2) or not is_slice(name):
                raise GresError(
                    f'layout "{layout}": write slices as in 7x1g.18gb, joined by +, and layouts joined by |'
                )
            slices += [name] * int(times)
        if len(slices) > MAX_SLICES:
            raise GresError(f'layout "{layout}": {len(slices)} slices, limit {MAX_SLICES}')
        layouts.append(tuple(slices))
    if len(layouts) > MAX_LAYOUTS:
        raise GresError(f"{len(layouts)} layouts, limit {MAX_LAYOUTS}")
    return tuple(dict.fromkeys(layouts))


def layout_text(slices: tuple[str, ...]) -> str:
    """`7x1g.18gb`, `1x4g.71gb+1x3g.71gb`: one layout as it is declared."""
    parts: list[list[str]] = []
    for name in slices:
        if parts and parts[-1][0] == name:
            parts[-1].append(name)
        else:
            parts.append([name])
    return "+".join([f"{len(part)}x{part[0]}" for part in parts])


def parse_licenses(text: str) -> tuple[tuple[str, int], ...]:
    """`matlab`, `matlab:2,fluent`: (name, how many) of each, in order. Raises GresError."""
    found: dict[str, int] = {}
    for part in text.split(",") if text else ():
        name, colon, count = part.partition(":")
        if not name or not all(char.isascii() and (char.isalnum() or char in "_.-@/") for char in name):
            raise GresError(f'"{part}" is not NAME[:COUNT]')
        if colon and not (count.isdecimal() and count.isascii()):
            raise GresError(f'"{part}": "{count}" is not a whole count')
        if name in found:
            raise GresError(f'"{name}" is named twice; add the counts up')
        n = int(count) if colon and len(count) <= 18 else MAX_COUNT + 1 if colon else 1
        if not 1 <= n <= MAX_COUNT:
            raise GresError(f'"{part}": the count is not between 1 and {MAX_COUNT}')
        found[name] = n
    return tuple(found.items())


def share_text(milli: int) -> str:
    """Thousandths of a device as people write them: 250 is 0.25, 2000 is 2."""
    whole, rest = divmod(milli, _WHOLE)
    return f"{whole}.{rest:03}".rstrip("0") if rest else str(whole)


def _wanted(part: str, kind: str, type_: str, amount: str) -> list[Wanted]:
    """The entry, none for a count of 0."""
    if kind in SHARED_KINDS and _is_amount(type_, sure=False) and not type_.isdecimal():
        raise GresError(f'"{part}": a share has no count; a job has one share of one {kind} on a node')
    if amount.isdecimal() and amount.isascii():
        if len(amount) > 18 or int(amount) > MAX_COUNT:
            raise GresError(f'"{part}": the count is over {MAX_COUNT}')
        return [(kind, type_, int(amount), _WHOLE, 0)] if int(amount) else []
    if amount.startswith(("-", "+")):
        raise GresError(f'"{part}": the amount "{amount}" has a sign; write a plain number')
    if kind not in SHARED_KINDS:
        raise GresError(f'"{part}": "{amount}" is not a whole count; only of a gpu there are shares')
    milli, mem_mib = _share(part, kind, amount)
    if is_slice(type_):
        raise GresError(f'"{part}": a slice is given out whole; write gpu:{type_}:COUNT')
    return [(kind, type_, 1, milli, mem_mib)]


def _share(part: str, kind: str, amount: str) -> tuple[int, int]:
    """(thousandths, MiB of memory) of an amount that is no whole count; one of them says something."""
    digits = amount.rstrip("KMGTPBkmgtpb")
    unit = amount[len(digits) :].upper().removesuffix("B")
    if not unit and digits == amount:
        whole, dot, rest = amount.partition(".")
        if not dot or not (whole + rest).isdecimal() or not amount.isascii():
            raise GresError(
                f'"{part}": "{amount}" is no amount; write a count, a share as in 0.25, or memory as in 20G'
            )
        if len(rest) > 3:
            raise GresError(f'"{part}": "{amount}" has more than 3 decimals; a {kind} has 1000 parts')
        if whole.strip("0"):
            raise GresError(
                f'"{part}": ask for whole {kind.upper()}s or for a share below 1, not for {amount}'
            )
        milli = int((rest + "000")[:3])
        if not milli:
            raise GresError(f'"{part}": a share of 0; the least is 0.001')
        return milli, 0
    if unit not in ("M", "G", "T") or not (digits.isdecimal() and digits.isascii()):
        raise GresError(
            f'"{part}": "{amount}" is no amount of memory; write a whole number with G or M, as in 20G'
        )
    mem_mib = int(digits) << {"M": 0, "G": 10, "T": 20}[unit] if len(digits) <= 12 else MAX_MEM_MIB + 1
    if not 1 <= mem_mib <= MAX_MEM_MIB:
        raise GresError(f'"{part}": the memory is not between 1 and {MAX_MEM_MIB} MiB')
    return _WHOLE, mem_mib


def _is_amount(word: str, *, sure: bool) -> bool:
    """Whether a word is meant as an amount, well written or not, rather than as a type. sure: only an amount
    can stand there, but for a slice's name."""
    if is_slice(word):
        return False
    if sure:
        return True
    digits = word.rstrip("KMGTPBkmgtpb")
    if digits != word and digits.replace(".", "").isdecimal():
        return True  # memory; a model would not be called that
    if word[:1].isdecimal() and not word.isalnum():
        return True  # 0.25, 2-3
    if word[:-1].isdecimal():
        return True  # 4, 20X: one letter is a unit that does not exist
    try:
        float(word)
    except ValueError:
        return False
    return True


def _is_number(text: str, most_digits: int) -> bool:
    """Plain digits that do not begin with 0."""
    return text.isdecimal() and text.isascii() and len(text) <= most_digits and text[0] != "0"
