"""The book of accounts: what may be changed, by whom, and what jobs may then run under."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from packhorse.scheduler.core.accounts.rights import INVALID_ACCOUNT, INVALID_QOS
from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model import accounts_file
from packhorse.scheduler.model.account_settings import Thing
from packhorse.scheduler.model.accounts import FAIRSHARE_PARENT, AssociationKey, PreemptMode
from packhorse.scheduler.model.accounts_change import AccountChange, Verb
from packhorse.scheduler.model.cluster import AccountsPolicy, Enforce, Partition
from packhorse.scheduler.model.event import AccountsChanged
from packhorse.scheduler.model.input import Caller, ChangeAccounts, Reconfigure
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.model.reply import Planned, RefusalCode, Refused
from tests.core.account_wishes import account, coordinator, member, qos, user
from tests.core.scenario import ADMIN, OTHER, USER, Cluster, a_cluster, a_config

BOSS = Caller(Owner(1002, 1000, "boss", "pack"))


def change(
    cluster: Cluster, *changes: AccountChange, caller: Caller = ADMIN, dry_run: bool = False
) -> list[str]:
    """Change and expect success; returns the lines."""
    reply = cluster.do(ChangeAccounts(caller, changes, dry_run)).reply
    assert isinstance(reply, Planned), reply
    return list(reply.lines)


def refused(cluster: Cluster, *changes: AccountChange, caller: Caller = ADMIN) -> str:
    """Change and expect a refusal that leaves everything as it was; returns the message."""
    before, n_events = cluster.state.accounts.copy(), len(cluster.log)
    reply = cluster.do(ChangeAccounts(caller, changes)).reply
    assert isinstance(reply, Refused), reply
    assert cluster.state.accounts == before and len(cluster.log) == n_events
    return reply.message


@pytest.fixture
def cluster() -> Cluster:
    """physics with optics below it, and bio; mule is in optics, donkey in bio, boss coordinates physics."""
    found = a_cluster()
    change(
        found,
        qos("long", priority=5, max_wall="7-00:00:00"),
        account("physics", description="All of it", shares=50),
        account("optics", parent="physics"),
        account("bio"),
        *(user(name) for name in ("mule", "donkey", "boss")),
        member("mule", "optics"),
        member("donkey", "bio"),
        coordinator("boss", "physics"),
        user("mule", Verb.MODIFY, default_account="optics"),
        user("donkey", Verb.MODIFY, default_account="bio"),
    )
    return found


# -- changing


def test_everything_at_once_is_one_event_and_reads_as_a_plan() -> None:
    cluster = a_cluster()
    wish = (
        account("physics", shares=50, grp_tres="cpu=64", qos="normal,long", description="All of it"),
        qos(
            "long", priority=5, max_wall="7-0", preempts="normal", preempt_mode="requeue", usage_factor="0.5"
        ),
        user("mule", default_account="physics", admin_level="Operator"),
        member("mule", "physics", shares="parent", max_jobs=4),
    )
    planned = change(cluster, *wish, dry_run=True)
    assert not cluster.state.accounts.in_use
    assert planned == [
        "+ QOS long: Priority=5 Preempt=normal PreemptMode=requeue UsageFactor=0.500000 MaxWall=7-00:00:00",
        '+ account physics: Parent=root Description="All of it" Fairshare=50 GrpTRES=cpu=64 QOS=long,normal',
        "+ user mule: DefaultAccount=physics AdminLevel=Operator",
        "+ user mule in physics: Fairshare=parent MaxJobs=4",
    ]
    n_events = len(cluster.log)
    assert change(cluster, *wish) == planned
    assert [type(event) for event in cluster.log[n_events:]] == [AccountsChanged]
    book = cluster.state.accounts
    mine = book.associations[AssociationKey("physics", "mule")]
    assert (mine.shares, mine.limits.max_jobs) == (FAIRSHARE_PARENT, 4)
    own = book.associations[AssociationKey("physics")]
    assert own.limits.grp_tres == (("cpu", 64_000),) and own.qos == ("long", "normal")
    long = book.qos["long"]
    assert (long.priority, long.preempts, long.preempt_mode) == (5, ("normal",), PreemptMode.REQUEUE)
    assert (long.usage_factor_milli, long.limits.max_wall_s) == (500, 7 * 86_400)


def test_a_change_that_changes_nothing_is_no_event(cluster: Cluster) -> None:
    n_events = len(cluster.log)
    assert change(cluster, account("physics", Verb.MODIFY, shares=50)) == []
    assert len(cluster.log) == n_events


def test_minus_one_clears_and_amounts_by_name_stay(cluster: Cluster) -> None:
    change(cluster, account("bio", Verb.MODIFY, max_jobs=3, grp_tres="cpu=8,mem=4G", max_wall=30))
    lines = change(cluster, account("bio", Verb.MODIFY, max_jobs=-1, grp_tres="cpu=-1,node=2", max_wall="-1"))
    assert lines == [
        '~ account bio: GrpTRES cpu=8,mem=4G -> mem=4G,node=2 MaxJobs 3 -> "" MaxWall 00:30:00 -> ""'
    ]
    change(cluster, account("bio", Verb.MODIFY, grp_tres="-1"))
    assert cluster.state.accounts.associations[AssociationKey("bio")].limits.grp_tres == ()


def test_adding_to_an_inherited_list_of_qos_starts_from_what_is_allowed(cluster: Cluster) -> None:
    change(cluster, account("physics", Verb.MODIFY, qos="normal"))
    change(cluster, member("mule", "optics", Verb.MODIFY, qos=("+=", "long")))
    key = AssociationKey("optics", "mule")
    assert cluster.state.accounts.associations[key].qos == ("long", "normal")
    change(cluster, member("mule", "optics", Verb.MODIFY, qos=("-=", "normal")))
    assert cluster.state.accounts.associations[key].qos == ("long",)
    change(cluster, member("mule", "optics", Verb.MODIFY, qos=""))
    assert cluster.state.accounts.associations[key].qos == ()


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (account("physics"), "account physics exists already; modify it"),
        (account("nosuch", Verb.MODIFY, shares=1), "account nosuch does not exist"),
        (account("x", parent="nosuch"), 'account "x": its parent "nosuch" does not exist'),
        (account("physics", Verb.MODIFY, parent="optics"), "is below it, or is it"),
        (account("root", Verb.MODIFY, parent="bio"), "account root: has no parent"),
        (account("root", Verb.DELETE), "account root cannot be removed"),
        (account("physics", Verb.DELETE), 'account "physics" has account "optics" below it'),
        (
            account("optics", Verb.DELETE),
            'user "mule" would have no association with the default account "optics"',
        ),
        (account("a b"), 'account "a b": a name has letters'),
        (account("a" * 65), "65 characters, limit 64"),
        (account("x", max_jobs="many"), "account x: MaxJobs: many is not a whole number"),
        (account("x", max_jobs=("+=", "4")), "MaxJobs: += goes with a list of names"),
        (account("x", nosuch=1), 'account x: there is no setting "nosuch"'),
        (account("x", grp_tres="cpu"), 'GrpTRES: "cpu" is not NAME=AMOUNT'),
        (account("x", qos="nosuch"), 'QOS "nosuch" does not exist, and account "x" has it in the list'),
        (
            account("x", default_qos="nosuch"),
            'QOS "nosuch" does not exist, and it is the default of account "x"',
        ),
        (account("x", qos="normal", default_qos="long"), 'QOS "long" cannot be the default of account "x"'),
        (account("x", description="a\nb"), "Description: must be one line"),
        (account("x", coordinators="nosuch"), 'coordinator "nosuch" is no user'),
        (
            user("x", default_account="bio"),
            'user "x" would have no association with the default account "bio"',
        ),
        (user("x", admin_level="king"), 'AdminLevel: "king" is none of None, Operator, Administrator'),
        (member("nosuch", "bio"), 'user "nosuch" does not exist; add the user first'),
        (member("mule", "nosuch"), 'account "nosuch" does not exist'),
        (member("mule", "bio", partition="nosuch"), 'partition "nosuch" does not exist; choose one of: main'),
        (member("mule", "optics"), "user mule in account optics exists already"),
        (member("mule", "optics", Verb.DELETE), 'no association with the default account "optics"'),
        (member("", "optics", Verb.DELETE), "its own association goes with the account only"),
        (qos("long"), "QOS long exists already"),
        (qos("normal", Verb.DELETE), "QOS normal cannot be removed"),
        (qos("x", preempts="nosuch"), 'QOS "nosuch" does not exist, and QOS "x" preempts it'),
        (qos("x", preempt_mode="explode"), 'PreemptMode: "explode" is none of off, requeue'),
        (qos("x", flags="Nosuch"), 'Flags: "Nosuch" is not a flag of a QOS'),
        (qos("x", max_wall="soon"), "MaxWall: time limit"),
        (coordinator("nosuch", "bio"), 'account "bio": coordinator "nosuch" is no user'),
        (coordinator("boss", "bio", Verb.DELETE), "user boss is no coordinator of account bio"),
        (AccountChange(Verb.RESET, Thing.ASSOCIATION, account="nosuch"), "association nosuch does not exist"),
        (AccountChange(Verb.RESET, Thing.QOS, "long"), "only the use of an association can be reset"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(cluster: Cluster, wish: AccountChange, message: str) -> None:
    assert message in refused(cluster, wish)
    assert message in refused(cluster, account("fine"), wish), "all or nothing"


def test_removing_takes_along_what_belongs_to_it(cluster: Cluster) -> None:
    change(cluster, member("boss", "bio"), coordinator("mule", "bio"))
    assert change(cluster, user("mule", Verb.DELETE)) == [
        '~ account bio: Coordinators mule -> ""',
        "- user mule in optics",
        "- user mule",
    ]
    assert change(cluster, account("optics", Verb.DELETE), account("physics", Verb.DELETE)) == [
        "- account physics",
        "- account optics",
    ]
    assert change(cluster, user("donkey", Verb.MODIFY, default_account=""), account("bio", Verb.DELETE)) == [
        '~ user donkey: DefaultAccount bio -> ""',
        "- user donkey in bio",
        "- user boss in bio",
        "- account bio",
    ]


def test_what_unfinished_jobs_count_under_stays(cluster: Cluster) -> None:
    job = cluster.submit(qos="long")
    array = cluster.submit_array("0-9")
    assert cluster.job(job).spec.account == "optics"
    moved = user("mule", Verb.MODIFY, default_account="")
    who = 'the association of user "mule" with account "optics"'
    association = f"{who} is in use by 2 unfinished jobs ({job}, {array})"
    assert association in refused(cluster, moved, account("optics", Verb.DELETE))
    assert association in refused(cluster, moved, member("mule", "optics", Verb.DELETE))
    assert association in refused(cluster, user("mule", Verb.DELETE))
    assert f'QOS "long" is in use by 1 unfinished job ({job})' in refused(cluster, qos("long", Verb.DELETE))
    cluster.do(Reconfigure(ADMIN, a_config(accounts=AccountsPolicy(Enforce.ACCOUNTS))))
    cluster.submit(caller=Caller(OTHER), account="optics", qos="normal")
    cluster.cancel(job, array)
    assert 'account "optics" is in use by 1 unfinished job' in refused(
        cluster, moved, account("optics", Verb.DELETE)
    )
    change(cluster, user("mule", Verb.DELETE), qos("long", Verb.DELETE))


def test_an_association_for_a_partition_may_go_while_jobs_have_another(cluster: Cluster) -> None:
    change(cluster, member("mule", "optics", partition="main"))
    job = cluster.submit()
    assert 'user "mule"' in refused(cluster, member("mule", "optics", Verb.DELETE, partition="main"))
    change(cluster, member("mule", "optics", Verb.DELETE))
    cluster.cancel(job)


def test_a_qos_that_others_name_stays(cluster: Cluster) -> None:
    change(cluster, qos("urgent", preempts="long"))
    assert 'QOS "urgent" preempts it' in refused(cluster, qos("long", Verb.DELETE))
    change(cluster, account("bio", Verb.MODIFY, qos="long,normal"), qos("urgent", Verb.MODIFY, preempts=""))
    assert 'account "bio" has it in the list' in refused(cluster, qos("long", Verb.DELETE))
    change(cluster, account("bio", Verb.MODIFY, qos=("-=", "long")), qos("long", Verb.DELETE))


def test_a_limit_below_present_use_kills_nothing(cluster: Cluster) -> None:
    job = cluster.submit(cpus=4)
    cluster.run(job)
    change(cluster, account("optics", Verb.MODIFY, grp_tres="cpu=1", grp_jobs=0))
    assert cluster.state_of(job) == "RUNNING"


def test_set_makes_it_so_and_prune_takes_the_rest(cluster: Cluster) -> None:
    wish = (
        account("physics", Verb.SET, shares=10),
        user("mule", Verb.SET, default_account="physics"),
        member("mule", "physics", Verb.SET, max_jobs=2),
        AccountChange(Verb.PRUNE, Thing.ACCOUNT),
    )
    assert change(cluster, *wish) == [
        '~ account physics: Description "All of it" -> "" Coordinators boss -> "" Fairshare 50 -> 10',
        "~ user mule: DefaultAccount optics -> physics",
        "+ user mule in physics: MaxJobs=2",
        "- user mule in optics",
        "- user donkey in bio",
        "- user donkey",
        "- user boss",
        "- account optics",
        "- account bio",
        "- QOS long",
    ]
    assert change(cluster, *wish) == []


def test_use_is_reset_with_all_that_is_below(cluster: Cluster) -> None:
    assert change(cluster, AccountChange(Verb.RESET, Thing.ASSOCIATION, account="physics")) == [
        "~ account physics: use counts from zero",
        "~ account optics: use counts from zero",
        "~ user mule in optics: use counts from zero",
    ]


def test_bounds(cluster: Cluster) -> None:
    deep = [account(f"a{n}", parent=f"a{n - 1}" if n else "root") for n in range(64)]
    assert "65 accounts above each other, limit 64" in refused(cluster, *deep)
    change(cluster, *deep[:63])
    assert "100001 changes in one call, limit 100000" in refused(cluster, *[account("x")] * 100_001)
    assert "1001 QOS, limit 1000" in refused(cluster, *(qos(f"q{n}") for n in range(999)))


# -- who may


def test_operators_change_everything_but_levels(cluster: Cluster) -> None:
    change(cluster, user("boss", Verb.MODIFY, admin_level="Operator"))
    change(cluster, qos("urgent"), account("chem"), caller=BOSS)
    denied = "only an administrator may change an AdminLevel"
    assert denied in refused(cluster, user("mule", Verb.MODIFY, admin_level="Operator"), caller=BOSS)
    assert denied in refused(cluster, user("x", admin_level="admin"), caller=BOSS)
    change(cluster, user("boss", Verb.MODIFY, admin_level="Administrator"))
    change(cluster, user("mule", Verb.MODIFY, admin_level="Operator"), caller=BOSS)
    assert denied in refused(cluster, user("boss", Verb.DELETE), caller=Caller(USER))


def test_coordinators_change_what_is_below_their_account(cluster: Cluster) -> None:
    change(
        cluster,
        account("lasers", parent="optics", shares=3),
        account("optics", Verb.MODIFY, max_jobs=5),
        member("donkey", "physics", max_jobs=2),
        user("foal", default_account="lasers"),
        member("foal", "lasers"),
        coordinator("foal", "lasers"),
        member("donkey", "physics", Verb.DELETE),
        caller=BOSS,
    )
    change(cluster, user("foal", Verb.DELETE), account("lasers", Verb.DELETE), caller=BOSS)


@pytest.mark.parametrize(
    "wish",
    [
        account("physics", Verb.MODIFY, shares=1000),
        account("physics", Verb.DELETE),
        account("optics", Verb.MODIFY, parent="root"),
        account("optics", Verb.MODIFY, parent="bio"),
        account("bio", Verb.MODIFY, parent="physics"),
        account("chem"),
        account("chem", parent="bio"),
        account("optics", Verb.SET, parent="physics"),
        member("boss", "bio"),
        member("", "physics", Verb.MODIFY, max_jobs=9),
        user("foal"),
        user("foal", default_account="bio"),
        user("mule", Verb.MODIFY, default_account="optics"),
        user("donkey", Verb.DELETE),
        qos("urgent"),
        qos("long", Verb.MODIFY, priority=9),
        coordinator("boss", "bio"),
        AccountChange(Verb.RESET, Thing.ASSOCIATION, account="optics"),
        AccountChange(Verb.PRUNE, Thing.ACCOUNT),
    ],
)
def test_and_nothing_else(cluster: Cluster, wish: AccountChange) -> None:
    message = refused(cluster, wish, caller=BOSS)
    assert (
        "user boss may not" in message and "a coordinator of physics may only change what is below" in message
    )
    assert "only an administrator" in refused(cluster, wish, caller=Caller(OTHER))


def test_a_coordinator_gives_no_qos_that_the_account_lacks(cluster: Cluster) -> None:
    change(cluster, account("physics", Verb.MODIFY, qos="normal"))
    wish = member("mule", "optics", Verb.MODIFY, qos="long,normal")
    assert "mule gets QOS long from an administrator only" in refused(cluster, wish, caller=BOSS)
    change(cluster, account("physics", Verb.MODIFY, qos="long,normal"))
    change(cluster, wish, caller=BOSS)


def test_a_repeated_call_gets_the_first_answer(cluster: Cluster) -> None:
    caller = Caller(ADMIN.owner, True, "key", "print")
    lines = change(cluster, account("chem"), caller=caller)
    assert lines and change(cluster, account("chem"), caller=caller) == lines


# -- what jobs may run under


def enforced(enforce: Enforce, **partition: Any) -> Cluster:
    others = (Partition("gpu"),)
    cluster = a_cluster(config=a_config(accounts=AccountsPolicy(enforce), others=others, **partition))
    change(
        cluster,
        qos("long"),
        account("physics", qos="normal"),
        account("optics", parent="physics"),
        user("mule"),
        member("mule", "optics"),
        user("mule", Verb.MODIFY, default_account="optics"),
    )
    return cluster


def answer(cluster: Cluster, caller: Owner = USER, **spec: Any) -> str:
    """`account/qos` of the job, or Slurm's phrase for why there is none."""
    reply = cluster.try_submit(caller=Caller(caller), **{"qos": "", **spec})
    if isinstance(reply, Refused):
        return reply.slurm
    job = cluster.job(reply.first_id).spec
    return f"{job.account}/{job.qos}"


def test_without_accounts_all_is_as_ever() -> None:
    cluster = a_cluster()
    assert answer(cluster) == "/normal"
    assert answer(cluster, account="any") == "any/normal"
    assert answer(cluster, qos="scavenger") == "/scavenger"
    assert answer(cluster, qos="nosuch") == INVALID_QOS


def test_without_accounts_nobody_has_an_association() -> None:
    cluster = a_cluster(config=a_config(accounts=AccountsPolicy(Enforce.ASSOCIATIONS)))
    assert answer(cluster) == INVALID_ACCOUNT
    change(cluster, user("mule"), member("mule", "root"))
    assert answer(cluster, account="root") == "root/normal"


def test_nothing_is_enforced_with_none() -> None:
    cluster = enforced(Enforce.NONE)
    assert answer(cluster) == "/normal"
    assert answer(cluster, account="physics", qos="long") == "physics/long"
    assert answer(cluster, qos="nosuch") == INVALID_QOS


@pytest.mark.parametrize(("enforce", "started"), [(Enforce.NONE, True), (Enforce.LIMITS, False)])
def test_limits_are_names_in_records_with_none(enforce: Enforce, started: bool) -> None:
    cluster = enforced(enforce)
    change(cluster, account("optics", Verb.MODIFY, grp_jobs=0))
    job = cluster.submit(account="optics")
    assert (job in cluster.run_cycle()) is started


def test_limits_are_kept_from_nobody_by_another_name() -> None:
    """As with Slurm's AccountingStorageEnforce=limits, which implies associations: naming another account
    would else be the way around one's own limits."""
    cluster = enforced(Enforce.LIMITS)
    change(cluster, account("optics", Verb.MODIFY, grp_jobs=0))
    assert answer(cluster) == "optics/normal"
    for name in ("physics", "root", "any"):
        assert answer(cluster, account=name) == INVALID_ACCOUNT, name
    for name in ("", "optics", "any"):
        assert answer(cluster, OTHER, account=name) == INVALID_ACCOUNT, name
    assert answer(cluster, qos="long") == INVALID_QOS
    job = cluster.submit()
    [outcome] = cluster.update(job, account="any")
    assert (outcome.code, outcome.slurm) == (RefusalCode.DENIED, INVALID_ACCOUNT)


def test_limits_ask_for_associations_only_once_there_is_an_account() -> None:
    cluster = a_cluster()
    change(cluster, qos("long"), user("mule"), member("mule", "root", max_jobs=1))
    assert answer(cluster, OTHER, account="any", qos="long") == "any/long"
    change(cluster, account("physics"))
    assert answer(cluster, OTHER, account="any") == INVALID_ACCOUNT
    assert answer(cluster, account="root") == "root/normal"
    change(cluster, account("physics", Verb.DELETE))
    assert answer(cluster, OTHER, account="any") == "any/normal"


def test_accounts_hold_whoever_has_an_association() -> None:
    cluster = enforced(Enforce.ACCOUNTS)
    assert answer(cluster) == "optics/normal"
    assert answer(cluster, qos="long") == INVALID_QOS
    assert answer(cluster, account="physics", qos="long") == INVALID_QOS
    assert answer(cluster, account="any", qos="long") == "any/long"
    assert answer(cluster, account="Optics", qos="NORMAL") == "optics/normal"
    assert answer(cluster, OTHER) == "/normal"
    assert answer(cluster, OTHER, account="any") == "any/normal"
    change(cluster, account("physics", Verb.MODIFY, qos="long"))
    assert answer(cluster) == "optics/long", "the only one there is"
    change(cluster, account("physics", Verb.MODIFY, qos="long,normal"))
    assert answer(cluster) == "optics/normal"
    change(cluster, account("physics", Verb.MODIFY, default_qos="long"))
    assert answer(cluster) == "optics/long"


def test_associations_let_nobody_else_in() -> None:
    cluster = enforced(Enforce.ASSOCIATIONS)
    assert answer(cluster) == "optics/normal"
    assert answer(cluster, OTHER) == INVALID_ACCOUNT
    assert answer(cluster, OTHER, account="optics") == INVALID_ACCOUNT
    assert answer(cluster, account="physics") == INVALID_ACCOUNT
    assert answer(cluster, account="nosuch") == INVALID_ACCOUNT
    reply = cluster.try_submit(account="nosuch")
    assert isinstance(reply, Refused) and "choose one of: optics" in reply.message
    array = cluster.submit_array("0-3")
    assert cluster.state.arrays[array].spec.account == "optics"


def test_associations_for_a_partition_count_there_only() -> None:
    cluster = enforced(Enforce.ASSOCIATIONS)
    change(cluster, user("donkey"), member("donkey", "optics", partition="gpu"))
    assert answer(cluster, OTHER, account="optics", partition="gpu") == "optics/normal"
    assert answer(cluster, OTHER, account="optics") == INVALID_ACCOUNT


@pytest.mark.parametrize(
    ("partition", "phrase"),
    [
        ({"allow_groups": ("stable",)}, "User's group not permitted to use this partition"),
        ({"allow_groups": ("pack",)}, "optics/normal"),
        ({"allow_accounts": ("bio",)}, INVALID_ACCOUNT),
        ({"allow_accounts": ("physics",)}, "optics/normal"),
        ({"deny_accounts": ("physics",)}, INVALID_ACCOUNT),
        ({"deny_accounts": ("bio",)}, "optics/normal"),
        ({"allow_qos": ("long",)}, INVALID_QOS),
        ({"allow_qos": ("normal",)}, "optics/normal"),
        ({"deny_qos": ("normal",)}, INVALID_QOS),
    ],
)
def test_partitions_choose_who_may_use_them(partition: dict[str, Any], phrase: str) -> None:
    assert answer(enforced(Enforce.LIMITS, **partition)) == phrase


def test_scontrol_update_asks_the_same() -> None:
    cluster = enforced(Enforce.ASSOCIATIONS)
    change(cluster, member("mule", "physics", qos="long,normal"))
    job = cluster.submit()
    [outcome] = cluster.update(job, qos="long")
    assert (outcome.code, outcome.slurm) == (RefusalCode.DENIED, INVALID_QOS)
    [outcome] = cluster.update(job, account="nosuch")
    assert (outcome.code, outcome.slurm) == (RefusalCode.DENIED, INVALID_ACCOUNT)
    [outcome] = cluster.update(job, account="physics", qos="long")
    assert outcome.code is None
    assert (cluster.job(job).spec.account, cluster.job(job).spec.qos) == ("physics", "long")
    [outcome] = cluster.update(job, account="")
    assert outcome.slurm == INVALID_QOS, "optics may not have it"
    [outcome] = cluster.update(job, account="", qos="")
    assert (cluster.job(job).spec.account, cluster.job(job).spec.qos) == ("optics", "normal")


def test_the_example_of_the_page(repository: Path) -> None:
    page = (repository / "docs" / "policy" / "accounts.md").read_text()
    file = page.partition("```toml\n")[2].partition("```")[0]
    cluster = a_cluster(config=a_config(accounts=AccountsPolicy(Enforce.ASSOCIATIONS)))
    change(cluster, *accounts_file.read(file, "campus.toml"))
    ann, bob, dean = (Owner(n, n, name, "") for n, name in enumerate(("ann", "bob", "dean"), start=1))
    assert answer(cluster, bob) == "physics/normal"
    assert answer(cluster, bob, qos="urgent") == "physics/urgent"
    assert answer(cluster, ann) == "arts/normal"
    reply = cluster.try_submit(caller=Caller(ann), qos="urgent")
    assert isinstance(reply, Refused)
    assert reply.message.endswith("user ann in account arts may not use it; choose one of: normal")
    assert answer(cluster, ann, account="physics", qos="urgent") == "physics/urgent"
    assert answer(cluster, dean) == INVALID_ACCOUNT


# -- kept


def test_replay_and_snapshots_give_the_same_book(cluster: Cluster) -> None:
    change(cluster, account("physics", Verb.MODIFY, quota="cpu=4", borrow="none"), user("boss", Verb.DELETE))
    replayed = State.empty()
    for event in cluster.log:
        apply(replayed, event)
    assert replayed == cluster.state
    assert load(dump(cluster.state.freeze())).accounts == cluster.state.accounts
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(cluster.log[-1]), type=AccountsChanged)
    assert decoded == cluster.log[-1]
