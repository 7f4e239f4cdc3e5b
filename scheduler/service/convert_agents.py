"""What agents say to inputs of the core, and its commands to what agents are told.

The agents' half of the wire; with convert_queries.py the only place that names a generated module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from packhorse.scheduler.model import command as commands
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.gresspec import MAX_SLICES
from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.input import (
    RegisterNode,
    ReportExit,
    ReportOffer,
    ReportStart,
    ReportSuspension,
    ReportUsage,
    RunningAttempt,
)
from packhorse.scheduler.model.job import Active, ArraySpec, EndCause, Job
from packhorse.scheduler.model.node import LEVELS, NodeSpec, Offer, are_levels
from packhorse.scheduler.model.outputpath import default_output, expand_pattern
from packhorse.scheduler.model.resources import WHOLE, Device, Devices, Usage, is_slice
from packhorse.scheduler.model.sample import DeviceSample
from packhorse.scheduler.service import bounds
from packhorse.scheduler.service.batch_environment import batch_environment, submitted_environment
from packhorse.scheduler.service.bounds import text, texts, whole
from packhorse.scheduler.service.payloads import unpack_environment
from packhorse.v1 import agent_pb2 as pb

MAX_HOST_NAME = 253
MAX_DISK_MIB = 1 << 42
MAX_DEVICE_INDEX = 4_095
MAX_GROUP = 4_095
"""NUMA nodes and link groups of one node."""
MAX_REMARK = 400
"""Characters of a warning of a node, and of the reason of a dead device: what is longer is cut off."""
MAX_REMARKS = 32

AgentMessage = pb.AgentMessage
TunnelBytes = pb.TunnelBytes
TunnelWish = pb.TunnelWish
SchedulerMessage = pb.SchedulerMessage


class TunnelOrder(msgspec.Struct, frozen=True, gc=False):
    """Dial back with this id: somebody who may act as `uid` wants to talk to the step."""

    id: int
    uid: int
    attempt: AttemptKey


class AttemptSample(msgspec.Struct, frozen=True, gc=False):
    """What one running attempt uses: all it has used so far, and its memory and devices now. rss_kib counts
    against its limit, cache_kib is the page cache beside that."""

    usage: Usage
    rss_kib: int
    cache_kib: int = 0
    devices: tuple[DeviceSample, ...] = ()


class NodeUsage(msgspec.Struct, frozen=True, gc=False):
    """What a node and its jobs use, as its agent last measured. load_milli: 1000 times the load average.
    pressure_milli: thousandths of the last 10 s in which some process waited for memory, None: not told."""

    at: Instant
    cpu_milli_used: int
    mem_mib_used: int
    mem_mib_free: int
    load_milli: int
    attempts: Mapping[AttemptKey, AttemptSample]
    devices: tuple[DeviceSample, ...] = ()
    pressure_milli: int | None = None


class HeardHeartbeat(msgspec.Struct, frozen=True, gc=False):
    """An agent had nothing else to say. at: its clock."""

    at: Instant


Heard = ReportOffer | ReportStart | ReportExit | ReportSuspension | NodeUsage | HeardHeartbeat


# -- from an agent


def attempt_key(wire: pb.AttemptKey) -> AttemptKey:
    step = wire.step if wire.HasField("step") else -1
    return AttemptKey(JobId(wire.job_id), wire.number, wire.epoch, step)


def introduction(message: pb.AgentMessage, address: str) -> RegisterNode | None:
    """The node a stream's first message introduces; None if it is something else. Raises BadValue."""
    if message.WhichOneof("message") != "hello":
        return None
    hello = message.hello
    spec = NodeSpec(
        name=NodeName(text("node", hello.node, MAX_HOST_NAME)),
        host_name=hello.host_name,
        cpu_milli=whole("cpu_milli", hello.cpu_milli, 1, bounds.MAX_CPU_MILLI),
        mem_mib=whole("mem_mib", hello.mem_mib, 0, bounds.MAX_MEM_MIB),
        tmp_mib=whole("tmp_mib", hello.tmp_mib, 0, MAX_DISK_MIB),
        devices=tuple([_device(device) for device in hello.devices]),
        features=tuple(hello.features),
        sockets=hello.sockets or 1,
        cores_per_socket=hello.cores_per_socket or 1,
        threads_per_core=hello.threads_per_core or 1,
        weight=hello.weight or 1,
        declared=hello.declared,
        isolation=hello.isolation,
        arch=hello.arch,
        os=hello.os,
        version=hello.version,
        address=address,
        boot_at=Instant(hello.boot_at_us),
        topology=_topology(hello.topology),
        step_door=text("step_door", hello.step_door, bounds.MAX_PATH),
    )
    return RegisterNode(
        spec,
        hello.boot_id,
        _offer(hello.offer),
        running=tuple(
            [
                RunningAttempt(attempt_key(r.attempt), Instant(r.started_at_us), r.suspended)
                for r in hello.running
            ]
        ),
        launching=tuple([attempt_key(key) for key in hello.launching]),
        exited=tuple([attempt_key(key) for key in hello.exited]),
        kept=tuple([attempt_key(key) for key in hello.kept]),
    )


def _device(wire: pb.Device) -> Device:
    name = f"device {wire.kind}"
    return Device(
        text("device: kind", wire.kind),
        text(f"{name}: type", wire.type),
        whole(f"{name}: index", wire.index, 0, MAX_DEVICE_INDEX),
        wire.uuid,
        whole(f"{name}: mem_mib", wire.mem_mib, 0, bounds.MAX_MEM_MIB),
        whole(f"{name}: numa", wire.numa, 0, MAX_GROUP) if wire.HasField("numa") else -1,
        whole(f"{name}: link", wire.link, 0, MAX_GROUP) if wire.HasField("link") else -1,
        tuple([_layout(name, layout.slices) for layout in wire.layouts]),
    )


def _layout(name: str, slices: Sequence[str]) -> tuple[str, ...]:
    """The slices of one way to cut a device. Raises BadValue."""
    whole(f"{name}: slices of a layout", len(slices), 1, MAX_SLICES)
    for wanted in slices:
        if not is_slice(wanted):
            raise BadValue(f'{name}: "{wanted[:40]}" is not a slice, as in 1g.10gb')
    return tuple(slices)


def _topology(wire: Sequence[str]) -> tuple[str, ...]:
    """The racks and switches above a node. Raises BadValue."""
    if not are_levels(wire):
        raise BadValue(f"topology: not {LEVELS}")
    return texts("topology", wire, MAX_HOST_NAME)


def takes_batches(message: pb.AgentMessage) -> bool:
    """Whether the agent that introduces itself reads several messages in one."""
    return message.hello.takes_batches


def heard(node: NodeName, message: pb.AgentMessage) -> list[Heard]:
    """What a message says, in order; nothing for a kind this version does not know."""
    match message.WhichOneof("message"):
        case "exited":
            return [_exited(node, message.exited)]
        case "started":
            return [
                ReportStart(
                    node, attempt_key(message.started.attempt), Instant(message.started.started_at_us)
                )
            ]
        case "heartbeat":
            return [HeardHeartbeat(Instant(message.heartbeat.at_us))]
        case "offer":
            return [ReportOffer(node, _offer(message.offer))]
        case "suspension":
            said = message.suspension
            return [ReportSuspension(node, attempt_key(said.attempt), said.suspended, _remark(said.error))]
        case "usage":
            return [_usage_report(message.usage)]
        case "batch":
            return [said for inner in message.batch.messages for said in heard(node, inner)]
        case _:
            return []


def _offer(wire: pb.Offer) -> Offer:
    return Offer(
        wire.epoch,
        whole("offer: cpu_milli", wire.cpu_milli, 0, bounds.MAX_CPU_MILLI),
        whole("offer: mem_mib", wire.mem_mib, 0, bounds.MAX_MEM_MIB),
        wire.accepting,
        _remark(wire.reason),
        tuple(
            [
                (text("dead device: kind", d.kind), whole("dead device: index", d.index, 0, MAX_DEVICE_INDEX))
                for d in wire.dead_devices
            ]
        ),
        tuple([_remark(reason) for reason in wire.dead_reasons]),
        tuple([_remark(warning) for warning in wire.warnings[:MAX_REMARKS]]),
    )


def _remark(said: str) -> str:
    """One line of an agent's: parts of it come from drivers and files, which say anything."""
    return "".join([char if char.isprintable() else "?" for char in said[:MAX_REMARK]])


def _usage(wire: pb.AttemptUsage) -> Usage:
    return Usage(
        wire.user_cpu_us,
        wire.system_cpu_us,
        wire.max_rss_kib,
        wire.max_vm_kib,
        wire.disk_read_bytes,
        wire.disk_write_bytes,
        wire.max_cache_kib,
        wire.oom_kills,
        wire.gpu_ms,
        wire.gpu_busy_ms,
        wire.gpu_max_mem_mib,
        wire.gpu_energy_mj,
        wire.gpu_gflop,
        wire.gpu_peak_gflop,
    )


def _exited(node: NodeName, wire: pb.Exited) -> ReportExit:
    return ReportExit(
        node,
        attempt_key(wire.attempt),
        Instant(wire.started_at_us),
        Instant(wire.ended_at_us),
        wire.exit_code,
        wire.exit_signal,
        wire.cause or "exited",
        wire.launch_error,
        wire.lost,
        wire.refused,
        _usage(wire.usage),
        wire.detail,
    )


def _usage_report(wire: pb.UsageReport) -> NodeUsage:
    return NodeUsage(
        Instant(wire.at_us),
        wire.cpu_milli_used,
        wire.mem_mib_used,
        wire.mem_mib_free,
        wire.load_milli,
        {attempt_key(s.attempt): _sample(s) for s in wire.attempts},
        tuple([_device_sample(device) for device in wire.devices]),
        wire.pressure_milli if wire.HasField("pressure_milli") else None,
    )


def _sample(wire: pb.AttemptSample) -> AttemptSample:
    devices = tuple([_device_sample(device) for device in wire.devices])
    return AttemptSample(_usage(wire.usage), wire.rss_kib, wire.cache_kib, devices)


def _device_sample(wire: pb.DeviceSample) -> DeviceSample:
    return DeviceSample(
        wire.kind,
        wire.index,
        wire.busy_milli if wire.HasField("busy_milli") else None,
        wire.mem_mib if wire.HasField("mem_mib") else None,
        wire.power_mw if wire.HasField("power_mw") else None,
        wire.celsius if wire.HasField("celsius") else None,
        wire.flops_milli if wire.HasField("flops_milli") else None,
    )


def report_usage(node: NodeName, usage: NodeUsage) -> ReportUsage:
    """What the core wants to know of it where memory is lent: of a job all that runs of it there."""
    used_kib: dict[AttemptKey, int] = {}
    for key, sample in usage.attempts.items():
        whole = key if key.step < 0 else key.whole
        used_kib[whole] = used_kib.get(whole, 0) + sample.rss_kib
    attempts = tuple([(key, -(-kib // 1024)) for key, kib in used_kib.items()])
    return ReportUsage(node, usage.at, usage.mem_mib_free, usage.pressure_milli, attempts)


# -- to an agent


def welcome(epoch: int, cluster: str, heartbeat_s: int, usage_s: int) -> pb.SchedulerMessage:
    return pb.SchedulerMessage(
        welcome=pb.Welcome(
            epoch=epoch, cluster=cluster, heartbeat_s=heartbeat_s, usage_s=usage_s, takes_batches=True
        )
    )


def goodbye(reason: str, *, retry: bool) -> pb.SchedulerMessage:
    return pb.SchedulerMessage(goodbye=pb.Goodbye(reason=reason, retry=retry))


def heartbeat_reply(at: Instant) -> pb.SchedulerMessage:
    return pb.SchedulerMessage(heartbeat=pb.HeartbeatReply(at_us=at))


def batch(messages: Sequence[pb.SchedulerMessage]) -> pb.SchedulerMessage:
    """Several messages as one."""
    return pb.SchedulerMessage(batch=pb.SchedulerBatch(messages=messages))


def ack_exits(attempts: Sequence[AttemptKey]) -> pb.SchedulerMessage:
    return pb.SchedulerMessage(ack_exits=pb.AckExits(attempts=[wire_key(key) for key in attempts]))


def order(
    command: commands.Signal
    | commands.Terminate
    | commands.SetTimeLimit
    | commands.Resume
    | commands.Suspend
    | commands.Continue
    | commands.JobOver,
) -> pb.SchedulerMessage:
    """A command that says everything by itself."""
    if isinstance(command, commands.Resume):
        return pb.SchedulerMessage(resume=pb.ResumeNode())
    key = wire_key(command.attempt)
    match command:
        case commands.Signal():
            return pb.SchedulerMessage(
                signal=pb.SignalAttempt(attempt=key, signal=command.signal, scope=command.scope.value)
            )
        case commands.Terminate():
            return pb.SchedulerMessage(
                terminate=pb.TerminateAttempt(
                    attempt=key,
                    grace_s=command.grace_s,
                    cause=_cause(command.cause),
                    signal=command.signal,
                )
            )
        case commands.Suspend():
            return pb.SchedulerMessage(suspend=pb.SuspendAttempt(attempt=key))
        case commands.JobOver():
            return pb.SchedulerMessage(job_over=pb.JobOver(attempt=key))
        case commands.Continue():
            return pb.SchedulerMessage(go_on=pb.ContinueAttempt(attempt=key))
        case commands.SetTimeLimit():
            return pb.SchedulerMessage(
                set_time_limit=pb.SetTimeLimit(attempt=key, time_limit_s=command.time_limit_s)
            )


def open_tunnel(order: TunnelOrder) -> pb.SchedulerMessage:
    attempt = wire_key(order.attempt)
    return pb.SchedulerMessage(open_tunnel=pb.OpenTunnel(id=order.id, uid=order.uid, attempt=attempt))


def _cause(cause: EndCause) -> str:
    return cause.value


def launch(
    job: Job,
    active: Active,
    *,
    array: ArraySpec | None,
    script: bytes,
    environment: bytes,
    config: ClusterConfig,
    node_has_gpus: bool,
) -> pb.SchedulerMessage:
    """Everything the job's first node needs to start this attempt."""
    spec = job.spec
    first = active.placements[0]

    def path(pattern: str) -> str:
        expanded = expand_pattern(
            pattern,
            job_id=job.id,
            array_job_id=job.array_id,
            array_index=job.index,
            job_name=spec.name,
            user=job.owner.user,
            node=first.node,
        )
        return expanded if expanded.startswith("/") else f"{spec.work_dir.rstrip('/')}/{expanded}"

    return pb.SchedulerMessage(
        launch=pb.Launch(
            attempt=wire_key(active.attempt),
            uid=job.owner.uid,
            gid=job.owner.gid,
            user=job.owner.user,
            script=script,
            args=spec.args,
            environment=submitted_environment(unpack_environment(environment), node_has_gpus),
            slurm_environment=batch_environment(job, active, array, config.name),
            work_dir=spec.work_dir,
            std_in=path(spec.std_in),
            std_out=path(spec.std_out or default_output(job.index >= 0)),
            std_err=path(spec.std_err) if spec.std_err else "",
            append=active.attempt.number > 1 if spec.append is None else spec.append,
            umask=spec.umask,
            rlimits=[pb.RLimit(name=name, value=value) for name, value in spec.rlimits],
            cpu_milli=first.cpu_milli,
            mem_mib=first.mem_mib,
            lent_mib=first.lent_mib,
            devices=[device_grant(devices) for devices in first.devices],
            time_limit_s=spec.time_limit_s,
            kill_wait_s=config.kill_wait_s,
            lease_s=spec.lease_s,
            job_name=spec.name,
            allow_root=config.allow_root_jobs,
        )
    )


def device_grant(devices: Devices) -> pb.DeviceGrant:
    layout, slice_ = devices.place if devices.part else (0, 0)
    return pb.DeviceGrant(
        kind=devices.kind,
        type=devices.type,
        indices=devices.indices,
        milli=devices.milli if devices.milli < WHOLE else 0,
        part=devices.part,
        layout=layout,
        slice=slice_,
    )


def wire_key(key: AttemptKey) -> pb.AttemptKey:
    step = key.step if key.step >= 0 else None
    return pb.AttemptKey(job_id=key.job, number=key.number, epoch=key.epoch, step=step)
