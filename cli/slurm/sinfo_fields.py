"""The fields of sinfo: what a line says about the nodes it stands for."""

from __future__ import annotations

from packhorse.cli.slurm.times import stamp
from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.nodestate import full_state
from packhorse.scheduler.model.units import format_elapsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Row = dict[str, Any]

STATE_WORDS = {
    "IDLE": ("idle", "idle"),
    "MIXED": ("mix", "mixed"),
    "ALLOCATED": ("alloc", "allocated"),
    "DRAINING": ("drng", "draining"),
    "DRAINED": ("drain", "drained"),
    "DOWN": ("down", "down"),
    "UNKNOWN": ("unk", "unknown"),
    "RESERVED": ("resv", "reserved"),
    "MAINT": ("maint", "maint"),
}
"""(compact, long) by the raw word."""

_RANK = {"UNKNOWN": 0, "DOWN": 1, "IDLE": 2, "ALLOCATED": 3, "MIXED": 5, "DRAINED": 0x202, "DRAINING": 0x205}
_SILENT_RANK = 0x400


class Group:
    """One line: nodes that do not differ in what is shown, and their partition (None where none is shown).

    exact: sizes are all equal (`sinfo -e`), so that no `+` is needed.
    """

    __slots__ = ("nodes", "partition")

    def __init__(self, partition: Row | None, nodes: list[Row]) -> None:
        self.partition = partition
        self.nodes = nodes


class Field:
    """header: its title. text: what it says of a line. about: "node", "size" or "partition".

    Lines are split where a "node" or "partition" field differs; a "size" differs within a line unless
    --exact. key: what of a node makes two nodes differ, for "node" and "size" fields.
    """

    __slots__ = ("about", "header", "key", "text")

    def __init__(
        self,
        header: str,
        about: str,
        text: Callable[[Group], str],
        key: Callable[[Row], object] | None = None,
    ) -> None:
        self.header = header
        self.about = about
        self.text = text
        self.key = key


def state_rank(node: Row) -> int:
    """Slurm's order of node states."""
    return _RANK.get(node["state"], 0) + (_SILENT_RANK if node["not_responding"] else 0)


def compact_state(node: Row) -> str:
    """`mix`, `down*`."""
    word = STATE_WORDS.get(_shown(node), ("unk", "unknown"))[0]
    return word + ("*" if node["not_responding"] else "")


def long_state(node: Row) -> str:
    """`mixed`, `down*`."""
    word = STATE_WORDS.get(_shown(node), ("unk", "unknown"))[1]
    return word + ("*" if node["not_responding"] else "")


def _shown(node: Row) -> str:
    """The raw word; of an idle node in a reservation whose window is open, that it is reserved."""
    if node["state"] == "IDLE" and node["reservation"]:
        return "MAINT" if node["in_maint"] else "RESERVED"
    return str(node["state"])


def works(node: Row) -> bool:
    """Whether jobs hold some of it."""
    return node["state"] in ("MIXED", "ALLOCATED", "DRAINING")


def nodes_by_use(nodes: list[Row]) -> tuple[int, int, int]:
    """(allocated, idle, other)."""
    busy = sum([works(node) for node in nodes])
    idle = sum([node["state"] == "IDLE" for node in nodes])
    return busy, idle, len(nodes) - busy - idle


def cpus_by_use(nodes: list[Row]) -> tuple[int, int, int, int]:
    """(allocated, idle, other, total)."""
    allocated = sum([node["cpus_alloc"] for node in nodes])
    total = sum([node["cpus"] for node in nodes])
    usable = [node for node in nodes if node["state"] in ("IDLE", "MIXED", "ALLOCATED")]
    idle = sum([max(node["cpus"] - node["cpus_alloc"], 0) for node in usable])
    return allocated, idle, max(total - allocated - idle, 0), total


def load_text(milli: int) -> str:
    """`0.30`."""
    return "N/A" if milli < 0 else f"{milli // 1000}.{milli % 1000 // 10:02d}"


def partition_name(partition: Row) -> str:
    """`normal*` for the default one."""
    return str(partition["name"]) + ("*" if partition["is_default"] else "")


def limit_text(seconds: int) -> str:
    """sinfo's form of a partition's time limit."""
    return format_elapsed(seconds) if seconds else "infinite"


def _first(header: str, text: Callable[[Row], str], empty: str = "n/a") -> Field:
    """What all nodes of a line agree in."""
    return Field(header, "node", lambda group: text(group.nodes[0]) if group.nodes else empty, text)


def _size(header: str, name: str) -> Field:
    """An amount: the smallest, with + if other nodes have more."""

    def text(group: Group) -> str:
        amounts = [node[name] for node in group.nodes]
        if not amounts:
            return "0"
        low = min(amounts)
        return f"{low}+" if max(amounts) > low else str(low)

    return Field(header, "size", text, lambda node: node[name])


def _measure(header: str, name: str, shown: Callable[[int], str]) -> Field:
    """A measurement: one value, or the lowest and highest."""

    def text(group: Group) -> str:
        values = [node[name] for node in group.nodes]
        if not values:
            return "N/A"
        known = sorted({value for value in values if value >= 0})
        texts = [shown(value) for value in known[:1] + known[1:][-1:]]
        if len(known) != len(set(values)):
            texts.append("N/A")
        return "-".join(dict.fromkeys(texts))

    return Field(header, "size", text, lambda node: node[name])


def _topology(group: Group) -> str:
    parts = []
    for name in ("sockets", "cores", "threads"):
        values = [node[name] for node in group.nodes] or [0]
        parts.append(f"{min(values)}+" if max(values) > min(values) else str(values[0]))
    return ":".join(parts)


def _of_partition(header: str, text: Callable[[Row], str]) -> Field:
    return Field(header, "partition", lambda group: text(group.partition) if group.partition else "n/a")


def _always(header: str, text: str, about: str = "any") -> Field:
    return Field(header, about, lambda group: text)


def _job_size(partition: Row) -> str:
    low = max(partition["min_nodes"], 1)
    high = partition["max_nodes"]
    if high and high <= low:
        return str(high)
    return f"{low}-{high or 'infinite'}"


def _reason_time(node: Row) -> str:
    return stamp(node["reason_at"] // 1_000_000) if node["reason"] and node["reason_at"] else "Unknown"


def _reason_user(node: Row) -> str:
    return str(node["reason_user"]) if node["reason"] and node["reason_user"] else "Unknown"


def _reason_user_long(node: Row) -> str:
    name = _reason_user(node)
    return name if name == "Unknown" else f"{name}({node['reason_uid']})"


def _number(value: int) -> str:
    return "N/A" if value < 0 else str(value)


def _node_counts(group: Group, *, total: bool) -> str:
    counts = nodes_by_use(group.nodes)
    return "/".join([str(n) for n in ((*counts, len(group.nodes)) if total else counts[:2])])


def _cpu_counts(group: Group) -> str:
    return "/".join([str(n) for n in cpus_by_use(group.nodes)])


_PARTITION = _of_partition("PARTITION", partition_name)
_AVAIL = _of_partition(
    "AVAIL", lambda partition: str(partition["state"]).lower().replace("inactive", "inact")
)
_TIME = _of_partition("TIMELIMIT", lambda partition: limit_text(partition["max_time_s"]))
_DEFAULT_TIME = _of_partition(
    "DEFAULTTIME",
    lambda partition: format_elapsed(partition["default_time_s"]) if partition["default_time_s"] else "n/a",
)
_SIZE = _of_partition("JOB_SIZE", _job_size)
_TIER = _of_partition("PRIO_TIER", lambda partition: str(partition["priority_tier"]))
_FACTOR = _of_partition("PRIO_JOB_FACTOR", lambda partition: str(partition["priority_factor"]))
_NAME_ONLY = _of_partition("PARTITION", lambda partition: str(partition["name"]))
_NODES = Field("NODES", "any", lambda group: str(len(group.nodes)))
_NODELIST = Field("NODELIST", "any", lambda group: compress_sorted([node["name"] for node in group.nodes]))
_NODES_AI = Field("NODES(A/I)", "any", lambda group: _node_counts(group, total=False))
_NODES_AIOT = Field("NODES(A/I/O/T)", "any", lambda group: _node_counts(group, total=True))
_CPUS_AIOT = Field("CPUS(A/I/O/T)", "any", _cpu_counts)
_STATE = _first("STATE", compact_state)
_STATE_LONG = _first("STATE", long_state)
_HOSTS = Field(
    "HOSTNAMES",
    "node",
    lambda group: compress_sorted([node["host_name"] for node in group.nodes]),
    lambda node: node["host_name"],
)
_ADDR = Field(
    "NODE_ADDR",
    "node",
    lambda group: compress_sorted([node["addr"] for node in group.nodes]),
    lambda node: node["addr"],
)
_FEATURES = _first("AVAIL_FEATURES", lambda node: str(node["features"]) or "(null)", "")
_ACTIVE = _first("ACTIVE_FEATURES", lambda node: str(node["features"]) or "(null)", "")
_GRES = _first("GRES", lambda node: str(node["gres"]) or "(null)", "")
_GRES_USED = _first("GRES_USED", lambda node: str(node["gres_used"]) or "(null)", "")
_REASON = _first("REASON", lambda node: str(node["reason"]) or "none", "none")
_WHEN = _first("TIMESTAMP", _reason_time, "Unknown")
_USER = _first("USER", _reason_user, "Unknown")
_USER_LONG = _first("USER", _reason_user_long, "Unknown")
_VERSION = _first("VERSION", lambda node: str(node["version"]), "")
_CPUS = _size("CPUS", "cpus")
_MEMORY = _size("MEMORY", "mem_mib")
_DISK = _size("TMP_DISK", "tmp_mib")
_WEIGHT = _size("WEIGHT", "weight")
_SOCKETS = _size("SOCKETS", "sockets")
_CORES = _size("CORES", "cores")
_THREADS = _size("THREADS", "threads")
_FREE = _measure("FREE_MEM", "mem_free_mib", _number)
_LOAD = _measure("CPU_LOAD", "cpu_load_milli", load_text)
_SCT = Field("S:C:T", "size", _topology, lambda node: (node["sockets"], node["cores"], node["threads"]))
_ALLOC_MEM = _first("ALLOCMEM", lambda node: str(node["mem_alloc_mib"]), "0")
_ROOT = _always("ROOT", "no")
_SHARE = _always("OVERSUBSCRIBE", "NO")
_GROUPS = _always("GROUPS", "all")
_PREEMPT = _always("PREEMPT_MODE", "OFF")
_FROM = _always("ALLOCNODES", "all")
_MAX_CPUS = _always("MAX_CPUS_PER_NODE", "UNLIMITED")
_CLUSTER = _always("CLUSTER", "N/A")

LETTERS: dict[str, Field] = {
    "A": _NODES_AI,
    "a": _AVAIL,
    "B": _MAX_CPUS,
    "b": _ACTIVE,
    "C": _CPUS_AIOT,
    "c": _CPUS,
    "D": _NODES,
    "d": _DISK,
    "E": _REASON,
    "e": _FREE,
    "F": _NODES_AIOT,
    "f": _FEATURES,
    "G": _GRES,
    "g": _GROUPS,
    "H": _WHEN,
    "h": _SHARE,
    "I": _FACTOR,
    "L": _DEFAULT_TIME,
    "l": _TIME,
    "M": _PREEMPT,
    "m": _MEMORY,
    "N": _NODELIST,
    "n": _HOSTS,
    "O": _LOAD,
    "o": _ADDR,
    "P": _PARTITION,
    "p": _TIER,
    "R": _NAME_ONLY,
    "r": _ROOT,
    "S": _FROM,
    "s": _SIZE,
    "T": _STATE_LONG,
    "t": _STATE,
    "U": _USER_LONG,
    "u": _USER,
    "V": _CLUSTER,
    "v": _VERSION,
    "w": _WEIGHT,
    "X": _SOCKETS,
    "Y": _CORES,
    "Z": _THREADS,
    "z": _SCT,
}
"""`sinfo -o`."""


def names() -> dict[str, Field]:
    """`sinfo -O`, by lower-case name."""
    return {
        "allocmem": _ALLOC_MEM,
        "allocnodes": _FROM,
        "available": _AVAIL,
        "cluster": _CLUSTER,
        "comment": _always("COMMENT", "(null)"),
        "cores": _CORES,
        "cpus": _CPUS,
        "cpusload": _LOAD,
        "cpusstate": _CPUS_AIOT,
        "defaulttime": _DEFAULT_TIME,
        "disk": _DISK,
        "extra": _always("EXTRA", "(null)"),
        "features": _FEATURES,
        "features_act": _ACTIVE,
        "freemem": _FREE,
        "gres": _GRES,
        "gresused": _GRES_USED,
        "groups": _GROUPS,
        "maxcpuspernode": _MAX_CPUS,
        "memory": _MEMORY,
        "nodeai": _NODES_AI,
        "nodeaiot": _NODES_AIOT,
        "nodeaddr": _ADDR,
        "nodehost": _HOSTS,
        "nodelist": _NODELIST,
        "nodes": _NODES,
        "oversubscribe": _SHARE,
        "partition": _PARTITION,
        "partitionname": _NAME_ONLY,
        "preemptmode": _PREEMPT,
        "priorityjobfactor": _FACTOR,
        "prioritytier": _TIER,
        "reason": _REASON,
        "root": _ROOT,
        "share": _SHARE,
        "size": _SIZE,
        "socketcorethread": _SCT,
        "sockets": _SOCKETS,
        "statecompact": _STATE,
        "statecomplete": _first("STATECOMPLETE", lambda node: full_state(node).lower()),
        "statelong": _STATE_LONG,
        "threads": _THREADS,
        "time": _TIME,
        "timestamp": _WHEN,
        "user": _USER,
        "userlong": _USER_LONG,
        "version": _VERSION,
        "weight": _WEIGHT,
    }
