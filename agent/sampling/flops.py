"""What a GPU could compute at best, by pipe, and what it did compute.

A pipe is a kind of arithmetic unit: tensor cores (FP16, with BF16 and TF32), FP64 tensor cores, and the plain
FP64, FP32 and FP16 units. NVML's GPM tells for each the share of cycles in which it was active. So

    operations per second = sum over pipes(share x the pipe's peak at the clock of that moment)
    share of the peak     = operations per second / the peak of the fastest pipe at its nominal clock

An activity share says that a pipe was issued work, at the pipe's full rate: programs that use TF32 on the
FP16 pipe do half as many operations as this counts, FP8 twice as many. Sparse peaks are not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from packhorse.scheduler.model.errors import BadValue

IDLE_SHARE = 0.01
"""A pipe of unknown peak that is less busy than this does not make the sum unknown."""

MAX_GFLOPS = 1_000_000_000
MAX_CLOCK_MHZ = 20_000


class Peak(NamedTuple):
    """Billions of operations per second, dense, of each pipe; 0: the device has no such pipe.

    clock_mhz: at this clock; 0: the figures are not scaled.
    """

    tensor: int
    fp64_tensor: int
    fp64: int
    fp32: int
    fp16: int
    clock_mhz: int

    @property
    def highest(self) -> int:
        """Of the fastest pipe."""
        return max(self[:5])


# NVIDIA's data sheets and architecture white papers (V100 2017, Turing 2018, A100 and GA102 2020, H100 and
# Ada 2022, H200 and Blackwell 2024), dense, FP16 with FP16 accumulation where GeForce tells two, at boost
# clock.
PEAKS: dict[str, Peak] = {
    "v100_sxm2": Peak(125_000, 0, 7_800, 15_700, 31_400, 1530),
    "v100_pcie": Peak(112_000, 0, 7_000, 14_000, 28_000, 1380),
    "v100s": Peak(130_000, 0, 8_200, 16_400, 32_800, 1597),
    "t4": Peak(65_000, 0, 254, 8_100, 16_200, 1590),
    "a100": Peak(312_000, 19_500, 9_700, 19_500, 78_000, 1410),
    "a800": Peak(312_000, 19_500, 9_700, 19_500, 78_000, 1410),
    "a30": Peak(165_000, 10_300, 5_200, 10_300, 41_300, 1440),
    "a10": Peak(125_000, 0, 976, 31_200, 31_200, 1695),
    "a40": Peak(149_700, 0, 585, 37_400, 37_400, 1740),
    "rtx_3090": Peak(142_000, 0, 556, 35_600, 35_600, 1695),
    "rtx_4090": Peak(330_300, 0, 1_290, 82_600, 82_600, 2520),
    "l4": Peak(121_000, 0, 473, 30_300, 30_300, 2040),
    "l40s": Peak(362_000, 0, 1_430, 91_600, 91_600, 2520),
    "l40": Peak(181_000, 0, 1_410, 90_500, 90_500, 2490),
    "h100_pcie": Peak(756_000, 51_000, 26_000, 51_000, 102_000, 1755),
    "h100_nvl": Peak(835_000, 60_000, 30_000, 60_000, 120_000, 1785),
    "h100": Peak(989_400, 66_900, 33_500, 66_900, 133_800, 1830),
    "h800": Peak(989_400, 1_000, 1_000, 66_900, 133_800, 1830),
    "h200": Peak(989_400, 66_900, 33_500, 66_900, 133_800, 1830),
    "gh200": Peak(989_400, 66_900, 33_500, 66_900, 133_800, 1830),
    "b200": Peak(2_250_000, 37_000, 37_000, 75_000, 150_000, 0),
}

# Operations per clock and multiprocessor (a multiply-add is two) and FP32 units of a multiprocessor, by
# compute capability: CUDA C++ Programming Guide, "Throughput of Native Arithmetic Instructions", and the
# white papers.
_PER_CLOCK: dict[tuple[int, int], tuple[int, int, int, int, int, int]] = {
    (7, 0): (1024, 0, 64, 128, 256, 64),
    (7, 5): (1024, 0, 4, 128, 256, 64),
    (8, 0): (2048, 128, 64, 128, 512, 64),
    (8, 6): (1024, 0, 4, 256, 256, 128),
    (8, 9): (1024, 0, 4, 256, 256, 128),
    (9, 0): (4096, 256, 128, 256, 512, 128),
}


def known_peak(model: str) -> Peak | None:
    """The peak of a model as a node registers it ("h200", "a100_sxm4_80gb"); None for one not in the table.

    The longest name in the table whose words the model has, in their order and side by side.
    """
    words = f"_{model.lower().replace('-', '_').replace(' ', '_')}_"
    fits = [name for name in PEAKS if f"_{name}_" in words]
    return PEAKS[max(fits, key=len)] if fits else None


def computed_peak(capability: tuple[int, int], n_cores: int, clock_mhz: int) -> Peak | None:
    """From what NVML tells of an unknown model; None for an architecture not in the table, or nonsense."""
    per_clock = _PER_CLOCK.get(capability)
    if per_clock is None or n_cores < per_clock[5] or not 0 < clock_mhz <= MAX_CLOCK_MHZ:
        return None
    n_multiprocessors = n_cores // per_clock[5]
    tensor, fp64_tensor, fp64, fp32, fp16 = [
        n_multiprocessors * operations * clock_mhz // 1000 for operations in per_clock[:5]
    ]
    return Peak(tensor, fp64_tensor, fp64, fp32, fp16, clock_mhz)


def stated_peak(gflops: int, known: Peak | None) -> Peak:
    """The owner's word for the fastest pipe; the others in proportion where the model is known, at any clock.

    Of an unknown model the word counts for the tensor cores, and nothing is known of the other pipes.
    """
    if known is None:
        return Peak(gflops, 0, 0, 0, 0, 0)
    tensor, fp64_tensor, fp64, fp32, fp16 = [value * gflops // known.highest for value in known[:5]]
    return Peak(tensor, fp64_tensor, fp64, fp32, fp16, clock_mhz=0)


def parse_peaks(text: str) -> dict[str, int]:
    """`1000` (every GPU) or `h200=989400,l4=121000`, in billions of operations per second; raises
    BadValue.
    """
    found: dict[str, int] = {}
    for word in filter(None, text.split(",")):
        model, equals, amount = word.rpartition("=")
        if not _is_amount(amount) or bool(equals) != bool(model):
            raise BadValue(
                f'--gpu-peak-gflops: "{word}" is neither a number of GFLOP/s from 1 to {MAX_GFLOPS} nor '
                "MODEL=NUMBER, as in h200=989400"
            )
        found[model.lower()] = int(amount)
    return found


def _is_amount(text: str) -> bool:
    return text.isdecimal() and len(text) <= len(str(MAX_GFLOPS)) and 0 < int(text) <= MAX_GFLOPS


def rate_gflops(shares: Mapping[str, float], peak: Peak, clock_mhz: int) -> float | None:
    """Billions of operations per second at these activity shares (by field of Peak, 0 to 1).

    clock_mhz: of the moment, 0 where it is not told. None where a busy pipe has no known peak.
    """
    scale = clock_mhz / peak.clock_mhz if clock_mhz and peak.clock_mhz else 1.0
    total = 0.0
    for pipe, share in shares.items():
        limit: int = getattr(peak, pipe)
        if not limit and share > IDLE_SHARE:
            return None
        total += share * limit * scale
    return total
