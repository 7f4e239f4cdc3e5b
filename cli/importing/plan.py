"""What an import comes to: keys of packhorse.toml, partitions, and what each node's agent is to be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from packhorse.cli.importing.report import Report

Value = bool | int | float | str | list[str] | dict[str, float]
"""What a TOML key takes here."""


@dataclass
class Plan:
    """Filled in while lines are mapped.

    sections: keys by section. partitions: in the order of the file. agents: options of each node's agent, by
    name, each `--option` with its value. everywhere: options of all agents. accounts: the accounts file, ""
    for none.
    """

    report: Report = field(default_factory=Report)
    sections: dict[str, dict[str, Value]] = field(default_factory=dict)
    partitions: list[dict[str, Value]] = field(default_factory=list)
    agents: dict[str, dict[str, str]] = field(default_factory=dict)
    everywhere: dict[str, str] = field(default_factory=dict)
    accounts: str = ""

    def set(self, section: str, key: str, value: Value) -> None:
        self.sections.setdefault(section, {})[key] = value
