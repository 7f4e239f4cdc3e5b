"""Node name lists: `node[1-3,08],gpu7` to names and back.

The rules are Slurm's hostlist, checked against `scontrol show hostnames|hostlist|hostlistsorted` of 22.05:
the last run of digits of a name is its number, zero padding is kept, neighbours are joined only when their
padding agrees. One departure: text after the last bracket (`a[1-2]-ib`) is a suffix here; 22.05 refuses it.

Standard library only and no imports: the Slurm-style commands load this file at every start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NAMES = 65536
"""Names in one list, and in one bracket (Slurm's MAX_RANGES). A longer list is an error, not a long wait."""

_MAX_DIGITS = 18  # a longer run of digits is part of the name, not a number

_Range = tuple[
    str, int, int, int, str
]  # prefix, low, high, width, suffix; low > high: a name without a number


class HostlistError(ValueError):
    """A host list that cannot be read; the text says which part and why."""


def expand(text: str) -> list[str]:
    """The names of `text` in order, repeats kept. Parts are separated by commas or blanks; empty parts are
    skipped.

    Several brackets in one name multiply out in Slurm's order: the last bracket varies fastest, then the
    first.
    """
    if "[" not in text:
        names = text.replace(",", " ").split()
        if "]" in text:
            raise HostlistError(f'host list "{text}": "]" without "["')
        if len(names) > MAX_NAMES:
            raise HostlistError(f"host list has {len(names)} names, limit {MAX_NAMES}")
        return names
    names = []
    for part in _split(text):
        if "[" not in part:
            names.append(part)
        else:
            names.extend(_expand_part(part, MAX_NAMES - len(names)))
        if len(names) > MAX_NAMES:
            raise HostlistError(f"host list has more than {MAX_NAMES} names")
    return names


def count(text: str) -> int:
    """How many names `text` stands for (repeats counted)."""
    return len(expand(text))


def compress(names: Iterable[str]) -> str:
    """The names as one list in the order given: `node[1-2],x[08-09],node5`. Only neighbours are joined."""
    return _format(_ranges(names))


def compress_sorted(names: Iterable[str]) -> str:
    """The names as one list, sorted by prefix and number, each once: how node lists are shown."""
    ranges = _ranges(dict.fromkeys(names))
    ranges.sort(key=_sort_key)
    joined: list[_Range] = []
    for item in ranges:
        if not joined or not _join(joined, item):
            joined.append(item)
    return _format(joined)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which `node9` comes before `node10`."""
    key: list[tuple[int, int, str]] = []
    start = 0
    n = len(name)
    while start < n:
        end = start
        if name[start].isdecimal():
            while end < n and name[end].isdecimal():
                end += 1
            key.append((0, int(name[start:end]), name[start:end]))
        else:
            while end < n and not name[end].isdecimal():
                end += 1
            key.append((1, 0, name[start:end]))
        start = end
    return key


def _split(text: str) -> list[str]:
    """`text` cut at commas and blanks outside brackets."""
    parts = []
    current = ""
    inside = False
    for char in text:
        if inside:
            if char == "[":
                raise HostlistError(f'host list "{text}": "[" inside brackets')
            if char == "]":
                inside = False
            current += char
        elif char in ", \t\n":
            if current:
                parts.append(current)
            current = ""
        else:
            if char == "[":
                inside = True
            elif char == "]":
                raise HostlistError(f'host list "{text}": "]" without "["')
            current += char
    if inside:
        raise HostlistError(f'host list "{text}": "[" without "]"')
    if current:
        parts.append(current)
    return parts


def _expand_part(part: str, room: int) -> list[str]:
    """The names of one part with at least one bracket. room: names still allowed; more is an error."""
    pieces = part.split("[")
    texts = [pieces[0]]  # literal text before, between and after the brackets
    choices: list[list[str]] = []
    total = 1
    for piece in pieces[1:]:
        inside, _, after = piece.partition("]")
        numbers = _numbers(inside, part)
        choices.append(numbers)
        texts.append(after)
        total *= len(numbers)
        if total > room:
            raise HostlistError(f'host list "{part}" has more than {MAX_NAMES} names')
    heads = [texts[0]]
    if len(choices) > 1:
        # The outer brackets: the first varies fastest among them.
        combos: list[tuple[str, ...]] = [()]
        for index in range(len(choices) - 2, -1, -1):
            combos = [(number, *combo) for combo in combos for number in choices[index]]
        heads = []
        for combo in combos:
            head = texts[0]
            for index, number in enumerate(combo):
                head += number + texts[index + 1]
            heads.append(head)
    tail = texts[-1]
    last = choices[-1]
    return [head + number + tail for head in heads for number in last]


def _numbers(inside: str, part: str) -> list[str]:
    """`1,08-10` as number texts; the width of a range is the width of its low end."""
    numbers: list[str] = []
    for item in inside.split(","):
        low, dash, high = item.partition("-")
        if not dash:
            high = low
        if not (low.isdecimal() and high.isdecimal() and low.isascii() and high.isascii()):
            raise HostlistError(f'host list "{part}": "{item}" is not a number or a range like 1-8')
        if len(low) > 2 * _MAX_DIGITS or len(high) > 2 * _MAX_DIGITS:
            raise HostlistError(f'host list "{part}": number too long')
        first, last = int(low), int(high)
        if last < first:
            raise HostlistError(f'host list "{part}": range {item} runs backwards')
        if last - first >= MAX_NAMES or len(numbers) + last - first >= MAX_NAMES:
            raise HostlistError(f'host list "{part}": range {item} has more than {MAX_NAMES} names')
        width = len(low)
        numbers.extend([str(number).zfill(width) for number in range(first, last + 1)])
    return numbers


def _ranges(names: Iterable[str]) -> list[_Range]:
    """Names as ranges, neighbours joined."""
    ranges: list[_Range] = []
    for name in names:
        prefix = name.rstrip("0123456789")
        digits = name[len(prefix) :]
        if not digits or len(digits) > _MAX_DIGITS:
            item: _Range = (name, 1, 0, 0, "")
        else:
            number = int(digits)
            item = (prefix, number, number, len(digits), "")
        if not ranges or not _join(ranges, item):
            ranges.append(item)
    return ranges


def _join(ranges: list[_Range], item: _Range) -> bool:
    """Whether `item` continues the last range; if so the last range grows."""
    prefix, low, high, width, suffix = ranges[-1]
    next_prefix, next_low, next_high, next_width, next_suffix = item
    if (
        prefix != next_prefix
        or low > high
        or next_low > next_high
        or high + 1 != next_low
        or suffix != next_suffix
    ):
        return False
    if width != next_width:
        joined = _common_width(low, width, next_low, next_width)
        if not joined:
            return False
        width = joined
    ranges[-1] = (prefix, low, next_high, width, suffix)
    return True


def _common_width(low: int, width: int, next_low: int, next_width: int) -> int:
    """The width under which both numbers keep their spelling, 0 if there is none.

    `n9,n10` is `n[9-10]` and `n09,n10` is `n[09-10]`, but `n9,n010` cannot be one range.
    """
    if len(str(next_low)) == next_width and max(width, len(str(next_low))) == next_width:
        return width  # printing next_low with the smaller width gives the same text
    if len(str(low)) == width and max(next_width, len(str(low))) == width:
        return next_width
    return 0


def _sort_key(item: _Range) -> tuple[list[tuple[int, int, str]], int, int, int]:
    prefix, low, high, width, _ = item
    return (natural_key(prefix), 0, 0, 0) if low > high else (natural_key(prefix), 1, width, low)


def _format(ranges: list[_Range]) -> str:
    """Ranges as text; adjacent ranges of one prefix share a bracket."""
    parts: list[str] = []
    index = 0
    n = len(ranges)
    while index < n:
        prefix, low, high, _, suffix = ranges[index]
        end = index + 1
        if low > high:
            parts.append(prefix)
            index = end
            continue
        while end < n and ranges[end][0] == prefix and ranges[end][1] <= ranges[end][2]:
            end += 1
        numbers = [_range_text(item) for item in ranges[index:end]]
        if len(numbers) == 1 and low == high:
            parts.append(prefix + numbers[0] + suffix)
        else:
            parts.append(f"{prefix}[{','.join(numbers)}]{suffix}")
        index = end
    return ",".join(parts)


def _range_text(item: _Range) -> str:
    _, low, high, width, _ = item
    text = str(low).zfill(width)
    return text if low == high else f"{text}-{str(high).zfill(width)}"
