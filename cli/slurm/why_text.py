"""The answer to "why does my job wait" in words: `packhorse why` on many lines, `scontrol show job` on
one."""

from __future__ import annotations

from packhorse.cli.transport import field, int_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DAY_US = 86_400 * 1_000_000


def lines(answer: dict[str, Any]) -> list[str]:
    """For people."""
    state = field(answer, "state", "")
    whose = f'"{field(answer, "name", "")}" of {field(answer, "user", "")}'
    out = [f"job {field(answer, 'job', '')} {whose} in partition {field(answer, 'partition', '')}: {state}"]
    for reason in field(answer, "reasons", []):
        word = field(reason, "reason", "")
        out.append(f"  {word}: {field(reason, 'text', '')}" if word else f"  {field(reason, 'text', '')}")
    if field(answer, "place", None):
        out += _place(answer)
    if state == "PENDING":
        out += _waits(answer)
    return out


def line(answer: dict[str, Any]) -> str:
    """The reasons and the smallest change, for `scontrol show job`."""
    parts = [field(reason, "text", "") for reason in field(answer, "reasons", [])]
    starts = field(answer, "starts", "")
    if starts:
        parts.append(f"the next pass starts it on {starts}")
    changes = field(answer, "changes", [])
    if changes:
        parts.append(f"smallest change: {_change(changes[0], int_field(answer, 'nowUs'))}")
    return "; ".join(parts)


def _waits(answer: dict[str, Any]) -> list[str]:
    out = []
    now = int_field(answer, "now_us")
    planned = int_field(answer, "planned_start_us")
    starts = field(answer, "starts", "")
    if starts:
        out.append(f"the next pass starts it on {starts}")
    elif planned > now:
        out.append(f"as things stand it starts {when(planned, now)}, if all keep to their time limits")
    n_ahead = int_field(answer, "n_ahead")
    if n_ahead:
        users = int_field(answer, "n_users_ahead")
        who = f"{users} user{'s' * (users > 1)}"
        out += ["", f"ahead of it: {n_ahead} job{'s' * (n_ahead > 1)} of {who}; the first of them"]
        out += [_ahead(one, now) for one in field(answer, "ahead", [])]
    out += [f"  its own: {text}" for text in field(answer, "standing", [])] if n_ahead else []
    changes = field(answer, "changes", [])
    if changes:
        out += ["", "what would start it, the smallest change first:"]
        for one in changes:
            out += [f"  {_change(one, now)}", f"      {field(one, 'command', '')}"]
    elif not starts:
        out += ["", "no single change of what it asks for would start it sooner"]
    return out


def _ahead(one: dict[str, Any], now: int) -> str:
    account = field(one, "account", "")
    whose = f"{field(one, 'user', '')} ({account})" if account else field(one, "user", "")
    planned = int_field(one, "planned_start_us")
    starts = f"; starts {when(planned, now)}" if planned > now else ""
    return f"  {field(one, 'job', '')} of {whose}, {field(one, 'because', '')}{starts}"


def _change(one: dict[str, Any], now: int) -> str:
    """`48G of memory instead of 64G: starts now on n7`."""
    if field(one, "now", False):
        start = f"starts now on {field(one, 'nodes', '')}"
    else:
        start = f"starts {when(int_field(one, 'startUs'), now)}"
    who = " (an administrator can do that)" if field(one, "admin", False) else ""
    return f"{field(one, 'text', '')}: {start}{who}"


def _place(answer: dict[str, Any]) -> list[str]:
    """Why there."""
    place = field(answer, "place", {})
    own = field(place, "own", [])
    n_nodes = int_field(place, "n_nodes")
    names = ", ".join([field(one, "node", "") for one in own]) or "nodes that are gone"
    out = [f"it is on {names}; of the {n_nodes} nodes of its partition, as things stand without it:"]
    ruled_out = field(place, "ruled_out", [])
    out += [f"  {int_field(ruled, 'n_nodes'):>6} {field(ruled, 'text', '')}" for ruled in ruled_out]
    n_others = int_field(place, "n_others")
    out.append(f"  {n_others:>6} other{'s' * (n_others != 1)} could hold it")
    policy = field(place, "policy", "")
    if policy and own:
        rated = [*own, *field(place, "others", [])]
        scores = ", ".join([f"{field(one, 'node', '')} {field(one, 'score', 0.0):g}" for one in rated])
        out.append(f'scores of policy "{policy}", lower is better: {scores}')
    return out


def when(at_us: int, now_us: int) -> str:
    """`at 14:10`, `on 2026-11-29 at 14:10`: local time."""
    from time import localtime, strftime

    then = localtime(at_us // 1_000_000)
    if at_us - now_us < DAY_US and then.tm_mday == localtime(now_us // 1_000_000).tm_mday:
        return strftime("at %H:%M", then)
    return strftime("on %Y-%m-%d at %H:%M", then)
