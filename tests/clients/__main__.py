"""`python -m tests.clients [NAME …]`: installs clients, runs their programs on one cluster, says what failed.

Without names: all. An environment is made once and kept in build/clients/NAME until its requirements change.
Exit 1 if a program failed or a client could not be installed; every program is run nevertheless.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.clients.catalogue import CLIENTS, Client
from tests.cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).resolve().parent / "programs"
ACCEPTANCE = ROOT.parent / "shared" / "acceptance"
SHOWN_LINES = 40


def main() -> int:
    """The whole run; the exit status."""
    names = [client.name for client in CLIENTS]
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__.splitlines()[0])
    parser.add_argument("clients", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument(
        "--into", type=Path, default=ROOT / "build/clients", help="where environments are kept"
    )
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.clients) - set(names)):
        parser.error(f"unknown client {unknown[0]!r}; there are {', '.join(names)}")
    os.environ["PYTHONPATH"] = str(ROOT / "build/ns")
    bad = []
    with Cluster(nodes=2, cpus=8, mem="16G", gpus=2, more=["--gpu-type", "h200"]) as cluster:
        for client in CLIENTS:
            if not chosen.clients or client.name in chosen.clients:
                bad += run(client, chosen.into, cluster)
    print(f"{len(bad)} failed: {', '.join(bad)}" if bad else "all passed")
    return 1 if bad else 0


def run(client: Client, into: Path, cluster: Cluster) -> list[str]:
    """Runs a client's programs; the names of those that failed."""
    paths = [ACCEPTANCE / f"{name}.py" for name in client.acceptance]
    paths += [PROGRAMS / f"{name}.py" for name in client.programs]
    try:
        python = environment(client, into)
    except subprocess.CalledProcessError as error:
        print(f"FAIL {client.name}: cannot be installed\n{error.stderr}", flush=True)
        return [client.name]
    bad = []
    for path in paths:
        if not path.exists():
            print(f"skip {client.name}/{path.stem}: {path} is not here", flush=True)
            continue
        begun = time.monotonic()
        code, output = execute(path, python, cluster, client.within_s)
        took = time.monotonic() - begun
        if code == 0:
            print(f"{output.splitlines()[-1]} [{client.name}/{path.stem}, {took:.0f} s]", flush=True)
        else:
            bad.append(f"{client.name}/{path.stem}")
            tail = "\n  ".join(output.splitlines()[-SHOWN_LINES:])
            print(f"FAIL {bad[-1]}: exit {code} after {took:.0f} s\n  {tail}", flush=True)
    return bad


def environment(client: Client, into: Path) -> Path:
    """The interpreter of a client's environment, made unless it is there. Raises CalledProcessError."""
    place = into / client.name
    python, noted = place / "bin/python", place / "requirements.txt"
    wanted = "\n".join(client.requirements)
    if not noted.exists() or noted.read_text() != wanted:
        subprocess.run(
            [sys.executable, "-m", "venv", "--clear", place], check=True, capture_output=True, text=True
        )
        if wanted:
            words = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "-q", "install"]
            subprocess.run([*words, *client.requirements], check=True, capture_output=True, text=True)
        noted.write_text(wanted)
    return python


def execute(path: Path, python: Path, cluster: Cluster, within_s: int) -> tuple[int, str]:
    """Exit status and output of a program in the environment of a user who has activated the client's."""
    env = {name: value for name, value in cluster.env.items() if name != "PYTHONPATH"}
    env["PATH"] = f"{python.parent}:{env['PATH']}"
    done = subprocess.run(
        ["timeout", "--kill-after=10", str(within_s), python, path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        cwd=cluster.work,
        env=env,
    )
    return done.returncode, done.stdout


if __name__ == "__main__":
    sys.exit(main())
