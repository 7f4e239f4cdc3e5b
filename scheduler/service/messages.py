"""The messages of the Scheduler service as msgspec structs: what the doors hand to `methods` and get back.

One struct per message of proto/packhorse/v1/{job,scheduler}.proto, with the same fields (a test compares
them with the descriptors). JSON written and read through them is proto3 JSON, with 64-bit integers as
numbers; convert_queries.py turns them into protobuf messages and back.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

I32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
I64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
U32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
U64 = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""One bit short of protobuf's: nothing here counts that far."""


class _Message(
    msgspec.Struct, rename="camel", omit_defaults=True, forbid_unknown_fields=True, gc=False, kw_only=True
):
    pass


class Gres(_Message):
    kind: str = ""
    type: str = ""
    count: I64 = 0
    milli: I64 = 0
    mem_mib: I64 = 0


class Ask(_Message):
    n_tasks: U32 = 0
    min_nodes: U32 = 0
    max_nodes: U32 = 0
    tasks_per_node: U32 = 0
    cpu_milli_per_task: I64 = 0
    min_cpu_milli_per_node: I64 = 0
    mem_mib_per_node: I64 = 0
    mem_mib_per_cpu: I64 = 0
    mem_all: bool = False
    tmp_mib_per_node: I64 = 0
    gres_per_node: list[Gres] = []
    gres_per_task: list[Gres] = []
    gres_per_job: list[Gres] = []
    features: str = ""
    nodes_required: list[str] = []
    nodes_excluded: list[str] = []
    exclusive: bool = False
    contiguous: bool = False
    hops: U32 | None = None
    spread: bool = False
    linked: bool = False
    max_switches: U32 = 0


class Condition(_Message):
    kind: str = ""
    job_id: I64 = 0
    array_index: I32 | None = None
    delay_s: I64 = 0


class Dependency(_Message):
    conditions: list[Condition] = []
    any_of: bool = False


class IndexRange(_Message):
    start: I64 = 0
    stop: I64 = 0
    step: I64 = 0


class ArraySpec(_Message):
    ranges: list[IndexRange] = []
    limit: I64 = 0


class WarnSignal(_Message):
    signal: I32 = 0
    seconds_before: I64 = 0
    batch_only: bool = False


class Retry(_Message):
    max_retries: I32 = 0
    backoff_s: I64 = 0
    codes: list[I32] = []
    avoid_node: bool = False


class Gang(_Message):
    name: str = ""
    size: U32 = 0
    wait_s: I64 = 0


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
    value: I64 = 0


class JobSpec(_Message):
    name: str = ""
    ask: Ask | None = None
    partition: str = ""
    account: str = ""
    qos: str = ""
    time_limit_s: I64 | None = None
    priority: I64 | None = None
    nice: I64 = 0
    begin_at_us: I64 = 0
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
    umask: U32 | None = None
    rlimits: list[Limit] = []
    comment: str = ""
    command: str = ""
    submit_host: str = ""
    submit_line: str = ""
    work_dir: str = ""
    args: list[str] = []
    given: Given | None = None
    lease_s: I64 | None = None
    licenses: str = ""
    script: bytes = b""
    environment: list[str] = []
    submit_dir: str = ""
    no_lend: bool = False
    oom_factor_milli: I64 = 0
    oom_max_retries: I64 = 0
    idle_gpu_ok: bool = False
    reservation: str = ""
    deadline_at_us: I64 = 0
    site_factor: I64 = 0
    wckey: str = ""
    checkpoint: WarnSignal | None = None
    gang: Gang | None = None
    switches_wait_s: I64 | None = None
    allocation: str = ""
    mail: str = ""
    mail_user: str = ""


class MultiProgram(_Message):
    ranks: str = ""
    argv: list[str] = []


class StepSpec(_Message):
    name: str = ""
    argv: list[str] = []
    environment: list[str] = []
    work_dir: str = ""
    n_tasks: U32 = 0
    min_nodes: U32 = 0
    max_nodes: U32 = 0
    tasks_per_node: U32 = 0
    cpu_milli_per_task: I64 = 0
    mem_mib_per_node: I64 | None = None
    mem_mib_per_cpu: I64 = 0
    gres_per_node: list[Gres] = []
    gres_per_task: list[Gres] = []
    gres_per_step: list[Gres] = []
    nodes_required: list[str] = []
    nodes_excluded: list[str] = []
    relative: U32 | None = None
    distribution: str = ""
    plane_size: U32 = 0
    overlap: str = ""
    cpu_bind: str = ""
    gpu_bind: str = ""
    multi_prog: list[MultiProgram] = []
    std_in: str = ""
    std_out: str = ""
    std_err: str = ""
    append: bool = False
    input_rank: I32 | None = None
    pty: bool = False
    rows: U32 = 0
    columns: U32 = 0
    mpi: str = ""
    umask: U32 | None = None
    rlimits: list[Limit] = []
    time_limit_s: I64 = 0
    kill_on_bad_exit: bool = False
    wait_s: I64 = 0
    submit_line: str = ""
    submit_host: str = ""
    het_group: U32 | None = None
    unbuffered: bool = False


class CreateStepRequest(_Message):
    job_id: I64 = 0
    spec: StepSpec | None = None
    idempotency_key: str = ""
    wait_s: I64 = 0


class StepNode(_Message):
    node: str = ""
    host_name: str = ""
    boot_id: str = ""
    door: str = ""
    ranks: list[U32] = []


class CreateStepResponse(_Message):
    job_id: I64 = 0
    step_id: U32 = 0
    key: str = ""
    nodes: list[StepNode] = []
    busy: str = ""
    name: str = ""


class GetStepRequest(_Message):
    job_id: I64 = 0
    step_id: U32 = 0


class AwaitAllocationRequest(_Message):
    job_id: I64 = 0
    timeout_s: I64 = 0


class AwaitAllocationResponse(_Message):
    state: str = ""
    reason: str = ""
    nodes: list[str] = []
    environment: list[str] = []
    exit_code: I32 = 0
    detail: str = ""
    ready: bool = False


class EndAllocationRequest(_Message):
    job_id: I64 = 0
    exit_code: I32 = 0
    exit_signal: I32 = 0
    idempotency_key: str = ""


class PingRequest(_Message):
    pass


class PingResponse(_Message):
    cluster: str = ""
    version: str = ""
    host: str = ""
    epoch: I64 = 0
    started_at_us: I64 = 0
    now_us: I64 = 0
    pid: I64 = 0


class SubmitJobRequest(_Message):
    spec: JobSpec | None = None
    array: ArraySpec | None = None
    idempotency_key: str = ""
    test_only: bool = False
    right_size: bool = False
    right_size_cpus: bool = False


class SubmitJobResponse(_Message):
    job_id: I64 = 0
    warnings: list[str] = []
    estimate: str = ""
    planned_start_us: I64 = 0
    notes: list[str] = []


class BatchItem(_Message):
    spec: U32 = 0
    name: str | None = None
    args: list[str] = []
    own_args: bool = False
    copies: U32 = 0


class SubmitJobsRequest(_Message):
    specs: list[JobSpec] = []
    items: list[BatchItem] = []
    idempotency_key: str = ""


class SubmitJobsResponse(_Message):
    first_job_id: I64 = 0
    count: I64 = 0


class JobRef(_Message):
    job_id: I64 = 0
    indices: list[IndexRange] = []
    text: str = ""
    step: U32 | None = None


class JobFilter(_Message):
    users: list[str] = []
    partitions: list[str] = []
    names: list[str] = []
    states: list[str] = []
    accounts: list[str] = []
    qos: list[str] = []
    nodes: list[str] = []
    reservations: list[str] = []


class ListStepsRequest(_Message):
    fields: list[str] = []
    jobs: list[JobRef] = []
    filter: JobFilter | None = None


class SignalScope(StrEnum):
    STEPS = "SIGNAL_SCOPE_STEPS"
    BATCH = "SIGNAL_SCOPE_BATCH"
    ALL = "SIGNAL_SCOPE_ALL"


class CancelJobsRequest(_Message):
    jobs: list[JobRef] = []
    filter: JobFilter | None = None
    signal: I32 = 0
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


class SuspendJobsRequest(_Message):
    jobs: list[JobRef] = []
    idempotency_key: str = ""


class ResumeJobsRequest(_Message):
    jobs: list[JobRef] = []
    idempotency_key: str = ""


class StringList(_Message):
    values: list[str] = []


class JobChanges(_Message):
    name: str | None = None
    comment: str | None = None
    time_limit_s: I64 | None = None
    time_limit_by_s: I64 | None = None
    priority: I64 | None = None
    nice: I64 | None = None
    partition: str | None = None
    begin_at_us: I64 | None = None
    dependency: Dependency | None = None
    drop_dependency: bool = False
    features: str | None = None
    nodes_required: StringList | None = None
    nodes_excluded: StringList | None = None
    mem_mib_per_node: I64 | None = None
    mem_mib_per_cpu: I64 | None = None
    n_cpus: I64 | None = None
    min_nodes: I64 | None = None
    requeue: bool | None = None
    array_limit: I64 | None = None
    account: str | None = None
    qos: str | None = None
    no_lend: bool | None = None
    reservation: str | None = None
    deadline_at_us: I64 | None = None
    site_factor: I64 | None = None
    wckey: str | None = None
    licenses: str | None = None


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
    ints: list[I64] = []
    texts: list[str] = []


class Table(_Message):
    columns: list[Column] = []
    n_rows: U64 = 0
    now_us: I64 = 0
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


class ListLicensesRequest(_Message):
    fields: list[str] = []


class ListPrioritiesRequest(_Message):
    fields: list[str] = []
    jobs: list[JobRef] = []
    filter: JobFilter | None = None


class ListSharesRequest(_Message):
    fields: list[str] = []
    accounts: list[str] = []
    users: list[str] = []


class CompareJobsRequest(_Message):
    first: JobRef | None = None
    second: JobRef | None = None


class PriorityTerm(_Message):
    name: str = ""
    amount: I64 = 0
    why: str = ""


class CompareJobsResponse(_Message):
    ahead: I64 = 0
    behind: I64 = 0
    by: I64 = 0
    sentence: str = ""
    terms: list[PriorityTerm] = []


class ListQuotasRequest(_Message):
    fields: list[str] = []
    names: list[str] = []


class ListReservationsRequest(_Message):
    fields: list[str] = []
    names: list[str] = []


class NameChange(_Message):
    names: list[str] = []
    sign: str = ""


class ReservationWish(_Message):
    name: str = ""
    start_at_us: I64 | None = None
    end_at_us: I64 | None = None
    duration_s: I64 | None = None
    nodes: NameChange | None = None
    node_counts: list[U32] = []
    core_counts: list[U32] = []
    cpus: U32 | None = None
    partition: str | None = None
    features: str | None = None
    users: NameChange | None = None
    accounts: NameChange | None = None
    groups: NameChange | None = None
    qos: NameChange | None = None
    licenses: str | None = None
    flags: NameChange | None = None
    purge_after_s: I64 | None = None
    comment: str | None = None
    utc_offset_s: I64 = 0


class CreateReservationRequest(_Message):
    wish: ReservationWish | None = None
    idempotency_key: str = ""


class UpdateReservationRequest(_Message):
    wish: ReservationWish | None = None
    idempotency_key: str = ""


class DeleteReservationRequest(_Message):
    name: str = ""
    idempotency_key: str = ""


class ListLoansRequest(_Message):
    fields: list[str] = []
    jobs: list[JobRef] = []
    users: list[str] = []
    accounts: list[str] = []
    nodes: list[str] = []
    since_us: I64 = 0
    until_us: I64 = 0
    live_only: bool = False


class SwitchReclaimRequest(_Message):
    on: bool = False
    partition: str = ""
    account: str = ""
    recall: bool = False
    idempotency_key: str = ""


class AccountEdit(_Message):
    name: str = ""
    text: str = ""
    how: str = ""


class AccountChange(_Message):
    verb: str = ""
    thing: str = ""
    name: str = ""
    account: str = ""
    user: str = ""
    partition: str = ""
    edits: list[AccountEdit] = []


class ChangeAccountsRequest(_Message):
    changes: list[AccountChange] = []
    dry_run: bool = False
    idempotency_key: str = ""


class ChangeAccountsResponse(_Message):
    lines: list[str] = []


class FieldFilter(_Message):
    field: str = ""
    values: list[str] = []


class ListAccountsRequest(_Message):
    kind: str = ""
    fields: list[str] = []
    filters: list[FieldFilter] = []
    inherited: bool = False


class ListAccountingRequest(_Message):
    fields: list[str] = []
    jobs: list[JobRef] = []
    filter: JobFilter | None = None
    since_us: I64 = 0
    until_us: I64 = 0
    allocations_only: bool = False
    duplicates: bool = False
    limit: U64 = 0


class SuggestAskRequest(_Message):
    job: JobRef | None = None
    name: str = ""
    command: str = ""
    user: str = ""


class Advice(_Message):
    resource: str = ""
    present: I64 = 0
    suggested: I64 = 0
    n_runs: I64 = 0
    n_fit: I64 = 0
    n_beyond: I64 = 0
    median: I64 = 0
    most: I64 = 0
    chance_milli: I64 = 0
    sure: bool = False
    text: str = ""


class SuggestAskResponse(_Message):
    name: str = ""
    user: str = ""
    command: str = ""
    any_arguments: bool = False
    n_runs: I64 = 0
    advice: list[Advice] = []
    options: str = ""
    note: str = ""


class ListWasteRequest(_Message):
    since_us: I64 = 0
    until_us: I64 = 0
    by: str = ""
    sort: str = ""
    filter: JobFilter | None = None
    limit: U32 = 0
    jobs: U32 = 0


class WasteSum(_Message):
    key: str = ""
    n_runs: I64 = 0
    n_wide: I64 = 0
    n_mem: I64 = 0
    n_mem_measured: I64 = 0
    mem_given: I64 = 0
    mem_wasted: I64 = 0
    mem_unmeasured: I64 = 0
    n_cpu_measured: I64 = 0
    cpu_given: I64 = 0
    cpu_wasted: I64 = 0
    cpu_unmeasured: I64 = 0
    n_gpu: I64 = 0
    n_gpu_measured: I64 = 0
    gpu_given: I64 = 0
    gpu_wasted: I64 = 0
    gpu_unmeasured: I64 = 0
    last_job: I64 = 0


class WasteJob(_Message):
    user: str = ""
    name: str = ""
    sum: WasteSum | None = None
    text: str = ""
    options: str = ""


class ListWasteResponse(_Message):
    total: WasteSum | None = None
    rows: list[WasteSum] = []
    jobs: list[WasteJob] = []
    since_us: I64 = 0
    until_us: I64 = 0
    user: str = ""


class ListEstimatesRequest(_Message):
    latest: U32 = 0


class EstimateSum(_Message):
    by: str = ""
    key: str = ""
    n: I64 = 0
    n_inside: I64 = 0
    median_error_s: I64 = 0
    median_wait_s: I64 = 0
    median_interval_s: I64 = 0


class EstimateDay(_Message):
    day_us: I64 = 0
    n: I64 = 0
    n_inside: I64 = 0
    error_s: I64 = 0
    wait_s: I64 = 0


class ScoredEstimate(_Message):
    job_id: I64 = 0
    last: bool = False
    told_at_us: I64 = 0
    low_at_us: I64 = 0
    median_at_us: I64 = 0
    high_at_us: I64 = 0
    start_at_us: I64 = 0
    partition: str = ""
    nth: U32 = 0


class ListEstimatesResponse(_Message):
    sums: list[EstimateSum] = []
    days: list[EstimateDay] = []
    latest: list[ScoredEstimate] = []
    n_scored: I64 = 0
    n_inside: I64 = 0
    n_told: I64 = 0
    now_us: I64 = 0


class GetShadowRequest(_Message):
    latest: U32 = 0


class ShadowDifference(_Message):
    at_us: I64 = 0
    job_id: I64 = 0
    kind: str = ""
    live: str = ""
    shadow: str = ""
    shift_s: I64 = 0


class ShadowCount(_Message):
    kind: str = ""
    n: I64 = 0
    n_jobs: I64 = 0


class GetShadowResponse(_Message):
    on: bool = False
    name: str = ""
    since_us: I64 = 0
    error: str = ""
    n_passes: I64 = 0
    n_failed: I64 = 0
    last_at_us: I64 = 0
    last_ms: I64 = 0
    live_milli: I64 = 0
    shadow_milli: I64 = 0
    counts: list[ShadowCount] = []
    latest: list[ShadowDifference] = []
    settings: list[str] = []


class SwitchShadowRequest(_Message):
    name: str = ""
    config: str = ""
    off: bool = False


class SwitchShadowResponse(_Message):
    on: bool = False
    settings: list[str] = []


class ExplainJobRequest(_Message):
    job: JobRef | None = None


class JobReason(_Message):
    reason: str = ""
    text: str = ""


class JobAhead(_Message):
    job: str = ""
    user: str = ""
    account: str = ""
    qos: str = ""
    priority: I64 = 0
    because: str = ""
    planned_start_us: I64 = 0


class JobChange(_Message):
    kind: str = ""
    text: str = ""
    command: str = ""
    start_us: I64 = 0
    now: bool = False
    nodes: str = ""
    admin: bool = False
    size_milli: I64 = 0


class NodesRuledOut(_Message):
    n_nodes: U64 = 0
    text: str = ""


class NodeScore(_Message):
    node: str = ""
    score: float = 0.0


class JobPlace(_Message):
    n_nodes: U64 = 0
    ruled_out: list[NodesRuledOut] = []
    own: list[NodeScore] = []
    others: list[NodeScore] = []
    n_others: U64 = 0
    policy: str = ""


class ExplainJobResponse(_Message):
    job: str = ""
    name: str = ""
    user: str = ""
    partition: str = ""
    state: str = ""
    reasons: list[JobReason] = []
    starts: str = ""
    planned_start_us: I64 = 0
    n_ahead: U64 = 0
    n_users_ahead: U64 = 0
    ahead: list[JobAhead] = []
    standing: list[str] = []
    changes: list[JobChange] = []
    place: JobPlace | None = None
    now_us: I64 = 0


class GetReportRequest(_Message):
    kind: str = ""
    since_us: I64 = 0
    until_us: I64 = 0
    tres: list[str] = []
    filter: JobFilter | None = None
    wckeys: list[str] = []


class GetReportResponse(_Message):
    table: Table | None = None
    since_us: I64 = 0
    until_us: I64 = 0
    cluster: str = ""
    accounts: Table | None = None


class GetConfigRequest(_Message):
    pass


class Setting(_Message):
    key: str = ""
    value: str = ""


class GetConfigResponse(_Message):
    settings: list[Setting] = []


class ReconfigureRequest(_Message):
    dry_run: bool = False


class ConfigChange(_Message):
    key: str = ""
    old: str = ""
    new: str = ""
    restart: bool = False


class ReconfigureResponse(_Message):
    changes: list[ConfigChange] = []
    problems: list[str] = []
    applied: bool = False


class GetStatusRequest(_Message):
    pass


class Amount(_Message):
    resource: str = ""
    capacity: I64 = 0
    allocated: I64 = 0
    used: I64 = 0
    lent: I64 = 0


class NodeStatus(_Message):
    name: str = ""
    state: str = ""
    reason: str = ""
    amounts: list[Amount] = []
    n_jobs: U64 = 0
    declared: bool = False


class CountByState(_Message):
    state: str = ""
    reason: str = ""
    count: U64 = 0


class GetStatusResponse(_Message):
    scheduler: PingResponse | None = None
    jobs: list[CountByState] = []
    nodes: list[NodeStatus] = []
    amounts: list[Amount] = []
    store: str = ""
    warnings: list[str] = []


class GetJobScriptRequest(_Message):
    job: JobRef | None = None


class GetJobScriptResponse(_Message):
    script: bytes = b""
    args: list[str] = []


class GetJobUsageRequest(_Message):
    job: JobRef | None = None
    attempt: I64 = 0


class GetJobUsageResponse(_Message):
    job_id: I64 = 0
    attempt: I64 = 0
    points: Table | None = None
    step_s: I64 = 0
    running: bool = False


class ListJobEventsRequest(_Message):
    job: JobRef | None = None


class JobEvent(_Message):
    seq: U64 = 0
    at_us: I64 = 0
    kind: str = ""
    job_id: I64 = 0
    last_job_id: I64 = 0
    node: str = ""
    text: str = ""
    json: str = ""


class ListJobEventsResponse(_Message):
    events: list[JobEvent] = []


class WaitJobsRequest(_Message):
    jobs: list[JobRef] = []
    timeout_s: float = 0.0


class JobResult(_Message):
    job_id: I64 = 0
    ref: str = ""
    state: str = ""
    exit_code: I32 = 0
    exit_signal: I32 = 0
    reason: str = ""
    n_ended: U64 = 0
    n_total: U64 = 0
    ended: bool = False


class WaitJobsResponse(_Message):
    results: list[JobResult] = []
    all_ended: bool = False


class WatchEventsRequest(_Message):
    after_seq: U64 = 0
    jobs: list[JobRef] = []


class IssueTokenRequest(_Message):
    valid_s: I64 = 0


class IssueTokenResponse(_Message):
    token: str = ""
    expires_at_us: I64 = 0


class AdmitNodeRequest(_Message):
    node: str = ""


class AdmitNodeResponse(_Message):
    token: str = ""


class RelayRequest(_Message):
    uid: U32 = 0
    gid: U32 = 0
    user: str = ""
    group: str = ""
    method: str = ""
    body: bytes = b""


class RelayResponse(_Message):
    http_status: I32 = 0
    body: bytes = b""


class GetDiagnosticsRequest(_Message):
    pass


class PassStatistics(_Message):
    count: I64 = 0
    last_at_us: I64 = 0
    last_us: I64 = 0
    max_us: I64 = 0
    mean_us: I64 = 0
    total_us: I64 = 0
    last_depth: I64 = 0
    mean_depth: I64 = 0
    last_tried: I64 = 0
    mean_tried: I64 = 0
    last_queue: I64 = 0
    mean_queue: I64 = 0
    last_table: I64 = 0
    mean_table: I64 = 0


class CallStatistics(_Message):
    name: str = ""
    number: U32 = 0
    count: I64 = 0
    time_us: I64 = 0


class QueuedOrders(_Message):
    kind: str = ""
    count: I64 = 0


class WaitingNode(_Message):
    node: str = ""
    kind: str = ""


class GetDiagnosticsResponse(_Message):
    now_us: I64 = 0
    since_us: I64 = 0
    n_calls_active: I64 = 0
    n_orders_queued: I64 = 0
    n_nodes_queued: I64 = 0
    n_events_queued: I64 = 0
    jobs_submitted: I64 = 0
    jobs_started: I64 = 0
    jobs_completed: I64 = 0
    jobs_cancelled: I64 = 0
    jobs_failed: I64 = 0
    jobs_pending: I64 = 0
    jobs_running: I64 = 0
    main: PassStatistics | None = None
    backfill: PassStatistics | None = None
    backfilled: I64 = 0
    backfilled_ever: I64 = 0
    clock_latency_us: I64 = 0
    methods: list[CallStatistics] = []
    users: list[CallStatistics] = []
    orders: list[QueuedOrders] = []
    waiting_nodes: list[WaitingNode] = []


class ResetDiagnosticsRequest(_Message):
    pass


class ResetDiagnosticsResponse(_Message):
    pass


class UpdatePartitionsRequest(_Message):
    names: list[str] = []
    state: str = ""
    idempotency_key: str = ""


class SetTriggerRequest(_Message):
    event: str = ""
    job_id: I64 = 0
    nodes: list[str] = []
    offset_s: I64 = 0
    program: str = ""
    permanent: bool = False
    idempotency_key: str = ""


class Trigger(_Message):
    id: I64 = 0
    event: str = ""
    job_id: I64 = 0
    nodes: list[str] = []
    offset_s: I64 = 0
    user: str = ""
    uid: U32 = 0
    program: str = ""
    permanent: bool = False


class ListTriggersRequest(_Message):
    pass


class ListTriggersResponse(_Message):
    triggers: list[Trigger] = []


class ClearTriggersRequest(_Message):
    id: I64 = 0
    job_id: I64 = 0
    user: str = ""
    idempotency_key: str = ""


class GetCrontabRequest(_Message):
    user: str = ""


class GetCrontabResponse(_Message):
    user: str = ""
    text: str = ""
    jobs: list[I64] = []


class CrontabEntry(_Message):
    line: U32 = 0
    when: str = ""
    spec: JobSpec | None = None


class SetCrontabRequest(_Message):
    user: str = ""
    text: str = ""
    entries: list[CrontabEntry] = []
    idempotency_key: str = ""


class SetLogLevelRequest(_Message):
    level: str = ""


class SetLogLevelResponse(_Message):
    pass


class ShutdownRequest(_Message):
    pass


class ShutdownResponse(_Message):
    pass
