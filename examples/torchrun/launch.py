"""What torchrun does with static rendezvous, as far as train.py needs it, in the standard library.

Starts --nproc-per-node workers and tells each its place by the variables that torch.distributed reads: RANK,
LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, GROUP_RANK, MASTER_ADDR, MASTER_PORT. When one fails the others are
ended, and its code is the launcher's.
"""

import argparse
import os
import subprocess
import sys


def main() -> int:
    parser = argparse.ArgumentParser()
    for name, kind in (("nnodes", int), ("nproc-per-node", int), ("node-rank", int), ("master-port", int)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--master-addr", required=True)
    parser.add_argument("program")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    workers = []
    for local in range(given.nproc_per_node):
        place = {
            "RANK": given.node_rank * given.nproc_per_node + local,
            "LOCAL_RANK": local,
            "WORLD_SIZE": given.nnodes * given.nproc_per_node,
            "LOCAL_WORLD_SIZE": given.nproc_per_node,
            "GROUP_RANK": given.node_rank,
            "MASTER_ADDR": given.master_addr,
            "MASTER_PORT": given.master_port,
        }
        environment = os.environ | {name: str(value) for name, value in place.items()}
        workers.append(subprocess.Popen([sys.executable, given.program, *given.arguments], env=environment))
    return first_failure(workers)


def first_failure(workers: list[subprocess.Popen[bytes]]) -> int:
    """Waits for all; 0, or the code of the first that failed, after which the others are ended."""
    code = 0
    by_pid = {worker.pid: worker for worker in workers}
    while by_pid:
        pid, status = os.wait()
        by_pid.pop(pid, None)
        failed = os.waitstatus_to_exitcode(status)
        if failed and not code:
            code = failed if failed > 0 else 128 - failed
            for worker in by_pid.values():
                worker.terminate()
    return code


if __name__ == "__main__":
    sys.exit(main())
