"""What to run and what it needs, as a Python value."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

MAX_SCRIPT_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """One job (or array). Amounts mean what sbatch's options of the same name mean.

    command: a list of words, run as it is; or a text: a script if it starts with "#!", else shell commands.
        `#SBATCH` lines of a script are not read here: say what is needed in the fields.
    array: as in "0-15", "1,3,7", "0-99%4". after: dependencies, as in "afterok:17,afterany:18".
    memory, memory_per_cpu: MiB as a number, or with a unit as in "8G".
    gres: devices per node, as in "gpu:1", "gpu:h200:2", a share of one as in "gpu:0.25" or (by its memory)
        "gpu:20G", slices as in "gpu:1g.18gb:2". gpu_share: a share of one GPU on every node, as in 0.25 or
        "20G". gpus_per_task: as in 1, 0.25 or "h200:2". gpu_link: those of a node have fast links.
    hops: how far apart the nodes may be in the tree of switches; 0: below one. spread: on many and empty
        nodes. licenses: as in "matlab:2,fluent".
    time_limit: a timedelta, minutes as a number, or a text as in "2:00:00"; None: the partition's default.
    environment: None takes this process's own. output, error: file name patterns (%j, %A, %a, %x …).
    max_retries: run again after a failing exit, that many times, backoff_s doubling from time to time.
    oom_retry: after running out of memory run again with more, as in "2x" or "1.5x,max=3".
    """

    command: str | Sequence[str]
    name: str = ""
    args: Sequence[str] = ()
    cpus: int = 1
    tasks: int = 1
    nodes: int = 1
    tasks_per_node: int = 0
    memory: int | str | None = None
    memory_per_cpu: int | str | None = None
    gres: str = ""
    gpu_share: float | str | None = None
    gpus_per_task: float | str | None = None
    gpu_link: bool = False
    hops: int | None = None
    spread: bool = False
    licenses: str = ""
    time_limit: datetime.timedelta | int | str | None = None
    partition: str = ""
    account: str = ""
    qos: str = ""
    reservation: str = ""
    array: str = ""
    after: str = ""
    begin: datetime.datetime | None = None
    priority: int | None = None
    nice: int = 0
    hold: bool = False
    requeue: bool = True
    max_retries: int = 0
    backoff_s: int = 30
    oom_retry: str = ""
    idle_gpu_ok: bool = False
    constraint: str = ""
    nodelist: str = ""
    exclude: str = ""
    exclusive: bool = False
    work_dir: str | Path | None = None
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    output: str = ""
    error: str = ""
    input: str = ""
    open_mode: Literal["append", "truncate"] | None = None
    comment: str = ""

    def script(self) -> bytes:
        """The batch script; raises ValueError for one that is empty or too long."""
        if isinstance(self.command, str):
            text = self.command
            if not text.strip():
                raise ValueError("the command is empty")
            if not text.startswith("#!"):
                text = f"#!/bin/sh\n{text}\n"
        else:
            words = [str(word) for word in self.command]
            if not words:
                raise ValueError("the command is empty")
            text = f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'
        script = text.encode()
        if len(script) > MAX_SCRIPT_BYTES:
            raise ValueError(
                f"the script has {len(script)} bytes, at most {MAX_SCRIPT_BYTES} are taken: "
                "put it in a file and submit a command that runs the file"
            )
        return script

    def job_name(self) -> str:
        """Its name, or the program's."""
        if self.name:
            return self.name
        if isinstance(self.command, str):
            return "script" if self.command.startswith("#!") else "wrap"
        return Path(str(next(iter(self.command), "job"))).name
