"""`packhorse up`: a cluster on this machine, from nothing or from what a crash left."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packhorse.cli import configuration_file, daemons, transport
from packhorse.cli.commands.agent import PROGRAMS, add_programs
from packhorse.cli.home import Home
from packhorse.cli.transport import field
from packhorse.scheduler.model.errors import BadValue, PackhorseError
from packhorse.scheduler.model.gresspec import GresError, parse_layouts
from packhorse.scheduler.model.units import UnitError, parse_mem_mib

READY_WITHIN_S = 60.0
DEFAULT_PORT = 7077
"""Where agents of other machines join, unless --listen says otherwise."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How many nodes of which size; remembered, so that `packhorse up` alone starts the same again."""
    parser.add_argument(
        "--nodes", type=int, default=None, metavar="N", help="agents on this machine (default: 1)"
    )
    parser.add_argument(
        "--cpus-per-node",
        type=int,
        default=None,
        metavar="C",
        help="declare C CPUs on each (default: as found)",
    )
    parser.add_argument(
        "--mem-per-node",
        default=None,
        metavar="M",
        help="declare memory, as in 16G (default: an equal part each)",
    )
    parser.add_argument(
        "--gpus-per-node",
        type=int,
        default=None,
        metavar="G",
        help="declare G GPUs on each (default: as found)",
    )
    parser.add_argument("--gpu-type", default=None, metavar="TYPE", help="their type, as in h200")
    parser.add_argument("--gpu-mem", default=None, metavar="SIZE", help="memory of each, as in 141G")
    parser.add_argument(
        "--gpu-link-groups",
        type=int,
        default=None,
        metavar="N",
        help="the GPUs of a node are N equal groups with fast links (NVLink) within each",
    )
    parser.add_argument(
        "--gpu-layouts",
        default=None,
        metavar="LIST",
        help="ways to cut each GPU into slices, as in 7x1g.18gb|1x4g.71gb+1x3g.71gb",
    )
    parser.add_argument(
        "--racks", type=int, default=None, metavar="N", help="say that the nodes stand in N racks"
    )
    parser.add_argument(
        "--cgroups",
        default=None,
        choices=("auto", "v2", "v1", "none"),
        help="use this version of control groups only, or none (default: auto)",
    )
    parser.add_argument(
        "--gres-per-node", default=None, metavar="LIST", help="declare devices, as in gpu:h200:4"
    )
    parser.add_argument(
        "--listen",
        default=None,
        metavar="ADDRESS[:PORT]",
        help="let agents of other machines join at this address, with TLS (default: this machine only)",
    )
    parser.add_argument(
        "--config",
        default=None,
        metavar="FILE",
        help="the configuration of a new cluster; becomes packhorse.toml of its home",
    )
    add_programs(parser)
    parser.add_argument("--detach", action="store_true", help="return when the cluster serves; it runs on")


def run(args: argparse.Namespace) -> int:
    home: Home = args.home
    daemons.require_scheduler()
    shape = _shape(args, home)
    if args.config is not None:
        configuration_file.take(home, Path(args.config))
    if args.listen is not None:
        prepare(home)
        listen_on(home, args.listen)
    notes = _left_as_they_are(home, shape)
    bring_up(home, shape, quiet=args.json)
    status = transport.call("GetStatus", {})
    if args.json:
        print(json.dumps({"home": str(home.root), "shape": shape, "status": status}))
    else:
        n = len(shape["nodes"])
        print(f"cluster is up: {n} node{'s' * (n != 1)} ({', '.join(shape['nodes'])}), home {home.root}")
        if home.root != Path.home() / ".packhorse":
            print(f"  export PACKHORSE_HOME={shlex.quote(str(home.root))}")
        print("  sbatch job.sh · squeue · packhorse status · packhorse down")
        for note in notes:
            print(f"packhorse up: {note}", file=sys.stderr)
    if args.detach:
        return 0
    return _stay(home)


def bring_up(home: Home, shape: dict[str, Any], *, quiet: bool = False) -> None:
    """Start what does not run yet and wait until every node serves; raises PackhorseError."""
    prepare(home)
    nodes: list[str] = shape["nodes"]
    _say("starting the scheduler …", quiet or bool(home.scheduler_pid()))
    start_scheduler(home, nodes)
    _write_shape(home, shape)
    for node in nodes:
        admit(home, node)
    running = home.agent_pids()
    started = []
    for node in nodes:
        if node not in running:
            log = home.log / f"agent-{node}.out"
            started.append(
                (node, daemons.spawn(daemons.agent_command(home, node, options_of(shape, node)), log), log)
            )
    for node, process, log in started:
        daemons.wait_until(
            lambda node=node: _serves(home, node),  # type: ignore[misc]
            process,
            lambda node=node: home.agent_pids().get(node, 0),  # type: ignore[misc]
            f"the agent of {node}",
            log,
            within_s=READY_WITHIN_S,
        )


def options_of(shape: dict[str, Any], node: str) -> list[str]:
    """The options of one node's agent: those of all, and its rack where there are some."""
    racks = shape.get("racks", 0)
    if not racks:
        return list(shape["options"])
    nodes: list[str] = shape["nodes"]
    rack = nodes.index(node) * racks // len(nodes) + 1
    return [*shape["options"], "--topology", f"rack{rack}"]


def _left_as_they_are(home: Home, shape: dict[str, Any]) -> list[str]:
    """What of the shape will not come true, since agents run already: one line each."""
    running = home.agent_pids()
    kept = [node for node in shape["nodes"] if node in running]
    others = [node for node in running if node not in shape["nodes"]]
    notes = []
    known = _known_shape(home) if kept else {}
    before = [options_of(known, node) if node in known.get("nodes", ()) else None for node in kept]
    if before != [options_of(shape, node) for node in kept]:
        notes.append(
            f"{', '.join(kept)} ran already, of another size: packhorse down and up again to change it"
        )
    if others:
        notes.append(f"{', '.join(others)} ran already and still runs; packhorse down stops it too")
    return notes


def prepare(home: Home) -> None:
    """Make the home's folders and, the first time, its configuration."""
    home.root.mkdir(mode=0o755, parents=True, exist_ok=True)
    for folder in (home.run, home.log, home.root / "store", home.root / "nodes"):
        folder.mkdir(exist_ok=True)
    home.secrets.mkdir(mode=0o700, exist_ok=True)
    if not home.config.exists():
        configuration_file.first(home)


def listen_on(home: Home, address: str) -> None:
    """Make the gRPC door listen at ADDRESS[:PORT] with a certificate of its own; raises PackhorseError.

    Writes the `[listen]` section of a configuration that has none; one that has is the administrator's.
    """
    from packhorse.cli import certificates

    host, port = _host_and_port(address)
    section = (
        "\n[listen]\n"
        f'grpc = "{address_text(host, port)}"\n'
        f'tls_cert = "secrets/{certificates.CERT_FILE}"\n'
        f'tls_key = "secrets/{certificates.KEY_FILE}"\n'
    )
    text = home.config.read_text()
    if section in text:
        return
    if any(line.strip() == "[listen]" for line in text.splitlines()):
        raise PackhorseError(f"{home.config} has a [listen] section already: change grpc there, and restart")
    if home.scheduler_pid():
        raise PackhorseError("--listen needs a scheduler that is not running yet: packhorse down first")
    names = dict.fromkeys([host, socket.gethostname(), socket.getfqdn(), "localhost", "127.0.0.1"])
    certificates.make(home.secrets, home.ca, [name for name in names if name not in ("0.0.0.0", "::")])
    home.config.write_text(text + section)


def address_text(host: str, port: int) -> str:
    """HOST:PORT, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _host_and_port(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or (":" in host and not address.startswith("[")):
        host, port = address, str(DEFAULT_PORT)
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise BadValue(
            f'--listen "{address}": write an address of this machine, as in 192.0.2.1 or 192.0.2.1:7077'
        )
    return host.strip("[]"), int(port)


def start_scheduler(home: Home, nodes: list[str]) -> None:
    """Start the scheduler unless it runs, and wait until it answers."""
    if home.scheduler_pid():
        return
    log = home.log / "scheduler.out"
    command = daemons.scheduler_command(home)
    for node in nodes:
        command += ["--local-node", node]
    process = daemons.spawn(command, log)
    daemons.wait_until(_answers, process, home.scheduler_pid, "the scheduler", log, within_s=READY_WITHIN_S)


def admit(home: Home, node: str) -> None:
    """See that the agent of a node of this machine has its token."""
    path = home.secrets / f"agent-{node}.token"
    if path.exists():
        return
    token = field(transport.call("AdmitNode", {"node": node}), "token")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as out:
        out.write(f"{token}\n")


def _answers() -> bool:
    try:
        transport.call("Ping", {})
    except (transport.TransportError, transport.CallError):
        return False
    return True


def _serves(home: Home, node: str) -> bool:
    """Whether the agent of the node is connected. Raises DaemonFailed if it never will be."""
    try:
        nodes = transport.call("GetStatus", {}).get("nodes", [])
    except (transport.TransportError, transport.CallError):
        if not home.scheduler_pid():
            raise daemons.DaemonFailed(
                f"the scheduler has ended meanwhile; its log is in {home.log}"
            ) from None
        return False
    return any(n["name"] == node and not _silent(n) for n in nodes)


def _silent(node: dict[str, Any]) -> bool:
    """DOWN for no other reason: one that an operator set down answers as well."""
    return bool(node["state"] == "DOWN" and field(node, "reason", "") in ("", "Not responding"))


def _shape(args: argparse.Namespace, home: Home) -> dict[str, Any]:
    """What to start: what was asked for, else what was started last time, else one node as found."""
    given = (
        args.nodes,
        args.cpus_per_node,
        args.mem_per_node,
        args.gpus_per_node,
        args.gres_per_node,
        args.gpu_type,
        args.gpu_mem,
        args.gpu_link_groups,
        args.gpu_layouts,
        args.racks,
        args.cgroups,
    )
    programs = {name: getattr(args, name.replace("-", "_")) for name in PROGRAMS}
    if all(value is None for value in (*given, *programs.values())) and home.shape.exists():
        if not (known := _known_shape(home)):
            raise PackhorseError(f"{home.shape} is damaged: say --nodes and their size once more")
        return known
    return shape(
        nodes=1 if args.nodes is None else args.nodes,
        cpus=args.cpus_per_node,
        mem=args.mem_per_node,
        gpus=args.gpus_per_node,
        gres=args.gres_per_node,
        gpu_type=args.gpu_type,
        gpu_mem=args.gpu_mem,
        gpu_link_groups=args.gpu_link_groups,
        gpu_layouts=args.gpu_layouts,
        racks=args.racks,
        programs=programs,
        cgroups=args.cgroups,
    )


def _known_shape(home: Home) -> dict[str, Any]:
    """What was started last time, {} if nothing was or nobody can tell."""
    try:
        known: dict[str, Any] = json.loads(home.shape.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return known


def shape(
    *,
    nodes: int,
    cpus: int | None = None,
    mem: str | None = None,
    gpus: int | None = None,
    gres: str | None = None,
    gpu_type: str | None = None,
    gpu_mem: str | None = None,
    gpu_link_groups: int | None = None,
    gpu_layouts: str | None = None,
    racks: int | None = None,
    programs: Mapping[str, str | None] | None = None,
    cgroups: str | None = None,
) -> dict[str, Any]:
    """Node names, the options of their agents, and racks if there are some; raises BadValue.

    programs: the site's own, by option; the agents judge them.
    """
    if not 1 <= nodes <= 256:
        raise BadValue(f"--nodes {nodes}: one machine takes 1 to 256 agents")
    options: list[str] = []
    if cpus is not None:
        if not 1 <= cpus <= 65_536:
            raise BadValue(f"--cpus-per-node {cpus}: a node has 1 to 65536 CPUs")
        options += ["--cpus", str(cpus)]
    if mem is not None:
        try:
            options += ["--mem", str(parse_mem_mib(mem))]
        except UnitError as why:
            raise BadValue(f"--mem-per-node {mem}: {why}") from why
    elif nodes > 1:
        # Several agents must not all promise the whole machine's memory.
        options += ["--mem-share", str(nodes)]
    if nodes > 1:
        # Nor would they know of each other's processors.
        options += ["--bind", "none"]
    if cgroups is not None:
        options += ["--cgroups", cgroups]
    if gpus is not None:
        if not 0 <= gpus <= 256:
            raise BadValue(f"--gpus-per-node {gpus}: a node has 0 to 256 GPUs")
        gres = f"gpu:{gpu_type + ':' if gpu_type else ''}{gpus}" + (f",{gres}" if gres else "")
    elif gpu_type is not None:
        raise BadValue("--gpu-type is about the GPUs of --gpus-per-node: add it")
    if gres is not None:
        options += ["--gres", gres]
    options += _gpu_options(gpu_mem, gpu_link_groups, gpu_layouts, gres)
    _check_devices(options)
    for name, value in (programs or {}).items():
        if value is not None:
            options += [f"--{name}", value]
    host = platform.node().split(".")[0] or "localhost"
    names = [host] if nodes == 1 else [f"node{i}" for i in range(1, nodes + 1)]
    if racks is not None and not 1 <= racks <= nodes:
        raise BadValue(f"--racks {racks}: {nodes} node{'s' * (nodes != 1)} stand in 1 to {nodes} racks")
    return {"nodes": names, "options": options} | ({"racks": racks} if racks else {})


def _gpu_options(
    mem: str | None, link_groups: int | None, layouts: str | None, gres: str | None
) -> list[str]:
    """What the agents are told of their declared GPUs; raises BadValue."""
    options = []
    if mem is not None:
        try:
            options += ["--gpu-mem", str(parse_mem_mib(mem))]
        except UnitError as why:
            raise BadValue(f"--gpu-mem {mem}: {why}") from why
    if link_groups is not None:
        if link_groups < 1:
            raise BadValue(f"--gpu-link-groups {link_groups}: a number of groups, as in 2")
        options += ["--gpu-link-groups", str(link_groups)]
    if layouts is not None:
        try:
            parse_layouts(layouts)
        except GresError as why:
            raise BadValue(f"--gpu-layouts: {why}") from why
        options += ["--gpu-layouts", layouts]
    if options and "gpu" not in [item.partition(":")[0] for item in (gres or "").split(",")]:
        raise BadValue(
            "--gpu-mem, --gpu-link-groups and --gpu-layouts are about declared GPUs: add --gpus-per-node N"
        )
    return options


def _check_devices(options: list[str]) -> None:
    """Raises BadValue for what the agents would refuse, before anything is started or remembered."""
    from packhorse.agent.inventory.declare import Declared, devices_of, parse_gres

    said = dict(zip(options[::2], options[1::2], strict=True))
    devices_of(
        Declared(
            gres=parse_gres(said.get("--gres", "")),
            gpu_mem_mib=int(said.get("--gpu-mem", 0)),
            gpu_link_groups=int(said.get("--gpu-link-groups", 0)),
        )
    )


def _write_shape(home: Home, shape: dict[str, Any]) -> None:
    fresh = home.shape.with_name(f".{home.shape.name}.{os.getpid()}")
    fresh.write_text(json.dumps(shape) + "\n")
    fresh.replace(home.shape)


def _stay(home: Home) -> int:
    """In the foreground: until interrupted, then stop the daemons; jobs go on."""
    from packhorse.cli.commands.down import take_down

    print("in the foreground: Ctrl-C stops the daemons (running jobs go on, packhorse up finds them again)")
    try:
        while home.scheduler_pid():
            time.sleep(1)
        print("the scheduler has ended", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        take_down(home)
        print("\nstopped")
        return 0


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        print(text, file=sys.stderr)
