"""`--mail-type`: of what a job's user wants to be told by mail.

Standard library only and no imports: the Slurm-style commands load this file.
"""

from __future__ import annotations

TYPES = (
    *("BEGIN", "END", "FAIL", "REQUEUE", "INVALID_DEPEND", "STAGE_OUT"),
    *("TIME_LIMIT", "TIME_LIMIT_90", "TIME_LIMIT_80", "TIME_LIMIT_50", "ARRAY_TASKS"),
)
ALL = ("BEGIN", "END", "FAIL", "REQUEUE", "INVALID_DEPEND", "STAGE_OUT")

PERCENT = {"TIME_LIMIT": 100, "TIME_LIMIT_90": 90, "TIME_LIMIT_80": 80, "TIME_LIMIT_50": 50}


class MailError(ValueError):
    """A kind of mail that there is not."""


def parse_mail_types(text: str) -> str:
    """The kinds in `begin,END` or `ALL`, in the order of TYPES and joined by commas; "" for NONE.

    >>> parse_mail_types("fail,begin")
    'BEGIN,FAIL'
    """
    wanted: set[str] = set()
    for part in text.split(","):
        name = part.strip().upper()
        if name == "NONE":
            wanted.clear()
        elif name == "ALL":
            wanted.update(ALL)
        elif name in TYPES:
            wanted.add(name)
        else:
            raise MailError(f'"{part}" is not one of NONE, ALL, {", ".join(TYPES)}')
    return ",".join([name for name in TYPES if name in wanted])
