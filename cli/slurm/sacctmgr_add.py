"""`sacctmgr add`: what is new is shown, asked about, and sent as one call."""

from __future__ import annotations

from packhorse.cli.slurm.process import CommandError
from packhorse.cli.slurm.sacctmgr_session import Known, check_cluster, edits_of, settings_text
from packhorse.cli.slurm.sacctmgr_show import cluster_name, listed
from packhorse.cli.slurm.sacctmgr_words import settings
from packhorse.scheduler.model.account_settings import Thing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from packhorse.cli.slurm.sacctmgr_session import Change, Session
    from packhorse.cli.slurm.sacctmgr_words import Options

ADD_ENTITIES = (
    "No valid entity in add command\n"
    'Input line must include "Account", "Cluster", "Coordinator", "QOS", or "User"'
)


def add(entity: str, words: Sequence[str], session: Session) -> int:
    """The command after `add ENTITY`."""
    match entity:
        case "account":
            return _add_accounts(settings(words, (Thing.ACCOUNT, Thing.ASSOCIATION), "account"), session)
        case "user":
            return _add_users(settings(words, (Thing.USER, Thing.ASSOCIATION), "user"), session)
        case "qos":
            return _add_qos(settings(words, (Thing.QOS,), "name"), session)
        case "coordinator":
            return change_coordinators(settings(words, (), "user"), "add", session)
        case "cluster":
            return _add_cluster(settings(words, (Thing.ASSOCIATION,), "cluster"), session)
    raise CommandError(ADD_ENTITIES)


def _add_accounts(options: Options, session: Session) -> int:
    check_cluster(options)
    known = Known()
    if not options.texts("account"):
        raise CommandError(" Need name of account to add.")
    fresh = [name for name in options.texts("account") if not known.is_there("accounts", name)]
    if not fresh:
        session.say(" Nothing new added.")
        return 1
    edits = edits_of(options, known, Thing.ACCOUNT, Thing.ASSOCIATION)
    given = {edit["name"]: edit["text"] for edit in edits}
    parent = given.get("parent") or "root"
    cluster = cluster_name()
    session.say(" Adding Account(s)\n" + "\n".join(f"  {name.lower()}" for name in fresh))
    session.say(f" Settings\n  Description     = {given.get('description', 'Account Name')}")
    session.say(f"  Organization    = {given.get('organization', 'Parent/Account Name')}")
    pairs = "\n".join(f"  A = {name.lower():<10.10} C = {cluster:<10.10}" for name in fresh)
    session.say(f" Associations\n{pairs}\n Settings")
    limits = settings_text(options.edits(Thing.ASSOCIATION), Thing.ASSOCIATION, 14)
    session.say("\n".join([*limits, f"  Parent        = {parent}"]))
    changes = []
    for name in fresh:
        own = [*edits]
        if "description" not in given:
            own.append({"name": "description", "text": name.lower()})
        if "organization" not in given:
            own.append({"name": "organization", "text": name.lower() if parent == "root" else parent})
        changes.append({"verb": "add", "thing": "account", "name": name.lower(), "edits": own})
    return session.commit(changes, "Problem adding accounts")


def _add_users(options: Options, session: Session) -> int:
    """New users, new associations of users that are there, or both."""
    check_cluster(options)
    known = Known()
    users = options.texts("user")
    if not users:
        raise CommandError(" Need name of user to add.")
    there = {row["name"]: row for row in listed("users")}
    accounts = _accounts_of(options, known, [name for name in users if name not in there])
    partitions = options.texts("partition") or [""]
    have = {(row["account"], row["user"], row["partition"]) for row in listed("associations")}
    limits = edits_of(options, known, Thing.ASSOCIATION)
    changes: list[Change] = []
    fresh: list[str] = []
    pairs: list[str] = []
    cluster = cluster_name()
    default = next(
        (e["text"] for e in edits_of(options, known, Thing.USER) if e["name"] == "default_account"),
        accounts[0],
    )
    for name in users:
        if name not in there:
            _check_uid(name, session)
            own = [e for e in options.edits(Thing.USER) if e["name"] != "default_account"]
            own.append({"name": "default_account", "text": default})
            changes.append({"verb": "add", "thing": "user", "name": name, "edits": own})
            fresh.append(name)
        for account in accounts:
            for partition in partitions:
                if (account, name, partition) in have:
                    continue
                key = {"account": account, "user": name, "partition": partition}
                changes.append({"verb": "add", "thing": "association", **key, "edits": limits})
                line = f"  U = {name:<9.9} A = {account:<10.10} C = {cluster:<10.10}"
                pairs.append(f"{line} P = {partition:<10.10}" if partition else line)
    if not changes:
        session.say(" Nothing new added.")
        return 1
    if fresh:
        session.say(" Adding User(s)\n" + "\n".join(f"  {name}" for name in fresh))
        if lines := settings_text(edits_of(options, known, Thing.USER), Thing.USER, 16):
            session.say("\n".join([" Settings =", *lines]))
    if pairs:
        session.say(" Associations =\n" + "\n".join(pairs))
    session.say("\n".join([" Non Default Settings", *settings_text(limits, Thing.ASSOCIATION, 14)]))
    return session.commit(changes, "Problem adding users" if fresh else "Problem adding user associations")


def _accounts_of(options: Options, known: Known, fresh: list[str]) -> list[str]:
    """The accounts that users are added to; for new ones there must be some."""
    default = [e["text"] for e in options.edits(Thing.USER) if e["name"] == "default_account"]
    accounts = options.texts("account") or default
    if not accounts:
        raise CommandError(" Need name of account to add user to.")
    for name in accounts:
        if not known.is_there("accounts", name):
            raise CommandError(
                f" This account '{name}' doesn't exist.\n        Contact your admin to add this account."
            )
    return [known.name("accounts", name) for name in accounts]


def _check_uid(name: str, session: Session) -> None:
    """As Slurm does, ask about users whom this host does not know."""
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        if not session.agreed(f"There is no uid for user '{name}'\nAre you sure you want to continue?"):
            raise CommandError(" Changes Discarded") from None


def _add_qos(options: Options, session: Session) -> int:
    known = Known()
    if not options.texts("name"):
        raise CommandError(" Need name of qos to add.")
    fresh = [name.lower() for name in options.texts("name") if not known.is_there("qos", name)]
    if not fresh:
        session.say(" Nothing new added.")
        return 1
    edits = edits_of(options, known, Thing.QOS)
    described = next((edit["text"] for edit in edits if edit["name"] == "description"), None)
    session.say(" Adding QOS(s)\n" + "\n".join(f"  {name}" for name in fresh))
    shown = [edit for edit in edits if edit["name"] != "description"]
    lines = sorted(settings_text(shown, Thing.QOS, 25))
    session.say("\n".join([" Settings", f"  Description    = {described or fresh[0]}", *lines]))
    changes = []
    for name in fresh:
        own = edits if described is not None else [*edits, {"name": "description", "text": name}]
        changes.append({"verb": "add", "thing": "qos", "name": name, "edits": own})
    return session.commit(changes, "Problem adding QOS")


def _add_cluster(options: Options, session: Session) -> int:
    name = cluster_name()
    if any(wanted.lower() != name.lower() for wanted in options.texts("cluster")):
        raise CommandError(f" A Packhorse scheduler has one cluster, and that is {name}.")
    session.say(f" This cluster {name} already exists.  Not adding.")
    return 1


def change_coordinators(options: Options, verb: str, session: Session) -> int:
    """Add or delete them."""
    known = Known()
    users, accounts = options.texts("user"), [known.name("accounts", a) for a in options.texts("account")]
    listing = "\n".join(f"  {name}" for name in users)
    if verb == "add":
        if not users:
            raise CommandError(" You need to specify a user list here.")
        if not accounts:
            raise CommandError(" You need to specify an account list here.")
        session.say(f" Adding Coordinator User(s)\n{listing}")
        session.say(" To Account(s) and all sub-accounts\n" + "\n".join(f"  {a}" for a in accounts))
    else:
        if not users and not accounts:
            raise CommandError(" You need to specify a user list or an account list here.")
        if users:
            where = "\n".join(f"  {a}" for a in accounts)
            session.say(f" Removing Coordinators with user name\n{listing}")
            session.say(f" From Account(s)\n{where}" if accounts else " From all accounts")
        else:
            session.say(" Removing all users from Accounts\n" + "\n".join(f"  {a}" for a in accounts))
    have = [(row["account"], row["user"]) for row in listed("coordinators")]
    if verb == "add":
        pairs = [(a, u) for a in accounts for u in users if (a, u) not in have]
    else:
        pairs = [(a, u) for a, u in have if (not accounts or a in accounts) and (not users or u in users)]
    if not pairs:
        session.say(" Nothing new added." if verb == "add" else " Nothing removed")
        return 1
    changes = [{"verb": verb, "thing": "coordinator", "name": u, "account": a} for a, u in pairs]
    return session.commit(changes, "Problem adding coordinator" if verb == "add" else "Error with request")
