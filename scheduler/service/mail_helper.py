"""`python -m packhorse.scheduler.service.mail_helper PROGRAM`: runs the mail program, one letter at a time.

A process of its own, because the scheduler is large and busy, and making a process of it would hold it up.
Reads `[TO, SUBJECT, UID, GID]` a line as JSON, UID -1 for its own rights, and answers each with a line: what
went wrong, or nothing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

PROGRAM_S = 30.0
"""How long the program may take for a letter."""

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def send(program: str, to: str, subject: str, uid: int, gid: int) -> str:
    """Runs the program; returns what went wrong, "" for nothing."""
    try:
        process = subprocess.Popen(
            [program, "-s", subject, to],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            cwd="/",
            start_new_session=True,
            user=uid if uid >= 0 else None,
            group=gid if uid >= 0 else None,
            extra_groups=[] if uid >= 0 else None,
        )
    except OSError as error:
        return error.strerror or str(error)
    try:
        code = process.wait(PROGRAM_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"not done in {PROGRAM_S:.0f} s"
    return f"status {code}" if code else ""


def main() -> int:
    """Until there is no more input."""
    for line in sys.stdin:
        to, subject, uid, gid = json.loads(line)
        print(send(sys.argv[1], to, subject, uid, gid), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
