"""`scontrol show node` and `show partition`."""

from __future__ import annotations

from packhorse.cli.slurm.sinfo_fields import load_text
from packhorse.cli.slurm.times import stamp
from packhorse.scheduler.model.nodestate import full_state
from packhorse.scheduler.model.units import format_clock, format_mem_mib, format_time_limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Row = dict[str, Any]


def node_lines(row: Row) -> list[str]:
    """The lines of one node, without indentation."""
    arch = f"Arch={row['arch']} " if row["arch"] else ""
    version = f"Version={row['version']}" if row["version"] else ""
    free = "N/A" if row["mem_free_mib"] < 0 else str(row["mem_free_mib"])
    lines = [
        f"NodeName={row['name']} {arch}CoresPerSocket={row['cores']} ",
        (
            f"CPUAlloc={row['cpus_alloc']} CPUEfctv={row['cpus']} CPUTot={row['cpus']} "
            f"CPULoad={load_text(row['cpu_load_milli'])}"
        ),
        f"AvailableFeatures={row['features'] or '(null)'}",
        f"ActiveFeatures={row['features'] or '(null)'}",
        f"Gres={row['gres'] or '(null)'}",
        f"NodeAddr={row['addr']} NodeHostName={row['host_name']} Port={row['port']} {version}",
    ]
    if row["os"]:
        lines.append(f"OS={row['os']} ")
    lines += [
        (
            f"RealMemory={row['mem_mib']} AllocMem={row['mem_alloc_mib']} FreeMem={free} "
            f"Sockets={row['sockets']} Boards={row['boards']}"
        ),
        (
            f"State={full_state(row)} ThreadsPerCore={row['threads']} TmpDisk={row['tmp_mib']} "
            f"Weight={row['weight']} Owner=N/A MCS_label=N/A"
        ),
        f"Partitions={row['partitions']} ",
        f"BootTime={_when(row['boot_at'], 'None')} SlurmdStartTime={_when(row['agent_start_at'], 'None')}",
        f"LastBusyTime={_when(row['last_busy_at'], 'Unknown')}",
        f"CfgTRES={row['cfg_tres']}",
        f"AllocTRES={row['alloc_tres']}",
        "CapWatts=n/a",
        "CurrentWatts=0 AveWatts=0",
        "ExtSensorsJoules=n/s ExtSensorsWatts=0 ExtSensorsTemp=n/s",
    ]
    lines += device_lines(row)
    if row["mem_lent_mib"] or row["mem_lendable_mib"]:
        lent, lendable = format_mem_mib(row["mem_lent_mib"]), format_mem_mib(row["mem_lendable_mib"])
        lines.append(f"PackhorseLending=lent={lent},lendable={lendable}")
    if row["topology"]:
        lines.append(f"PackhorseTopology={row['topology']}")
    lines += [f"PackhorseWarning={warning}" for warning in row["warnings"].splitlines()]
    if row["isolation"]:
        lines.append(f"PackhorseIsolation={row['isolation']}")
    if row["declared"]:
        lines.append("Comment=amounts declared, not found in the hardware")
    if row["reason"]:
        who = f" [{row['reason_user']}@{_when(row['reason_at'], 'Unknown')}]" if row["reason_user"] else ""
        lines.append(f"Reason={row['reason']}{who}")
    if row["reservation"]:
        lines.append(f"ReservationName={row['reservation']}")
    return lines


def device_lines(row: Row) -> list[str]:
    """Which devices the node has, in the way of Slurm's Gres=, and a line for each; none without devices.

    Slurm has no such lines. Devices that were declared and not found in the hardware are called so.
    """
    devices = devices_of(row)
    if not devices:
        return []
    counts: dict[tuple[str, str, bool], int] = {}
    for device in devices:
        key = (device["kind"], device.get("type", ""), device.get("declared", False))
        counts[key] = counts.get(key, 0) + 1
    total = [
        f"{kind}:{type_}{':' if type_ else ''}{n}{'(declared)' if declared else ''}"
        for (kind, type_, declared), n in counts.items()
    ]
    return [f"PackhorseDevices={','.join(total)}", *[_device_line(device) for device in devices]]


def devices_of(row: Row) -> list[Row]:
    """The entries of the column of devices; fields at their default are left out of an entry."""
    if not row["devices"]:
        return []
    from packhorse.cli.wire import loads

    found: list[Row] = loads(row["devices"].encode())
    return found


def _part(milli: int) -> str:
    """`0.50`; a third decimal where two would not be the truth: 0.955, 0.001."""
    return f"{milli / 1000:.3f}".removesuffix("0")


def _device_line(device: Row) -> str:
    """`Device=gpu:0 Type=h200 Memory=141G NumaNode=0 Link=0 Used=0.50 Free=0.50 Jobs=12,15`, with
    `Dead=REASON` at its end where nothing new is put on it."""
    used = device.get("used", 0)
    parts = [f"Device={device['kind']}:{device['index']}"]
    if device.get("type"):
        parts.append(f"Type={device['type']}")
    if device.get("mem_mib"):
        parts.append(f"Memory={format_mem_mib(device['mem_mib'])}")
    if device.get("numa", -1) >= 0:
        parts.append(f"NumaNode={device['numa']}")
    if device.get("link", -1) >= 0:
        parts.append(f"Link={device['link']}")
    free = 0 if device.get("dead") else 1000 - used
    parts += [f"Used={_part(used)}", f"Free={_part(free)}"]
    if device.get("jobs"):
        parts.append(f"Jobs={','.join(map(str, device['jobs']))}")
    if device.get("layout"):
        parts += [f"Layout={device['layout']}", f"InUse={','.join(device['in_use'])}"]
    elif device.get("layouts"):
        parts.append(f"Layouts={'|'.join(device['layouts'])}")
    if device.get("dead"):
        parts.append(f"Dead={device['dead']}")
    return " ".join(parts)


def partition_lines(row: Row) -> list[str]:
    """The lines of one partition, without indentation."""
    if row["def_mem_mib_per_node"]:
        memory = f"DefMemPerNode={row['def_mem_mib_per_node']}"
    elif row["def_mem_mib_per_cpu"]:
        memory = f"DefMemPerCPU={row['def_mem_mib_per_cpu']}"
    else:
        memory = "DefMemPerNode=UNLIMITED"
    default_time = format_clock(row["default_time_s"]) if row["default_time_s"] else "NONE"
    return [
        f"PartitionName={row['name']}",
        "AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL",
        f"AllocNodes=ALL Default={'YES' if row['is_default'] else 'NO'} QoS=N/A",
        f"DefaultTime={default_time} DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=NO",
        (
            f"MaxNodes={row['max_nodes'] or 'UNLIMITED'} MaxTime={format_time_limit(row['max_time_s'])} "
            f"MinNodes={row['min_nodes']} LLN=NO MaxCPUsPerNode=UNLIMITED"
        ),
        f"Nodes={row['nodes']}",
        (
            f"PriorityJobFactor={row['priority_factor']} PriorityTier={row['priority_tier']} RootOnly=NO "
            "ReqResv=NO OverSubscribe=NO"
        ),
        "OverTimeLimit=NONE PreemptMode=OFF",
        (
            f"State={row['state']} TotalCPUs={row['total_cpus']} TotalNodes={row['total_nodes']} "
            "SelectTypeParameters=NONE"
        ),
        "JobDefaults=(null)",
        f"{memory} MaxMemPerNode={row['max_mem_mib_per_node'] or 'UNLIMITED'}",
        f"TRES={row['tres']}",
    ]


def _when(micros: int, unknown: str) -> str:
    return stamp(micros // 1_000_000) if micros else unknown
