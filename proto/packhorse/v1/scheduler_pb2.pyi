from packhorse.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SignalScope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIGNAL_SCOPE_STEPS: _ClassVar[SignalScope]
    SIGNAL_SCOPE_BATCH: _ClassVar[SignalScope]
    SIGNAL_SCOPE_ALL: _ClassVar[SignalScope]

class NodeAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NODE_ACTION_UNSPECIFIED: _ClassVar[NodeAction]
    NODE_ACTION_DRAIN: _ClassVar[NodeAction]
    NODE_ACTION_RESUME: _ClassVar[NodeAction]
    NODE_ACTION_DOWN: _ClassVar[NodeAction]
SIGNAL_SCOPE_STEPS: SignalScope
SIGNAL_SCOPE_BATCH: SignalScope
SIGNAL_SCOPE_ALL: SignalScope
NODE_ACTION_UNSPECIFIED: NodeAction
NODE_ACTION_DRAIN: NodeAction
NODE_ACTION_RESUME: NodeAction
NODE_ACTION_DOWN: NodeAction

class CreateStepRequest(_message.Message):
    __slots__ = ("job_id", "spec", "idempotency_key", "wait_s")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    spec: _job_pb2.StepSpec
    idempotency_key: str
    wait_s: int
    def __init__(self, job_id: _Optional[int] = ..., spec: _Optional[_Union[_job_pb2.StepSpec, _Mapping]] = ..., idempotency_key: _Optional[str] = ..., wait_s: _Optional[int] = ...) -> None: ...

class CreateStepResponse(_message.Message):
    __slots__ = ("job_id", "step_id", "key", "nodes", "busy", "name")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    BUSY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    step_id: int
    key: str
    nodes: _containers.RepeatedCompositeFieldContainer[StepNode]
    busy: str
    name: str
    def __init__(self, job_id: _Optional[int] = ..., step_id: _Optional[int] = ..., key: _Optional[str] = ..., nodes: _Optional[_Iterable[_Union[StepNode, _Mapping]]] = ..., busy: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class StepNode(_message.Message):
    __slots__ = ("node", "host_name", "boot_id", "door", "ranks")
    NODE_FIELD_NUMBER: _ClassVar[int]
    HOST_NAME_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    DOOR_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    node: str
    host_name: str
    boot_id: str
    door: str
    ranks: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, node: _Optional[str] = ..., host_name: _Optional[str] = ..., boot_id: _Optional[str] = ..., door: _Optional[str] = ..., ranks: _Optional[_Iterable[int]] = ...) -> None: ...

class GetStepRequest(_message.Message):
    __slots__ = ("job_id", "step_id")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    step_id: int
    def __init__(self, job_id: _Optional[int] = ..., step_id: _Optional[int] = ...) -> None: ...

class ListStepsRequest(_message.Message):
    __slots__ = ("fields", "jobs", "filter")
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.RepeatedScalarFieldContainer[str]
    jobs: _containers.RepeatedCompositeFieldContainer[JobRef]
    filter: JobFilter
    def __init__(self, fields: _Optional[_Iterable[str]] = ..., jobs: _Optional[_Iterable[_Union[JobRef, _Mapping]]] = ..., filter: _Optional[_Union[JobFilter, _Mapping]] = ...) -> None: ...

class AwaitAllocationRequest(_message.Message):
    __slots__ = ("job_id", "timeout_s")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    timeout_s: int
    def __init__(self, job_id: _Optional[int] = ..., timeout_s: _Optional[int] = ...) -> None: ...

class AwaitAllocationResponse(_message.Message):
    __slots__ = ("state", "reason", "nodes", "environment", "exit_code", "detail", "ready")
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    state: str
    reason: str
    nodes: _containers.RepeatedScalarFieldContainer[str]
    environment: _containers.RepeatedScalarFieldContainer[str]
    exit_code: int
    detail: str
    ready: bool
    def __init__(self, state: _Optional[str] = ..., reason: _Optional[str] = ..., nodes: _Optional[_Iterable[str]] = ..., environment: _Optional[_Iterable[str]] = ..., exit_code: _Optional[int] = ..., detail: _Optional[str] = ..., ready: _Optional[bool] = ...) -> None: ...

class EndAllocationRequest(_message.Message):
    __slots__ = ("job_id", "exit_code", "exit_signal", "idempotency_key")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    EXIT_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    exit_code: int
    exit_signal: int
    idempotency_key: str
    def __init__(self, job_id: _Optional[int] = ..., exit_code: _Optional[int] = ..., exit_signal: _Optional[int] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class PingRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PingResponse(_message.Message):
    __slots__ = ("cluster", "version", "host", "epoch", "started_at_us", "now_us", "pid")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    NOW_US_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    version: str
    host: str
    epoch: int
    started_at_us: int
    now_us: int
    pid: int
    def __init__(self, cluster: _Optional[str] = ..., version: _Optional[str] = ..., host: _Optional[str] = ..., epoch: _Optional[int] = ..., started_at_us: _Optional[int] = ..., now_us: _Optional[int] = ..., pid: _Optional[int] = ...) -> None: ...

class SubmitJobRequest(_message.Message):
    __slots__ = ("spec", "array", "idempotency_key", "test_only", "right_size", "right_size_cpus")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    ARRAY_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    TEST_ONLY_FIELD_NUMBER: _ClassVar[int]
    RIGHT_SIZE_FIELD_NUMBER: _ClassVar[int]
    RIGHT_SIZE_CPUS_FIELD_NUMBER: _ClassVar[int]
    spec: _job_pb2.JobSpec
    array: _job_pb2.ArraySpec
    idempotency_key: str
    test_only: bool
    right_size: bool
    right_size_cpus: bool
    def __init__(self, spec: _Optional[_Union[_job_pb2.JobSpec, _Mapping]] = ..., array: _Optional[_Union[_job_pb2.ArraySpec, _Mapping]] = ..., idempotency_key: _Optional[str] = ..., test_only: _Optional[bool] = ..., right_size: _Optional[bool] = ..., right_size_cpus: _Optional[bool] = ...) -> None: ...

class SubmitJobResponse(_message.Message):
    __slots__ = ("job_id", "warnings", "estimate", "planned_start_us", "notes")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    PLANNED_START_US_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    warnings: _containers.RepeatedScalarFieldContainer[str]
    estimate: str
    planned_start_us: int
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_id: _Optional[int] = ..., warnings: _Optional[_Iterable[str]] = ..., estimate: _Optional[str] = ..., planned_start_us: _Optional[int] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class SubmitJobsRequest(_message.Message):
    __slots__ = ("specs", "items", "idempotency_key")
    SPECS_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    specs: _containers.RepeatedCompositeFieldContainer[_job_pb2.JobSpec]
    items: _containers.RepeatedCompositeFieldContainer[BatchItem]
    idempotency_key: str
    def __init__(self, specs: _Optional[_Iterable[_Union[_job_pb2.JobSpec, _Mapping]]] = ..., items: _Optional[_Iterable[_Union[BatchItem, _Mapping]]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class BatchItem(_message.Message):
    __slots__ = ("spec", "name", "args", "own_args", "copies")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    OWN_ARGS_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    spec: int
    name: str
    args: _containers.RepeatedScalarFieldContainer[str]
    own_args: bool
    copies: int
    def __init__(self, spec: _Optional[int] = ..., name: _Optional[str] = ..., args: _Optional[_Iterable[str]] = ..., own_args: _Optional[bool] = ..., copies: _Optional[int] = ...) -> None: ...

class SubmitJobsResponse(_message.Message):
    __slots__ = ("first_job_id", "count")
    FIRST_JOB_ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    first_job_id: int
    count: int
    def __init__(self, first_job_id: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class JobRef(_message.Message):
    __slots__ = ("job_id", "indices", "text", "step")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    INDICES_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    indices: _containers.RepeatedCompositeFieldContainer[_job_pb2.IndexRange]
    text: str
    step: int
    def __init__(self, job_id: _Optional[int] = ..., indices: _Optional[_Iterable[_Union[_job_pb2.IndexRange, _Mapping]]] = ..., text: _Optional[str] = ..., step: _Optional[int] = ...) -> None: ...

class JobFilter(_message.Message):
    __slots__ = ("users", "partitions", "names", "states", "accounts", "qos", "nodes", "reservations")
    USERS_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    QOS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    RESERVATIONS_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedScalarFieldContainer[str]
    partitions: _containers.RepeatedScalarFieldContainer[str]
    names: _containers.RepeatedScalarFieldContainer[str]
    states: _containers.RepeatedScalarFieldContainer[str]
    accounts: _containers.RepeatedScalarFieldContainer[str]
    qos: _containers.RepeatedScalarFieldContainer[str]
    nodes: _containers.RepeatedScalarFieldContainer[str]
    reservations: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, users: _Optional[_Iterable[str]] = ..., partitions: _Optional[_Iterable[str]] = ..., names: _Optional[_Iterable[str]] = ..., states: _Optional[_Iterable[str]] = ..., accounts: _Optional[_Iterable[str]] = ..., qos: _Optional[_Iterable[str]] = ..., nodes: _Optional[_Iterable[str]] = ..., reservations: _Optional[_Iterable[str]] = ...) -> None: ...

class CancelJobsRequest(_message.Message):
    __slots__ = ("jobs", "filter", "signal", "scope", "idempotency_key")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[JobRef]
    filter: JobFilter
    signal: int
    scope: SignalScope
    idempotency_key: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[JobRef, _Mapping]]] = ..., filter: _Optional[_Union[JobFilter, _Mapping]] = ..., signal: _Optional[int] = ..., scope: _Optional[_Union[SignalScope, str]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class HoldJobsRequest(_message.Message):
    __slots__ = ("jobs", "as_user", "idempotency_key")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    AS_USER_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[JobRef]
    as_user: bool
    idempotency_key: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[JobRef, _Mapping]]] = ..., as_user: _Optional[bool] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class ReleaseJobsRequest(_message.Message):
    __slots__ = ("jobs", "idempotency_key")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[JobRef]
    idempotency_key: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[JobRef, _Mapping]]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class RequeueJobsRequest(_message.Message):
    __slots__ = ("jobs", "hold", "idempotency_key")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[JobRef]
    hold: bool
    idempotency_key: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[JobRef, _Mapping]]] = ..., hold: _Optional[bool] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class SuspendJobsRequest(_message.Message):
    __slots__ = ("jobs", "idempotency_key")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[JobRef]
    idempotency_key: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[JobRef, _Mapping]]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class ResumeJobsRequest(_message.Message):
    __slots__ = ("jobs", "idempotency_key")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[JobRef]
    idempotency_key: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[JobRef, _Mapping]]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class UpdateJobsRequest(_message.Message):
    __slots__ = ("jobs", "changes", "idempotency_key")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[JobRef]
    changes: JobChanges
    idempotency_key: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[JobRef, _Mapping]]] = ..., changes: _Optional[_Union[JobChanges, _Mapping]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class StringList(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class JobChanges(_message.Message):
    __slots__ = ("name", "comment", "time_limit_s", "time_limit_by_s", "priority", "nice", "partition", "begin_at_us", "dependency", "drop_dependency", "features", "nodes_required", "nodes_excluded", "mem_mib_per_node", "mem_mib_per_cpu", "n_cpus", "min_nodes", "requeue", "array_limit", "account", "qos", "no_lend", "reservation", "deadline_at_us", "site_factor", "wckey", "licenses")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_BY_S_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    NICE_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    BEGIN_AT_US_FIELD_NUMBER: _ClassVar[int]
    DEPENDENCY_FIELD_NUMBER: _ClassVar[int]
    DROP_DEPENDENCY_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    NODES_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    NODES_EXCLUDED_FIELD_NUMBER: _ClassVar[int]
    MEM_MIB_PER_NODE_FIELD_NUMBER: _ClassVar[int]
    MEM_MIB_PER_CPU_FIELD_NUMBER: _ClassVar[int]
    N_CPUS_FIELD_NUMBER: _ClassVar[int]
    MIN_NODES_FIELD_NUMBER: _ClassVar[int]
    REQUEUE_FIELD_NUMBER: _ClassVar[int]
    ARRAY_LIMIT_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    QOS_FIELD_NUMBER: _ClassVar[int]
    NO_LEND_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_AT_US_FIELD_NUMBER: _ClassVar[int]
    SITE_FACTOR_FIELD_NUMBER: _ClassVar[int]
    WCKEY_FIELD_NUMBER: _ClassVar[int]
    LICENSES_FIELD_NUMBER: _ClassVar[int]
    name: str
    comment: str
    time_limit_s: int
    time_limit_by_s: int
    priority: int
    nice: int
    partition: str
    begin_at_us: int
    dependency: _job_pb2.Dependency
    drop_dependency: bool
    features: str
    nodes_required: StringList
    nodes_excluded: StringList
    mem_mib_per_node: int
    mem_mib_per_cpu: int
    n_cpus: int
    min_nodes: int
    requeue: bool
    array_limit: int
    account: str
    qos: str
    no_lend: bool
    reservation: str
    deadline_at_us: int
    site_factor: int
    wckey: str
    licenses: str
    def __init__(self, name: _Optional[str] = ..., comment: _Optional[str] = ..., time_limit_s: _Optional[int] = ..., time_limit_by_s: _Optional[int] = ..., priority: _Optional[int] = ..., nice: _Optional[int] = ..., partition: _Optional[str] = ..., begin_at_us: _Optional[int] = ..., dependency: _Optional[_Union[_job_pb2.Dependency, _Mapping]] = ..., drop_dependency: _Optional[bool] = ..., features: _Optional[str] = ..., nodes_required: _Optional[_Union[StringList, _Mapping]] = ..., nodes_excluded: _Optional[_Union[StringList, _Mapping]] = ..., mem_mib_per_node: _Optional[int] = ..., mem_mib_per_cpu: _Optional[int] = ..., n_cpus: _Optional[int] = ..., min_nodes: _Optional[int] = ..., requeue: _Optional[bool] = ..., array_limit: _Optional[int] = ..., account: _Optional[str] = ..., qos: _Optional[str] = ..., no_lend: _Optional[bool] = ..., reservation: _Optional[str] = ..., deadline_at_us: _Optional[int] = ..., site_factor: _Optional[int] = ..., wckey: _Optional[str] = ..., licenses: _Optional[str] = ...) -> None: ...

class UpdateNodesRequest(_message.Message):
    __slots__ = ("nodes", "action", "reason", "idempotency_key")
    NODES_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedScalarFieldContainer[str]
    action: NodeAction
    reason: str
    idempotency_key: str
    def __init__(self, nodes: _Optional[_Iterable[str]] = ..., action: _Optional[_Union[NodeAction, str]] = ..., reason: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("ref", "code", "message", "slurm")
    REF_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SLURM_FIELD_NUMBER: _ClassVar[int]
    ref: str
    code: str
    message: str
    slurm: str
    def __init__(self, ref: _Optional[str] = ..., code: _Optional[str] = ..., message: _Optional[str] = ..., slurm: _Optional[str] = ...) -> None: ...

class OutcomesResponse(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[Outcome]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[Outcome, _Mapping]]] = ...) -> None: ...

class Column(_message.Message):
    __slots__ = ("name", "ints", "texts")
    NAME_FIELD_NUMBER: _ClassVar[int]
    INTS_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    ints: _containers.RepeatedScalarFieldContainer[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., ints: _Optional[_Iterable[int]] = ..., texts: _Optional[_Iterable[str]] = ...) -> None: ...

class Table(_message.Message):
    __slots__ = ("columns", "n_rows", "now_us", "unknown")
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    N_ROWS_FIELD_NUMBER: _ClassVar[int]
    NOW_US_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedCompositeFieldContainer[Column]
    n_rows: int
    now_us: int
    unknown: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, columns: _Optional[_Iterable[_Union[Column, _Mapping]]] = ..., n_rows: _Optional[int] = ..., now_us: _Optional[int] = ..., unknown: _Optional[_Iterable[str]] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("fields", "jobs", "filter", "include_ended", "expand_arrays")
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_ENDED_FIELD_NUMBER: _ClassVar[int]
    EXPAND_ARRAYS_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.RepeatedScalarFieldContainer[str]
    jobs: _containers.RepeatedCompositeFieldContainer[JobRef]
    filter: JobFilter
    include_ended: bool
    expand_arrays: bool
    def __init__(self, fields: _Optional[_Iterable[str]] = ..., jobs: _Optional[_Iterable[_Union[JobRef, _Mapping]]] = ..., filter: _Optional[_Union[JobFilter, _Mapping]] = ..., include_ended: _Optional[bool] = ..., expand_arrays: _Optional[bool] = ...) -> None: ...

class ListNodesRequest(_message.Message):
    __slots__ = ("fields", "nodes")
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.RepeatedScalarFieldContainer[str]
    nodes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, fields: _Optional[_Iterable[str]] = ..., nodes: _Optional[_Iterable[str]] = ...) -> None: ...

class ListPartitionsRequest(_message.Message):
    __slots__ = ("fields",)
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, fields: _Optional[_Iterable[str]] = ...) -> None: ...

class ListLicensesRequest(_message.Message):
    __slots__ = ("fields",)
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, fields: _Optional[_Iterable[str]] = ...) -> None: ...

class ListPrioritiesRequest(_message.Message):
    __slots__ = ("fields", "jobs", "filter")
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.RepeatedScalarFieldContainer[str]
    jobs: _containers.RepeatedCompositeFieldContainer[JobRef]
    filter: JobFilter
    def __init__(self, fields: _Optional[_Iterable[str]] = ..., jobs: _Optional[_Iterable[_Union[JobRef, _Mapping]]] = ..., filter: _Optional[_Union[JobFilter, _Mapping]] = ...) -> None: ...

class ListSharesRequest(_message.Message):
    __slots__ = ("fields", "accounts", "users")
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.RepeatedScalarFieldContainer[str]
    accounts: _containers.RepeatedScalarFieldContainer[str]
    users: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, fields: _Optional[_Iterable[str]] = ..., accounts: _Optional[_Iterable[str]] = ..., users: _Optional[_Iterable[str]] = ...) -> None: ...

class CompareJobsRequest(_message.Message):
    __slots__ = ("first", "second")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    first: JobRef
    second: JobRef
    def __init__(self, first: _Optional[_Union[JobRef, _Mapping]] = ..., second: _Optional[_Union[JobRef, _Mapping]] = ...) -> None: ...

class CompareJobsResponse(_message.Message):
    __slots__ = ("ahead", "behind", "by", "sentence", "terms")
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    BEHIND_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    ahead: int
    behind: int
    by: int
    sentence: str
    terms: _containers.RepeatedCompositeFieldContainer[PriorityTerm]
    def __init__(self, ahead: _Optional[int] = ..., behind: _Optional[int] = ..., by: _Optional[int] = ..., sentence: _Optional[str] = ..., terms: _Optional[_Iterable[_Union[PriorityTerm, _Mapping]]] = ...) -> None: ...

class PriorityTerm(_message.Message):
    __slots__ = ("name", "amount", "why")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    name: str
    amount: int
    why: str
    def __init__(self, name: _Optional[str] = ..., amount: _Optional[int] = ..., why: _Optional[str] = ...) -> None: ...

class ListQuotasRequest(_message.Message):
    __slots__ = ("fields", "names")
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.RepeatedScalarFieldContainer[str]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, fields: _Optional[_Iterable[str]] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class ListReservationsRequest(_message.Message):
    __slots__ = ("fields", "names")
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.RepeatedScalarFieldContainer[str]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, fields: _Optional[_Iterable[str]] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class NameChange(_message.Message):
    __slots__ = ("names", "sign")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    SIGN_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    sign: str
    def __init__(self, names: _Optional[_Iterable[str]] = ..., sign: _Optional[str] = ...) -> None: ...

class ReservationWish(_message.Message):
    __slots__ = ("name", "start_at_us", "end_at_us", "duration_s", "nodes", "node_counts", "core_counts", "cpus", "partition", "features", "users", "accounts", "groups", "qos", "licenses", "flags", "purge_after_s", "comment", "utc_offset_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    START_AT_US_FIELD_NUMBER: _ClassVar[int]
    END_AT_US_FIELD_NUMBER: _ClassVar[int]
    DURATION_S_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    NODE_COUNTS_FIELD_NUMBER: _ClassVar[int]
    CORE_COUNTS_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    QOS_FIELD_NUMBER: _ClassVar[int]
    LICENSES_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    PURGE_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    UTC_OFFSET_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    start_at_us: int
    end_at_us: int
    duration_s: int
    nodes: NameChange
    node_counts: _containers.RepeatedScalarFieldContainer[int]
    core_counts: _containers.RepeatedScalarFieldContainer[int]
    cpus: int
    partition: str
    features: str
    users: NameChange
    accounts: NameChange
    groups: NameChange
    qos: NameChange
    licenses: str
    flags: NameChange
    purge_after_s: int
    comment: str
    utc_offset_s: int
    def __init__(self, name: _Optional[str] = ..., start_at_us: _Optional[int] = ..., end_at_us: _Optional[int] = ..., duration_s: _Optional[int] = ..., nodes: _Optional[_Union[NameChange, _Mapping]] = ..., node_counts: _Optional[_Iterable[int]] = ..., core_counts: _Optional[_Iterable[int]] = ..., cpus: _Optional[int] = ..., partition: _Optional[str] = ..., features: _Optional[str] = ..., users: _Optional[_Union[NameChange, _Mapping]] = ..., accounts: _Optional[_Union[NameChange, _Mapping]] = ..., groups: _Optional[_Union[NameChange, _Mapping]] = ..., qos: _Optional[_Union[NameChange, _Mapping]] = ..., licenses: _Optional[str] = ..., flags: _Optional[_Union[NameChange, _Mapping]] = ..., purge_after_s: _Optional[int] = ..., comment: _Optional[str] = ..., utc_offset_s: _Optional[int] = ...) -> None: ...

class CreateReservationRequest(_message.Message):
    __slots__ = ("wish", "idempotency_key")
    WISH_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    wish: ReservationWish
    idempotency_key: str
    def __init__(self, wish: _Optional[_Union[ReservationWish, _Mapping]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class UpdateReservationRequest(_message.Message):
    __slots__ = ("wish", "idempotency_key")
    WISH_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    wish: ReservationWish
    idempotency_key: str
    def __init__(self, wish: _Optional[_Union[ReservationWish, _Mapping]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class DeleteReservationRequest(_message.Message):
    __slots__ = ("name", "idempotency_key")
    NAME_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    name: str
    idempotency_key: str
    def __init__(self, name: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class ListAccountingRequest(_message.Message):
    __slots__ = ("fields", "jobs", "filter", "since_us", "until_us", "allocations_only", "duplicates", "limit")
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    SINCE_US_FIELD_NUMBER: _ClassVar[int]
    UNTIL_US_FIELD_NUMBER: _ClassVar[int]
    ALLOCATIONS_ONLY_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.RepeatedScalarFieldContainer[str]
    jobs: _containers.RepeatedCompositeFieldContainer[JobRef]
    filter: JobFilter
    since_us: int
    until_us: int
    allocations_only: bool
    duplicates: bool
    limit: int
    def __init__(self, fields: _Optional[_Iterable[str]] = ..., jobs: _Optional[_Iterable[_Union[JobRef, _Mapping]]] = ..., filter: _Optional[_Union[JobFilter, _Mapping]] = ..., since_us: _Optional[int] = ..., until_us: _Optional[int] = ..., allocations_only: _Optional[bool] = ..., duplicates: _Optional[bool] = ..., limit: _Optional[int] = ...) -> None: ...

class ListLoansRequest(_message.Message):
    __slots__ = ("fields", "jobs", "users", "accounts", "nodes", "since_us", "until_us", "live_only")
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    SINCE_US_FIELD_NUMBER: _ClassVar[int]
    UNTIL_US_FIELD_NUMBER: _ClassVar[int]
    LIVE_ONLY_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.RepeatedScalarFieldContainer[str]
    jobs: _containers.RepeatedCompositeFieldContainer[JobRef]
    users: _containers.RepeatedScalarFieldContainer[str]
    accounts: _containers.RepeatedScalarFieldContainer[str]
    nodes: _containers.RepeatedScalarFieldContainer[str]
    since_us: int
    until_us: int
    live_only: bool
    def __init__(self, fields: _Optional[_Iterable[str]] = ..., jobs: _Optional[_Iterable[_Union[JobRef, _Mapping]]] = ..., users: _Optional[_Iterable[str]] = ..., accounts: _Optional[_Iterable[str]] = ..., nodes: _Optional[_Iterable[str]] = ..., since_us: _Optional[int] = ..., until_us: _Optional[int] = ..., live_only: _Optional[bool] = ...) -> None: ...

class SwitchReclaimRequest(_message.Message):
    __slots__ = ("on", "partition", "account", "recall", "idempotency_key")
    ON_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    on: bool
    partition: str
    account: str
    recall: bool
    idempotency_key: str
    def __init__(self, on: _Optional[bool] = ..., partition: _Optional[str] = ..., account: _Optional[str] = ..., recall: _Optional[bool] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class AccountEdit(_message.Message):
    __slots__ = ("name", "text", "how")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    HOW_FIELD_NUMBER: _ClassVar[int]
    name: str
    text: str
    how: str
    def __init__(self, name: _Optional[str] = ..., text: _Optional[str] = ..., how: _Optional[str] = ...) -> None: ...

class AccountChange(_message.Message):
    __slots__ = ("verb", "thing", "name", "account", "user", "partition", "edits")
    VERB_FIELD_NUMBER: _ClassVar[int]
    THING_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    EDITS_FIELD_NUMBER: _ClassVar[int]
    verb: str
    thing: str
    name: str
    account: str
    user: str
    partition: str
    edits: _containers.RepeatedCompositeFieldContainer[AccountEdit]
    def __init__(self, verb: _Optional[str] = ..., thing: _Optional[str] = ..., name: _Optional[str] = ..., account: _Optional[str] = ..., user: _Optional[str] = ..., partition: _Optional[str] = ..., edits: _Optional[_Iterable[_Union[AccountEdit, _Mapping]]] = ...) -> None: ...

class ChangeAccountsRequest(_message.Message):
    __slots__ = ("changes", "dry_run", "idempotency_key")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[AccountChange]
    dry_run: bool
    idempotency_key: str
    def __init__(self, changes: _Optional[_Iterable[_Union[AccountChange, _Mapping]]] = ..., dry_run: _Optional[bool] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class ChangeAccountsResponse(_message.Message):
    __slots__ = ("lines",)
    LINES_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, lines: _Optional[_Iterable[str]] = ...) -> None: ...

class FieldFilter(_message.Message):
    __slots__ = ("field", "values")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    field: str
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, field: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...

class ListAccountsRequest(_message.Message):
    __slots__ = ("kind", "fields", "filters", "inherited")
    KIND_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    INHERITED_FIELD_NUMBER: _ClassVar[int]
    kind: str
    fields: _containers.RepeatedScalarFieldContainer[str]
    filters: _containers.RepeatedCompositeFieldContainer[FieldFilter]
    inherited: bool
    def __init__(self, kind: _Optional[str] = ..., fields: _Optional[_Iterable[str]] = ..., filters: _Optional[_Iterable[_Union[FieldFilter, _Mapping]]] = ..., inherited: _Optional[bool] = ...) -> None: ...

class SuggestAskRequest(_message.Message):
    __slots__ = ("job", "name", "command", "user")
    JOB_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    job: JobRef
    name: str
    command: str
    user: str
    def __init__(self, job: _Optional[_Union[JobRef, _Mapping]] = ..., name: _Optional[str] = ..., command: _Optional[str] = ..., user: _Optional[str] = ...) -> None: ...

class Advice(_message.Message):
    __slots__ = ("resource", "present", "suggested", "n_runs", "n_fit", "n_beyond", "median", "most", "chance_milli", "sure", "text")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_FIELD_NUMBER: _ClassVar[int]
    N_RUNS_FIELD_NUMBER: _ClassVar[int]
    N_FIT_FIELD_NUMBER: _ClassVar[int]
    N_BEYOND_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    CHANCE_MILLI_FIELD_NUMBER: _ClassVar[int]
    SURE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    resource: str
    present: int
    suggested: int
    n_runs: int
    n_fit: int
    n_beyond: int
    median: int
    most: int
    chance_milli: int
    sure: bool
    text: str
    def __init__(self, resource: _Optional[str] = ..., present: _Optional[int] = ..., suggested: _Optional[int] = ..., n_runs: _Optional[int] = ..., n_fit: _Optional[int] = ..., n_beyond: _Optional[int] = ..., median: _Optional[int] = ..., most: _Optional[int] = ..., chance_milli: _Optional[int] = ..., sure: _Optional[bool] = ..., text: _Optional[str] = ...) -> None: ...

class SuggestAskResponse(_message.Message):
    __slots__ = ("name", "user", "command", "any_arguments", "n_runs", "advice", "options", "note")
    NAME_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ANY_ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    N_RUNS_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    name: str
    user: str
    command: str
    any_arguments: bool
    n_runs: int
    advice: _containers.RepeatedCompositeFieldContainer[Advice]
    options: str
    note: str
    def __init__(self, name: _Optional[str] = ..., user: _Optional[str] = ..., command: _Optional[str] = ..., any_arguments: _Optional[bool] = ..., n_runs: _Optional[int] = ..., advice: _Optional[_Iterable[_Union[Advice, _Mapping]]] = ..., options: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class ListWasteRequest(_message.Message):
    __slots__ = ("since_us", "until_us", "by", "sort", "filter", "limit", "jobs")
    SINCE_US_FIELD_NUMBER: _ClassVar[int]
    UNTIL_US_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    since_us: int
    until_us: int
    by: str
    sort: str
    filter: JobFilter
    limit: int
    jobs: int
    def __init__(self, since_us: _Optional[int] = ..., until_us: _Optional[int] = ..., by: _Optional[str] = ..., sort: _Optional[str] = ..., filter: _Optional[_Union[JobFilter, _Mapping]] = ..., limit: _Optional[int] = ..., jobs: _Optional[int] = ...) -> None: ...

class WasteSum(_message.Message):
    __slots__ = ("key", "n_runs", "n_wide", "n_mem", "n_mem_measured", "mem_given", "mem_wasted", "mem_unmeasured", "n_cpu_measured", "cpu_given", "cpu_wasted", "cpu_unmeasured", "n_gpu", "n_gpu_measured", "gpu_given", "gpu_wasted", "gpu_unmeasured", "last_job")
    KEY_FIELD_NUMBER: _ClassVar[int]
    N_RUNS_FIELD_NUMBER: _ClassVar[int]
    N_WIDE_FIELD_NUMBER: _ClassVar[int]
    N_MEM_FIELD_NUMBER: _ClassVar[int]
    N_MEM_MEASURED_FIELD_NUMBER: _ClassVar[int]
    MEM_GIVEN_FIELD_NUMBER: _ClassVar[int]
    MEM_WASTED_FIELD_NUMBER: _ClassVar[int]
    MEM_UNMEASURED_FIELD_NUMBER: _ClassVar[int]
    N_CPU_MEASURED_FIELD_NUMBER: _ClassVar[int]
    CPU_GIVEN_FIELD_NUMBER: _ClassVar[int]
    CPU_WASTED_FIELD_NUMBER: _ClassVar[int]
    CPU_UNMEASURED_FIELD_NUMBER: _ClassVar[int]
    N_GPU_FIELD_NUMBER: _ClassVar[int]
    N_GPU_MEASURED_FIELD_NUMBER: _ClassVar[int]
    GPU_GIVEN_FIELD_NUMBER: _ClassVar[int]
    GPU_WASTED_FIELD_NUMBER: _ClassVar[int]
    GPU_UNMEASURED_FIELD_NUMBER: _ClassVar[int]
    LAST_JOB_FIELD_NUMBER: _ClassVar[int]
    key: str
    n_runs: int
    n_wide: int
    n_mem: int
    n_mem_measured: int
    mem_given: int
    mem_wasted: int
    mem_unmeasured: int
    n_cpu_measured: int
    cpu_given: int
    cpu_wasted: int
    cpu_unmeasured: int
    n_gpu: int
    n_gpu_measured: int
    gpu_given: int
    gpu_wasted: int
    gpu_unmeasured: int
    last_job: int
    def __init__(self, key: _Optional[str] = ..., n_runs: _Optional[int] = ..., n_wide: _Optional[int] = ..., n_mem: _Optional[int] = ..., n_mem_measured: _Optional[int] = ..., mem_given: _Optional[int] = ..., mem_wasted: _Optional[int] = ..., mem_unmeasured: _Optional[int] = ..., n_cpu_measured: _Optional[int] = ..., cpu_given: _Optional[int] = ..., cpu_wasted: _Optional[int] = ..., cpu_unmeasured: _Optional[int] = ..., n_gpu: _Optional[int] = ..., n_gpu_measured: _Optional[int] = ..., gpu_given: _Optional[int] = ..., gpu_wasted: _Optional[int] = ..., gpu_unmeasured: _Optional[int] = ..., last_job: _Optional[int] = ...) -> None: ...

class WasteJob(_message.Message):
    __slots__ = ("user", "name", "sum", "text", "options")
    USER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUM_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    user: str
    name: str
    sum: WasteSum
    text: str
    options: str
    def __init__(self, user: _Optional[str] = ..., name: _Optional[str] = ..., sum: _Optional[_Union[WasteSum, _Mapping]] = ..., text: _Optional[str] = ..., options: _Optional[str] = ...) -> None: ...

class ListWasteResponse(_message.Message):
    __slots__ = ("total", "rows", "jobs", "since_us", "until_us", "user")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    SINCE_US_FIELD_NUMBER: _ClassVar[int]
    UNTIL_US_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    total: WasteSum
    rows: _containers.RepeatedCompositeFieldContainer[WasteSum]
    jobs: _containers.RepeatedCompositeFieldContainer[WasteJob]
    since_us: int
    until_us: int
    user: str
    def __init__(self, total: _Optional[_Union[WasteSum, _Mapping]] = ..., rows: _Optional[_Iterable[_Union[WasteSum, _Mapping]]] = ..., jobs: _Optional[_Iterable[_Union[WasteJob, _Mapping]]] = ..., since_us: _Optional[int] = ..., until_us: _Optional[int] = ..., user: _Optional[str] = ...) -> None: ...

class ListEstimatesRequest(_message.Message):
    __slots__ = ("latest",)
    LATEST_FIELD_NUMBER: _ClassVar[int]
    latest: int
    def __init__(self, latest: _Optional[int] = ...) -> None: ...

class EstimateSum(_message.Message):
    __slots__ = ("by", "key", "n", "n_inside", "median_error_s", "median_wait_s", "median_interval_s")
    BY_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    N_INSIDE_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_ERROR_S_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_WAIT_S_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    by: str
    key: str
    n: int
    n_inside: int
    median_error_s: int
    median_wait_s: int
    median_interval_s: int
    def __init__(self, by: _Optional[str] = ..., key: _Optional[str] = ..., n: _Optional[int] = ..., n_inside: _Optional[int] = ..., median_error_s: _Optional[int] = ..., median_wait_s: _Optional[int] = ..., median_interval_s: _Optional[int] = ...) -> None: ...

class EstimateDay(_message.Message):
    __slots__ = ("day_us", "n", "n_inside", "error_s", "wait_s")
    DAY_US_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    N_INSIDE_FIELD_NUMBER: _ClassVar[int]
    ERROR_S_FIELD_NUMBER: _ClassVar[int]
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    day_us: int
    n: int
    n_inside: int
    error_s: int
    wait_s: int
    def __init__(self, day_us: _Optional[int] = ..., n: _Optional[int] = ..., n_inside: _Optional[int] = ..., error_s: _Optional[int] = ..., wait_s: _Optional[int] = ...) -> None: ...

class ScoredEstimate(_message.Message):
    __slots__ = ("job_id", "last", "told_at_us", "low_at_us", "median_at_us", "high_at_us", "start_at_us", "partition", "nth")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    TOLD_AT_US_FIELD_NUMBER: _ClassVar[int]
    LOW_AT_US_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_AT_US_FIELD_NUMBER: _ClassVar[int]
    HIGH_AT_US_FIELD_NUMBER: _ClassVar[int]
    START_AT_US_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    NTH_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    last: bool
    told_at_us: int
    low_at_us: int
    median_at_us: int
    high_at_us: int
    start_at_us: int
    partition: str
    nth: int
    def __init__(self, job_id: _Optional[int] = ..., last: _Optional[bool] = ..., told_at_us: _Optional[int] = ..., low_at_us: _Optional[int] = ..., median_at_us: _Optional[int] = ..., high_at_us: _Optional[int] = ..., start_at_us: _Optional[int] = ..., partition: _Optional[str] = ..., nth: _Optional[int] = ...) -> None: ...

class ListEstimatesResponse(_message.Message):
    __slots__ = ("sums", "days", "latest", "n_scored", "n_inside", "n_told", "now_us")
    SUMS_FIELD_NUMBER: _ClassVar[int]
    DAYS_FIELD_NUMBER: _ClassVar[int]
    LATEST_FIELD_NUMBER: _ClassVar[int]
    N_SCORED_FIELD_NUMBER: _ClassVar[int]
    N_INSIDE_FIELD_NUMBER: _ClassVar[int]
    N_TOLD_FIELD_NUMBER: _ClassVar[int]
    NOW_US_FIELD_NUMBER: _ClassVar[int]
    sums: _containers.RepeatedCompositeFieldContainer[EstimateSum]
    days: _containers.RepeatedCompositeFieldContainer[EstimateDay]
    latest: _containers.RepeatedCompositeFieldContainer[ScoredEstimate]
    n_scored: int
    n_inside: int
    n_told: int
    now_us: int
    def __init__(self, sums: _Optional[_Iterable[_Union[EstimateSum, _Mapping]]] = ..., days: _Optional[_Iterable[_Union[EstimateDay, _Mapping]]] = ..., latest: _Optional[_Iterable[_Union[ScoredEstimate, _Mapping]]] = ..., n_scored: _Optional[int] = ..., n_inside: _Optional[int] = ..., n_told: _Optional[int] = ..., now_us: _Optional[int] = ...) -> None: ...

class GetShadowRequest(_message.Message):
    __slots__ = ("latest",)
    LATEST_FIELD_NUMBER: _ClassVar[int]
    latest: int
    def __init__(self, latest: _Optional[int] = ...) -> None: ...

class ShadowDifference(_message.Message):
    __slots__ = ("at_us", "job_id", "kind", "live", "shadow", "shift_s")
    AT_US_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    SHIFT_S_FIELD_NUMBER: _ClassVar[int]
    at_us: int
    job_id: int
    kind: str
    live: str
    shadow: str
    shift_s: int
    def __init__(self, at_us: _Optional[int] = ..., job_id: _Optional[int] = ..., kind: _Optional[str] = ..., live: _Optional[str] = ..., shadow: _Optional[str] = ..., shift_s: _Optional[int] = ...) -> None: ...

class ShadowCount(_message.Message):
    __slots__ = ("kind", "n", "n_jobs")
    KIND_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    N_JOBS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    n: int
    n_jobs: int
    def __init__(self, kind: _Optional[str] = ..., n: _Optional[int] = ..., n_jobs: _Optional[int] = ...) -> None: ...

class GetShadowResponse(_message.Message):
    __slots__ = ("on", "name", "since_us", "error", "n_passes", "n_failed", "last_at_us", "last_ms", "live_milli", "shadow_milli", "counts", "latest", "settings")
    ON_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SINCE_US_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    N_PASSES_FIELD_NUMBER: _ClassVar[int]
    N_FAILED_FIELD_NUMBER: _ClassVar[int]
    LAST_AT_US_FIELD_NUMBER: _ClassVar[int]
    LAST_MS_FIELD_NUMBER: _ClassVar[int]
    LIVE_MILLI_FIELD_NUMBER: _ClassVar[int]
    SHADOW_MILLI_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    LATEST_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    on: bool
    name: str
    since_us: int
    error: str
    n_passes: int
    n_failed: int
    last_at_us: int
    last_ms: int
    live_milli: int
    shadow_milli: int
    counts: _containers.RepeatedCompositeFieldContainer[ShadowCount]
    latest: _containers.RepeatedCompositeFieldContainer[ShadowDifference]
    settings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, on: _Optional[bool] = ..., name: _Optional[str] = ..., since_us: _Optional[int] = ..., error: _Optional[str] = ..., n_passes: _Optional[int] = ..., n_failed: _Optional[int] = ..., last_at_us: _Optional[int] = ..., last_ms: _Optional[int] = ..., live_milli: _Optional[int] = ..., shadow_milli: _Optional[int] = ..., counts: _Optional[_Iterable[_Union[ShadowCount, _Mapping]]] = ..., latest: _Optional[_Iterable[_Union[ShadowDifference, _Mapping]]] = ..., settings: _Optional[_Iterable[str]] = ...) -> None: ...

class SwitchShadowRequest(_message.Message):
    __slots__ = ("name", "config", "off")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    OFF_FIELD_NUMBER: _ClassVar[int]
    name: str
    config: str
    off: bool
    def __init__(self, name: _Optional[str] = ..., config: _Optional[str] = ..., off: _Optional[bool] = ...) -> None: ...

class SwitchShadowResponse(_message.Message):
    __slots__ = ("on", "settings")
    ON_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    on: bool
    settings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, on: _Optional[bool] = ..., settings: _Optional[_Iterable[str]] = ...) -> None: ...

class ExplainJobRequest(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: JobRef
    def __init__(self, job: _Optional[_Union[JobRef, _Mapping]] = ...) -> None: ...

class JobReason(_message.Message):
    __slots__ = ("reason", "text")
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    reason: str
    text: str
    def __init__(self, reason: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class JobAhead(_message.Message):
    __slots__ = ("job", "user", "account", "qos", "priority", "because", "planned_start_us")
    JOB_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    QOS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    PLANNED_START_US_FIELD_NUMBER: _ClassVar[int]
    job: str
    user: str
    account: str
    qos: str
    priority: int
    because: str
    planned_start_us: int
    def __init__(self, job: _Optional[str] = ..., user: _Optional[str] = ..., account: _Optional[str] = ..., qos: _Optional[str] = ..., priority: _Optional[int] = ..., because: _Optional[str] = ..., planned_start_us: _Optional[int] = ...) -> None: ...

class JobChange(_message.Message):
    __slots__ = ("kind", "text", "command", "start_us", "now", "nodes", "admin", "size_milli")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    START_US_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    ADMIN_FIELD_NUMBER: _ClassVar[int]
    SIZE_MILLI_FIELD_NUMBER: _ClassVar[int]
    kind: str
    text: str
    command: str
    start_us: int
    now: bool
    nodes: str
    admin: bool
    size_milli: int
    def __init__(self, kind: _Optional[str] = ..., text: _Optional[str] = ..., command: _Optional[str] = ..., start_us: _Optional[int] = ..., now: _Optional[bool] = ..., nodes: _Optional[str] = ..., admin: _Optional[bool] = ..., size_milli: _Optional[int] = ...) -> None: ...

class NodesRuledOut(_message.Message):
    __slots__ = ("n_nodes", "text")
    N_NODES_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    n_nodes: int
    text: str
    def __init__(self, n_nodes: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class NodeScore(_message.Message):
    __slots__ = ("node", "score")
    NODE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    node: str
    score: float
    def __init__(self, node: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class JobPlace(_message.Message):
    __slots__ = ("n_nodes", "ruled_out", "own", "others", "n_others", "policy")
    N_NODES_FIELD_NUMBER: _ClassVar[int]
    RULED_OUT_FIELD_NUMBER: _ClassVar[int]
    OWN_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    N_OTHERS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    n_nodes: int
    ruled_out: _containers.RepeatedCompositeFieldContainer[NodesRuledOut]
    own: _containers.RepeatedCompositeFieldContainer[NodeScore]
    others: _containers.RepeatedCompositeFieldContainer[NodeScore]
    n_others: int
    policy: str
    def __init__(self, n_nodes: _Optional[int] = ..., ruled_out: _Optional[_Iterable[_Union[NodesRuledOut, _Mapping]]] = ..., own: _Optional[_Iterable[_Union[NodeScore, _Mapping]]] = ..., others: _Optional[_Iterable[_Union[NodeScore, _Mapping]]] = ..., n_others: _Optional[int] = ..., policy: _Optional[str] = ...) -> None: ...

class ExplainJobResponse(_message.Message):
    __slots__ = ("job", "name", "user", "partition", "state", "reasons", "starts", "planned_start_us", "n_ahead", "n_users_ahead", "ahead", "standing", "changes", "place", "now_us")
    JOB_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    STARTS_FIELD_NUMBER: _ClassVar[int]
    PLANNED_START_US_FIELD_NUMBER: _ClassVar[int]
    N_AHEAD_FIELD_NUMBER: _ClassVar[int]
    N_USERS_AHEAD_FIELD_NUMBER: _ClassVar[int]
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    NOW_US_FIELD_NUMBER: _ClassVar[int]
    job: str
    name: str
    user: str
    partition: str
    state: str
    reasons: _containers.RepeatedCompositeFieldContainer[JobReason]
    starts: str
    planned_start_us: int
    n_ahead: int
    n_users_ahead: int
    ahead: _containers.RepeatedCompositeFieldContainer[JobAhead]
    standing: _containers.RepeatedScalarFieldContainer[str]
    changes: _containers.RepeatedCompositeFieldContainer[JobChange]
    place: JobPlace
    now_us: int
    def __init__(self, job: _Optional[str] = ..., name: _Optional[str] = ..., user: _Optional[str] = ..., partition: _Optional[str] = ..., state: _Optional[str] = ..., reasons: _Optional[_Iterable[_Union[JobReason, _Mapping]]] = ..., starts: _Optional[str] = ..., planned_start_us: _Optional[int] = ..., n_ahead: _Optional[int] = ..., n_users_ahead: _Optional[int] = ..., ahead: _Optional[_Iterable[_Union[JobAhead, _Mapping]]] = ..., standing: _Optional[_Iterable[str]] = ..., changes: _Optional[_Iterable[_Union[JobChange, _Mapping]]] = ..., place: _Optional[_Union[JobPlace, _Mapping]] = ..., now_us: _Optional[int] = ...) -> None: ...

class GetReportRequest(_message.Message):
    __slots__ = ("kind", "since_us", "until_us", "tres", "filter", "wckeys")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SINCE_US_FIELD_NUMBER: _ClassVar[int]
    UNTIL_US_FIELD_NUMBER: _ClassVar[int]
    TRES_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    WCKEYS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    since_us: int
    until_us: int
    tres: _containers.RepeatedScalarFieldContainer[str]
    filter: JobFilter
    wckeys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, kind: _Optional[str] = ..., since_us: _Optional[int] = ..., until_us: _Optional[int] = ..., tres: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[JobFilter, _Mapping]] = ..., wckeys: _Optional[_Iterable[str]] = ...) -> None: ...

class GetReportResponse(_message.Message):
    __slots__ = ("table", "since_us", "until_us", "cluster", "accounts")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    SINCE_US_FIELD_NUMBER: _ClassVar[int]
    UNTIL_US_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    table: Table
    since_us: int
    until_us: int
    cluster: str
    accounts: Table
    def __init__(self, table: _Optional[_Union[Table, _Mapping]] = ..., since_us: _Optional[int] = ..., until_us: _Optional[int] = ..., cluster: _Optional[str] = ..., accounts: _Optional[_Union[Table, _Mapping]] = ...) -> None: ...

class GetConfigRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Setting(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class GetConfigResponse(_message.Message):
    __slots__ = ("settings",)
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    settings: _containers.RepeatedCompositeFieldContainer[Setting]
    def __init__(self, settings: _Optional[_Iterable[_Union[Setting, _Mapping]]] = ...) -> None: ...

class ReconfigureRequest(_message.Message):
    __slots__ = ("dry_run",)
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    dry_run: bool
    def __init__(self, dry_run: _Optional[bool] = ...) -> None: ...

class ConfigChange(_message.Message):
    __slots__ = ("key", "old", "new", "restart")
    KEY_FIELD_NUMBER: _ClassVar[int]
    OLD_FIELD_NUMBER: _ClassVar[int]
    NEW_FIELD_NUMBER: _ClassVar[int]
    RESTART_FIELD_NUMBER: _ClassVar[int]
    key: str
    old: str
    new: str
    restart: bool
    def __init__(self, key: _Optional[str] = ..., old: _Optional[str] = ..., new: _Optional[str] = ..., restart: _Optional[bool] = ...) -> None: ...

class ReconfigureResponse(_message.Message):
    __slots__ = ("changes", "problems", "applied")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[ConfigChange]
    problems: _containers.RepeatedScalarFieldContainer[str]
    applied: bool
    def __init__(self, changes: _Optional[_Iterable[_Union[ConfigChange, _Mapping]]] = ..., problems: _Optional[_Iterable[str]] = ..., applied: _Optional[bool] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Amount(_message.Message):
    __slots__ = ("resource", "capacity", "allocated", "used", "lent")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    ALLOCATED_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    LENT_FIELD_NUMBER: _ClassVar[int]
    resource: str
    capacity: int
    allocated: int
    used: int
    lent: int
    def __init__(self, resource: _Optional[str] = ..., capacity: _Optional[int] = ..., allocated: _Optional[int] = ..., used: _Optional[int] = ..., lent: _Optional[int] = ...) -> None: ...

class NodeStatus(_message.Message):
    __slots__ = ("name", "state", "reason", "amounts", "n_jobs", "declared")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AMOUNTS_FIELD_NUMBER: _ClassVar[int]
    N_JOBS_FIELD_NUMBER: _ClassVar[int]
    DECLARED_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: str
    reason: str
    amounts: _containers.RepeatedCompositeFieldContainer[Amount]
    n_jobs: int
    declared: bool
    def __init__(self, name: _Optional[str] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., amounts: _Optional[_Iterable[_Union[Amount, _Mapping]]] = ..., n_jobs: _Optional[int] = ..., declared: _Optional[bool] = ...) -> None: ...

class CountByState(_message.Message):
    __slots__ = ("state", "reason", "count")
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    state: str
    reason: str
    count: int
    def __init__(self, state: _Optional[str] = ..., reason: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("scheduler", "jobs", "nodes", "amounts", "store", "warnings")
    SCHEDULER_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    AMOUNTS_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    scheduler: PingResponse
    jobs: _containers.RepeatedCompositeFieldContainer[CountByState]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeStatus]
    amounts: _containers.RepeatedCompositeFieldContainer[Amount]
    store: str
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, scheduler: _Optional[_Union[PingResponse, _Mapping]] = ..., jobs: _Optional[_Iterable[_Union[CountByState, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[NodeStatus, _Mapping]]] = ..., amounts: _Optional[_Iterable[_Union[Amount, _Mapping]]] = ..., store: _Optional[str] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class GetJobScriptRequest(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: JobRef
    def __init__(self, job: _Optional[_Union[JobRef, _Mapping]] = ...) -> None: ...

class GetJobScriptResponse(_message.Message):
    __slots__ = ("script", "args")
    SCRIPT_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    script: bytes
    args: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, script: _Optional[bytes] = ..., args: _Optional[_Iterable[str]] = ...) -> None: ...

class GetJobUsageRequest(_message.Message):
    __slots__ = ("job", "attempt")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    job: JobRef
    attempt: int
    def __init__(self, job: _Optional[_Union[JobRef, _Mapping]] = ..., attempt: _Optional[int] = ...) -> None: ...

class GetJobUsageResponse(_message.Message):
    __slots__ = ("job_id", "attempt", "points", "step_s", "running")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    STEP_S_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    attempt: int
    points: Table
    step_s: int
    running: bool
    def __init__(self, job_id: _Optional[int] = ..., attempt: _Optional[int] = ..., points: _Optional[_Union[Table, _Mapping]] = ..., step_s: _Optional[int] = ..., running: _Optional[bool] = ...) -> None: ...

class ListJobEventsRequest(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: JobRef
    def __init__(self, job: _Optional[_Union[JobRef, _Mapping]] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("seq", "at_us", "kind", "job_id", "last_job_id", "node", "text", "json")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_JOB_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    seq: int
    at_us: int
    kind: str
    job_id: int
    last_job_id: int
    node: str
    text: str
    json: str
    def __init__(self, seq: _Optional[int] = ..., at_us: _Optional[int] = ..., kind: _Optional[str] = ..., job_id: _Optional[int] = ..., last_job_id: _Optional[int] = ..., node: _Optional[str] = ..., text: _Optional[str] = ..., json: _Optional[str] = ...) -> None: ...

class ListJobEventsResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[JobEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[JobEvent, _Mapping]]] = ...) -> None: ...

class WaitJobsRequest(_message.Message):
    __slots__ = ("jobs", "timeout_s")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[JobRef]
    timeout_s: float
    def __init__(self, jobs: _Optional[_Iterable[_Union[JobRef, _Mapping]]] = ..., timeout_s: _Optional[float] = ...) -> None: ...

class JobResult(_message.Message):
    __slots__ = ("job_id", "ref", "state", "exit_code", "exit_signal", "reason", "n_ended", "n_total", "ended")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    EXIT_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    N_ENDED_FIELD_NUMBER: _ClassVar[int]
    N_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    ref: str
    state: str
    exit_code: int
    exit_signal: int
    reason: str
    n_ended: int
    n_total: int
    ended: bool
    def __init__(self, job_id: _Optional[int] = ..., ref: _Optional[str] = ..., state: _Optional[str] = ..., exit_code: _Optional[int] = ..., exit_signal: _Optional[int] = ..., reason: _Optional[str] = ..., n_ended: _Optional[int] = ..., n_total: _Optional[int] = ..., ended: _Optional[bool] = ...) -> None: ...

class WaitJobsResponse(_message.Message):
    __slots__ = ("results", "all_ended")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    ALL_ENDED_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[JobResult]
    all_ended: bool
    def __init__(self, results: _Optional[_Iterable[_Union[JobResult, _Mapping]]] = ..., all_ended: _Optional[bool] = ...) -> None: ...

class WatchEventsRequest(_message.Message):
    __slots__ = ("after_seq", "jobs")
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    after_seq: int
    jobs: _containers.RepeatedCompositeFieldContainer[JobRef]
    def __init__(self, after_seq: _Optional[int] = ..., jobs: _Optional[_Iterable[_Union[JobRef, _Mapping]]] = ...) -> None: ...

class IssueTokenRequest(_message.Message):
    __slots__ = ("valid_s",)
    VALID_S_FIELD_NUMBER: _ClassVar[int]
    valid_s: int
    def __init__(self, valid_s: _Optional[int] = ...) -> None: ...

class IssueTokenResponse(_message.Message):
    __slots__ = ("token", "expires_at_us")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_US_FIELD_NUMBER: _ClassVar[int]
    token: str
    expires_at_us: int
    def __init__(self, token: _Optional[str] = ..., expires_at_us: _Optional[int] = ...) -> None: ...

class AdmitNodeRequest(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: str
    def __init__(self, node: _Optional[str] = ...) -> None: ...

class AdmitNodeResponse(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: str
    def __init__(self, token: _Optional[str] = ...) -> None: ...

class RelayRequest(_message.Message):
    __slots__ = ("uid", "gid", "user", "group", "method", "body")
    UID_FIELD_NUMBER: _ClassVar[int]
    GID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    uid: int
    gid: int
    user: str
    group: str
    method: str
    body: bytes
    def __init__(self, uid: _Optional[int] = ..., gid: _Optional[int] = ..., user: _Optional[str] = ..., group: _Optional[str] = ..., method: _Optional[str] = ..., body: _Optional[bytes] = ...) -> None: ...

class RelayResponse(_message.Message):
    __slots__ = ("http_status", "body")
    HTTP_STATUS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    http_status: int
    body: bytes
    def __init__(self, http_status: _Optional[int] = ..., body: _Optional[bytes] = ...) -> None: ...

class GetDiagnosticsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PassStatistics(_message.Message):
    __slots__ = ("count", "last_at_us", "last_us", "max_us", "mean_us", "total_us", "last_depth", "mean_depth", "last_tried", "mean_tried", "last_queue", "mean_queue", "last_table", "mean_table")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_AT_US_FIELD_NUMBER: _ClassVar[int]
    LAST_US_FIELD_NUMBER: _ClassVar[int]
    MAX_US_FIELD_NUMBER: _ClassVar[int]
    MEAN_US_FIELD_NUMBER: _ClassVar[int]
    TOTAL_US_FIELD_NUMBER: _ClassVar[int]
    LAST_DEPTH_FIELD_NUMBER: _ClassVar[int]
    MEAN_DEPTH_FIELD_NUMBER: _ClassVar[int]
    LAST_TRIED_FIELD_NUMBER: _ClassVar[int]
    MEAN_TRIED_FIELD_NUMBER: _ClassVar[int]
    LAST_QUEUE_FIELD_NUMBER: _ClassVar[int]
    MEAN_QUEUE_FIELD_NUMBER: _ClassVar[int]
    LAST_TABLE_FIELD_NUMBER: _ClassVar[int]
    MEAN_TABLE_FIELD_NUMBER: _ClassVar[int]
    count: int
    last_at_us: int
    last_us: int
    max_us: int
    mean_us: int
    total_us: int
    last_depth: int
    mean_depth: int
    last_tried: int
    mean_tried: int
    last_queue: int
    mean_queue: int
    last_table: int
    mean_table: int
    def __init__(self, count: _Optional[int] = ..., last_at_us: _Optional[int] = ..., last_us: _Optional[int] = ..., max_us: _Optional[int] = ..., mean_us: _Optional[int] = ..., total_us: _Optional[int] = ..., last_depth: _Optional[int] = ..., mean_depth: _Optional[int] = ..., last_tried: _Optional[int] = ..., mean_tried: _Optional[int] = ..., last_queue: _Optional[int] = ..., mean_queue: _Optional[int] = ..., last_table: _Optional[int] = ..., mean_table: _Optional[int] = ...) -> None: ...

class CallStatistics(_message.Message):
    __slots__ = ("name", "number", "count", "time_us")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    name: str
    number: int
    count: int
    time_us: int
    def __init__(self, name: _Optional[str] = ..., number: _Optional[int] = ..., count: _Optional[int] = ..., time_us: _Optional[int] = ...) -> None: ...

class QueuedOrders(_message.Message):
    __slots__ = ("kind", "count")
    KIND_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    count: int
    def __init__(self, kind: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class WaitingNode(_message.Message):
    __slots__ = ("node", "kind")
    NODE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    node: str
    kind: str
    def __init__(self, node: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...

class GetDiagnosticsResponse(_message.Message):
    __slots__ = ("now_us", "since_us", "n_calls_active", "n_orders_queued", "n_nodes_queued", "n_events_queued", "jobs_submitted", "jobs_started", "jobs_completed", "jobs_cancelled", "jobs_failed", "jobs_pending", "jobs_running", "main", "backfill", "backfilled", "backfilled_ever", "clock_latency_us", "methods", "users", "orders", "waiting_nodes")
    NOW_US_FIELD_NUMBER: _ClassVar[int]
    SINCE_US_FIELD_NUMBER: _ClassVar[int]
    N_CALLS_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    N_ORDERS_QUEUED_FIELD_NUMBER: _ClassVar[int]
    N_NODES_QUEUED_FIELD_NUMBER: _ClassVar[int]
    N_EVENTS_QUEUED_FIELD_NUMBER: _ClassVar[int]
    JOBS_SUBMITTED_FIELD_NUMBER: _ClassVar[int]
    JOBS_STARTED_FIELD_NUMBER: _ClassVar[int]
    JOBS_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    JOBS_CANCELLED_FIELD_NUMBER: _ClassVar[int]
    JOBS_FAILED_FIELD_NUMBER: _ClassVar[int]
    JOBS_PENDING_FIELD_NUMBER: _ClassVar[int]
    JOBS_RUNNING_FIELD_NUMBER: _ClassVar[int]
    MAIN_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    BACKFILLED_FIELD_NUMBER: _ClassVar[int]
    BACKFILLED_EVER_FIELD_NUMBER: _ClassVar[int]
    CLOCK_LATENCY_US_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    WAITING_NODES_FIELD_NUMBER: _ClassVar[int]
    now_us: int
    since_us: int
    n_calls_active: int
    n_orders_queued: int
    n_nodes_queued: int
    n_events_queued: int
    jobs_submitted: int
    jobs_started: int
    jobs_completed: int
    jobs_cancelled: int
    jobs_failed: int
    jobs_pending: int
    jobs_running: int
    main: PassStatistics
    backfill: PassStatistics
    backfilled: int
    backfilled_ever: int
    clock_latency_us: int
    methods: _containers.RepeatedCompositeFieldContainer[CallStatistics]
    users: _containers.RepeatedCompositeFieldContainer[CallStatistics]
    orders: _containers.RepeatedCompositeFieldContainer[QueuedOrders]
    waiting_nodes: _containers.RepeatedCompositeFieldContainer[WaitingNode]
    def __init__(self, now_us: _Optional[int] = ..., since_us: _Optional[int] = ..., n_calls_active: _Optional[int] = ..., n_orders_queued: _Optional[int] = ..., n_nodes_queued: _Optional[int] = ..., n_events_queued: _Optional[int] = ..., jobs_submitted: _Optional[int] = ..., jobs_started: _Optional[int] = ..., jobs_completed: _Optional[int] = ..., jobs_cancelled: _Optional[int] = ..., jobs_failed: _Optional[int] = ..., jobs_pending: _Optional[int] = ..., jobs_running: _Optional[int] = ..., main: _Optional[_Union[PassStatistics, _Mapping]] = ..., backfill: _Optional[_Union[PassStatistics, _Mapping]] = ..., backfilled: _Optional[int] = ..., backfilled_ever: _Optional[int] = ..., clock_latency_us: _Optional[int] = ..., methods: _Optional[_Iterable[_Union[CallStatistics, _Mapping]]] = ..., users: _Optional[_Iterable[_Union[CallStatistics, _Mapping]]] = ..., orders: _Optional[_Iterable[_Union[QueuedOrders, _Mapping]]] = ..., waiting_nodes: _Optional[_Iterable[_Union[WaitingNode, _Mapping]]] = ...) -> None: ...

class ResetDiagnosticsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResetDiagnosticsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class UpdatePartitionsRequest(_message.Message):
    __slots__ = ("names", "state", "idempotency_key")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    state: str
    idempotency_key: str
    def __init__(self, names: _Optional[_Iterable[str]] = ..., state: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class SetTriggerRequest(_message.Message):
    __slots__ = ("event", "job_id", "nodes", "offset_s", "program", "permanent", "idempotency_key")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    OFFSET_S_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    PERMANENT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    event: str
    job_id: int
    nodes: _containers.RepeatedScalarFieldContainer[str]
    offset_s: int
    program: str
    permanent: bool
    idempotency_key: str
    def __init__(self, event: _Optional[str] = ..., job_id: _Optional[int] = ..., nodes: _Optional[_Iterable[str]] = ..., offset_s: _Optional[int] = ..., program: _Optional[str] = ..., permanent: _Optional[bool] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class Trigger(_message.Message):
    __slots__ = ("id", "event", "job_id", "nodes", "offset_s", "user", "uid", "program", "permanent")
    ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    OFFSET_S_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    PERMANENT_FIELD_NUMBER: _ClassVar[int]
    id: int
    event: str
    job_id: int
    nodes: _containers.RepeatedScalarFieldContainer[str]
    offset_s: int
    user: str
    uid: int
    program: str
    permanent: bool
    def __init__(self, id: _Optional[int] = ..., event: _Optional[str] = ..., job_id: _Optional[int] = ..., nodes: _Optional[_Iterable[str]] = ..., offset_s: _Optional[int] = ..., user: _Optional[str] = ..., uid: _Optional[int] = ..., program: _Optional[str] = ..., permanent: _Optional[bool] = ...) -> None: ...

class ListTriggersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListTriggersResponse(_message.Message):
    __slots__ = ("triggers",)
    TRIGGERS_FIELD_NUMBER: _ClassVar[int]
    triggers: _containers.RepeatedCompositeFieldContainer[Trigger]
    def __init__(self, triggers: _Optional[_Iterable[_Union[Trigger, _Mapping]]] = ...) -> None: ...

class ClearTriggersRequest(_message.Message):
    __slots__ = ("id", "job_id", "user", "idempotency_key")
    ID_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    id: int
    job_id: int
    user: str
    idempotency_key: str
    def __init__(self, id: _Optional[int] = ..., job_id: _Optional[int] = ..., user: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class GetCrontabRequest(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: str
    def __init__(self, user: _Optional[str] = ...) -> None: ...

class GetCrontabResponse(_message.Message):
    __slots__ = ("user", "text", "jobs")
    USER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    user: str
    text: str
    jobs: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, user: _Optional[str] = ..., text: _Optional[str] = ..., jobs: _Optional[_Iterable[int]] = ...) -> None: ...

class CrontabEntry(_message.Message):
    __slots__ = ("line", "when", "spec")
    LINE_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    line: int
    when: str
    spec: _job_pb2.JobSpec
    def __init__(self, line: _Optional[int] = ..., when: _Optional[str] = ..., spec: _Optional[_Union[_job_pb2.JobSpec, _Mapping]] = ...) -> None: ...

class SetCrontabRequest(_message.Message):
    __slots__ = ("user", "text", "entries", "idempotency_key")
    USER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    user: str
    text: str
    entries: _containers.RepeatedCompositeFieldContainer[CrontabEntry]
    idempotency_key: str
    def __init__(self, user: _Optional[str] = ..., text: _Optional[str] = ..., entries: _Optional[_Iterable[_Union[CrontabEntry, _Mapping]]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class SetLogLevelRequest(_message.Message):
    __slots__ = ("level",)
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    level: str
    def __init__(self, level: _Optional[str] = ...) -> None: ...

class SetLogLevelResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ShutdownRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ShutdownResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
