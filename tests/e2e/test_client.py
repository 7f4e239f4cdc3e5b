"""The Python client against a real cluster."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Iterator

import pytest

from packhorse.client import AsyncClient, CallFailed, Client, JobRequest, NotFinished
from tests.cluster import Cluster


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    with Client(home=cluster.home.root) as client:
        yield client


@pytest.fixture
async def aclient(cluster: Cluster) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(home=cluster.home.root) as client:
        yield client


def test_a_job_is_submitted_and_waited_for(client: Client, cluster: Cluster) -> None:
    job = client.submit(
        ["sh", "-c", "echo $0 $1; exit 3"], args=["a"], cpus=2, work_dir=cluster.work, output="o-%j"
    )
    result = job.wait(timeout_s=30)
    assert (result.state, result.exit_code, result.ended, result.ok) == ("FAILED", 3, True, False)
    assert (cluster.work / f"o-{job.id}").read_text() == "a\n"
    info = job.info()
    assert info is not None
    assert (info.n_cpus, info.state, info.user) == (2, "FAILED", cluster.env["USER"])
    assert info.started is not None
    assert info.started <= datetime.datetime.now(datetime.UTC)


def test_a_sweep_is_one_call_and_many_jobs(client: Client, cluster: Cluster) -> None:
    request = JobRequest(command='test "$1" != 2', work_dir=cluster.work, output="/dev/null")
    jobs = client.submit_sweep(request, [["1"], ["2"], ["3"]])
    results = client.wait(*(job.ref for job in jobs), timeout_s=30)
    assert [result.ok for result in results] == [True, False, True]
    assert [job.id for job in jobs] == list(range(jobs[0].id, jobs[0].id + 3))


def test_equal_requests_share_a_spec_and_keep_their_order(client: Client, cluster: Cluster) -> None:
    one = JobRequest(command="true", name="one", work_dir=cluster.work, output="/dev/null")
    two = JobRequest(command="true", name="two", work_dir=cluster.work, output="/dev/null")
    jobs = client.submit_many([one, one, two, one])
    client.wait(*(job.ref for job in jobs), timeout_s=30)
    infos = {info.job_id: info.name for info in client.jobs(*(job.ref for job in jobs), ended=True)}
    assert [infos[job.id] for job in jobs] == ["one", "one", "two", "one"]


def test_an_array_reports_its_tasks_together(client: Client, cluster: Cluster) -> None:
    job = client.submit(
        "exit $((SLURM_ARRAY_TASK_ID == 2))", array="1-3", work_dir=cluster.work, output="/dev/null"
    )
    result = job.wait(timeout_s=30)
    assert (result.n_ended, result.n_total, result.ok) == (3, 3, False)
    assert client.job(f"{job.id}_1").wait(timeout_s=30).ok


def test_holding_releasing_cancelling_and_not_waiting_for_ever(client: Client, cluster: Cluster) -> None:
    job = client.submit("sleep 60", hold=True, work_dir=cluster.work, output="/dev/null")
    with pytest.raises(NotFinished, match=str(job.id)):
        job.wait(timeout_s=0.2)
    info = job.info()
    assert info is not None
    assert info.reason == "JobHeldUser"
    assert info.explanation
    job.release()
    job.cancel()
    assert job.wait(timeout_s=30).state == "CANCELLED"


def test_refusals_name_what_is_wrong(client: Client, cluster: Cluster) -> None:
    with pytest.raises(CallFailed, match=r"nosuch") as refused:
        client.submit("true", partition="nosuch", work_dir=cluster.work)
    assert refused.value.code in ("invalid_argument", "not_found", "failed_precondition")
    with pytest.raises(CallFailed, match="999999"):
        client.cancel(999_999)
    with pytest.raises(ValueError, match="empty"):
        client.submit("")
    with pytest.raises(ValueError, match="lots"):
        client.submit("true", memory="lots")


def test_events_are_watched_from_the_beginning(client: Client, cluster: Cluster) -> None:
    job = client.submit("true", work_dir=cluster.work, output="/dev/null")
    kinds = []
    for event in client.watch(job.ref, after_seq=1):
        kinds.append(event.kind)
        assert event.text
        if event.kind == "JobEnded":
            break
    assert kinds[0] == "JobsSubmitted"
    assert {"JobGranted", "AttemptStarted"} <= set(kinds)


def test_a_restarted_scheduler_is_found_again(client: Client, cluster: Cluster) -> None:
    job = client.submit("true", work_dir=cluster.work, output="/dev/null", begin=_in_an_hour())
    cluster.run("packhorse", "down")
    cluster.up()
    assert job.info() is not None
    job.cancel()


def test_no_cluster_is_said_in_one_line(tmp_path_factory: pytest.TempPathFactory) -> None:
    with (
        Client(home=tmp_path_factory.mktemp("none")) as client,
        pytest.raises(CallFailed, match="packhorse up"),
    ):
        client.jobs()


async def test_the_asynchronous_client_does_the_same(aclient: AsyncClient, cluster: Cluster) -> None:
    job = await aclient.submit("exit 4", work_dir=cluster.work, output="/dev/null")
    result = await job.wait(timeout_s=30)
    assert result.exit_code == 4
    request = JobRequest(command="true", work_dir=cluster.work, output="/dev/null")
    jobs = await aclient.submit_sweep(request, [[], []])
    assert all(r.ok for r in await aclient.wait(*(job.ref for job in jobs), timeout_s=30))
    async for event in aclient.watch(jobs[0].ref, after_seq=1):
        if event.kind == "JobEnded":
            break
    held = await aclient.submit("true", hold=True, work_dir=cluster.work)
    await held.release()
    await held.cancel()
    assert (await held.wait(timeout_s=30)).ended


def _in_an_hour() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
