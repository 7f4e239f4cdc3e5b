"""cgroup.conf: what every agent is told of control groups."""

from __future__ import annotations

from packhorse.cli.importing.conf_file import Line
from packhorse.cli.importing.nodes import Own, thing, told
from packhorse.cli.importing.parts import CGROUP
from packhorse.cli.importing.plan import Plan
from packhorse.cli.importing.values import bad, flag

_VERSIONS = {"cgroup/v1": "v1", "cgroup/v2": "v2", "autodetect": "auto", "disabled": "none"}


def map_cgroup(plan: Plan, lines: list[Line]) -> None:
    own: Own = {}
    for line in lines:
        own = thing(plan, line, own, CGROUP, {})
    if "cgroupplugin" in own:
        version = _VERSIONS.get(own["cgroupplugin"].value.lower())
        if version is None:
            raise bad(own["cgroupplugin"], f"one of {', '.join(_VERSIONS)}")
        plan.everywhere["cgroups"] = version
    if "constraincores" in own:
        plan.everywhere["bind"] = "cores" if flag(own["constraincores"]) else "none"
    for key in ("constraindevices", "constrainramspace"):
        if key in own:
            flag(own[key])
    told(plan, own, CGROUP, {}, "")
