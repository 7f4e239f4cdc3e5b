"""`packhorse version`."""

from __future__ import annotations

import argparse
import json
import platform
from importlib.metadata import version


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has no options of its own."""


def run(args: argparse.Namespace) -> int:
    found = {"packhorse": version("packhorse"), "python": platform.python_version()}
    print(json.dumps(found) if args.json else f"packhorse {found['packhorse']}")
    return 0
