"""The configuration: every key does something, every mistake is named with its line and the way out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from packhorse.scheduler.config import file as config
from packhorse.scheduler.config import text as config_text
from packhorse.scheduler.config.file import ServiceConfig
from packhorse.scheduler.config.keys import (
    ACCOUNTS_TARGET,
    BATCH_TARGET,
    CLUSTER_TARGET,
    GPU_IDLE_TARGET,
    IMPROVER_TARGET,
    KEYS,
    PARTITION,
    PARTITION_TARGET,
    PREEMPTION_TARGET,
    PRIORITY_TARGET,
    RECLAIM_TARGET,
    SECTIONS,
    Key,
)
from packhorse.scheduler.config.meanings import MEANING
from packhorse.scheduler.model.accounts import PreemptMode
from packhorse.scheduler.model.cluster import (
    AccountsPolicy,
    Batch,
    ClusterConfig,
    GpuIdle,
    GpuIdleAction,
    Improver,
    Partition,
    PreemptBy,
    Preemption,
    Priorities,
    Reclaim,
    VictimOrder,
)
from packhorse.scheduler.model.errors import ConfigError

TARGETS = {
    CLUSTER_TARGET: ClusterConfig,
    PARTITION_TARGET: Partition,
    RECLAIM_TARGET: Reclaim,
    IMPROVER_TARGET: Improver,
    GPU_IDLE_TARGET: GpuIdle,
    PREEMPTION_TARGET: Preemption,
    ACCOUNTS_TARGET: AccountsPolicy,
    BATCH_TARGET: Batch,
    PRIORITY_TARGET: Priorities,
    "service": ServiceConfig,
}
SET_ELSEWHERE = {
    "accounts",
    "owner_uid",
    "partitions",
    "improver",
    "reclaim",
    "origin",
    "batch",
    "gpu_idle",
    "preemption",
    "priorities",
}


def problems(text: str) -> list[str]:
    try:
        config.parse(text, "test.toml", owner_uid=0)
    except ConfigError as error:
        return str(error).splitlines()
    return []


def test_every_key_is_documented_and_has_a_field() -> None:
    assert set(MEANING) == {f"{key.section}.{key.name}" for key in KEYS}
    for key in KEYS:
        assert key.section in SECTIONS
        assert key.field in TARGETS[key.target].__struct_fields__, key
    for target, struct in TARGETS.items():
        fields = {key.field for key in KEYS if key.target == target}
        assert fields | SET_ELSEWHERE >= set(struct.__struct_fields__), target


@pytest.mark.parametrize(
    "key", [key for key in KEYS if key.default], ids=lambda key: f"{key.section}.{key.name}"
)
def test_the_default_shown_is_the_default_that_holds(key: Key) -> None:
    header = f'[[{PARTITION}]]\nname = "main"' if key.section == PARTITION else f"[{key.section}]"
    default = "true" if (key.section, key.name) == (PARTITION, "default") else key.default
    found = config.parse(f"{header}\n{key.name} = {default}\n", "test.toml", owner_uid=-1)
    assert (found.cluster, found.service) == (ClusterConfig(), ServiceConfig())


def test_no_file_means_all_defaults(tmp_path: Path) -> None:
    found = config.load(tmp_path / "none.toml", owner_uid=5)
    assert found.cluster == ClusterConfig(owner_uid=5)
    assert found.service == ServiceConfig()


def test_values_arrive() -> None:
    found = config.parse(
        """
        [cluster]
        name = "demo"
        admins = ["ann", 1002]
        licenses = ["matlab:10", "fluent"]
        [[partition]]
        name = "batch"
        nodes = "node[1-3],gpu1"
        max_time = "1-00:00:00"
        default_time = 60
        def_mem_per_cpu = "2G"
        [[partition]]
        name = "high"
        default = true
        priority_tier = 10
        [jobs]
        min_job_age = "10m"
        [listen]
        grpc = "127.0.0.1:7070"
        [scheduling]
        policy = "fgd"
        [reclaim]
        enabled = true
        pressure = 12.5
        margin = "1G"
        no_borrow = ["high"]
        [improver]
        enabled = false
        limit = "250ms"
        hold = "200ms"
        deterministic_limit = 0.5
        max_jobs = 10
        """,
        "test.toml",
        owner_uid=0,
    )
    batch, high = found.cluster.partitions
    assert batch.nodes == ("node1", "node2", "node3", "gpu1")
    assert (batch.max_time_s, batch.default_time_s, batch.def_mem_mib_per_cpu) == (86400, 3600, 2048)
    assert (batch.is_default, high.is_default, high.nodes) == (False, True, ("ALL",))
    assert found.cluster.min_job_age_s == 600
    assert found.service.admins == ("ann", "1002")
    assert found.service.listen_grpc == "127.0.0.1:7070"
    assert found.cluster.licenses == (("matlab", 10), ("fluent", 1))
    assert found.cluster.policy == "fgd"
    assert found.cluster.reclaim == Reclaim(
        enabled=True, pressure_milli=125, margin_mib=1024, no_borrow=("high",)
    )
    assert found.cluster.improver == Improver(False, 250, 0.5, max_jobs=10, hold_ms=200)


def test_the_constants_of_our_own_order_arrive() -> None:
    found = config.parse(
        """
        [scheduling]
        order = "packhorse"
        [batch]
        ageing = "5d"
        power = 24
        guard = 2.5
        reserve = 0.1
        spread = 100
        idle = 0.5
        wide = 2
        quiet = 0
        yielding = 1
        """,
        "test.toml",
        owner_uid=0,
    )
    assert found.cluster.order == "packhorse"
    assert found.cluster.batch == Batch(432_000, 24.0, 2.5, 0.1, 100.0, 0.5, 2.0, 0.0, 1.0)


def test_the_first_partition_is_the_default_one() -> None:
    found = config.parse('[[partition]]\nname="a"\n[[partition]]\nname="b"', "t", owner_uid=0)
    assert [partition.is_default for partition in found.cluster.partitions] == [True, False]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[jobs]\nkill_wiat = 3\n", 2, 'kill_wiat is not a key of [jobs] (did you mean "kill_wait"?)'),
        (
            "[jobs]\n\nkill_wait = true\n",
            3,
            "kill_wait = true: not a duration; accepted is seconds, or a text",
        ),
        ("[jobs]\nkill_wait = 99999\n", 2, "not between 0 and 3600"),
        ("[clutser]\nname = 'x'\n", 1, '[clutser] is not known (did you mean "cluster"?)'),
        ('cluster = "x"\n', 1, "write [cluster]"),
        ("[cluster]\nname = 'a b'\n", 2, "not a name"),
        ('[[partition]]\nname="a"\n[[partition]]\nname="a"\n', 4, 'partition "a" is there twice'),
        ("[[partition]]\nnodes='ALL'\n", 1, "needs a name"),
        ("[partition]\nname='a'\n", 1, "[[partition]]"),
        ("[[partition]]\nname='a'\nnodes='n[1-'\n", 3, 'nodes = "n[1-"'),
        ("[[partition]]\nname='a'\nmax_time='1x'\n", 3, "accepted is minutes, or a text"),
        ("[[partition]]\nname='a'\nmax_time=10\ndefault_time=20\n", 4, "over its max_time"),
        ("[[partition]]\nname='a'\nmax_nodes=1\nmin_nodes=2\n", 4, "over its max_nodes"),
        ("[[partition]]\nname='a'\ndefault=true\n[[partition]]\nname='b'\ndefault=true\n", 1, "only one"),
        ("[listen]\ngrpc = '0.0.0.0:1'\n", 2, "set tls_cert and tls_key"),
        ("[listen]\nhttp = '[::]:1'\n", 2, "TLS proxy"),
        ("[listen]\ngrpc = '127.0.0.1'\n", 2, 'accepted is "HOST:PORT"'),
        ("[listen]\ntls_cert = 'x'\n", 1, "belong together"),
        ("[log]\nlevel = 'loud'\n", 2, '"debug", "info", "warning", "error"'),
        ("[cluster]\nlicenses = ['a:0']\n", 2, '"a:0": the count is not between 1 and'),
        ("[cluster]\nlicenses = ['a', 'a:2']\n", 2, '"a" is named twice'),
        ("[cluster]\nlicenses = ['a:x']\n", 2, '"x" is not a whole count'),
        ("[scheduling]\npolicy = 'nosuch'\n", 2, "there is no such policy; there are "),
        ("[reclaim]\nestimator = 'oracle'\n", 2, 'accepted is "borg"'),
        ("[reclaim]\nshare = 101\n", 2, "not between 0 and 100"),
        ("[reclaim]\npressure = 101\n", 2, "not between 0 and 100"),
        ("[reclaim]\nstoppable_qos = ['normal']\n", 2, "never stopped; name others"),
        ("[reclaim]\nno_borrow = ['gpu']\n", 2, 'partition "gpu" does not exist; there are main'),
        ("[reclaim]\nenabled = true\n[scheduling]\npreempt = 'order'\n", 2, "leave out one of the two"),
        ("[preemption]\ntype = 'qos'\n[scheduling]\npreempt = 'order'\n", 2, "leave out one of the two"),
        ("[preemption]\ntype = 'order'\n", 2, "there is no such kind of right"),
        ("[preemption]\nmode = ''\n", 2, 'accepted is "off", "requeue", "cancel", "suspend"'),
        ("[preemption]\nmax_victims = 0\n", 2, "not between 1 and"),
        ("[improver]\nlimit = '0ms'\n", 2, "not between 1 ms and 3600 s"),
        ("[improver]\nhold = '2h'\n", 2, "not between 0 ms and 3600 s"),
        ("[improver]\nlimit = 1.5\n", 2, 'accepted is seconds, or a text like "500ms"'),
        ("[improver]\ndeterministic_limit = nan\n", 2, "not between 0 and 3600"),
        ("[improver]\nmax_nods = 1\n", 2, 'did you mean "max_nodes"?'),
        ("[batch]\nageing_s = 5\n", 2, 'ageing_s is not a key of [batch] (did you mean "ageing"?)'),
        ("[batch]\nageing = 59\n", 2, "ageing = 59: not between 60 and 31622400 seconds"),
        ("[batch]\nageing = 2.5\n", 2, "not a duration; accepted is seconds, or a text"),
        ("[batch]\npower = 65\n", 2, "power = 65: not from 1 to 64; accepted is a number from 1 to 64"),
        ("[batch]\npower = '28'\n", 2, "not a number"),
        ("[batch]\nguard = 0.5\n", 2, "not from 1 to 1000"),
        ("[batch]\nguard = nan\n", 2, "not from 1 to 1000"),
        ("[batch]\nspread = 1\n", 2, "not from 2 to 1000000"),
        ("[batch]\nreserve = 1.1\n", 2, "not between 0 and 1"),
        ("[batch]\nwide = -0.1\n", 2, "not from 0 to 2"),
        ("[batch]\nyielding = inf\n", 2, "not from 0 to 100"),
        ("[jobs\n", None, "not TOML"),
        ("partition = []\n", 1, "at least one"),
        ("jobs.kill_wait = 'x'\n", 1, "kill_wait"),
    ],
)
def test_mistakes_are_named(text: str, line: int | None, words: str) -> None:
    found = problems(text)
    assert found, text
    assert words in found[0]
    assert found[0].startswith("test.toml" if line is None else f"test.toml:{line}: ")


def test_all_mistakes_at_once() -> None:
    assert len(problems("[jobs]\nkill_wait = 'x'\nnosuch = 1\n[log]\nlevel = 3\n")) == 3


def test_check_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "packhorse.toml"
    assert config.check(file) == [f"{file}: no such file"]
    file.write_text("[jobs]\nkill_wait = 5\n")
    assert config.check(file) == []
    file.write_text("[jobs]\nkill = 5\n")
    assert config.check(file)[0].startswith(f"{file}:2: ")
    file.write_bytes(b"\xff")
    assert config.check(file)


def test_the_reference_page_is_what_the_table_gives(repository: Path) -> None:
    page = (repository / "docs" / "configuration.md").read_text()
    assert page == config_text.markdown(), "write config_text.markdown() to docs/configuration.md"


def test_the_example_file_is_what_the_table_gives(repository: Path) -> None:
    text = (repository / "examples" / "config" / "packhorse.toml").read_text()
    assert text == config_text.example(), "write config_text.example() to examples/config/packhorse.toml"
    assert problems(text) == []
    spelled_out = re.sub(r"^# (\[\[partition\]\]|[a-z_]+ = .*)$", r"\1", text, flags=re.MULTILINE)
    found = config.parse(spelled_out.replace("default = false", "default = true"), "t", owner_uid=-1)
    assert (found.cluster, found.service) == (ClusterConfig(), ServiceConfig())


def test_what_is_done_about_idle_gpus() -> None:
    text = """
    [gpu_idle]
    enabled = true
    busy_below = 10
    warn_after = "2h"
    grace = "10m"
    action = "requeue"
    exempt_partitions = ["interactive"]
    exempt_users = ["ann", "bob"]
    """
    found = config.parse(text, "test.toml", owner_uid=0).cluster.gpu_idle
    assert found == GpuIdle(True, 100, 7200, 600, GpuIdleAction.REQUEUE, ("interactive",), (), ("ann", "bob"))
    with pytest.raises(
        ConfigError, match=r'action = "kill": there is no such action; accepted is "warn", "requeue"'
    ):
        config.parse('[gpu_idle]\naction = "kill"\n', "test.toml", owner_uid=0)


def test_who_makes_room_for_whom() -> None:
    text = """
    [preemption]
    type = "both"
    mode = "cancel"
    grace = "1m"
    exempt = "10m"
    checkpoint = "15m"
    max_victims = 7
    victims = "newest"
    take_back = false
    """
    found = config.parse(text, "test.toml", owner_uid=0).cluster.preemption
    expected = Preemption(PreemptBy.BOTH, PreemptMode.CANCEL, 60, 600, 900, 7, VictimOrder.NEWEST, False)
    assert found == expected
    assert found.type is PreemptBy.BOTH and found.mode is PreemptMode.CANCEL
