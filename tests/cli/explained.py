"""What a scheduler answers when it is asked why."""

from typing import Any

from tests.cli import session


def explained(body: dict[str, Any]) -> dict[str, Any]:
    """17 waits for a smaller ask, 18 is looked at next, 19 runs, 20 is over; any other waits in vain."""
    now = session.NOW_S * 1_000_000
    known = {
        "nowUs": now,
        "name": "train",
        "user": "ann",
        "partition": "main",
        "job": str(body["job"]["jobId"]),
    }
    return known | {17: _waiting(now), 18: NEXT, 19: RUNNING, 20: OVER}.get(body["job"]["jobId"], VAIN)


def _waiting(now: int) -> dict[str, Any]:
    hour = 3_600_000_000
    return {
        "state": "PENDING",
        "reasons": [
            {
                "reason": "Resources",
                "text": "needs 64G of memory on one node; the most that is free on any is 48G (n7)",
            },
            {"reason": "Priority", "text": '12 jobs are ahead in partition "main"'},
        ],
        "plannedStartUs": now + 7 * hour,
        "nAhead": "12",
        "nUsersAhead": 2,
        "ahead": [
            {
                "job": "12",
                "user": "bob",
                "account": "physics",
                "qos": "high",
                "priority": 12_000,
                "because": "by 2000: QOS +2000 (high has priority 10, normal has 0)",
                "plannedStartUs": str(now + hour),
            },
            {
                "job": "14_[0-9]",
                "user": "eve",
                "qos": "normal",
                "because": "their priorities are equal, and its number is lower",
            },
        ],
        "standing": [
            "priority 10000: 9000 by fair share (factor 0.900), 1000 by age (it waits for 5:00:00)",
            "fair share: account chem has 50 % of the shares and 12 % of the use, each among its siblings",
        ],
        "changes": [
            {
                "kind": "memory",
                "text": "48G of memory instead of 64G",
                "command": "scontrol update JobId=17 MinMemoryNode=48G",
                "startUs": now,
                "now": True,
                "nodes": "n7",
                "sizeMilli": 250,
            },
            {
                "kind": "priority",
                "text": "a priority of 12001, ahead of all others of its partition",
                "command": "scontrol update JobId=17 Priority=12001",
                "startUs": now,
                "now": True,
                "nodes": "n8",
                "admin": True,
            },
            {
                "kind": "time limit",
                "text": "a time limit of 02:00:00 instead of 12:00:00",
                "command": "scontrol update JobId=17 TimeLimit=02:00:00",
                "startUs": now + 30 * hour,
            },
        ],
    }


NEXT: dict[str, Any] = {
    "state": "PENDING",
    "reasons": [{"reason": "NotYetConsidered", "text": "nothing is in its way: the next cycle looks at it"}],
    "starts": "n[1-2]",
}

VAIN: dict[str, Any] = {
    "state": "PENDING",
    "reasons": [{"reason": "JobHeldUser", "text": "held by its owner; `scontrol release 21` lets it go"}],
}

RUNNING: dict[str, Any] = {
    "state": "RUNNING",
    "reasons": [{"text": "it had to make room for another job once before"}],
    "place": {
        "nNodes": 12,
        "ruledOut": [
            {"nNodes": 4, "text": "take no new work"},
            {"nNodes": 5, "text": "are taken by other jobs"},
        ],
        "own": [{"node": "n3", "score": 12.5}],
        "others": [{"node": "n5", "score": 14.0}, {"node": "n6", "score": 99.0}],
        "nOthers": 2,
        "policy": "packhorse",
    },
}

OVER: dict[str, Any] = {"state": "FAILED", "reasons": [{"text": "it is over: FAILED, exit code 3"}]}
