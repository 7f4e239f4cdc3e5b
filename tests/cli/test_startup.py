"""The commands start in milliseconds because of what they do not import."""

import subprocess
import sys
from pathlib import Path

import pytest

from packhorse.cli.slurm import (
    fields_accounting,
    fields_jobs,
    fields_nodes,
    show_job,
    squeue_steps,
    step_columns,
)
from packhorse.scheduler.model.shapes import jobs
from packhorse.scheduler.service.tables.accounting import ACCOUNTING
from packhorse.scheduler.service.tables.jobs import JOBS
from packhorse.scheduler.service.tables.nodes import NODES
from packhorse.scheduler.service.tables.partitions import PARTITIONS
from packhorse.scheduler.service.tables.steps import STEPS

HEAVY = {
    *("json", "re", "socket", "argparse", "dataclasses", "typing", "enum", "subprocess", "http", "asyncio"),
    *(
        "logging",
        "datetime",
        "pathlib",
        "inspect",
        "functools",
        "collections",
        "contextlib",
        "signal",
        "threading",
    ),
    *("msgspec", "grpc", "google", "numpy", "aiohttp", "structlog", "psutil"),
}
"""Each of these costs as much as the rest of a command's start, or brings others that do."""

PROBE = """
import os, sys
os._exit = lambda code: None  # srun's way to end
before = set(sys.modules)
from packhorse.cli.slurm.{prog} import main
sys.argv = {argv!r}
main()
sys.stdout.flush()
sys.stderr.write("\\n" + " ".join(sorted(set(sys.modules) - before)))
"""


@pytest.mark.parametrize(
    "argv",
    [
        ["srun", "-n", "2", "-l", "hostname"],
        ["salloc", "-n", "2", "-t", "5", "true"],
        ["sattach", "12.0"],
        ["sbcast", "-j", "12", "/etc/hostname", "/tmp/nowhere"],
        ["sbatch", "-H", "-t", "5", "--mem=1G", "-n", "2", "-J", "x", "job.sh"],
        ["squeue"],
        ["scancel", "12"],
        ["sinfo"],
        ["sacct", "-X"],
        ["sstat", "-j", "12"],
        ["seff", "12"],
        ["scontrol", "show", "job", "12"],
    ],
    ids=lambda argv: argv[0],
)
def test_nothing_heavy_is_loaded(argv: list[str], tmp_path: Path, repository: Path) -> None:
    """In an interpreter of its own, with no scheduler to ask: all that a call needs has been loaded by
    then.
    """
    (tmp_path / "job.sh").write_text("#!/bin/sh\n#SBATCH -p main\ntrue\n")
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROBE.format(prog=argv[0], argv=argv)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(repository / "build" / "ns"), "PACKHORSE_HOME": str(tmp_path), "PATH": "/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = done.stderr.rpartition("\n")[2].split()
    assert "packhorse.cli.transport" in loaded
    assert "no scheduler is running" in done.stderr
    assert not {name.partition(".")[0] for name in loaded} & HEAVY
    assert len(loaded) < 40, loaded


def test_nothing_heavy_is_loaded_for_a_step(repository: Path) -> None:
    """All of what srun loads once its step is made."""
    modules = ["srun", "steps.start", "steps.client", "steps.lines", "steps.allocation"]
    code = "\n".join(
        [f"import packhorse.cli.slurm.{name}" for name in modules] + ["import sys; print(*sys.modules)"]
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(repository / "build" / "ns"), "PATH": "/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = done.stdout.split()
    assert not {name.partition(".")[0] for name in loaded} & HEAVY
    assert len(loaded) < 70, loaded


def test_the_scheduler_has_every_column() -> None:
    """What the commands ask for is what the scheduler's tables are made of, of the same type."""
    for wanted, there in (
        (fields_jobs.JOB_COLUMNS, JOBS),
        (fields_nodes.NODE_COLUMNS, NODES),
        (fields_nodes.PARTITION_COLUMNS, PARTITIONS),
        (fields_accounting.ACCOUNTING_COLUMNS, ACCOUNTING),
        (step_columns.STEP_COLUMNS, STEPS),
    ):
        for name, kind in wanted.items():
            assert there[name].type.value == kind, name


def test_every_field_names_columns_that_exist() -> None:
    columns = fields_jobs.JOB_COLUMNS.keys()
    for fields in (fields_jobs.LETTERS, fields_jobs.names()):
        for name, (header, _, needs) in fields.items():
            assert set(needs) <= columns, name
            assert header == header.upper()
    for asked in (jobs.COLUMNS, show_job.COLUMNS):
        assert set(asked) <= columns
    assert set(squeue_steps.COLUMNS) <= step_columns.STEP_COLUMNS.keys()
