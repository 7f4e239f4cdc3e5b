"""Calls of the Slurm-style commands to the scheduler: HTTP on the local socket, nothing but built-in modules.

`call(method, body)` sends one request and returns the reply as a dict. The cluster is the one whose socket
lies in PACKHORSE_HOME; the kernel says who is calling, to the scheduler or to the agent that relays to it.
With PACKHORSE_SERVER (or `--server`) the call goes over TCP, by `remote`, which is imported only then.

Measured where a bare interpreter starts in 9 ms: importing `socket`, `http.client` and `json` adds 20 to 30
ms, this module under 1 ms.
"""

from __future__ import annotations

import os
import sys
from _socket import AF_UNIX, SOCK_STREAM, socket
from time import monotonic, sleep

from packhorse.cli import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SERVICE = "packhorse.v1.Scheduler"
CONNECT_TIMEOUT_S = 10.0
REPLY_TIMEOUT_S = 120.0

RETRY_PAUSES_S = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Pauses before a call whose reply was lost is repeated: long enough for a scheduler to be restarted."""

_MAX_REPLY = 1 << 30
_NO_SIGNAL = 0x4000  # MSG_NOSIGNAL: a closed connection is an error here, not the end of the process
_SUN_PATH = 107  # longest socket path that Linux takes


class TransportError(Exception):
    """The scheduler could not be asked; the text is one line for the user."""


class LostReply(TransportError):
    """The request may have arrived, its reply did not: what became of it is not known."""


class CallError(Exception):
    """The scheduler answered with an error.

    code: Connect's word ("invalid_argument", "not_found", ...). message: our sentence. slurm: Slurm's phrase,
    "" where there is none. refusal: the core's word, "" where the core was not asked.
    """

    def __init__(self, code: str, message: str, slurm: str = "", refusal: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.slurm = slurm
        self.refusal = refusal


def home() -> str:
    """The directory of the cluster: PACKHORSE_HOME, else ~/.packhorse."""
    return os.environ.get("PACKHORSE_HOME") or os.path.expanduser("~/.packhorse")


def socket_path() -> str:
    """The local socket of the scheduler."""
    return home() + "/run/scheduler.sock"


def call(method: str, body: dict[str, Any], *, again: bool = True) -> dict[str, Any]:
    """The reply to `method`. again: a call whose reply was lost may be repeated (reads, calls with a key).

    Raises CallError for an answer that is an error, TransportError when there was no answer.
    """
    data = wire.dumps(body)
    if b"\\udc" in data and (odd := _not_text(body)):
        raise TransportError(f"not UTF-8 text: {odd.encode('utf-8', 'backslashreplace').decode()}")
    attempt = 0
    while True:
        try:
            if os.environ.get("PACKHORSE_SERVER"):
                from packhorse.cli import remote

                return remote.call(os.environ["PACKHORSE_SERVER"], method, data)
            return _parse(*_local(socket_path(), method, data))
        except (TransportError, CallError) as error:
            # A relay answers that the scheduler is away, where otherwise nobody would listen.
            away = isinstance(error, TransportError) or error.code == "unavailable"
            lost = isinstance(error, LostReply)
            # Where nothing was lost before, a scheduler that is not there is told at once.
            if not again or not away or not (lost or attempt) or attempt >= len(RETRY_PAUSES_S):
                raise
            sleep(RETRY_PAUSES_S[attempt])
            attempt += 1


def _not_text(body: object) -> str:
    """The first text in `body` with bytes of the command line that are none, "" if there is none."""
    if isinstance(body, str):
        try:
            body.encode("utf-8")
        except UnicodeEncodeError:
            return body
        return ""
    if isinstance(body, dict):
        body = list(body.values())
    for value in body if isinstance(body, (list, tuple)) else ():
        if odd := _not_text(value):
            return odd
    return ""


def field(reply: dict[str, Any], name: str, default: Any = None) -> Any:
    """A field of a reply by its proto name; proto3 JSON writes it in camel case and leaves defaults out."""
    value = reply.get(camel(name))
    if value is None:
        value = reply.get(name)
    return default if value is None else value


def int_field(reply: dict[str, Any], name: str) -> int:
    """An integer field (proto3 JSON may write 64-bit ones as texts), 0 where left out."""
    return int(field(reply, name, 0))


def camel(name: str) -> str:
    """`job_id` -> `jobId`."""
    head, *rest = name.split("_")
    return head + "".join([part[:1].upper() + part[1:] for part in rest])


def request_bytes(method: str, host: str, data: bytes, headers: str = "") -> bytes:
    """One HTTP request."""
    return (
        f"POST /{SERVICE}/{method} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Connection: close\r\nContent-Length: {len(data)}\r\n{headers}\r\n"
    ).encode("ascii") + data


def exchange(sock: socket, request: bytes) -> tuple[int, bytes]:
    """Sends the request and reads the whole reply: (HTTP status, body)."""
    sent = False
    try:
        view = memoryview(request)
        while view:
            view = view[sock.send(view, _NO_SIGNAL) :]
            sent = True
        return _read_reply(sock)
    except OSError as error:
        kind = LostReply if sent else TransportError
        raise kind(f"the scheduler's reply was lost ({_why(error)})") from error
    finally:
        sock.close()


def parse_reply(status: int, payload: bytes) -> dict[str, Any]:
    """The reply's dict. Raises CallError for an error reply."""
    return _parse(status, payload)


def call_socket(path: str, method: str, body: dict[str, Any]) -> dict[str, Any]:
    """One call through the socket at `path`, not repeated. Raises as `call`."""
    return _parse(*_local(path, method, wire.dumps(body)))


def _local(path: str, method: str, data: bytes) -> tuple[int, bytes]:
    return exchange(_connect(path), request_bytes(method, "local", data))


def _connect(path: str) -> socket:
    sock = socket(AF_UNIX, SOCK_STREAM, 0)
    directory = -1
    try:
        sock.settimeout(CONNECT_TIMEOUT_S)
        target = path
        if len(os.fsencode(path)) > _SUN_PATH:
            # The kernel takes 107 bytes; the directory by its descriptor is always short enough.
            directory = os.open(os.path.dirname(path), os.O_PATH)
            target = f"/proc/self/fd/{directory}/{os.path.basename(path)}"
        deadline = monotonic() + CONNECT_TIMEOUT_S
        while True:
            try:
                sock.connect(target)
                break
            except BlockingIOError:
                # The listen queue is full: a burst of commands. Others get in first, this one a little later.
                if monotonic() > deadline:
                    raise
                sleep(0.01)
        sock.settimeout(REPLY_TIMEOUT_S)
        return sock
    except OSError as error:
        sock.close()
        raise TransportError(_no_scheduler(path, error)) from error
    finally:
        if directory >= 0:
            os.close(directory)


def _no_scheduler(path: str, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"no permission for the scheduler's socket {path}"
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        if _joined(os.path.dirname(path)):
            return (
                f"the agent does not run that relays to the scheduler from {path} (start it: packhorse agent)"
            )
        return (
            f"no scheduler is running at {path} (start one: packhorse up; another cluster: PACKHORSE_HOME "
            "or PACKHORSE_SERVER)"
        )
    return f"cannot reach the scheduler at {path}: {_why(error)}"


def _joined(run: str) -> bool:
    """Whether the home with this run directory has joined another host's scheduler."""
    try:
        return any(name.startswith("joined-") for name in os.listdir(run))
    except OSError:
        return False


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {REPLY_TIMEOUT_S:.0f} s"
    return error.strerror or str(error) or type(error).__name__


def _read_reply(sock: socket) -> tuple[int, bytes]:
    """Status and body of one HTTP reply. Raises LostReply when it ends early."""
    buffer = bytearray()
    end = -1
    while end < 0:
        chunk = sock.recv(65536)
        if not chunk:
            raise LostReply("the scheduler's reply was lost (connection closed)")
        buffer += chunk
        end = buffer.find(b"\r\n\r\n")
        if end < 0 and len(buffer) > 65536:
            raise LostReply("the scheduler's reply was not HTTP")
    head = bytes(buffer[:end]).decode("latin-1").split("\r\n")
    words = head[0].split(" ")
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdecimal():
        raise LostReply("the scheduler's reply was not HTTP")
    length = -1
    chunked = False
    for line in head[1:]:
        name, _, value = line.partition(":")
        name = name.strip().lower()
        if name == "content-length" and value.strip().isdecimal():
            length = int(value)
        elif name == "transfer-encoding":
            chunked = value.strip().lower() == "chunked"
    body = buffer[end + 4 :]
    status = int(words[1])
    if length > _MAX_REPLY:
        raise LostReply(f"the scheduler's reply is too long ({length} bytes)")
    if length >= 0 and not chunked:
        return status, _read_length(sock, body, length)
    while True:
        chunk = sock.recv(262144)
        if not chunk:
            break
        body += chunk
        if len(body) > _MAX_REPLY:
            raise LostReply("the scheduler's reply is too long")
    return status, _joined_chunks(bytes(body)) if chunked else bytes(body)


def _read_length(sock: socket, body: bytearray, length: int) -> bytes:
    """`length` bytes, the first of them in `body`. A long reply is read straight into place."""
    have = len(body)
    if have >= length:
        return bytes(body[:length])
    whole = bytearray(length)
    whole[:have] = body
    view = memoryview(whole)
    while have < length:
        n = sock.recv_into(view[have:])
        if not n:
            raise LostReply("the scheduler's reply was lost (connection closed)")
        have += n
    return bytes(whole)


def _joined_chunks(body: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while True:
        line = body.find(b"\r\n", at)
        if line < 0:
            raise LostReply("the scheduler's reply was lost (connection closed)")
        try:
            size = int(body[at:line].split(b";")[0], 16)
        except ValueError:
            raise LostReply("the scheduler's reply was not HTTP") from None
        at = line + 2
        if size == 0:
            return b"".join(parts)
        if at + size > len(body):
            raise LostReply("the scheduler's reply was lost (connection closed)")
        parts.append(body[at : at + size])
        at += size + 2


def _parse(status: int, payload: bytes) -> dict[str, Any]:
    try:
        reply = wire.loads(payload) if payload else {}
    except wire.WireError:
        reply = None
    if status == 200 and isinstance(reply, dict):
        return reply
    if isinstance(reply, dict) and reply.get("code"):
        raise CallError(
            str(reply["code"]),
            str(reply.get("message") or reply["code"]),
            str(reply.get("slurm") or ""),
            str(reply.get("refusal") or ""),
        )
    text = payload[:200].decode("utf-8", "replace").strip().replace("\n", " ")
    raise CallError("unknown", f"the scheduler answered HTTP {status}: {text}")


def fail(prog: str, text: str, code: int = 1) -> int:
    """One error line as Slurm's commands write it; returns the exit code."""
    sys.stdout.flush()
    sys.stderr.write(f"{prog}: error: {text}\n")
    return code
