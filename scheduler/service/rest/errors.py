"""Failures in Slurm's shape: a number and a phrase of slurm_errno.h, a sentence, and where it came from."""

from __future__ import annotations

from typing import Any

from packhorse.scheduler.service.failures import CallFailed, Code

INVALID_QUERY = 9000
FAIL_PARSING = 9001
UNKNOWN_METHOD = 9007
AUTH_FAIL = 9008
NOT_FOUND_PATH = 9200

PHRASES: dict[str, int] = {
    "Invalid partition name specified": 2000,
    "Access/permission denied": 2002,
    "Requested nodes are busy": 2016,
    "Requested node configuration is not available": 2014,
    "Requested partition configuration not available now": 2015,
    "Invalid job id specified": 2017,
    "Invalid node name specified": 2018,
    "Job/step already completing or completed": 2021,
    "Invalid feature specification": 2029,
    "Requested operation is presently disabled": 2037,
    "Job dependency problem": 2038,
    "Invalid account or account/partition combination specified": 2045,
    "Invalid license specification": 2048,
    "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)": 2050,
    "Requested time limit is invalid (missing or exceeds some limit)": 2051,
    "Requested reservation is invalid": 2053,
    "Invalid qos specification": 2066,
    "Invalid generic resource (gres) specification": 2072,
    "Invalid job array specification": 2081,
    "Invalid user id": 2010,
    "Invalid job state specified": INVALID_QUERY,
}
"""Slurm's numbers for its phrases (slurm_errno.h of 24.11)."""

CODES: dict[Code, tuple[int, str]] = {
    Code.INVALID_ARGUMENT: (INVALID_QUERY, "Query parameter or body is invalid"),
    Code.NOT_FOUND: (NOT_FOUND_PATH, "Unable to resolve path"),
    Code.ALREADY_EXISTS: (2082, "Name already in use"),
    Code.PERMISSION_DENIED: (2002, "Access/permission denied"),
    Code.UNAUTHENTICATED: (AUTH_FAIL, "Authentication failure"),
    Code.RESOURCE_EXHAUSTED: (2007, "Limit of the cluster is reached"),
    Code.FAILED_PRECONDITION: (2020, "Job can not be altered now, try again later"),
    Code.OUT_OF_RANGE: (INVALID_QUERY, "Query parameter or body is invalid"),
    Code.UNIMPLEMENTED: (2036, "Requested operation not supported on this system"),
    Code.UNAVAILABLE: (1800, "Unable to contact slurm controller (connect failure)"),
    Code.INTERNAL: (2090, "Internal error"),
    Code.DATA_LOSS: (2090, "Internal error"),
}
"""Number and phrase where the core has no phrase of Slurm's."""


def slurm_error(failure: CallFailed, source: str) -> dict[str, Any]:
    """The entry of `errors` that tells of it. source: the operation."""
    number, phrase = CODES[failure.code]
    return {
        "description": failure.message,
        "error_number": PHRASES.get(failure.slurm, number),
        "error": failure.slurm or phrase,
        "source": source,
    }
