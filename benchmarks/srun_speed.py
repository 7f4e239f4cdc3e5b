"""Whole processes of srun, as a user types them, on two agents of this machine: outside of a job and within
one, 1 task and 16, and the output of 64 tasks through one srun.

    python -m benchmarks.srun_speed [--runs 40] [--slurm /usr/bin]

With --slurm the same commands are timed with the srun and salloc of that directory too, whose cluster has to
run already. Times are medians; the least of them says what a quiet machine would show.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from packhorse.cli.home import Home

BAR_MS = 68.0
"""Twice what Slurm 22.05 took for `srun hostname` outside of a job where this was first measured."""

BAR_MB_S = 50.0
N_WRITERS = 64
WRITER = "yes '0123456789 0123456789 0123456789 0123456789 a line' | head -c 10485760"
SCRIPT = "#!{python}\nimport sys\nfrom packhorse.cli.{module} import main\nsys.exit(main())\n"
MODULES = {
    "packhorse": "main",
    "srun": "slurm.srun",
    "salloc": "slurm.salloc",
    "squeue": "slurm.squeue",
    "scancel": "slurm.scancel",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.srun_speed")
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--slurm", type=Path, help="directory with Slurm's srun and salloc")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        root = Path(folder)
        env = _commands(root)
        bare = _times([sys.executable, "-c", "pass"], env, args.runs)
        print(f"a bare interpreter: median {bare[0]:.1f} ms, least {bare[1]:.1f} ms")
        print("| what | median ms | least ms | bar |\n|---|---|---|---|")
        (root / "home").mkdir()
        Home(root / "home").config.write_text("[jobs]\nallow_root_jobs = true\n")
        up = ["packhorse", "up", "--nodes", "2", "--cpus-per-node", "64", "--mem-per-node", "64G", "--detach"]
        subprocess.run(up, env=env, check=True, stdout=subprocess.DEVNULL)
        try:
            _report("", "srun", "salloc", env, args.runs)
            if args.slurm:
                slurm = {**os.environ, "PATH": f"{args.slurm}:{os.environ['PATH']}"}
                _report("Slurm: ", str(args.slurm / "srun"), str(args.slurm / "salloc"), slurm, args.runs)
            for label in ([], ["-l"]):
                _report_output(env, label)
        finally:
            subprocess.run(["packhorse", "down"], env=env, check=True, stdout=subprocess.DEVNULL)
    return 0


def _commands(root: Path) -> dict[str, str]:
    """The environment in which the commands are, as small scripts like those of an installation."""
    (root / "bin").mkdir()
    for name, module in MODULES.items():
        path = root / "bin" / name
        path.write_text(SCRIPT.format(python=sys.executable, module=module))
        path.chmod(0o755)
    env = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**env, "PATH": f"{root / 'bin'}:{env['PATH']}", "PACKHORSE_HOME": str(root / "home")}


def _times(words: Sequence[str], env: Mapping[str, str], runs: int) -> tuple[float, float]:
    """(median, least) wall time of the process in ms."""
    times = []
    for i in range(runs + 3):
        began = time.perf_counter()
        subprocess.run(words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        if i >= 3:
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times), min(times)


def _report(who: str, srun: str, salloc: str, env: Mapping[str, str], runs: int) -> None:
    """srun outside, and within one allocation of both nodes."""
    several = ["-N2", "-n16"]
    for what, words in (("1 task", ["-n1"]), ("16 tasks on 2 nodes", several)):
        median, least = _times([srun, *words, "hostname"], env, runs)
        print(
            f"| {who}srun hostname outside, {what} | {median:.1f} | {least:.1f} | {BAR_MS:.0f} |", flush=True
        )
    loop = (
        "import subprocess, sys; from benchmarks import srun_speed as own; import os\n"
        f"for words in (['-n1', '-N1'], {several!r}):\n"
        f"    print(*own._times([{srun!r}, *words, 'hostname'], os.environ, {runs}))"
    )
    inner = [salloc, "-Q", *several, sys.executable, "-c", loop]
    done = subprocess.run(inner, env=env, check=True, capture_output=True, text=True)
    for what, text in zip(("1 task", "16 tasks on 2 nodes"), done.stdout.splitlines(), strict=True):
        median, least = [float(word) for word in text.split()]
        print(
            f"| {who}srun hostname inside, {what} | {median:.1f} | {least:.1f} | {BAR_MS:.0f} |", flush=True
        )


def _report_output(env: Mapping[str, str], label: list[str]) -> None:
    """64 tasks that write 10 MiB each."""
    with tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        words = ["srun", "-N2", f"-n{N_WRITERS}", *label, "sh", "-c", WRITER]
        subprocess.run(words, env=env, stdout=out, check=True)
        rate = N_WRITERS * 10485760 / 1e6 / (time.perf_counter() - began)
    what = " ".join(["srun", *label])
    print(
        f"| output of {N_WRITERS} tasks of 10 MiB through {what} | {rate:.0f} MB/s | | {BAR_MB_S:.0f} MB/s |"
    )


if __name__ == "__main__":
    sys.exit(main())
