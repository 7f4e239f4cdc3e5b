"""`#PBS` lines of a batch script, as the options of sbatch that they amount to.

What Slurm's sbatch understands of them; what it does not is refused by name, so that nothing is silently
left out.
"""

from __future__ import annotations

from packhorse.cli.slurm.process import CommandError, program

MAGIC = "#PBS"

_LETTERS = {
    "A": "--account",
    "N": "--job-name",
    "a": "--begin",
    "d": "--chdir",
    "e": "--error",
    "J": "--array",
    "M": "--mail-user",
    "o": "--output",
    "q": "--partition",
    "t": "--array",
}
"""Options with a value that means the same."""

_WITHOUT = {"h": "--hold"}
_NOTHING = {"I", "V", "X", "z"}
"""Flags that ask for what is so anyway, or for nothing that exists here."""

_IGNORED = {"C", "S", "c", "k", "u", "w"}
"""The same of options with a value."""

_MAIL = {"a": "FAIL", "b": "BEGIN", "e": "END", "n": "NONE"}
_RESOURCES = {
    "cput": "--time",
    "file": "--tmp",
    "mem": "--mem",
    "mpiprocs": "--ntasks-per-node",
    "naccelerators": "--gres=gpu:",
    "ncpus": "--mincpus",
    "nice": "--nice",
    "nodect": "--nodes",
    "pcput": "--time",
    "pmem": "--mem-per-cpu",
    "walltime": "--time",
}
_UNUSED_RESOURCES = {"arch", "host", "ompthreads", "opsys", "other", "place", "software", "vmem"}


def words(text: list[str]) -> list[str]:
    """Words of sbatch for the words of `#PBS` lines. Raises CommandError."""
    found: list[str] = []
    at = 0
    while at < len(text):
        word = text[at]
        at += 1
        letter, value = word[1:2], word[2:]
        if word[:1] != "-" or not letter:
            raise _refused(word)
        if letter in _NOTHING:
            continue
        if letter in _WITHOUT:
            found.append(_WITHOUT[letter])
            continue
        if not value:
            if at >= len(text):
                raise _refused(word)
            value = text[at]
            at += 1
        found += _option(letter, value)
    return found


def _option(letter: str, value: str) -> list[str]:
    if letter in "eo":
        value = value.rpartition(":")[2]  # without the host that it names
    if letter in _LETTERS:
        return [f"{_LETTERS[letter]}={value}"]
    match letter:
        case "l":
            return [option for part in value.split(",") for option in _resource(part)]
        case "m":
            kinds = [_MAIL[char] for char in value if char in _MAIL]
            return [f"--mail-type={','.join(kinds)}"] if kinds else []
        case "j":
            return []  # both streams go to one file unless one is named for each
        case "p":
            return [f"--nice={-int(value)}"] if value.removeprefix("-").isdecimal() else _bad(letter, value)
        case "r":
            return ["--requeue" if value[:1] == "y" else "--no-requeue"]
        case "v":
            return [f"--export=ALL,{value}"]
        case "W":
            return [option for part in value.split(",") for option in _attribute(part)]
    if letter in _IGNORED:
        return []
    raise _refused(f"-{letter}")


def _resource(part: str) -> list[str]:
    """`nodes=2:ppn=4`, `walltime=1:00:00`, `select=2:ncpus=4` …"""
    key, _, value = part.partition("=")
    if key in ("nodes", "select"):
        first, *rest = value.split(":")
        found = [f"--nodes={first}"] if first.isdecimal() else [f"--nodelist={first.replace('+', ',')}"]
        for one in rest:
            name, equals, number = one.partition("=")
            if name in ("ppn", "mpiprocs"):
                found.append(f"--ntasks-per-node={number}")
            elif equals:
                found += _resource(one)
            else:
                found.append(f"--constraint={name}")
        return found
    if key in _RESOURCES:
        option = _RESOURCES[key]
        value = value.removesuffix("b") if key in ("mem", "pmem", "file") else value
        return [option + value if option.endswith(":") else f"{option}={value}"]
    if key in _UNUSED_RESOURCES:
        return []
    raise _refused(f"-l {part}")


def _attribute(part: str) -> list[str]:
    key, _, value = part.partition("=")
    if key == "depend":
        return [f"--dependency={value}"]
    if key in ("umask", "group_list", "stagein", "stageout"):
        return []
    raise _refused(f"-W {part}")


def _bad(letter: str, value: str) -> list[str]:
    raise CommandError(f'{program()}: error: #PBS -{letter}: "{value}" is not a number', 255)


def _refused(what: str) -> CommandError:
    return CommandError(
        f"{program()}: error: #PBS {what} is not understood; --ignore-pbs leaves such lines out", 255
    )
