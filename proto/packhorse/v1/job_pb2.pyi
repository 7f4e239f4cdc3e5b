from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Gres(_message.Message):
    __slots__ = ("kind", "type", "count", "milli", "mem_mib")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MILLI_FIELD_NUMBER: _ClassVar[int]
    MEM_MIB_FIELD_NUMBER: _ClassVar[int]
    kind: str
    type: str
    count: int
    milli: int
    mem_mib: int
    def __init__(self, kind: _Optional[str] = ..., type: _Optional[str] = ..., count: _Optional[int] = ..., milli: _Optional[int] = ..., mem_mib: _Optional[int] = ...) -> None: ...

class Ask(_message.Message):
    __slots__ = ("n_tasks", "min_nodes", "max_nodes", "tasks_per_node", "cpu_milli_per_task", "min_cpu_milli_per_node", "mem_mib_per_node", "mem_mib_per_cpu", "mem_all", "tmp_mib_per_node", "gres_per_node", "gres_per_task", "gres_per_job", "features", "nodes_required", "nodes_excluded", "exclusive", "contiguous", "hops", "spread", "linked", "max_switches")
    N_TASKS_FIELD_NUMBER: _ClassVar[int]
    MIN_NODES_FIELD_NUMBER: _ClassVar[int]
    MAX_NODES_FIELD_NUMBER: _ClassVar[int]
    TASKS_PER_NODE_FIELD_NUMBER: _ClassVar[int]
    CPU_MILLI_PER_TASK_FIELD_NUMBER: _ClassVar[int]
    MIN_CPU_MILLI_PER_NODE_FIELD_NUMBER: _ClassVar[int]
    MEM_MIB_PER_NODE_FIELD_NUMBER: _ClassVar[int]
    MEM_MIB_PER_CPU_FIELD_NUMBER: _ClassVar[int]
    MEM_ALL_FIELD_NUMBER: _ClassVar[int]
    TMP_MIB_PER_NODE_FIELD_NUMBER: _ClassVar[int]
    GRES_PER_NODE_FIELD_NUMBER: _ClassVar[int]
    GRES_PER_TASK_FIELD_NUMBER: _ClassVar[int]
    GRES_PER_JOB_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    NODES_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    NODES_EXCLUDED_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIVE_FIELD_NUMBER: _ClassVar[int]
    CONTIGUOUS_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    SPREAD_FIELD_NUMBER: _ClassVar[int]
    LINKED_FIELD_NUMBER: _ClassVar[int]
    MAX_SWITCHES_FIELD_NUMBER: _ClassVar[int]
    n_tasks: int
    min_nodes: int
    max_nodes: int
    tasks_per_node: int
    cpu_milli_per_task: int
    min_cpu_milli_per_node: int
    mem_mib_per_node: int
    mem_mib_per_cpu: int
    mem_all: bool
    tmp_mib_per_node: int
    gres_per_node: _containers.RepeatedCompositeFieldContainer[Gres]
    gres_per_task: _containers.RepeatedCompositeFieldContainer[Gres]
    gres_per_job: _containers.RepeatedCompositeFieldContainer[Gres]
    features: str
    nodes_required: _containers.RepeatedScalarFieldContainer[str]
    nodes_excluded: _containers.RepeatedScalarFieldContainer[str]
    exclusive: bool
    contiguous: bool
    hops: int
    spread: bool
    linked: bool
    max_switches: int
    def __init__(self, n_tasks: _Optional[int] = ..., min_nodes: _Optional[int] = ..., max_nodes: _Optional[int] = ..., tasks_per_node: _Optional[int] = ..., cpu_milli_per_task: _Optional[int] = ..., min_cpu_milli_per_node: _Optional[int] = ..., mem_mib_per_node: _Optional[int] = ..., mem_mib_per_cpu: _Optional[int] = ..., mem_all: _Optional[bool] = ..., tmp_mib_per_node: _Optional[int] = ..., gres_per_node: _Optional[_Iterable[_Union[Gres, _Mapping]]] = ..., gres_per_task: _Optional[_Iterable[_Union[Gres, _Mapping]]] = ..., gres_per_job: _Optional[_Iterable[_Union[Gres, _Mapping]]] = ..., features: _Optional[str] = ..., nodes_required: _Optional[_Iterable[str]] = ..., nodes_excluded: _Optional[_Iterable[str]] = ..., exclusive: _Optional[bool] = ..., contiguous: _Optional[bool] = ..., hops: _Optional[int] = ..., spread: _Optional[bool] = ..., linked: _Optional[bool] = ..., max_switches: _Optional[int] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("kind", "job_id", "array_index", "delay_s")
    KIND_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ARRAY_INDEX_FIELD_NUMBER: _ClassVar[int]
    DELAY_S_FIELD_NUMBER: _ClassVar[int]
    kind: str
    job_id: int
    array_index: int
    delay_s: int
    def __init__(self, kind: _Optional[str] = ..., job_id: _Optional[int] = ..., array_index: _Optional[int] = ..., delay_s: _Optional[int] = ...) -> None: ...

class Dependency(_message.Message):
    __slots__ = ("conditions", "any_of")
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    ANY_OF_FIELD_NUMBER: _ClassVar[int]
    conditions: _containers.RepeatedCompositeFieldContainer[Condition]
    any_of: bool
    def __init__(self, conditions: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ..., any_of: _Optional[bool] = ...) -> None: ...

class IndexRange(_message.Message):
    __slots__ = ("start", "stop", "step")
    START_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    start: int
    stop: int
    step: int
    def __init__(self, start: _Optional[int] = ..., stop: _Optional[int] = ..., step: _Optional[int] = ...) -> None: ...

class ArraySpec(_message.Message):
    __slots__ = ("ranges", "limit")
    RANGES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ranges: _containers.RepeatedCompositeFieldContainer[IndexRange]
    limit: int
    def __init__(self, ranges: _Optional[_Iterable[_Union[IndexRange, _Mapping]]] = ..., limit: _Optional[int] = ...) -> None: ...

class WarnSignal(_message.Message):
    __slots__ = ("signal", "seconds_before", "batch_only")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    SECONDS_BEFORE_FIELD_NUMBER: _ClassVar[int]
    BATCH_ONLY_FIELD_NUMBER: _ClassVar[int]
    signal: int
    seconds_before: int
    batch_only: bool
    def __init__(self, signal: _Optional[int] = ..., seconds_before: _Optional[int] = ..., batch_only: _Optional[bool] = ...) -> None: ...

class Retry(_message.Message):
    __slots__ = ("max_retries", "backoff_s", "codes", "avoid_node")
    MAX_RETRIES_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_S_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    AVOID_NODE_FIELD_NUMBER: _ClassVar[int]
    max_retries: int
    backoff_s: int
    codes: _containers.RepeatedScalarFieldContainer[int]
    avoid_node: bool
    def __init__(self, max_retries: _Optional[int] = ..., backoff_s: _Optional[int] = ..., codes: _Optional[_Iterable[int]] = ..., avoid_node: _Optional[bool] = ...) -> None: ...

class Gang(_message.Message):
    __slots__ = ("name", "size", "wait_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    size: int
    wait_s: int
    def __init__(self, name: _Optional[str] = ..., size: _Optional[int] = ..., wait_s: _Optional[int] = ...) -> None: ...

class Given(_message.Message):
    __slots__ = ("n_tasks", "cpus_per_task", "tasks_per_node", "gpus", "gpus_per_node", "gpus_per_task", "export", "threads_per_core")
    N_TASKS_FIELD_NUMBER: _ClassVar[int]
    CPUS_PER_TASK_FIELD_NUMBER: _ClassVar[int]
    TASKS_PER_NODE_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    GPUS_PER_NODE_FIELD_NUMBER: _ClassVar[int]
    GPUS_PER_TASK_FIELD_NUMBER: _ClassVar[int]
    EXPORT_FIELD_NUMBER: _ClassVar[int]
    THREADS_PER_CORE_FIELD_NUMBER: _ClassVar[int]
    n_tasks: bool
    cpus_per_task: bool
    tasks_per_node: bool
    gpus: str
    gpus_per_node: str
    gpus_per_task: str
    export: str
    threads_per_core: bool
    def __init__(self, n_tasks: _Optional[bool] = ..., cpus_per_task: _Optional[bool] = ..., tasks_per_node: _Optional[bool] = ..., gpus: _Optional[str] = ..., gpus_per_node: _Optional[str] = ..., gpus_per_task: _Optional[str] = ..., export: _Optional[str] = ..., threads_per_core: _Optional[bool] = ...) -> None: ...

class Limit(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: int
    def __init__(self, name: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...

class JobSpec(_message.Message):
    __slots__ = ("name", "ask", "partition", "account", "qos", "time_limit_s", "priority", "nice", "begin_at_us", "hold", "dependency", "kill_on_invalid_dep", "requeue", "retry", "warn", "std_in", "std_out", "std_err", "append", "umask", "rlimits", "comment", "command", "submit_host", "submit_line", "work_dir", "args", "given", "lease_s", "licenses", "script", "environment", "submit_dir", "no_lend", "oom_factor_milli", "oom_max_retries", "idle_gpu_ok", "reservation", "deadline_at_us", "site_factor", "wckey", "checkpoint", "gang", "switches_wait_s", "allocation", "mail", "mail_user")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ASK_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    QOS_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    NICE_FIELD_NUMBER: _ClassVar[int]
    BEGIN_AT_US_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    DEPENDENCY_FIELD_NUMBER: _ClassVar[int]
    KILL_ON_INVALID_DEP_FIELD_NUMBER: _ClassVar[int]
    REQUEUE_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    WARN_FIELD_NUMBER: _ClassVar[int]
    STD_IN_FIELD_NUMBER: _ClassVar[int]
    STD_OUT_FIELD_NUMBER: _ClassVar[int]
    STD_ERR_FIELD_NUMBER: _ClassVar[int]
    APPEND_FIELD_NUMBER: _ClassVar[int]
    UMASK_FIELD_NUMBER: _ClassVar[int]
    RLIMITS_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_HOST_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_LINE_FIELD_NUMBER: _ClassVar[int]
    WORK_DIR_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    LEASE_S_FIELD_NUMBER: _ClassVar[int]
    LICENSES_FIELD_NUMBER: _ClassVar[int]
    SCRIPT_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_DIR_FIELD_NUMBER: _ClassVar[int]
    NO_LEND_FIELD_NUMBER: _ClassVar[int]
    OOM_FACTOR_MILLI_FIELD_NUMBER: _ClassVar[int]
    OOM_MAX_RETRIES_FIELD_NUMBER: _ClassVar[int]
    IDLE_GPU_OK_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_AT_US_FIELD_NUMBER: _ClassVar[int]
    SITE_FACTOR_FIELD_NUMBER: _ClassVar[int]
    WCKEY_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    GANG_FIELD_NUMBER: _ClassVar[int]
    SWITCHES_WAIT_S_FIELD_NUMBER: _ClassVar[int]
    ALLOCATION_FIELD_NUMBER: _ClassVar[int]
    MAIL_FIELD_NUMBER: _ClassVar[int]
    MAIL_USER_FIELD_NUMBER: _ClassVar[int]
    name: str
    ask: Ask
    partition: str
    account: str
    qos: str
    time_limit_s: int
    priority: int
    nice: int
    begin_at_us: int
    hold: bool
    dependency: Dependency
    kill_on_invalid_dep: bool
    requeue: bool
    retry: Retry
    warn: WarnSignal
    std_in: str
    std_out: str
    std_err: str
    append: bool
    umask: int
    rlimits: _containers.RepeatedCompositeFieldContainer[Limit]
    comment: str
    command: str
    submit_host: str
    submit_line: str
    work_dir: str
    args: _containers.RepeatedScalarFieldContainer[str]
    given: Given
    lease_s: int
    licenses: str
    script: bytes
    environment: _containers.RepeatedScalarFieldContainer[str]
    submit_dir: str
    no_lend: bool
    oom_factor_milli: int
    oom_max_retries: int
    idle_gpu_ok: bool
    reservation: str
    deadline_at_us: int
    site_factor: int
    wckey: str
    checkpoint: WarnSignal
    gang: Gang
    switches_wait_s: int
    allocation: str
    mail: str
    mail_user: str
    def __init__(self, name: _Optional[str] = ..., ask: _Optional[_Union[Ask, _Mapping]] = ..., partition: _Optional[str] = ..., account: _Optional[str] = ..., qos: _Optional[str] = ..., time_limit_s: _Optional[int] = ..., priority: _Optional[int] = ..., nice: _Optional[int] = ..., begin_at_us: _Optional[int] = ..., hold: _Optional[bool] = ..., dependency: _Optional[_Union[Dependency, _Mapping]] = ..., kill_on_invalid_dep: _Optional[bool] = ..., requeue: _Optional[bool] = ..., retry: _Optional[_Union[Retry, _Mapping]] = ..., warn: _Optional[_Union[WarnSignal, _Mapping]] = ..., std_in: _Optional[str] = ..., std_out: _Optional[str] = ..., std_err: _Optional[str] = ..., append: _Optional[bool] = ..., umask: _Optional[int] = ..., rlimits: _Optional[_Iterable[_Union[Limit, _Mapping]]] = ..., comment: _Optional[str] = ..., command: _Optional[str] = ..., submit_host: _Optional[str] = ..., submit_line: _Optional[str] = ..., work_dir: _Optional[str] = ..., args: _Optional[_Iterable[str]] = ..., given: _Optional[_Union[Given, _Mapping]] = ..., lease_s: _Optional[int] = ..., licenses: _Optional[str] = ..., script: _Optional[bytes] = ..., environment: _Optional[_Iterable[str]] = ..., submit_dir: _Optional[str] = ..., no_lend: _Optional[bool] = ..., oom_factor_milli: _Optional[int] = ..., oom_max_retries: _Optional[int] = ..., idle_gpu_ok: _Optional[bool] = ..., reservation: _Optional[str] = ..., deadline_at_us: _Optional[int] = ..., site_factor: _Optional[int] = ..., wckey: _Optional[str] = ..., checkpoint: _Optional[_Union[WarnSignal, _Mapping]] = ..., gang: _Optional[_Union[Gang, _Mapping]] = ..., switches_wait_s: _Optional[int] = ..., allocation: _Optional[str] = ..., mail: _Optional[str] = ..., mail_user: _Optional[str] = ...) -> None: ...

class StepSpec(_message.Message):
    __slots__ = ("name", "argv", "environment", "work_dir", "n_tasks", "min_nodes", "max_nodes", "tasks_per_node", "cpu_milli_per_task", "mem_mib_per_node", "mem_mib_per_cpu", "gres_per_node", "gres_per_task", "gres_per_step", "nodes_required", "nodes_excluded", "relative", "distribution", "plane_size", "overlap", "cpu_bind", "gpu_bind", "multi_prog", "std_in", "std_out", "std_err", "append", "input_rank", "pty", "rows", "columns", "mpi", "umask", "rlimits", "time_limit_s", "kill_on_bad_exit", "wait_s", "submit_line", "submit_host", "het_group", "unbuffered")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARGV_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    WORK_DIR_FIELD_NUMBER: _ClassVar[int]
    N_TASKS_FIELD_NUMBER: _ClassVar[int]
    MIN_NODES_FIELD_NUMBER: _ClassVar[int]
    MAX_NODES_FIELD_NUMBER: _ClassVar[int]
    TASKS_PER_NODE_FIELD_NUMBER: _ClassVar[int]
    CPU_MILLI_PER_TASK_FIELD_NUMBER: _ClassVar[int]
    MEM_MIB_PER_NODE_FIELD_NUMBER: _ClassVar[int]
    MEM_MIB_PER_CPU_FIELD_NUMBER: _ClassVar[int]
    GRES_PER_NODE_FIELD_NUMBER: _ClassVar[int]
    GRES_PER_TASK_FIELD_NUMBER: _ClassVar[int]
    GRES_PER_STEP_FIELD_NUMBER: _ClassVar[int]
    NODES_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    NODES_EXCLUDED_FIELD_NUMBER: _ClassVar[int]
    RELATIVE_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    PLANE_SIZE_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    CPU_BIND_FIELD_NUMBER: _ClassVar[int]
    GPU_BIND_FIELD_NUMBER: _ClassVar[int]
    MULTI_PROG_FIELD_NUMBER: _ClassVar[int]
    STD_IN_FIELD_NUMBER: _ClassVar[int]
    STD_OUT_FIELD_NUMBER: _ClassVar[int]
    STD_ERR_FIELD_NUMBER: _ClassVar[int]
    APPEND_FIELD_NUMBER: _ClassVar[int]
    INPUT_RANK_FIELD_NUMBER: _ClassVar[int]
    PTY_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    MPI_FIELD_NUMBER: _ClassVar[int]
    UMASK_FIELD_NUMBER: _ClassVar[int]
    RLIMITS_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    KILL_ON_BAD_EXIT_FIELD_NUMBER: _ClassVar[int]
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_LINE_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_HOST_FIELD_NUMBER: _ClassVar[int]
    HET_GROUP_FIELD_NUMBER: _ClassVar[int]
    UNBUFFERED_FIELD_NUMBER: _ClassVar[int]
    name: str
    argv: _containers.RepeatedScalarFieldContainer[str]
    environment: _containers.RepeatedScalarFieldContainer[str]
    work_dir: str
    n_tasks: int
    min_nodes: int
    max_nodes: int
    tasks_per_node: int
    cpu_milli_per_task: int
    mem_mib_per_node: int
    mem_mib_per_cpu: int
    gres_per_node: _containers.RepeatedCompositeFieldContainer[Gres]
    gres_per_task: _containers.RepeatedCompositeFieldContainer[Gres]
    gres_per_step: _containers.RepeatedCompositeFieldContainer[Gres]
    nodes_required: _containers.RepeatedScalarFieldContainer[str]
    nodes_excluded: _containers.RepeatedScalarFieldContainer[str]
    relative: int
    distribution: str
    plane_size: int
    overlap: str
    cpu_bind: str
    gpu_bind: str
    multi_prog: _containers.RepeatedCompositeFieldContainer[MultiProgram]
    std_in: str
    std_out: str
    std_err: str
    append: bool
    input_rank: int
    pty: bool
    rows: int
    columns: int
    mpi: str
    umask: int
    rlimits: _containers.RepeatedCompositeFieldContainer[Limit]
    time_limit_s: int
    kill_on_bad_exit: bool
    wait_s: int
    submit_line: str
    submit_host: str
    het_group: int
    unbuffered: bool
    def __init__(self, name: _Optional[str] = ..., argv: _Optional[_Iterable[str]] = ..., environment: _Optional[_Iterable[str]] = ..., work_dir: _Optional[str] = ..., n_tasks: _Optional[int] = ..., min_nodes: _Optional[int] = ..., max_nodes: _Optional[int] = ..., tasks_per_node: _Optional[int] = ..., cpu_milli_per_task: _Optional[int] = ..., mem_mib_per_node: _Optional[int] = ..., mem_mib_per_cpu: _Optional[int] = ..., gres_per_node: _Optional[_Iterable[_Union[Gres, _Mapping]]] = ..., gres_per_task: _Optional[_Iterable[_Union[Gres, _Mapping]]] = ..., gres_per_step: _Optional[_Iterable[_Union[Gres, _Mapping]]] = ..., nodes_required: _Optional[_Iterable[str]] = ..., nodes_excluded: _Optional[_Iterable[str]] = ..., relative: _Optional[int] = ..., distribution: _Optional[str] = ..., plane_size: _Optional[int] = ..., overlap: _Optional[str] = ..., cpu_bind: _Optional[str] = ..., gpu_bind: _Optional[str] = ..., multi_prog: _Optional[_Iterable[_Union[MultiProgram, _Mapping]]] = ..., std_in: _Optional[str] = ..., std_out: _Optional[str] = ..., std_err: _Optional[str] = ..., append: _Optional[bool] = ..., input_rank: _Optional[int] = ..., pty: _Optional[bool] = ..., rows: _Optional[int] = ..., columns: _Optional[int] = ..., mpi: _Optional[str] = ..., umask: _Optional[int] = ..., rlimits: _Optional[_Iterable[_Union[Limit, _Mapping]]] = ..., time_limit_s: _Optional[int] = ..., kill_on_bad_exit: _Optional[bool] = ..., wait_s: _Optional[int] = ..., submit_line: _Optional[str] = ..., submit_host: _Optional[str] = ..., het_group: _Optional[int] = ..., unbuffered: _Optional[bool] = ...) -> None: ...

class MultiProgram(_message.Message):
    __slots__ = ("ranks", "argv")
    RANKS_FIELD_NUMBER: _ClassVar[int]
    ARGV_FIELD_NUMBER: _ClassVar[int]
    ranks: str
    argv: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ranks: _Optional[str] = ..., argv: _Optional[_Iterable[str]] = ...) -> None: ...
