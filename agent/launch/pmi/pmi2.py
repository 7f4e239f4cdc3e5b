"""PMI-2.0: a length of six characters, then `cmd=NAME;key=value;…`, where a semicolon in a value is doubled.

Commands, answers and their fields are those of MPICH's src/pmi/maint/pmi-2.0.txt, in the order in which
Slurm's mpi/pmi2 writes them, and Slurm's `ring` (PMIX_Ring). `thrid` names the thread that asks: it comes
back with the answer, and threads do not wait for each other. What does not exist here (spawning, names, other
jobs) is answered with a code and a text.
"""

from __future__ import annotations

from packhorse.agent.launch.pmi.request import MOST_BYTES, Dialect, ProtocolError, Request, integer
from packhorse.agent.launch.pmi.space import MAPPING_KEY, OTHER, Space

_LENGTH = 6
"""Characters of a length; with their spaces."""


def cut(buffer: bytearray) -> list[Request]:
    """Takes whole requests from the front of what was received."""
    found = []
    while len(buffer) >= _LENGTH:
        text = bytes(buffer[:_LENGTH])
        if not text.strip().isdigit() or int(text) > MOST_BYTES:
            raise ProtocolError(f"{text!r} is no length up to {MOST_BYTES}")
        end = _LENGTH + int(text)
        if len(buffer) < end:
            break
        found.append(parse(bytes(buffer[_LENGTH:end]).decode("latin-1")))
        del buffer[:end]
    return found


def parse(text: str) -> Request:
    """`cmd=NAME;key=value;…`."""
    fields: dict[str, str] = {}
    at = 0
    while at < len(text):
        key, equals, _ = text[at:].partition("=")
        if not equals:
            break
        value, at = _value(text, at + len(key) + 1)
        fields[key] = value
    command = fields.pop("cmd", "")
    if not command:
        raise ProtocolError(f"{text[:40]!r} is no request")
    return Request(command, fields)


def _value(text: str, at: int) -> tuple[str, int]:
    """The value that begins there, and where the next key does."""
    pieces = []
    while True:
        end = text.find(";", at)
        if end < 0:
            raise ProtocolError(f"{text[:40]!r} ends within a value")
        pieces.append(text[at:end])
        if text[end : end + 2] != ";;":
            return ";".join(pieces), end + 1
        at = end + 2


def say(request: Request, command: str, **fields: object) -> bytes:
    """One answer; an underline in a name stands for a hyphen."""
    given = {"thrid": request["thrid"]} if request["thrid"] else {}
    given |= {name.replace("_", "-"): str(value).replace(";", ";;") for name, value in fields.items()}
    text = f"cmd={command};" + "".join([f"{name}={value};" for name, value in given.items()])
    return f"{len(text):<{_LENGTH}}{text}".encode("latin-1")


def answer(space: Space, rank: int, request: Request) -> bytes | None:
    """See `Answer`."""
    name = f"{request.command}-response"
    match request.command:
        case "fullinit":
            return say(
                request, name, rc=0, pmi_version=2, pmi_subversion=0, rank=rank, size=space.layout.n_tasks,
                appnum=-1, debugged="FALSE", pmiverbose="FALSE",
            )  # fmt: skip
        case "job-getid":
            return say(request, name, rc=0, jobid=space.layout.name)
        case "kvs-put":
            return say(request, name, rc=space.put(request["key"], request["value"]))
        case "kvs-get":
            elsewhere = request["jobid"] not in ("", space.layout.name)
            return _found(request, name, None if elsewhere else space.get(request["key"]))
        case "kvs-fence":
            request.fence = request.fence or space.enter(rank)
            return say(request, name, rc=0) if space.over >= request.fence else None
        case "ring":
            return _ring(space, rank, request)
        case "info-putnodeattr":
            return say(request, name, rc=space.put_attribute(request["key"], request["value"]))
        case "info-getnodeattr":
            value = space.attribute(request["key"])
            if value is None and request["wait"].upper() == "TRUE":
                return None
            return _found(request, name, value)
        case "info-getjobattr":
            return _job_attribute(space, request, name)
        case "finalize":
            return say(request, name, rc=0)
        case "abort":
            return _abort(space, rank, request)
        case _:
            return _refused(request, name)


def _found(request: Request, name: str, value: str | None) -> bytes:
    if value is None:
        return say(request, name, rc=0, found="FALSE")
    return say(request, name, rc=0, found="TRUE", value=value)


def _job_attribute(space: Space, request: Request, name: str) -> bytes | None:
    match request["key"]:
        case "universeSize":
            return _found(request, name, str(space.layout.n_tasks))
        case key if key == MAPPING_KEY:
            return None if space.mapping is None else _found(request, name, space.mapping or None)
        case _:
            return _found(request, name, None)


def _ring(space: Space, rank: int, request: Request) -> bytes | None:
    request.fence = request.fence or space.enter_ring(rank, request["ring-left"], request["ring-right"])
    if space.over < request.fence:
        return None
    left, right = space.neighbours(request.fence, rank)
    return say(request, "ring-response", rc=0, ring_count=rank, ring_left=left, ring_right=right)


def _abort(space: Space, rank: int, request: Request) -> bytes:
    """One that is not for the world concerns the task alone, which ends by itself."""
    if request["isworld"].upper() != "FALSE":
        code = integer(request["exitcode"], 1)
        text = f": {request['msg'].strip()}" if request["msg"].strip() else ""
        space.abort(f"task {rank} aborted the step{text}"[:500], code)
    return b""


_REFUSED = {
    "spawn": "Packhorse does not spawn tasks for PMI",
    "name-publish": "Packhorse has no PMI name service",
    "name-unpublish": "Packhorse has no PMI name service",
    "name-lookup": "Packhorse has no PMI name service",
    "job-connect": "Packhorse joins no jobs for PMI",
    "job-disconnect": "Packhorse joins no jobs for PMI",
}


def _refused(request: Request, name: str) -> bytes:
    if request.command not in _REFUSED:
        raise ProtocolError(f"PMI-2 has no command {request.command[:40]!r}")
    return say(request, name, rc=OTHER, errmsg=_REFUSED[request.command])


PMI2 = Dialect(2, 0, cut, answer)
