"""`python -m packhorse.agent`: the agent's process."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import signal
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, get_args

import msgspec
import structlog

from packhorse.agent import cpumap, site_options, stepdoor
from packhorse.agent.binding import Binder
from packhorse.agent.bounds import Bounding
from packhorse.agent.cgroups import Cgroups, Wish
from packhorse.agent.devicenodes import DeviceFiles
from packhorse.agent.files import Spool
from packhorse.agent.health import HealthCheck
from packhorse.agent.inventory import declare
from packhorse.agent.inventory.probes import Probes
from packhorse.agent.job_scripts import JobScripts
from packhorse.agent.launch.launcher import Launcher
from packhorse.agent.runtime import Runtime
from packhorse.agent.sampling.flops import parse_peaks
from packhorse.agent.sampling.nvml import Gpus
from packhorse.agent.session import Where, at_home, invitation
from packhorse.agent.watching import HardwareWatch
from packhorse.scheduler.model.errors import BadValue, PackhorseError
from packhorse.scheduler.model.gresspec import GresError, parse_layouts
from packhorse.scheduler.model.ids import NodeName, is_node_name
from packhorse.scheduler.model.node import NodeSpec
from packhorse.scheduler.model.pidfile import PidFile
from packhorse.scheduler.model.units import UnitError, parse_mem_mib

MAX_PIDS = 1 << 22
"""The kernel numbers no more processes (PID_MAX_LIMIT)."""


def parser() -> argparse.ArgumentParser:
    """The process's own options; people use `packhorse agent`, which has the same."""
    p = argparse.ArgumentParser(prog="packhorse agent")
    p.add_argument("--home", type=Path, required=True)
    p.add_argument("--node", required=True)
    p.add_argument("--cpus", type=int)
    p.add_argument("--mem")
    p.add_argument("--mem-share", type=int, default=1, help="offer this fraction (1/N) of the memory found")
    p.add_argument("--gres")
    p.add_argument("--gpu-mem")
    p.add_argument("--gpu-peak-gflops", default="")
    p.add_argument("--gpu-link-groups", type=int, default=0)
    p.add_argument("--gpu-layouts", default="")
    p.add_argument("--topology", default="")
    p.add_argument("--features", default="")
    p.add_argument("--weight", type=int, default=1)
    site_options.add_to(p)
    p.add_argument("--bind", choices=("none", "cores"), default="cores")
    p.add_argument("--pids", type=_count, help="processes and threads of a job, 0: no limit")
    p.add_argument("--cgroups", choices=get_args(Wish), default="auto")
    p.add_argument("--inventory", action="store_true")
    p.add_argument("--json", action="store_true")
    return p


def main() -> int:
    args = parser().parse_args()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    try:
        return _main(args)
    except PackhorseError as error:
        print(f"packhorse agent: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"packhorse agent: {error.filename or args.home}: {error.strerror}", file=sys.stderr)
        return 1


def _main(args: argparse.Namespace) -> int:
    if not is_node_name(args.node):
        raise BadValue(
            f'--node "{args.node}": a name begins with a letter or digit and has letters, digits, "-", "_" '
            'and "." only'
        )
    home: Path = args.home.absolute()
    spool_root = home / "nodes" / args.node
    spool_root.mkdir(parents=True, exist_ok=True)
    peaks = parse_peaks(args.gpu_peak_gflops)
    scripts = site_options.scripts(args, args.node, spool_root)
    health = site_options.health_check(args, args.node, spool_root)
    if args.inventory:
        _print_inventory(args, spool_root)
        return 0
    (home / "run").mkdir(exist_ok=True)
    pid_file = PidFile(str(home / "run" / f"agent-{args.node}.pid"))
    spool = Spool(spool_root)
    cgroups = Cgroups.detect(args.node, spool_root, args.cgroups)
    probes = Probes()
    probes.start()
    inventory = _inventory(args, spool_root, isolation="", probes=probes)
    bounding = _bounding(args, inventory.spec, cgroups)
    inventory = inventory._replace(
        spec=msgspec.structs.replace(inventory.spec, isolation=_isolation(cgroups, bounding))
    )
    log = structlog.get_logger()
    log.info("isolation.found", says=cgroups.describe(), binds=bounding.binds)
    for remark in inventory.remarks:
        log.info("inventory.remark", remark=remark)
    if n := site_options.end_leftovers(args, spool_root):
        log.warning("scripts.left_over", killed=n)
    gpus = Gpus(inventory.spec.devices, peaks)
    hardware = HardwareWatch(inventory, probes, spool_root / declare.NUMBERS)
    launcher = Launcher(spool_root, cgroups)
    why = asyncio.run(
        _serve(args.node, home, inventory, spool, launcher, gpus, hardware, scripts, health, bounding)
    )
    cgroups.close()  # of jobs that run on they stay
    pid_file.release()
    if why:
        print(f"packhorse agent: {why}", file=sys.stderr)
    return 1 if why else 0


def _bounding(args: argparse.Namespace, spec: NodeSpec, cgroups: Cgroups) -> Bounding:
    """What bounds jobs beside the control groups themselves."""
    machine = cpumap.of_this_process()
    return Bounding(
        spec,
        machine=machine,
        binder=Binder(machine, spec.cpu_milli) if args.bind == "cores" else None,
        files=DeviceFiles(spec.devices) if "devices" in cgroups.controllers else None,
        pids=args.pids,
    )


def _isolation(cgroups: Cgroups, bounding: Bounding) -> str:
    """What the node registers: `cgroup1:memory,cpu,pids,devices,cpuset`, `rlimits:affinity`, `rlimits`.

    A cpuset that nothing is bound with is not named; binding without one is called affinity.
    """
    first, _, listed = cgroups.isolation.partition(":")
    names = [name for name in listed.split(",") if name and (name != "cpuset" or bounding.binds)]
    if bounding.binds and "cpuset" not in names:
        names.append("affinity")
    return f"{first}:{','.join(names)}" if names else first


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 7 or int(text) > MAX_PIDS:
        raise argparse.ArgumentTypeError(
            f'"{text}" is not a number of processes up to {MAX_PIDS}: write it as in 4096, or 0 for no limit'
        )
    return int(text)


async def _serve(
    node: str,
    home: Path,
    inventory: declare.Inventory,
    spool: Spool,
    launcher: Launcher,
    gpus: Gpus,
    hardware: HardwareWatch,
    scripts: JobScripts,
    health: HealthCheck | None,
    bounding: Bounding,
) -> str:
    def find() -> Where:
        return at_home(home, node)

    runtime = Runtime(
        inventory,
        spool,
        launcher,
        find,
        cluster={"PACKHORSE_HOME": str(home)},
        jitter=random.Random(),
        gpus=gpus,
        hardware=hardware,
        scripts=scripts,
        health=health,
        bounding=bounding,
        step_door=stepdoor.place(home, node),
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, runtime.stop)
    relay = loop.create_task(_relay(home, node, runtime))
    try:
        return await runtime.run()
    finally:
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)


async def _relay(home: Path, node: str, runtime: Runtime) -> None:
    """Serve this host's commands where the scheduler is on another one."""
    if not invitation(home, node).exists():
        return
    from packhorse.agent.relay import Relay, place  # with its messages 1 MB that other agents never need

    path = place(home)
    if path is not None:
        await Relay(path, node, lambda: runtime.line).serve()


def _inventory(
    args: argparse.Namespace, spool: Path, *, isolation: str, probes: Probes, keep: bool = True
) -> declare.Inventory:
    try:
        mem_mib = parse_mem_mib(args.mem) if args.mem else None
    except UnitError as why:
        raise BadValue(f"--mem {args.mem}: {why}") from why
    declared = declare.Declared(
        cpus=args.cpus,
        mem_mib=mem_mib,
        gres=declare.parse_gres(args.gres) if args.gres is not None else None,
        features=tuple(filter(None, args.features.split(","))),
        weight=args.weight,
        topology=declare.parse_topology(args.topology),
        **_declared_gpus(args),
    )
    found = declare.take(
        NodeName(args.node),
        declared,
        spool,
        version=_version(),
        isolation=isolation,
        probes=probes,
        keep=keep,
    )
    if mem_mib is None and args.mem_share > 1:
        share = found.spec.mem_mib // args.mem_share
        found = found._replace(spec=msgspec.structs.replace(found.spec, mem_mib=share))
    return found


def _declared_gpus(args: argparse.Namespace) -> dict[str, Any]:
    """What is said about the declared GPUs. Raises BadValue."""
    mem_mib = 0
    if args.gpu_mem:
        try:
            mem_mib = parse_mem_mib(args.gpu_mem)
        except UnitError as why:
            raise BadValue(f"--gpu-mem {args.gpu_mem}: {why}") from why
    if args.gpu_link_groups < 0:
        raise BadValue(f"--gpu-link-groups {args.gpu_link_groups}: a number of groups, as in 2")
    try:
        layouts = parse_layouts(args.gpu_layouts) if args.gpu_layouts else ()
    except GresError as why:
        raise BadValue(f"--gpu-layouts: {why}") from why
    return {"gpu_mem_mib": mem_mib, "gpu_link_groups": args.gpu_link_groups, "gpu_layouts": layouts}


def _version() -> str:
    try:
        return version("packhorse")
    except PackageNotFoundError:
        return "0"


def _print_inventory(args: argparse.Namespace, spool: Path) -> None:
    from packhorse.agent.inventory import machine, processors, show

    probes = Probes()
    probes.start()
    # Under a name of its own: an agent of this node may be running, and its groups are not to be touched.
    cgroups = Cgroups.detect(f"{args.node}-inventory", spool / "inventory", args.cgroups)
    inventory = _inventory(args, spool, isolation="", probes=probes, keep=False)
    isolation = _isolation(cgroups, _bounding(args, inventory.spec, cgroups))
    inventory = inventory._replace(spec=msgspec.structs.replace(inventory.spec, isolation=isolation))
    cgroups.close()
    nodes = processors.numa_nodes(machine.SYS)
    numbers = processors.usable(machine.SYS, os.sched_getaffinity(0))
    shown = show.Machine(
        inventory,
        HardwareWatch(inventory, probes, spool / declare.NUMBERS).verdict,
        tuple(processors.cpus(machine.SYS, numbers, nodes)),
        tuple(nodes),
        cgroups.describe(),
    )
    print(json.dumps(show.as_json(shown)) if args.json else show.as_text(shown))


if __name__ == "__main__":
    sys.exit(main())
