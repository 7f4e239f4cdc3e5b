"""What sbatch makes of options about devices, and how scontrol shows devices, licences and wishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packhorse.cli import wire
from packhorse.cli.commands import up
from packhorse.cli.slurm.fields_nodes import NODE_COLUMNS
from packhorse.cli.slurm.show_node import node_lines
from packhorse.client.convert import spec_of
from packhorse.client.request import JobRequest
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.shapes import shape
from packhorse.v1 import job_pb2
from tests.cli import session
from tests.cli.commands import Run
from tests.cli.fake_scheduler import FakeScheduler


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


GPU = {"kind": "gpu", "type": "", "count": 1}
QUARTER = GPU | {"milli": 250}


@pytest.mark.parametrize(
    ("words", "ask"),
    [
        ("--gres=gpu:0.25", {"gresPerNode": [QUARTER]}),
        ("--gres=gpu:h200:20G", {"gresPerNode": [GPU | {"type": "h200", "memMib": 20480}]}),
        ("--gres=gpu:1g.10gb:2", {"gresPerNode": [GPU | {"type": "1g.10gb", "count": 2}]}),
        ("--gres=none", {}),
        ("--gpus=0.5", {"gresPerJob": [GPU | {"milli": 500}]}),
        ("--gpu-share=0.25", {"gresPerNode": [QUARTER]}),
        ("--gpu-share=h200:20G", {"gresPerNode": [GPU | {"type": "h200", "memMib": 20480}]}),
        ("-n4 --gpus-per-task=0.25", {"nTasks": 4, "gresPerTask": [QUARTER]}),
        ("-n4 --ntasks-per-gpu=2", {"nTasks": 4, "gresPerJob": [GPU | {"count": 2}]}),
        ("--gpus=3 --ntasks-per-gpu=2", {"nTasks": 6, "gresPerJob": [GPU | {"count": 3}]}),
        (
            "-N2 --gpus-per-node=4 --ntasks-per-gpu=2",
            {
                "minNodes": 2,
                "maxNodes": 2,
                "nTasks": 16,
                "tasksPerNode": 8,
                "gresPerNode": [GPU | {"count": 4}],
            },
        ),
        (
            "--gpus=2 --cpus-per-gpu=4 --mem-per-gpu=10G",
            {"gresPerJob": [GPU | {"count": 2}], "minCpuMilliPerNode": 8000, "memMibPerNode": 20480},
        ),
        (
            "--gres=gpu:2 -N2-4 --cpus-per-gpu=4 --mem-per-gpu=1G --mincpus=3",
            {
                "gresPerNode": [GPU | {"count": 2}],
                "minNodes": 2,
                "maxNodes": 4,
                "minCpuMilliPerNode": 8000,
                "memMibPerNode": 2048,
            },
        ),
        (
            "--gpu-share=0.25 --cpus-per-gpu=6 --mem-per-gpu=1001M",
            {"gresPerNode": [QUARTER], "minCpuMilliPerNode": 1500, "memMibPerNode": 251},
        ),
        (
            "-n4 --gpus-per-task=2 --cpus-per-gpu=3 --mem-per-gpu=1G",
            {
                "nTasks": 4,
                "gresPerTask": [GPU | {"count": 2}],
                "cpuMilliPerTask": 6000,
                "memMibPerCpu": 342,
            },
        ),
        (
            "-N2 --ntasks-per-node=3 --gpus-per-task=1 --mem-per-gpu=1G",
            {"minNodes": 2, "maxNodes": 2, "tasksPerNode": 3, "gresPerTask": [GPU], "memMibPerNode": 3072},
        ),
        ("-n3 -N1 --gpus-per-task=1 --mem-per-gpu=1G", {"gresPerTask": [GPU], "memMibPerNode": 3072}),
        (
            "-N1 --gpus=3 --gpus-per-task=1 --mem-per-gpu=1G",
            {"gresPerJob": [GPU | {"count": 3}], "gresPerTask": [GPU], "nTasks": 3, "memMibPerNode": 3072},
        ),
        (
            "--gres=gpu:4 --gpus-per-task=1 --mem-per-gpu=1G",
            {"gresPerNode": [GPU | {"count": 4}], "gresPerTask": [GPU], "memMibPerNode": 4096},
        ),
        ("--gpu-link=required --gres=gpu:4", {"gresPerNode": [GPU | {"count": 4}], "linked": True}),
        ("--gres=gpu --gres-flags=enforce-binding", {"gresPerNode": [GPU]}),
        ("-N4 --switches=1", {"maxSwitches": 1}),
        ("-N4 --switches=2@10:00", {"maxSwitches": 2}),
        ("-N4 --hops=2", {"hops": 2}),
        ("--spread-job", {"spread": True}),
        ("-C a*2&b*1", {"features": "a*2&b*1"}),
    ],
)
def test_what_is_asked_for(scheduler: FakeScheduler, run: Run, words: str, ask: dict[str, Any]) -> None:
    scheduler.on("SubmitJob", {"jobId": 7})
    assert run("sbatch", *words.split(), "--wrap", "true") == (0, "Submitted batch job 7\n", "")
    sent = scheduler.bodies("SubmitJob")[-1]["spec"]["ask"]
    assert {name: value for name, value in sent.items() if name in ask} == ask
    assert ask or not sent


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--gres=gpu:nan", '"gpu:nan": "nan" is no amount'),
        ("--gpus=1.5", '"1.5": ask for whole GPUs or for a share below 1, not for 1.5'),
        ("--gpus-per-task=-1", 'the amount "-1" has a sign'),
        ("--gpu-share=2", '--gpu-share="2" is not a share of one GPU'),
        ("--gpu-share=0.5,0.5", '--gpu-share="0.5,0.5" is not a share of one GPU'),
        ("--gpu-link=fast", 'accepted are "required" and "any"'),
        (
            "--gres=gpu --gres-flags=one-task-per-sharing",
            "--gres-flags=one-task-per-sharing is not",
        ),
        ("--gpus-per-socket=1", "option --gpus-per-socket is not supported by Packhorse yet"),
        ("--cpus-per-gpu=2", "--cpus-per-gpu needs GPUs"),
        ("--cpus-per-gpu=0 --gpus=1", 'Invalid numeric value "0" for --cpus-per-gpu'),
        ("--cpus-per-gpu=2 --gpus=1 -c2", "mutually exclusive with --cpus-per-task"),
        ("--cpus-per-gpu=2 -N2 --gpus=4", "how many of the 4 GPUs (--gpus) a node has is not known"),
        ("--mem-per-gpu=2G -n2 --gpus=4", "give --nodes=1, --gpus-per-node or --mem"),
        ("--mem-per-gpu=2G --gpu-share=20G", "depends on the GPU; give --mem"),
        ("--mem-per-gpu=0 --gpus=1", "Invalid --mem-per-gpu specification: 0"),
        ("--mem-per-gpu=2G --gpus=1 --mem=1G", "mutually exclusive"),
        ("--ntasks-per-gpu=2", "needs to know how many GPUs (--gpus) or tasks (--ntasks)"),
        ("--ntasks-per-gpu=2 -n3", "3 tasks (--ntasks) are not a multiple of it"),
        ("--ntasks-per-gpu=2 --gpus=2 -n3", "2 GPUs make 4 tasks, --ntasks says 3"),
        ("--ntasks-per-gpu=2 --gpus=0.5", "about whole GPUs"),
        ("--ntasks-per-gpu=2 --gpus=2 --ntasks-per-node=2", "mutually exclusive with --ntasks-per-node"),
        ("--ntasks-per-gpu=2 --gpus-per-node=2 -N1-2", "not a range (--nodes)"),
        ("-n8 -N2 --ntasks-per-node=2", "does not go on 2 nodes: 4 tasks at most"),
        ("--switches=0", "--switches"),
        ("--switches=x", 'Invalid numeric value "x" for --switches'),
        ("--switches=1@soon", '"soon" is not a time'),
        ("--hops=-1", 'Invalid numeric value "-1" for --hops'),
        ("--hops=64", "--hops=64 is over 63"),
        ("--hops=1 --switches=1", "--hops and --switches are mutually exclusive"),
        ("-L a:0", '--licenses: "a:0": the count is not between 1 and'),
    ],
)
def test_what_is_refused_without_asking(scheduler: FakeScheduler, run: Run, words: str, why: str) -> None:
    code, out, err = run("sbatch", *words.split(), "--wrap", "true")
    assert code in (1, 255) and not out and why in err, err
    assert scheduler.requests == []


def test_where_options_about_devices_may_stand(
    scheduler: FakeScheduler, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler.on("SubmitJob", {"jobId": 7})
    Path("job.sh").write_text(
        "#!/bin/sh\n#SBATCH --gpus-per-node=0.5 --spread-job\n#SBATCH -L matlab:2 --mem-per-gpu=2G\n"
    )
    assert run("sbatch", "job.sh")[0] == 0
    spec = scheduler.bodies("SubmitJob")[-1]["spec"]
    assert spec["ask"] == {"gresPerNode": [GPU | {"milli": 500}], "spread": True, "memMibPerNode": 1024}
    assert (spec["licenses"], spec["given"]) == ("matlab:2", {"gpusPerNode": "0.5"})
    monkeypatch.setenv("SBATCH_GPUS_PER_NODE", "0.25")
    monkeypatch.setenv("SBATCH_REQ_SWITCH", "1@10:00")
    assert run("sbatch", "--mem=3G", "job.sh")[0] == 0
    spec = scheduler.bodies("SubmitJob")[-1]["spec"]
    assert spec["switchesWaitS"] == 600
    assert spec["ask"] == {
        "gresPerNode": [QUARTER],
        "spread": True,
        "memMibPerNode": 3072,
        "maxSwitches": 1,
    }


DEVICES = [
    {
        "kind": "gpu",
        "index": 0,
        "type": "h200",
        "declared": True,
        "mem_mib": 144_384,
        "numa": 0,
        "link": 0,
        "used": 500,
        "jobs": [12, 15],
    },
    {
        "kind": "gpu",
        "index": 1,
        "type": "h200",
        "declared": True,
        "used": 142,
        "jobs": [17],
        "layouts": ["7x1g.18gb"],
        "layout": "7x1g.18gb",
        "in_use": ["1g.18gb#0:17"],
    },
    {"kind": "gpu", "index": 2, "type": "h200", "declared": True, "layouts": ["7x1g.18gb", "1x7g.141gb"]},
    {"kind": "gpu", "index": 3, "type": "h200", "declared": True, "used": 955, "jobs": [4]},
    {"kind": "gpu", "index": 4, "type": "h200", "dead": "fell off the bus (NVML: GPU is lost)"},
    {"kind": "nic", "index": 0},
]
SHOWN = """\
PackhorseDevices=gpu:h200:4(declared),gpu:h200:1,nic:1
Device=gpu:0 Type=h200 Memory=141G NumaNode=0 Link=0 Used=0.50 Free=0.50 Jobs=12,15
Device=gpu:1 Type=h200 Used=0.142 Free=0.858 Jobs=17 Layout=7x1g.18gb InUse=1g.18gb#0:17
Device=gpu:2 Type=h200 Used=0.00 Free=1.00 Layouts=7x1g.18gb|1x7g.141gb
Device=gpu:3 Type=h200 Used=0.955 Free=0.045 Jobs=4
Device=gpu:4 Type=h200 Used=0.00 Free=0.00 Dead=fell off the bus (NVML: GPU is lost)
Device=nic:0 Used=0.00 Free=1.00
PackhorseTopology=rack1/switch2
PackhorseWarning=gpu 0 has rows of memory to be remapped by its next reset
PackhorseWarning=NVML does not answer
""".splitlines()


def node() -> dict[str, Any]:
    return session.NODES[1] | {
        "devices": wire.dumps(DEVICES).decode(),
        "topology": "rack1/switch2",
        "warnings": "gpu 0 has rows of memory to be remapped by its next reset\nNVML does not answer",
    }


def test_the_devices_of_a_node() -> None:
    lines = node_lines(node())
    assert "Gres=gpu:2" in lines
    start = lines.index(SHOWN[0])
    assert lines[start : start + len(SHOWN)] == SHOWN
    assert not [line for line in node_lines(session.NODES[1]) if "Packhorse" in line or "Device=" in line]
    assert node().keys() == NODE_COLUMNS.keys()


def test_the_devices_of_a_node_as_json(scheduler: FakeScheduler, run: Run) -> None:
    scheduler.table("ListNodes", [node()], session.NOW_S)
    code, out, _ = run("scontrol", "show", "node", "--json")
    [shown] = wire.loads(out.encode())["nodes"]
    first, second, *_ = shown["packhorse_devices"]
    assert (code, shown["packhorse_topology"]) == (0, ["rack1", "switch2"])
    assert shown["packhorse_warnings"] == node()["warnings"].splitlines()
    assert [device["dead"] for device in shown["packhorse_devices"]] == [
        "",
        "",
        "",
        "",
        DEVICES[4]["dead"],
        "",
    ]
    assert (first["used_milli"], first["jobs"], first["declared"], first["numa_node"]["number"]) == (
        500,
        [12, 15],
        True,
        0,
    )
    assert (second["layout"], second["in_use"], second["link_group"]["set"]) == (
        "7x1g.18gb",
        ["1g.18gb#0:17"],
        False,
    )


def test_licences(scheduler: FakeScheduler, run: Run) -> None:
    scheduler.table("ListLicenses", [], session.NOW_S)
    assert run("scontrol", "show", "lic") == (0, "No licenses configured in Slurm.\n", "")
    rows = [{"name": name, "total": 10, "used": 3, "free": 7} for name in ("matlab", "fluent")]
    scheduler.table("ListLicenses", rows, session.NOW_S)
    assert run("scontrol", "show", "licenses")[1] == (
        "LicenseName=matlab\n    Total=10 Used=3 Free=7 Reserved=0 Remote=no\n"
        "LicenseName=fluent\n    Total=10 Used=3 Free=7 Reserved=0 Remote=no\n"
    )
    assert run("scontrol", "-o", "show", "lic", "fluent")[1] == (
        "LicenseName=fluent Total=10 Used=3 Free=7 Reserved=0 Remote=no\n"
    )
    assert run("scontrol", "show", "lic", "nosuch") == (1, "License nosuch not found\n", "")
    listed = wire.loads(run("scontrol", "show", "lic", "--json")[1].encode())["licenses"]
    assert [(item["LicenseName"], item["Total"], item["Used"], item["Free"]) for item in listed] == [
        ("matlab", 10, 3, 7),
        ("fluent", 10, 3, 7),
    ]


def test_a_job_that_asks_for_shares(scheduler: FakeScheduler, run: Run) -> None:
    row = session.job(7, "j", gres_per_task="gpu:0.25", gres_per_job="gpu:2", topology="hops=0,spread")
    scheduler.table("ListJobs", [row], session.NOW_S)
    out = run("scontrol", "show", "job", "7")[1]
    shown = ["TresPerJob=gres:gpu:2", "TresPerTask=gres:gpu:0.25", "PackhorseTopology=hops=0,spread"]
    assert "   " + "\n   ".join(shown) + "\n" in out


def test_a_cluster_of_declared_gpus() -> None:
    made = up.shape(
        nodes=4,
        gpus=8,
        gpu_type="h200",
        gpu_mem="141G",
        gpu_link_groups=2,
        gpu_layouts="7x1g.18gb",
        racks=2,
    )
    options = up.options_of(made, "node3")
    assert options[options.index("--gres") :] == [
        *("--gres", "gpu:h200:8", "--gpu-mem", "144384", "--gpu-link-groups", "2"),
        *("--gpu-layouts", "7x1g.18gb", "--topology", "rack2"),
    ]
    assert [up.options_of(made, name)[-1] for name in made["nodes"]] == ["rack1", "rack1", "rack2", "rack2"]
    assert "--topology" not in up.options_of(up.shape(nodes=1), up.shape(nodes=1)["nodes"][0])


def test_agents_of_one_machine_bind_nothing() -> None:
    """They do not know of each other's jobs."""
    alone = up.shape(nodes=1, cgroups="none")["options"]
    assert alone == ["--cgroups", "none"]
    options = up.shape(nodes=2, mem="4G")["options"]
    assert options[options.index("--bind") + 1] == "none"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"gpu_mem": "1G"}, "add --gpus-per-node"),
        ({"gpu_type": "h200"}, "--gpu-type is about the GPUs of --gpus-per-node"),
        ({"gpus": 2, "gpu_mem": "lots"}, "--gpu-mem lots"),
        ({"gpus": 2, "gpu_link_groups": 0}, "--gpu-link-groups 0"),
        ({"gpus": 2, "gpu_layouts": "halves"}, '--gpu-layouts: layout "halves"'),
        ({"gpus": -1}, "--gpus-per-node -1"),
        ({"gpus": 2, "gpu_type": "a:b"}, '"gpu:a:b:2" is not a device count'),
        ({"gpus": 2, "gpu_type": "a=b"}, '"gpu:a=b:2" is not a device count'),
        ({"gpus": 2, "gpu_mem": "99999999P"}, "--gpu-mem: .* over the limit"),
        ({"gpus": 2, "gpu_link_groups": 3}, "2 GPUs do not come in 3 equal groups"),
        ({"gres": "foo"}, '"foo" is not a device count'),
        ({"racks": 3}, "--racks 3: 2 nodes stand in 1 to 2 racks"),
    ],
)
def test_a_cluster_that_cannot_be(given: dict[str, Any], why: str) -> None:
    with pytest.raises(BadValue, match=why):
        up.shape(nodes=2, **given)


def test_the_python_client_asks_for_the_same() -> None:
    def asked(**fields: Any) -> job_pb2.Ask:
        return spec_of(JobRequest(command="true", **fields)).ask

    made = asked(gpu_share=0.25, hops=0, spread=True, gpu_link=True)
    assert list(made.gres_per_node) == [job_pb2.Gres(kind="gpu", count=1, milli=250)]
    assert (made.HasField("hops"), made.hops, made.spread, made.linked) == (True, 0, True, True)
    assert not asked().HasField("hops")
    both = asked(gres="nic:2,gpu:h200:20G", tasks=2)
    assert list(both.gres_per_node) == [
        job_pb2.Gres(kind="nic", count=2),
        job_pb2.Gres(kind="gpu", type="h200", count=1, mem_mib=20480),
    ]
    assert list(asked(gpus_per_task="h200:2").gres_per_task) == [
        job_pb2.Gres(kind="gpu", type="h200", count=2)
    ]
    assert spec_of(JobRequest(command="true", licenses="matlab:2")).licenses == "matlab:2"
    for wrong in ({"gpu_share": 2}, {"gpu_share": 1.5}, {"gres": "gpu:x:y"}, {"hops": -1}):
        with pytest.raises(ValueError, match=r"share|amount|hops"):
            asked(**wrong)


def test_the_client_says_what_follows_running_out_of_memory() -> None:
    spec = spec_of(JobRequest(command="true", memory="1G", oom_retry="1.5x,max=3", idle_gpu_ok=True))
    assert (spec.oom_factor_milli, spec.oom_max_retries, spec.idle_gpu_ok) == (1500, 3, True)
    plain = spec_of(JobRequest(command="true"))
    assert (plain.oom_factor_milli, plain.oom_max_retries, plain.idle_gpu_ok) == (0, 0, False)
    with pytest.raises(ValueError, match="is not a factor over 1"):
        spec_of(JobRequest(command="true", oom_retry="1x"))


def test_parts_of_devices_in_the_json_of_sacct() -> None:
    tres = "billing=2,cpu=2,gres/gpu=1.136,gres/gpu:1g.18gb=8,gres/gpumem=20G,mem=1G,node=1"
    found = {(item["type"], item["name"]): item["count"] for item in shape.tres(tres)}
    assert found == {
        ("billing", ""): 2,
        ("cpu", ""): 2,
        ("gres", "gpu"): 2,
        ("gres", "gpu:1g.18gb"): 8,
        ("gres", "gpumem"): 20_480,
        ("mem", ""): 1024,
        ("node", ""): 1,
    }
