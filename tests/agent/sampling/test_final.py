"""What an attempt used in the end: from its exit record, and from what was measured before it."""

from __future__ import annotations

from packhorse.agent.launch.exitrecord import Cause, ExitRecord
from packhorse.agent.sampling.attempt import Kept, final_usage
from packhorse.scheduler.model.resources import Usage


def final(told: Usage, measured: Usage, *, charged: bool = True, cause: Cause = "exited") -> Usage:
    record = ExitRecord(key="7.1.1", cause=cause, max_rss_kib=told.max_rss_kib, peak_mem_kib=900)
    return final_usage(record, told, Kept(measured, charged=charged))


def test_the_record_knows_processor_time() -> None:
    assert final(Usage(500, 300), Usage(900, 100)).user_cpu_us == 500
    assert final(Usage(), Usage(900, 100)).user_cpu_us == 900, "its supervisor was lost"


def test_the_larger_of_both_where_nothing_speaks_against_it() -> None:
    told = Usage(1, 1, 700, 0, 10, 99, max_cache_kib=50)
    measured = Usage(1, 1, 500, 30, 20, 5, max_cache_kib=50, gpu_ms=7, gpu_energy_mj=8)
    assert final(told, measured) == Usage(1, 1, 700, 30, 20, 99, max_cache_kib=50, gpu_ms=7, gpu_energy_mj=8)
    assert final(Usage(max_rss_kib=700), Usage()).max_rss_kib == 700, "never looked at"


def test_page_cache_that_went_before_the_end_is_no_memory() -> None:
    measured = Usage(max_rss_kib=50, max_cache_kib=850)
    assert final(Usage(max_rss_kib=900), measured).max_rss_kib == 50
    assert final(Usage(max_rss_kib=80), measured).max_rss_kib == 80, "the largest process"
    assert final(Usage(max_rss_kib=900), measured, cause="oom").max_rss_kib == 900, "it was its end"
    assert final(Usage(max_rss_kib=900), measured, charged=False).max_rss_kib == 900, "no cgroup, no cache"
