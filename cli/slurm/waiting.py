"""`sbatch --wait`: until the job has ended, through restarts of the scheduler."""

from __future__ import annotations

import sys
from time import sleep

from packhorse.cli.transport import TransportError, call, field, int_field

WAIT_S = 50.0
"""One call waits this long at the scheduler, then asks again."""

RETRY_S = 2.0


def wait_for(prog: str, job_id: int) -> int:
    """The exit code of the job (of an array: the highest); 1 if a signal ended it or it never ran."""
    told = False
    while True:
        try:
            reply = call("WaitJobs", {"jobs": [{"jobId": job_id}], "timeoutS": WAIT_S})
        except TransportError as error:
            if not told:
                sys.stderr.write(f"{prog}: warning: {error}; waiting for it to come back\n")
                told = True
            sleep(RETRY_S)
            continue
        told = False
        if field(reply, "all_ended", False):
            return max([_code(result) for result in field(reply, "results", [])], default=0)


def _code(result: dict[str, object]) -> int:
    code = int_field(result, "exit_code")
    if code or str(field(result, "state", "COMPLETED")) == "COMPLETED":
        return code & 0xFF
    return 1
