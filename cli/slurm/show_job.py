"""`scontrol show job`: one job, all there is to say."""

from __future__ import annotations

from packhorse.cli.slurm.fields_jobs import JOB_COLUMNS, short_indices
from packhorse.cli.slurm.times import stamp
from packhorse.scheduler.model.jobfile import job_file
from packhorse.scheduler.model.units import format_clock, format_mem_mib, format_time_limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COLUMNS = tuple(name for name in JOB_COLUMNS if name != "submit_line")


def job_lines(row: dict[str, Any], now_us: int, details: bool) -> list[str]:
    """The lines of one job, without indentation. details: `scontrol -d`."""
    pending = row["state"] == "PENDING"
    start = row["start_at"]
    if pending:
        start = row["estimated_start_at"] or row["planned_start_at"]
        start = start or (row["begin_at"] if row["begin_at"] > now_us else 0)
    limit_us = row["time_limit_s"] * 1_000_000
    suspended_us = row["suspended_s"] * 1_000_000
    end = row["end_at"] or (start + limit_us + suspended_us if start and limit_us else 0)
    ran_us = 0
    if row["start_at"] and not pending:
        ran_us = (row["end_at"] or now_us) - row["start_at"] - suspended_us
    ran_s = max(ran_us, 0) // 1_000_000
    lines = [
        _head(row),
        f"UserId={row['user']}({row['uid']}) GroupId={row['group']}({row['gid']}) MCS_label=N/A",
        (
            f"Priority={row['priority']} Nice={row['nice']} Account={_or_null(row['account'])} "
            f"QOS={_or_null(row['qos'])}"
        ),
        (
            f"JobState={row['state']} Reason={row['reason'].replace(' ', '_')} "
            f"Dependency={_or_null(row['dependency'])}"
        ),
        (
            f"Requeue={row['requeue']} Restarts={row['restarts']} BatchFlag=1 Reboot=0 "
            f"ExitCode={row['exit_code']}:{row['exit_signal']}"
        ),
    ]
    if details:
        lines.append("DerivedExitCode=0:0")
    lines += [
        (f"RunTime={format_clock(ran_s)} TimeLimit={format_time_limit(row['time_limit_s'])} TimeMin=N/A"),
        f"SubmitTime={_when(row['submit_at'])} EligibleTime={_when(row['eligible_at'])}",
        f"AccrueTime={_when(row['eligible_at'])}",
        f"StartTime={_when(start)} EndTime={_when(end)} Deadline={_deadline(row)}",
        *_preemption(row),
        (
            f"SuspendTime={_when(row['suspended_at']) if row['suspended_at'] else 'None'} "
            f"SecsPreSuspend={ran_s if row['suspended_at'] else 0} "
            f"LastSchedEval={_when(row['start_at'])} Scheduler=Main"
        ),
        *([f'CrontabSpec="{row["cron"]}"'] if row["cron"] else []),
        f"Partition={row['partition']} AllocNode:Sid={row['submit_host']}:0",
        f"ReqNodeList={_or_null(row['req_nodes'])} ExcNodeList={_or_null(row['exc_nodes'])}",
        f"NodeList={row['nodes']}",
    ]
    if row["batch_host"]:
        lines.append(f"BatchHost={row['batch_host']}")
    lines += [
        (
            f"NumNodes={_node_count(row, pending)} NumCPUs={row['n_cpus']} NumTasks={row['n_tasks']} "
            f"CPUs/Task={row['cpus_per_task']} ReqB:S:C:T=0:0:*:*"
        ),
        f"TRES={row['alloc_tres'] or row['req_tres']}",
        f"Socks/Node=* NtasksPerN:B:S:C={row['tasks_per_node']}:0:*:* CoreSpec=*",
    ]
    if details:
        lines += _devices(row)
    lines += [
        f"MinCPUsNode={row['min_cpus']} {_memory(row)} MinTmpDiskNode={_amount(row['tmp_mib'])}",
        f"Features={_or_null(row['features'])} DelayBoot=00:00:00",
        *([f"Reservation={row['reservation']}"] if row["reservation"] else []),
        (
            f"OverSubscribe={'NO' if row['exclusive'] else 'OK'} Contiguous={row['contiguous']} "
            f"Licenses={_or_null(row['licenses'])} Network=(null)"
        ),
        f"Command={_or_null(row['command'])}",
        f"WorkDir={row['work_dir']}",
    ]
    if row["comment"]:
        lines.append(f"Comment={row['comment']} ")
    lines += [
        f"StdErr={job_file(row, 'std_err')}",
        f"StdIn={job_file(row, 'std_in')}",
        f"StdOut={job_file(row, 'std_out')}",
        "Power=",
    ]
    for name, column in (
        ("TresPerJob", "gres_per_job"),
        ("TresPerNode", "gres"),
        ("TresPerTask", "gres_per_task"),
    ):
        if row[column]:
            lines.append(f"{name}={','.join(['gres:' + part for part in row[column].split(',')])}")
    if pending and row["estimated_start_at"]:
        span = f"{_when(row['estimated_low_at'])}..{_when(row['estimated_high_at'])}"
        planned = f" PlannedStart={_when(row['planned_start_at'])}" if row["planned_start_at"] else ""
        lines.append(f"PackhorseStartEstimate={span}{planned}")
    if row["lending"]:
        lines.append(f"PackhorseLending={row['lending']}")
    if row["topology"]:
        lines.append(f"PackhorseTopology={row['topology']}")
    if row["isolation"]:
        lines.append(f"PackhorseIsolation={row['isolation']}")
    if row["gang"]:
        lines.append(f"PackhorseGang={row['gang']}")
    if row["retry"]:
        lines.append(f"PackhorseRetry={row['retry']}")
    if row["oom_retry"]:
        lines.append(f"PackhorseOomRetry={row['oom_retry']}")
    if row["right_sized"]:
        lines.append(f"PackhorseRightSize={row['right_sized']}")
    if row["checkpoint"]:
        lines.append(f"PackhorseCheckpointSignal={row['checkpoint']}")
    if row["preempted_why"]:
        lines.append(f"PackhorsePreempted={row['preempted_why']}")
    if row["gpus_idle_since"]:
        stop = f" StopAt={_when(row['gpus_stop_at'])}" if row["gpus_stop_at"] else ""
        lines.append(f"PackhorseGpusIdleSince={_when(row['gpus_idle_since'])}{stop}")
    if row["quarantine"]:
        lines.append(f"PackhorseQuarantine={row['quarantine']}")
    lines.append("")
    return lines


def _preemption(row: dict[str, Any]) -> list[str]:
    """Since when it may have to make room, and when it was told to."""
    eligible, told = row["preempt_eligible_at"], row["preempted_at"]
    if not eligible and not told:
        return []
    return [
        f"PreemptEligibleTime={_when(eligible)} PreemptTime={stamp(told // 1_000_000) if told else 'None'}"
    ]


def printed(records: list[list[str]], oneline: bool) -> str:
    """Records of lines as scontrol prints them: indented below each other, or each on one line."""
    if oneline:
        return "".join([" ".join([_one_word_each(line) for line in lines]) + "\n" for lines in records])
    return "".join(["\n   ".join(lines) + "\n\n" for lines in records])


def _one_word_each(line: str) -> str:
    """Our own sentences with "_" for " ", as Slurm writes reasons of many words.

    Programs split this form at white space, and some (qtoolkit) want a "=" in every piece.
    """
    if not line.startswith("Packhorse"):
        return line
    pieces: list[str] = []
    for piece in line.split():
        if "=" in piece:
            pieces.append(piece)
        else:
            pieces[-1] += f"_{piece}"
    return " ".join(pieces)


def _head(row: dict[str, Any]) -> str:
    head = f"JobId={row['job_id']} "
    if row["array_job_id"]:
        index = short_indices(row["array_pending"]) or str(row["array_task_id"])
        head += f"ArrayJobId={row['array_job_id']} ArrayTaskId={index} "
        if row["array_limit"]:
            head += f"ArrayTaskThrottle={row['array_limit']} "
    return head + f"JobName={row['name']}"


def _deadline(row: dict[str, Any]) -> str:
    return _when(row["deadline_at"]) if row["deadline_at"] else "N/A"


def _when(micros: int) -> str:
    return stamp(micros // 1_000_000) if micros else "Unknown"


def _or_null(text: str) -> str:
    return text or "(null)"


def _amount(mib: int) -> str:
    return format_mem_mib(mib)


def _memory(row: dict[str, Any]) -> str:
    if row["mem_mib_per_cpu"]:
        return f"MinMemoryCPU={_amount(row['mem_mib_per_cpu'])}"
    return f"MinMemoryNode={_amount(row['mem_mib_per_node'])}"


def _node_count(row: dict[str, Any], pending: bool) -> str:
    if pending and row["max_nodes"] > row["n_nodes"]:
        return f"{row['n_nodes']}-{row['max_nodes']}"
    return str(row["n_nodes"])


def _devices(row: dict[str, Any]) -> list[str]:
    """Where the job's devices are; Slurm's CPU numbers do not exist here, the counts do."""
    if not row["nodes"]:
        return []
    lines = []
    if row["gres_detail"]:
        lines.append(f"JOB_GRES={_job_gres(row)}")
    held = f"CPUs={row['cpus_per_node']} Mem={row['mem_per_node']} GRES={row['gres_detail']}"
    lines.append(f"  Nodes={row['nodes']} {held}")
    return lines


def _job_gres(row: dict[str, Any]) -> str:
    """`gpu:h200:4`: what the job has on all its nodes, of each kind and type; programs read the type here.

    Which devices of a node they are is said with the node.
    """
    shown = [
        part.strip(",").partition("(")[0].rpartition(":") for part in row["gres_detail"].split(")") if part
    ]
    each: dict[str, str] = {name: amount for name, _, amount in shown}
    kinds = [name.partition(":")[0] for name in each]
    held = dict([part.split("=", 1) for part in row["alloc_tres"].split(",") if part.startswith("gres/")])
    totals = []
    for (name, amount), kind in zip(each.items(), kinds, strict=True):
        of_kind = held.get(f"gres/{kind}", amount) if kinds.count(kind) == 1 else amount
        totals.append(f"{name}:{held.get(f'gres/{name}', of_kind)}")
    return ",".join(totals)
