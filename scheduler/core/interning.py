"""One object per equal value: a hundred thousand jobs of one script share one spec and one owner."""

from __future__ import annotations

import msgspec

from packhorse.scheduler.model.job import JobSpec, Owner

MAX_SPECS = 65_536
"""Beyond this the tables start anew: sharing with older jobs is lost, memory stays bounded."""

_TEXTS = (
    "partition",
    "script_ref",
    "env_ref",
    "work_dir",
    "submit_dir",
    "account",
    "qos",
    "submit_host",
    "command",
    "name",
)
_VALUES = ("ask", "given", "rlimits")


class Interned:
    """Tables of the specs and owners in use, and of the parts that unlike specs share."""

    __slots__ = ("owners", "parts", "specs")

    def __init__(self) -> None:
        self.specs: dict[JobSpec, JobSpec] = {}
        self.owners: dict[Owner, Owner] = {}
        self.parts: dict[object, object] = {}

    def spec(self, spec: JobSpec) -> JobSpec:
        """The object that stands for every spec equal to this one."""
        found = self.specs.get(spec)
        if found is not None:
            return found
        if len(self.specs) >= MAX_SPECS:
            self.specs.clear()
            self.parts.clear()
        part = self.parts.setdefault
        shared = {
            name: part(value, value)
            for name in _TEXTS + _VALUES
            if (value := getattr(spec, name)) is not None
        }
        found = msgspec.structs.replace(spec, **shared)
        self.specs[found] = found
        return found

    def variant(self, base: JobSpec, name: str, args: tuple[str, ...]) -> JobSpec:
        """The object for `base`, which is interned, under another name and with other arguments."""
        spec = msgspec.structs.replace(base, name=self.parts.setdefault(name, name), args=args)
        if len(self.specs) >= MAX_SPECS and spec not in self.specs:
            self.specs.clear()
            self.parts.clear()
        return self.specs.setdefault(spec, spec)

    def owner(self, owner: Owner) -> Owner:
        """The object that stands for every owner equal to this one."""
        return self.owners.setdefault(owner, owner)
