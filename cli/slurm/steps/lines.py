"""Output of many tasks on one stream, whole lines at a time.

A line of one task is never cut by another's. With labels every line starts with its task's number, padded to
the width of the largest, as Slurm writes it. Bytes are split and joined as they are, never decoded: labels
cost one search and one replacement for a whole piece.
"""

from __future__ import annotations

import os

LONGEST = 1 << 18
"""Of an unfinished line that is kept back; a longer one is written in parts (with labels: in lines)."""


class LineWriter:
    """Writes to one descriptor. n_tasks: how many tasks there are, which is how wide labels are.

    whole_lines: keep back what is no line yet. only: the one task whose output is meant, -1: all.
    """

    def __init__(self, fd: int, n_tasks: int, *, label: bool, whole_lines: bool, only: int = -1) -> None:
        self.fd = fd
        self.broken = False
        """Nobody reads any more: what comes is dropped."""
        self._label = label
        self._whole = whole_lines or label
        self._only = only
        self._width = len(str(max(n_tasks - 1, 0)))
        self._labels: dict[int, bytes] = {}
        self._held: dict[int, bytes] = {}
        self._parts: list[bytes] = []

    def feed(self, rank: int, data: bytes) -> None:
        """More output of a task; `flush` writes it."""
        if self._only not in (-1, rank):
            return
        if not self._whole:
            self._parts.append(data)
            return
        if rank in self._held:
            data = self._held.pop(rank) + data
        end = data.rfind(b"\n") + 1
        if end < len(data):
            if len(data) - end > LONGEST:
                self._emit(rank, data[:end])
                self._emit_rest(rank, data[end:])
                return
            self._held[rank] = data[end:]
            data = data[:end]
        self._emit(rank, data)

    def finish(self, rank: int) -> None:
        """No more comes from this task: what it left unfinished is written as it is."""
        if rank in self._held:
            self._emit_rest(rank, self._held.pop(rank))

    def finish_all(self) -> None:
        """No more comes at all."""
        for rank in sorted(self._held):
            self._emit_rest(rank, self._held.pop(rank))
        self.flush()

    def flush(self) -> None:
        """Writes what there is, in one go."""
        if not self._parts:
            return
        data = b"".join(self._parts) if len(self._parts) > 1 else self._parts[0]
        self._parts.clear()
        if self.broken:
            return
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self.fd, view) :]
            except BlockingIOError:
                self._wait()
            except OSError:
                self.broken = True
                return

    def _wait(self) -> None:
        """Until there is room, where somebody made the descriptor non-blocking (it is shared with whoever
        started us).
        """
        from select import POLLOUT, poll

        waiting = poll()
        waiting.register(self.fd, POLLOUT)
        waiting.poll()

    def _emit(self, rank: int, data: bytes) -> None:
        """Whole lines."""
        if not data:
            return
        if self._label:
            label = self._labels.get(rank)
            if label is None:
                label = self._labels[rank] = b"%*d: " % (self._width, rank)
            data = label + data[:-1].replace(b"\n", b"\n" + label) + b"\n"
        self._parts.append(data)

    def _emit_rest(self, rank: int, data: bytes) -> None:
        """Something without a line's end: it gets one where it got a label."""
        if self._label:
            self._emit(rank, data + b"\n")
        elif data:
            self._parts.append(data)
