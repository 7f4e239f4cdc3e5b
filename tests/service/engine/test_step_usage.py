"""What steps use counts to their job on that node."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.model.ids import US, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.resources import Devices, Placement, Usage, joined_usage
from packhorse.scheduler.model.sample import DeviceSample
from packhorse.scheduler.model.step import Overlap
from packhorse.scheduler.service.convert_agents import AttemptSample, NodeUsage, report_usage
from packhorse.scheduler.service.gpu_watch import busy_milli
from packhorse.scheduler.service.series_book import SeriesBook, Together
from tests.core.steps.stepping import Stepping
from tests.store.samples import row as a_row

N1, N2 = NodeName("n1"), NodeName("n2")


def said(at_s: int, samples: dict[AttemptKey, AttemptSample]) -> NodeUsage:
    return NodeUsage(Instant(at_s * US), 0, 0, 9_000, 0, samples)


def sample(cpu_s: int, rss_mib: int) -> AttemptSample:
    return AttemptSample(Usage(user_cpu_us=cpu_s * US), rss_mib * 1024)


def test_memory_of_a_job_on_a_node_is_that_of_script_and_steps() -> None:
    batch = AttemptKey(JobId(7), 1, 1)
    step, other = AttemptKey(JobId(7), 1, 1, 0), AttemptKey(JobId(8), 1, 1, 3)
    usage = said(1, {batch: sample(0, 100), step: sample(0, 50), other: sample(0, 30)})
    assert report_usage(N1, usage).attempts == ((batch, 150), (other.whole, 30))


def test_the_series_goes_on_when_a_step_is_over() -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2)
    key = s.step(job)
    batch, now = key.whole, s.cluster.clock.now
    at_s = now // US
    book, state = SeriesBook(), s.cluster.state
    late = Instant(now + 1000 * US)
    book.heard(state, N1, said(at_s, {batch: sample(1, 10)}), late)
    book.heard(state, N1, said(at_s + 10, {batch: sample(2, 10), key: sample(5, 90)}), late)
    book.heard(state, N2, said(at_s + 15, {key: sample(500, 900)}), late)
    book.heard(state, N1, said(at_s + 20, {batch: sample(3, 10)}), late)
    series = book.series((job, 1))
    assert series is not None
    assert [point.cpu_ms for point in series] == [1_000, 7_000, 8_000]
    assert max(point.mem_kib for point in series) == 100 * 1024


def test_a_gpu_that_only_a_step_was_seen_on_is_measured() -> None:
    step = AttemptKey(JobId(7), 1, 1, 0)
    busy = AttemptSample(Usage(), 0, devices=(DeviceSample("gpu", 1, 900, None, None, None, None),))
    placement = Placement(N1, 1000, 0, 1, (Devices("gpu", "", (1,)),))
    assert busy_milli(placement, step.whole, said(1, {step: busy})) == [900]
    assert busy_milli(placement, AttemptKey(JobId(9), 1, 1), said(1, {step: busy})) == [None]


def test_usages_are_joined() -> None:
    one, two = Usage(1, 2, 30, 40, 5, 6), Usage(10, 20, 3, 400, 50, 60)
    assert joined_usage((one, two)) == Usage(11, 22, 30, 400, 55, 66)
    assert joined_usage(()) == Usage()


def test_memory_of_parallel_steps_is_what_was_seen_at_once() -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2)
    one, two = s.step(job, overlap=Overlap.OVERLAP), s.step(job, overlap=Overlap.OVERLAP)
    state, together = s.cluster.state, Together()
    at_s = s.cluster.clock.now // US
    together.heard(state, said(at_s, {one.whole: sample(0, 10), one: sample(0, 300), two: sample(0, 100)}))
    together.heard(state, said(at_s, {one: sample(0, 250), two: sample(0, 200)}))  # the other node
    together.heard(state, said(at_s, {one.whole: sample(0, 10), two: sample(0, 300)}))
    row = replace(a_row(job), usage=Usage(max_rss_kib=310 * 1024))
    assert together.ended([row])[0].usage.max_rss_kib == 450 * 1024
    assert together.ended([row]) == (row,), "it is told once"


def test_a_single_part_may_have_had_more_than_any_sample_saw() -> None:
    s = Stepping(nodes=1)
    job = s.job()
    key = s.step(job)
    together = Together()
    together.heard(s.cluster.state, said(1, {key.whole: sample(0, 10), key: sample(0, 20)}))
    row = replace(a_row(job), usage=Usage(max_rss_kib=900 * 1024))
    assert together.ended([row]) == (row,)
