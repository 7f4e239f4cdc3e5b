"""`packhorse shadow`: what another configuration would have decided, on the live cluster."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from packhorse.cli.transport import call, field, int_field

Row = dict[str, Any]

LATEST = 20

KINDS = {
    "starts_now": "would have started, and waits",
    "waits": "would wait, and has been started",
    "elsewhere": "would have started on other nodes",
    "stops": "would have been stopped for others",
    "runs_on": "would not have been stopped",
    "reason": "would wait for another reason",
    "earlier": "would have an earlier planned start",
    "later": "would have a later planned start",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing to look, `on FILE` or `off` to switch."""
    parser.add_argument("switch", nargs="?", choices=("on", "off"), help="for administrators")
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="on: a packhorse.toml")
    parser.add_argument(
        "--latest", type=int, default=LATEST, metavar="N", help="differences shown, newest first"
    )


def run(args: argparse.Namespace) -> int:
    if (args.switch == "on") != (args.file is not None):
        wanted = "on FILE: which configuration?" if args.switch == "on" else "FILE belongs to on"
        print(f"packhorse shadow: {wanted}", file=sys.stderr)
        return 2
    if args.switch:
        return _switch(args)
    found = fetch(max(args.latest, 1))
    if args.json:
        print(json.dumps(found))
    else:
        print("\n".join(lines(found)))
    return 0


def _switch(args: argparse.Namespace) -> int:
    request: Row = {"off": True}
    if args.switch == "on":
        try:
            request = {"name": str(args.file), "config": args.file.read_text(encoding="utf-8")}
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a text file"
            print(f"packhorse shadow: {args.file}: {why}", file=sys.stderr)
            return 1
    reply = call("SwitchShadow", request)
    on, settings = bool(field(reply, "on", False)), field(reply, "settings", [])
    if args.json:
        print(json.dumps({"on": on, "settings": settings}))
    elif not on:
        print("shadow off")
    else:
        print("\n".join([f"shadow on, with {args.file}", *_settings(settings)]))
    return 0


def fetch(latest: int) -> Row:
    """The scheduler's answer with every figure in place."""
    reply = call("GetShadow", {"latest": latest})
    numbers = ("since_us", "n_passes", "n_failed", "last_at_us", "last_ms", "live_milli", "shadow_milli")
    return {
        "on": bool(field(reply, "on", False)),
        "name": field(reply, "name", ""),
        "error": field(reply, "error", ""),
        **{name: int_field(reply, name) for name in numbers},
        "settings": field(reply, "settings", []),
        "counts": [
            {"kind": field(row, "kind", ""), "n": int_field(row, "n"), "n_jobs": int_field(row, "n_jobs")}
            for row in field(reply, "counts", [])
        ],
        "latest": [
            {
                "at_us": int_field(row, "at_us"),
                "job_id": int_field(row, "job_id"),
                "kind": field(row, "kind", ""),
                "live": field(row, "live", ""),
                "shadow": field(row, "shadow", ""),
                "shift_s": int_field(row, "shift_s"),
            }
            for row in field(reply, "latest", [])
        ],
    }


def lines(found: Row) -> list[str]:
    """The answer as text."""
    if not found["on"]:
        text = ["no shadow runs; packhorse shadow on FILE starts one"]
    else:
        text = [f"shadow {found['name']}, since {_when(found['since_us'])}", *_settings(found["settings"])]
    if found["error"]:
        text.append(f"last failure: {found['error']} ({found['n_failed']} in all)")
    if not found["n_passes"]:
        return [*text, "no pass was compared yet"] if found["on"] else text
    live, shadow = found["live_milli"] / 10, found["shadow_milli"] / 10
    text += [
        (
            f"{found['n_passes']} passes compared, the last at {_when(found['last_at_us'])} "
            f"in {found['last_ms']} ms"
        ),
        f"CPUs in use after them: {live:.1f}% live, {shadow:.1f}% if the shadow had decided each",
        "",
    ]
    if not found["counts"]:
        return [*text, "no decision differed"]
    text.append(f"{'TIMES':>7} {'JOBS':>6}  JOBS THAT")
    text += [
        f"{row['n']:>7} {row['n_jobs']:>6}  {KINDS.get(row['kind'], row['kind'])}" for row in found["counts"]
    ]
    text += ["", f"{'AT':<19} {'JOB':>8}  {'KIND':<11} LIVE -> SHADOW"]
    text += [
        f"{_when(row['at_us']):<19} {row['job_id']:>8}  {row['kind']:<11} {_apart(row)}"
        for row in found["latest"]
    ]
    return text


def _apart(row: Row) -> str:
    live, shadow = row["live"], row["shadow"]
    if row["kind"] in ("earlier", "later"):
        live, shadow = _when(int(live)), _when(int(shadow))
    return f"{live or '-'} -> {shadow or '-'}"


def _settings(settings: list[str]) -> list[str]:
    return [f"  {text}" for text in settings] or ["  no setting differs from the live configuration"]


def _when(micros: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(micros // 1_000_000))
