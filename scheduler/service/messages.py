"""The messages of the Scheduler service as msgspec structs: what the doors hand to `methods` and get back.

One struct per message of proto/packhorse/v1/{job,scheduler}.proto, with the same fields (a test compares
them with the descriptors). JSON written and read through them is proto3 JSON, with 64-bit integers as
numbers; convert_queries.py turns them into protobuf messages and back.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class _Message(
    msgspec.Struct, rename="camel", omit_defaults=True, forbid_unknown_fields=True, gc=False, kw_only=True
):
    pass


class Gres(_Message):
    kind: str = ""
    type: str = ""
    count: int = 0


class Ask(_Message):
    n_tasks: int = 0
    min_nodes: int = 0
    max_nodes: int = 0
    tasks_per_node: int = 0
    cpu_milli_per_task: int = 0
    min_cpu_milli_per_node: int = 0
    mem_mib_per_node: int = 0
    mem_mib_per_cpu: int = 0
    mem_all: bool = False
    tmp_mib_per_node: int = 0
    gres_per_node: list[Gres] = []
    gres_per_task: list[Gres] = []
    gres_per_job: list[Gres] = []
    features: str = ""
    nodes_required: list[str] = []
    nodes_excluded: list[str] = []
    exclusive: bool = False
    contiguous: bool = False


class Condition(_Message):
    kind: str = ""
    job_id: int = 0
    array_index: int | None = None
    delay_s: int = 0


class Dependency(_Message):
    conditions: list[Condition] = []
    any_of: bool = False


class IndexRange(_Message):
    start: int = 0
    stop: int = 0
    step: int = 0


class ArraySpec(_Message):
    ranges: list[IndexRange] = []
    limit: int = 0


class WarnSignal(_Message):
    signal: int = 0
    seconds_before: int = 0
    batch_only: bool = False


class Retry(_Message):
    max_retries: int = 0
    backoff_s: int = 0


class Given(_Message):
    n_tasks: bool = False
    cpus_per_task: bool = False
    tasks_per_node: bool = False
    gpus: str = ""
    gpus_per_node: str = ""
    gpus_per_task: str = ""
    export: str = ""
    threads_per_core: bool = False


class Limit(_Message):
    name: str = ""
    value: int = 0


class JobSpec(_Message):
    name: str = ""
    ask: Ask | None = None
    partition: str = ""
    account: str = ""
    qos: str = ""
    time_limit_s: int | None = None
    priority: int | None = None
    nice: int = 0
    begin_at_us: int = 0
    hold: bool = False
    dependency: Dependency | None = None
    kill_on_invalid_dep: bool = False
    requeue: bool | None = None
    retry: Retry | None = None
    warn: WarnSignal | None = None
    std_in: str = ""
    std_out: str = ""
    std_err: str = ""
    append: bool | None = None
    umask: int | None = None
    rlimits: list[Limit] = []
    comment: str = ""
    command: str = ""
    submit_host: str = ""
    submit_line: str = ""
    work_dir: str = ""
    args: list[str] = []
    given: Given | None = None
    lease_s: int | None = None
    licenses: str = ""
    script: bytes = b""
    environment: list[str] = []


class PingRequest(_Message):
    pass


class PingResponse(_Message):
    cluster: str = ""
    version: str = ""
    host: str = ""
    epoch: int = 0
    started_at_us: int = 0
    now_us: int = 0
    pid: int = 0


class SubmitJobRequest(_Message):
    spec: JobSpec | None = None
    array: ArraySpec | None = None
    idempotency_key: str = ""
    test_only: bool = False


class SubmitJobResponse(_Message):
    job_id: int = 0
    warnings: list[str] = []
    estimate: str = ""
    planned_start_us: int = 0


class BatchItem(_Message):
    spec: int = 0
    name: str | None = None
    args: list[str] = []
    own_args: bool = False
    copies: int = 0


class SubmitJobsRequest(_Message):
    specs: list[JobSpec] = []
    items: list[BatchItem] = []
    idempotency_key: str = ""


class SubmitJobsResponse(_Message):
    first_job_id: int = 0
    count: int = 0


class JobRef(_Message):
    job_id: int = 0
    indices: list[IndexRange] = []
    text: str = ""


class JobFilter(_Message):
    users: list[str] = []
    partitions: list[str] = []
    names: list[str] = []
    states: list[str] = []
    accounts: list[str] = []
    qos: list[str] = []
    nodes: list[str] = []


class SignalScope(StrEnum):
    STEPS = "SIGNAL_SCOPE_STEPS"
    BATCH = "SIGNAL_SCOPE_BATCH"
    ALL = "SIGNAL_SCOPE_ALL"


class CancelJobsRequest(_Message):
    jobs: list[JobRef] = []
    filter: JobFilter | None = None
    signal: int = 0
    scope: SignalScope = SignalScope.STEPS
    idempotency_key: str = ""


class HoldJobsRequest(_Message):
    jobs: list[JobRef] = []
    as_user: bool = False
    idempotency_key: str = ""


class ReleaseJobsRequest(_Message):
    jobs: list[JobRef] = []
    idempotency_key: str = ""


class RequeueJobsRequest(_Message):
    jobs: list[JobRef] = []
    hold: bool = False
    idempotency_key: str = ""


class StringList(_Message):
    values: list[str] = []


class JobChanges(_Message):
    name: str | None = None
    comment: str | None = None
    time_limit_s: int | None = None
    time_limit_by_s: int | None = None
    priority: int | None = None
    nice: int | None = None
    partition: str | None = None
    begin_at_us: int | None = None
    dependency: Dependency | None = None
    drop_dependency: bool = False
    features: str | None = None
    nodes_required: StringList | None = None
    nodes_excluded: StringList | None = None
    mem_mib_per_node: int | None = None
    mem_mib_per_cpu: int | None = None
    n_cpus: int | None = None
    min_nodes: int | None = None
    requeue: bool | None = None
    array_limit: int | None = None
    account: str | None = None
    qos: str | None = None


class UpdateJobsRequest(_Message):
    jobs: list[JobRef] = []
    changes: JobChanges | None = None
    idempotency_key: str = ""


class NodeAction(StrEnum):
    UNSPECIFIED = "NODE_ACTION_UNSPECIFIED"
    DRAIN = "NODE_ACTION_DRAIN"
    RESUME = "NODE_ACTION_RESUME"
    DOWN = "NODE_ACTION_DOWN"


class UpdateNodesRequest(_Message):
    nodes: list[str] = []
    action: NodeAction = NodeAction.UNSPECIFIED
    reason: str = ""
    idempotency_key: str = ""


class Outcome(_Message):
    ref: str = ""
    code: str = ""
    message: str = ""
    slurm: str = ""


class OutcomesResponse(_Message):
    outcomes: list[Outcome] = []


class Column(_Message):
    name: str = ""
    ints: list[int] = []
    texts: list[str] = []


class Table(_Message):
    columns: list[Column] = []
    n_rows: int = 0
    now_us: int = 0
    unknown: list[str] = []


class ListJobsRequest(_Message):
    fields: list[str] = []
    jobs: list[JobRef] = []
    filter: JobFilter | None = None
    include_ended: bool = False
    expand_arrays: bool = False


class ListNodesRequest(_Message):
    fields: list[str] = []
    nodes: list[str] = []


class ListPartitionsRequest(_Message):
    fields: list[str] = []


class ListAccountingRequest(_Message):
    fields: list[str] = []
    jobs: list[JobRef] = []
    filter: JobFilter | None = None
    since_us: int = 0
    until_us: int = 0
    allocations_only: bool = False
    duplicates: bool = False
    limit: int = 0


class GetConfigRequest(_Message):
    pass


class Setting(_Message):
    key: str = ""
    value: str = ""


class GetConfigResponse(_Message):
    settings: list[Setting] = []


class GetStatusRequest(_Message):
    pass


class Amount(_Message):
    resource: str = ""
    capacity: int = 0
    allocated: int = 0
    used: int = 0


class NodeStatus(_Message):
    name: str = ""
    state: str = ""
    reason: str = ""
    amounts: list[Amount] = []
    n_jobs: int = 0
    declared: bool = False


class CountByState(_Message):
    state: str = ""
    reason: str = ""
    count: int = 0


class GetStatusResponse(_Message):
    scheduler: PingResponse | None = None
    jobs: list[CountByState] = []
    nodes: list[NodeStatus] = []
    amounts: list[Amount] = []
    store: str = ""


class GetJobScriptRequest(_Message):
    job: JobRef | None = None


class GetJobScriptResponse(_Message):
    script: bytes = b""
    args: list[str] = []


class ListJobEventsRequest(_Message):
    job: JobRef | None = None


class JobEvent(_Message):
    seq: int = 0
    at_us: int = 0
    kind: str = ""
    job_id: int = 0
    last_job_id: int = 0
    node: str = ""
    text: str = ""
    json: str = ""


class ListJobEventsResponse(_Message):
    events: list[JobEvent] = []


class WaitJobsRequest(_Message):
    jobs: list[JobRef] = []
    timeout_s: float = 0.0


class JobResult(_Message):
    job_id: int = 0
    ref: str = ""
    state: str = ""
    exit_code: int = 0
    exit_signal: int = 0
    reason: str = ""
    n_ended: int = 0
    n_total: int = 0
    ended: bool = False


class WaitJobsResponse(_Message):
    results: list[JobResult] = []
    all_ended: bool = False


class WatchEventsRequest(_Message):
    after_seq: int = 0
    jobs: list[JobRef] = []


class IssueTokenRequest(_Message):
    valid_s: int = 0


class IssueTokenResponse(_Message):
    token: str = ""
    expires_at_us: int = 0
