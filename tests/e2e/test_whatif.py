"""`packhorse whatif` on the history of a real cluster, beside its scheduler."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cluster import Cluster


def test_a_real_history_under_another_configuration(cluster: Cluster, tmp_path: Path) -> None:
    nap = cluster.script("nap.sh", "sleep 0.3")
    jobs = [cluster.sbatch("-n", str(n), "-t", "1", nap) for n in (8, 8, 8, 8, 8, 2, 1)]
    jobs.append(cluster.sbatch("--array=0-5", "-n", "4", "-t", "2", nap))
    cluster.wait_all(jobs)
    new = tmp_path / "new.toml"
    new.write_text('[scheduling]\norder = "sjf"\n\n[[partition]]\nname = "main"\nmax_time = 1\n')
    out = tmp_path / "found.json"
    words = ("packhorse", "whatif", "--config", new, "--policy", "saf", "--since", "1h", "--json", out)
    said = cluster.text(*words)
    found = json.loads(out.read_text())
    assert found["jobs"] >= 13
    assert found["nodes"] == ["node1", "node2"]
    assert [column["name"] for column in found["columns"]] == ["today", "new", "saf"]
    assert found["columns"][0]["summary"]["never_ended"] == 0
    assert len(found["columns"][1]["refused"]) >= 6
    assert "at most 1:00 (MaxTime)" in said
    assert found["calibration"]["n"] == found["jobs"]
    assert "calibration  simulated under today's configuration" in said


def test_help_is_the_programs_own(cluster: Cluster) -> None:
    assert "--since TIME" in cluster.text("packhorse", "whatif", "--help")
    assert "--until N" in cluster.text("packhorse", "replay", "--help")
    code, said = cluster.refused("packhorse", "replay", "/nowhere/log/inputs.rec")
    assert code == 1
    assert said == "packhorse replay: store /nowhere/store/packhorse.db: there is no such file\n"
