"""The configuration file: one TOML file, every key in one table with its default, unit and meaning.

`load` reads it into a ClusterConfig (what decisions depend on) and a ServiceConfig (how the process runs). A
mistake is named with file, line, key, what is accepted and the nearest key that exists. docs/configuration.md
and the example file are printed from the same table.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from packhorse.scheduler.config.keys import (
    ACCOUNTS_TARGET,
    BATCH_TARGET,
    CLUSTER_TARGET,
    GPU_IDLE_TARGET,
    IMPROVER_TARGET,
    KEYS,
    PARTITION,
    PREEMPTION_TARGET,
    PRIORITY_TARGET,
    RECLAIM_TARGET,
    SECTIONS,
    SERVICE_TARGET,
    Key,
)
from packhorse.scheduler.config.kinds import KeyProblem
from packhorse.scheduler.core.orders import BY_ORDER
from packhorse.scheduler.model.cluster import (
    AccountsPolicy,
    Batch,
    ClusterConfig,
    GpuIdle,
    Improver,
    Partition,
    PreemptBy,
    Preemption,
    Priorities,
    Reclaim,
)
from packhorse.scheduler.model.errors import ConfigError


class ServiceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How the scheduler's process runs. Durations in seconds or days as named, sizes in MiB."""

    listen_grpc: str = "127.0.0.1:0"
    listen_http: str = "127.0.0.1:0"
    socket: str = "run/scheduler.sock"
    tls_cert: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    token_valid_s: int = 3_600
    admins: tuple[str, ...] = ()
    max_message_mib: int = 16
    watch_queue: int = 10_000
    wait_limit_s: int = 3_600
    store_path: str = "store/packhorse.db"
    reserve_mib: int = 64
    snapshot_every_events: int = 50_000
    retention_days: int = 365
    usage_retention_days: int = 30
    usage_max_mib: int = 1_024
    record_inputs: bool = False
    record_limit_mib: int = 1_024
    heartbeat_s: int = 10
    usage_s: int = 10
    cycle_interval_ms: int = 20
    learn_interval_s: int = 600
    mail_program: str = ""
    shadow_config: str = ""
    shadow_interval_s: int = 10
    log_level: str = "info"
    log_file: str = "log/scheduler.log"


class Configuration(msgspec.Struct, frozen=True):
    """What one file says. path: "" where there was none."""

    cluster: ClusterConfig
    service: ServiceConfig
    path: str = ""


def load(path: Path | None, *, owner_uid: int) -> Configuration:
    """The configuration in `path` (None, or a file that does not exist: all defaults).

    owner_uid: the uid the scheduler runs as. Raises ConfigError with every mistake found, one a line.
    """
    if path is None or not path.exists():
        return Configuration(ClusterConfig(owner_uid=owner_uid), ServiceConfig())
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return parse(text, str(path), owner_uid=owner_uid)


def check(path: Path) -> list[str]:
    """Every mistake in `path`, one line each; empty if the scheduler would start with it."""
    if not path.exists():
        return [f"{path}: no such file"]
    try:
        load(path, owner_uid=0)
    except ConfigError as error:
        return str(error).splitlines()
    return []


def parse(text: str, name: str, *, owner_uid: int) -> Configuration:
    """The configuration in `text`; name is what messages call the file."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: not TOML: {error}") from error
    problems: list[str] = []
    where = _Lines(text, name)
    fields: dict[str, dict[str, Any]] = {
        CLUSTER_TARGET: {"owner_uid": owner_uid},
        SERVICE_TARGET: {},
        IMPROVER_TARGET: {},
        BATCH_TARGET: {},
        RECLAIM_TARGET: {},
        GPU_IDLE_TARGET: {},
        PREEMPTION_TARGET: {},
        PRIORITY_TARGET: {},
        ACCOUNTS_TARGET: {},
    }
    cluster, service = fields[CLUSTER_TARGET], fields[SERVICE_TARGET]
    partitions: list[Partition] = []
    for section, body in document.items():
        if section == PARTITION:
            partitions = _partitions(body, where, problems)
        elif section not in SECTIONS:
            accepted = ", ".join(f"[{known}]" for known in SECTIONS if known != PARTITION)
            problems.append(
                f"{where.at(section)}: [{section}] is not known{_nearest(section, SECTIONS)}; "
                f"accepted are {accepted} and [[{PARTITION}]]"
            )
        elif not isinstance(body, dict):
            problems.append(f"{where.at(section)}: {section} must be a section: write [{section}]")
        else:
            for key, value in _values(section, body, where, problems):
                fields[key.target][key.field] = value
    cluster["improver"] = Improver(**fields[IMPROVER_TARGET])
    cluster["batch"] = Batch(**fields[BATCH_TARGET])
    cluster["reclaim"] = Reclaim(**fields[RECLAIM_TARGET])
    cluster["gpu_idle"] = GpuIdle(**fields[GPU_IDLE_TARGET])
    cluster["preemption"] = Preemption(**fields[PREEMPTION_TARGET])
    cluster["priorities"] = Priorities(**fields[PRIORITY_TARGET])
    cluster["accounts"] = AccountsPolicy(**fields[ACCOUNTS_TARGET])
    if partitions:
        cluster["partitions"] = tuple(partitions)
    elif PARTITION in document and not problems:
        problems.append(f"{where.at(PARTITION)}: [[{PARTITION}]] must have at least one entry")
    if not problems:
        problems = _contradictions(cluster, service, where)
    if problems:
        raise ConfigError("\n".join(problems))
    return Configuration(ClusterConfig(**cluster), ServiceConfig(**service), name)


def overlaid(text: str, name: str, base: ClusterConfig) -> ClusterConfig:
    """`base` with what the configuration in `text` says about decisions instead; where it lists partitions,
    these are all there are. Raises ConfigError like `parse`."""
    whole = parse(text, name, owner_uid=base.owner_uid).cluster
    where, document = _Lines(text, name), tomllib.loads(text)
    given: dict[str, dict[str, Any]] = {}
    for section, body in document.items():
        if section != PARTITION:
            for key, value in _values(section, body, where, []):
                given.setdefault(key.target, {})[key.field] = value
    given.pop(SERVICE_TARGET, None)
    changes = given.pop(CLUSTER_TARGET, {})
    for target, fields in given.items():
        changes[target] = msgspec.structs.replace(getattr(base, target), **fields)
    if PARTITION in document:
        changes["partitions"] = whole.partitions
    return msgspec.structs.replace(base, **changes)


def _values(
    section: str, body: dict[str, Any], where: _Lines, problems: list[str], index: int = 0
) -> Iterator[tuple[Key, Any]]:
    """The keys of one section with their values read; mistakes go to `problems`."""
    known = {key.name: key for key in KEYS if key.section == section}
    for name, raw in body.items():
        line = where.at(section, name, index)
        key = known.get(name)
        if key is None:
            problems.append(
                f"{line}: {name} is not a key of [{section}]{_nearest(name, known)}; "
                f"accepted are {', '.join(known)}"
            )
            continue
        try:
            yield key, key.read(raw)
        except KeyProblem as problem:
            problems.append(f"{line}: {name} = {_shown(raw)}: {problem}; accepted is {key.accepted}")


def _partitions(body: object, where: _Lines, problems: list[str]) -> list[Partition]:
    if not isinstance(body, list) or not all(isinstance(entry, dict) for entry in body):
        problems.append(f"{where.at(PARTITION)}: partitions are written as [[{PARTITION}]], one block each")
        return []
    found: list[Partition] = []
    for index, entry in enumerate(body):
        fields = {key.field: value for key, value in _values(PARTITION, entry, where, problems, index)}
        line = where.at(PARTITION, "name", index)
        if not fields.get("name"):
            if "name" not in entry:
                problems.append(f"{where.at(PARTITION, '', index)}: a [[{PARTITION}]] needs a name")
            continue
        if any(partition.name == fields["name"] for partition in found):
            problems.append(f'{line}: partition "{fields["name"]}" is there twice')
            continue
        found.append(Partition(**fields))
    if found and not any(partition.is_default for partition in found):
        found[0] = msgspec.structs.replace(found[0], is_default=True)
    if sum(partition.is_default for partition in found) > 1:
        names = ", ".join(partition.name for partition in found if partition.is_default)
        problems.append(f"{where.at(PARTITION)}: only one partition can be the default, these are: {names}")
    return found


def _contradictions(cluster: dict[str, Any], service: dict[str, Any], where: _Lines) -> list[str]:
    """What only shows when several keys are looked at together."""
    problems = []
    tls = bool(service.get("tls_cert")) and bool(service.get("tls_key"))
    if bool(service.get("tls_cert")) != bool(service.get("tls_key")):
        problems.append(f"{where.at('listen')}: tls_cert and tls_key belong together; set both or neither")
    for key in ("grpc", "http"):
        address = service.get(f"listen_{key}", "")
        if address and not is_loopback(address) and not (tls and key == "grpc"):
            way_out = (
                "set tls_cert and tls_key in [listen], or listen on 127.0.0.1 and forward from there"
                if key == "grpc"
                else "the HTTP door has no TLS of its own: listen on 127.0.0.1 and put a TLS proxy before it"
            )
            problems.append(
                f'{where.at("listen", key)}: {key} = "{address}": not a loopback address, and tokens would '
                f"cross the network in the clear; {way_out}"
            )
    for index, partition in enumerate(cluster.get("partitions", ())):
        if partition.max_time_s and (partition.default_time_s or 0) > partition.max_time_s:
            problems.append(
                f"{where.at(PARTITION, 'default_time', index)}: default_time of partition "
                f'"{partition.name}" is over its max_time'
            )
        if partition.max_nodes and partition.min_nodes > partition.max_nodes:
            problems.append(
                f"{where.at(PARTITION, 'min_nodes', index)}: min_nodes of partition "
                f'"{partition.name}" is over its max_nodes'
            )
    preemption: Preemption = cluster["preemption"]
    if preemption.type is not PreemptBy.NONE and cluster.get("preempt") == BY_ORDER:
        problems.append(
            f"{where.at('preemption', 'type')}: nobody makes room by right with preempt = "
            f'"{BY_ORDER}" in [scheduling], where the order alone decides; leave out one of the two'
        )
    return problems + _lending(cluster, where)


def _lending(cluster: dict[str, Any], where: _Lines) -> list[str]:
    """What makes lending impossible, or means nobody."""
    reclaim: Reclaim = cluster["reclaim"]
    problems = []
    if reclaim.enabled and cluster.get("preempt") == BY_ORDER:
        problems.append(
            f"{where.at('reclaim', 'enabled')}: memory is not lent with preempt = "
            f'"{BY_ORDER}" in [scheduling]; leave out one of the two'
        )
    known = [partition.name for partition in cluster.get("partitions", ClusterConfig().partitions)]
    problems += [
        f'{where.at("reclaim", key)}: partition "{name}" does not exist; there are {", ".join(known)}'
        for key in ("exempt_partitions", "no_borrow")
        for name in getattr(reclaim, key)
        if name not in known
    ]
    return problems


def is_loopback(address: str) -> bool:
    """Whether HOST:PORT stays on this machine."""
    host = address.rpartition(":")[0].strip("[]")
    return host in ("localhost", "::1") or host.startswith("127.")


def _nearest(name: str, known: Any) -> str:
    """` (did you mean "…"?)` or nothing."""
    from difflib import get_close_matches  # only when somebody made a mistake

    matches = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f' (did you mean "{matches[0]}"?)' if matches else ""


def _shown(raw: object) -> str:
    """A value as the file has it, cut to a line's length."""
    text = f'"{raw}"' if isinstance(raw, str) else str(raw).lower() if isinstance(raw, bool) else str(raw)
    return text if len(text) <= 60 else text[:57] + "..."


class _Lines:
    """Finds the line of a key, which tomllib does not tell: sections and keys at the start of a line."""

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        self._lines: dict[tuple[str, str, int], int] = {}
        section, counts, index = "", {PARTITION: -1}, 0
        for number, line in enumerate(text.splitlines(), start=1):
            stripped = line.strip()
            if stripped.startswith("["):
                section = stripped.strip("[").partition("]")[0].strip().strip("\"'")
                index = 0
                if section in counts:
                    counts[section] += 1
                    index = counts[section]
                self._lines.setdefault((section, "", index), number)
            elif "=" in stripped and not stripped.startswith("#"):
                key = stripped.partition("=")[0].strip().strip("\"'")
                outer, dot, inner = key.partition(".")
                if not section and dot:
                    self._lines.setdefault((outer.strip(), inner.strip(), 0), number)
                self._lines.setdefault((section, key, index), number)
                if not section:
                    self._lines.setdefault((key, "", 0), number)

    def at(self, section: str, key: str = "", index: int = 0) -> str:
        """`file:line` of the key, else of its section, else the file."""
        for wanted in ((section, key, index), (section, "", index)):
            if wanted in self._lines:
                return f"{self._name}:{self._lines[wanted]}"
        return self._name
