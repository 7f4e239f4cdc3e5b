"""Settings of accounts, users, associations and QOS: what is written is read back, in plans and in files."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.model import account_settings as settings
from packhorse.scheduler.model import accounts_file
from packhorse.scheduler.model.account_settings import (
    SETTINGS,
    UNSET,
    How,
    Kind,
    Setting,
    Thing,
    change,
    find,
)
from packhorse.scheduler.model.errors import BadValue

NAMES = st.lists(st.sampled_from(["a", "b.c", "x_1", "long"]), max_size=3, unique=True)
AMOUNTS = {
    "cpu": st.sampled_from(["4", "0.5", "0"]),
    "mem": st.sampled_from(["16G", "1500"]),
    "node": st.just("2"),
}
TRES = st.fixed_dictionaries({}, optional={**AMOUNTS, "gres/gpu:h200": st.sampled_from(["8", "0.25"])}).map(
    lambda found: ",".join(f"{name}={amount}" for name, amount in found.items())
)
TIMES = st.integers(0, 400 * 86_400).map(
    lambda s: f"{s // 86_400}-{s // 3600 % 24:02d}:{s // 60 % 60:02d}:{s % 60:02d}"
)
TEXTS = st.text(st.characters(exclude_categories=["C"]), max_size=40)
FACTORS = st.integers(0, 9_999).map(lambda milli: f"{milli // 1000}.{milli % 1000:03d}")

VALUES: dict[Kind, st.SearchStrategy[str]] = {
    settings.COUNT: st.integers(0, settings.MAX_COUNT).map(str),
    settings.PRIORITY: st.integers(0, settings.MAX_COUNT).map(str),
    settings.SHARES: st.sampled_from(["0", "7", "parent"]),
    settings.WALL: TIMES,
    settings.SPAN: TIMES,
    settings.EXEMPT: TIMES,
    settings.TRES: TRES,
    settings.BORROW: TRES | st.sampled_from(["any", "none"]),
    settings.FACTOR: FACTORS,
    settings.THRESHOLD: FACTORS,
    settings.NAME: st.sampled_from(["", "a", "b.c"]),
    settings.NAMES: NAMES.map(",".join),
    settings.FLAGS: st.lists(st.sampled_from(settings.QOS_FLAGS), max_size=2).map(",".join),
    settings.TEXT: TEXTS,
    settings.LEVEL: st.sampled_from(["None", "Operator", "Administrator"]),
    settings.MODE: st.sampled_from(["cluster", "off", "requeue", "cancel", "suspend"]),
}

ALL = [(thing, setting) for thing, found in SETTINGS.items() for setting in found]


@st.composite
def set_things(draw: st.DrawFn, thing: Thing) -> Any:
    """A thing with any of its settings set."""
    made: Any = UNSET[thing]
    for setting in SETTINGS[thing]:
        if draw(st.booleans()):
            made = change(made, setting, draw(VALUES[setting.kind]))
    return made


@pytest.mark.parametrize("thing", SETTINGS)
@given(data=st.data())
def test_what_is_shown_is_read_back(thing: Thing, data: st.DataObject) -> None:
    made = data.draw(set_things(thing))
    again: Any = UNSET[thing]
    for setting in SETTINGS[thing]:
        again = change(again, setting, setting.show(made))
    assert again == made


@given(account=set_things(Thing.ACCOUNT), own=set_things(Thing.ASSOCIATION), qos=set_things(Thing.QOS))
def test_a_file_of_anything_is_read_back(account: Any, own: Any, qos: Any) -> None:
    def row(thing: Thing, value: Any, **more: str) -> dict[str, str]:
        return {**{setting.name: setting.show(value) for setting in SETTINGS[thing]}, **more}

    text = accounts_file.write(
        [row(Thing.ACCOUNT, account, name="x")],
        [],
        [row(Thing.ASSOCIATION, own, account="x", user="", partition="")],
        [row(Thing.QOS, qos, name="q")],
    )
    made: dict[Thing, Any] = dict(UNSET)
    for wish in accounts_file.read(text, "file"):
        for edit in wish.edits if wish.name in ("x", "q") else ():
            for thing in settings_things(wish.thing):
                setting = find(thing, edit.name)
                if setting is not None:
                    made[thing] = change(made[thing], setting, edit.text)
    assert made[Thing.QOS] == qos and made[Thing.ASSOCIATION] == own
    if account.parent != "root":
        assert made[Thing.ACCOUNT] == account


def settings_things(thing: Thing) -> tuple[Thing, ...]:
    return (Thing.ACCOUNT, Thing.ASSOCIATION) if thing is Thing.ACCOUNT else (thing,)


@pytest.mark.parametrize(("thing", "setting"), ALL, ids=lambda value: getattr(value, "name", value))
def test_every_spelling_finds_it(thing: Thing, setting: Setting) -> None:
    for word in (setting.name, setting.slurm, setting.slurm.lower(), *setting.also):
        assert find(thing, word) is setting
    cleared = change(UNSET[thing], setting, "" if setting.kind is settings.TEXT else "-1")
    assert setting.of(cleared) == setting.of(UNSET[thing])


def test_lists_grow_and_shrink() -> None:
    qos = find(Thing.ASSOCIATION, "qos")
    assert qos is not None
    made = change(UNSET[Thing.ASSOCIATION], qos, "b,a", How.ADD, base=("c",))
    assert made.qos == ("a", "b", "c")
    assert change(made, qos, "b", How.REMOVE).qos == ("a", "c")


@pytest.mark.parametrize(
    ("thing", "word", "text", "message"),
    [
        (Thing.QOS, "UsageFactor", "2000000", "is not a number from 0 to 1000000"),
        (Thing.QOS, "GraceTime", "99999999999", "is more than 36500 days"),
        (Thing.ASSOCIATION, "GrpTRES", "cpu=4,cpu=5", "cpu is there twice"),
        (Thing.ASSOCIATION, "GrpTRES", "mem=999999999999999P", "an amount is larger"),
        (Thing.ASSOCIATION, "MaxJobs", "²", "is not a whole number"),
        (Thing.ASSOCIATION, "QOS", ",".join(f"q{n}" for n in range(1001)), "1001 names, limit 1000"),
        (Thing.ASSOCIATION, "Comment", "x" * 65_537, "65537 characters, limit 65536"),
        (Thing.ACCOUNT, "Description", "x" * 1025, "1025 characters, limit 1024"),
    ],
)
def test_what_is_too_much_is_refused(thing: Thing, word: str, text: str, message: str) -> None:
    setting = find(thing, word)
    assert setting is not None
    with pytest.raises(BadValue) as caught:
        change(UNSET[thing], setting, text)
    assert message in str(caught.value) and str(caught.value).startswith(f"{setting.slurm}: ")
