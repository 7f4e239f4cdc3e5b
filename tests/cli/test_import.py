"""`packhorse import`: whole configurations with what is written for them, the syntax, and what is wrong."""

from __future__ import annotations

import os
import subprocess
from argparse import ArgumentParser
from contextlib import chdir, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.cli.commands import import_slurm
from packhorse.cli.importing import conf_file
from packhorse.cli.importing.general import check_tables
from packhorse.cli.importing.plan import Plan
from packhorse.cli.importing.report import Fate
from packhorse.cli.main import main
from packhorse.scheduler.config.file import check, load
from packhorse.scheduler.model.accounts_file import read
from packhorse.scheduler.model.errors import BadValue

HERE = Path(__file__).parent / "slurm_conf"
CASES = {
    "session": ["--gres", "gres.conf"],
    "lab": [],
    "gpu": [
        *("--gres", "gres.conf", "--cgroup", "cgroup.conf"),
        *("--sacctmgr-dump", "orion.cfg", "--sacctmgr-qos", "qos.txt"),
    ],
    "cpu": ["--topology", "topology.conf"],
}
"""session: that of the cluster on which the transcripts of Slurm's commands were taken. The others are made
up, like what sites publish."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder that was written for each case; stdout.txt has what was said."""
    found = {}
    for case, words in CASES.items():
        folder = tmp_path_factory.mktemp(case)
        with (folder / "stdout.txt").open("w") as out, redirect_stdout(out), chdir(HERE / case):
            assert main(["import", "slurm.conf", *words, "-o", str(folder / "out")]) == 0
        found[case] = folder
    return found


@pytest.mark.parametrize("case", CASES)
def test_whole_configurations(case: str, results: dict[str, Path]) -> None:
    """UPDATE_GOLDEN=1 writes what is expected anew; review it as its reader would."""
    made = results[case] / "out"
    assert (results[case] / "stdout.txt").read_text().startswith((made / "report.txt").read_text())
    expected = HERE / case / "out"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.mkdir(exist_ok=True)
        for path in made.iterdir():
            (expected / path.name).write_text(path.read_text())
    names = sorted(path.name for path in expected.iterdir())
    assert names == sorted(path.name for path in made.iterdir())
    for name in names:
        assert (made / name).read_text() == (expected / name).read_text(), name
    assert check(made / "packhorse.toml") == []
    if "accounts.toml" in names:
        assert read((made / "accounts.toml").read_text(), "accounts.toml")


def test_what_the_gpu_cluster_comes_to(results: dict[str, Path]) -> None:
    made = results["gpu"] / "out"
    cluster = load(made / "packhorse.toml", owner_uid=1).cluster
    by_name = {partition.name: partition for partition in cluster.partitions}
    assert list(by_name) == ["gpu", "long", "cpu", "owners", "interactive", "admin"]
    assert len(by_name["gpu"].nodes) == 13
    assert (by_name["gpu"].max_time_s, by_name["long"].max_time_s) == (3 * 86_400, 14 * 86_400)
    assert by_name["cpu"].max_nodes == 0
    assert cluster.licenses == (("matlab", 25), ("ansys", 8))
    script = ["sh", str(made / "agent-options.sh"), "a100-03"]
    said = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    start = (
        "--node a100-03 --cpus 62 --mem 1024000 --features a100,amd,ib --weight 50 --gres gpu:a100:8,nvme:1"
    )
    assert said.startswith(start)


def test_secrets_are_not_repeated(results: dict[str, Path]) -> None:
    assert not any("s3cret" in path.read_text() for path in (results["cpu"] / "out").iterdir())


def test_every_mapped_parameter_has_its_function() -> None:
    check_tables()


def planned(tmp_path: Path, **texts: str) -> Plan:
    """What the texts come to: conf, and gres, cgroup or topology."""
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    plan, words = Plan(), [str(tmp_path / "conf")]
    for name in texts.keys() - {"conf"}:
        words += [f"--{name}", str(tmp_path / name)]
    parser = ArgumentParser()
    import_slurm.add_arguments(parser)
    import_slurm.map_files(plan, parser.parse_args(words))
    return plan


def test_host_lists_with_suffixes_defaults_and_sets(tmp_path: Path) -> None:
    conf = """
NodeName=DEFAULT CPUs=4 Feature=old
nodename=n[1-2]-ib,x[08-09] Procs=8
NodeName=DEFAULT Feature=new
NodeName=y RealMemory=1000 MemSpecLimit=100
NodeSet=all_new Feature=new
PartitionName=DEFAULT MaxTime=60
PartitionName=p[1-2] Nodes=n[1-2]-ib,all_new
PartitionName=DEFAULT MaxTime=INFINITE
PartitionName=q Nodes=x08 DefaultTime=NONE
"""
    plan = planned(tmp_path, conf=conf)
    assert plan.agents == {
        **{name: {"cpus": "4", "features": "old"} for name in ("n1-ib", "n2-ib", "x08", "x09")},
        "y": {"cpus": "4", "mem": "900", "features": "new"},
    }
    assert plan.partitions == [
        {"name": "p1", "nodes": ["n1-ib,n2-ib,y"], "max_time": "01:00:00"},
        {"name": "p2", "nodes": ["n1-ib,n2-ib,y"], "max_time": "01:00:00"},
        {"name": "q", "nodes": ["x08"], "max_time": "UNLIMITED"},
    ]


@pytest.mark.parametrize(
    ("node", "gres", "said"),
    [
        (
            "Gres=gpu:4",
            "Name=gpu Type=a File=/dev/a[0-1]\nName=gpu Type=b File=/dev/b[0-1]",
            "gpu:a:2,gpu:b:2",
        ),
        ("Gres=gpu:4", "NodeName=m Name=gpu Type=a Count=4", "gpu:4"),
        ("Gres=gpu:a:2,gpu:b:1,nic", "", "gpu:a:2,gpu:b:1,nic:1"),
        ("Gres=gpu:1,shard:4,mps:100,bw:lustre:no_consume:4G", "", "gpu:1"),
        ("Gres=gpu:2(S:0-1)", "AutoDetect=nvml", "gpu:2"),
        ("Gres=gpu:2", "NodeName=n Name=gpu Count=3 Type=a", "gpu:2"),
        ("CPUs=1", "Name=gpu Count=3", None),
    ],
)
def test_devices(tmp_path: Path, node: str, gres: str, said: str | None) -> None:
    plan = planned(tmp_path, conf=f"NodeName=n {node}\n", gres=gres)
    assert plan.agents["n"].get("gres") == said


@pytest.mark.parametrize(
    ("conf", "section", "keys"),
    [
        ("AccountingStorageEnforce=associations", "accounts", {"enforce": "associations"}),
        ("AccountingStorageEnforce=0", "accounts", {"enforce": "none"}),
        ("PreemptMode=SUSPEND,GANG\nPreemptType=preempt/partition_prio", "preemption", None),
        ("PriorityType=priority/multifactor\nPriorityMaxAge=1-0\nPriorityFlags=MAX_TRES", "priority", None),
        ("SlurmctldDebug=debug3", "log", {"level": "debug"}),
        ("SlurmctldDebug=2", "log", {"level": "error"}),
        ("MailProg=/usr/bin/mail", "mail", {"program": "/usr/bin/mail"}),
        ("Licenses=a,b:3", "cluster", {"licenses": ["a:1", "b:3"]}),
    ],
)
def test_sections(tmp_path: Path, conf: str, section: str, keys: dict[str, object] | None) -> None:
    expected = (
        keys
        or {
            "preemption": {"mode": "suspend", "type": "partition"},
            "priority": {"max_age": 86_400, "max_tres": True, "look_ahead": 0},
        }[section]
    )
    assert planned(tmp_path, conf=f"{conf}\n").sections[section] == expected


def test_weights_of_memory(tmp_path: Path) -> None:
    """Slurm's are of a MiB, or of what the suffix says; ours of a GiB."""
    conf = "NodeName=n\nPartitionName=p Nodes=n TRESBillingWeights=CPU=2,Mem=.5,GRES/gpu:A=3,bb/x=1\n"
    plan = planned(tmp_path, conf=conf)
    assert plan.partitions[0]["billing"] == {"cpu": 2.0, "mem": 512.0, "gres/gpu:A": 3.0}
    [row] = [row for row in plan.report.rows if "TRESBilling" in row.what]
    assert (row.fate, row.remark) == (Fate.IN_PART, "bb/x is not counted")


def lines_of(tmp_path: Path, text: str) -> list[list[tuple[str, str]]]:
    (tmp_path / "slurm.conf").write_text(text)
    return [[pair[:2] for pair in line.pairs] for line in conf_file.read(tmp_path / "slurm.conf")]


def test_syntax(tmp_path: Path) -> None:
    (tmp_path / "demo_more").write_text("KillWait=7")
    text = """
# a comment
ClusterName=demo   # another
include %c_more
NODENAME=n[1-2] Reason="a # is \\# one" CPUs = 4 \\
   Feature=a,b
Prolog="/a b"
"""
    text = text.replace('"a # is \\# one"', '"a \\# one"')
    assert lines_of(tmp_path, text) == [
        [("ClusterName", "demo")],
        [("KillWait", "7")],
        [("NODENAME", "n[1-2]"), ("Reason", "a # one"), ("CPUs", "4"), ("Feature", "a,b")],
        [("Prolog", "/a b")],
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ClusterName=demo\nKillWait\n", ':2: "KillWait" is not KEY=VALUE'),
        ("LaunchParameters=\n", ':1: "LaunchParameters=" is not KEY=VALUE'),
        ("A=1\\\n B=2 C\n", ':1: "C" is not KEY=VALUE'),
        ('Prolog="/a\n', ':1: "Prolog="/a" is not KEY=VALUE'),
        ("\ninclude nowhere.conf\n", ":2: included file"),
        ("include slurm.conf\n", ":1: more than 16 files include each other; is it a circle?"),
        ("include %c\n", ":1: %c stands for the cluster's name, and no ClusterName came before"),
        ("Nodes+=a\n", ':1: "Nodes+=": only Nodes=VALUE has a meaning here'),
        ("KillWait=soon\n", ':1: KillWait="soon" is not a whole number from 0 to 4294967295'),
        ("PriorityMaxAge=x\n", ':1: PriorityMaxAge="x" is not a time'),
        ("DisableRootJobs=maybe\n", ':1: DisableRootJobs="maybe" is not YES or NO'),
        ("PreemptMode=CANCEL,REQUEUE\n", ':1: PreemptMode="CANCEL,REQUEUE" is not one of'),
        ("PriorityType=priority/mine\n", ':1: PriorityType="priority/mine" is not'),
        ("NodeName=n[2-1]\n", ':1: NodeName: host list "n[2-1]": range 2-1 runs backwards'),
        ("NodeName=n1\nNodeName=n[1-2]\n", ":2: node n1 is there twice"),
        ("NodeName=n1 CPUs=0\n", ':1: CPUs="0" is not between 1 and'),
        ("NodeName=n1 CPUs=2 CoreSpecCount=2\n", ":1: no CPU is left for jobs"),
        ("NodeName=n1 Gres=gpu:a:b:c:1\n", ':1: Gres="gpu:a:b:c:1" is not a list of KIND[:TYPE][:COUNT]'),
        ("PartitionName=p Nodes=n9\n", ":1: PartitionName=p: there is no node n9"),
        ("NodeName=n1\nPartitionName=p Nodes=n1 State=ON\n", ':2: State="ON" is not UP, DOWN'),
        (
            "NodeName=n1\nPartitionName=p Nodes=n1\nPartitionName=p Nodes=n1\n",
            ":3: partition p is there twice",
        ),
        ("PartitionName=p Nodes=ALL TRESBillingWeights=CPU\n", ':1: TRESBillingWeights="CPU" is not a list'),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "slurm.conf").write_text(text)
    assert main(["import", str(tmp_path / "slurm.conf"), "-o", str(tmp_path / "out")]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"packhorse import: {tmp_path}/slurm.conf{message}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("--sacctmgr-dump", "Parent - 'root'\n", ":1: the first line, and it alone, is Cluster - NAME"),
        ("--sacctmgr-dump", "Cluster - 'c'\nParent - 'x'\n", ":2: account x is not there yet"),
        ("--sacctmgr-dump", "Cluster - 'c\n", ":1: a quote is not closed"),
        ("--sacctmgr-dump", "Cluster - 'c':Fairshare\n", ':1: "Fairshare" is not KEY=VALUE'),
        ("--sacctmgr-dump", "Cluster - 'c':Fairshare=many\n", ":1: root: Fairshare: many is not"),
        ("--sacctmgr-dump", "nonsense\n", ':1: "nonsense" is none of Cluster, Parent, Account, User'),
        ("--sacctmgr-qos", "normal\n", ":1: not the output of: sacctmgr -P show qos"),
        ("--sacctmgr-qos", "Name|Priority\nnormal\n", ":2: 1 columns, the heading has 2"),
        ("--sacctmgr-qos", "Name|Priority\nnormal|high\n", ":2: QOS=normal: Priority: high is not"),
        ("--topology", "SwitchName=s1\n", ":1: a line has SwitchName and either Switches or Nodes"),
        ("--topology", "SwitchName=s1 Switches=s2\n", ":1: there is no switch s2"),
        ("--topology", "SwitchName=a Switches=b\nSwitchName=b Switches=a\n", ":1: switch a is above itself"),
        (
            "--topology",
            "SwitchName=a Nodes=n1\nSwitchName=b Nodes=n1\n",
            ":2: node n1 is at switch a already",
        ),
        ("--gres", "NodeName=n1 File=/dev/x\n", ":1: a line without Name="),
        ("--gres", "NodeName=n1 Name=gpu Count=two\n", ':1: Count="two" is not a count'),
        ("--cgroup", "ConstrainCores=often\n", ':1: ConstrainCores="often" is not YES or NO'),
    ],
)
def test_mistakes_in_other_files(
    tmp_path: Path, option: str, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slurm.conf").write_text("NodeName=n[1-2]\n")
    (tmp_path / "file").write_text(text)
    words = [
        "import",
        str(tmp_path / "slurm.conf"),
        option,
        str(tmp_path / "file"),
        "-o",
        str(tmp_path / "out"),
    ]
    assert main(words) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"packhorse import: {tmp_path}/file{message}")
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "slurm.conf").write_text("NodeName=n1\n")
    (tmp_path / "packhorse.toml").write_text("mine")
    assert main(["import", str(tmp_path / "slurm.conf"), "-o", str(tmp_path)]) == 1
    assert "packhorse.toml is there already; choose another folder with -o" in capsys.readouterr().err
    assert (tmp_path / "packhorse.toml").read_text() == "mine"
    assert not (tmp_path / "report.txt").exists()


def test_keys_that_nobody_knows_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "slurm.conf").write_text("KilWait=3\nKillWait=4\nkillwait=5\nNodeName=n1 Wieght=3\n")
    assert main(["import", str(tmp_path / "slurm.conf")]) == 0
    out = capsys.readouterr().out
    assert "  KilWait=3             slurm.conf:1  Slurm 22.05 does not have it; KillWait is\n" in out
    assert "  NodeName=n1 Wieght=3  slurm.conf:4  Slurm 22.05 does not have it; Weight is\n" in out
    assert f"said again at {tmp_path}/slurm.conf:3, which counts" in out
    assert "nothing was written; -o DIR writes packhorse.toml, report.txt, agent-options.sh" in out


@given(st.text(alphabet=st.sampled_from('NodeName=n[1-2],"\\#\n \tIncludeCPUs:x0/%c+'), max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("conf") / "slurm.conf"
    path.write_text(text)
    try:
        lines = conf_file.read(path)
    except BadValue as error:
        assert str(error).startswith(f"{path}:")
    else:
        assert all(line.pairs for line in lines)
