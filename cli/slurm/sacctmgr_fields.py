"""The columns of `sacctmgr show`: their names, headings and widths are Slurm's; -n: left justified."""

from __future__ import annotations

from packhorse.cli.slurm.process import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Row = dict[str, Any]
    Value = Callable[[Row], str]


class Field:
    """One column. least: how many letters of the name say which."""

    __slots__ = ("heading", "least", "name", "value", "width")

    def __init__(self, name: str, least: int, heading: str, width: int, value: str | Value) -> None:
        self.name = name
        self.least = least
        self.heading = heading
        self.width = width
        self.value: Value = value if callable(value) else _column(value)


def _column(name: str) -> Value:
    return lambda row: str(row.get(name, ""))


def _part(column: str, tres: str) -> Value:
    """One amount of a list of them: CPUs of `cpu=4,mem=16G`."""

    def value(row: Row) -> str:
        for part in str(row.get(column, "")).split(","):
            name, _, amount = part.partition("=")
            if name == tres:
                return amount
        return ""

    return value


def _never(row: Row) -> str:
    return ""


def _account(row: Row) -> str:
    """In a tree, indented by its depth, users one deeper."""
    indent = row["depth"] + bool(row.get("user")) if row.get("tree") else 0
    return " " * indent + str(row.get("account", ""))


def _priority(row: Row) -> str:
    """That of an association is blank unless it is set, that of a QOS is not."""
    value = str(row.get("priority", ""))
    return "" if value == "0" and "account" in row else value


def _qos(row: Row) -> str:
    return str(row.get("allowed_qos", ""))


_LIMITS = [
    Field("Fairshare", 1, "Share", 9, "shares"),
    Field("Share", 1, "Share", 9, "shares"),
    Field("Priority", 3, "Priority", 10, _priority),
    Field("GrpCPUMins", 8, "GrpCPUMins", 11, _part("grp_tres_mins", "cpu")),
    Field("GrpCPURunMins", 8, "GrpCPURunMins", 13, _part("grp_tres_run_mins", "cpu")),
    Field("GrpCPUs", 4, "GrpCPUs", 8, _part("grp_tres", "cpu")),
    Field("GrpTRESMins", 8, "GrpTRESMins", 13, "grp_tres_mins"),
    Field("GrpTRESRunMins", 8, "GrpTRESRunMin", 13, "grp_tres_run_mins"),
    Field("GrpTRES", 4, "GrpTRES", 13, "grp_tres"),
    Field("GrpJobs", 4, "GrpJobs", 7, "grp_jobs"),
    Field("GrpJobsAccrue", 8, "GrpJobsAccrue", 13, _never),
    Field("GrpMem", 4, "GrpMem", 7, _part("grp_tres", "mem")),
    Field("GrpNodes", 4, "GrpNodes", 8, _part("grp_tres", "node")),
    Field("GrpSubmitJobs", 4, "GrpSubmit", 9, "grp_submit"),
    Field("GrpWall", 4, "GrpWall", 11, "grp_wall_s"),
    Field("MaxCPUMinsPerJob", 7, "MaxCPUMins", 11, _part("max_tres_mins", "cpu")),
    Field("MaxCPUsPerJob", 4, "MaxCPUs", 8, _part("max_tres", "cpu")),
    Field("MaxTRESMinsPerJob", 8, "MaxTRESMins", 13, "max_tres_mins"),
    Field("MaxTRESPerJob", 4, "MaxTRES", 13, "max_tres"),
    Field("MaxTRESPerNode", 11, "MaxTRESPerNode", 14, "max_tres_per_node"),
    Field("MaxTRESPerUser", 11, "MaxTRESPU", 13, "max_tres_pu"),
    Field("MaxTRESPU", 9, "MaxTRESPU", 13, "max_tres_pu"),
    Field("MaxTRESPerAccount", 11, "MaxTRESPA", 13, "max_tres_pa"),
    Field("MaxTRESPerAcct", 11, "MaxTRESPA", 13, "max_tres_pa"),
    Field("MaxTRESPA", 9, "MaxTRESPA", 13, "max_tres_pa"),
    Field("MaxJobs", 4, "MaxJobs", 7, "max_jobs"),
    Field("MaxJobsPerUser", 11, "MaxJobsPU", 9, "max_jobs_pu"),
    Field("MaxJobsPU", 9, "MaxJobsPU", 9, "max_jobs_pu"),
    Field("MaxJobsPerAccount", 11, "MaxJobsPA", 9, "max_jobs_pa"),
    Field("MaxJobsPerAcct", 11, "MaxJobsPA", 9, "max_jobs_pa"),
    Field("MaxJobsPA", 9, "MaxJobsPA", 9, "max_jobs_pa"),
    Field("MaxNodesPerJob", 4, "MaxNodes", 8, _part("max_tres", "node")),
    Field("MaxSubmitJobs", 4, "MaxSubmit", 9, "max_submit"),
    Field("MaxSubmitJobsPerUser", 14, "MaxSubmitPU", 11, "max_submit_pu"),
    Field("MaxSubmitJobsPU", 14, "MaxSubmitPU", 11, "max_submit_pu"),
    Field("MaxSubmitPU", 10, "MaxSubmitPU", 11, "max_submit_pu"),
    Field("MaxSubmitJobsPerAccount", 16, "MaxSubmitPA", 11, "max_submit_pa"),
    Field("MaxSubmitJobsPerAcct", 16, "MaxSubmitPA", 11, "max_submit_pa"),
    Field("MaxSubmitJobsPA", 14, "MaxSubmitPA", 11, "max_submit_pa"),
    Field("MaxSubmitPA", 10, "MaxSubmitPA", 11, "max_submit_pa"),
    Field("MaxWallDurationPerJob", 4, "MaxWall", 11, "max_wall_s"),
    Field("MinTRESPerJob", 5, "MinTRES", 13, "min_tres"),
    Field("Quota", 4, "Quota", 13, "quota"),
    Field("Borrow", 4, "Borrow", 13, "borrow"),
]

_ASSOCIATION = [
    Field("Account", 3, "Account", 10, _account),
    Field("Acct", 3, "Account", 10, _account),
    Field("Cluster", 2, "Cluster", 10, "cluster"),
    Field("Comment", 3, "Comment", 20, "comment"),
    Field("DefaultQOS", 8, "Def QOS", 9, "default_qos"),
    Field("ID", 2, "ID", 6, "id"),
    Field("IsDefault", 3, "Def Asso", 8, "is_default"),
    Field("ParentName", 7, "Par Name", 10, "parent"),
    Field("Partition", 3, "Partition", 10, "partition"),
    Field("QOSLevel", 3, "QOS", 20, _qos),
    Field("User", 1, "User", 10, "user"),
    *_LIMITS,
]

_WITH_ASSOCIATION = [field for field in _ASSOCIATION if field.name != "ID"]

FIELDS: dict[str, list[Field]] = {
    "association": _ASSOCIATION,
    "account": [
        Field("Account", 3, "Account", 10, _account),
        Field("Name", 2, "Account", 10, _account),
        Field("Coordinators", 2, "Coord Accounts", 20, "coordinators"),
        Field("Description", 3, "Descr", 20, "description"),
        Field("Organization", 1, "Org", 20, "organization"),
        *_WITH_ASSOCIATION,
    ],
    "user": [
        Field("AdminLevel", 2, "Admin", 9, "admin_level"),
        Field("Coordinators", 2, "Coord Accounts", 20, "coordinates"),
        Field("DefaultAccount", 8, "Def Acct", 10, "default_account"),
        Field("DefaultWCKey", 8, "Def WCKey", 10, _never),
        Field("Name", 2, "User", 10, "user"),
        *_WITH_ASSOCIATION,
    ],
    "qos": [
        Field("Description", 3, "Descr", 20, "description"),
        Field("Flags", 2, "Flags", 20, "flags"),
        Field("GraceTime", 3, "GraceTime", 10, "grace_s"),
        Field("ID", 2, "ID", 6, "id"),
        Field("LimitFactor", 3, "LimitFactor", 11, _never),
        Field("MinPrioThreshold", 4, "MinPrio", 7, _never),
        Field("Name", 2, "Name", 10, "name"),
        Field("PreemptMode", 8, "PreemptMode", 11, "preempt_mode"),
        Field("PreemptExemptTime", 8, "PreemptExemptTime", 19, "exempt_s"),
        Field("Preempt", 3, "Preempt", 10, "preempts"),
        Field("UsageFactor", 6, "UsageFactor", 11, "usage_factor_milli"),
        Field("UsageThreshold", 6, "UsageThres", 10, "usage_threshold_milli"),
        *_LIMITS,
    ],
    "cluster": [
        Field("Cluster", 2, "Cluster", 10, "cluster"),
        Field("Name", 2, "Cluster", 10, "cluster"),
        Field("ControlHost", 8, "ControlHost", 15, "host"),
        Field("ControlPort", 8, "ControlPort", 12, "port"),
        Field("RPC", 1, "RPC", 5, "rpc"),
        Field("TRES", 2, "TRES", 20, "tres"),
        *_WITH_ASSOCIATION,
    ],
    "coordinator": [
        Field("Account", 3, "Account", 10, "account"),
        Field("User", 1, "User", 10, "user"),
    ],
    "tres": [
        Field("ID", 2, "ID", 6, "id"),
        Field("Name", 2, "Name", 10, "name"),
        Field("Type", 2, "Type", 8, "type"),
    ],
    "wckey": [
        Field("Cluster", 2, "Cluster", 10, "cluster"),
        Field("Name", 2, "WCKey", 10, "name"),
        Field("User", 1, "User", 10, "user"),
        Field("WCKey", 1, "WCKey", 10, "name"),
    ],
}
"""Of each entity, the first that fits is meant."""

_SHORT = (
    "Cluster,Account,Partition,Share,Priority,MaxJobs,MaxNodes,MaxCPUs,MaxSubmit,MaxWall,MaxCPUMins,QOS,"
    "DefaultQOS"
)
_LONG = (
    "Cluster,ParentName,User,Share,Priority,GrpJobs,GrpNodes,GrpCPUs,GrpMem,GrpSubmit,GrpWall,GrpCPUMins,MaxJobs,"
    "MaxNodes,MaxCPUs,MaxSubmit,MaxWall,MaxCPUMins,QOS,DefaultQOS"
)
DEFAULTS: dict[str, str] = {
    "association": (
        "Cluster,Account,User,Partition,Share,Priority,GrpJobs,GrpTRES,GrpSubmit,GrpWall,GrpTRESMins,MaxJobs,MaxTRES,"
        "MaxTRESPerNode,MaxSubmit,MaxWall,MaxTRESMins,QOS,DefaultQOS,GrpTRESRunMins"
    ),
    "association wolimits": "Cluster,Account,User,Partition",
    "account": "Account,Description,Organization",
    "account withassoc": "Account,Description,Organization," + _LONG,
    "user": "User,DefaultAccount,AdminLevel",
    "user withassoc": "User,DefaultAccount,AdminLevel," + _SHORT,
    "qos": (
        "Name,Priority,GraceTime,Preempt,PreemptExemptTime,PreemptMode,Flags%40,UsageThreshold,UsageFactor,GrpTRES,"
        "GrpTRESMins,GrpTRESRunMins,GrpJobs,GrpSubmit,GrpWall,MaxTRES,MaxTRESPerNode,MaxTRESMins,MaxWall,"
        "MaxTRESPerUser,MaxJobsPerUser,MaxSubmitJobsPerUser,MaxTRESPerAcct,MaxJobsPerAcct,MaxSubmitJobsPerAcct,"
        "MinTRES"
    ),
    "cluster": (
        "Cluster,ControlHost,ControlPort,RPC,Share,GrpJobs,GrpTRES,GrpSubmit,MaxJobs,MaxTRES,MaxSubmit,MaxWall,QOS,"
        "DefaultQOS"
    ),
    "cluster wolimits": "Cluster,ControlHost,ControlPort,RPC",
    "coordinator": "Account,User",
    "tres": "Type,Name%15,ID",
    "wckey": "WCKey,Cluster,User",
}
"""What is shown when no format is given."""


class Column:
    """A field with the width it is to have. wished: that width was asked for."""

    __slots__ = ("field", "width", "wished")

    def __init__(self, field: Field, width: int, wished: bool) -> None:
        self.field = field
        self.width = width
        self.wished = wished

    def cell(self, text: str) -> str:
        """The text as wide as the column, `+` where it is cut off."""
        size = abs(self.width)
        if len(text) > size:
            text = text[: size - 1] + "+"
        return text.ljust(size) if self.width < 0 else text.rjust(size)


def columns(entity: str, format: str) -> list[Column]:
    """The columns of a format: `Account,User%-20,MaxJobs`. Raises CommandError for a field that is none."""
    found = []
    for item in format.split(","):
        if not item.strip():
            continue
        name, percent, digits = item.strip().partition("%")
        field = _field(entity, name)
        if field is None:
            raise CommandError(f"Unknown field '{name}'")
        width = field.width
        if percent:
            if not digits.removeprefix("-").isdecimal() or not 0 < abs(int(digits)) <= 10_000:
                raise CommandError(f" Invalid width in field '{item.strip()}'")
            width = int(digits)
        found.append(Column(field, width, bool(percent)))
    return found


def _field(entity: str, name: str) -> Field | None:
    lowered = name.lower()
    fields = FIELDS[entity]
    for field in fields:
        if field.name.lower() == lowered:
            return field
    for field in fields:
        if len(lowered) >= field.least and field.name.lower().startswith(lowered):
            return field
    return None


def render(columns: Sequence[Column], rows: Sequence[Row], style: str, header: bool) -> str:
    """The lines of a table. style: "" for people, "parsable" and "parsable2" with `|`."""
    lines = []
    if style:
        end = "|" if style == "parsable" else ""
        if header:
            lines.append("|".join(column.field.heading for column in columns) + end)
        lines += ["|".join(column.field.value(row) for column in columns) + end for row in rows]
    else:
        if header:
            lines.append("".join(column.cell(column.field.heading) + " " for column in columns))
            lines.append("".join("-" * abs(column.width) + " " for column in columns))
        lines += ["".join(column.cell(column.field.value(row)) + " " for column in columns) for row in rows]
    return "".join(line + "\n" for line in lines)
