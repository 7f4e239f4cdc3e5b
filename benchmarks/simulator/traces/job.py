"""A job of a trace, whatever the trace was: what all readers give and the simulator takes."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Ending(StrEnum):
    """How the job ended when the trace was recorded."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"


class TraceJob(msgspec.Struct, frozen=True, gc=False):
    """One job. Times in microseconds of the trace's own clock.

    id: as the trace has it. run_us: how long it runs once started, 0 and more. limit_us: what its user asked
    for, 0: not known. tasks: processes, each with cpu_milli, mem_mib and n_gpus devices, or, for n_gpus 1,
    gpu_milli thousandths of one. gpu_type: "" for any. nodes: how many its tasks are spread over, 0: as many
    as it takes. queue, user, group, name: "" where unknown; name: of the program or model. after: the job
    that has to end think_us before this one is submitted, "" for none. weight: relative importance.
    start_us: how long it takes to begin working whenever it is started, on top of run_us. qos: "" for the
    usual one. use: name of what it uses of its memory over time, "": all of it.
    """

    id: str
    submit_us: int
    run_us: int
    limit_us: int = 0
    tasks: int = 1
    cpu_milli: int = 1000
    mem_mib: int = 0
    n_gpus: int = 0
    gpu_milli: int = 1000
    gpu_type: str = ""
    nodes: int = 0
    user: str = ""
    group: str = ""
    queue: str = ""
    name: str = ""
    ending: Ending = Ending.COMPLETED
    after: str = ""
    think_us: int = 0
    weight: float = 1.0
    start_us: int = 0
    qos: str = ""
    use: str = ""
