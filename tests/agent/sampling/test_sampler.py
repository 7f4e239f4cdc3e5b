"""When attempts are looked at and reports go out, and what becomes of things that cannot be read."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from packhorse.agent import usage
from packhorse.agent.launch.spec import Group
from packhorse.agent.sampling import pace
from packhorse.agent.sampling.attempt import AttemptMeter
from packhorse.agent.usage import Sampler
from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId
from tests.agent.sampling.orders import KEY, an_order, supervised

MIB = 1 << 20
NOW = Instant(1_000_000)


class Clock:
    """The monotonic clock that the sampler reads."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def group(tmp_path: Path) -> Group:
    """A cgroup of version 2 whose files the test writes."""
    directory = tmp_path / "job"
    directory.mkdir()
    group = Group(str(directory), "", memory=True, version=2)
    hold(group, 100)
    (directory / "cpu.stat").write_text("user_usec 5000\nsystem_usec 1000\n")
    return group


def hold(group: Group, mib: float, cache_mib: int = 0) -> None:
    """The job's memory is now so much, and its page cache."""
    directory = Path(group.path)
    (directory / "memory.current").write_text(str(int((mib + cache_mib) * MIB)))
    (directory / "memory.stat").write_text(f"inactive_file {cache_mib * MIB}\nactive_file 0\n")


def watching(tmp_path: Path, group: Group, *, lent_mib: int = 0, mem_mib: int = 1024) -> Sampler:
    sampler = Sampler()
    started_at = int(time.time() * 1e6)
    running = supervised(tmp_path, group, started_at=started_at)
    sampler.watch(KEY, running, an_order(mem_mib, lent_mib=lent_mib))
    return sampler


def test_reports_go_out_at_the_interval(tmp_path: Path, group: Group, clock: Clock) -> None:
    sampler = watching(tmp_path, group)
    assert sampler.step(NOW) is not None
    sent = []
    for _ in range(305):
        clock.s += 0.1
        if (report := sampler.step(NOW)) is not None:
            sent.append((clock.s, report))
    assert [round(at - 1000) for at, _ in sent] == [10, 20, 30]
    sample = sent[-1][1].attempts[0]
    assert (sample.rss_kib, sample.usage.max_rss_kib) == (100 * 1024, 100 * 1024)
    assert (sample.usage.user_cpu_us, sample.usage.system_cpu_us) == (5000, 1000)


def test_growth_is_told_at_once_where_memory_is_lent(tmp_path: Path, group: Group, clock: Clock) -> None:
    sampler = watching(tmp_path, group, lent_mib=200)
    sampler.step(NOW)
    for _ in range(5):
        clock.s += 0.2
        sampler.step(NOW)
    hold(group, 100 + 1024 / 16 - 1)
    clock.s += 0.25
    assert sampler.step(NOW) is None, "less than a sixteenth of its limit"
    hold(group, 100 + 1024 / 16 + 1)
    assert sampler.pause_s() <= 0.25
    clock.s += 0.25
    report = sampler.step(NOW)
    assert report is not None
    assert report.attempts[0].rss_kib == (100 + 1024 // 16 + 1) * 1024
    clock.s += 0.25
    assert sampler.step(NOW) is None, "told already"
    hold(group, 90)
    clock.s += 0.25
    assert sampler.step(NOW) is None, "giving back is no hurry"


def test_growth_waits_for_the_interval_where_nothing_is_lent(
    tmp_path: Path, group: Group, clock: Clock
) -> None:
    sampler = watching(tmp_path, group)
    sampler.step(NOW)
    hold(group, 900)
    clock.s += 1.5
    assert sampler.step(NOW) is None
    assert sampler.pause_s() > 0.4


def test_low_memory_of_the_node_is_told_at_once_where_memory_is_lent(
    tmp_path: Path, group: Group, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = watching(tmp_path, group, lent_mib=200)
    sampler.step(NOW)
    monkeypatch.setattr(sampler, "_node_memory", lambda: (1600, 99))
    clock.s += 0.3
    assert sampler.step(NOW) is not None
    clock.s += 0.3
    assert sampler.step(NOW) is None
    clock.s += 0.8
    assert sampler.step(NOW) is not None, "again after a second"


def test_looks_are_often_while_memory_moves_and_seldom_while_not() -> None:
    pauses = []
    pause = 0.0
    for _ in range(6):
        pause = pace.look_again_s(pause, 3600, 10, moved=False, near=False)
        pauses.append(pause)
    assert pauses == [1, 2, 4, 8, 10, 10]
    assert pace.look_again_s(10, 3600, 10, moved=True, near=False) == 1
    assert pace.look_again_s(10, 3600, 10, moved=False, near=True) == 1
    assert pace.look_again_s(10, 12, 10, moved=False, near=False) == 3, "young"
    assert pace.near(900, 1000) and not pace.near(800, 1000) and not pace.near(10**9, 0)


def test_sampling_rests_in_proportion_to_what_it_cost() -> None:
    assert pace.rest_s(0.010, 100) == pytest.approx(1.0)
    assert pace.rest_s(0.010, 400) == pytest.approx(0.25)
    assert pace.rest_s(0.001, 1) == pytest.approx(0.1)


@pytest.mark.parametrize("text", ["garbage\n", "-4096\n"])
def test_nonsense_is_a_warning_and_the_last_figure_stands(
    tmp_path: Path, group: Group, clock: Clock, text: str
) -> None:
    sampler = watching(tmp_path, group)
    clock.s += 2
    sampler.step(NOW)
    (Path(group.path) / "memory.current").write_text(text)
    for _ in range(20):
        clock.s += 1
        sampler.step(NOW)
    assert len(sampler.warnings) == 1
    assert sampler.warnings[0].startswith("attempt 7.1.1: its memory cannot be read")
    clock.s += 10
    report = sampler.step(NOW)
    assert report is not None and report.attempts[0].rss_kib == 100 * 1024
    hold(group, 120)
    clock.s += usage.WARN_S
    report = sampler.step(NOW)
    assert report is not None and report.attempts[0].rss_kib == 120 * 1024
    assert not sampler.warnings, "gone when it is long ago"


def test_a_counter_that_runs_backwards(tmp_path: Path, group: Group, clock: Clock) -> None:
    sampler = watching(tmp_path, group)
    clock.s += 2
    sampler.step(NOW)
    (Path(group.path) / "cpu.stat").write_text("user_usec 100\nsystem_usec 1000\n")
    clock.s += 10
    report = sampler.step(NOW)
    assert report is not None and report.attempts[0].usage.user_cpu_us == 5000
    assert sampler.warnings == ("attempt 7.1.1: its processor time went backwards",)
    (Path(group.path) / "cpu.stat").write_text("user_usec 300\nsystem_usec 1000\n")
    clock.s += 11
    report = sampler.step(NOW)
    assert report is not None and report.attempts[0].usage.user_cpu_us == 5200


def test_a_directory_that_takes_no_write_is_a_warning(
    tmp_path: Path, group: Group, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: AttemptMeter) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AttemptMeter, "keep", refuse)
    sampler = watching(tmp_path, group)
    assert sampler.step(NOW) is not None
    assert sampler.warnings == ("attempt 7.1.1: its figures cannot be written down: No space left on device",)


def test_a_sampler_that_fails_says_so_and_waits(tmp_path: Path, group: Group, clock: Clock) -> None:
    sampler = watching(tmp_path, group)
    sampler.failed(RuntimeError("out of luck"))
    assert sampler.warnings == ("sampling failed: RuntimeError: out of luck",)
    assert sampler.pause_s() == sampler.report_s


def test_an_attempt_that_cannot_be_measured_hides_no_other(
    tmp_path: Path, group: Group, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = watching(tmp_path, group)
    other = AttemptKey(JobId(8), 1, 1)
    sampler.watch(other, supervised(tmp_path, group), an_order())
    looked = AttemptMeter.look

    def look(self: AttemptMeter) -> None:
        if self.key == KEY:
            raise RuntimeError("no luck")
        looked(self)

    monkeypatch.setattr(AttemptMeter, "look", look)
    clock.s += 10
    report = sampler.step(NOW)
    assert report is not None and [sample.attempt for sample in report.attempts] == [other]
    assert report.attempts[0].rss_kib == 100 * 1024
    assert sampler.warnings == ("sampling of attempt 7.1.1 failed: RuntimeError: no luck",)


def test_what_was_measured_once_is_not_told_for_ever(
    tmp_path: Path, group: Group, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where memory is lent and is looked at more often: there too the others are told."""
    sampler = watching(tmp_path, group)
    other = AttemptKey(JobId(8), 1, 1)
    sampler.watch(other, supervised(tmp_path, group), an_order(lent_mib=100))
    clock.s += 10
    report = sampler.step(NOW)
    assert report is not None and [sample.attempt for sample in report.attempts] == [KEY, other]
    looked = AttemptMeter.look_at_memory

    def look(self: AttemptMeter) -> None:
        if self.key == KEY:
            raise RuntimeError("no luck")
        looked(self)

    monkeypatch.setattr(AttemptMeter, "look_at_memory", look)
    clock.s += pace.LENT_S
    sampler.report_now()
    for _ in range(3):
        report = sampler.step(NOW)
        assert report is not None and [sample.attempt for sample in report.attempts] == [other]
        clock.s += sampler.report_s
        sampler.report_now()


def test_what_was_not_looked_at_yet_is_not_told(tmp_path: Path, group: Group, clock: Clock) -> None:
    sampler = watching(tmp_path, group)
    first = sampler.step(NOW)
    assert first is not None and first.attempts == ()
    clock.s += 1.1
    sampler.report_now()
    second = sampler.step(NOW)
    assert second is not None and second.attempts[0].rss_kib == 100 * 1024


def test_the_first_job_of_an_idle_node_is_told_soon(tmp_path: Path, group: Group, clock: Clock) -> None:
    sampler = Sampler()
    sampler.report_s = 30.0
    assert sampler.step(NOW) is not None
    clock.s += 2
    sampler.watch(KEY, supervised(tmp_path, group, started_at=int(time.time() * 1e6)), an_order())
    assert sampler.pause_s() <= usage.FIRST_LOOK_S
    clock.s += usage.FIRST_LOOK_S
    report = sampler.step(NOW)
    assert report is not None and report.attempts[0].rss_kib == 100 * 1024


def test_many_warnings_are_cut(clock: Clock) -> None:
    sampler = Sampler()
    for number in range(30):
        sampler._odd(f"thing {number:02d}")
    assert len(sampler.warnings) == usage.MAX_WARNINGS
    assert sampler.warnings[-1] == "and 23 more about sampling"


def test_page_cache_is_counted_again_once_the_charge_moves(tmp_path: Path, group: Group) -> None:
    meter = AttemptMeter(KEY, supervised(tmp_path, group), an_order(1024), pytest.fail)
    meter.look_at_memory()
    hold(group, 100, cache_mib=300)
    meter.look_at_memory()
    assert (meter.mem_kib, meter.cache_kib) == (100 * 1024, 300 * 1024)
    meter.close()


def test_what_an_agent_wrote_down_another_goes_on_from(tmp_path: Path, group: Group, clock: Clock) -> None:
    sampler = watching(tmp_path, group)
    hold(group, 500, cache_mib=50)
    clock.s += 2
    sampler.step(NOW)
    sampler.keep_all()
    hold(group, 80)
    again = watching(tmp_path, group)
    clock.s += 2
    report = again.step(NOW)
    assert report is not None
    sample = report.attempts[0]
    assert sample.rss_kib == 80 * 1024
    assert (sample.usage.max_rss_kib, sample.usage.max_cache_kib) == (500 * 1024, 50 * 1024)
    assert again.end(KEY).usage == sample.usage


def test_a_damaged_file_counts_as_none(tmp_path: Path, group: Group) -> None:
    (tmp_path / "usage").write_bytes(b"\0garbage")
    meter = AttemptMeter(KEY, supervised(tmp_path, group), an_order(1024), pytest.fail)
    assert meter.usage().max_rss_kib == 0
    meter.close()
