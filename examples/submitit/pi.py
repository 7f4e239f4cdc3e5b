"""Estimates pi by the tasks of an array job, sent and collected from Python by submitit."""

import random

import submitit

POINTS = 200_000


def hits(seed: int) -> int:
    """How many of so many random points lie in the quarter circle."""
    chance = random.Random(seed)
    return sum(chance.random() ** 2 + chance.random() ** 2 < 1 for _ in range(POINTS))


def main() -> None:
    executor = submitit.AutoExecutor(folder="results/%j", cluster="slurm")
    executor.update_parameters(name="pi", timeout_min=5, cpus_per_task=1, mem_gb=1, slurm_array_parallelism=4)
    jobs = executor.map_array(hits, range(8))
    print("sent as", ", ".join(job.job_id for job in jobs))
    print("pi is about", 4 * sum(job.result() for job in jobs) / (POINTS * len(jobs)))


if __name__ == "__main__":
    main()
