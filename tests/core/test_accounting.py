"""Accounting rows: what is kept of attempts and of jobs that never ran."""

import msgspec

from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.resources import Device, Gres, Usage
from tests.core.scenario import NOON, a_cluster, a_node


def test_a_finished_attempt() -> None:
    cluster = a_cluster(nodes=2, cpus=4, gpus=2)
    job = cluster.submit(
        cpus=3, nodes=2, gpus=1, mem_mib=1024, name="wide", time_limit_s=600, submit_line="sbatch x.sh"
    )
    cluster.clock.advance(5)
    cluster.run(job)
    cluster.clock.advance(10)
    cluster.exit(job, 3, usage=Usage(max_rss_kib=77))
    (row,) = cluster.rows
    assert (row.job, row.attempt, row.array_id, row.index) == (job, 1, 0, -1)
    assert (row.state, row.reason, row.exit_code) == ("FAILED", "NonZeroExitCode", 3)
    assert (row.submitted_at, row.eligible_at) == (NOON, NOON)
    assert (row.started_at, row.ended_at) == (NOON + 5 * US, NOON + 15 * US)
    assert (row.n_nodes, row.n_tasks, row.n_cpus, row.mem_mib, row.req_mem) == (2, 2, 6, 2048, "2G")
    assert row.req_tres == row.alloc_tres == "billing=6,cpu=6,gres/gpu=2,mem=2G,node=2"
    assert (row.nodes, row.user, row.group, row.uid) == ("n[1-2]", "mule", "pack", 1000)
    assert (row.priority, row.time_limit_s, row.usage.max_rss_kib) == (10_000, 600, 77)
    assert (row.name, row.submit_line, row.work_dir) == ("wide", "sbatch x.sh", "/work")


def test_jobs_that_never_ran_and_runs_that_were_not_the_last() -> None:
    cluster = a_cluster()
    never, again = cluster.submit(), cluster.submit()
    cluster.cancel(never)
    cluster.run(again)
    cluster.requeue(again)
    cluster.exit(again, 0)
    cluster.cancel(again)
    rows = [(row.job, row.attempt, row.state, row.nodes, row.alloc_tres) for row in cluster.rows]
    assert rows == [
        (never, 0, "CANCELLED", "None assigned", ""),
        (again, 1, "REQUEUED", "n1", "billing=1,cpu=1,node=1"),
        (again, 2, "CANCELLED", "None assigned", ""),
    ]
    assert cluster.rows[0].cancelled_by == 1000


def test_array_tasks_and_cancelled_remainders() -> None:
    cluster = a_cluster(cpus=1)
    array = cluster.submit_array("0-9")
    (task,) = cluster.run_cycle()
    cluster.start(task)
    cluster.exit(task)
    cluster.cancel(array)
    done, rest = cluster.rows
    assert (done.job, done.array_id, done.index, done.array_indices) == (task, array, 0, "")
    assert (rest.job, rest.array_id, rest.index, rest.array_indices) == (array, array, -1, "1-9")
    assert rest.state == "CANCELLED"


def test_slices_count_what_they_are_of_a_device_and_as_pieces() -> None:
    cluster = a_cluster(nodes=0)
    layouts = (("1g.18gb",) * 7, ("4g.71gb", "3g.71gb"))
    devices = tuple([Device("gpu", "h200", index, layouts=layouts) for index in range(3)])
    cluster.register(msgspec.structs.replace(a_node(), devices=devices))
    asks = (("1g.18gb", 8), ("3g.71gb", 1))
    jobs = [cluster.submit(gres_per_node=(Gres("gpu", type_, n),)) for type_, n in asks]
    never = cluster.submit(gres_per_node=(Gres("gpu", "1g.18gb", 7),))
    cluster.run(*jobs)
    for job in jobs:
        cluster.exit(job)
    cluster.cancel(never)
    small, half, cancelled = cluster.rows
    assert small.alloc_tres == "billing=1,cpu=1,gres/gpu=1.136,gres/gpu:1g.18gb=8,node=1"
    assert half.alloc_tres == "billing=1,cpu=1,gres/gpu=0.428,gres/gpu:3g.71gb=1,node=1"
    assert small.req_tres == "billing=1,cpu=1,gres/gpu:1g.18gb=8,node=1"  # not known yet of which devices
    assert (cancelled.req_tres, cancelled.alloc_tres) == ("billing=1,cpu=1,gres/gpu:1g.18gb=7,node=1", "")


def test_a_run_knows_its_command_and_its_gpus() -> None:
    cluster = a_cluster(gpus=2)
    plain = cluster.submit(command="/home/./ann//train.sh -x ./y", gpus=2)
    wrapped = cluster.submit(script_ref="ab" * 32)
    cluster.run(plain, wrapped)
    cluster.exit(plain)
    cluster.exit(wrapped)
    assert [(row.command, row.gpu_milli) for row in cluster.rows] == [
        ("/home/ann/train.sh -x ./y", 2000),
        ("script:abababababababab", 0),
    ]
