"""What a node offers as its hardware changes: every rule of the watch, on a made-up clock."""

from __future__ import annotations

import pytest

from packhorse.agent.inventory.found import Found, Look, Remark
from packhorse.agent.inventory.watch import (
    FORGIVEN_S,
    LONGEST_WELL_S,
    REGISTER_S,
    REMARKS_S,
    WELL_S,
    Seen,
    Verdict,
    Watch,
)
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.node import NodeSpec
from packhorse.scheduler.model.resources import Device

GPUS = tuple(Device("gpu", "h200", index, f"GPU-{index}", 1000) for index in range(3))
LOST = "fell off the bus"


def look(*devices: Device, dead: dict[int, str] | None = None, complete: bool = True) -> Look:
    found = tuple(Found(device, (dead or {}).get(device.index, "")) for device in devices)
    return Look("GPU-", found, missing=LOST, complete=complete)


ALL = look(*GPUS)


def seen(*looks: Look, cpus: int = 8, mem: int = 16_000, **more: object) -> Seen:
    return Seen(cpus, mem, looks or (ALL,), **more)  # type: ignore[arg-type]  # leftovers, remarks


class Bench:
    """A watch and its clock: every look comes two seconds after the one before."""

    def __init__(
        self, *, cpus: int = 8, mem: int = 16_000, first: Seen | None = None, declared: bool = False
    ):
        spec = NodeSpec(NodeName("n1"), "host", cpus * 1000, mem, devices=GPUS, cores_per_socket=cpus)
        self.now = 1000.0
        self.watch = Watch(spec, "boot", first or seen(), declared=declared, at_s=self.now)
        self.told = 0

    def see(self, what: Seen, *, after_s: float = 2.0) -> Verdict:
        self.now += after_s
        before = self.watch.verdict
        after = self.watch.see(what, self.now)
        self.told += before._replace(unsettled=False, happened=()) != after._replace(
            unsettled=False, happened=()
        )
        return after


def dead(verdict: Verdict) -> dict[int, str]:
    return {index: why for (_, index), why in verdict.dead}


def test_nothing_changes_while_nothing_changes() -> None:
    bench = Bench()
    first = bench.watch.verdict
    assert (first.cpu_milli, first.mem_mib, first.dead, first.warnings) == (8000, 16_000, (), ())
    for _ in range(50):
        assert bench.see(seen()) == first


def test_a_gpu_that_is_gone_is_dead_at_once_and_used_again_when_it_was_well_for_a_while() -> None:
    bench = Bench()
    gone = bench.see(seen(look(GPUS[0], GPUS[2])))
    assert dead(gone) == {1: LOST}
    assert gone.unsettled and gone.happened == (f"gpu 1: {LOST}",)
    assert gone.spec.devices == GPUS, "the others keep their numbers"
    back = bench.see(seen())
    assert dead(back) == {1: LOST} and back.unsettled
    assert dead(bench.see(seen(), after_s=WELL_S - 3)) == {1: LOST}
    well = bench.see(seen(), after_s=4)
    assert well.dead == () and well.happened == ("gpu 1 is well again",)


def test_a_flapping_gpu_waits_longer_each_time_and_is_told_of_seldom() -> None:
    bench = Bench()
    broken = seen(look(GPUS[0], GPUS[2]))
    for _ in range(1800):  # two seconds well, two seconds not, for two hours
        bench.see(broken)
        bench.see(seen())
    assert bench.told == 1
    at = bench.now
    while bench.see(seen()).dead:
        pass
    assert bench.now - at <= WELL_S + 4, "one failure that went on counts once"
    # Now it always stays well until it is trusted, and then fails.
    told = bench.told
    for _ in range(2000):
        verdict = bench.see(broken if not bench.watch.verdict.dead else seen())
    assert bench.told - told < 2 * (4000 / LONGEST_WELL_S + 10), "not more than twice for each failure"
    at = bench.now
    bench.see(broken)
    while (verdict := bench.see(seen())).dead:
        assert bench.now - at < LONGEST_WELL_S + 10
    assert verdict.dead == ()
    bench.see(seen(), after_s=FORGIVEN_S)
    bench.see(broken)
    bench.see(seen())
    assert bench.see(seen(), after_s=WELL_S).dead == (), "old failures are forgiven"


def test_the_reason_stays_while_a_fault_changes_its_name() -> None:
    bench = Bench()
    bench.see(seen(look(*GPUS, dead={1: "XID 79"})))
    assert dead(bench.see(seen(look(GPUS[0], GPUS[2])))) == {1: "XID 79"}
    assert bench.told == 1


def test_a_look_that_did_not_succeed_kills_nothing() -> None:
    bench = Bench()
    assert bench.see(seen(look(complete=False))).dead == ()
    bench.see(seen(look(GPUS[0], GPUS[2])))
    for _ in range(20):
        assert dead(bench.see(seen(look(complete=False)))) == {1: LOST}, "nor does it heal"


def test_a_device_of_another_maker_is_not_missed_by_this_one() -> None:
    bench = Bench(first=seen(ALL, Look("amd-")))
    assert bench.see(seen(ALL, Look("amd-", complete=False))).dead == ()
    assert dead(bench.see(seen(Look("amd-", missing="other"), look()))) == dict.fromkeys(range(3), LOST)
    assert dead(Bench(first=seen(Look("amd-"))).watch.verdict)[0].startswith("nothing on this machine tells")


def test_a_leftover_process_kills_at_once_and_heals_at_once() -> None:
    bench = Bench()
    left = {("gpu", 2): "process 7 (python) of an ended job still uses it"}
    assert bench.see(seen(leftovers=left)).dead == ((("gpu", 2), left["gpu", 2]),)
    other = {("gpu", 2): "process 8 (python) of an ended job still uses it"}
    assert dead(bench.see(seen(leftovers=other))) == {2: other["gpu", 2]}
    assert bench.see(seen()).dead == ()
    bench.see(seen(leftovers=left))
    verdict = bench.see(seen(look(*GPUS[:2]), leftovers=left))
    assert dead(verdict) == {2: LOST}, "what is worse is told"
    assert dead(bench.see(seen())) == {2: LOST}


def test_less_is_offered_once_two_looks_agree() -> None:
    bench = Bench()
    once = bench.see(seen(cpus=6, mem=8000))
    assert (once.cpu_milli, once.mem_mib) == (8000, 16_000) and once.unsettled
    bench.see(seen())
    bench.see(seen(cpus=6, mem=8000))
    twice = bench.see(seen(cpus=6, mem=8000))
    assert (twice.cpu_milli, twice.mem_mib, twice.unsettled) == (6000, 8000, False)
    assert twice.spec.cpu_milli == 8000, "what is registered stays"
    assert twice.happened == (
        "6 CPUs can be used, 8 before",
        "8000 MiB of memory can be used, 16000 before",
    )
    bench.see(seen())
    assert bench.see(seen()).cpu_milli == 8000
    assert bench.see(seen(mem=16_100)).unsettled is False, "memory that wavers a little is the same"


@pytest.mark.parametrize(
    ("declared", "here", "left", "offered"), [(4, 8, 6, 4), (4, 8, 3, 3), (16, 8, 6, 14)]
)
def test_declared_amounts_shrink_by_what_is_missing_of_them(
    declared: int, here: int, left: int, offered: int
) -> None:
    bench = Bench(cpus=declared, mem=declared * 100, first=seen(cpus=here, mem=here * 100))
    assert bench.watch.verdict.cpu_milli == declared * 1000
    bench.see(seen(cpus=left, mem=left * 100))
    verdict = bench.see(seen(cpus=left, mem=left * 100))
    assert (verdict.cpu_milli, verdict.mem_mib) == (offered * 1000, offered * 100)
    bench.see(seen(cpus=64, mem=6400))
    assert bench.see(seen(cpus=64, mem=6400)).spec.cpu_milli == declared * 1000


def test_more_than_before_is_registered_anew() -> None:
    bench = Bench()
    bench.see(seen(cpus=12, mem=32_000))
    verdict = bench.see(seen(cpus=12, mem=32_000))
    assert (verdict.spec.cpu_milli, verdict.spec.mem_mib, verdict.cpu_milli) == (12_000, 32_000, 12_000)
    assert verdict.spec.cores_per_socket == 12
    again = seen(cpus=16, mem=32_000)
    bench.see(again)
    assert bench.see(again).spec.cpu_milli == 12_000, "not twice within a minute"
    assert bench.see(again, after_s=REGISTER_S).spec.cpu_milli == 16_000


def test_a_new_gpu_and_other_slices_are_registered() -> None:
    bench = Bench()
    new = Device("gpu", "h200", 0, "GPU-new", 1000)
    cut = Device("gpu", "h200", 2, "GPU-2", 1000, layouts=(("1g.10gb", "1g.10gb"),))
    now = seen(look(new, *GPUS[:2], cut))
    bench.see(now)
    devices = bench.see(now).spec.devices
    assert [device.uuid for device in devices] == ["GPU-0", "GPU-1", "GPU-2", "GPU-new"]
    assert [device.index for device in devices] == [0, 1, 2, 3]
    assert devices[2].layouts == cut.layouts


def test_what_reads_as_unknown_stays_as_it_was_known() -> None:
    bench = Bench()
    vague = tuple(Device("gpu", "", device.index, device.uuid, link=5) for device in GPUS)
    for _ in range(3):
        assert bench.see(seen(look(*vague))).spec.devices == GPUS


def test_declared_devices_are_not_judged() -> None:
    spec = NodeSpec(NodeName("n1"), "host", 8000, 16_000, devices=(Device("gpu", "x", 0), GPUS[1]))
    watch = Watch(spec, "boot", seen(look(GPUS[1])), declared=True, at_s=0)
    assert watch.verdict.dead == ()
    verdict = watch.see(seen(look()), 2)
    assert verdict.dead == ((("gpu", 1), LOST),), "but those of them that are really here"
    assert watch.see(seen(ALL), 100).spec.devices == spec.devices


def test_remarks_come_after_two_looks_and_seldom_change() -> None:
    def remarked(*texts: str) -> Seen:
        return seen(remarks=tuple(Remark(text.split()[0], text) for text in texts))

    bench = Bench(first=remarked("ecc of gpu 1"))
    assert bench.watch.verdict.warnings == ("ecc of gpu 1",), "at the start at once"
    for count in range(100):
        bench.see(remarked(f"ecc of gpu 1 is {count}"))
    assert bench.told == 0, "a number that moves is no news"
    for count in range(600):  # one that comes and goes, for 20 minutes
        bench.see(remarked("ecc of gpu 1") if count % 2 else remarked("ecc of gpu 1", "fan stands"))
    assert bench.told == 0, "never true twice in a row"
    for count in range(600):
        bench.see(remarked(*(f"sensor{n} says nonsense" for n in range(count % 40))))
    assert bench.told <= 600 * 2 / REMARKS_S + 1
    bench.see(seen())
    assert bench.see(seen(), after_s=2 * REMARKS_S).warnings == ()


def test_remarks_about_devices_name_them_by_their_numbers_here() -> None:
    moved = Device("gpu", "h200", 0, "GPU-2", 1000)
    here = Look("GPU-", (Found(moved, remarks=(Remark("GPU-2-x", "is warm"),)),), missing=LOST)
    bench = Bench()
    bench.see(seen(here))
    assert bench.see(seen(here)).warnings == ("gpu 2 is warm",)
