"""Shares of accounts and users: `assoc_shares_obj_wrap` of sshare and /slurm/…/shares."""

from __future__ import annotations

from packhorse.scheduler.model.shapes.shape import Shape, inner, listed, number, text, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from packhorse.scheduler.model.shapes.shape import Field

    Row = dict[str, Any]

_PARENT = -1
"""Instead of shares: fairshare=parent."""
_SLURM_PARENT = 2147483647


def answer(rows: list[Row], cluster: str, *, users_only: bool = False) -> dict[str, Any]:
    """The `shares` of rows of the table of shares, which are the tree from the top down."""
    found = []
    above: dict[int, str] = {}
    for index, row in enumerate(rows, 1):
        depth = row["depth"]
        if not row["user"]:
            above[depth] = row["account"]
        parent = row["account"] if row["user"] else above.get(depth - 1, "")
        if row["user"] or not users_only:
            found.append(row | {"id": index, "cluster": cluster, "parent": parent})
    return SHARES.of({"rows": found, "total": len(found)})


def _float(column: str) -> Field:
    """A figure that is told as a text, "" for none."""
    return "float_number", lambda row: number(_value(row[column]), unset=row[column] in ("", "inf"))


def _value(text: str) -> float:
    return 0.0 if text in ("", "inf") else float(text)


def _amounts(column: str, times: int, shape: Shape) -> Field:
    """`cpu=4,mem=2000` as a list of names and amounts. times: units of the answer in one of the column."""

    def made(row: Row) -> list[dict[str, Any]]:
        parts = [part.partition("=") for part in row[column].split(",") if part]
        return [shape.of({"name": name, "amount": float(amount) * times}) for name, _, amount in parts]

    return ("list", shape), made


_AMOUNT = Shape(
    "shares_uint64_tres",
    {"name": text("name"), "value": ("number", lambda row: number(int(row["amount"])))},
)
_FLOAT_AMOUNT = Shape(
    "shares_float128_tres", {"name": text("name"), "value": ("float", lambda row: row["amount"])}
)


def _level(row: Row) -> dict[str, Any]:
    text = row["level_fs"]
    return number(_value(text), unset=text == "", infinite=text == "inf")


_FAIRSHARE = Shape(
    "shares_fairshare",
    {
        "factor": _float("fairshare"),
        "level": ("float_number", _level),
    },
)
_TRES = Shape(
    "shares_tres",
    {
        "run_seconds": _amounts("tres_run_mins", 60, _AMOUNT),
        "group_minutes": _amounts("grp_tres_mins", 1, _AMOUNT),
        "usage": _amounts("tres_mins", 60, _FLOAT_AMOUNT),
    },
)
SHARE = Shape(
    "assoc_shares_obj_wrap",
    {
        "id": whole("id"),
        "cluster": text("cluster"),
        "name": ("text", lambda row: row["user"] or row["account"]),
        "parent": text("parent"),
        "partition": text("partition"),
        "shares_normalized": _float("norm_shares"),
        "shares": (
            "number",
            lambda row: number(_SLURM_PARENT if row["shares"] == _PARENT else row["shares"]),
        ),
        "tres": inner(_TRES),
        "effective_usage": _float("effective_usage"),
        "usage_normalized": _float("norm_usage"),
        "usage": whole("usage_s"),
        "fairshare": inner(_FAIRSHARE),
        "type": ("texts", lambda row: ["USER" if row["user"] else "ASSOCIATION"]),
    },
)
SHARES = Shape("shares_resp_msg", {"shares": listed(SHARE, "rows"), "total_shares": whole("total")})
