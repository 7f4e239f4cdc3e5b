"""`job_desc_msg`: what the body of a submission may say of a job, and how that is said to the core.

Every field of Slurm's is either read with its meaning or refused by name; a refused one may be there as long
as it says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from packhorse.scheduler.model.arrayspec import ArraySpecError, parse_array
from packhorse.scheduler.model.dependencyspec import DependencyError, parse_dependency
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.gresspec import GresError, parse_gres
from packhorse.scheduler.model.hostlist import HostlistError, expand
from packhorse.scheduler.model.shapes.jobs import MAIL_WORDS
from packhorse.scheduler.model.signalspec import SignalError, parse_signal
from packhorse.scheduler.model.units import UnitError, parse_count_range
from packhorse.scheduler.service import messages as m
from packhorse.scheduler.service.rest.fields import (
    ENDLESS,
    Body,
    Reader,
    bound,
    count,
    mapping,
    says_something,
    text,
    texts,
    truth,
)

DEFAULT_NAME = "openapi"
"""Of a job that is given none."""


class Description(msgspec.Struct):
    """What is built. hold: None where nothing is said of it; flags that are for the call, not for the job."""

    spec: m.JobSpec
    ask: m.Ask
    given: m.Given
    array: m.ArraySpec | None = None
    warn: m.WarnSignal | None = None
    clusters: str = ""
    user: str = ""
    group: str = ""


def fresh() -> Description:
    """Nothing said yet."""
    return Description(m.JobSpec(name=DEFAULT_NAME), m.Ask(), m.Given())


Take = Callable[[Description, str, Any], None]

# -- how a value gets where it belongs


def _text(field: str) -> Take:
    return lambda job, name, value: setattr(job.spec, field, text(name, value))


def _truth(field: str) -> Take:
    return lambda job, name, value: setattr(job.spec, field, truth(name, value))


def _number(field: str, times: int = 1) -> Take:
    def take(job: Description, name: str, value: Any) -> None:
        found = count(name, value)
        if found is not None:
            setattr(job.spec, field, found * times)

    return take


def _asked(field: str, times: int = 1, given: str = "") -> Take:
    """An amount of the ask; 0 says nothing. given: that it was spelled out."""

    def take(job: Description, name: str, value: Any) -> None:
        found = count(name, value)
        if not found:
            return
        setattr(job.ask, field, found * times)
        if given:
            setattr(job.given, given, True)

    return take


def _names(field: str) -> Take:
    def take(job: Description, name: str, value: Any) -> None:
        setattr(job.ask, field, host_names(name, value))

    return take


def host_names(name: str, value: Any) -> list[str]:
    """Nodes of a list of names or host lists. Raises BadValue."""
    try:
        if isinstance(value, str):
            return expand(value)
        return [host for part in texts(name, value) for host in expand(part)]
    except HostlistError as error:
        raise BadValue(f"{name}: {error}") from error


def _devices(field: str, given: str) -> Take:
    def take(job: Description, name: str, value: Any) -> None:
        said = text(name, value)
        devices = []
        for part in [part for part in said.split(",") if part]:
            bare = part.replace("=", ":")
            if not bare.startswith(("gres/", "gres:")) and bare.partition(":")[0] == "cpu":
                if field != "gres_per_task":
                    raise BadValue(f"{name}: CPUs are asked for by cpus_per_task, not here")
                _cpus(job, name, bare.partition(":")[2])
                continue
            devices.append(part)
        try:
            found = parse_gres(",".join(devices)) if devices else []
        except GresError as error:
            raise BadValue(f"{name}: {error}") from error
        wire = [m.Gres(kind=k, type=t, count=n, milli=x, mem_mib=mib) for k, t, n, x, mib in found]
        setattr(job.ask, field, wire)
        gpus = [(type_, n) for kind, type_, n, _, _ in found if kind == "gpu"]
        if gpus:
            setattr(job.given, given, ",".join(f"{type_}:{n}" if type_ else str(n) for type_, n in gpus))

    return take


def _cpus(job: Description, name: str, value: Any) -> None:
    found = count(name, value)
    if found:
        job.ask.cpu_milli_per_task = found * 1000
        job.given.cpus_per_task = True


def _nodes(job: Description, name: str, value: Any) -> None:
    """`2`, `2-4`."""
    said = text(name, value)
    low, dash, high = said.partition("-")
    try:
        job.ask.min_nodes = parse_count_range(low)[0]
        job.ask.max_nodes = parse_count_range(high)[0] if dash else job.ask.min_nodes
    except UnitError as error:
        raise BadValue(f'{name}: "{said[:80]}" is no count of nodes; write 2 or 2-4') from error


def time_limit_s(name: str, value: Any) -> int | None:
    """Seconds of minutes; 0 for no limit, None where nothing is said. Raises BadValue."""
    found = bound(name, value)
    return None if found is None else 0 if found == ENDLESS else found * 60


def _time_limit(job: Description, name: str, value: Any) -> None:
    found = time_limit_s(name, value)
    if found is not None:
        job.spec.time_limit_s = found


def dependency(name: str, value: Any) -> m.Dependency:
    """What it waits for. Raises BadValue."""
    try:
        any_of, conditions = parse_dependency(text(name, value))
    except DependencyError as error:
        raise BadValue(f"{name}: {error}") from error
    return m.Dependency(
        conditions=[
            m.Condition(
                kind=kind,
                job_id=job_id,
                array_index=index if index >= 0 else None,
                delay_s=minutes * 60,
            )
            for kind, job_id, index, minutes in conditions
        ],
        any_of=any_of,
    )


def _dependency(job: Description, name: str, value: Any) -> None:
    if value:
        job.spec.dependency = dependency(name, value)


def _array(job: Description, name: str, value: Any) -> None:
    if not value:
        return
    try:
        ranges, limit = parse_array(text(name, value))
    except ArraySpecError as error:
        raise BadValue(f"{name}: {error}") from error
    job.array = m.ArraySpec(
        ranges=[m.IndexRange(start=first, stop=last, step=step) for first, last, step in ranges],
        limit=limit,
    )


def _environment(job: Description, name: str, value: Any) -> None:
    if isinstance(value, dict):
        job.spec.environment = [f"{key}={text(f'{name}.{key}', item)}" for key, item in value.items()]
        return
    if not isinstance(value, list):
        raise BadValue(f"{name}: neither a list of NAME=VALUE nor an object")
    for item in value:
        if "=" not in text(name, item).lstrip("="):
            raise BadValue(f'{name}: "{item[:80]}" is not NAME=VALUE')
    job.spec.environment = list(value)


def _argv(job: Description, name: str, value: Any) -> None:
    """The script's name, which is the job's command, and its arguments."""
    words = [text(name, item) for item in value] if isinstance(value, list) else texts(name, value)
    if words:
        job.spec.command, job.spec.args = words[0], words[1:]


def _script(job: Description, name: str, value: Any) -> None:
    job.spec.script = text(name, value).encode()


def _open_mode(job: Description, name: str, value: Any) -> None:
    for word in texts(name, value):
        if word.upper() not in ("APPEND", "TRUNCATE"):
            raise BadValue(f'{name}: "{word[:80]}" is neither APPEND nor TRUNCATE')
        job.spec.append = word.upper() == "APPEND"


def _shared(job: Description, name: str, value: Any) -> None:
    for word in texts(name, value):
        if word.lower() in ("none", "user"):
            job.ask.exclusive = True
        elif word.lower() != "oversubscribe":
            raise BadValue(f'{name}: "{word[:80]}" is not supported; there are none (nobody beside), user')


def _flags(job: Description, name: str, value: Any) -> None:
    for word in texts(name, value):
        if word.upper() == "KILL_INVALID_DEPENDENCY":
            job.spec.kill_on_invalid_dep = True
        elif word.upper() == "SPREAD_JOB":
            job.ask.spread = True
        elif word.upper() != "NO_KILL_INVALID_DEPENDENCY":
            raise BadValue(
                f'{name}: "{word[:80]}" is not supported; there are KILL_INVALID_DEPENDENCY, SPREAD_JOB'
            )


def _warning(job: Description) -> m.WarnSignal:
    if job.spec.warn is None:
        job.spec.warn = m.WarnSignal()
    return job.spec.warn


def _warn_signal(job: Description, name: str, value: Any) -> None:
    if value:
        _warning(job).signal = signal(name, value)


def signal(name: str, value: Any) -> int:
    """A signal's number, of its name or number. Raises BadValue."""
    try:
        return parse_signal(str(value))
    except SignalError as error:
        raise BadValue(f"{name}: {error}") from error


def _warn_delay(job: Description, name: str, value: Any) -> None:
    found = count(name, value)
    if found:
        _warning(job).seconds_before = found


def _warn_flags(job: Description, name: str, value: Any) -> None:
    for word in texts(name, value):
        if word.upper() != "BATCH_JOB":
            raise BadValue(f'{name}: "{word[:80]}" is not supported; there is BATCH_JOB')
        _warning(job).batch_only = True


def _rlimits(job: Description, name: str, value: Any) -> None:
    for limit, item in mapping(name, value).items():
        found = bound(f"{name}.{limit}", item)
        if found is not None:
            job.spec.rlimits = [*job.spec.rlimits, m.Limit(name=limit.lower(), value=found)]


def _said(field: str) -> Take:
    """What has to be true anyway, and is compared later."""
    return lambda job, name, value: setattr(job, field, str(value))


_MAIL_WORDS = {theirs: ours for ours, theirs in MAIL_WORDS.items()}


def _mail(job: Description, name: str, value: Any) -> None:
    words = [word.upper() for word in texts(name, value)]
    job.spec.mail = ",".join([_MAIL_WORDS.get(word, word) for word in words])


def _wait_for_switch(job: Description, name: str, value: Any) -> None:
    found = count(name, value)
    if found:
        job.spec.switches_wait_s = found


FIELDS: dict[str, tuple[Any, Take]] = {
    "account": ("text", _text("account")),
    "argv": ("texts", _argv),
    "array": ("text", _array),
    "begin_time": ("number", _number("begin_at_us", 1_000_000)),
    "clusters": ("text", _said("clusters")),
    "comment": ("text", _text("comment")),
    "constraints": ("text", lambda job, name, value: setattr(job.ask, "features", text(name, value))),
    "contiguous": ("bool", lambda job, name, value: setattr(job.ask, "contiguous", truth(name, value))),
    "cpus_per_task": ("int", _cpus),
    "current_working_directory": ("text", _text("work_dir")),
    "deadline": ("int", _number("deadline_at_us", 1_000_000)),
    "dependency": ("text", _dependency),
    "environment": ("texts", _environment),
    "excluded_nodes": ("texts", _names("nodes_excluded")),
    "flags": ("texts", _flags),
    "group_id": ("text", _said("group")),
    "hold": ("bool", _truth("hold")),
    "kill_warning_delay": ("number", _warn_delay),
    "kill_warning_flags": ("texts", _warn_flags),
    "kill_warning_signal": ("text", _warn_signal),
    "licenses": ("text", _text("licenses")),
    "mail_type": ("texts", _mail),
    "mail_user": ("text", _text("mail_user")),
    "maximum_nodes": ("int", _asked("max_nodes")),
    "memory_per_cpu": ("number", _asked("mem_mib_per_cpu")),
    "memory_per_node": ("number", _asked("mem_mib_per_node")),
    "minimum_cpus_per_node": ("int", _asked("min_cpu_milli_per_node", 1000)),
    "minimum_nodes": ("int", _asked("min_nodes")),
    "name": ("text", _text("name")),
    "nice": ("int", _number("nice")),
    "nodes": ("text", _nodes),
    "open_mode": ("texts", _open_mode),
    "partition": ("text", _text("partition")),
    "priority": ("number", _number("priority")),
    "qos": ("text", _text("qos")),
    "requeue": ("bool", _truth("requeue")),
    "required_nodes": ("texts", _names("nodes_required")),
    "required_switches": ("number", _asked("max_switches")),
    "reservation": ("text", _text("reservation")),
    "rlimits": (("map", "number"), _rlimits),
    "script": ("text", _script),
    "shared": ("texts", _shared),
    "site_factor": ("int", _number("site_factor")),
    "standard_error": ("text", _text("std_err")),
    "standard_input": ("text", _text("std_in")),
    "standard_output": ("text", _text("std_out")),
    "tasks": ("int", _asked("n_tasks", given="n_tasks")),
    "tasks_per_node": ("int", _asked("tasks_per_node", given="tasks_per_node")),
    "temporary_disk_per_node": ("int", _asked("tmp_mib_per_node")),
    "time_limit": ("number", _time_limit),
    "tres_per_job": ("text", _devices("gres_per_job", "gpus")),
    "tres_per_node": ("text", _devices("gres_per_node", "gpus_per_node")),
    "tres_per_task": ("text", _devices("gres_per_task", "gpus_per_task")),
    "user_id": ("text", _said("user")),
    "wait_for_switch": ("int", _wait_for_switch),
    "wckey": ("text", _text("wckey")),
}

# fmt: off
REFUSED = dict.fromkeys((
    "account_gather_frequency", "admin_comment", "allocation_node_list", "allocation_node_port",
    "batch_features", "burst_buffer", "cluster_constraint", "container", "container_id",
    "core_specification", "cpu_binding", "cpu_binding_flags", "cpu_frequency", "cpus_per_tres",
    "crontab", "delay_boot", "distribution", "distribution_plane_size", "end_time", "extra",
    "hetjob_group", "immediate", "job_id", "maximum_cpus", "mcs_label",
    "memory_binding", "memory_binding_type", "memory_per_tres", "minimum_boards_per_job",
    "minimum_sockets_per_board", "network", "ntasks_per_tres", "overcommit", "power_flags", "prefer",
    "profile", "reboot", "reserve_ports", "resv_mpi_ports", "segment_size", "selinux_context",
    "sockets_per_node", "spank_environment", "tasks_per_board", "tasks_per_core", "tasks_per_socket",
    "thread_specification", "time_minimum", "tres_bind", "tres_freq", "tres_per_socket",
    "wait_all_nodes", "x11", "x11_magic_cookie", "x11_target_host", "x11_target_port",
), "")
# fmt: on
REFUSED |= {
    "minimum_cpus": "ask for tasks and cpus_per_task",
    "threads_per_core": "a CPU here is what the node counts as one",
    "kill_on_node_fail": "a job whose node fails is requeued or ends, as requeue says",
}

JOB_DESC: Reader[Description] = Reader("job_desc_msg", FIELDS, REFUSED)

SUBMIT_BODY = Body(
    "job_submit_req", {"script": "text", "job": JOB_DESC.body, "jobs": ("list", JOB_DESC.body)}
)


ALLOCATE_BODY = Body("job_alloc_req", {"job": JOB_DESC.body, "hetjob": ("list", JOB_DESC.body)})


def allocation(body: dict[str, Any]) -> Description:
    """The job without a script that a body of job/allocate describes. Raises BadValue."""
    _check_body(body, ALLOCATE_BODY)
    if body.get("hetjob"):
        raise BadValue("hetjob: heterogeneous jobs are not supported here; send one job")
    job = _described(body.get("job"))
    if job.spec.script or job.array is not None:
        raise BadValue(f"{'script' if job.spec.script else 'array'}: an allocation has none; job/submit does")
    job.spec.allocation = "salloc"
    return job


def submission(body: dict[str, Any]) -> Description:
    """The job that a body of job/submit describes. Raises BadValue."""
    _check_body(body, SUBMIT_BODY)
    parts = body.get("jobs") or []
    if isinstance(parts, list) and len(parts) > 1:
        raise BadValue("jobs: several are one heterogeneous job, which is not supported here; send one job")
    if says_something(body.get("job")) and parts:
        raise BadValue("job and jobs exclude each other")
    job = _described(parts[0] if parts else body.get("job"))
    if body.get("script"):
        job.spec.script = text("script", body["script"]).encode()
    return job


def _check_body(body: dict[str, Any], known: Body) -> None:
    unknown = body.keys() - known.fields.keys()
    if unknown:
        raise BadValue(f'the body has no field "{min(unknown)[:100]}"; there are {", ".join(known.fields)}')


def _described(description: Any) -> Description:
    if description is None:
        raise BadValue('job: missing; it says what shall run: {"job": {…}, "script": "#!/bin/sh…"}')
    job = JOB_DESC.read("job", description, fresh())
    job.spec.ask = job.ask
    job.spec.given = job.given
    if job.spec.warn is not None and not job.spec.warn.signal:
        raise BadValue("kill_warning_signal: missing, where kill_warning_delay or _flags are given")
    return job
