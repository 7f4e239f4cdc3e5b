"""sacctmgr over a real book of accounts: against Slurm's transcripts, and whole in golden/."""

from __future__ import annotations

import io
import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from packhorse.scheduler.model.accounts import AssociationKey
from packhorse.scheduler.model.input import Caller
from packhorse.scheduler.model.job import Owner
from tests.cli import transcripts
from tests.cli.book import Book
from tests.cli.commands import Answer, Run
from tests.cli.fake_scheduler import FakeScheduler

TRANSCRIPTS = Path(__file__).resolve().parents[3] / "shared" / "slurm-golden" / "out"

GOLDEN = Path(__file__).parent / "golden" / "sacctmgr"

SETUP = (
    "add account lab Description='demo lab' Organization=demo",
    "add account other Description='other lab' Organization=demo",
    "modify account root set Description='default root account' Organization=root qos=normal",
    "add qos long set Priority=5 MaxWall=7-00:00:00",
    "add user root account=lab",
    "add user root account=root",
    "modify user root set DefaultAccount=lab AdminLevel=Administrator qos=normal,long",
)
"""What Slurm's session was set up with (shared/slurm-golden/cluster.sh), and what Slurm does by itself."""


def words(line: str) -> list[str]:
    return shlex.split(line)


@pytest.fixture
def book(scheduler: FakeScheduler) -> Book:
    return Book(scheduler)


@pytest.fixture
def demo(book: Book, run: Run) -> Book:
    """The book of Slurm's session."""
    for line in SETUP:
        code, out, err = run("sacctmgr", "-i", *words(line))
        assert (code, err) == (0, ""), (line, out, err)
    return book


@pytest.mark.skipif(not TRANSCRIPTS.is_dir(), reason="no transcripts beside the repository")
@pytest.mark.parametrize(
    "name",
    [
        "218-sacctmgr-assoc",
        "219-sacctmgr-assoc-default",
        "220-sacctmgr-user",
        "221-sacctmgr-user-p",
        "222-sacctmgr-user-width",
        "223-sacctmgr-qos",
        "224-sacctmgr-account",
        "231-sacctmgr-bad",
    ],
)
def test_to_the_letter(demo: Book, run: Run, name: str) -> None:
    theirs = transcripts.read(TRANSCRIPTS / f"{name}.txt")
    assert run(*theirs.argv) == (theirs.code, theirs.out, theirs.err)


@pytest.mark.skipif(not TRANSCRIPTS.is_dir(), reason="no transcripts beside the repository")
def test_changes_to_the_letter(demo: Book, run: Run) -> None:
    """One after the other, as they were made."""
    for name in ("227-sacctmgr-add", "228-sacctmgr-add-again", "229-sacctmgr-modify", "230-sacctmgr-delete"):
        theirs = transcripts.read(TRANSCRIPTS / f"{name}.txt")
        assert run(*theirs.argv) == (theirs.code, theirs.out, theirs.err), name


CAMPUS = (
    "add qos long Priority=5",
    "add qos urgent Priority=100 Preempt=normal PreemptMode=requeue GraceTime=120 MaxJobsPU=2 Flags=NoDecay",
    "modify qos urgent set MaxTRESPU=cpu=8,gres/gpu=1 UsageFactor=2 Flags+=DenyOnLimit MinTRES=cpu=2",
    "add account science fairshare=50 Priority=7 GrpTRES=cpu=64,gres/gpu=8 qos=normal,long",
    "add account physics,chemistry parent=science MaxJobs=10 MaxWall=2-00:00:00 GrpTRESMins=gres/gpu=6000",
    "add account arts fairshare=20",
    "add user ann account=physics MaxTRESPerJob=cpu=16 fairshare=parent",
    "add user bob accounts=physics,chemistry DefaultAccount=chemistry AdminLevel=Operator",
    "add user eve account=arts partition=main MaxSubmitJobs=4",
    "add coordinator account=science name=ann",
)

CASES = {
    "assoc-tree": "show assoc tree format=Account,User,Partition,Share,MaxJobs,MaxTRES,MaxWall,QOS%-12",
    "assoc-own": "-nP show assoc woplimits format=account,user,maxjobs,maxwall,grptres,grptresmins,qos",
    "assoc-below": "list associations account=science withsubaccounts format=Account,ParentName,User",
    "assoc-wolimits": "show assoc users=ann,eve wolimits",
    "assoc-defaults": "show assoc onlydefaults format=user,account",
    "account-withassoc": "show account physics withassoc",
    "account-coordinators": "show account withcoord",
    "user-withassoc": "show user bob withassoc",
    "user-coordinators": "-p show user withcoord",
    "user-admins": "show user adminlevel=operator",
    "user-of-account": "show user account=physics",
    "qos-default": "show qos",
    "qos-format": "show qos urgent format=Name,MaxJobsPU,MaxTRESPU,GraceT,UsageFactor,MinTRES,Flags%25",
    "cluster-wolimits": "show cluster wolimits format=Cluster,Share,QOS",
    "coordinator": "show coordinator",
    "tres": "show tres",
    "runaway": "show runawayjobs",
    "dump": "dump file=-",
    "bad-field": "show user format=nosuch",
    "bad-condition": "show user nosuch=4",
    "bad-entity": "add nosuch",
    "bad-keyword": "frobnicate",
    "add-user": "add user carl account=arts fairshare=3 MaxJobs=5 MaxWall=60",
    "add-user-account": "add user ann account=arts",
    "add-user-again": "add user ann account=physics",
    "add-user-nowhere": "add user carl",
    "add-user-unknown-account": "add user carl account=nosuch",
    "add-qos": "add qos night Priority=1 MaxWall=12:00:00 Flags=NoReserve",
    "add-user-level": "add user carl account=arts DefaultAccount=ARTS adminlevel=operator",
    "add-qos-spelled": "add qos fast priority=5 maxtrespu=cpu=4 gracetime=30 flags=denyonlimit preempt=long"
    " preemptmode=requeue maxwall=60 grpjobs=-1 description=quick",
    "add-coordinator": "add coordinator account=arts names=bob",
    "add-cluster": "add cluster demo",
    "bad-limit": "add account x MaxJobs=many",
    "modify-user": "modify user where name=bob account=physics set MaxJobs=3 qos+=urgent fairshare=7",
    "modify-user-default": "modify user bob set DefaultAccount=physics",
    "modify-user-not-there": "modify user bob set DefaultAccount=arts",
    "modify-user-unknown": "modify user nosuch set MaxJobs=3",
    "modify-where": "update user set MaxJobs=-1 where name=ann",
    "modify-account": "modify account physics set Description='All of it' MaxJobs=-1 parent=arts",
    "modify-ring": "modify account science set parent=physics",
    "modify-qos": "modify qos urgent set Priority=7 Preempt+=long MaxJobsPU=-1",
    "modify-nothing": "modify account physics set",
    "modify-usage": "modify account science set RawUsage=0",
    "modify-usage-bad": "modify account science set RawUsage=5",
    "modify-cluster": "modify cluster demo set GrpJobs=100",
    "delete-user-account": "delete user bob account=physics",
    "delete-user-default": "delete user bob account=chemistry",
    "delete-user-last": "delete user eve account=arts",
    "delete-user": "delete user name=ann",
    "delete-account-children": "delete account science",
    "delete-qos": "delete qos urgent",
    "delete-qos-used": "delete qos long",
    "delete-coordinator": "delete coordinator name=ann",
    "delete-nothing": "delete user",
    "not-yet": "show events",
}


@pytest.fixture
def campus(book: Book, run: Run, monkeypatch: pytest.MonkeyPatch) -> Book:
    for line in CAMPUS:
        code, out, err = run("sacctmgr", "-i", *words(line))
        assert (code, err) == (0, ""), (line, out, err)
    return book


@pytest.mark.parametrize("name", CASES)
def test_golden(campus: Book, run: Run, name: str) -> None:
    line = words(CASES[name])
    text = transcripts.write(["sacctmgr", "-i", *line], run("sacctmgr", "-i", *line))
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "modify account physics set GrpJobsAccrue=5",
            "GrpJobsAccrue= is not supported by Packhorse; GrpSubmit",
        ),
        (
            "modify account physics set MaxJobsAccrue=5",
            "MaxJobsAccrue= is not supported by Packhorse; MaxSubmit",
        ),
        (
            "modify qos long set MaxJobsAccruePU=5",
            "MaxJobsAccruePU= is not supported by Packhorse; MaxSubmit",
        ),
        ("modify qos long set MaxTRESRunMinsPA=cpu=5", "Packhorse; GrpTRESRunMins= of"),
    ],
)
def test_limits_that_there_are_not_have_a_way_out(campus: Book, run: Run, line: str, says: str) -> None:
    code, _, err = run("sacctmgr", "-i", *words(line))
    assert code == 1 and says in err and len(err.splitlines()) == 1


def test_no_golden_file_is_left_over() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == sorted(CASES)


def test_a_file_that_was_dumped_loads_into_an_empty_book(
    campus: Book, scheduler: FakeScheduler, run: Run, tmp_path: Path
) -> None:
    file = str(tmp_path / "demo.cfg")
    assert run("sacctmgr", "dump", "demo", f"file={file}") == (0, "", "")
    before = campus.state.accounts
    assert run("sacctmgr", "-i", "load", file) == (0, "For cluster demo\n Nothing new added.\n", "")
    run("sacctmgr", "-i", "modify", "user", "ann", "set", "MaxJobs=99")
    run("sacctmgr", "-i", "add", "account", "extra")
    code, out, err = run("sacctmgr", "-i", "load", file, "clean")
    assert (code, err) == (0, "")
    assert "- account extra" in out and 'user ann in physics: MaxJobs 99 -> ""' in out
    other = Book(scheduler)
    for line in CAMPUS:
        if "qos" in line.split()[1]:
            run("sacctmgr", "-i", *words(line))
    code, out, err = run("sacctmgr", "-i", "load", f"file={file}")
    assert (code, err) == (0, ""), err
    after = other.state.accounts
    assert after.associations == before.associations
    assert after.users == before.users
    assert {**after.accounts, "root": None} == {**before.accounts, "root": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "You need to specify a cluster name first"),
        ("Parent - 'root'\n", "You need to specify a cluster name first"),
        ("Cluster - 'tux'\n", "The file is of cluster tux, and this is demo; to load it here: cluster=demo"),
        ("Cluster - 'demo'\nnonsense\n", "Misformatted line(2): nonsense"),
        ("Cluster - 'demo'\nParent - 'nosuch'\n", "line(2) You need to add this parent (nosuch)"),
        ("Cluster - 'demo'\nAccount - 'x':Nosuch=4\n", "Problem with line(2): Unknown option: Nosuch"),
        ("Cluster - 'demo'\nAccount - 'x:MaxJobs=4\n", "Problem with line(2): a quote is not closed"),
        ("Cluster - 'demo'\nAccount - 'x':MaxJobs\n", "Bad format on MaxJobs"),
        ("Cluster - 'demo'\nAccount - 'x':MaxJobs=many\n", "MaxJobs: many is not a whole number"),
    ],
)
def test_a_bad_file_is_named(book: Book, run: Run, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.cfg"
    file.write_text(text)
    before = book.state.accounts.copy()
    code, _, err = run("sacctmgr", "-i", "load", str(file))
    assert code == 1 and message in err and book.state.accounts == before


def test_slurms_own_example_loads(book: Book, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "tux.cfg"
    file.write_text(
        "# what sacctmgr(1) shows\nCluster - tux:MaxTRESPerJob=node=15\nParent - root\n"
        "Account - cs:MaxTRESPerJob=node=5:MaxJobs=4:FairShare=399:MaxWallDurationPerJob=40:"
        "Description='Computer Science':Organization='LC'\nParent - cs\n"
        "Account - test:MaxTRESPerJob=node=1:MaxJobs=1:FairShare=1:MaxWallDurationPerJob=1:"
        "Description='Test Account':Organization='Test'\nParent - test\n"
        "User - adam:MaxTRESPerJob=node=2:MaxJobs=3:FairShare=1:MaxWallDurationPerJob=1:"
        "AdminLevel=Operator:Coordinator='test'\n"
    )
    code, _, err = run("sacctmgr", "-i", "load", f"file={file}", "cluster=demo")
    assert (code, err) == (0, "")
    mine = book.state.accounts.associations[AssociationKey("test", "adam")]
    assert (mine.limits.max_jobs, mine.limits.max_wall_s, mine.limits.max_tres) == (3, 60, (("node", 2),))
    assert book.state.accounts.accounts["test"].coordinators == ("adam",)
    assert book.state.accounts.accounts["cs"].description == "Computer Science"


def answered(run: Run, monkeypatch: pytest.MonkeyPatch, text: str, *line: str) -> Answer:
    """The command with this on its standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    monkeypatch.setattr("select.select", lambda r, w, x, timeout: (r if text else [], [], []))
    return run("sacctmgr", *line)


def test_nothing_is_done_unless_it_is_agreed(book: Book, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    question = "Would you like to commit changes? (You have 30 seconds to decide)\n(N/y): "
    for text, tail in (("\n", ""), ("n\n", ""), ("what\nn\n", "Y or N please\n(N/y): "), ("", "timeout\n")):
        code, out, err = answered(run, monkeypatch, text, "add", "account", "lab")
        assert (code, err) == (0, "") and out.endswith(f"{question}{tail} Changes Discarded\n")
        assert not book.state.accounts.in_use
    code, out, err = answered(run, monkeypatch, "y\n", "add", "account", "lab")
    assert (code, err) == (0, "") and out.endswith(question) and book.state.accounts.in_use


def test_readonly_and_quiet(book: Book, run: Run) -> None:
    assert run("sacctmgr", "-ri", "add", "account", "lab") == (
        1,
        "",
        "Can't run this command in readonly mode.\n",
    )
    assert run("sacctmgr", "-Qi", "add", "account", "lab") == (0, "", "")
    assert book.state.accounts.in_use


def test_a_prompt_takes_commands_until_exit(book: Book, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "add account lab\n\nshow account format=account\nnonsense\n!!\nexit\n"
    code, out, err = answered(run, monkeypatch, text, "-i")
    assert code == 1 and err == "invalid keyword: nonsense\n" * 2
    assert out.count("sacctmgr: ") == 6 and "       lab \n" in out


def test_an_ordinary_user_looks_and_changes_nothing(campus: Book, run: Run) -> None:
    campus.caller = Caller(Owner(1, 1, "eve", "eve"))
    code, out, err = run("sacctmgr", "-i", "modify", "user", "eve", "set", "MaxJobs=100")
    assert (code, out) == (1, "")
    assert err == (
        " Error with request: Access/permission denied\n  user eve may not modify user eve in account arts, "
        "partition main; only an administrator, an operator or a coordinator may\n"
    )
    assert run("sacctmgr", "-nP", "show", "user", "eve") == (0, "eve|arts|None\n", "")


def test_json_has_the_shapes_of_slurmdb(campus: Book, run: Run) -> None:
    def shown(*words: str) -> dict[str, Any]:
        code, out, err = run("sacctmgr", "--json", "show", *words)
        assert (code, err) == (0, "")
        found: dict[str, Any] = json.loads(out)
        assert found["errors"] == [] and found["meta"]["plugin"]["data_parser"] == "data_parser/v0.0.42"
        return found

    [one] = shown("assoc", "user=ann")["associations"]
    assert (one["account"], one["shares_raw"], one["lineage"]) == (
        *("physics", 2147483647),
        "/root/science/physics/0-ann/",
    )
    assert [(item["type"], item["count"]) for item in one["max"]["tres"]["per"]["job"]] == [("cpu", 16)]
    [ann] = shown("user", "ann")["users"]
    assert ann["default"]["account"] == "physics"
    assert [item["account"] for item in ann["associations"]] == ["physics"]
    [physics] = shown("account", "physics", "withassoc")["accounts"]
    assert {"", "ann"} <= {item["user"] for item in physics["associations"]}
    assert {item["name"] for item in shown("qos")["qos"]} >= {"normal", "urgent"}
    assert {item["type"] for item in shown("tres")["TRES"]} >= {"cpu", "mem", "node", "billing"}
    code, out, _ = run("sacctmgr", "--yaml", "show", "qos", "urgent")
    assert code == 0 and out.startswith("---\nqos:\n  - description: ") and "\n    name: urgent\n" in out
    code, _, err = run("sacctmgr", "--json", "show", "cluster")
    assert code == 1 and "show cluster has no JSON" in err


def test_names_are_found_whatever_their_case(campus: Book, run: Run) -> None:
    assert run("sacctmgr", "-i", "add", "account", "BIO", "parent=Science")[0] == 0
    assert campus.state.accounts.accounts["bio"].parent == "science"
    assert run("sacctmgr", "-i", "modify", "account", "Bio", "set", "QOS=Urgent")[0] == 0
    assert campus.state.accounts.associations[AssociationKey("bio")].qos == ("urgent",)
    assert run("sacctmgr", "-i", "add", "account", "Bio") == (1, " Nothing new added.\n", "")
