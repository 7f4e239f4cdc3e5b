"""`packhorse doctor`: what this machine and this cluster have, what is missing, and what to do about it."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from packhorse.cli import daemons, transport
from packhorse.cli.home import Home
from packhorse.cli.start import COMMANDS
from packhorse.cli.transport import field

OK, NOTE, BAD = "ok", "note", "bad"


class Finding(NamedTuple):
    """One thing looked at. verdict: "ok", "note" (works, with less) or "bad" (will not work)."""

    verdict: str
    what: str
    found: str
    way_out: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has no options of its own."""


def run(args: argparse.Namespace) -> int:
    home: Home = args.home
    findings = [*_software(), *_hardware(), *_isolation(home), *_place(home), *_cluster(home)]
    if args.json:
        print(json.dumps([finding._asdict() for finding in findings]))
    else:
        for finding in findings:
            print(f"{finding.verdict:4}  {finding.what:22} {finding.found}")
            if finding.way_out:
                print(f"{'':6}{'':22} -> {finding.way_out}")
    return 1 if any(finding.verdict == BAD for finding in findings) else 0


def _software() -> Iterator[Finding]:
    yield Finding(OK, "Python", f"{platform.python_version()} ({sys.executable})")
    try:
        yield Finding(OK, "packhorse", version("packhorse"))
    except PackageNotFoundError:
        yield Finding(NOTE, "packhorse", "run from its sources, not installed", "make install")
    for module, need in (
        ("grpc", "agents and remote clients"),
        ("psutil", "agents"),
        ("numpy", "the scheduler"),
        ("aiohttp", "the scheduler"),
        ("sqlite_utils", "the scheduler's store"),
        ("ortools", "better packing"),
    ):
        if importlib.util.find_spec(module) is None:
            yield Finding(NOTE, module, f"missing; {need} need it", 'pip install "packhorse[scheduler]"')
    for command in COMMANDS:
        path = shutil.which(command)
        own = Path(sys.executable).parent / command
        if path is None:
            yield Finding(NOTE, command, "not on PATH", f"export PATH={own.parent}:$PATH")
        elif own.exists() and Path(path).resolve() != own.resolve():
            yield Finding(NOTE, command, f"PATH finds {path} first", f"export PATH={own.parent}:$PATH")


def _hardware() -> Iterator[Finding]:
    command = [
        sys.executable,
        "-m",
        "packhorse.agent",
        "--home",
        tempfile.gettempdir(),
        "--node",
        "doctor",
        "--inventory",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        yield Finding(
            BAD, "hardware", done.stderr.strip().splitlines()[-1] if done.stderr else "agent failed"
        )
        return
    found = json.loads(done.stdout)
    yield Finding(OK, "processors", f"{found['cpu_milli'] // 1000} CPUs, {found['arch']}, {found['os']}")
    yield Finding(OK, "memory", f"{found['mem_mib']} MiB")
    gpus = [device for device in found["devices"] if device[0] == "gpu"]
    if gpus:
        yield Finding(OK, "GPUs", f"{len(gpus)} ({', '.join(sorted({gpu[1] for gpu in gpus}))})")
    for remark in found["remarks"]:
        yield Finding(OK, "GPUs", f"none: {remark}")


def _isolation(home: Home) -> Iterator[Finding]:
    from packhorse.agent.cgroups import Cgroups

    cgroups = Cgroups.detect("doctor", home.root / "doctor")
    cgroups.close()
    if cgroups.kind == "none":
        why = "; ".join(f"{name}: {text}" for name, text in cgroups.missing.items())
        yield Finding(
            NOTE,
            "cgroups",
            f"none writable ({why})",
            "memory limits are watched by sampling instead; run the agent as root for cgroups",
        )
    else:
        yield Finding(OK, "cgroups", f"{cgroups.kind}: {', '.join(sorted(cgroups.controllers))}")
        for name, why in sorted(cgroups.missing.items()):
            yield Finding(NOTE, f"cgroup {name}", why)
    if os.geteuid() == 0:
        yield Finding(OK, "rights", "root: jobs of any user can be run as that user")
    else:
        yield Finding(NOTE, "rights", f"uid {os.geteuid()}: only this user's jobs can be run here")


def _place(home: Home) -> Iterator[Finding]:
    root = home.root
    while not root.exists():
        root = root.parent
    if not os.access(root, os.W_OK):
        yield Finding(BAD, "home", f"{home.root}: cannot be written", "--home DIR or PACKHORSE_HOME")
        return
    usage = shutil.disk_usage(root)
    verdict = OK if usage.free > 1 << 30 else NOTE
    yield Finding(verdict, "home", f"{home.root}, {usage.free >> 20} MiB free")
    if len(os.fsencode(home.socket)) > 107:
        yield Finding(NOTE, "socket path", f"{home.socket} is longer than 107 bytes", "choose a shorter home")
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 0))
            yield Finding(OK, "ports", "loopback takes listeners")
        except OSError as why:
            yield Finding(BAD, "ports", f"nothing can listen on loopback: {why.strerror}")
    if home.config.exists() and importlib.util.find_spec("numpy") is not None:
        command = [*daemons.scheduler_command(home), "--check-config"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            yield Finding(BAD, "configuration", done.stderr.strip())
        else:
            yield Finding(OK, "configuration", str(home.config))


def _cluster(home: Home) -> Iterator[Finding]:
    pid = home.scheduler_pid()
    if not pid and not os.environ.get("PACKHORSE_SERVER"):
        yield Finding(NOTE, "scheduler", f"none runs in {home.root}", "packhorse up")
        return
    try:
        status = transport.call("GetStatus", {})
    except (transport.TransportError, transport.CallError) as why:
        yield Finding(BAD, "scheduler", f"process {pid} does not answer: {why}", f"see {home.log}")
        return
    yield Finding(OK, "scheduler", f"process {pid} answers")
    store = field(status, "store", "ok")
    yield Finding(OK if store == "ok" else BAD, "store", store)
    for node in field(status, "nodes", []):
        state = field(node, "state", "")
        down = state.startswith(("DOWN", "UNKNOWN"))
        reason = field(node, "reason", "")
        yield Finding(
            NOTE if down else OK,
            f"node {field(node, 'name', '')}",
            f"{state}{f' ({reason})' if reason else ''}",
            "packhorse up starts what is missing" if down else "",
        )
