"""Command lines: GNU's rules and messages."""

import pytest

from packhorse.cli.slurm import sacct, sbatch_options, scancel, scontrol, sinfo, squeue, sstat
from packhorse.cli.slurm.options import NONE, NOT_YET, OPTIONAL, REQUIRED, USED, Parser, UsageError

PARSER = Parser(
    "prog",
    {
        "jobs": ("j", OPTIONAL, USED),
        "name": ("n", REQUIRED, USED),
        "no-kill": ("k", NONE, USED),
        "no-requeue": ("", NONE, USED),
        "noheader": ("h", NONE, USED),
        "steps": ("s", OPTIONAL, NOT_YET),
    },
)


@pytest.mark.parametrize(
    ("words", "found", "arguments"),
    [
        ("--name x", [("name", "x")], []),
        ("--name=x=y", [("name", "x=y")], []),
        ("--na x", [("name", "x")], []),
        ("-nx", [("name", "x")], []),
        ("-n x", [("name", "x")], []),
        ("-hn x", [("noheader", ""), ("name", "x")], []),
        ("-hj", [("noheader", ""), ("jobs", "")], []),
        ("-j12", [("jobs", "12")], []),
        ("-j 12", [("jobs", "")], ["12"]),
        ("--jobs=12", [("jobs", "12")], []),
        ("a -h b", [("noheader", "")], ["a", "b"]),
        ("a -- -h", [], ["a", "-h"]),
        ("- -h", [("noheader", "")], ["-"]),
        ("-n -h", [("name", "-h")], []),
        ("--no-r", [("no-requeue", "")], []),
        ("", [], []),
    ],
)
def test_read(words: str, found: list[tuple[str, str]], arguments: list[str]) -> None:
    assert PARSER.parse(words.split()) == (found, arguments)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--nosuch", "unrecognized option '--nosuch'"),
        ("--nosuch=3", "unrecognized option '--nosuch=3'"),
        ("-y", "invalid option -- 'y'"),
        ("-hy", "invalid option -- 'y'"),
        ("--name", "option '--name' requires an argument"),
        ("-n", "option requires an argument -- 'n'"),
        ("--noheader=1", "option '--noheader' doesn't allow an argument"),
        ("--no", "option '--no' is ambiguous; possibilities: '--no-kill' '--no-requeue' '--noheader'"),
        ("--no=1", "option '--no=1' is ambiguous; possibilities: '--no-kill' '--no-requeue' '--noheader'"),
    ],
)
def test_unreadable(words: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        PARSER.parse(words.split())
    assert caught.value.lines == f'prog: {message}\nTry "prog --help" for more information'
    assert caught.value.code == 1


def test_options_end_at_the_first_argument_where_they_may_not_follow() -> None:
    parser = Parser("prog", {"hold": ("H", NONE, USED)}, permute=False)
    assert parser.parse(["-H", "script", "-H", "--x"]) == ([("hold", "")], ["script", "-H", "--x"])


def test_what_is_not_supported_is_refused_by_name() -> None:
    found, _ = PARSER.parse(["--steps"])
    with pytest.raises(UsageError, match="prog: error: option --steps is not supported by Packhorse yet"):
        PARSER.refuse_unsupported(found)


@pytest.mark.parametrize(
    "parser",
    [
        sacct.PARSER,
        sbatch_options.PARSER,
        scancel.PARSER,
        scontrol.PARSER,
        sinfo.PARSER,
        squeue.PARSER,
        sstat.PARSER,
    ],
    ids=lambda parser: parser.prog,
)
def test_tables_are_sound(parser: Parser) -> None:
    """Every option has one meaning, and a letter belongs to one option (or to spellings of one)."""
    letters: dict[str, str] = {}
    for name, (letter, takes, use) in parser.table.items():
        assert name == name.strip() and " " not in name
        assert takes in (NONE, REQUIRED, OPTIONAL)
        assert use in (USED, NOT_YET, "harmless", "warned")
        if letter and letter in letters:
            assert parser.table[letters[letter]] == parser.table[name], (letter, name)
        letters.setdefault(letter, name)


def test_sbatch_lists_its_options_in_order() -> None:
    """Messages about ambiguous options list them in this order."""
    names = list(sbatch_options.TABLE)
    assert names == sorted(names, key=lambda name: name)


def test_variables_stand_for_options() -> None:
    found = sbatch_options.from_environment(
        {
            "SBATCH_TIMELIMIT": "3",
            "SBATCH_JOB_NAME": "x",
            "SBATCH_REQUEUE": "",
            "SBATCH_WAIT": "0",
            "SBATCH_NTASKS": "9",
            "SBATCH_MEM_PER_NODE": "1G",
            "SBATCH_NONSENSE": "1",
            "SLURM_NTASKS": "4",
        }
    )
    assert found == [("time", "3"), ("job-name", "x"), ("requeue", ""), ("mem", "1G")]
