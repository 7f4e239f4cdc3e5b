"""scontrol: look at everything, and change jobs and nodes."""

from __future__ import annotations

import os
import sys

from packhorse.cli.slurm.jobids import JobIdError, job_ref, split_ids
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
from packhorse.cli.transport import CallError, TransportError, call, field, home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PROG = "scontrol"

TABLE: dict[str, tuple[str, int, str]] = {
    "all": ("a", NONE, HARMLESS),
    "clusters": ("M", REQUIRED, USED),
    "details": ("d", NONE, USED),
    "federation": ("", NONE, HARMLESS),
    "future": ("F", NONE, HARMLESS),
    "help": ("h", NONE, USED),
    "hide": ("", NONE, HARMLESS),
    "json": ("", OPTIONAL, USED),
    "local": ("", NONE, HARMLESS),
    "oneliner": ("o", NONE, USED),
    "quiet": ("Q", NONE, HARMLESS),
    "server": ("", REQUIRED, USED),
    "sibling": ("", NONE, HARMLESS),
    "uid": ("u", REQUIRED, "not yet"),
    "usage": ("", NONE, USED),
    "verbose": ("v", NONE, HARMLESS),
    "version": ("V", NONE, USED),
    "yaml": ("", OPTIONAL, USED),
}

PARSER = Parser(PROG, TABLE)

MOST_EXPLAINED = 20
"""Jobs of one `show job` with our line about what would start them."""


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `scontrol WORDS`."""
    found, arguments = PARSER.parse(words)
    for name, _ in found:
        if name == "version":
            print_version()
            return 0
        if name in ("help", "usage"):
            _usage(name)
            return 0
    PARSER.refuse_unsupported(found)
    take_server(found)
    options = dict(found)
    if options.get("clusters"):
        from packhorse.cli.slurm.clusters import checked

        checked(PROG, options["clusters"])
    if not arguments:
        from packhorse.cli.slurm.scontrol_interactive import session

        return session(_do, options)
    return _do(arguments, options)


def _do(arguments: list[str], options: dict[str, str]) -> int:
    """One command."""
    keyword = arguments[0].lower()
    work = _KEYWORDS.get(keyword)
    if work is None:
        longer = [name for name in _KEYWORDS if len(keyword) >= 3 and name.startswith(keyword)]
        if len(longer) == 1:
            work = _KEYWORDS[longer[0]]
        else:
            from packhorse.cli.slurm.scontrol_daemon import REFUSED, refusal

            if keyword in REFUSED:
                raise refusal(keyword, REFUSED[keyword])
            raise CommandError(f"invalid keyword: {arguments[0]}")
    return work(arguments[1:], options)


def _usage(kind: str) -> None:
    from packhorse.cli.slurm import usage

    usage.show(PROG, kind)


def _show(words: list[str], options: dict[str, str]) -> int:
    if not words:
        raise CommandError("too few arguments for keyword:show")
    entity = words[0].lower()
    work = _ENTITIES.get(entity)
    if work is None:
        longer = {_ENTITIES[name] for name in _ENTITIES if name.startswith(entity)}
        if entity and len(longer) == 1:
            work = longer.pop()
        else:
            from packhorse.cli.slurm.scontrol_daemon import REFUSED_ENTITIES, refusal

            if entity in REFUSED_ENTITIES:
                raise refusal(f"show {entity}", REFUSED_ENTITIES[entity])
            raise CommandError(f"invalid entity:{words[0]} for keyword:show ")
    return work(words[1:], options)


def _show_topology(words: list[str], options: dict[str, str]) -> int:
    from packhorse.cli.slurm import show_topology
    from packhorse.cli.slurm.table import fetch

    rows = fetch("ListNodes", {"fields": list(show_topology.COLUMNS)}).rows()
    found = show_topology.lines(rows, words)
    if words and not found:
        raise CommandError(f"{PROG}: error: no switch or node {', '.join(words)}")
    if not found:
        raise CommandError("No topology information available")  # in Slurm's words
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return 0


def _show_jobs(words: list[str], options: dict[str, str]) -> int:
    from packhorse.cli.slurm import show_job
    from packhorse.cli.slurm.table import fetch

    request: dict[str, Any] = {"fields": list(show_job.COLUMNS), "includeEnded": True}
    if words:
        request["jobs"] = [
            _ref(part, "scontrol_print_job error: Invalid job id specified") for part in split_ids(words[0])
        ]
    structured = "json" in options or "yaml" in options
    if structured:
        from packhorse.scheduler.model.shapes import jobs

        request["fields"] = list(jobs.COLUMNS)
    table = fetch("ListJobs", request)
    if words and not table.n:
        if "_" in words[0]:
            raise CommandError(f"Job {words[0]} not found")
        raise CommandError("slurm_load_jobs error: Invalid job id specified")
    if structured:
        from packhorse.cli.slurm.structured import listing

        sys.stdout.write(listing(PROG, options, "jobs", jobs.JOB, table.rows(), table.now_s))
        return 0
    if not table.n:
        sys.stdout.write("No jobs in the system\n")
        return 0
    rows = list(table.rows())
    records = [show_job.job_lines(row, table.now_us, "details" in options) for row in rows]
    if words:
        for row, lines in zip(rows[:MOST_EXPLAINED], records, strict=False):
            lines[-1:-1] = _why(row)
    sys.stdout.write(show_job.printed(records, "oneliner" in options))
    return 0


def _why(row: dict[str, Any]) -> list[str]:
    """Our line at the end of a job that waits; none where the scheduler cannot say."""
    if row["state"] != "PENDING":
        return []
    from packhorse.cli.slurm.why_text import line
    from packhorse.cli.transport import CallError

    try:
        answer = call("ExplainJob", {"job": {"jobId": row["job_id"]}})
    except CallError:
        return []
    return [f"PackhorseWhy={line(answer)}"]


def _show_nodes(words: list[str], options: dict[str, str]) -> int:
    from packhorse.cli.slurm.show_job import printed
    from packhorse.cli.slurm.show_node import node_lines
    from packhorse.cli.slurm.table import fetch
    from packhorse.scheduler.model.hostlist import HostlistError, expand, natural_key

    table = fetch("ListNodes", {"fields": []})
    rows = {row["name"]: row for row in table.rows()}
    try:
        names = expand(words[0]) if words else sorted(rows, key=natural_key)
    except HostlistError as error:
        raise CommandError(f"{PROG}: error: {error}") from None
    if "json" in options or "yaml" in options:
        from packhorse.cli.slurm.structured import listing
        from packhorse.scheduler.model.shapes.nodes import NODE

        chosen = [rows[name] for name in names if name in rows]
        sys.stdout.write(listing(PROG, options, "nodes", NODE, chosen, table.now_s))
        return 0
    code = 0
    for name in names:
        if name in rows:
            sys.stdout.write(printed([node_lines(rows[name])], "oneliner" in options))
        else:
            sys.stdout.write(f"Node {name} not found\n")
            code = 1
    if not names:
        sys.stdout.write("No nodes in the system\n")
    return code


def _show_partitions(words: list[str], options: dict[str, str]) -> int:
    from packhorse.cli.slurm.show_job import printed
    from packhorse.cli.slurm.show_node import partition_lines
    from packhorse.cli.slurm.table import fetch

    table = fetch("ListPartitions", {"fields": []})
    rows = table.rows()
    if words:
        rows = [row for row in rows if row["name"] == words[0]]
        if not rows:
            sys.stdout.write(f"Partition {words[0]} not found\n")
            return 1
    if "json" in options or "yaml" in options:
        from packhorse.cli.slurm.structured import listing
        from packhorse.scheduler.model.shapes.nodes import PARTITION

        sys.stdout.write(listing(PROG, options, "partitions", PARTITION, rows, table.now_s))
        return 0
    sys.stdout.write(printed([partition_lines(row) for row in rows], "oneliner" in options))
    return 0


def _show_config(words: list[str], options: dict[str, str]) -> int:
    from time import time

    from packhorse.cli.slurm.times import stamp

    settings = field(call("GetConfig", {}), "settings", [])
    lines = [f"Configuration data as of {stamp(int(time()))}"]
    lines += [f"{field(item, 'key', ''):<23} = {field(item, 'value', '')}" for item in settings]
    sys.stdout.write("\n".join(lines) + "\n\n")
    return _ping([], options)


def _show_hostnames(words: list[str], options: dict[str, str]) -> int:
    from packhorse.scheduler.model.hostlist import HostlistError, expand

    text = ",".join(words) or os.environ.get("SLURM_JOB_NODELIST", "") or os.environ.get("SLURM_NODELIST", "")
    try:
        names = expand(text)
    except HostlistError as error:
        raise CommandError(f"Invalid hostlist: {text}\n{PROG}: error: {error}") from None
    if not names:
        raise CommandError(f"{PROG}: error: host list is empty")
    sys.stdout.write("\n".join(names) + "\n")
    return 0


def _show_hostlist(words: list[str], options: dict[str, str], in_sequence: bool = False) -> int:
    from packhorse.scheduler.model.hostlist import HostlistError, compress, compress_sorted, expand

    if not words:
        raise CommandError(
            f"invalid encode argument for show {'hostlistsorted' if in_sequence else 'hostlist'}"
        )
    text = ",".join(words)
    try:
        if words == ["-"]:
            text = ",".join(sys.stdin.read().split())
        elif text.startswith("/"):
            with open(text, encoding="utf-8") as file:
                text = ",".join(file.read().split())
        names = expand(text)
    except (HostlistError, OSError, UnicodeDecodeError) as error:
        raise CommandError(f"Invalid hostlist: {text}\n{PROG}: error: {error}") from None
    sys.stdout.write((compress_sorted(names) if in_sequence else compress(names)) + "\n")
    return 0


def _show_hostlist_sorted(words: list[str], options: dict[str, str]) -> int:
    return _show_hostlist(words, options, in_sequence=True)


def _show_steps(words: list[str], options: dict[str, str]) -> int:
    """The steps of running jobs, their batch scripts among them."""
    from packhorse.cli.slurm.jobids import JobIdError
    from packhorse.cli.slurm.show_job import printed
    from packhorse.cli.slurm.step_columns import BATCH, STEP_COLUMNS, step_ids, step_ref
    from packhorse.cli.slurm.table import fetch

    request: dict[str, Any] = {"fields": list(STEP_COLUMNS)}
    wanted = ""
    if words:
        try:
            ref, wanted = step_ref(words[0])
        except JobIdError:
            raise CommandError(f"Invalid job_step id: {words[0]}") from None
        request["jobs"] = [ref]
    table = fetch("ListSteps", request)
    if wanted == BATCH:
        table.keep([row for row, step in enumerate(table.texts("step")) if step == BATCH])
    if not table.n:
        sys.stdout.write(f"Job step {words[0]} not found\n" if words else "No job steps in the system\n")
        return 1 if words else 0
    records = [_step_lines(name, row) for name, row in zip(step_ids(table), table.rows(), strict=True)]
    sys.stdout.write(printed(records, "oneliner" in options))
    return 0


def _step_lines(name: str, row: dict[str, Any]) -> list[str]:
    """One step; of a batch script Slurm says nothing about what it has."""
    from packhorse.cli.slurm.step_columns import BATCH
    from packhorse.cli.slurm.times import stamp
    from packhorse.scheduler.model.units import format_elapsed

    batch = row["step"] == BATCH
    limit = format_elapsed(row["time_limit_s"]) if row["time_limit_s"] else "UNLIMITED"
    return [
        (
            f"StepId={name} UserId={row['uid']} StartTime={stamp(row['start_at'] // 1_000_000)} "
            f"TimeLimit={limit}"
        ),
        (
            f"State={'SUSPENDED' if row['state'] == 'SUSPENDED' else 'RUNNING'} "
            f"Partition={row['partition']} NodeList={row['nodes']}"
        ),
        (
            f"Nodes={row['n_nodes']} CPUs={0 if batch else row['n_cpus']} Tasks={row['n_tasks']} "
            f"Name={row['name']} Network=(null)"
        ),
        f"TRES={'(null)' if batch else row['alloc_tres']}",
        "ResvPorts=(null)",
        "CPUFreqReq=Default" if batch else f"CPUFreqReq=Default Dist={row['layout']}",
        f"SrunHost:Pid={row['submit_host'] or '(null)'}:0",
    ]


def _show_licenses(words: list[str], options: dict[str, str]) -> int:
    from packhorse.cli.slurm.fields_nodes import LICENSE_COLUMNS
    from packhorse.cli.slurm.table import fetch

    table = fetch("ListLicenses", {"fields": list(LICENSE_COLUMNS)})
    rows = [row for row in table.rows() if not words or row["name"] == words[0]]
    if "json" in options or "yaml" in options:
        from packhorse.cli.slurm.structured import listing
        from packhorse.scheduler.model.shapes.reservations import LICENSE

        sys.stdout.write(listing(PROG, options, "licenses", LICENSE, rows, table.now_s))
        return 0
    if not rows and words:
        sys.stdout.write(f"License {words[0]} not found\n")
        return 1
    if not rows:
        sys.stdout.write("No licenses configured in Slurm.\n")
        return 0
    joint = " " if "oneliner" in options else "\n    "
    for row in rows:
        amounts = f"Total={row['total']} Used={row['used']} Free={row['free']} Reserved=0 Remote=no"
        sys.stdout.write(f"LicenseName={row['name']}{joint}{amounts}\n")
    return 0


def _show_reservations(words: list[str], options: dict[str, str]) -> int:
    from packhorse.cli.slurm.fields_nodes import RESERVATION_COLUMNS
    from packhorse.cli.slurm.show_job import printed
    from packhorse.cli.slurm.show_reservation import reservation_lines
    from packhorse.cli.slurm.table import fetch

    request = {"fields": list(RESERVATION_COLUMNS), "names": words[:1]}
    table = fetch("ListReservations", request)
    if "json" in options or "yaml" in options:
        from packhorse.cli.slurm.structured import listing
        from packhorse.scheduler.model.shapes.reservations import RESERVATION

        sys.stdout.write(listing(PROG, options, "reservations", RESERVATION, table.rows(), table.now_s))
        return 0
    if words and not table.n:
        sys.stdout.write(f"Reservation {words[0]} not found\n")
        return 1
    if not table.n:
        sys.stdout.write("No reservations in the system\n")
        return 0
    records = [reservation_lines(row) for row in table.rows()]
    sys.stdout.write(printed(records, "oneliner" in options))
    return 0


def _ping(words: list[str], options: dict[str, str]) -> int:
    if words:
        raise CommandError("too many arguments for keyword:ping")
    try:
        host = field(call("Ping", {}), "host", "") or os.uname().nodename
    except TransportError:
        sys.stdout.write(f"Slurmctld(primary) at {os.uname().nodename} is DOWN\n")
        sys.stderr.write(f"{PROG}: error: no scheduler is running in {home()} (start one: packhorse up)\n")
        return 1
    sys.stdout.write(f"Slurmctld(primary) at {host} is UP\n")
    return 0


def _reconfigure(words: list[str], options: dict[str, str]) -> int:
    """Unlike Slurm's it says what changed."""
    from packhorse.cli.reconfiguring import lines, read_again

    if words:
        raise CommandError("too many arguments for keyword:reconfigure")
    answer = read_again()
    if problems := field(answer, "problems", []):
        raise CommandError("\n".join([*problems, "slurm_reconfigure error: Invalid configuration"]))
    sys.stdout.write("\n".join(lines(answer)) + "\n")
    return 0


def _version(words: list[str], options: dict[str, str]) -> int:
    print_version()
    return 0


def _ref(text: str, message: str) -> dict[str, Any]:
    try:
        return job_ref(text)
    except JobIdError:
        raise CommandError(message) from None


def _refs(keyword: str, words: list[str], after: str = "") -> list[dict[str, Any]]:
    """The jobs that `words` name. after: the line that follows the message about a wrong one."""
    if not words:
        raise CommandError(f"too few arguments for keyword:{keyword}")
    refs = []
    for part in [part for word in words for part in split_ids(word)]:
        name, equals, wanted = part.partition("=")
        if equals and name.lower() in ("name", "jobname"):
            refs += _named(wanted)
        else:
            refs.append(_ref(part, f"Invalid job id specified for job {part}{after}"))
    if not refs:
        raise CommandError(f"Invalid job id specified{after}")
    return refs


def _named(name: str) -> list[dict[str, Any]]:
    """The caller's unfinished jobs of this name."""
    from packhorse.cli.slurm.table import fetch
    from packhorse.cli.slurm.users import own_name

    request = {"fields": ["job_id", "array_job_id"], "filter": {"names": [name], "users": [own_name()]}}
    table = fetch("ListJobs", request)
    found = dict.fromkeys(
        [array or job for job, array in zip(table.ints("job_id"), table.ints("array_job_id"), strict=True)]
    )
    return [{"jobId": job_id, "text": str(job_id)} for job_id in found]


_REQUEUE_OPTIONS = ("incomplete", "state=specialexit")


def _that_run(refs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of these jobs and tasks those that hold nodes (`requeue Incomplete`)."""
    from packhorse.cli.slurm.table import fetch

    request = {
        "fields": ["job_id"],
        "jobs": refs,
        "filter": {"states": ["CONFIGURING", "RUNNING", "SUSPENDED"]},
        "expandArrays": True,
    }
    return [{"jobId": id, "text": str(id)} for id in fetch("ListJobs", request).ints("job_id")]


def _on_jobs(
    keyword: str, method: str, after: str = "", **more: Any
) -> Callable[[list[str], dict[str, str]], int]:
    """A keyword that does one thing to jobs."""

    def work(words: list[str], options: dict[str, str]) -> int:
        from packhorse.cli.slurm.scontrol_update import told

        incomplete = False
        while method == "RequeueJobs" and words and words[0].lower() in _REQUEUE_OPTIONS:
            if words[0].lower() != "incomplete":
                from packhorse.cli.slurm.scontrol_daemon import refusal

                raise refusal(words[0], "there is no such state; requeuehold holds the job")
            words, incomplete = words[1:], True
        refs = _refs(keyword, words, f"\n{after}Invalid job id specified" if after else "")
        if incomplete:
            refs = _that_run(refs)
            if not refs:
                return 0
        request = {"jobs": refs, "idempotencyKey": os.urandom(16).hex(), **more}
        return told(field(call(method, request), "outcomes", []), after)

    return work


def _stopping(keyword: str, method: str) -> Callable[[list[str], dict[str, str]], int]:
    """suspend and resume: what went wrong is said in whole sentences, with Slurm's line below."""

    def work(words: list[str], options: dict[str, str]) -> int:
        refs = _refs(keyword, words, f"\n{_SUSPEND_ERROR}Invalid job id specified")
        request = {"jobs": refs, "idempotencyKey": os.urandom(16).hex()}
        outcomes = field(call(method, request), "outcomes", [])
        failed = [outcome for outcome in outcomes if field(outcome, "code", "")]
        if failed:
            lines = [field(outcome, "message", "") for outcome in failed]
            slurm = field(failed[0], "slurm", "")
            raise CommandError("\n".join([*lines, *([_SUSPEND_ERROR + slurm] if slurm else [])]))
        return 0

    return work


def _update(words: list[str], options: dict[str, str]) -> int:
    from packhorse.cli.slurm.scontrol_update import update

    if words and "=" not in words[0] and len(words) > 2:
        # `update job 12 Key=Value` and `update node n1 Key=Value`
        words = [f"{words[0]}={words[1]}", *words[2:]]
    return update(words)


def _create(words: list[str], options: dict[str, str]) -> int:
    from packhorse.cli.slurm import scontrol_reservation

    return scontrol_reservation.create(words)


def _delete(words: list[str], options: dict[str, str]) -> int:
    from packhorse.cli.slurm import scontrol_reservation

    return scontrol_reservation.delete(words)


def _write(words: list[str], options: dict[str, str]) -> int:
    """`write batch_script ID [FILE|-]` and `write config [FILE]`."""
    if words and words[0].lower() == "config":
        from packhorse.cli.slurm.scontrol_daemon import write_config

        return write_config(words[1:], field(call("GetConfig", {}), "settings", []))
    if not words or words[0].lower() != "batch_script":
        raise CommandError(f"invalid write argument:{words[0] if words else ''}")
    if len(words) < 2:
        raise CommandError("too few arguments for keyword:write batch_script")
    from packhorse.cli.slurm.scripts import batch_script

    try:
        text = batch_script(_ref(words[1], "job script retrieval failed: Invalid job id specified"))
    except CallError as error:
        raise CommandError(f"job script retrieval failed: {error.slurm or error.message}") from None
    target = words[2] if len(words) > 2 else f"slurm-{words[1]}.sh"
    if target == "-":
        sys.stdout.write(text)
        return 0
    try:
        with open(target, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    except OSError as error:
        raise CommandError(f"failed to open file `{target}`: {error.strerror}") from None
    sys.stdout.write(f"batch script for job {words[1]} written to {target}\n")
    return 0


_SUSPEND_ERROR = "slurm_suspend error: "


def _daemon(name: str) -> Callable[[list[str], dict[str, str]], int]:
    """A keyword of scontrol_daemon, which is loaded only where one is used."""

    def work(words: list[str], options: dict[str, str]) -> int:
        from packhorse.cli.slurm import scontrol_daemon

        return int(getattr(scontrol_daemon, name)(words, options))

    return work


def _cluster(words: list[str], options: dict[str, str]) -> int:
    """`cluster NAME`: there is one."""
    from packhorse.cli.slurm.clusters import checked

    if len(words) != 1:
        raise CommandError(f"too {'many' if words else 'few'} arguments for keyword:cluster")
    checked(PROG, words[0])
    return 0


def _help(words: list[str], options: dict[str, str]) -> int:
    _usage("help")
    return 0


_KEYWORDS: dict[str, Callable[[list[str], dict[str, str]], int]] = {
    "cluster": _cluster,
    "completing": _daemon("completing"),
    "create": _create,
    "delete": _delete,
    "errnumstr": _daemon("errnumstr"),
    "help": _help,
    "hold": _on_jobs("hold", "HoldJobs", _SUSPEND_ERROR),
    "listpids": _daemon("listpids"),
    "pidinfo": _daemon("pidinfo"),
    "ping": _ping,
    "reconfigure": _reconfigure,
    "release": _on_jobs("release", "ReleaseJobs", _SUSPEND_ERROR),
    "requeue": _on_jobs("requeue", "RequeueJobs"),
    "requeuehold": _on_jobs("requeuehold", "RequeueJobs", hold=True),
    "resume": _stopping("resume", "ResumeJobs"),
    "setdebug": _daemon("setdebug"),
    "show": _show,
    "shutdown": _daemon("shutdown"),
    "suspend": _stopping("suspend", "SuspendJobs"),
    "token": _daemon("token"),
    "uhold": _on_jobs("uhold", "HoldJobs", _SUSPEND_ERROR, asUser=True),
    "update": _update,
    "version": _version,
    "wait_job": _daemon("wait_job"),
    "write": _write,
}

_ENTITIES: dict[str, Callable[[list[str], dict[str, str]], int]] = {
    "aliases": _daemon("show_aliases"),
    "config": _show_config,
    "daemons": _daemon("show_daemons"),
    "hostlist": _show_hostlist,
    "hostlistsorted": _show_hostlist_sorted,
    "hostname": _show_hostnames,
    "hostnames": _show_hostnames,
    "job": _show_jobs,
    "jobid": _show_jobs,
    "jobs": _show_jobs,
    "lic": _show_licenses,
    "license": _show_licenses,
    "licenses": _show_licenses,
    "node": _show_nodes,
    "nodes": _show_nodes,
    "partition": _show_partitions,
    "partitionname": _show_partitions,
    "partitions": _show_partitions,
    "reservation": _show_reservations,
    "reservationname": _show_reservations,
    "reservations": _show_reservations,
    "step": _show_steps,
    "steps": _show_steps,
    "topology": _show_topology,
}


if __name__ == "__main__":
    sys.exit(main())
