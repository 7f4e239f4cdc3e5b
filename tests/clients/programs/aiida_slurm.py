#!/usr/bin/env python3
"""aiida-core's slurm plugin over its local transport: header, submit, list, details of an ended job, kill, a refusal."""

import os
import tempfile
import time
from pathlib import Path

from aiida.common.datastructures import CodeRunMode
from aiida.engine.processes.exit_code import ExitCode
from aiida.schedulers.datastructures import JobState, JobTemplate, JobTemplateCodeInfo
from aiida.schedulers.plugins.slurm import SlurmScheduler
from aiida.transports.plugins.local import LocalTransport

work = Path(tempfile.mkdtemp(prefix="aiida-", dir=os.getcwd()))
os.chdir(work)
scheduler = SlurmScheduler()


def template(name: str, *words: str, queue: str = "main") -> str:
    code = JobTemplateCodeInfo()
    code.cmdline_params = list(words)
    code.prepend_cmdline_params = ["srun", "-n", "2"]
    code.stdout_name, code.stderr_name = f"{name}.out", f"{name}.err"
    job = JobTemplate()
    job.shebang = "#!/bin/bash"
    job.job_name, job.queue_name = name, queue
    job.job_resource = scheduler.create_job_resource(num_machines=1, num_mpiprocs_per_machine=2, num_cores_per_mpiproc=2)
    job.max_wallclock_seconds, job.max_memory_kb = 600, 512 * 1024
    job.sched_output_path, job.sched_error_path = "_scheduler-stdout.txt", "_scheduler-stderr.txt"
    job.rerunnable, job.email, job.email_on_terminated = True, "user@example.org", True
    job.import_sys_environment = False
    job.codes_info, job.codes_run_mode = [code], CodeRunMode.SERIAL
    text = scheduler.get_submit_script(job)
    (work / f"{name}.sh").write_text(text)
    return f"{name}.sh"


def wait(job: str, *states: JobState) -> None:
    """Until it is in one of the states; an ended job is no longer listed or DONE."""
    deadline = time.monotonic() + 90
    while True:
        found = scheduler.get_jobs(jobs=[job], as_dict=True)
        state = found[job].job_state if job in found else JobState.DONE
        if state in states:
            return
        assert time.monotonic() < deadline, found
        time.sleep(1)


with LocalTransport(use_login_shell=False) as transport:
    scheduler.set_transport(transport)
    short = scheduler.submit_job(str(work), template("short", "sh", "-c", "echo rank $SLURM_PROCID"))
    assert isinstance(short, str) and short.isdigit(), short
    wait(short, JobState.DONE)
    assert sorted((work / "short.out").read_text().splitlines()) == ["rank 0", "rank 1"]
    details = scheduler.get_detailed_job_info(short)
    assert details["retval"] == 0 and not details["stderr"], details
    head, row = details["stdout"].splitlines()[:2]
    assert len(head.split("|")) == len(row.split("|")) > 50, head
    assert scheduler.parse_output(detailed_job_info=details, stdout="", stderr="") is None

    slow = scheduler.submit_job(str(work), template("slow", "sleep", "300"))
    wait(slow, JobState.RUNNING)
    info = scheduler.get_jobs(jobs=[slow], as_dict=True)[slow]
    assert (info.queue_name, info.num_machines, info.num_mpiprocs) == ("main", 1, 4), info
    assert info.requested_wallclock_time_seconds == 600 and info.title == "slow", info
    assert info.allocated_machines_raw and info.submission_time and info.dispatch_time and info.job_owner, info
    user = os.popen("id -un").read().strip()
    assert slow in scheduler.get_jobs(user=user, as_dict=True)
    assert scheduler.kill_job(slow) is True
    wait(slow, JobState.DONE)

    (work / "long.sh").write_text("#!/bin/bash\n#SBATCH --time=0:03 --mem=100M\nsleep 100\n")
    long = scheduler.submit_job(str(work), "long.sh")
    wait(long, JobState.DONE)
    code = scheduler.parse_output(detailed_job_info=scheduler.get_detailed_job_info(long), stdout="", stderr="")
    assert isinstance(code, ExitCode) and "walltime" in code.message, code

    (work / "bad.sh").write_text("#!/bin/bash\n#SBATCH --account=nobody-has-it --partition=none\ntrue\n")
    try:
        scheduler.submit_job(str(work), "bad.sh")
    except Exception as error:
        assert "nvalid" in str(error), error
    else:
        raise AssertionError("a partition that is not there")
print("ok aiida: submitted, listed, details parsed, killed, out of time, refused")
