"""The raw columns of nodes and partitions that sinfo and scontrol ask the scheduler for.

Instants are microseconds since the epoch, 0 where unknown; amounts are of the whole node.
"""

from __future__ import annotations

NODE_COLUMNS = {
    "name": "text",
    "host_name": "text",  # of the machine the agent runs on
    "addr": "text",
    "port": "int",
    "state": "text",  # IDLE MIXED ALLOCATED DRAINING DRAINED DOWN UNKNOWN
    "not_responding": "int",  # 1: silent now, whatever the state
    "reason": "text",  # why drained or down, "" otherwise
    "reason_user": "text",
    "reason_uid": "int",
    "reason_at": "int",
    "cpus": "int",
    "cpus_alloc": "int",
    "mem_mib": "int",
    "mem_alloc_mib": "int",
    "mem_lent_mib": "int",
    "mem_lendable_mib": "int",
    "mem_free_mib": "int",  # as the operating system says; -1: not known
    "cpu_load_milli": "int",  # one-minute load times 1000; -1: not known
    "gres": "text",  # "gpu:h200:4,nic:1", "" for none
    "gres_used": "text",  # shares count as parts: "gpu:h200:1.5"
    "devices": "text",  # JSON, one entry for each device: service/tables/devices.py; "" for none
    "warnings": "text",  # one a line: what an operator should know although the node takes work
    "topology": "text",  # "rack1/switch2", "" where unknown
    "isolation": "text",  # "cgroup1:memory,cpu", "" where unknown
    "features": "text",
    "weight": "int",
    "boards": "int",
    "sockets": "int",
    "cores": "int",  # per socket
    "threads": "int",  # per core
    "tmp_mib": "int",
    "boot_at": "int",
    "agent_start_at": "int",
    "last_busy_at": "int",
    "partitions": "text",  # "normal,high", in the order of the configuration
    "version": "text",
    "arch": "text",
    "os": "text",
    "declared": "int",  # 1: some amount was declared beyond the hardware
    "cfg_tres": "text",  # "cpu=8,mem=16000M,billing=8,gres/gpu=2"
    "alloc_tres": "text",
    "reservation": "text",  # whose window is open now, the first; "" for none
    "in_maint": "int",  # 1: one of them is for maintenance
}

RESERVATION_COLUMNS = {
    "name": "text",
    "state": "text",  # ACTIVE INACTIVE
    "start_at": "int",  # of the present window or the next one
    "end_at": "int",
    "nodes": "text",  # host list
    "n_nodes": "int",
    "cores": "int",
    "cpus": "int",
    "whole": "int",  # 1: nodes as a whole, not CPUs of them
    "features": "text",
    "partition": "text",
    "flags": "text",  # "MAINT,DAILY,SPEC_NODES"
    "users": "text",
    "groups": "text",
    "accounts": "text",
    "qos": "text",
    "licenses": "text",
    "comment": "text",
    "purge_after_s": "int",  # -1: not purged
    "n_jobs": "int",  # that run in it
}

LICENSE_COLUMNS = {
    "name": "text",
    "total": "int",
    "used": "int",
    "free": "int",
}

PARTITION_COLUMNS = {
    "name": "text",
    "is_default": "int",
    "state": "text",  # UP DOWN DRAIN INACTIVE
    "max_time_s": "int",  # 0: no limit
    "default_time_s": "int",  # 0: no default of its own (the maximum applies)
    "nodes": "text",  # host list
    "total_cpus": "int",
    "total_nodes": "int",
    "min_nodes": "int",
    "max_nodes": "int",  # 0: no limit
    "def_mem_mib_per_cpu": "int",  # 0: not set
    "def_mem_mib_per_node": "int",  # 0: not set
    "max_mem_mib_per_node": "int",  # 0: no limit
    "priority_tier": "int",
    "priority_factor": "int",
    "allow_accounts": "text",  # "" for all of them, as below
    "deny_accounts": "text",
    "allow_groups": "text",
    "allow_qos": "text",
    "deny_qos": "text",
    "qos": "text",  # whose limits hold for its jobs, "" for none
    "billing": "text",  # "cpu=1,mem=0.25", "" where a CPU counts 1
    "grace_s": "int",
    "tres": "text",
}
