"""Calls over the local socket: replies whole and in pieces, lost ones, errors, and no scheduler at all."""

import socket
import threading
from pathlib import Path

import pytest

from packhorse.cli import transport
from packhorse.cli.transport import CallError, LostReply, TransportError, call, camel, field, int_field
from tests.cli.fake_scheduler import FakeScheduler


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Retries follow at once; the pauses that would have been made are kept."""
    pauses: list[float] = []
    monkeypatch.setattr(transport, "sleep", pauses.append)
    return pauses


def test_a_call(scheduler: FakeScheduler) -> None:
    scheduler.on("SubmitJob", {"jobId": "12", "warnings": ["w"]})
    reply = call("SubmitJob", {"spec": {"name": "é"}})
    assert int_field(reply, "job_id") == 12
    assert field(reply, "warnings") == ["w"]
    assert field(reply, "estimate", "") == ""
    assert scheduler.requests == [("SubmitJob", {"spec": {"name": "é"}})]
    head = scheduler.raw_headers[0]
    assert head.startswith("POST /packhorse.v1.Scheduler/SubmitJob HTTP/1.1\r\n")
    assert "Content-Type: application/json" in head


def test_field_names() -> None:
    assert camel("planned_start_us") == "plannedStartUs"
    assert field({"job_id": 3}, "job_id") == 3
    assert field({"jobId": 4}, "job_id") == 4


@pytest.mark.parametrize("size", [0, 70_000, 3_000_000])
def test_long_replies(scheduler: FakeScheduler, size: int) -> None:
    scheduler.on("GetJobScript", {"script": "x" * size})
    assert len(call("GetJobScript", {})["script"]) == size


def test_chunked_replies(scheduler: FakeScheduler) -> None:
    scheduler.mishaps = ["chunked"]
    scheduler.on("GetJobScript", {"script": "x" * 5000})
    assert call("GetJobScript", {}) == {"script": "x" * 5000}


def test_errors_carry_slurms_phrase(scheduler: FakeScheduler) -> None:
    scheduler.fail("SubmitJob", "failed_precondition", "9 nodes asked", "Node count specification invalid")
    with pytest.raises(CallError) as caught:
        call("SubmitJob", {})
    error = caught.value
    assert (error.code, error.message, error.slurm) == (
        "failed_precondition",
        "9 nodes asked",
        "Node count specification invalid",
    )
    assert len(scheduler.requests) == 1


def test_an_error_that_is_no_connect_error(scheduler: FakeScheduler) -> None:
    scheduler.handlers["Ping"] = lambda body: (502, {"oops": 1})
    with pytest.raises(CallError, match="the scheduler answered HTTP 502"):
        call("Ping", {})


@pytest.mark.parametrize("mishap", ["drop", "cut", "garbage"])
def test_a_lost_reply_is_asked_for_again_with_the_same_key(
    scheduler: FakeScheduler, mishap: str, no_pauses: list[float]
) -> None:
    scheduler.mishaps = [mishap, mishap]
    scheduler.on("SubmitJob", {"jobId": 5})
    assert int_field(call("SubmitJob", {"idempotencyKey": "k"}), "job_id") == 5
    assert scheduler.bodies("SubmitJob") == [{"idempotencyKey": "k"}] * 3
    assert no_pauses == list(transport.RETRY_PAUSES_S[:2])


def test_in_the_end_a_lost_reply_is_an_error(scheduler: FakeScheduler) -> None:
    scheduler.mishaps = ["drop"] * 20
    with pytest.raises(LostReply, match="reply was lost"):
        call("SubmitJob", {})
    assert len(scheduler.requests) == 1 + len(transport.RETRY_PAUSES_S)


def test_calls_that_may_not_be_repeated_are_not(scheduler: FakeScheduler) -> None:
    scheduler.mishaps = ["drop"]
    with pytest.raises(LostReply):
        call("SubmitJob", {}, again=False)
    assert len(scheduler.requests) == 1


def test_no_scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pauses: list[float]) -> None:
    monkeypatch.setenv("PACKHORSE_HOME", str(tmp_path / "none"))
    with pytest.raises(TransportError) as caught:
        call("Ping", {})
    assert str(tmp_path / "none" / "run" / "scheduler.sock") in str(caught.value)
    assert "packhorse up" in str(caught.value)
    assert no_pauses == []


def test_a_socket_that_nobody_listens_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "run" / "scheduler.sock"))
    monkeypatch.setenv("PACKHORSE_HOME", str(tmp_path))
    with pytest.raises(TransportError, match="no scheduler is running"):
        call("Ping", {})


def test_a_home_with_a_long_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / ("long" * 30) / ("path" * 30)
    (home / "run").mkdir(parents=True)
    monkeypatch.setenv("PACKHORSE_HOME", str(home))
    short = tmp_path / "s"
    short.symlink_to(home)
    fake = FakeScheduler(short)
    try:
        assert call("Ping", {})["cluster"] == "demo"
    finally:
        fake.close()


def test_a_scheduler_that_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduler: FakeScheduler
) -> None:
    """After a lost reply a scheduler that is not there for a moment is waited for."""
    scheduler.mishaps = ["drop"]
    path = Path(transport.socket_path())
    again: list[FakeScheduler] = []

    def between(pause: float) -> None:
        if path.exists() and not again:
            path.unlink()
        elif not again:
            again.append(FakeScheduler(scheduler.home))

    monkeypatch.setattr(transport, "sleep", between)
    try:
        assert call("Ping", {})["cluster"] == "demo"
        assert len(again) == 1
    finally:
        for fake in again:
            fake.close()


def test_a_relay_whose_scheduler_comes_back(scheduler: FakeScheduler, no_pauses: list[float]) -> None:
    """The reply is lost, then the relay says for a while that the scheduler is away."""
    scheduler.mishaps = ["drop"]
    away = [(503, {"code": "unavailable", "message": "away"})] * 2
    scheduler.on("SubmitJob", lambda body: away.pop() if away else {"jobId": 5})
    # The reply that is dropped is none of the two.
    assert int_field(call("SubmitJob", {"idempotencyKey": "k"}), "job_id") == 5
    assert no_pauses == list(transport.RETRY_PAUSES_S[:3])


def test_a_relay_whose_scheduler_is_away_is_told_at_once(
    scheduler: FakeScheduler, no_pauses: list[float]
) -> None:
    scheduler.fail("SubmitJob", "unavailable", "the scheduler is away", status=503)
    with pytest.raises(CallError, match="away"):
        call("SubmitJob", {"idempotencyKey": "k"})
    assert no_pauses == []


def test_other_errors_are_final_even_after_a_lost_reply(
    scheduler: FakeScheduler, no_pauses: list[float]
) -> None:
    scheduler.mishaps = ["drop"]
    scheduler.fail("SubmitJob", "not_found", "no such thing")
    with pytest.raises(CallError, match="no such thing"):
        call("SubmitJob", {})
    assert len(no_pauses) == 1


def test_a_home_that_joined_needs_its_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "joined-n2.json").write_text("{}")
    monkeypatch.setenv("PACKHORSE_HOME", str(tmp_path))
    with pytest.raises(TransportError, match="packhorse agent"):
        call("Ping", {})


def test_over_http_with_a_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    received: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            received.append(connection.recv(65536))
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"cluster":"c"}')

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        monkeypatch.setenv("PACKHORSE_SERVER", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("PACKHORSE_HOME", str(tmp_path))
        (tmp_path / "secrets").mkdir()
        (tmp_path / "secrets" / "token").write_text("abc.def\n")
        assert call("Ping", {}) == {"cluster": "c"}
        assert b"\r\nAuthorization: Bearer abc.def\r\n" in received[0]
    finally:
        listener.close()
        thread.join(5)


def test_addresses_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for address, part in (("ftp://x:1", "accepted are"), ("http://nohost", "port is missing")):
        monkeypatch.setenv("PACKHORSE_SERVER", address)
        with pytest.raises(TransportError, match=part):
            call("Ping", {})
