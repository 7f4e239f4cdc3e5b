"""From a launch order to what the launch layer takes, and from its exit record to a report."""

from __future__ import annotations

import os
from collections.abc import Mapping

from packhorse.agent import accounts, environment
from packhorse.agent.bounds import Bounds
from packhorse.agent.launch.control import OrderedCause, cancel_notice
from packhorse.agent.launch.exitrecord import ExitRecord
from packhorse.agent.launch.spec import LaunchSpec
from packhorse.agent.orders import ExitReport, LaunchOrder
from packhorse.scheduler.model.ids import AttemptKey, Instant
from packhorse.scheduler.model.job import EndCause
from packhorse.scheduler.model.resources import Usage

_NOTICES = {
    EndCause.TIME_LIMIT: "DUE TO TIME LIMIT",
    EndCause.REQUEUED: "DUE TO JOB REQUEUE",
    EndCause.PREEMPTED: "DUE TO PREEMPTION",
    EndCause.DEADLINE: "DUE TO DEADLINE",
    EndCause.NODE_FAIL: "DUE TO NODE FAILURE",
    EndCause.GPU_IDLE: "DUE TO IDLE GPUS",
}


def objection(order: LaunchOrder) -> str:
    """Why this agent may not run the order, "" if it may. One line for the user."""
    me = os.geteuid()
    if me != 0 and order.uid != me:
        return f"this node's agent runs as uid {me} and cannot run jobs of uid {order.uid}; start it as root"
    if order.uid == 0 and not order.allow_root:
        return "jobs of uid 0 are not run here; allow_root_jobs = true in packhorse.toml would allow them"
    return ""


def spec_of(
    order: LaunchOrder,
    *,
    node: str,
    directory: str,
    script: str,
    contact: str,
    cluster: Mapping[str, str],
    bounds: Bounds,
) -> LaunchSpec:
    """What to launch. directory: the attempt's; script: where it was written."""
    return LaunchSpec(
        key=str(order.attempt),
        attempt_dir=directory,
        argv=(script, *order.args),
        environment=tuple(environment.batch(order, node, cluster, constrained=bounds.constrained)),
        cwd=order.work_dir,
        uid=order.uid,
        gid=order.gid,
        groups=_groups(order),
        user=order.user,
        stdin=order.std_in or "/dev/null",
        stdout=order.std_out,
        stderr=order.std_err,
        append=order.append,
        umask=order.umask,
        rlimits=order.rlimits,
        cpus=bounds.cpus,
        limits=bounds.limits,
        time_limit_s=order.time_limit_s,
        grace_s=order.kill_wait_s,
        lease_s=order.lease_s,
        contact_file=contact if order.lease_s else "",
        label=f"JOB {order.attempt.job}",
        node=node,
    )


def _groups(order: LaunchOrder) -> tuple[int, ...]:
    """Supplementary groups, as the node knows them; only root could set others than its own."""
    return accounts.groups(order.user, order.gid) if os.geteuid() == 0 else ()


def ordered_cause(cause: str) -> OrderedCause:
    """The launch layer's word for why an attempt is ended."""
    return "time_limit" if cause == EndCause.TIME_LIMIT else "terminated"


def notice(key: AttemptKey, node: str, cause: str) -> str:
    """The line that the job's stderr gets when it is ended, "" for none."""
    try:
        why = _NOTICES.get(EndCause(cause), "")
    except ValueError:
        why = ""
    label = f"JOB {key.job}" if key.step < 0 else f"STEP {key.job}.{key.step}"
    return cancel_notice(label, node, why)


def report_of(key: AttemptKey, record: ExitRecord) -> ExitReport:
    """The report of an exit record. How long it ran was not measured on the clock that people set.

    A node that cannot set up a cgroup has refused the attempt: another one may be able to.
    """
    failure = record.launch_error
    ended_at = record.started_at + record.run_us if record.run_us else record.ended_at
    return ExitReport(
        attempt=key,
        started_at=Instant(record.started_at),
        ended_at=Instant(ended_at),
        exit_code=record.exit_code,
        exit_signal=record.signal,
        cause=record.cause,
        launch_error=failure.message if failure is not None else "",
        refused=failure is not None and failure.stage == "cgroup",
        lost=record.cause == "lost",
        detail=record.detail,
        usage=Usage(
            user_cpu_us=record.user_us,
            system_cpu_us=record.system_us,
            max_rss_kib=max(record.max_rss_kib, record.peak_mem_kib),
            disk_read_bytes=record.disk_read_bytes,
            disk_write_bytes=record.disk_write_bytes,
            max_cache_kib=record.cache_kib,
            oom_kills=record.oom_kills,
        ),
    )
