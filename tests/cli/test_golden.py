"""What the commands print, whole: compared with the transcripts in golden/.

Where a change is meant, UPDATE_GOLDEN=1 writes them anew; their difference is reviewed as the user would
read it. Times are those of session.py.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from packhorse.cli.slurm import sacct
from tests.cli import people, session, transcripts
from tests.cli.commands import Run
from tests.cli.explained import explained
from tests.cli.fake_scheduler import FakeScheduler, table

GOLDEN = Path(__file__).parent / "golden"

MANY = (
    "JobID:8,ArrayJobID:8,ArrayTaskID:8,NumNodes:6,NumCPUs:6,MinMemory:8,Partition:10,QOS:8,Account:8,Dependency:40,"
    "PriorityLong:8,SubmitTime:20,StartTime:20,EndTime:20,TimeUsed:10,TimeLeft:12,WorkDir:12,STDOUT:30,Command:26,"
    "exit_code:10,Restartcnt:11,tres-per-node:14"
)
LETTERS = (
    "%i|%t|%T|%r|%A|%j|%u|%P|%N|%D|%C|%M|%l|%R|%B|%S|%V|%m|%a|%Z|%L|%b|%K|%e|%q|%F|%p|%Q|%E|%h|%o|%k|%v|%x|%y|%z|"
    "%c|%d|%f|%G|%g|%H|%I|%J|%n|%O|%U|%W|%w|%X|%Y"
)
NODE_LETTERS = (
    "%P|%a|%l|%D|%t|%T|%N|%C|%F|%c|%m|%G|%f|%p|%R|%z|%X|%Y|%Z|%w|%e|%O|%E|%H|%u|%s|%g|%h|%d|%B|%A|%I|"
    "%b|%L|%M|%n|%o|%r|%S|%U|%V|%v"
)
HISTORY = "JobID,JobIDRaw,JobName,State,ExitCode,DerivedExitCode,Reason,Elapsed,Timelimit,NodeList,AllocTRES"
MEASURED = "JobID%-12,MaxRSS,AveRSS,MaxDiskRead,MaxRSSNode,MaxRSSTask,NTasks,TotalCPU,UserCPU,AveCPU,ReqMem"

CASES: dict[str, list[str]] = {
    "squeue": ["squeue"],
    "squeue-long": ["squeue", "-l"],
    "squeue-letters": ["squeue", "-o", LETTERS],
    "squeue-widths": ["squeue", "-o", "%.6i %.3t %10j|%.15j|%5u|%-10j"],
    "squeue-double-percent": ["squeue", "-h", "-o", "%%i|%%T"],
    "squeue-names": ["squeue", "-O", "JobArrayID,StateCompact,Reason,Name:12,TimeLimit:.12,tres-alloc:40"],
    "squeue-suffix": ["squeue", "-h", "-O", "jobid:###,name:###,ArrayTaskID:###,reason:###,"],
    "squeue-many": ["squeue", "-O", MANY],
    "squeue-bad-name": ["squeue", "-O", "nosuchfield"],
    "squeue-bad-letter": ["squeue", "-o", "%i %;"],
    "squeue-start": ["squeue", "--start"],
    "squeue-steps": ["squeue", "-s"],
    "squeue-step": ["squeue", "-h", "-s", "11.0,1.batch", "-o", "%i|%j|%A|%l|%N"],
    "squeue-sorted": ["squeue", "-S", "-C,j", "-o", "%i %C %j"],
    "squeue-all": ["squeue", "-t", "all", "-o", "%i %t %R %M %e"],
    "sinfo": ["sinfo"],
    "sinfo-long": ["sinfo", "-l"],
    "sinfo-node": ["sinfo", "-N"],
    "sinfo-node-long": ["sinfo", "-Nl"],
    "sinfo-reasons": ["sinfo", "-R"],
    "sinfo-reasons-long": ["sinfo", "-Rl"],
    "sinfo-summary": ["sinfo", "-s"],
    "sinfo-letters": ["sinfo", "-o", NODE_LETTERS],
    "sinfo-names": [
        *("sinfo", "-N", "-O"),
        "nodehost,partition,statelong,gres,gresused,cpusstate,memory,allocmem,freemem,features,reason",
    ],
    "sinfo-no-partition": ["sinfo", "-h", "-o", "%D %c %m %O %e %N"],
    "sinfo-state": ["sinfo", "-t", "drain", "-h", "-o", "%N"],
    "sinfo-empty": ["sinfo", "-t", "idle"],
    "sinfo-one-partition": ["sinfo", "-p", "high", "-h", "-o", "%R %N"],
    "sinfo-bad-state": ["sinfo", "-t", "bogus"],
    "sinfo-json": ["sinfo", "--json", "-n", "node1"],
    "sacct": ["sacct"],
    "sacct-allocations": ["sacct", "-X", "-P", "-o", HISTORY],
    "sacct-parsable": ["sacct", "-p", "-n"],
    "sacct-delimiter": ["sacct", "-P", "--delimiter=^|^", "-o", "JobID,State"],
    "sacct-widths": ["sacct", "-o", "JobID%-12,State%20,JobName%5"],
    "sacct-measured": ["sacct", "-o", MEASURED],
    "sacct-units": ["sacct", "-n", "-P", "--units=M", "-o", "JobID,ReqMem,MaxRSS"],
    "sacct-noconvert": ["sacct", "-n", "-P", "--noconvert", "-o", "JobID,ReqMem,MaxRSS"],
    "sacct-brief": ["sacct", "-b"],
    "sacct-every-field": ["sacct", "-P", "-o", "ALL"],
    "sacct-helpformat": ["sacct", "--helpformat"],
    "sacct-json": ["sacct", "--json"],
    "squeue-yaml": ["squeue", "--yaml", "-j", "10"],
    "show-partition-json": ["scontrol", "show", "part", "normal", "--json"],
    "squeue-json-of-another-version": ["squeue", "--json=v0.0.40"],
    "sacct-tres": ["sacct", "-P", "-j", "12", "-o", "JobID,ConsumedEnergy,TRESUsageInMax,TRESUsageOutTot"],
    "sstat": ["sstat", "-j", "12", "-o", "JobID,MaxRSS,AveRSS,AveCPU,MaxDiskRead,MaxDiskWrite,MaxVMSize"],
    "sstat-parsable": ["sstat", "-P", "-j", "12,11.batch", "-o", "jobid,maxrss,avecpu,TRESUsageInTot%50"],
    "sstat-default": ["sstat", "-p", "-a", "12.batch"],
    "sstat-helpformat": ["sstat", "--helpformat"],
    "sstat-not-running": ["sstat", "-n", "-j", "4,12", "-o", "JobID,NTasks"],
    "sstat-no-job": ["sstat"],
    "sstat-bad-field": ["sstat", "-j", "12", "-o", "nosuch"],
    "sstat-bad-job": ["sstat", "-j", "12x"],
    "seff": ["seff", "12"],
    "seff-ended": ["seff", "13"],
    "seff-failed": ["seff", "4"],
    "seff-pending": ["seff", "16"],
    "seff-unknown": ["seff", "999"],
    "seff-bad": ["seff", "x"],
    "seff-help": ["seff", "-h"],
    "show-job": ["scontrol", "show", "job"],
    "show-job-oneline": ["scontrol", "-o", "show", "jobs"],
    "show-job-details": ["scontrol", "show", "-d", "job"],
    "show-job-json": ["scontrol", "show", "job", "--json"],
    "show-node": ["scontrol", "show", "node"],
    "show-node-oneline": ["scontrol", "-o", "show", "nodes"],
    "show-node-bad": ["scontrol", "show", "node", "node9"],
    "show-partition": ["scontrol", "show", "partition"],
    "show-partition-oneline": ["scontrol", "show", "part", "normal", "-o"],
    "show-partition-bad": ["scontrol", "show", "partition", "nosuch"],
    "show-reservation": ["scontrol", "show", "reservation"],
    "show-reservation-json": ["scontrol", "show", "res", "--json"],
    "sinfo-reservations": ["sinfo", "-T"],
    "show-step": ["scontrol", "show", "step"],
    "show-step-one": ["scontrol", "show", "step", "11.0"],
    "show-config": ["scontrol", "show", "config"],
    "show-hostnames": ["scontrol", "show", "hostnames", "node[1-2],x[08-11,20]"],
    "show-hostlist": ["scontrol", "show", "hostlist", "node1,node2,x08,x09,node5"],
    "packhorse-why": ["packhorse", "why", "17"],
    "packhorse-why-next": ["packhorse", "why", "18"],
    "packhorse-why-running": ["packhorse", "why", "19"],
    "packhorse-why-over": ["packhorse", "why", "20"],
    "packhorse-why-in-vain": ["packhorse", "why", "21"],
    "packhorse-why-what": ["packhorse", "why", "train"],
    "show-job-why": ["scontrol", "show", "job", "17"],
    "packhorse-suggest": ["packhorse", "suggest", "1234"],
    "packhorse-suggest-unsure": ["packhorse", "suggest", "--name", "once"],
    "packhorse-suggest-nothing": ["packhorse", "suggest", "--name", "never"],
    "packhorse-suggest-whose": ["packhorse", "suggest"],
    "packhorse-suggest-both": ["packhorse", "suggest", "12", "--user", "bob"],
    "packhorse-waste": ["packhorse", "waste"],
    "packhorse-waste-gpus": ["packhorse", "waste", "--sort", "gpu", "--by", "account"],
    "packhorse-waste-csv": ["packhorse", "waste", "--csv", "--by", "job-name"],
    "packhorse-waste-since": ["packhorse", "waste", "--since", "7 days"],
    "packhorse-waste-limit": ["packhorse", "waste", "--limit", "0"],
    "show-hostlistsorted": ["scontrol", "show", "hostlistsorted", "x3,x1,x2"],
}


RESERVATIONS = [
    *session.RESERVATIONS,
    {
        **session.RESERVATIONS[0],
        "name": "course-of-winter",
        "state": "ACTIVE",
        "start_at": session.at("05:00:00"),
        "end_at": session.at("05:00:00") + 86_400_000_000,
        "nodes": "node[1-2]",
        "n_nodes": 2,
        "cores": 6,
        "cpus": 12,
        "whole": 0,
        "features": "gpu",
        "partition": "normal",
        "flags": "DAILY,SPEC_NODES,PURGE_COMP=00:05:00",
        "users": "",
        "groups": "students",
        "accounts": "bio,-maths",
        "qos": "normal",
        "licenses": "matlab:2",
        "comment": "ask ann",
        "purge_after_s": 300,
    },
]


@pytest.fixture
def cluster(scheduler: FakeScheduler, monkeypatch: pytest.MonkeyPatch) -> FakeScheduler:
    """The session's cluster."""

    def jobs(body: dict[str, Any]) -> dict[str, Any]:
        rows = session.JOBS + (session.ENDED if body.get("includeEnded") else [])
        states = set(body.get("filter", {}).get("states", []))
        return table(
            [row for row in rows if not states or row["state"] in states], body["fields"], session.NOW_S
        )

    def accounting(body: dict[str, Any]) -> dict[str, Any]:
        rows = [row for name, rows in session.ACCOUNTING.items() if name != "8_3" for row in rows]
        if body.get("jobs"):
            ids = {ref["jobId"] for ref in body["jobs"]}
            rows += [row for rows in session.MEASURED.values() for row in rows]
            rows = [row for row in rows if row["job_id"] in ids]
        if body.get("allocationsOnly"):
            rows = [row for row in rows if row["row_kind"] == "job"]
        return table(rows, body["fields"], session.NOW_S)

    scheduler.on("ListJobs", jobs)
    scheduler.on("ListAccounting", accounting)
    scheduler.on("ListSteps", lambda body: table(session.steps(body), body["fields"], session.NOW_S))
    scheduler.table("ListNodes", session.NODES, session.NOW_S)
    scheduler.table("ListPartitions", session.PARTITIONS, session.NOW_S)
    scheduler.table("ListReservations", RESERVATIONS, session.NOW_S)
    scheduler.on(
        "GetConfig",
        {"settings": [{"key": "ClusterName", "value": "demo"}, {"key": "MinJobAge", "value": "300 sec"}]},
    )
    scheduler.on("ExplainJob", explained)
    scheduler.on("SuggestAsk", people.suggestion)
    scheduler.on("ListWaste", people.waste)
    monkeypatch.setattr(sacct, "time", lambda: float(session.NOW_S))
    monkeypatch.setattr("time.time", lambda: float(session.NOW_S))
    return scheduler


@pytest.mark.parametrize("name", CASES)
def test_golden(cluster: FakeScheduler, run: Run, name: str) -> None:
    argv = CASES[name]
    text = transcripts.write(argv, run(*argv))
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_no_golden_file_is_left_over() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.txt")) == sorted(CASES)
