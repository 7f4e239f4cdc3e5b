"""What Slurm's manual pages list: options and input variables of commands, parameters of configuration files.

`python -m packhorse.cli.slurm.compat.man_pages FOLDER > cli/slurm/compat/slurm_22_05.json` reads the pages as
packages bring them (usr/share/man; those of Debian's slurm-client 22.05.8-4+deb12u3 made the file that is
here, with scrontab.html of slurm-wlm-doc, which has no page of its own).
"""

from __future__ import annotations

import gzip
import html
import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

COMMANDS = (
    *("sbatch", "srun", "salloc", "sattach", "sbcast", "squeue", "scancel", "sinfo", "sacct", "sstat"),
    *("scontrol", "sacctmgr", "sprio", "sshare", "sreport", "sdiag", "strigger", "scrontab"),
)
FILES = ("slurm.conf", "gres.conf", "cgroup.conf", "topology.conf")
SOURCE = "manual pages of Slurm 22.05 (Debian slurm-client 22.05.8-4+deb12u3; scrontab: slurm-wlm-doc)"

_FONT = re.compile(r"\\f[BIRP]")
_LONG = re.compile(r"(?:^|, )--([A-Za-z][A-Za-z0-9_-]*)")
_LETTER = re.compile(r"(?:^|, )-([A-Za-z])(?![A-Za-z-])")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?==|$)")
_ABOUT = ("DESCRIPTION", "PARAMETERS", "PLUGIN", "CONFIGURATION")


class Item(NamedTuple):
    """A paragraph's tag. depth: of indentation, 0 outside."""

    section: str
    depth: int
    tag: str


def items(text: str) -> list[Item]:
    """The tagged paragraphs (.TP) of a page in troff's man macros."""
    found: list[Item] = []
    section, depth, wanted = "", 0, False
    for line in text.split("\n"):
        if line.startswith(".SH"):
            section, depth = line[3:].strip().strip('"'), 0
        elif line.startswith(".RS"):
            depth += 1
        elif line.startswith(".RE"):
            depth = max(0, depth - 1)
        elif line.startswith(".TP"):
            wanted = True
            continue
        elif wanted:
            tag = _FONT.sub("", line).replace("\\-", "-").replace("\\", "").strip()
            found.append(Item(section, depth, tag))
        wanted = False
    return found


def options(text: str) -> list[tuple[str, str]]:
    """(letter or "", long name or "") of every option that a command's page has a paragraph for."""
    found: list[tuple[str, str]] = []
    for item in items(text):
        if item.depth or not item.tag.startswith("-") or item.section not in ("OPTIONS", "ARGUMENTS"):
            continue
        names, letters = _LONG.findall(item.tag) or [""], _LETTER.findall(item.tag)
        found += [(letters[0] if letters else "", name) for name in names]
    return list(dict.fromkeys(found))


def variables(text: str) -> list[str]:
    """The variables that a command reads."""
    found: list[str] = []
    for item in items(text):
        if "ENVIRONMENT" in item.section and "OUTPUT" not in item.section and not item.depth:
            found += re.findall(r"\b[A-Z][A-Z0-9_]{2,}\b", item.tag)
    return list(dict.fromkeys(found))


def parameters(text: str) -> dict[str, list[str]]:
    """Names by section of a configuration file's page."""
    found: dict[str, list[str]] = {}
    for item in items(text):
        if item.depth or not item.section.endswith(_ABOUT):
            continue
        match = _NAME.match(item.tag)
        if match and match[0] not in found.setdefault(item.section, []):
            found[item.section].append(match[0])
    return found


def _html_options(text: str) -> list[tuple[str, str]]:
    """scrontab's: `<DT><B>-e</B>` in the section OPTIONS."""
    section = text[text.index(">OPTIONS<") :]
    section = section[: section.index(">SCRONTAB OPTIONS<")]
    return [(letter, "") for letter in re.findall(r"<B>\s*-([a-z])\b", html.unescape(section))]


def _page(folder: Path, name: str) -> str:
    for path in sorted(folder.glob(f"**/{name}.[15]*")):
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    raise SystemExit(f"{folder}: no page of {name}")


def extract(folder: Path) -> dict[str, object]:
    """All of it, as the file has it. folder: with man1 and man5 somewhere below, and scrontab.html."""
    commands: dict[str, dict[str, object]] = {}
    for name in COMMANDS:
        if name == "scrontab":
            text = next(folder.glob("**/scrontab.html")).read_text()
            commands[name] = {
                "options": _html_options(text),
                "variables": ["SLURM_CONF", "SLURM_DEBUG_FLAGS"],
            }
            continue
        text = _page(folder, name)
        commands[name] = {"options": options(text), "variables": variables(text)}
    return {
        "source": SOURCE,
        "commands": commands,
        "files": {name: parameters(_page(folder, name)) for name in FILES},
    }


def main() -> int:
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m packhorse.cli.slurm.compat.man_pages FOLDER")
    data = extract(Path(sys.argv[1]))
    text = json.dumps(data, indent=1)
    # Pairs and short lists on a line of their own.
    text = re.sub(r"\[\s+(\"[^\"]*\"),\s+(\"[^\"]*\")\s+\]", r"[\1, \2]", text)
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
