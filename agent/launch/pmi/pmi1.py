r"""PMI-1.1, MPICH's "simple" PMI: one line for each request and each answer, `cmd=NAME key=value …\n`.

Commands, answers and their fields are those of MPICH's src/pmi/maint/pmi-1.1.txt, in the order in which
Slurm's mpi/pmi2 writes them. A spawn is many lines from `mcmd=` to `endcmd`. What does not exist here
(spawning, names, further spaces) is answered with a code.
"""

from __future__ import annotations

from packhorse.agent.launch.pmi.request import MOST_BYTES, Dialect, ProtocolError, Request, integer
from packhorse.agent.launch.pmi.space import MAPPING_KEY, MAX_KEY, MAX_NAME, MAX_VALUE, Space

_MANY = b"mcmd="
_END = b"endcmd\n"


def cut(buffer: bytearray) -> list[Request]:
    """Takes whole requests from the front of what was received."""
    found = []
    while buffer:
        if buffer.startswith(_MANY):
            end = buffer.find(_END)
            size = end + len(_END) if end >= 0 else 0
            separator = "\n"
        else:
            size = buffer.find(b"\n") + 1
            separator = " "
        if not size:
            if len(buffer) > MOST_BYTES:
                raise ProtocolError(f"a request of more than {MOST_BYTES} bytes")
            break
        found.append(parse(bytes(buffer[:size]).decode("latin-1"), separator))
        del buffer[:size]
    return found


def parse(text: str, separator: str = " ") -> Request:
    """`cmd=NAME key=value …`, or `mcmd=NAME` and more lines."""
    fields = dict(word.partition("=")[::2] for word in text.rstrip("\n").split(separator) if word)
    command = fields.pop("cmd", "") or fields.pop("mcmd", "")
    if not command:
        raise ProtocolError(f"{text[:40]!r} is no request")
    return Request(command, fields)


def say(command: str, **fields: object) -> bytes:
    """One answer."""
    words = [f"cmd={command}", *[f"{name}={value}" for name, value in fields.items()]]
    return (" ".join(words) + "\n").encode("latin-1")


def answer(space: Space, rank: int, request: Request) -> bytes | None:
    """See `Answer`."""
    layout = space.layout
    match request.command:
        case "get_maxes":
            return say("maxes", rc=0, kvsname_max=MAX_NAME, keylen_max=MAX_KEY, vallen_max=MAX_VALUE)
        case "get_universe_size":
            return say("universe_size", rc=0, size=layout.n_tasks)
        case "get_appnum":
            return say("appnum", rc=0, appnum=-1)
        case "get_my_kvsname":
            return say("my_kvsname", rc=0, kvsname=layout.name)
        case "put":
            return say("put_result", rc=1 if space.put(request["key"], request["value"]) else 0)
        case "get":
            return _get(space, request["key"])
        case "barrier_in":
            request.fence = request.fence or space.enter(rank)
            return say("barrier_out", rc=0) if space.over >= request.fence else None
        case "finalize":
            return say("finalize_ack", rc=0)
        case "abort":
            code = integer(request["exitcode"], 1)
            space.abort(f"task {rank} aborted the step with code {code}", code)
            return b""
        case _:
            return _refused(request.command)


def _get(space: Space, key: str) -> bytes | None:
    value = space.get(key)
    if value is None and key == MAPPING_KEY:
        if space.mapping is None:
            return None
        value = space.mapping or None
    return say("get_result", rc=1) if value is None else say("get_result", rc=0, value=value)


_REFUSED = {
    "spawn": ("spawn_result", {"rc": 1, "msg": "Packhorse_does_not_spawn"}),
    "publish_name": ("publish_result", {"rc": 1, "info": "fail", "msg": "no_name_service"}),
    "unpublish_name": ("unpublish_result", {"rc": 1, "info": "fail", "msg": "no_name_service"}),
    "lookup_name": ("lookup_result", {"rc": 1, "info": "fail", "msg": "no_name_service"}),
    "create_kvs": ("newkvs", {"rc": 1, "msg": "one_space_only"}),
    "destroy_kvs": ("kvs_destroyed", {"rc": 1, "msg": "one_space_only"}),
    "getbyidx": ("getbyidx_results", {"rc": 1, "reason": "not_supported"}),
}


def _refused(command: str) -> bytes:
    if command not in _REFUSED:
        raise ProtocolError(f"PMI-1 has no command {command[:40]!r}")
    name, fields = _REFUSED[command]
    return say(name, **fields)


PMI1 = Dialect(1, 1, cut, answer)
