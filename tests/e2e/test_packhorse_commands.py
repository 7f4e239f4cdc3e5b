"""`packhorse status, events, doctor, wait …` on a cluster that runs, for people and with --json."""

from __future__ import annotations

import json
import os
import re
import threading

from tests.cluster import Cluster, kill, wait_until


def test_status_is_one_screen(cluster: Cluster) -> None:
    held = cluster.sbatch("--hold", "--wrap", "true")
    job = cluster.sbatch("-c", "3", "--mem=2G", "--gres=gpu:1", "--wrap", "sleep 600")
    cluster.wait_state(job, "RUNNING")
    screen = cluster.text("packhorse", "status")
    assert "cluster packhorse on " in screen and "store ok" in screen
    assert re.search(r"CPUs +3 of 16 ", screen) and re.search(r"gpu +1 of 4 ", screen), screen
    assert re.search(r"node1 +mixed +1 +3/8 +2.0G/16.0G +1/2 .*\(declared\)", screen, re.IGNORECASE), screen
    assert re.search(r"1 +PENDING +JobHeldUser", screen) and re.search(r"1 +RUNNING", screen)
    status = json.loads(cluster.text("packhorse", "status", "--json"))
    assert [node["name"] for node in status["nodes"]] == ["node1", "node2"]
    assert status["store"] == "ok" and held < job


def test_the_story_of_a_job(cluster: Cluster) -> None:
    job = cluster.sbatch("--wrap", "exit 6")
    cluster.wait(job)
    lines = cluster.text("packhorse", "events", str(job)).splitlines()
    kinds = [line.split()[2] for line in lines]
    assert kinds[0] == "JobsSubmitted" and kinds[-1] == "JobEnded" and "AttemptStarted" in kinds
    assert "exit 6" in lines[-1] or "6:0" in lines[-1] or "code 6" in lines[-1], lines[-1]
    told = cluster.events(job)
    assert [event["kind"] for event in told] == kinds
    assert [int(event["seq"]) for event in told] == sorted(int(event["seq"]) for event in told)
    assert all(json.loads(event["json"]) for event in told)


def test_wait_tells_how_jobs_ended(cluster: Cluster) -> None:
    good, bad = cluster.sbatch("--wrap", "sleep 0.3"), cluster.sbatch("--wrap", "exit 9")
    done = cluster.run("packhorse", "wait", str(good), str(bad), check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"job {good}: COMPLETED",
        f"job {bad}: FAILED (NonZeroExitCode), exit 9:0",
    ]
    assert cluster.run("packhorse", "wait", str(good)).returncode == 0
    held = cluster.sbatch("--hold", "--wrap", "true")
    late = cluster.run("packhorse", "wait", "--timeout", "0.3", "--json", str(held), check=False)
    assert late.returncode == 124 and json.loads(late.stdout)["all_ended"] is False


def test_doctor_finds_this_cluster(cluster: Cluster) -> None:
    done = cluster.run("packhorse", "doctor", "--json", check=False)
    found = {item["what"]: item for item in json.loads(done.stdout)}
    assert (found["scheduler"]["verdict"], found["store"]["verdict"]) == ("ok", "ok")
    assert found["node node1"]["found"].startswith("IDLE") and found["configuration"]["verdict"] == "ok"
    assert done.returncode == 0, done.stdout
    assert "ok" in cluster.text("packhorse", "doctor")


def test_up_again_is_harmless_and_brings_back_what_is_missing(cluster: Cluster) -> None:
    job = cluster.sbatch("-w", "node2", "--wrap", "until test -e back; do sleep 0.02; done; exit 3")
    cluster.wait_state(job, "RUNNING")
    scheduler, agent = cluster.scheduler(), cluster.agent("node2")
    cluster.up()
    assert (cluster.scheduler(), cluster.agent("node2")) == (scheduler, agent)
    kill(agent)
    wait_until(lambda: "node2" not in cluster.home.agent_pids(), "the agent to be gone")
    answer = json.loads(cluster.text("packhorse", "up", "--detach", "--json"))
    assert [node["name"] for node in answer["status"]["nodes"]] == ["node1", "node2"]
    assert cluster.agent("node2") != agent and cluster.scheduler() == scheduler
    (cluster.work / "back").touch()
    assert cluster.wait(job).exit_code == 3


def test_two_at_once_start_one_cluster() -> None:
    other = Cluster(nodes=2)
    try:
        both = [threading.Thread(target=other.up) for _ in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()  # a thread that fails fails the test
        assert sorted(other.home.agent_pids()) == ["node1", "node2"] and other.scheduler()
        assert other.wait(other.sbatch("--wrap", "exit 8")).exit_code == 8
    finally:
        left = other.end()
    assert not left


def test_json_everywhere(cluster: Cluster) -> None:
    job = cluster.sbatch("--wrap", "true")
    cluster.wait(job)
    for words in (["status"], ["events", str(job)], ["wait", str(job)], ["version"], ["token"]):
        assert json.loads(cluster.text("packhorse", *words, "--json")), words


def test_a_checked_configuration_names_what_is_wrong(cluster: Cluster) -> None:
    path = cluster.root / "wrong.toml"
    path.write_text("[jobs]\nkill_wait = 5\nkil_wait = 5\n\n[nodes]\nheartbeat = 'often'\n")
    done = cluster.run("packhorse", "scheduler", "--check-config", "--config", path, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert f"{path}:3: kil_wait " in said and "kill_wait" in said, said
    assert f'{path}:6: heartbeat = "often"' in said, said
    assert cluster.run("packhorse", "scheduler", "--check-config").returncode == 0


def test_healthz_and_metrics_need_no_token(cluster: Cluster) -> None:
    from urllib.request import urlopen

    ports = json.loads((cluster.home.run / "scheduler.addr").read_text())
    with urlopen(f"http://{ports['http']}/healthz", timeout=10) as answer:
        assert answer.status == 200
    with urlopen(f"http://{ports['http']}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert "packhorse_" in text and os.getpid() > 0


def test_declared_amounts_are_labelled(cluster: Cluster) -> None:
    assert "(declared)" in cluster.text("packhorse", "status")
    assert "declared" in cluster.text("scontrol", "show", "node", "node1").lower()


def test_up_with_another_shape_says_what_it_left_alone(cluster: Cluster) -> None:
    known = cluster.home.shape.read_text()
    try:
        done = cluster.run("packhorse", "up", "--detach", "--nodes", "2", "--cpus-per-node", "4")
        assert "node1, node2 ran already, of another size" in done.stderr
    finally:
        cluster.home.shape.write_text(known)
    assert "already" not in cluster.run("packhorse", "up", "--detach").stderr


def test_a_home_that_cannot_be_written_is_told_in_one_line(cluster: Cluster) -> None:
    place = cluster.work / "file"
    place.write_text("")
    done = cluster.run("packhorse", "up", "--home", str(place), "--detach", check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"packhorse up: {place}") and line.endswith(": File exists")


def test_daemons_import_nothing_from_the_directory_they_are_started_in(cluster: Cluster) -> None:
    place = cluster.work / "anybodys"
    place.mkdir()
    for module in ("argparse", "select"):
        (place / f"{module}.py").write_text("raise SystemExit('imported from the working directory')\n")
    for words in (["agent", "--inventory", "--node", "n"], ["scheduler", "--check-config"]):
        assert cluster.run("packhorse", *words, cwd=place).returncode == 0
