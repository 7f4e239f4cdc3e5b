"""The parameters of nodes, partitions, node sets, devices, control groups and switches."""

from __future__ import annotations

from packhorse.cli.importing.report import Fate, Known


def _mapped(remark: str) -> Known:
    return Known(Fate.MAPPED, remark)


def _in_part(remark: str, same: tuple[str, ...] = ()) -> Known:
    return Known(Fate.IN_PART, remark, same=same)


def _not_needed(remark: str) -> Known:
    return Known(Fate.NOT_NEEDED, remark)


def _unsupported(remark: str, same: tuple[str, ...] = ()) -> Known:
    return Known(Fate.UNSUPPORTED, remark, same=same)


_OFF = ("0", "no", "false", "unlimited", "infinite", "-1")
_CALLS = _not_needed("agents call the scheduler")
_SHAPE = _mapped("packhorse agent --cpus, where CPUs is not given")
_POWER = _unsupported("nodes are not switched off and on", same=_OFF)
_FRONT_END = _unsupported("every node runs an agent")

NODE: dict[str, Known] = {
    "NodeName": _mapped("packhorse agent --node"),
    "NodeHostname": _CALLS,
    "NodeAddr": _CALLS,
    "BcastAddr": _CALLS,
    "Boards": _SHAPE,
    "CoreSpecCount": _mapped("taken off --cpus, with all threads of the cores"),
    "CoresPerSocket": _SHAPE,
    "CpuBind": _unsupported("srun --cpu-bind says how tasks are bound"),
    "CPUs": _mapped("packhorse agent --cpus"),
    "CpuSpecList": _in_part("that many are taken off --cpus; which ones cannot be said"),
    "Features": _mapped("packhorse agent --features"),
    "Gres": _mapped("packhorse agent --gres"),
    "MemSpecLimit": _mapped("taken off --mem"),
    "Port": _CALLS,
    "Procs": _mapped("packhorse agent --cpus"),
    "RealMemory": _mapped("packhorse agent --mem"),
    "Reason": _in_part("goes with State"),
    "Sockets": _SHAPE,
    "SocketsPerBoard": _SHAPE,
    "State": _in_part("others have to be set again with scontrol update", same=("unknown", "idle")),
    "ThreadsPerCore": _SHAPE,
    "TmpDisk": _not_needed("agents find how much scratch space there is"),
    "Weight": _mapped("packhorse agent --weight"),
}
DOWN: dict[str, Known] = {
    "DownNodes": _unsupported("set it again: scontrol update NodeName=… State=DOWN Reason=…"),
    "Reason": _unsupported("goes with DownNodes"),
    "State": _unsupported("goes with DownNodes"),
}
FRONTEND: dict[str, Known] = dict.fromkeys(
    (
        *("AllowGroups", "AllowUsers", "DenyGroups", "DenyUsers", "FrontendName", "FrontendAddr"),
        *("Port", "Reason", "State"),
    ),
    _FRONT_END,
)
NODESET: dict[str, Known] = {
    "NodeSet": _mapped("its nodes, in the partitions that name it"),
    "Feature": _mapped("the nodes that have it"),
    "Nodes": _mapped("these nodes"),
}
PARTITION: dict[str, Known] = {
    "PartitionName": _mapped("name"),
    "AllocNodes": _unsupported("jobs may be submitted from any node", same=("all",)),
    "AllowAccounts": _mapped("allow_accounts"),
    "AllowGroups": _mapped("allow_groups"),
    "AllowQos": _mapped("allow_qos"),
    "Alternate": _unsupported("name several partitions: sbatch -p a,b"),
    "CpuBind": _unsupported("srun --cpu-bind says how tasks are bound"),
    "Default": _mapped("default"),
    "DefaultTime": _mapped("default_time"),
    "DefCpuPerGPU": _unsupported("jobs say --cpus-per-gpu"),
    "DefMemPerCPU": _mapped("def_mem_per_cpu"),
    "DefMemPerGPU": _unsupported("jobs say --mem-per-gpu"),
    "DefMemPerNode": _unsupported("use def_mem_per_cpu", same=_OFF),
    "DenyAccounts": _mapped("deny_accounts"),
    "DenyQos": _mapped("deny_qos"),
    "DisableRootJobs": _unsupported("[jobs] allow_root_jobs is for all partitions", same=_OFF),
    "ExclusiveUser": _unsupported("jobs say --exclusive=user", same=_OFF),
    "GraceTime": _mapped("grace"),
    "Hidden": _unsupported("partitions are seen by all", same=_OFF),
    "LLN": _unsupported("[scheduling] policy says how nodes are chosen, for all partitions", same=_OFF),
    "MaxCPUsPerNode": _unsupported("give partitions nodes of their own, or a QOS limits", same=_OFF),
    "MaxMemPerCPU": _unsupported("use max_mem_per_node", same=_OFF),
    "MaxMemPerNode": _mapped("max_mem_per_node"),
    "MaxNodes": _mapped("max_nodes"),
    "MaxTime": _mapped("max_time"),
    "MinNodes": _mapped("min_nodes"),
    "Nodes": _mapped("nodes, node sets spelled out"),
    "OverSubscribe": _in_part(
        "NO is what is done; whole nodes: jobs say --exclusive; no time slicing", same=("no",)
    ),
    "OverTimeLimit": _unsupported("the time limit is the limit", same=_OFF),
    "PreemptMode": _mapped("preempt_mode"),
    "PriorityJobFactor": _mapped("priority"),
    "PriorityTier": _mapped("priority_tier"),
    "QOS": _mapped("qos"),
    "ReqResv": _unsupported("a QOS with the flag RequiresReservation does so", same=_OFF),
    "ResumeTimeout": _POWER,
    "RootOnly": _mapped('allow_users = ["root"]'),
    "SelectTypeParameters": _unsupported("CPUs and memory are given out one by one everywhere"),
    "Shared": _in_part("as OverSubscribe", same=("no",)),
    "State": _mapped("up"),
    "SuspendTime": _POWER,
    "SuspendTimeout": _POWER,
    "TRESBillingWeights": _mapped("billing"),
}
GRES: dict[str, Known] = {
    "AutoDetect": _not_needed("agents find GPUs by themselves"),
    "Count": _mapped("how many, in packhorse agent --gres"),
    "Cores": _not_needed("agents find which CPUs are near a device"),
    "File": _in_part("how many, in packhorse agent --gres; agents find the files of GPUs"),
    "Flags": _unsupported("agents know what they find"),
    "Links": _not_needed("agents find links between GPUs; declared ones: --gpu-link-groups"),
    "MultipleFiles": _unsupported("slices of GPUs are declared with packhorse agent --gpu-layouts"),
    "Name": _mapped("the kind, in packhorse agent --gres"),
    "NodeName": _mapped("whose devices they are"),
    "Type": _mapped("the type, in packhorse agent --gres"),
}
_CGROUP_MEMORY = _unsupported("a job has the memory it asked for", same=("100", "no"))
_CGROUP_SWAP = _unsupported("swap is left to the system", same=_OFF)
_CGROUP_HOST = _not_needed("agents find control groups and where they are (--cgroups)")
CGROUP: dict[str, Known] = {
    "CgroupAutomount": _CGROUP_HOST,
    "CgroupMountpoint": _CGROUP_HOST,
    "CgroupPlugin": _mapped("packhorse agent --cgroups"),
    "IgnoreSystemd": _CGROUP_HOST,
    "IgnoreSystemdOnFailure": _CGROUP_HOST,
    "AllowedKmemSpace": _CGROUP_MEMORY,
    "AllowedRAMSpace": _CGROUP_MEMORY,
    "AllowedSwapSpace": _CGROUP_SWAP,
    "ConstrainCores": _mapped("packhorse agent --bind"),
    "ConstrainDevices": _in_part("yes is what is done where control groups allow it", same=("yes",)),
    "ConstrainKmemSpace": _CGROUP_MEMORY,
    "ConstrainRAMSpace": _in_part("yes is what is done where there are control groups", same=("yes",)),
    "ConstrainSwapSpace": _CGROUP_SWAP,
    "MaxRAMPercent": _CGROUP_MEMORY,
    "MaxSwapPercent": _CGROUP_SWAP,
    "MaxKmemPercent": _CGROUP_MEMORY,
    "MemorySwappiness": _CGROUP_SWAP,
    "MinKmemSpace": _CGROUP_MEMORY,
    "MinRAMSpace": _CGROUP_MEMORY,
}
TOPOLOGY: dict[str, Known] = {
    "SwitchName": _mapped("[cluster] topology"),
    "Switches": _mapped("levels above"),
    "Nodes": _mapped("the nodes of a path"),
    "LinkSpeed": _not_needed("Slurm does not use it either"),
}
