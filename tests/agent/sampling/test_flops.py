"""Peaks of models, and operations from how busy the pipes are."""

from __future__ import annotations

import pytest

from packhorse.agent.sampling.flops import (
    PEAKS,
    Peak,
    computed_peak,
    known_peak,
    parse_peaks,
    rate_gflops,
    stated_peak,
)
from packhorse.scheduler.model.errors import BadValue

ONE_TERAFLOP = Peak(1000, 0, 0, 0, 0, 0)


def test_300_of_1000_gflops_are_three_tenths() -> None:
    done = rate_gflops({"tensor": 0.3}, ONE_TERAFLOP, 0)
    assert done == 300
    assert done / ONE_TERAFLOP.highest == 0.3


def test_pipes_add_up_and_scale_with_the_clock() -> None:
    peak = Peak(1000, 0, 50, 100, 200, 1000)
    assert rate_gflops({"tensor": 0.5, "fp32": 0.1, "fp64": 0.2}, peak, 1000) == pytest.approx(520)
    assert rate_gflops({"tensor": 0.5, "fp32": 0.1, "fp64": 0.2}, peak, 500) == pytest.approx(260)
    assert rate_gflops({"tensor": 0.5}, peak, 0) == 500, "no clock is told: the nominal one"


def test_a_busy_pipe_of_unknown_peak_makes_the_sum_unknown() -> None:
    assert rate_gflops({"tensor": 0.3, "fp32": 0.005}, ONE_TERAFLOP, 0) == 300
    assert rate_gflops({"tensor": 0.3, "fp32": 0.4}, ONE_TERAFLOP, 0) is None


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("h200", "h200"),
        ("h100_80gb_hbm3", "h100"),
        ("h100_pcie", "h100_pcie"),
        ("a100_sxm4_80gb", "a100"),
        ("A100-PCIE-40GB", "a100"),
        ("v100_sxm2_16gb", "v100_sxm2"),
        ("rtx_3090", "rtx_3090"),
        ("l40s", "l40s"),
        ("gh200_480gb", "gh200"),
    ],
)
def test_models_as_nodes_register_them(model: str, name: str) -> None:
    assert known_peak(model) == PEAKS[name]


@pytest.mark.parametrize("model", ["", "quadro_p600", "l400", "a1000", "rtx_a4000"])
def test_other_models_are_unknown(model: str) -> None:
    assert known_peak(model) is None


@pytest.mark.parametrize(
    ("name", "capability", "cores"),
    [
        ("v100_sxm2", (7, 0), 5120),
        ("t4", (7, 5), 2560),
        ("a100", (8, 0), 6912),
        ("a10", (8, 6), 9216),
        ("l4", (8, 9), 7424),
        ("rtx_4090", (8, 9), 16384),
        ("h100", (9, 0), 16896),
    ],
)
def test_what_the_architecture_makes_of_cores_and_clock_is_the_data_sheet(
    name: str, capability: tuple[int, int], cores: int
) -> None:
    known = PEAKS[name]
    computed = computed_peak(capability, cores, known.clock_mhz)
    assert computed is not None
    assert computed.tensor == pytest.approx(known.tensor, rel=0.02)
    assert computed.fp32 == pytest.approx(known.fp32, rel=0.09)


def test_an_unknown_architecture_is_unknown() -> None:
    assert computed_peak((3, 7), 2496, 800) is None
    assert computed_peak((9, 0), 0, 1980) is None


def test_the_owners_word() -> None:
    assert parse_peaks("") == {}
    assert parse_peaks("1000") == {"": 1000}
    assert parse_peaks("H200=989400,l4=121000") == {"h200": 989_400, "l4": 121_000}
    assert stated_peak(1000, None) == ONE_TERAFLOP
    halved = stated_peak(PEAKS["h200"].tensor // 2, PEAKS["h200"])
    assert halved.highest == PEAKS["h200"].tensor // 2
    assert halved.fp32 == PEAKS["h200"].fp32 // 2


@pytest.mark.parametrize(
    "text", ["x", "-1", "0", "h200=", "=5", "h200=1e3", "9999999999", "9" * 5000, "h200:5"]
)
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(BadValue, match="--gpu-peak-gflops"):
        parse_peaks(text)
