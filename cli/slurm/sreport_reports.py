"""The reports of sreport: each gets what it needs from the scheduler and is a text in the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from packhorse.cli.slurm.process import CommandError
from packhorse.cli.slurm.sreport import Conditions
from packhorse.cli.slurm.sreport_table import Amount, Field, Layout, Unit, chosen, span
from packhorse.cli.slurm.table import Table
from packhorse.cli.transport import call, field, int_field
from packhorse.scheduler.model.tres import is_milli, is_name

Report = Callable[[Conditions, Layout, list[str]], str]

ROOT = "root"
ALL_TRES = ("cpu", "mem", "billing", "gres/gpu")
GROUPING = (50, 250, 500, 1000)
"""Numbers of CPUs at which the groups of the size reports begin, after the first."""


class Used(NamedTuple):
    """What somebody used of one resource."""

    cluster: str
    account: str
    user: str
    wckey: str
    tres: str
    used: Amount
    label: str = ""


class Answer:
    """A GetReport answer. rows: its table's. parent: of every account."""

    def __init__(self, kind: str, conditions: Conditions, tres: Sequence[str]) -> None:
        request: dict[str, Any] = {
            "kind": kind,
            "since_us": str(conditions.since_s * 1_000_000),
            "until_us": str(conditions.until_s * 1_000_000),
            "tres": list(tres),
            "wckeys": conditions.list("wckeys"),
            "filter": {
                name: conditions.list(name)
                for name in ("users", "partitions", "nodes")
                if conditions.list(name)
            },
        }
        reply = call("GetReport", request)
        self.rows = Table(field(reply, "table", {})).rows()
        self.cluster: str = field(reply, "cluster", "")
        self.since_s = int_field(reply, "since_us") // 1_000_000
        self.until_s = int_field(reply, "until_us") // 1_000_000
        accounts = Table(field(reply, "accounts", {})).rows()
        self.parent: dict[str, str] = {row["name"]: row["parent"] for row in accounts}

    def above(self, account: str) -> list[str]:
        """The account and those above it, ROOT last."""
        out = [account or ROOT]
        while self.parent.get(out[-1]):
            out.append(self.parent[out[-1]])
        return out if out[-1] == ROOT else [*out, ROOT]

    def within(self, accounts: Sequence[str]) -> list[dict[str, Any]]:
        """Rows of these accounts and of those below them; all for none named."""
        if not accounts:
            return self.rows
        return [row for row in self.rows if not set(accounts).isdisjoint(self.above(row["account"]))]


def plain(tres: str, amount: int) -> float:
    """Seconds of the resource of an amount in the answer, where some count thousandths."""
    return amount / 1000 if is_milli(tres) else float(amount)


def wanted_tres(names: Sequence[str]) -> list[str]:
    """What -T named. Raises CommandError for what is no resource."""
    out: list[str] = []
    for name in names:
        if name.lower() == "all":
            out += [one for one in ALL_TRES if one not in out]
        elif not is_name(name.lower() if not name.startswith(("gres/", "license/")) else name):
            raise CommandError(f"sreport: error: '{name}' is no trackable resource: cpu, mem, gres/gpu ...")
        else:
            out.append(name if name.startswith(("gres/", "license/")) else name.lower())
    return out


def measure(unit: Unit, tres: Sequence[str]) -> str:
    """The second line of the heading."""
    if unit.only:
        return f"Usage reported in {unit.title}"
    return f"Usage reported in {'TRES' if tres else 'CPU'} {unit.title}"


def fields_of(conditions: Conditions, fields: dict[str, Field], default: Sequence[str]) -> list[Field]:
    """The columns wanted. Raises CommandError."""
    try:
        return chosen(conditions.list("format"), fields, default)
    except ValueError as error:
        raise CommandError(f" Unknown field '{error}'") from None


def totals(conditions: Conditions, layout: Layout, names: Sequence[str]) -> dict[str, float]:
    """What there was in all of each resource, for percentages; nothing where none are shown."""
    if not (layout.unit.per or layout.unit.only):
        return {}
    return {
        row["tres"]: plain(row["tres"], row["reported_s"])
        for row in Answer("cluster", conditions, names).rows
    }


# -- cluster -----------------------------------------------------------------------------------------------


def cluster_utilization(conditions: Conditions, layout: Layout, tres: list[str]) -> str:
    """What became of everything there was."""
    names = wanted_tres(tres)
    answer = Answer("cluster", conditions, names or ["cpu"])

    def part(name: str) -> Callable[[dict[str, Any]], Amount]:
        return lambda row: Amount(plain(row["tres"], row[name]), plain(row["tres"], row["reported_s"]))

    def reported(row: dict[str, Any]) -> Amount:
        # As a part of what would be if all that is there now had been there all the time.
        whole = plain(row["tres"], row["amount"]) * (answer.until_s - answer.since_s)
        return Amount(plain(row["tres"], row["reported_s"]), whole)

    fields = {
        "allocated": Field("Allocated", 8, part("allocated_s"), 17),
        "cluster": Field("Cluster", 9, lambda row: answer.cluster),
        "down": Field("Down", 8, part("down_s"), 17),
        "idle": Field("Idle", 8, part("idle_s"), 17),
        "overcommitted": Field("Over Comm", 8, part("over_s"), 17),
        "planneddown": Field("PLND Down", 8, part("planned_down_s"), 17),
        "planned": Field("Planned", 8, part("planned_s"), 17),
        "reported": Field("Reported", 8, reported, 17),
        "trescount": Field("TRES Count", 10, lambda row: f"{plain(row['tres'], row['amount']):g}"),
        "tresname": Field("TRES Name", 14, lambda row: row["tres"]),
    }
    default = ["cluster", *["tresname"] * bool(names)]
    default += ["allocated", "down", "planneddown", "idle", "planned", "reported"]
    columns = fields_of(conditions, fields, default)
    head = layout.heading(
        f"Cluster Utilization {span(answer.since_s, answer.until_s)}", measure(layout.unit, names)
    )
    return head + layout.rows(columns, answer.rows)


USED_FIELDS = {
    "accounts": Field("Account", 15, lambda row: row.label or row.account),
    "cluster": Field("Cluster", 9, lambda row: row.cluster),
    "energy": Field("Energy", 8, lambda row: 0, 17),
    "login": Field("Login", 9, lambda row: row.user),
    "proper": Field("Proper Name", 15, lambda row: proper_name(row.user)),
    "tresname": Field("TRES Name", 14, lambda row: row.tres),
    "used": Field("Used", 8, lambda row: row.used, 17),
    "wckeys": Field("WCKey", 15, lambda row: row.wckey),
}


def account_by_user(conditions: Conditions, layout: Layout, tres: list[str]) -> str:
    """Accounts from the top of the tree down, each with its sum, then its users."""
    names = wanted_tres(tres)
    answer = Answer("usage", conditions, names or ["cpu"])
    total = totals(conditions, layout, names or ["cpu"])
    sums: dict[tuple[str, str, str], float] = {}
    for row in answer.rows:
        amount = plain(row["tres"], row["amount_s"])
        for account in answer.above(row["account"]):
            key = (account, "", row["tres"])
            sums[key] = sums.get(key, 0.0) + amount
        key = (row["account"] or ROOT, row["user"], row["tres"])
        sums[key] = sums.get(key, 0.0) + amount
    children: dict[str, list[str]] = {}
    for account in sorted({account for account, user, _ in sums if not user}):
        if account != ROOT:
            children.setdefault(answer.above(account)[1], []).append(account)
    wanted, users = conditions.list("accounts"), conditions.list("users")
    rows: list[Used] = []

    def walk(account: str, depth: int, shown: bool) -> None:
        shown = shown or account in wanted
        keys = [
            key for key in sorted(sums) if key[0] == account and (not key[1] or not users or key[1] in users)
        ]
        for user in sorted({key[1] for key in keys}):
            for name in names or ["cpu"]:
                if (amount := sums.get((account, user, name), 0.0)) and shown:
                    label = " " * (depth + bool(user)) + account if "tree" in conditions.flags else ""
                    used = Amount(amount, total.get(name, 0.0))
                    rows.append(Used(answer.cluster, account, user, "", name, used, label))
        for child in children.get(account, ()):
            walk(child, depth + 1, shown)

    walk(ROOT, 0, not wanted)
    tree = {"accounts": USED_FIELDS["accounts"].as_wide_as(-20)} if "tree" in conditions.flags else {}
    default = ["cluster", "accounts", "login", "proper", *_measured(names)]
    return _used_text(
        f"Cluster/Account/User Utilization {_long_span(answer)}",
        default,
        rows,
        conditions,
        layout,
        names,
        tree,
    )


def _measured(names: Sequence[str]) -> list[str]:
    return ["tresname", "used"] if names else ["used", "energy"]


def _used_text(
    title: str,
    default: Sequence[str],
    rows: Sequence[Used],
    conditions: Conditions,
    layout: Layout,
    names: Sequence[str],
    other: dict[str, Field],
) -> str:
    columns = fields_of(conditions, {**USED_FIELDS, **other}, default)
    return layout.heading(title, measure(layout.unit, names)) + layout.rows(columns, rows)


def _long_span(answer: Answer) -> str:
    return f"{span(answer.since_s, answer.until_s)} ({answer.until_s - answer.since_s} secs)"


def _summed(
    answer: Answer, conditions: Conditions, key: Callable[[dict[str, Any]], tuple[str, str, str]]
) -> dict[tuple[str, str, str], dict[str, float]]:
    """Seconds by (account, user, wckey) as `key` has them, and by resource."""
    sums: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in answer.within(conditions.list("accounts")):
        cell = sums.setdefault(key(row), {})
        cell[row["tres"]] = cell.get(row["tres"], 0.0) + plain(row["tres"], row["amount_s"])
    return sums


def _used_rows(
    answer: Answer,
    groups: Iterable[tuple[tuple[str, str, str], dict[str, float]]],
    names: Sequence[str],
    total: dict[str, float],
) -> list[Used]:
    return [
        Used(answer.cluster, account, user, wckey, name, Amount(cell[name], total.get(name, 0.0)))
        for (account, user, wckey), cell in groups
        for name in names
        if cell.get(name)
    ]


def _by_use(groups: dict[Any, dict[str, float]], names: list[str]) -> list[Any]:
    """The largest users of the first resource first."""
    name = (names or ["cpu"])[0]
    return sorted(groups.items(), key=lambda item: (-item[1].get(name, 0.0), item[0]))


def user_by_account(conditions: Conditions, layout: Layout, tres: list[str]) -> str:
    """Users in order of use, every account of theirs by itself."""
    names = wanted_tres(tres)
    answer = Answer("usage", conditions, names or ["cpu"])
    groups = _summed(answer, conditions, lambda row: (row["account"], row["user"], ""))
    title = "Cluster/User/Account Utilization"
    default = ["cluster", "login", "proper", "accounts", *_measured(names)]
    return _of_groups(title, answer, _by_use(groups, names), default, conditions, layout, names)


def user_by_wckey(conditions: Conditions, layout: Layout, tres: list[str]) -> str:
    """Users in order of use, every wckey of theirs by itself; runs without one are in none."""
    names = wanted_tres(tres)
    answer = _with_wckeys(conditions, names)
    groups = _summed(answer, conditions, lambda row: ("", row["user"], row["wckey"]))
    title = "Cluster/User/WCKey Utilization"
    default = ["cluster", "login", "proper", "wckeys", *(["tresname"] if names else []), "used"]
    return _of_groups(title, answer, _by_use(groups, names), default, conditions, layout, names)


def wckey_by_user(conditions: Conditions, layout: Layout, tres: list[str]) -> str:
    """Wckeys by name with their sums, and their users."""
    names = wanted_tres(tres)
    answer = _with_wckeys(conditions, names)
    users = _summed(answer, conditions, lambda row: ("", row["user"], row["wckey"]))
    whole = _summed(answer, conditions, lambda row: ("", "", row["wckey"]))
    groups = sorted([*users.items(), *whole.items()], key=lambda item: (item[0][2], item[0][1]))
    title = "Cluster/WCKey/User Utilization"
    default = ["cluster", "wckeys", "login", "proper", *(["tresname"] if names else []), "used"]
    return _of_groups(title, answer, groups, default, conditions, layout, names)


def _with_wckeys(conditions: Conditions, names: list[str]) -> Answer:
    """Use, of runs that have a wckey."""
    answer = Answer("usage", conditions, names or ["cpu"])
    answer.rows = [row for row in answer.rows if row["wckey"]]
    return answer


def _of_groups(
    title: str,
    answer: Answer,
    groups: Iterable[tuple[tuple[str, str, str], dict[str, float]]],
    default: Sequence[str],
    conditions: Conditions,
    layout: Layout,
    names: list[str],
) -> str:
    """The report of these sums, in their order."""
    shown = names or ["cpu"]
    rows = _used_rows(answer, groups, shown, totals(conditions, layout, shown))
    return _used_text(f"{title} {_long_span(answer)}", default, rows, conditions, layout, names, {})


# -- user --------------------------------------------------------------------------------------------------


def top_usage(conditions: Conditions, layout: Layout, tres: list[str]) -> str:
    """Who used most of the first resource."""
    names = wanted_tres(tres)
    answer = Answer("usage", conditions, names or ["cpu"])
    together = "group" in conditions.flags
    groups = _summed(answer, conditions, lambda row: ("" if together else row["account"], row["user"], ""))
    if together:
        accounts: dict[str, set[str]] = {}
        for row in answer.rows:
            accounts.setdefault(row["user"], set()).add(row["account"])
        groups = {
            (", ".join(sorted(accounts[user])), user, ""): cell for (_, user, _), cell in groups.items()
        }
    first = _by_use(groups, names)[: conditions.top]
    default = ["cluster", "login", "proper", "accounts", *_measured(names)]
    return _of_groups(f"Top {conditions.top} Users", answer, first, default, conditions, layout, names)


# -- job sizes ---------------------------------------------------------------------------------------------


class Sizes(NamedTuple):
    """One line of a size report. groups: time (or number of runs) by group of sizes."""

    cluster: str
    name: str
    groups: list[float]
    share: float


def sizes_by_account(conditions: Conditions, layout: Layout, tres: list[str]) -> str:
    return _sizes(conditions, layout, tres, "Account", "{account}", 9)


def sizes_by_both(conditions: Conditions, layout: Layout, tres: list[str]) -> str:
    return _sizes(conditions, layout, tres, "Account", "{account}:{wckey}", -20)


def sizes_by_wckey(conditions: Conditions, layout: Layout, tres: list[str]) -> str:
    return _sizes(conditions, layout, tres, "Wckey", "{wckey}", 9)


def _sizes(conditions: Conditions, layout: Layout, tres: list[str], head: str, form: str, width: int) -> str:
    names = wanted_tres(tres) or ["cpu"]
    if len(names) > 1:
        raise CommandError("sreport: error: reports of job sizes are of one resource: name one with -T")
    name = names[0]
    answer = Answer("sizes", conditions, names)
    bounds = _bounds(conditions, answer, name)
    count = "printjobcount" in conditions.flags
    by_line: dict[str, list[float]] = {}
    for row in answer.within(conditions.list("accounts")):
        if "wckey" in form and not row["wckey"]:
            continue
        line = form.format(account=_line_of(answer, conditions, row["account"]), wckey=row["wckey"])
        groups = by_line.setdefault(line, [0.0] * (len(bounds) + 1))
        size = plain(name, row["size"])
        at = sum(size >= bound for bound in bounds)
        groups[at] += row["n_runs"] if count else plain(name, row["amount_s"])
    whole = sum(map(sum, by_line.values()))
    rows = [
        Sizes(answer.cluster, line, groups, 100 * sum(groups) / whole if whole else 0.0)
        for line, groups in sorted(by_line.items())
    ]
    fields = {
        "cluster": Field("Cluster", 9, lambda row: row.cluster),
        head.lower(): Field(head, width, lambda row: row.name),
    }
    columns = fields_of(conditions, fields, ["cluster", head.lower()])
    unit = "CPUs" if name == "cpu" else name
    for position, title in enumerate(_titles(bounds, conditions, unit)):
        columns.append(Field(title, 13, _group(position, whole, count), 20))
    columns.append(Field("% of cluster", 12, lambda row: f"{row.share:.2f}%"))
    kind = "Job Sizes by Wckey" if head == "Wckey" else "Job Sizes"
    measured = "Units are in number of jobs ran" if count else f"Time reported in {layout.unit.title}"
    return layout.heading(f"{kind} {_long_span(answer)}", measured) + layout.rows(columns, rows)


def _group(position: int, whole: float, count: bool) -> Callable[[Sizes], Amount | str]:
    if count:
        return lambda row: f"{row.groups[position]:.0f}"
    return lambda row: Amount(row.groups[position], whole)


def _line_of(answer: Answer, conditions: Conditions, account: str) -> str:
    """Under which account a line is: the one named, or the one just below, or ROOT's sum, or its own."""
    if "flatview" in conditions.flags:
        return account
    chain, wanted = answer.above(account), conditions.list("accounts")
    if "acctasparent" not in conditions.flags:
        return next((name for name in chain if name in wanted), ROOT)
    top = next((name for name in chain if name in (wanted or [ROOT])), ROOT)
    below = chain[: chain.index(top)]
    return below[-1] if below else top


def _bounds(conditions: Conditions, answer: Answer, name: str) -> list[float]:
    words = conditions.list("grouping")
    if [word.lower() for word in words] == ["individual"]:
        return sorted({plain(name, row["size"]) for row in answer.rows})
    if not words:
        return [float(bound) for bound in GROUPING]
    if not all(word.isdecimal() and int(word) for word in words):
        raise CommandError(f"sreport: error: grouping={','.join(words)}: give numbers, or individual")
    return sorted({float(word) for word in words})


def _titles(bounds: Sequence[float], conditions: Conditions, unit: str) -> list[str]:
    first = [0.0, *bounds]
    titles = [f"{low:g}-{high - 1:g} {unit}" for low, high in zip(first, bounds, strict=False)]
    return [*titles, f">= {first[-1]:g} {unit}"]


# -- reservations ------------------------------------------------------------------------------------------


def reservation_utilization(conditions: Conditions, layout: Layout, tres: list[str]) -> str:
    """Windows of reservations that reach into the time, whole, and what of them was used."""
    names = wanted_tres(tres)
    answer = Answer("reservation", conditions, names or list(ALL_TRES))
    wanted, nodes = conditions.list("names"), conditions.list("nodes")
    rows = [row for row in answer.rows if not wanted or row["name"] in wanted]
    if nodes:
        from packhorse.scheduler.model.hostlist import expand

        rows = [row for row in rows if not set(expand(row["nodes"])).isdisjoint(nodes)]

    def part(value: Callable[[dict[str, Any]], int]) -> Callable[[dict[str, Any]], Amount]:
        return lambda row: Amount(plain(row["tres"], value(row)), plain(row["tres"], row["total_s"]))

    fields = {
        "allocated": Field("Allocated", 20, part(lambda row: row["allocated_s"])),
        "associations": Field(
            "Associations", 15, lambda row: ",".join(filter(None, (row["accounts"], row["users"])))
        ),
        "cluster": Field("Cluster", 9, lambda row: answer.cluster),
        "end": Field("End", 19, lambda row: _clock(row["until"])),
        "flags": Field("Flags", 20, lambda row: row["flags"]),
        "idle": Field("Idle", 20, part(lambda row: max(row["total_s"] - row["allocated_s"], 0))),
        "name": Field("Name", 9, lambda row: row["name"]),
        "nodes": Field("Nodes", 15, lambda row: row["nodes"]),
        "start": Field("Start", 19, lambda row: _clock(row["since"])),
        "totaltime": Field("TotalTime", 9, part(lambda row: row["total_s"])),
        "trescount": Field("TRES Count", 10, lambda row: f"{plain(row['tres'], row['amount']):g}"),
        "tresname": Field("TRES Name", 14, lambda row: row["tres"]),
        "trestime": Field("TRES Time", 9, part(lambda row: row["total_s"])),
    }
    columns = fields_of(
        conditions, fields, ["cluster", "name", "start", "end", "tresname", "allocated", "idle"]
    )
    title = f"Reservation Utilization {span(answer.since_s, answer.until_s)}"
    return layout.heading(title, measure(layout.unit, ["tres"])) + layout.rows(columns, rows)


def _clock(at_us: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at_us // 1_000_000))


def proper_name(user: str) -> str:
    """The user's whole name, as this machine knows it."""
    import pwd

    if not user:
        return ""
    try:
        return pwd.getpwnam(user).pw_gecos.split(",")[0]
    except KeyError:
        return ""


REPORTS: dict[str, dict[str, Report]] = {
    "cluster": {
        "AccountUtilizationByUser": account_by_user,
        "UserUtilizationByAccount": user_by_account,
        "UserUtilizationByWckey": user_by_wckey,
        "Utilization": cluster_utilization,
        "WCKeyUtilizationByUser": wckey_by_user,
    },
    "job": {
        "SizesByAccount": sizes_by_account,
        "SizesByAccountAndWckey": sizes_by_both,
        "SizesByWckey": sizes_by_wckey,
    },
    "reservation": {"Utilization": reservation_utilization},
    "user": {"TopUsage": top_usage},
}
"""By the two words that name a report."""
