"""docs/slurm.md is what the code says, and the code knows everything that the manual pages list."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from packhorse.cli.slurm.compat import man_pages
from packhorse.cli.slurm.compat.notes import OWN, SPECIAL
from packhorse.cli.slurm.compat.page import (
    known_parameters,
    listed,
    page,
    table_of,
    variable_means,
    variable_options,
)

COMMANDS, FILES = listed()
HERE = [name for name in COMMANDS if table_of(name) is not None]


def test_the_page_is_what_the_code_says(repository: Path) -> None:
    assert (repository / "docs" / "slurm.md").read_text() == page(), "make slurm-page"


def test_the_list_is_of_all_commands() -> None:
    assert list(COMMANDS) == list(man_pages.COMMANDS)
    assert list(FILES) == list(man_pages.FILES)
    counts = {name: len(lists.options) for name, lists in COMMANDS.items()}
    assert (counts["sbatch"], counts["srun"], counts["squeue"], counts["sacct"]) == (102, 122, 33, 52)
    assert sum(counts.values()) == 604


@pytest.mark.parametrize("command", HERE)
def test_every_option_of_the_manual_page_is_known_or_refused_by_name(command: str) -> None:
    table = table_of(command)
    assert table is not None
    letters = {letter for letter, _, _ in table.values()}
    missing = [
        (letter, long)
        for letter, long in COMMANDS[command].options
        if (long and long not in table) or (letter and letter not in letters)
    ]
    assert not missing


@pytest.mark.parametrize("command", HERE)
def test_the_table_is_the_one_that_is_parsed_with(command: str) -> None:
    """Each option of the table is read by the command's own parser under its name and letter."""
    table = table_of(command)
    assert table is not None
    try:
        parser = importlib.import_module(f"packhorse.cli.slurm.{command}_options").PARSER
    except ModuleNotFoundError:
        parser = importlib.import_module(f"packhorse.cli.slurm.{command}").PARSER
    for name, (letter, takes, _) in table.items():
        assert parser.parse([f"--{name}=x" if takes else f"--{name}"])[0] == [(name, "x" if takes else "")]
        if letter:
            [(found, _)] = parser.parse([f"-{letter}x" if takes else f"-{letter}"])[0]
            assert table[found][0] == letter


@pytest.mark.parametrize("command", HERE)
def test_variables(command: str, repository: Path) -> None:
    """What is said to have no effect is not read, and what is said to be treated by itself is."""
    folder = repository / "cli" / "slurm"
    modules = [*folder.glob(f"{command}*.py"), *folder.glob("steps/*.py"), folder / "submission.py"]
    shared = [folder / name for name in ("times.py", "fields_jobs.py")]
    own = "".join(path.read_text() for path in modules)
    table = table_of(command)
    assert table is not None
    stands_for = variable_options(command)
    for variable in COMMANDS[command].variables:
        said = variable_means(command, variable, stands_for(variable), table)
        if said.startswith("no effect") and variable not in ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_UMASK"):
            assert f'"{variable}"' not in own, variable
        assert not said.endswith("no effect") or stands_for(variable), f"why has {variable} none?"
        if variable in SPECIAL.get(command, {}):
            assert f'"{variable}"' in own + "".join(path.read_text() for path in shared), variable


def test_remarks_are_about_options_that_there_are() -> None:
    for command, remarks in OWN.items():
        table = table_of(command)
        assert table is not None
        assert set(remarks) <= set(table), command


def test_parameters_are_all_in_the_tables_of_the_import() -> None:
    found: dict[str, set[str]] = {}
    known: dict[str, set[str]] = {}
    for file, sections in FILES.items():
        for section, names in sections.items():
            place = "cgroup.conf" if file == "cgroup.conf" else f"{file} {section}"
            found.setdefault(place, set()).update(names)
            known.setdefault(place, set()).update(known_parameters(file, section))
    assert found == known


PAGE = r"""
.TH prog "1"
.SH "OPTIONS"
.TP
\fB\-A\fR, \fB\-\-account\fR=<\fIaccount_list\fR>
Text with \-\-other.
.RS
.TP
\fB\-l\fR, \fB\-\-long\fR
deeper
.RE
.RE
.TP
\fB\-g\fR, \fB\-\-gid\fR=\fI\fR, \fB\-\-group\fR=<\fIlist\fR>
.TP
\fB\-t\fR <\fIformat\fR>
.TP
\fB\-V\fR , \fB\-\-version\fR
.SH "INPUT ENVIRONMENT VARIABLES"
.TP
\fBPROG_CLUSTERS\fR or \fBSLURM_CLUSTERS\fR
.SH "OUTPUT ENVIRONMENT VARIABLES"
.TP
\fBSLURM_OUT\fR
.SH "NODE CONFIGURATION"
.TP
\fBGpuFreqDef\fR=[<\fItype\fR]=value>
.TP
\fBnot one\fR
"""


def test_how_pages_are_read() -> None:
    assert man_pages.options(PAGE) == [
        *(("A", "account"), ("g", "gid"), ("g", "group")),
        *(("t", ""), ("V", "version")),
    ]
    assert man_pages.variables(PAGE) == ["PROG_CLUSTERS", "SLURM_CLUSTERS"]
    assert man_pages.parameters(PAGE) == {"NODE CONFIGURATION": ["GpuFreqDef"]}
