"""Data-parallel training without PyTorch: every worker computes a gradient on its own data, all add them up.

Fits y = 3x + 2 to noisy points by gradient descent. As with DistributedDataParallel of PyTorch all workers
hold the same weights after every step, since they apply the same mean of all gradients.
"""

import os
import random
import socket
import struct
import time

RANK, WORLD = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
PLACE = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
PATIENCE_S = 60.0


class Group:
    """All workers, joined at rank 0: what torch.distributed.init_process_group sets up."""

    def __init__(self) -> None:
        self.others: dict[int, socket.socket] = {}
        if RANK:
            self.root = self._reach()
            self.root.sendall(struct.pack("<I", RANK))
            return
        with socket.create_server(PLACE, backlog=WORLD) as door:
            door.settimeout(PATIENCE_S)
            while len(self.others) < WORLD - 1:
                other, _ = door.accept()
                other.settimeout(PATIENCE_S)
                (rank,) = struct.unpack("<I", receive(other, 4))
                self.others[rank] = other

    @staticmethod
    def _reach() -> socket.socket:
        """Rank 0 may start later than we do."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return socket.create_connection(PLACE, timeout=PATIENCE_S)
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def all_reduce(self, values: list[float]) -> list[float]:
        """The sums over all workers, the same on each of them."""
        form = struct.Struct(f"<{len(values)}d")
        if RANK:
            self.root.sendall(form.pack(*values))
            return list(form.unpack(receive(self.root, form.size)))
        for rank in sorted(self.others):
            theirs = form.unpack(receive(self.others[rank], form.size))
            values = [a + b for a, b in zip(values, theirs, strict=True)]
        for other in self.others.values():
            other.sendall(form.pack(*values))
        return values


def receive(connection: socket.socket, size: int) -> bytes:
    """Exactly so many bytes."""
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionError("another worker is gone")
        data += piece
    return data


def main() -> None:
    group = Group()
    chance = random.Random(RANK)
    xs = [chance.uniform(-1, 1) for _ in range(200)]
    data = [(x, 3 * x + 2 + chance.gauss(0, 0.1)) for x in xs]
    a = b = 0.0
    for step in range(101):
        errors = [a * x + b - y for x, y in data]
        n = len(data)
        mean = [
            sum(error * x for error, (x, _) in zip(errors, data, strict=True)) / n,
            sum(errors) / n,
            sum(error * error for error in errors) / n,
        ]
        da, db, loss = (total / WORLD for total in group.all_reduce(mean))
        a, b = a - 0.5 * da, b - 0.5 * db
        if RANK == 0 and step % 50 == 0:
            print(f"step {step}: loss {loss:.4f}", flush=True)
    mean_a, mean_b = (total / WORLD for total in group.all_reduce([a, b]))
    assert max(abs(mean_a - a), abs(mean_b - b)) < 1e-12, "the workers' weights differ"
    where = os.environ.get("SLURMD_NODENAME", "?")
    print(f"worker {RANK} of {WORLD} on {where}: y = {a:.2f}x + {b:.2f}", flush=True)


main()
