"""The report: curves that keep extremes, bars that do not overlap, a page that needs nothing else."""

from __future__ import annotations

import builtins
import itertools
import random
import re
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from packhorse.simulator.metrics.columns import US, columns
from packhorse.simulator.metrics.usage import Window, whole
from packhorse.simulator.outcome import NOT_YET, Outcome
from packhorse.simulator.report import axes
from packhorse.simulator.report.curves import intervals, ranked
from packhorse.simulator.report.gantt import MOST_JOBS, MOST_NODES, gantt
from packhorse.simulator.report.write import About, NoPlots, write
from packhorse.simulator.summary import OtherJobs, summarise
from packhorse.simulator.traces.job import TraceJob
from tests.benchmarks.outcomes import S, outcome, played, random_jobs, samples

# ------------------------------------------------------------------------------------------------- curves


def test_few_values_are_all_kept() -> None:
    found = ranked(np.array([3.0, np.nan, 1.0, 2.0]))
    assert (found.value.tolist(), found.part.tolist(), found.n) == ([1, 2, 3], [1 / 3, 2 / 3, 1], 3)
    assert ranked(np.array([np.nan])).n == 0


def test_many_values_keep_their_extremes_and_ranks() -> None:
    values = np.random.default_rng(1).lognormal(3, 2, 100_000)
    found = ranked(values)
    assert found.value.size < 1000
    assert (found.value[0], found.value[-1], found.part[-1]) == (values.min(), values.max(), 1.0)
    inner = slice(0, None, 37)
    expected = [(values <= v).mean() for v in found.value[inner]]
    assert found.part[inner].tolist() == pytest.approx(expected)
    assert (np.sort(values)[-20:] == found.value[-20:]).all(), "the longest are all there"


def test_intervals_have_the_mean_and_the_extremes_of_the_steps() -> None:
    """0 to 10 s: nothing before 1 s, 4 to 3 s, a spike of 9 for 0.1 s, then 2 to the end."""
    at = np.array([1, 3, 3.1]) * US
    found = intervals(at.astype(np.int64), np.array([4, 9, 2]), Window(0, 10 * US), n=5)
    assert (found.bounds_us / US).tolist() == [0, 2, 4, 6, 8, 10]
    assert found.mean.tolist() == pytest.approx([2, (4 + 0.9 + 1.8) / 2, 2, 2, 2])
    assert found.low.tolist() == [0, 2, 2, 2, 2]
    assert found.high.tolist() == [4, 9, 2, 2, 2]


def test_intervals_of_random_steps() -> None:
    rng = random.Random(4)
    at = sorted(rng.sample(range(1000), 60))
    values = [rng.randint(0, 50) for _ in at]
    held = [next((v for a, v in zip(at[::-1], values[::-1], strict=True) if a <= t), 0) for t in range(1000)]
    found = intervals(np.array(at), np.array(values), Window(0, 1000), n=20)
    for i in range(20):
        part = held[50 * i : 50 * i + 50]
        assert (found.low[i], found.high[i]) == (min(part), max(part))
        assert found.mean[i] == pytest.approx(sum(part) / 50)


def test_intervals_of_nothing() -> None:
    nothing = np.zeros(0, np.int64)
    assert intervals(nothing, nothing, Window(5, 5), n=3).high.tolist() == [0, 0, 0]


def test_durations_for_people() -> None:
    assert [axes.duration(s) for s in (0.5, 59.4, 90, 5400, 200_000, -90)] == [
        "0.5 s",
        "59.4 s",
        "1.5 min",
        "1.5 h",
        "2.31 d",
        "-1.5 min",
    ]
    assert axes.unit(Window(0, 4 * 3600 * S))[1] == "hours"


# ------------------------------------------------------------------------------------------------- gantt


@pytest.fixture(scope="module")
def two() -> list[Outcome]:
    jobs = random_jobs(800, random.Random(2), 32)
    return [played(jobs, 32), played(jobs, 32, policy="sjf", shortest=True)]


def test_bars_do_not_overlap_and_leave_nothing_out(two: list[Outcome]) -> None:
    of = columns(two[0].jobs)
    found = gantt(two, of, whole(two[0], of))
    assert (found.rows, len(found.by_node), found.nodes) == (32, 32, 32)
    for ran, chart in zip(two, found.charts, strict=True):
        taken: dict[int, list[tuple[int, int]]] = {}
        for bar in chart.bars:
            for row in range(bar.row, bar.row + bar.rows):
                taken.setdefault(row, []).append((bar.start_us, bar.end_us))
        for spans in taken.values():
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(sorted(spans)))
        assert max(taken) < 32
        start, end = found.within
        expected = sum(
            job.tasks * max(0, min(int(ended), end) - max(int(began), start))
            for job, began, ended in zip(ran.jobs, ran.start_us, ran.end_us, strict=True)
        )
        assert sum(bar.rows * (bar.end_us - bar.start_us) for bar in chart.bars) == expected > 0
        assert len({bar.job for bar in chart.bars}) <= MOST_JOBS


def test_the_window_has_the_longest_queue(two: list[Outcome]) -> None:
    of = columns(two[0].jobs)
    within = gantt(two, of, whole(two[0], of)).within
    seen = two[0].samples
    assert within.start_us <= seen.at_us[int(np.argmax(seen.waiting))] <= within.end_us
    assert within.length_us < whole(two[0], of).length_us


def test_bars_of_nodes_with_several_cpus() -> None:
    """8 CPUs on two nodes: a has all of both, b two of n2, c three and one."""
    jobs = [
        TraceJob("a", 0, 10 * S, tasks=8),
        TraceJob("b", 0, 10 * S, tasks=3),
        TraceJob("c", 0, S, tasks=4),
    ]
    nodes = [("n2", "n10"), ("n2",), ("n2", "n10")]
    ran = outcome(jobs, [(0, 10), (10, 20), (10, NOT_YET)], nodes=nodes, seen=samples((0,), (30,)))
    of = columns(jobs)
    found = gantt([ran], of, whole(ran, of))
    assert (found.rows, found.by_node, found.charts[0].left_out) == (8, {"n2": 0, "n10": 4}, 0)
    assert [(bar.job, bar.row, bar.rows, bar.end_us // S) for bar in found.charts[0].bars] == [
        (0, 0, 8, 10),
        (1, 0, 3, 20),
        (2, 3, 4, 30),
    ]


def test_where_an_equal_split_does_not_fit_rows_have_no_nodes() -> None:
    """a has 3 of its CPUs on n1, of which nothing tells, so that b does not seem to fit beside it."""
    jobs = [TraceJob("a", 0, 10 * S, tasks=4), TraceJob("b", 0, 10 * S, tasks=3)]
    ran = outcome(jobs, [(0, 10), (0, 10)], nodes=[("n1", "n2"), ("n2",)], seen=samples((0,)))
    of = columns(jobs)
    found = gantt([ran], of, whole(ran, of))
    assert (found.rows, found.by_node) == (8, {})
    assert [(bar.job, bar.row, bar.rows) for bar in found.charts[0].bars] == [(0, 0, 4), (1, 4, 3)]


def test_of_a_large_cluster_the_first_nodes_are_drawn() -> None:
    """400 nodes of one CPU, each with a job after another: a window with jobs of all nodes would have few."""
    jobs = [TraceJob(str(i), 0, 10 * S) for i in range(4000)]
    ran = [(10 * (i // 400), 10 * (i // 400) + 10) for i in range(4000)]
    nodes = [(f"n{i % 400}",) for i in range(4000)]
    run = outcome(jobs, ran, cpus=400, nodes=nodes, seen=samples((50, 0, 0, 9)))
    of = columns(jobs)
    found = gantt([run], of, whole(run, of))
    assert (len(found.by_node), found.nodes, found.rows) == (MOST_NODES, 400, MOST_NODES)
    assert list(found.by_node)[-1] == "n63"
    assert 4 * MOST_NODES <= len(found.charts[0].bars) <= MOST_JOBS


def test_interrupted_jobs_are_counted_not_drawn() -> None:
    jobs = [TraceJob("a", 0, 10 * S), TraceJob("b", 0, 10 * S)]
    ran = outcome(jobs, [(0, 30), (0, 10)], restarts=[1, 0], lost=[20, 0], seen=samples((0,)))
    (chart,) = gantt([ran], columns(jobs), Window(0, 30 * S)).charts
    assert ([bar.job for bar in chart.bars], chart.left_out) == ([1], 1)


# -------------------------------------------------------------------------------------------------- page


ODD = '<b onload="x">&\'$title'
"""A name that would break a page that does not escape it, or a template that is filled twice."""


class Page(HTMLParser):
    """What a browser would load, which ids there are, and whether tags are closed."""

    VOID = ("meta", "link", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.refers: list[str] = []
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "data", "srcset", "poster", "action"):
                (self.refers if (value or "").startswith("#") else self.loads).append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def report(two: list[Outcome], tmp_path_factory: pytest.TempPathFactory) -> Path:
    odd = [run._replace(policy=run.policy + ODD, trace=ODD) for run in two]
    folder = tmp_path_factory.mktemp("report")
    about = About(ODD, f"packhorse simulate {ODD}", {ODD: ODD}, {"packhorse": ODD}, [ODD])
    return write(folder / "new" / "folder", about, [summarise(run) for run in odd], odd)


def test_the_page_loads_nothing(report: Path) -> None:
    text = report.read_text()
    page = Page(text)
    assert page.open == []
    assert all(each.startswith("data:") for each in page.loads), page.loads
    bare = re.sub(r"data:[a-z/]+;base64,[A-Za-z0-9+/=\s]+", "", text)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", bare), "no address anywhere"
    assert len(page.ids) == len(set(page.ids)), "ids are unique"
    assert {each[1:] for each in page.refers} <= set(page.ids)
    assert len(text) < 2_000_000


def test_names_are_escaped(report: Path) -> None:
    text = report.read_text()
    page = Page(text)
    assert "b" not in page.tags
    assert "&lt;b onload=&quot;x&quot;&gt;&amp;&#x27;$title" in text
    assert "<b onload" not in text


def test_the_plots_are_there_as_pictures_too(report: Path) -> None:
    names = sorted(path.name for path in report.parent.iterdir())
    assert names == [
        "classes.png",
        "gains.png",
        "gantt.png",
        "index.html",
        "queue.png",
        "utilisation.png",
        "waits.png",
    ]
    assert all((report.parent / name).read_bytes().startswith(b"\x89PNG") for name in names if "png" in name)
    assert report.read_text().count('<svg class="plot"') == 6


def test_the_page_is_always_the_same(two: list[Outcome], tmp_path: Path) -> None:
    def bytes_of(name: str) -> list[bytes]:
        page = write(tmp_path / name, About("again"), [summarise(two[0])], two[:1])
        return [path.read_bytes() for path in sorted(page.parent.iterdir())]

    assert bytes_of("one") == bytes_of("two")


def test_a_single_policy_is_compared_with_none(two: list[Outcome], tmp_path: Path) -> None:
    page = write(tmp_path, About("one"), [summarise(two[0])], two[:1])
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "gantt.png",
        "queue.png",
        "utilisation.png",
        "waits.png",
    ]
    assert "Against" not in page.read_text()


def test_devices_seeds_and_jobs_that_never_end(tmp_path: Path) -> None:
    jobs = [TraceJob(n, 0, 3600 * S, n_gpus=g, user=n) for n, g in (("a", 4), ("b", 2), ("c", 0), ("d", 8))]
    seen = samples((0, 1, 4, 1, 3), (3600, 0, 2, 0, 1), (9000,))
    runs = [
        outcome(
            jobs, [(0, 3600), (3600, 9000), (0, NOT_YET), (NOT_YET, NOT_YET)], gpus=8, seed=seed, seen=seen
        )
        for seed in (1, 2, 3)
    ]
    other = [run._replace(policy="other", restarts=np.array([0, 1, 0, 0])) for run in runs]
    text = write(
        tmp_path, About("odd"), [summarise(run) for run in (*runs, *other)], [runs[0], other[0]]
    ).read_text()
    assert "GPUs allocated" in text
    assert "1 to 3" in text
    assert "1 never started" in text
    assert "(1 interrupted jobs are not drawn)" in text


def test_traces_have_sections_and_pictures_of_their_own(two: list[Outcome], tmp_path: Path) -> None:
    runs = [two[0], two[0]._replace(trace="another")]
    page = write(tmp_path, About("two"), [summarise(run) for run in runs], runs)
    text = page.read_text()
    assert len(set(Page(text).ids)) == len(Page(text).ids)
    assert "Results · by chance" in text and "Results · another" in text
    assert {"t0-waits.png", "t1-waits.png"} <= {path.name for path in tmp_path.iterdir()}


def test_a_policy_that_is_not_drawn_is_in_the_tables(two: list[Outcome], tmp_path: Path) -> None:
    other = summarise(two[1]._replace(policy="not drawn"))
    runs = [other, *(summarise(run) for run in two)]
    text = write(tmp_path, About("three"), runs, two[:1]).read_text()
    heads = re.findall(r'<th scope="col"><span[^>]*></span>([^<]+)</th>', text)
    assert heads == ["fcfs", "not drawn", "sjf"]
    assert (tmp_path / "classes.png").exists() and not (tmp_path / "gains.png").exists()


def test_an_empty_trace_has_a_page(tmp_path: Path) -> None:
    nothing = outcome([], [])
    assert "0 jobs" in write(tmp_path, About("nothing"), [summarise(nothing)], [nothing]).read_text()


def test_policies_on_other_jobs_are_refused(two: list[Outcome], tmp_path: Path) -> None:
    other = outcome([TraceJob("a", 0, S)], [(0, 1)], policy="other")._replace(trace="by chance")
    with pytest.raises(OtherJobs):
        write(tmp_path, About("mixed"), [summarise(two[0]), summarise(other)], [two[0], other])


def test_without_matplotlib_the_way_out_is_named(
    two: list[Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    real = builtins.__import__

    def gone(name: str, *rest: object) -> ModuleType:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError("No module named 'matplotlib'", name="matplotlib")
        return real(name, *rest)  # type: ignore[arg-type]

    for name in [n for n in sys.modules if n.startswith("packhorse.simulator.report.")]:
        if name.rpartition(".")[2] in ("sections", "plots", "over_time", "style", "gantt_plot"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("packhorse.simulator.report.sections", raising=False)
    monkeypatch.setattr(builtins, "__import__", gone)
    with pytest.raises(NoPlots, match=r'needs matplotlib: pip install "packhorse\[report\]"'):
        write(tmp_path / "out", About("none"), [summarise(two[0])], two[:1])
    assert not (tmp_path / "out").exists()
