#!/usr/bin/env python3
"""pyslurmutils over REST: submit, status, output, cancel, the list of jobs, an executor of futures; its models check every answer."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pyslurmutils.client.errors import RemoteHttpError, RemoteSlurmError
from pyslurmutils.client.rest.script import SlurmScriptRestClient
from pyslurmutils.concurrent.rest import SlurmRestExecutor

work = Path(tempfile.mkdtemp(prefix="pyslurmutils-", dir=os.getcwd()))
os.chdir(work)
address = json.loads(Path(os.environ["PACKHORSE_HOME"], "run/scheduler.addr").read_text())["http"]
token = subprocess.check_output(["packhorse", "token"], text=True).strip()
user = subprocess.check_output(["id", "-un"], text=True).strip()
client = SlurmScriptRestClient(
    url=f"http://{address}",
    user_name=user,
    token=token,
    api_version="v0.0.42",
    log_directory=str(work / "logs"),
    parameters={"time_limit": "00:05:00", "partition": "main"},
    std_split=True,
)
assert client.server_has_api()

job = client.submit_script("#!/bin/bash\necho hello $SLURM_JOB_ID $GREETING\n", parameters={"environment": {"GREETING": "there"}})
assert client.wait_finished(job) == "COMPLETED", client.get_status(job)
out = Path(f"logs/{client.get_job_properties(job).name}.{job}.out")
deadline = time.monotonic() + 20
while not out.exists():
    assert time.monotonic() < deadline
    time.sleep(0.2)
assert out.read_text() == f"hello {job} there\n", out.read_text()

bad = client.submit_script("#!/bin/bash\nexit 3\n")
assert client.wait_finished(bad) == "FAILED"
slow = client.submit_script("#!/bin/bash\nsleep 300\n")
while client.get_status(slow) != "RUNNING":
    time.sleep(0.5)
client.cancel_job(slow)
assert client.wait_finished(slow) == "CANCELLED"
assert {job, bad, slow} <= {found.job_id for found in client.get_all_job_properties()}
try:
    client.submit_script("#!/bin/bash\ntrue\n", parameters={"partition": "none"})
except (RemoteHttpError, RemoteSlurmError) as caught:
    error: BaseException = caught
    while "artition" not in str(error) and (cause := error.__cause__):
        error = cause
    assert 'partition "none" does not exist' in str(error), error
else:
    raise AssertionError("a partition that is not there")

with SlurmRestExecutor(
    url=f"http://{address}",
    user_name=user,
    token=token,
    api_version="v0.0.42",
    log_directory=str(work / "logs"),
    data_directory=str(work / "data"),
    parameters={"time_limit": "00:05:00", "environment": {"PATH": os.environ["PATH"]}},
    python_cmd=sys.executable,
    max_workers=2,
) as executor:
    futures = [executor.submit(pow, 2, n) for n in range(4)]
    assert [future.result(timeout=60) for future in futures] == [1, 2, 4, 8]
    assert len({future.job_id for future in futures}) == 4
print("ok pyslurmutils: three jobs over REST, listed, one refused, four futures")
