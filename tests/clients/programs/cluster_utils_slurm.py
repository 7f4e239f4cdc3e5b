#!/usr/bin/env python3
"""cluster_utils: a grid search of four jobs, run by its server until all have told their results."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

work = Path(tempfile.mkdtemp(prefix="cluster-utils-", dir=os.getcwd()))
os.chdir(work)
code = work / "code"
code.mkdir()
(code / "main.py").write_text("""\
from cluster_utils import cluster_main


@cluster_main
def main(working_dir, id, u, v, **kwargs):
    return {"result": u * u + v}


if __name__ == "__main__":
    main()
""")
for words in (["init", "-q"], ["add", "."], ["-c", "user.name=u", "-c", "user.email=u@example.org", "commit", "-q", "-m", "m"]):
    subprocess.run(["git", *words], cwd=code, check=True)
settings = {
    "optimization_procedure_name": "grid",
    "results_dir": str(work / "results"),
    "script_relative_path": "main.py",
    "remove_jobs_dir": False,
    "no_user_interaction": True,
    "generate_report": "never",
    "fixed_params": {},
    "git_params": {"url": str(code), "branch": subprocess.getoutput(f"git -C {code} branch --show-current"), "depth": None},
    "environment_setup": {},
    "cluster_requirements": {
        "request_cpus": 1,
        "request_gpus": 0,
        "memory_in_mb": 300,
        "bid": 10,
        "request_time": "00:05:00",
        "partition": "main",
        "extra_submission_options": ["--comment=cluster-utils"],
    },
    "hyperparam_list": [{"param": "u", "values": [1, 2]}, {"param": "v", "values": [10, 20]}],
    "restarts": 1,
    "samples": None,
}
subprocess.run(["git", "remote", "add", "origin", str(code)], cwd=code, check=True)
(work / "settings.json").write_text(json.dumps(settings))
done = subprocess.run(
    [sys.executable, "-m", "cluster_utils.grid_search", "settings.json"], text=True, capture_output=True, check=False, timeout=200
)
assert done.returncode == 0, done.stdout + done.stderr
(found,) = (work / "results").rglob("all_data.csv")
rows = sorted(
    float(line.split(",")[found.read_text().splitlines()[0].split(",").index("result")]) for line in found.read_text().splitlines()[1:]
)
assert rows == [11, 14, 21, 24], found.read_text()
print("ok cluster_utils: a grid of four")
