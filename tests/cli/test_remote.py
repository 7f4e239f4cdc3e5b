"""Calls over gRPC to a scheduler elsewhere."""

from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest

from packhorse.cli.transport import CallError, TransportError, call
from packhorse.v1 import scheduler_pb2
from tests.cli.commands import Run

REFUSED = "Invalid partition name specified"


class Door(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """Answers a submission with its name's length as the job id, unless the partition is wrong."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method != "/packhorse.v1.Scheduler/SubmitJob":
            return None
        self.tokens.append(dict(handler_call_details.invocation_metadata).get("authorization", ""))
        return grpc.unary_unary_rpc_method_handler(
            self.submit,
            request_deserializer=scheduler_pb2.SubmitJobRequest.FromString,
            response_serializer=lambda reply: reply.SerializeToString(),
        )

    def submit(self, request: Any, context: Any) -> Any:
        if request.spec.partition == "nosuch":
            context.set_trailing_metadata((("packhorse-code", "invalid_argument"), ("slurm", REFUSED)))
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, 'partition "nosuch" does not exist')
        assert request.spec.script.startswith(b"#!")
        return scheduler_pb2.SubmitJobResponse(job_id=len(request.spec.name))


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """A gRPC server, named in PACKHORSE_SERVER."""
    door = Door()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((door,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("PACKHORSE_SERVER", f"127.0.0.1:{port}")
    monkeypatch.setenv("PACKHORSE_TOKEN", "abc")
    yield door
    server.stop(None).wait()


def test_a_submission(door: Door, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("sbatch", "-J", "seven77", "--wrap", "true") == (0, "Submitted batch job 7\n", "")
    assert door.tokens == ["Bearer abc"]


def test_a_refusal(door: Door) -> None:
    with pytest.raises(CallError) as caught:
        call("SubmitJob", {"spec": {"partition": "nosuch"}})
    error = caught.value
    assert (error.code, error.message, error.slurm) == (
        "invalid_argument",
        'partition "nosuch" does not exist',
        REFUSED,
    )


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKHORSE_SERVER", "127.0.0.1:1")
    with pytest.raises(TransportError, match=r"cannot reach the scheduler at 127\.0\.0\.1:1"):
        call("Ping", {})
