"""Between the agent's values and the messages on the wire; nothing else in the agent names a message."""

from __future__ import annotations

from collections.abc import Sequence

from packhorse.agent import orders
from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId
from packhorse.scheduler.model.input import RunningAttempt
from packhorse.scheduler.model.node import Offer
from packhorse.scheduler.model.resources import WHOLE, Device, Devices, Usage
from packhorse.scheduler.model.sample import DeviceSample
from packhorse.v1 import agent_pb2 as pb
from packhorse.v1.agent_pb2_grpc import AgentsStub

AgentMessage = pb.AgentMessage

__all__ = ["AgentMessage", "AgentsStub", "from_message", "to_batch", "to_message"]


def to_message(report: orders.Report) -> pb.AgentMessage:
    """The wire form of a report."""
    match report:
        case orders.Introduction():
            return pb.AgentMessage(hello=_hello(report))
        case Offer():
            return pb.AgentMessage(offer=_offer(report))
        case RunningAttempt():
            return pb.AgentMessage(started=_running(report))
        case orders.ExitReport():
            return pb.AgentMessage(
                exited=pb.Exited(
                    attempt=_key(report.attempt),
                    started_at_us=report.started_at,
                    ended_at_us=report.ended_at,
                    exit_code=report.exit_code,
                    exit_signal=report.exit_signal,
                    cause=report.cause,
                    launch_error=report.launch_error,
                    lost=report.lost,
                    refused=report.refused,
                    usage=_usage(report.usage),
                    detail=report.detail,
                )
            )
        case orders.SuspensionReport(attempt=key, suspended=suspended, error=error):
            said = pb.Suspension(attempt=_key(key), suspended=suspended, error=error)
            return pb.AgentMessage(suspension=said)
        case orders.UsageSample():
            return pb.AgentMessage(
                usage=pb.UsageReport(
                    at_us=report.at,
                    cpu_milli_used=report.cpu_milli_used,
                    mem_mib_used=report.mem_mib_used,
                    load_milli=report.load_milli,
                    mem_mib_free=report.mem_mib_free,
                    attempts=[_sample(sample) for sample in report.attempts],
                    devices=[_device_sample(device) for device in report.devices],
                    pressure_milli=report.pressure_milli,
                )
            )
        case orders.Heartbeat(at=at):
            return pb.AgentMessage(heartbeat=pb.Heartbeat(at_us=at))


def to_batch(reports: Sequence[orders.Report]) -> pb.AgentMessage:
    """Several reports as one message, for a scheduler that takes batches."""
    return pb.AgentMessage(batch=pb.AgentBatch(messages=[to_message(report) for report in reports]))


def from_message(message: pb.SchedulerMessage) -> list[orders.Order]:
    """The orders in a message; none for a kind that this version does not know."""
    if message.HasField("batch"):
        return [order for inner in message.batch.messages for order in from_message(inner)]
    order = _order(message)
    return [] if order is None else [order]


def _order(message: pb.SchedulerMessage) -> orders.Order | None:
    match message.WhichOneof("message"):
        case "welcome":
            w = message.welcome
            return orders.Welcome(w.epoch, w.cluster, w.heartbeat_s, w.usage_s, w.takes_batches)
        case "launch":
            return _launch(message.launch)
        case "signal":
            s = message.signal
            return orders.SignalOrder(_attempt(s.attempt), s.signal, s.scope)
        case "terminate":
            t = message.terminate
            return orders.TerminateOrder(_attempt(t.attempt), t.grace_s, t.cause, t.signal)
        case "set_time_limit":
            limit = message.set_time_limit
            return orders.TimeLimitOrder(_attempt(limit.attempt), limit.time_limit_s)
        case "suspend":
            return orders.SuspendOrder(_attempt(message.suspend.attempt), True)
        case "go_on":
            return orders.SuspendOrder(_attempt(message.go_on.attempt), False)
        case "ack_exits":
            return orders.ExitsAcked(tuple(_attempt(key) for key in message.ack_exits.attempts))
        case "heartbeat":
            return orders.HeartbeatAnswered(Instant(message.heartbeat.at_us))
        case "resume":
            return orders.ResumeOrder()
        case "job_over":
            return orders.JobOverOrder(_attempt(message.job_over.attempt))
        case "open_tunnel":
            wanted = message.open_tunnel
            return orders.TunnelOrder(wanted.id, wanted.uid, _attempt(wanted.attempt))
        case "goodbye":
            return orders.Dismissed(message.goodbye.reason, message.goodbye.retry)
        case _:
            return None


def _launch(order: pb.Launch) -> orders.LaunchOrder:
    return orders.LaunchOrder(
        attempt=_attempt(order.attempt),
        uid=order.uid,
        gid=order.gid,
        user=order.user,
        script=order.script,
        environment=tuple(order.environment),
        slurm_environment=tuple(order.slurm_environment),
        work_dir=order.work_dir,
        std_in=order.std_in,
        std_out=order.std_out,
        std_err=order.std_err,
        args=tuple(order.args),
        append=order.append,
        umask=order.umask,
        rlimits=tuple((limit.name, limit.value) for limit in order.rlimits),
        cpu_milli=order.cpu_milli,
        mem_mib=order.mem_mib,
        devices=tuple(_devices(grant) for grant in order.devices),
        time_limit_s=order.time_limit_s,
        kill_wait_s=order.kill_wait_s,
        lease_s=order.lease_s,
        job_name=order.job_name,
        allow_root=order.allow_root,
        lent_mib=order.lent_mib,
        step=_step(order.step) if order.HasField("step") else None,
    )


def _step(step: pb.StepLaunch) -> orders.StepOrder:
    return orders.StepOrder(
        argv=tuple(step.argv),
        programs=tuple([(program.ranks, tuple(program.argv)) for program in step.programs]),
        ranks=tuple(step.ranks),
        node_index=step.node_index,
        n_nodes=step.n_nodes,
        n_tasks=step.n_tasks,
        tasks_on_nodes=tuple(step.tasks_on_nodes),
        nodes=step.nodes,
        cpu_milli_per_task=step.cpu_milli_per_task,
        cpu_bind=step.cpu_bind,
        gpu_bind=step.gpu_bind,
        gpus_per_task=step.gpus_per_task,
        std_in=step.std_in,
        std_out=step.std_out,
        std_err=step.std_err,
        append=step.append,
        input_rank=step.input_rank,
        pty=step.pty,
        rows=step.rows,
        columns=step.columns,
        mpi=step.mpi or "none",
        name=step.name,
        unbuffered=step.unbuffered,
        distribution=step.distribution,
        plane_size=step.plane_size,
        job_nodes=step.job_nodes,
        job_node_index=step.job_node_index,
        het_group=step.het_group,
        het_size=step.het_size,
        attach_s=step.attach_s,
    )


def _devices(grant: pb.DeviceGrant) -> Devices:
    place = (grant.layout, grant.slice) if grant.part else (-1, -1)
    return Devices(grant.kind, grant.type, tuple(grant.indices), grant.milli or WHOLE, grant.part, place)


def _hello(hello: orders.Introduction) -> pb.Hello:
    spec = hello.spec
    return pb.Hello(
        node=spec.name,
        host_name=spec.host_name,
        boot_id=hello.boot_id,
        version=spec.version,
        cpu_milli=spec.cpu_milli,
        mem_mib=spec.mem_mib,
        tmp_mib=spec.tmp_mib,
        devices=[_device(device) for device in spec.devices],
        features=spec.features,
        sockets=spec.sockets,
        cores_per_socket=spec.cores_per_socket,
        threads_per_core=spec.threads_per_core,
        weight=spec.weight,
        declared=spec.declared,
        isolation=spec.isolation,
        arch=spec.arch,
        os=spec.os,
        boot_at_us=spec.boot_at,
        offer=_offer(hello.offer),
        running=[_running(running) for running in hello.running],
        launching=[_key(key) for key in hello.launching],
        exited=[_key(key) for key in hello.exited],
        takes_batches=True,
        topology=spec.topology,
        step_door=hello.step_door,
        kept=[_key(key) for key in hello.kept],
    )


def _device(device: Device) -> pb.Device:
    return pb.Device(
        kind=device.kind,
        type=device.type,
        index=device.index,
        uuid=device.uuid,
        mem_mib=device.mem_mib,
        numa=device.numa if device.numa >= 0 else None,
        link=device.link if device.link >= 0 else None,
        layouts=[pb.Layout(slices=slices) for slices in device.layouts],
    )


def _offer(offer: Offer) -> pb.Offer:
    return pb.Offer(
        epoch=offer.epoch,
        cpu_milli=offer.cpu_milli,
        mem_mib=offer.mem_mib,
        accepting=offer.accepting,
        reason=offer.reason,
        dead_devices=[pb.Device(kind=kind, index=index) for kind, index in offer.dead_devices],
        dead_reasons=offer.dead_reasons,
        warnings=offer.warnings,
    )


def _running(running: RunningAttempt) -> pb.Running:
    return pb.Running(
        attempt=_key(running.attempt), started_at_us=running.started_at, suspended=running.suspended
    )


def _sample(sample: orders.AttemptSample) -> pb.AttemptSample:
    return pb.AttemptSample(
        attempt=_key(sample.attempt),
        usage=_usage(sample.usage),
        rss_kib=sample.rss_kib,
        cache_kib=sample.cache_kib,
        devices=[_device_sample(device) for device in sample.devices],
    )


def _device_sample(sample: DeviceSample) -> pb.DeviceSample:
    return pb.DeviceSample(
        kind=sample.kind,
        index=sample.index,
        busy_milli=sample.busy_milli,
        mem_mib=sample.mem_mib,
        power_mw=sample.power_mw,
        celsius=sample.celsius,
        flops_milli=sample.flops_milli,
    )


def _usage(usage: Usage) -> pb.AttemptUsage:
    return pb.AttemptUsage(
        user_cpu_us=usage.user_cpu_us,
        system_cpu_us=usage.system_cpu_us,
        max_rss_kib=usage.max_rss_kib,
        max_vm_kib=usage.max_vm_kib,
        disk_read_bytes=usage.disk_read_bytes,
        disk_write_bytes=usage.disk_write_bytes,
        max_cache_kib=usage.max_cache_kib,
        oom_kills=usage.oom_kills,
        gpu_ms=usage.gpu_ms,
        gpu_busy_ms=usage.gpu_busy_ms,
        gpu_max_mem_mib=usage.gpu_max_mem_mib,
        gpu_energy_mj=usage.gpu_energy_mj,
        gpu_gflop=usage.gpu_gflop,
        gpu_peak_gflop=usage.gpu_peak_gflop,
    )


def _key(key: AttemptKey) -> pb.AttemptKey:
    step = key.step if key.step >= 0 else None
    return pb.AttemptKey(job_id=key.job, number=key.number, epoch=key.epoch, step=step)


def _attempt(key: pb.AttemptKey) -> AttemptKey:
    step = key.step if key.HasField("step") else -1
    return AttemptKey(JobId(key.job_id), key.number, key.epoch, step)
