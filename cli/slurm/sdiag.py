"""sdiag: what the scheduler's daemon did, and how long it took."""

from __future__ import annotations

import sys

from packhorse.cli.slurm.options import (
    HARMLESS,
    NONE,
    OPTIONAL,
    REQUIRED,
    USED,
    Parser,
    print_version,
    take_server,
)
from packhorse.cli.slurm.process import CommandError, run
from packhorse.cli.transport import CallError, call, field, int_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROG = "sdiag"

TABLE: dict[str, tuple[str, int, str]] = {
    "all": ("a", NONE, HARMLESS),
    "cluster": ("M", REQUIRED, USED),
    "clusters": ("M", REQUIRED, USED),
    "help": ("h", NONE, USED),
    "json": ("", OPTIONAL, USED),
    "reset": ("r", NONE, USED),
    "server": ("", REQUIRED, USED),
    "sort-by-id": ("i", NONE, USED),
    "sort-by-time": ("t", NONE, USED),
    "sort-by-time2": ("T", NONE, USED),
    "usage": ("", NONE, USED),
    "version": ("V", NONE, USED),
    "yaml": ("", OPTIONAL, USED),
}

PARSER = Parser(PROG, TABLE)

_STARS = "*" * 55


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `sdiag WORDS`."""
    found, arguments = PARSER.parse(words)
    for name, _ in found:
        if name == "version":
            print_version()
            return 0
        if name in ("help", "usage"):
            from packhorse.cli.slurm import usage

            usage.show(PROG, name)
            return 0
    PARSER.refuse_unsupported(found)
    take_server(found)
    options = dict(found)
    if arguments:
        raise CommandError(f"{PROG}: error: Unrecognized option: {arguments[0]}")
    cluster = options.get("cluster") or options.get("clusters")
    if cluster:
        from packhorse.cli.slurm.clusters import checked

        checked(PROG, cluster)
    if "reset" in options:
        return _reset()
    order = next((name for name, _ in reversed(found) if name.startswith("sort-by-")), "")
    stats = call("GetDiagnostics", {})
    for kind in ("methods", "users"):
        stats[kind] = _sorted(field(stats, kind, []), order)
    if "json" in options or "yaml" in options:
        from packhorse.cli.slurm.structured import document
        from packhorse.scheduler.model.shapes.diagnostics import STATISTICS

        content = {"statistics": STATISTICS.of(_figures(stats))}
        sys.stdout.write(document(PROG, options, content, _seconds(stats, "now_us")))
        return 0
    sys.stdout.write("\n".join(_lines(stats)) + "\n")
    return 0


def _reset() -> int:
    try:
        call("ResetDiagnostics", {})
    except CallError as error:
        raise CommandError(f"slurm_reset_statistics: {error.slurm or error.message}") from None
    sys.stdout.write("Reset scheduling statistics\n")
    return 0


def mean_us(tally: dict[str, Any]) -> int:
    """How long a call took on average."""
    return int_field(tally, "time_us") // max(int_field(tally, "count"), 1)


def _sorted(tallies: list[dict[str, Any]], order: str) -> list[dict[str, Any]]:
    """By number, by time, by mean time, else those with the most calls first."""
    if order == "sort-by-id":
        return sorted(tallies, key=lambda one: int_field(one, "number"))
    if order == "sort-by-time":
        return sorted(tallies, key=lambda one: -int_field(one, "time_us"))
    if order == "sort-by-time2":
        return sorted(tallies, key=lambda one: -mean_us(one))
    return sorted(tallies, key=lambda one: (-int_field(one, "count"), int_field(one, "number")))


def _figures(stats: dict[str, Any]) -> dict[str, Any]:
    """All of it, also what is 0, which is left out on the wire."""
    from packhorse.scheduler.model.shapes import diagnostics as shapes

    return {
        **{name: int_field(stats, name) for name in shapes.NUMBERS},
        **{
            kind: {name: int_field(field(stats, kind, {}), name) for name in shapes.PASS_NUMBERS}
            for kind in ("main", "backfill")
        },
        **{
            kind: [
                {"name": field(one, "name", "")}
                | {name: int_field(one, name) for name in ("number", "count", "time_us")}
                for one in field(stats, kind, [])
            ]
            for kind in ("methods", "users")
        },
        "orders": [
            {"kind": field(one, "kind", ""), "count": int_field(one, "count")}
            for one in field(stats, "orders", [])
        ],
        "waiting_nodes": [
            {"kind": field(one, "kind", ""), "node": field(one, "node", "")}
            for one in field(stats, "waiting_nodes", [])
        ],
    }


def _lines(stats: dict[str, Any]) -> list[str]:
    """The whole page, in Slurm's words."""
    now, since = _seconds(stats, "now_us"), _seconds(stats, "since_us")
    number = {name: int_field(stats, name) for name in _NUMBERS}
    return [
        _STARS,
        f"sdiag output at {_date(now)} ({now})",
        f"Data since      {_date(since)} ({since})",
        _STARS,
        f"Server thread count:  {number['n_calls_active']}",
        f"Agent queue size:     {number['n_orders_queued']}",
        f"Agent count:          {number['n_nodes_queued']}",
        f"Agent thread count:   {number['n_nodes_queued']}",
        f"DBD Agent queue size: {number['n_events_queued']}",
        "",
        f"Jobs submitted: {number['jobs_submitted']}",
        f"Jobs started:   {number['jobs_started']}",
        f"Jobs completed: {number['jobs_completed']}",
        f"Jobs canceled:  {number['jobs_cancelled']}",
        f"Jobs failed:    {number['jobs_failed']}",
        "",
        f"Job states ts:  {_date(now)} ({now})",
        f"Jobs pending:   {number['jobs_pending']}",
        f"Jobs running:   {number['jobs_running']}",
        *_main_lines(field(stats, "main", {}), now - since),
        *_backfill_lines(field(stats, "backfill", {}), number),
        "",
        f"Latency for 1000 calls to gettimeofday(): {number['clock_latency_us']} microseconds",
        "",
        "Remote Procedure Call statistics by message type",
        *[_tally_line(one, 40, 5) for one in stats["methods"]],
        "",
        "Remote Procedure Call statistics by user",
        *[_tally_line(one, 16, 8) for one in stats["users"]],
        "",
        "Pending RPC statistics",
        *_pending_lines(field(stats, "orders", []), field(stats, "waiting_nodes", [])),
    ]


_NUMBERS = (
    *("n_calls_active", "n_orders_queued", "n_nodes_queued", "n_events_queued", "clock_latency_us"),
    *("jobs_submitted", "jobs_started", "jobs_completed", "jobs_cancelled", "jobs_failed"),
    *("jobs_pending", "jobs_running", "backfilled", "backfilled_ever"),
)


def _main_lines(passes: dict[str, Any], seconds: int) -> list[str]:
    n = int_field(passes, "count")
    lines = [
        "",
        "Main schedule statistics (microseconds):",
        f"\tLast cycle:   {int_field(passes, 'last_us')}",
        f"\tMax cycle:    {int_field(passes, 'max_us')}",
        f"\tTotal cycles: {n}",
    ]
    if n:
        lines += [
            f"\tMean cycle:   {int_field(passes, 'mean_us')}",
            f"\tMean depth cycle:  {int_field(passes, 'mean_depth')}",
        ]
    if seconds > 60:
        lines.append(f"\tCycles per minute: {n // (seconds // 60)}")
    lines.append(f"\tLast queue length: {int_field(passes, 'last_queue')}")
    return lines


def _backfill_lines(passes: dict[str, Any], number: dict[str, int]) -> list[str]:
    n, at = int_field(passes, "count"), _seconds(passes, "last_at_us")
    lines = [
        "",
        "Backfilling stats",
        f"\tTotal backfilled jobs (since last slurm start): {number['backfilled_ever']}",
        f"\tTotal backfilled jobs (since last stats cycle start): {number['backfilled']}",
        "\tTotal backfilled heterogeneous job components: 0",
        f"\tTotal cycles: {n}",
        f"\tLast cycle when: {f'{_date(at)} ({at})' if at else 'N/A'}",
        f"\tLast cycle: {int_field(passes, 'last_us')}",
        f"\tMax cycle:  {int_field(passes, 'max_us')}",
        *([f"\tMean cycle: {int_field(passes, 'mean_us')}"] if n else []),
        f"\tLast depth cycle: {int_field(passes, 'last_depth')}",
        f"\tLast depth cycle (try sched): {int_field(passes, 'last_tried')}",
    ]
    if n:
        lines += [
            f"\tDepth Mean: {int_field(passes, 'mean_depth')}",
            f"\tDepth Mean (try depth): {int_field(passes, 'mean_tried')}",
        ]
    lines.append(f"\tLast queue length: {int_field(passes, 'last_queue')}")
    if n:
        lines.append(f"\tQueue length mean: {int_field(passes, 'mean_queue')}")
    lines.append(f"\tLast table size: {int_field(passes, 'last_table')}")
    if n:
        lines.append(f"\tMean table size: {int_field(passes, 'mean_table')}")
    return lines


def _tally_line(one: dict[str, Any], name_width: int, number_width: int) -> str:
    n, number, total = (int_field(one, name) for name in ("count", "number", "time_us"))
    who = f"{one['name']:<{name_width}}({number:>{number_width}})"
    return f"\t{who} count:{n:<6} ave_time:{mean_us(one):<6} total_time:{total}"


def _pending_lines(orders: list[dict[str, Any]], nodes: list[dict[str, Any]]) -> list[str]:
    if not orders:
        return ["\tNo pending RPCs"]
    lines = [f"\t{one['kind']:<40}(    0) count:{int_field(one, 'count'):<6}" for one in orders]
    lines += ["", "Pending RPCs"]
    return lines + [f"\t{n:2}: {one['kind']:<36} {one['node']}" for n, one in enumerate(nodes, 1)]


def _seconds(stats: dict[str, Any], name: str) -> int:
    return int_field(stats, name) // 1_000_000


def _date(seconds: int) -> str:
    from time import ctime

    return ctime(seconds)


if __name__ == "__main__":
    sys.exit(main())
