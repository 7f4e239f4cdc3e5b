"""`packhorse accounts`: a file of accounts applied to a real book, and printed back."""

from __future__ import annotations

import io
import json
import tomllib
from pathlib import Path

import pytest

from packhorse.cli import main
from packhorse.scheduler.model import accounts_file
from packhorse.scheduler.model.account_settings import SETTINGS
from packhorse.scheduler.model.accounts import AssociationKey
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.input import Caller
from packhorse.scheduler.model.job import Owner
from tests.cli.book import Book
from tests.cli.fake_scheduler import FakeScheduler

CAMPUS = """\
[qos.urgent]
priority = 100
preempts = ["normal"]
preempt_mode = "requeue"
grace = 120
usage_factor = 2.5
max_tres_pu = { cpu = 8, "gres/gpu" = 1 }
flags = ["DenyOnLimit"]

[account.science]
description = "Faculty of \\"hard\\" science"
shares = 50
qos = ["normal", "urgent"]
coordinators = ["dean"]

[account.physics]
parent = "science"
users = ["bob", "ann.b"]
grp_tres = { cpu = 64, mem = "256G" }
MaxWallDurationPerJob = "2-00:00:00"
quota = "cpu=16"
borrow = "none"

[account.physics.user.ann]
shares = "parent"
max_jobs = 4

[account.physics.user."bob:main"]
max_jobs = 1

[account.chemistry]
parent = "science"
users = ["ann"]
default_qos = "urgent"

[user.ann]
default_account = "chemistry"
admin_level = "Operator"
"""


@pytest.fixture
def book(scheduler: FakeScheduler) -> Book:
    return Book(scheduler)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "campus.toml"
    path.write_text(CAMPUS)
    return path


Out = pytest.CaptureFixture[str]


def apply(capsys: Out, *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main.main(["accounts", *words])
    return code, *capsys.readouterr()


PLAN = """\
+ QOS urgent: Priority=100 Preempt=normal PreemptMode=requeue GraceTime=00:02:00 UsageFactor=2.500000 \
Flags=DenyOnLimit MaxTRESPerUser=cpu=8,gres/gpu=1
+ account science: Parent=root Description="Faculty of "hard" science" Coordinators=dean Fairshare=50 \
QOS=normal,urgent
+ account physics: Parent=science GrpTRES=cpu=64,mem=256G MaxWall=2-00:00:00 Quota=cpu=16 Borrow=none
+ account chemistry: Parent=science DefaultQOS=urgent
+ user dean
+ user bob: DefaultAccount=physics
+ user ann.b: DefaultAccount=physics
+ user ann: DefaultAccount=chemistry AdminLevel=Operator
+ user bob in physics
+ user ann.b in physics
+ user ann in physics: Fairshare=parent MaxJobs=4
+ user bob in physics, partition main: MaxJobs=1
+ user ann in chemistry
13 to add, 0 to change, 0 to remove
"""


def test_the_plan_is_shown_and_then_made(book: Book, file: Path, capsys: Out) -> None:
    assert apply(capsys, "apply", str(file), "--dry-run") == (0, PLAN, "")
    assert not book.state.accounts.in_use
    assert apply(capsys, "apply", str(file), "--yes") == (0, PLAN + "done\n", "")
    ann = book.state.accounts.associations[AssociationKey("physics", "ann")]
    assert (ann.shares, ann.limits.max_jobs) == (-1, 4)
    assert apply(capsys, "apply", str(file), "--yes") == (0, "nothing to change\n", "")


def test_what_is_shown_makes_the_same_book(
    book: Book, scheduler: FakeScheduler, file: Path, tmp_path: Path, capsys: Out
) -> None:
    apply(capsys, "apply", str(file), "--yes")
    code, text, err = apply(capsys, "show")
    assert (code, err) == (0, "") and "[account.science]" in text and "[user.bob]" not in text
    tomllib.loads(text)
    copy = tmp_path / "copy.toml"
    copy.write_text(text)
    assert apply(capsys, "apply", str(copy), "--prune", "--yes") == (0, "nothing to change\n", "")
    other = Book(scheduler)
    assert apply(capsys, "apply", str(copy), "--yes")[0] == 0
    assert other.state.accounts.associations == book.state.accounts.associations
    assert other.state.accounts.accounts == book.state.accounts.accounts
    assert other.state.accounts.users == book.state.accounts.users
    assert other.state.accounts.qos == book.state.accounts.qos
    assert apply(capsys, "show")[1] == text


def test_what_the_file_does_not_name_stays_unless_it_is_pruned(
    book: Book, file: Path, tmp_path: Path, capsys: Out
) -> None:
    apply(capsys, "apply", str(file), "--yes")
    less = tmp_path / "less.toml"
    less.write_text(
        '[account.science]\ndescription = "Faculty of \\"hard\\" science"\nshares = 40\nusers = ["bob"]\n'
    )
    code, out, _ = apply(capsys, "apply", str(less), "--dry-run")
    assert (code, out.splitlines()) == (
        0,
        [
            '~ account science: Coordinators dean -> "" Fairshare 50 -> 40 QOS normal,urgent -> ""',
            "~ user bob: DefaultAccount physics -> science",
            "+ user bob in science",
            "1 to add, 2 to change, 0 to remove",
        ],
    )
    code, out, _ = apply(capsys, "apply", str(less), "--prune", "--yes")
    assert code == 0 and "- account physics\n" in out and "- QOS urgent\n" in out
    assert sorted(book.state.accounts.accounts) == ["root", "science"]
    assert sorted(book.state.accounts.users) == ["bob"]


def test_nothing_happens_without_a_yes(
    book: Book, file: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, out, _ = apply(capsys, "apply", str(file))
    assert (
        code == 1
        and out.endswith("Make it so? [y/N] nothing was changed\n")
        and not book.state.accounts.in_use
    )
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    code, out, _ = apply(capsys, "apply", str(file))
    assert code == 0 and out.endswith("Make it so? [y/N] done\n") and book.state.accounts.in_use


def test_for_programs(book: Book, file: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = apply(capsys, "--json", "apply", str(file))
    assert (code, out) == (1, "") and "--json cannot ask; add --yes" in err
    code, out, _ = apply(capsys, "--json", "apply", str(file), "--yes")
    assert code == 0 and json.loads(out)["applied"] is True and len(json.loads(out)["changes"]) == 13
    code, out, _ = apply(capsys, "--json", "show")
    assert {row["name"] for row in json.loads(out)["users"]} == {"ann", "ann.b", "bob", "dean"}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[account.bio]\n")))
    code, out, _ = apply(capsys, "apply", "-", "--yes")
    assert (code, out.splitlines()[0]) == (0, "+ account bio: Parent=root")


def test_an_ordinary_user_is_refused_in_one_line(book: Book, file: Path, capsys: Out) -> None:
    book.caller = Caller(Owner(5, 5, "eve", "eve"))
    code, out, err = apply(capsys, "apply", str(file), "--yes")
    assert (code, out) == (1, "")
    assert err == (
        "packhorse accounts: user eve may not set QOS urgent; only an administrator, an operator or a "
        "coordinator may\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[account.x", "x.toml: not TOML: "),
        ("[acount.x]\n", "x.toml: acount: is not known; accepted are [qos.NAME], [account.NAME]"),
        ("account = 4\n", "x.toml: account: is not a table; write [account.NAME]"),
        ("[account]\nx = 4\n", "x.toml: account.x: is not a table; write [account.x]"),
        (
            "[account.x]\nmax_jobz = 4\n",
            'x.toml: account.x.max_jobz: is not a setting; did you mean "max_jobs"?',
        ),
        ("[account.x]\nmax_jobs = true\n", "x.toml: account.x.max_jobs: True is not a value"),
        ("[account.x]\nmax_jobs = -5\n", "x.toml: account.x.max_jobs: MaxJobs: -5 is not a whole number"),
        ('[account.x]\ngrp_tres = "cpu"\n', 'x.toml: account.x.grp_tres: GrpTRES: "cpu" is not NAME=AMOUNT'),
        ("[account.x]\nusers = 4\n", "x.toml: account.x.users: is not a list of names"),
        ('[account.x]\nusers = ["a"]\n[account.x.user.a]\n', 'x.toml: account.x.users: "a" is there and has'),
        ('[account."a b"]\n', 'x.toml: account.a b: account "a b": a name has letters'),
        ("[user.x]\nshares = 4\n", "x.toml: user.x.shares: is not a setting"),
        ("[qos.x]\nusage_factor = 1e-9\n", "x.toml: qos.x.usage_factor: UsageFactor: 1e-09 is not a number"),
    ],
)
def test_mistakes_are_named_with_their_place(text: str, message: str) -> None:
    with pytest.raises(BadValue) as caught:
        accounts_file.read(text, "x.toml")
    assert str(caught.value).startswith(message)


def test_files_that_cannot_be_read(book: Book, tmp_path: Path, capsys: Out) -> None:
    odd = tmp_path / "odd.toml"
    assert "No such file" in apply(capsys, "apply", str(odd))[2]
    odd.write_bytes(b"\xff")
    assert "not UTF-8: invalid start byte at byte 0" in apply(capsys, "apply", str(odd))[2]
    odd.write_bytes(b"#" * (accounts_file.MAX_BYTES + 1))
    assert "more than 16 MiB" in apply(capsys, "apply", str(odd))[2]


def page(repository: Path) -> str:
    return (repository / "docs" / "policy" / "accounts.md").read_text()


def block(text: str, kind: str) -> str:
    """The first one of that kind."""
    return text.partition(f"```{kind}\n")[2].partition("```")[0]


def test_the_page_shows_what_its_file_does(book: Book, repository: Path, tmp_path: Path, capsys: Out) -> None:
    example = tmp_path / "campus.toml"
    example.write_text(block(page(repository), "toml"))
    assert apply(capsys, "apply", str(example), "--dry-run") == (0, block(page(repository), "text"), "")


def test_the_page_names_every_setting(repository: Path) -> None:
    rows = [
        f"| `{accounts_file.key_of(setting)}` | `{setting.slurm}` |"
        for settings in SETTINGS.values()
        for setting in settings
    ]
    assert [row for row in rows if row not in page(repository)] == []
