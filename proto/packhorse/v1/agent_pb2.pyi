from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AttemptKey(_message.Message):
    __slots__ = ("job_id", "number", "epoch", "step")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    number: int
    epoch: int
    step: int
    def __init__(self, job_id: _Optional[int] = ..., number: _Optional[int] = ..., epoch: _Optional[int] = ..., step: _Optional[int] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("kind", "type", "index", "uuid", "mem_mib", "numa", "link", "layouts")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    MEM_MIB_FIELD_NUMBER: _ClassVar[int]
    NUMA_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    LAYOUTS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    type: str
    index: int
    uuid: str
    mem_mib: int
    numa: int
    link: int
    layouts: _containers.RepeatedCompositeFieldContainer[Layout]
    def __init__(self, kind: _Optional[str] = ..., type: _Optional[str] = ..., index: _Optional[int] = ..., uuid: _Optional[str] = ..., mem_mib: _Optional[int] = ..., numa: _Optional[int] = ..., link: _Optional[int] = ..., layouts: _Optional[_Iterable[_Union[Layout, _Mapping]]] = ...) -> None: ...

class Layout(_message.Message):
    __slots__ = ("slices",)
    SLICES_FIELD_NUMBER: _ClassVar[int]
    slices: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, slices: _Optional[_Iterable[str]] = ...) -> None: ...

class Offer(_message.Message):
    __slots__ = ("epoch", "cpu_milli", "mem_mib", "accepting", "reason", "dead_devices", "dead_reasons", "warnings")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CPU_MILLI_FIELD_NUMBER: _ClassVar[int]
    MEM_MIB_FIELD_NUMBER: _ClassVar[int]
    ACCEPTING_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DEAD_DEVICES_FIELD_NUMBER: _ClassVar[int]
    DEAD_REASONS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    cpu_milli: int
    mem_mib: int
    accepting: bool
    reason: str
    dead_devices: _containers.RepeatedCompositeFieldContainer[Device]
    dead_reasons: _containers.RepeatedScalarFieldContainer[str]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, epoch: _Optional[int] = ..., cpu_milli: _Optional[int] = ..., mem_mib: _Optional[int] = ..., accepting: _Optional[bool] = ..., reason: _Optional[str] = ..., dead_devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ..., dead_reasons: _Optional[_Iterable[str]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class AttemptUsage(_message.Message):
    __slots__ = ("user_cpu_us", "system_cpu_us", "max_rss_kib", "max_vm_kib", "disk_read_bytes", "disk_write_bytes", "max_cache_kib", "oom_kills", "gpu_ms", "gpu_busy_ms", "gpu_max_mem_mib", "gpu_energy_mj", "gpu_gflop", "gpu_peak_gflop")
    USER_CPU_US_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_CPU_US_FIELD_NUMBER: _ClassVar[int]
    MAX_RSS_KIB_FIELD_NUMBER: _ClassVar[int]
    MAX_VM_KIB_FIELD_NUMBER: _ClassVar[int]
    DISK_READ_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISK_WRITE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CACHE_KIB_FIELD_NUMBER: _ClassVar[int]
    OOM_KILLS_FIELD_NUMBER: _ClassVar[int]
    GPU_MS_FIELD_NUMBER: _ClassVar[int]
    GPU_BUSY_MS_FIELD_NUMBER: _ClassVar[int]
    GPU_MAX_MEM_MIB_FIELD_NUMBER: _ClassVar[int]
    GPU_ENERGY_MJ_FIELD_NUMBER: _ClassVar[int]
    GPU_GFLOP_FIELD_NUMBER: _ClassVar[int]
    GPU_PEAK_GFLOP_FIELD_NUMBER: _ClassVar[int]
    user_cpu_us: int
    system_cpu_us: int
    max_rss_kib: int
    max_vm_kib: int
    disk_read_bytes: int
    disk_write_bytes: int
    max_cache_kib: int
    oom_kills: int
    gpu_ms: int
    gpu_busy_ms: int
    gpu_max_mem_mib: int
    gpu_energy_mj: int
    gpu_gflop: int
    gpu_peak_gflop: int
    def __init__(self, user_cpu_us: _Optional[int] = ..., system_cpu_us: _Optional[int] = ..., max_rss_kib: _Optional[int] = ..., max_vm_kib: _Optional[int] = ..., disk_read_bytes: _Optional[int] = ..., disk_write_bytes: _Optional[int] = ..., max_cache_kib: _Optional[int] = ..., oom_kills: _Optional[int] = ..., gpu_ms: _Optional[int] = ..., gpu_busy_ms: _Optional[int] = ..., gpu_max_mem_mib: _Optional[int] = ..., gpu_energy_mj: _Optional[int] = ..., gpu_gflop: _Optional[int] = ..., gpu_peak_gflop: _Optional[int] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("node", "host_name", "boot_id", "version", "cpu_milli", "mem_mib", "tmp_mib", "devices", "features", "sockets", "cores_per_socket", "threads_per_core", "weight", "declared", "isolation", "arch", "os", "boot_at_us", "offer", "running", "launching", "exited", "takes_batches", "topology", "step_door", "kept")
    NODE_FIELD_NUMBER: _ClassVar[int]
    HOST_NAME_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CPU_MILLI_FIELD_NUMBER: _ClassVar[int]
    MEM_MIB_FIELD_NUMBER: _ClassVar[int]
    TMP_MIB_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    SOCKETS_FIELD_NUMBER: _ClassVar[int]
    CORES_PER_SOCKET_FIELD_NUMBER: _ClassVar[int]
    THREADS_PER_CORE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    DECLARED_FIELD_NUMBER: _ClassVar[int]
    ISOLATION_FIELD_NUMBER: _ClassVar[int]
    ARCH_FIELD_NUMBER: _ClassVar[int]
    OS_FIELD_NUMBER: _ClassVar[int]
    BOOT_AT_US_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    LAUNCHING_FIELD_NUMBER: _ClassVar[int]
    EXITED_FIELD_NUMBER: _ClassVar[int]
    TAKES_BATCHES_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    STEP_DOOR_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    node: str
    host_name: str
    boot_id: str
    version: str
    cpu_milli: int
    mem_mib: int
    tmp_mib: int
    devices: _containers.RepeatedCompositeFieldContainer[Device]
    features: _containers.RepeatedScalarFieldContainer[str]
    sockets: int
    cores_per_socket: int
    threads_per_core: int
    weight: int
    declared: bool
    isolation: str
    arch: str
    os: str
    boot_at_us: int
    offer: Offer
    running: _containers.RepeatedCompositeFieldContainer[Running]
    launching: _containers.RepeatedCompositeFieldContainer[AttemptKey]
    exited: _containers.RepeatedCompositeFieldContainer[AttemptKey]
    takes_batches: bool
    topology: _containers.RepeatedScalarFieldContainer[str]
    step_door: str
    kept: _containers.RepeatedCompositeFieldContainer[AttemptKey]
    def __init__(self, node: _Optional[str] = ..., host_name: _Optional[str] = ..., boot_id: _Optional[str] = ..., version: _Optional[str] = ..., cpu_milli: _Optional[int] = ..., mem_mib: _Optional[int] = ..., tmp_mib: _Optional[int] = ..., devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ..., features: _Optional[_Iterable[str]] = ..., sockets: _Optional[int] = ..., cores_per_socket: _Optional[int] = ..., threads_per_core: _Optional[int] = ..., weight: _Optional[int] = ..., declared: _Optional[bool] = ..., isolation: _Optional[str] = ..., arch: _Optional[str] = ..., os: _Optional[str] = ..., boot_at_us: _Optional[int] = ..., offer: _Optional[_Union[Offer, _Mapping]] = ..., running: _Optional[_Iterable[_Union[Running, _Mapping]]] = ..., launching: _Optional[_Iterable[_Union[AttemptKey, _Mapping]]] = ..., exited: _Optional[_Iterable[_Union[AttemptKey, _Mapping]]] = ..., takes_batches: _Optional[bool] = ..., topology: _Optional[_Iterable[str]] = ..., step_door: _Optional[str] = ..., kept: _Optional[_Iterable[_Union[AttemptKey, _Mapping]]] = ...) -> None: ...

class Running(_message.Message):
    __slots__ = ("attempt", "started_at_us", "suspended")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    attempt: AttemptKey
    started_at_us: int
    suspended: bool
    def __init__(self, attempt: _Optional[_Union[AttemptKey, _Mapping]] = ..., started_at_us: _Optional[int] = ..., suspended: _Optional[bool] = ...) -> None: ...

class Suspension(_message.Message):
    __slots__ = ("attempt", "suspended", "error")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    attempt: AttemptKey
    suspended: bool
    error: str
    def __init__(self, attempt: _Optional[_Union[AttemptKey, _Mapping]] = ..., suspended: _Optional[bool] = ..., error: _Optional[str] = ...) -> None: ...

class Exited(_message.Message):
    __slots__ = ("attempt", "started_at_us", "ended_at_us", "exit_code", "exit_signal", "cause", "launch_error", "lost", "refused", "usage", "detail")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_US_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    EXIT_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_ERROR_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    attempt: AttemptKey
    started_at_us: int
    ended_at_us: int
    exit_code: int
    exit_signal: int
    cause: str
    launch_error: str
    lost: bool
    refused: bool
    usage: AttemptUsage
    detail: str
    def __init__(self, attempt: _Optional[_Union[AttemptKey, _Mapping]] = ..., started_at_us: _Optional[int] = ..., ended_at_us: _Optional[int] = ..., exit_code: _Optional[int] = ..., exit_signal: _Optional[int] = ..., cause: _Optional[str] = ..., launch_error: _Optional[str] = ..., lost: _Optional[bool] = ..., refused: _Optional[bool] = ..., usage: _Optional[_Union[AttemptUsage, _Mapping]] = ..., detail: _Optional[str] = ...) -> None: ...

class AttemptSample(_message.Message):
    __slots__ = ("attempt", "usage", "rss_kib", "cache_kib", "devices")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    RSS_KIB_FIELD_NUMBER: _ClassVar[int]
    CACHE_KIB_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    attempt: AttemptKey
    usage: AttemptUsage
    rss_kib: int
    cache_kib: int
    devices: _containers.RepeatedCompositeFieldContainer[DeviceSample]
    def __init__(self, attempt: _Optional[_Union[AttemptKey, _Mapping]] = ..., usage: _Optional[_Union[AttemptUsage, _Mapping]] = ..., rss_kib: _Optional[int] = ..., cache_kib: _Optional[int] = ..., devices: _Optional[_Iterable[_Union[DeviceSample, _Mapping]]] = ...) -> None: ...

class DeviceSample(_message.Message):
    __slots__ = ("kind", "index", "busy_milli", "mem_mib", "power_mw", "celsius", "flops_milli")
    KIND_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    BUSY_MILLI_FIELD_NUMBER: _ClassVar[int]
    MEM_MIB_FIELD_NUMBER: _ClassVar[int]
    POWER_MW_FIELD_NUMBER: _ClassVar[int]
    CELSIUS_FIELD_NUMBER: _ClassVar[int]
    FLOPS_MILLI_FIELD_NUMBER: _ClassVar[int]
    kind: str
    index: int
    busy_milli: int
    mem_mib: int
    power_mw: int
    celsius: int
    flops_milli: int
    def __init__(self, kind: _Optional[str] = ..., index: _Optional[int] = ..., busy_milli: _Optional[int] = ..., mem_mib: _Optional[int] = ..., power_mw: _Optional[int] = ..., celsius: _Optional[int] = ..., flops_milli: _Optional[int] = ...) -> None: ...

class UsageReport(_message.Message):
    __slots__ = ("at_us", "cpu_milli_used", "mem_mib_used", "load_milli", "mem_mib_free", "attempts", "devices", "pressure_milli")
    AT_US_FIELD_NUMBER: _ClassVar[int]
    CPU_MILLI_USED_FIELD_NUMBER: _ClassVar[int]
    MEM_MIB_USED_FIELD_NUMBER: _ClassVar[int]
    LOAD_MILLI_FIELD_NUMBER: _ClassVar[int]
    MEM_MIB_FREE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_MILLI_FIELD_NUMBER: _ClassVar[int]
    at_us: int
    cpu_milli_used: int
    mem_mib_used: int
    load_milli: int
    mem_mib_free: int
    attempts: _containers.RepeatedCompositeFieldContainer[AttemptSample]
    devices: _containers.RepeatedCompositeFieldContainer[DeviceSample]
    pressure_milli: int
    def __init__(self, at_us: _Optional[int] = ..., cpu_milli_used: _Optional[int] = ..., mem_mib_used: _Optional[int] = ..., load_milli: _Optional[int] = ..., mem_mib_free: _Optional[int] = ..., attempts: _Optional[_Iterable[_Union[AttemptSample, _Mapping]]] = ..., devices: _Optional[_Iterable[_Union[DeviceSample, _Mapping]]] = ..., pressure_milli: _Optional[int] = ...) -> None: ...

class AgentMessage(_message.Message):
    __slots__ = ("hello", "offer", "started", "exited", "usage", "heartbeat", "batch", "suspension")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    EXITED_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    SUSPENSION_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    offer: Offer
    started: Running
    exited: Exited
    usage: UsageReport
    heartbeat: Heartbeat
    batch: AgentBatch
    suspension: Suspension
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., offer: _Optional[_Union[Offer, _Mapping]] = ..., started: _Optional[_Union[Running, _Mapping]] = ..., exited: _Optional[_Union[Exited, _Mapping]] = ..., usage: _Optional[_Union[UsageReport, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., batch: _Optional[_Union[AgentBatch, _Mapping]] = ..., suspension: _Optional[_Union[Suspension, _Mapping]] = ...) -> None: ...

class AgentBatch(_message.Message):
    __slots__ = ("messages",)
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[AgentMessage]
    def __init__(self, messages: _Optional[_Iterable[_Union[AgentMessage, _Mapping]]] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("at_us",)
    AT_US_FIELD_NUMBER: _ClassVar[int]
    at_us: int
    def __init__(self, at_us: _Optional[int] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("epoch", "cluster", "heartbeat_s", "usage_s", "takes_batches")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_S_FIELD_NUMBER: _ClassVar[int]
    USAGE_S_FIELD_NUMBER: _ClassVar[int]
    TAKES_BATCHES_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    cluster: str
    heartbeat_s: int
    usage_s: int
    takes_batches: bool
    def __init__(self, epoch: _Optional[int] = ..., cluster: _Optional[str] = ..., heartbeat_s: _Optional[int] = ..., usage_s: _Optional[int] = ..., takes_batches: _Optional[bool] = ...) -> None: ...

class Launch(_message.Message):
    __slots__ = ("attempt", "uid", "gid", "user", "script", "args", "environment", "slurm_environment", "work_dir", "std_in", "std_out", "std_err", "append", "umask", "rlimits", "cpu_milli", "mem_mib", "devices", "time_limit_s", "kill_wait_s", "lease_s", "job_name", "allow_root", "lent_mib", "step")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    GID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    SCRIPT_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    SLURM_ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    WORK_DIR_FIELD_NUMBER: _ClassVar[int]
    STD_IN_FIELD_NUMBER: _ClassVar[int]
    STD_OUT_FIELD_NUMBER: _ClassVar[int]
    STD_ERR_FIELD_NUMBER: _ClassVar[int]
    APPEND_FIELD_NUMBER: _ClassVar[int]
    UMASK_FIELD_NUMBER: _ClassVar[int]
    RLIMITS_FIELD_NUMBER: _ClassVar[int]
    CPU_MILLI_FIELD_NUMBER: _ClassVar[int]
    MEM_MIB_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    KILL_WAIT_S_FIELD_NUMBER: _ClassVar[int]
    LEASE_S_FIELD_NUMBER: _ClassVar[int]
    JOB_NAME_FIELD_NUMBER: _ClassVar[int]
    ALLOW_ROOT_FIELD_NUMBER: _ClassVar[int]
    LENT_MIB_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    attempt: AttemptKey
    uid: int
    gid: int
    user: str
    script: bytes
    args: _containers.RepeatedScalarFieldContainer[str]
    environment: _containers.RepeatedScalarFieldContainer[str]
    slurm_environment: _containers.RepeatedScalarFieldContainer[str]
    work_dir: str
    std_in: str
    std_out: str
    std_err: str
    append: bool
    umask: int
    rlimits: _containers.RepeatedCompositeFieldContainer[RLimit]
    cpu_milli: int
    mem_mib: int
    devices: _containers.RepeatedCompositeFieldContainer[DeviceGrant]
    time_limit_s: int
    kill_wait_s: int
    lease_s: int
    job_name: str
    allow_root: bool
    lent_mib: int
    step: StepLaunch
    def __init__(self, attempt: _Optional[_Union[AttemptKey, _Mapping]] = ..., uid: _Optional[int] = ..., gid: _Optional[int] = ..., user: _Optional[str] = ..., script: _Optional[bytes] = ..., args: _Optional[_Iterable[str]] = ..., environment: _Optional[_Iterable[str]] = ..., slurm_environment: _Optional[_Iterable[str]] = ..., work_dir: _Optional[str] = ..., std_in: _Optional[str] = ..., std_out: _Optional[str] = ..., std_err: _Optional[str] = ..., append: _Optional[bool] = ..., umask: _Optional[int] = ..., rlimits: _Optional[_Iterable[_Union[RLimit, _Mapping]]] = ..., cpu_milli: _Optional[int] = ..., mem_mib: _Optional[int] = ..., devices: _Optional[_Iterable[_Union[DeviceGrant, _Mapping]]] = ..., time_limit_s: _Optional[int] = ..., kill_wait_s: _Optional[int] = ..., lease_s: _Optional[int] = ..., job_name: _Optional[str] = ..., allow_root: _Optional[bool] = ..., lent_mib: _Optional[int] = ..., step: _Optional[_Union[StepLaunch, _Mapping]] = ...) -> None: ...

class StepLaunch(_message.Message):
    __slots__ = ("argv", "programs", "ranks", "node_index", "n_nodes", "n_tasks", "tasks_on_nodes", "nodes", "cpu_milli_per_task", "cpu_bind", "gpu_bind", "gpus_per_task", "std_in", "std_out", "std_err", "append", "input_rank", "pty", "rows", "columns", "mpi", "name", "unbuffered", "distribution", "plane_size", "job_nodes", "job_node_index", "het_group", "het_size", "attach_s")
    ARGV_FIELD_NUMBER: _ClassVar[int]
    PROGRAMS_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    NODE_INDEX_FIELD_NUMBER: _ClassVar[int]
    N_NODES_FIELD_NUMBER: _ClassVar[int]
    N_TASKS_FIELD_NUMBER: _ClassVar[int]
    TASKS_ON_NODES_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    CPU_MILLI_PER_TASK_FIELD_NUMBER: _ClassVar[int]
    CPU_BIND_FIELD_NUMBER: _ClassVar[int]
    GPU_BIND_FIELD_NUMBER: _ClassVar[int]
    GPUS_PER_TASK_FIELD_NUMBER: _ClassVar[int]
    STD_IN_FIELD_NUMBER: _ClassVar[int]
    STD_OUT_FIELD_NUMBER: _ClassVar[int]
    STD_ERR_FIELD_NUMBER: _ClassVar[int]
    APPEND_FIELD_NUMBER: _ClassVar[int]
    INPUT_RANK_FIELD_NUMBER: _ClassVar[int]
    PTY_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    MPI_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNBUFFERED_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    PLANE_SIZE_FIELD_NUMBER: _ClassVar[int]
    JOB_NODES_FIELD_NUMBER: _ClassVar[int]
    JOB_NODE_INDEX_FIELD_NUMBER: _ClassVar[int]
    HET_GROUP_FIELD_NUMBER: _ClassVar[int]
    HET_SIZE_FIELD_NUMBER: _ClassVar[int]
    ATTACH_S_FIELD_NUMBER: _ClassVar[int]
    argv: _containers.RepeatedScalarFieldContainer[str]
    programs: _containers.RepeatedCompositeFieldContainer[StepProgram]
    ranks: _containers.RepeatedScalarFieldContainer[int]
    node_index: int
    n_nodes: int
    n_tasks: int
    tasks_on_nodes: _containers.RepeatedScalarFieldContainer[int]
    nodes: str
    cpu_milli_per_task: int
    cpu_bind: str
    gpu_bind: str
    gpus_per_task: int
    std_in: str
    std_out: str
    std_err: str
    append: bool
    input_rank: int
    pty: bool
    rows: int
    columns: int
    mpi: str
    name: str
    unbuffered: bool
    distribution: str
    plane_size: int
    job_nodes: str
    job_node_index: int
    het_group: int
    het_size: int
    attach_s: int
    def __init__(self, argv: _Optional[_Iterable[str]] = ..., programs: _Optional[_Iterable[_Union[StepProgram, _Mapping]]] = ..., ranks: _Optional[_Iterable[int]] = ..., node_index: _Optional[int] = ..., n_nodes: _Optional[int] = ..., n_tasks: _Optional[int] = ..., tasks_on_nodes: _Optional[_Iterable[int]] = ..., nodes: _Optional[str] = ..., cpu_milli_per_task: _Optional[int] = ..., cpu_bind: _Optional[str] = ..., gpu_bind: _Optional[str] = ..., gpus_per_task: _Optional[int] = ..., std_in: _Optional[str] = ..., std_out: _Optional[str] = ..., std_err: _Optional[str] = ..., append: _Optional[bool] = ..., input_rank: _Optional[int] = ..., pty: _Optional[bool] = ..., rows: _Optional[int] = ..., columns: _Optional[int] = ..., mpi: _Optional[str] = ..., name: _Optional[str] = ..., unbuffered: _Optional[bool] = ..., distribution: _Optional[str] = ..., plane_size: _Optional[int] = ..., job_nodes: _Optional[str] = ..., job_node_index: _Optional[int] = ..., het_group: _Optional[int] = ..., het_size: _Optional[int] = ..., attach_s: _Optional[int] = ...) -> None: ...

class StepProgram(_message.Message):
    __slots__ = ("ranks", "argv")
    RANKS_FIELD_NUMBER: _ClassVar[int]
    ARGV_FIELD_NUMBER: _ClassVar[int]
    ranks: str
    argv: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ranks: _Optional[str] = ..., argv: _Optional[_Iterable[str]] = ...) -> None: ...

class JobOver(_message.Message):
    __slots__ = ("attempt",)
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    attempt: AttemptKey
    def __init__(self, attempt: _Optional[_Union[AttemptKey, _Mapping]] = ...) -> None: ...

class OpenTunnel(_message.Message):
    __slots__ = ("id", "uid", "attempt")
    ID_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    id: int
    uid: int
    attempt: AttemptKey
    def __init__(self, id: _Optional[int] = ..., uid: _Optional[int] = ..., attempt: _Optional[_Union[AttemptKey, _Mapping]] = ...) -> None: ...

class TunnelBytes(_message.Message):
    __slots__ = ("id", "data", "end", "wish", "http_status")
    ID_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    WISH_FIELD_NUMBER: _ClassVar[int]
    HTTP_STATUS_FIELD_NUMBER: _ClassVar[int]
    id: int
    data: bytes
    end: bool
    wish: TunnelWish
    http_status: int
    def __init__(self, id: _Optional[int] = ..., data: _Optional[bytes] = ..., end: _Optional[bool] = ..., wish: _Optional[_Union[TunnelWish, _Mapping]] = ..., http_status: _Optional[int] = ...) -> None: ...

class TunnelWish(_message.Message):
    __slots__ = ("uid", "gid", "user", "group", "node", "step")
    UID_FIELD_NUMBER: _ClassVar[int]
    GID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    uid: int
    gid: int
    user: str
    group: str
    node: str
    step: str
    def __init__(self, uid: _Optional[int] = ..., gid: _Optional[int] = ..., user: _Optional[str] = ..., group: _Optional[str] = ..., node: _Optional[str] = ..., step: _Optional[str] = ...) -> None: ...

class RLimit(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: int
    def __init__(self, name: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...

class DeviceGrant(_message.Message):
    __slots__ = ("kind", "type", "indices", "milli", "part", "layout", "slice")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    INDICES_FIELD_NUMBER: _ClassVar[int]
    MILLI_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    SLICE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    type: str
    indices: _containers.RepeatedScalarFieldContainer[int]
    milli: int
    part: str
    layout: int
    slice: int
    def __init__(self, kind: _Optional[str] = ..., type: _Optional[str] = ..., indices: _Optional[_Iterable[int]] = ..., milli: _Optional[int] = ..., part: _Optional[str] = ..., layout: _Optional[int] = ..., slice: _Optional[int] = ...) -> None: ...

class SignalAttempt(_message.Message):
    __slots__ = ("attempt", "signal", "scope")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    attempt: AttemptKey
    signal: int
    scope: str
    def __init__(self, attempt: _Optional[_Union[AttemptKey, _Mapping]] = ..., signal: _Optional[int] = ..., scope: _Optional[str] = ...) -> None: ...

class TerminateAttempt(_message.Message):
    __slots__ = ("attempt", "grace_s", "cause", "signal")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    GRACE_S_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    attempt: AttemptKey
    grace_s: int
    cause: str
    signal: int
    def __init__(self, attempt: _Optional[_Union[AttemptKey, _Mapping]] = ..., grace_s: _Optional[int] = ..., cause: _Optional[str] = ..., signal: _Optional[int] = ...) -> None: ...

class SetTimeLimit(_message.Message):
    __slots__ = ("attempt", "time_limit_s")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    attempt: AttemptKey
    time_limit_s: int
    def __init__(self, attempt: _Optional[_Union[AttemptKey, _Mapping]] = ..., time_limit_s: _Optional[int] = ...) -> None: ...

class SuspendAttempt(_message.Message):
    __slots__ = ("attempt",)
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    attempt: AttemptKey
    def __init__(self, attempt: _Optional[_Union[AttemptKey, _Mapping]] = ...) -> None: ...

class ContinueAttempt(_message.Message):
    __slots__ = ("attempt",)
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    attempt: AttemptKey
    def __init__(self, attempt: _Optional[_Union[AttemptKey, _Mapping]] = ...) -> None: ...

class AckExits(_message.Message):
    __slots__ = ("attempts",)
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    attempts: _containers.RepeatedCompositeFieldContainer[AttemptKey]
    def __init__(self, attempts: _Optional[_Iterable[_Union[AttemptKey, _Mapping]]] = ...) -> None: ...

class HeartbeatReply(_message.Message):
    __slots__ = ("at_us",)
    AT_US_FIELD_NUMBER: _ClassVar[int]
    at_us: int
    def __init__(self, at_us: _Optional[int] = ...) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ("reason", "retry")
    REASON_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    reason: str
    retry: bool
    def __init__(self, reason: _Optional[str] = ..., retry: _Optional[bool] = ...) -> None: ...

class ResumeNode(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SchedulerMessage(_message.Message):
    __slots__ = ("welcome", "launch", "signal", "terminate", "set_time_limit", "ack_exits", "heartbeat", "goodbye", "batch", "resume", "suspend", "go_on", "job_over", "open_tunnel")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    TERMINATE_FIELD_NUMBER: _ClassVar[int]
    SET_TIME_LIMIT_FIELD_NUMBER: _ClassVar[int]
    ACK_EXITS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    SUSPEND_FIELD_NUMBER: _ClassVar[int]
    GO_ON_FIELD_NUMBER: _ClassVar[int]
    JOB_OVER_FIELD_NUMBER: _ClassVar[int]
    OPEN_TUNNEL_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    launch: Launch
    signal: SignalAttempt
    terminate: TerminateAttempt
    set_time_limit: SetTimeLimit
    ack_exits: AckExits
    heartbeat: HeartbeatReply
    goodbye: Goodbye
    batch: SchedulerBatch
    resume: ResumeNode
    suspend: SuspendAttempt
    go_on: ContinueAttempt
    job_over: JobOver
    open_tunnel: OpenTunnel
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., launch: _Optional[_Union[Launch, _Mapping]] = ..., signal: _Optional[_Union[SignalAttempt, _Mapping]] = ..., terminate: _Optional[_Union[TerminateAttempt, _Mapping]] = ..., set_time_limit: _Optional[_Union[SetTimeLimit, _Mapping]] = ..., ack_exits: _Optional[_Union[AckExits, _Mapping]] = ..., heartbeat: _Optional[_Union[HeartbeatReply, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ..., batch: _Optional[_Union[SchedulerBatch, _Mapping]] = ..., resume: _Optional[_Union[ResumeNode, _Mapping]] = ..., suspend: _Optional[_Union[SuspendAttempt, _Mapping]] = ..., go_on: _Optional[_Union[ContinueAttempt, _Mapping]] = ..., job_over: _Optional[_Union[JobOver, _Mapping]] = ..., open_tunnel: _Optional[_Union[OpenTunnel, _Mapping]] = ...) -> None: ...

class SchedulerBatch(_message.Message):
    __slots__ = ("messages",)
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[SchedulerMessage]
    def __init__(self, messages: _Optional[_Iterable[_Union[SchedulerMessage, _Mapping]]] = ...) -> None: ...
