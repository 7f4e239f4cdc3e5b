"""What counts as the same in two sessions."""

from __future__ import annotations

from datetime import datetime

from tests.golden_session.compare import Side, differences, lines, span_s, translation

THEIRS = Side(datetime(2026, 1, 1, 12), lambda text: text)
OURS = Side(datetime(2026, 2, 2, 6), translation({701: 1, 712: 12}, [("/tmp/ab12", "/srv/demo")]))


def _differ(theirs: str, ours: str, *, in_order: bool = True) -> list[str]:
    return differences(lines(theirs, THEIRS), lines(ours, OURS), in_order=in_order)


def test_ids_are_translated_and_columns_keep_their_width() -> None:
    assert not _differ("     1   root\n    12   root\n", "   701   root\n   712   root\n")
    assert not _differ("1     x\n12    x\n", "701   x\n712   x\n")
    assert not _differ("12_[3-4]    x", "712_[3-4]   x")
    assert not _differ("Submitted batch job 1", "Submitted batch job 701")
    assert not _differ("StdOut=/srv/demo/slurm-12.out", "StdOut=/tmp/ab12/slurm-712.out")
    assert _differ("     1   root\n", "   701  root\n"), "one space less"


def test_times_count_from_the_beginning_and_may_drift() -> None:
    assert not _differ("at 2026-01-01T12:00:10", "at 2026-02-02T06:01:30")
    assert _differ("at 2026-01-01T12:00:10", "at 2026-02-02T06:10:30")
    assert not _differ("  0:40 x", "  1:10 x")
    assert _differ("20:00 x", "30:00 x")
    assert _differ("1-00:00:00", "2-00:00:00")
    assert span_s("1-02:00:30") == 93630 and span_s("5:30") == 330


def test_lines_are_told() -> None:
    assert _differ("a\nb\n", "b\na\n") == ["- a", "- b", "+ b", "+ a"] or _differ("a\nb\n", "b\na\n")
    assert not _differ("a\nb\n", "b\na\n", in_order=False)
    assert _differ("a\nb\n", "a\nc\n") == ["- b", "+ c"]
