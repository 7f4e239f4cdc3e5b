"""A Slurm cluster's configuration, imported and run: real daemons, its nodes' declarations, its accounts."""

from __future__ import annotations

import getpass
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.cluster import Cluster, kill, wait_until

FILES = Path(__file__).parents[1] / "cli" / "slurm_conf"
ME = getpass.getuser()


def imported(into: Path, case: str, *words: str) -> Path:
    command = [sys.executable, "-m", "packhorse.cli.main", "import", "slurm.conf", *words, "-o", str(into)]
    subprocess.run(command, cwd=FILES / case, check=True, capture_output=True)
    return into


def declared(folder: Path, node: str) -> dict[str, str]:
    script = ["sh", str(folder / "agent-options.sh"), node]
    words = subprocess.run(script, check=True, capture_output=True, text=True).stdout.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _is_gone(cluster: Cluster, node: str) -> bool:
    return node not in cluster.home.agent_pids()


@contextmanager
def agents(cluster: Cluster, nodes: dict[str, dict[str, str]]) -> Iterator[None]:
    """An agent for each node with what was declared for it, in place of the one that runs."""
    with ExitStack() as stack:
        for node, options in nodes.items():
            kill(cluster.agent(node), signal.SIGTERM)
            wait_until(partial(_is_gone, cluster, node), f"the end of the agent of {node}")
            log = stack.enter_context((cluster.root / f"{node}.log").open("wb"))
            words = [word for pair in options.items() for word in pair]
            process = subprocess.Popen(
                ["packhorse", "agent", *words],
                env=cluster.env,
                executable=str(cluster.root / "bin" / "packhorse"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
        yield


def test_an_imported_cluster_runs(tmp_path: Path) -> None:
    """The two nodes on which the transcripts were taken, with a dump of their accounts."""
    dump = tmp_path / "demo.cfg"
    dump.write_text(
        f"""\
Cluster - 'demo':Fairshare=1:QOS='normal'
Parent - 'root'
Account - 'lab':Description='demo lab':Organization='demo':Fairshare=1
Account - 'other':Description='other lab':Organization='demo':Fairshare=3:MaxJobs=2
Parent - 'lab'
User - '{ME}':DefaultAccount='lab':AdminLevel='Administrator':Fairshare=1:QOS='normal,long'
"""
    )
    made = imported(tmp_path / "out", "session", "--gres", "gres.conf", "--sacctmgr-dump", str(dump))
    nodes = {name: declared(made, name) for name in ("node1", "node2")}
    assert nodes["node1"] == {"--node": "node1", "--cpus": "8", "--mem": "16000", "--features": "cpu"}
    cluster = Cluster(nodes=2)
    cluster.home.config.write_text((made / "packhorse.toml").read_text())
    with cluster, agents(cluster, nodes):
        rows = "node1 cpu (null) 8 16000\nnode2 cpu,gpu gpu:2 8 16000\n"
        show = ("sinfo", "-h", "-N", "-p", "high", "-n", "node1,node2", "-o", "%N %f %G %c %m")
        wait_until(lambda: cluster.text(*show) == rows, "both nodes as they were declared")
        plan = cluster.text("packhorse", "accounts", "apply", "--yes", made / "accounts.toml")
        assert '+ account other: Parent=root Description="other lab" Organization=demo Fairshare=3' in plan
        assert "account root: Description" not in plan and "QOS normal" not in plan
        assert "nothing to change" in cluster.text(
            "packhorse", "accounts", "apply", "--yes", made / "accounts.toml"
        )
        job = cluster.sbatch(
            "-p", "high", "-w", "node2", "--gres=gpu:1", "-q", "long", "--wckey=w", "--wrap", "true"
        )
        assert cluster.wait(job).state == "COMPLETED"
        row = cluster.text("sacct", "-nPX", "-j", str(job), "-o", "account,qos,nodelist,reqmem")
        assert row == "lab|long|node2|500M\n"
        assert cluster.text("sacct", "-nPX", "-W", "v,w", "-o", "jobid,wckey") == f"{job}|w\n"
        assert cluster.text("sacct", "-nPX", "-W", "v") == ""


def test_a_large_book_of_accounts_is_accepted(tmp_path: Path) -> None:
    words = ("--sacctmgr-dump", "orion.cfg", "--sacctmgr-qos", "qos.txt")
    made = imported(tmp_path / "out", "gpu", *words)
    cluster = Cluster(nodes=1)
    cluster.home.config.write_text((made / "packhorse.toml").read_text())
    with cluster:
        cluster.run("packhorse", "accounts", "apply", "--yes", made / "accounts.toml")
        rows = cluster.text("sacctmgr", "-nP", "show", "assoc", "format=account,user,partition,share,qos")
        assert "engineering|bob|gpu|parent|" in rows
        assert "physics|carl||1|debug,long,normal\n" in rows
        limits = cluster.text(
            "sacctmgr", "-nP", "show", "qos", "scavenger", "format=gracetime,preemptmode,maxtrespu"
        )
        assert limits == "00:05:00|requeue|gres/gpu=16\n"
