"""The gRPC door over real sockets: the same methods, tokens, errors, health, reflection, TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from packhorse.scheduler.model.errors import ConfigError
from packhorse.v1 import job_pb2
from packhorse.v1 import scheduler_pb2 as pb
from packhorse.v1.scheduler_pb2_grpc import SchedulerStub
from tests.service.doors.running import SETTINGS, Running

SPEC = job_pb2.JobSpec(name="job", work_dir="/tmp", script=b"#!/bin/sh\ntrue\n")


class Client:
    """A stub with a token."""

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self.stub: Any = SchedulerStub(channel)
        self.metadata = (("authorization", f"Bearer {token}"),) if token else ()

    async def call(self, method: str, request: Any) -> Any:
        return await getattr(self.stub, method)(request, metadata=self.metadata, timeout=10)


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path) as running:
        yield running


@pytest.fixture
async def channel(scheduler: Running) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(scheduler.addresses.grpc) as channel:
        yield channel


@pytest.fixture
def client(scheduler: Running, channel: grpc.aio.Channel) -> Client:
    return Client(channel, scheduler.secret("owner.token"))


async def test_the_same_methods(scheduler: Running, client: Client) -> None:
    assert (await client.call("Ping", pb.PingRequest())).cluster == "packhorse"
    job = (await client.call("SubmitJob", pb.SubmitJobRequest(spec=SPEC))).job_id
    many = await client.call(
        "SubmitJobs",
        pb.SubmitJobsRequest(
            specs=[SPEC], items=[pb.BatchItem(spec=0, name="a"), pb.BatchItem(spec=0, copies=3)]
        ),
    )
    assert (many.first_job_id, many.count) == (job + 1, 4)
    table = await client.call("ListJobs", pb.ListJobsRequest(fields=["job_id", "name"]))
    ids, names = table.columns
    assert list(ids.ints) == [job, job + 1, job + 2, job + 3, job + 4]
    assert list(names.texts) == ["job", "a", "job", "job", "job"]
    refs = [pb.JobRef(job_id=job)]
    request = pb.CancelJobsRequest(jobs=refs, signal=9, scope=pb.SIGNAL_SCOPE_ALL)
    [outcome] = (await client.call("CancelJobs", request)).outcomes
    assert outcome.ref == str(job)


@pytest.mark.parametrize("token", ["", "nonsense"])
async def test_without_a_good_token(channel: grpc.aio.Channel, token: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await Client(channel, token).call("Ping", pb.PingRequest())
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "token not accepted" in (caught.value.details() or "")


async def test_an_agents_token_may_not_submit(scheduler: Running, channel: grpc.aio.Channel) -> None:
    client = Client(channel, scheduler.secret("agent-n1.token"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.call("SubmitJob", pb.SubmitJobRequest(spec=SPEC))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_errors_carry_slurms_words(client: Client) -> None:
    spec = job_pb2.JobSpec(partition="nosuch", script=b"#!/bin/sh\n")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.call("SubmitJob", pb.SubmitJobRequest(spec=spec))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    found: Any = caught.value.trailing_metadata()
    trailing = dict(found)
    assert trailing["slurm"] == "Invalid partition name specified"
    assert trailing["refusal"] == "invalid"
    assert trailing["packhorse-code"] == "invalid_argument"


async def test_numbers_that_no_enum_has(client: Client) -> None:
    request = pb.CancelJobsRequest(jobs=[pb.JobRef(job_id=1)])
    request.MergeFromString(b"\x20\x63")  # field 4 (scope) = 99
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.call("CancelJobs", request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "99" in (caught.value.details() or "")


async def test_watching(scheduler: Running, client: Client) -> None:
    seen = asyncio.Event()
    kinds: list[str] = []

    async def watch() -> None:
        stream = client.stub.WatchEvents(pb.WatchEventsRequest(after_seq=1), metadata=client.metadata)
        async for event in stream:
            kinds.append(event.kind)
            if event.kind == "JobsSubmitted":
                seen.set()
                stream.cancel()
                return

    task = asyncio.create_task(watch())
    await client.call("SubmitJob", pb.SubmitJobRequest(spec=SPEC))
    async with asyncio.timeout(10):
        await seen.wait()
        await task
    assert kinds[-1] == "JobsSubmitted"
    async with asyncio.timeout(10):
        while scheduler.methods.n_waiting:  # noqa: ASYNC110 - nothing tells when a stream was given up
            await asyncio.sleep(0.005)


async def test_health(channel: grpc.aio.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", "packhorse.v1.Scheduler"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection(channel: grpc.aio.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)

    async def requests() -> AsyncIterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    async for answer in stub.ServerReflectionInfo(requests()):
        names = {service.name for service in answer.list_services_response.service}
        break
    assert {"packhorse.v1.Scheduler", "packhorse.v1.Agents", "grpc.health.v1.Health"} <= names


async def test_large_messages_are_refused(tmp_path: Path) -> None:
    async with (
        Running(tmp_path, f"{SETTINGS}\n[listen]\nmax_message_mib = 1\n") as scheduler,
        grpc.aio.insecure_channel(scheduler.addresses.grpc) as channel,
    ):
        client = Client(channel, scheduler.secret("owner.token"))
        spec = job_pb2.JobSpec(comment="x" * (1 << 20), script=b"#!/bin/sh\n")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.call("SubmitJob", pb.SubmitJobRequest(spec=spec))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_taken_port_is_named(tmp_path: Path, scheduler: Running) -> None:
    settings = f'{SETTINGS}\n[listen]\ngrpc = "{scheduler.addresses.grpc}"\n'
    with pytest.raises(ConfigError, match="cannot listen there"):
        async with Running(tmp_path / "other", settings):
            pass
    settings = f'{SETTINGS}\n[listen]\nhttp = "{scheduler.addresses.http}"\n'
    with pytest.raises(ConfigError, match="cannot listen there"):
        async with Running(tmp_path / "third", settings):
            pass


async def test_tls(tmp_path: Path) -> None:
    cert, key = self_signed()
    (tmp_path / "cert.pem").write_bytes(cert)
    (tmp_path / "key.pem").write_bytes(key)
    listen = '[listen]\ntls_cert = "cert.pem"\ntls_key = "key.pem"\ngrpc = "localhost:0"\n'
    async with Running(tmp_path, SETTINGS + listen) as scheduler:
        credentials = grpc.ssl_channel_credentials(cert)
        async with grpc.aio.secure_channel(scheduler.addresses.grpc, credentials) as channel:
            client = Client(channel, scheduler.secret("owner.token"))
            assert (await client.call("Ping", pb.PingRequest())).cluster == "packhorse"
    missing = SETTINGS + listen.replace("cert.pem", "nosuch.pem")
    with pytest.raises(ConfigError, match=r"nosuch\.pem"):
        async with Running(tmp_path / "b", missing):
            pass


def self_signed() -> tuple[bytes, bytes]:
    """A certificate for localhost and its key, in PEM."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
