"""What the commands that change something share: asking, committing, names as the book has them."""

from __future__ import annotations

import os
import sys

from packhorse.cli.slurm.process import CommandError
from packhorse.cli.slurm.sacctmgr_show import cluster_name, listed
from packhorse.cli.transport import CallError, call, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from packhorse.cli.slurm.sacctmgr_words import Options
    from packhorse.scheduler.model.account_settings import Setting, Thing

    Change = dict[str, Any]

DECIDE_S = 30
_NAMED = ("qos", "default_qos", "preempts")
_LABELS = {"default_qos": "DefQOS"}
_USER_LABELS = {"default_account": "Default Account", "admin_level": "Admin Level"}


class Session:
    """How commands ask and print. immediate: nobody is asked. quiet: only errors are printed."""

    def __init__(self) -> None:
        self.immediate = False
        self.quiet = False
        self.readonly = False

    def say(self, text: str) -> None:
        """One line, or several."""
        if not self.quiet:
            sys.stdout.write(text + "\n")

    def agreed(self, question: str = "Would you like to commit changes?") -> bool:
        """Whether the person at the terminal says yes within 30 seconds."""
        if self.immediate:
            return True
        import select

        sys.stdout.write(f"{question} (You have {DECIDE_S} seconds to decide)\n")
        while True:
            sys.stdout.write("(N/y): ")
            sys.stdout.flush()
            if not select.select([sys.stdin], [], [], DECIDE_S)[0]:
                sys.stdout.write("timeout\n")
                return False
            answer = sys.stdin.readline().strip().lower()
            if answer in ("y", "yes"):
                return True
            if answer in ("", "n", "no"):
                return False
            sys.stdout.write("Y or N please\n")

    def commit(self, changes: list[Change], problem: str, told: str = "", *, with_plan: bool = False) -> int:
        """The changes made, once that is agreed. problem: what a refusal is introduced by.

        told: said once the scheduler made them, or would; with_plan: with what would change, line by line.
        """
        try:
            if self.immediate and not with_plan:
                self._change(changes)
                self._tell([told] if told else [])
                return 0
            plan = field(call("ChangeAccounts", {"changes": changes, "dryRun": True}), "lines", [])
            shown = [f"  {line}" for line in plan] or [" Nothing new added."]
            self._tell([*([told] if told else []), *(shown if with_plan else [])])
            if with_plan and not plan:
                return 0
            if not self.agreed():
                self.say(" Changes Discarded")
                return 0
            self._change(changes)
        except CallError as error:
            phrase = f"{error.slurm}\n  " if error.slurm else ""
            raise CommandError(f" {problem}: {phrase}{error.message}") from error
        return 0

    def _change(self, changes: list[Change]) -> None:
        call("ChangeAccounts", {"changes": changes, "idempotencyKey": os.urandom(16).hex()})

    def _tell(self, lines: list[str]) -> None:
        if lines:
            self.say("\n".join(lines))


class Known:
    """Names as they are written in the book; what it lacks is lower case, as Slurm keeps names."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, str]] = {}

    def name(self, kind: str, text: str) -> str:
        """The name that the text means, whatever its case."""
        if kind not in self._names:
            self._names[kind] = {row["name"].lower(): row["name"] for row in listed(kind)}
        return self._names[kind].get(text.lower(), text.lower())

    def is_there(self, kind: str, text: str) -> bool:
        """Whether the book has it."""
        self.name(kind, text)
        return text.lower() in self._names[kind]

    def edit(self, edit: dict[str, str]) -> dict[str, str]:
        """The edit with the names in it as they are written in the book."""
        name, text = edit["name"], edit["text"]
        if name in ("parent", "default_account") and text:
            return {**edit, "text": self.name("accounts", text)}
        if name in _NAMED and text.strip() not in ("", "-1"):
            return {
                **edit,
                "text": ",".join(self.name("qos", one.strip()) for one in text.split(",") if one.strip()),
            }
        return edit


def edits_of(options: Options, known: Known, *things: Thing) -> list[dict[str, str]]:
    """What is to be set of these things."""
    return [known.edit(edit) for thing in things for edit in options.edits(thing)]


def settings_text(edits: Sequence[dict[str, str]], thing: Thing, width: int) -> list[str]:
    """`  MaxJobs       = 4`, one line for each."""
    from packhorse.scheduler.model.account_settings import SETTINGS, Thing  # as in sacctmgr_words

    labels = {Thing.ASSOCIATION: _LABELS, Thing.USER: _USER_LABELS}.get(thing, {})
    return [
        f"  {labels.get(setting.name, setting.slurm):<{width}}= {_as_shown(thing, setting, edit['text'])}"
        for setting in SETTINGS[thing]
        for edit in edits
        if edit["name"] == setting.name
    ]


def _as_shown(thing: Thing, setting: Setting, text: str) -> str:
    """A value in Slurm's spelling: `01:00:00` of `60`. What will be refused stays as it was typed."""
    from packhorse.scheduler.model.account_settings import SPAN, UNSET
    from packhorse.scheduler.model.errors import BadValue

    if text.strip() in ("-1", "") and not setting.kind.names:
        return "NONE"
    if setting.kind is SPAN:  # sacctmgr says it in seconds here, and in tables as a clock
        return text
    try:
        shown = setting.kind.show(setting.kind.read(setting.slurm, text, setting.of(UNSET[thing])))
    except BadValue:
        return text
    return shown.upper() if setting.name == "preempt_mode" else shown


def check_cluster(options: Options) -> None:
    """Raises CommandError for a cluster that is not this one."""
    name = cluster_name()
    for wanted in options.texts("cluster"):
        if wanted.lower() != name.lower():
            raise CommandError(f" This cluster '{wanted}' doesn't exist.\n        There is {name} only.")
