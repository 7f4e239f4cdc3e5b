"""Reservations on real processes: made, used, kept off, over; and a restart in between."""

from __future__ import annotations

import getpass

from tests.cluster import Cluster, kill, wait_until

ME = getpass.getuser()


def create(cluster: Cluster, name: str, *words: str) -> None:
    said = cluster.text("scontrol", "create", "reservation", f"ReservationName={name}", *words)
    assert said == f"Reservation created: {name}\n"


def test_a_reservation_from_creation_to_its_end() -> None:
    with Cluster(nodes=2, cpus=2) as cluster:
        first = cluster.text("sinfo", "-h", "-N", "-o", "%N").split()[0]
        create(cluster, "course", "StartTime=now", "Duration=60", f"Users={ME}", f"Nodes={first}")
        inside = cluster.sbatch("--reservation=course", "--wrap", "sleep 600")
        outside = [cluster.sbatch(f"-c{n}", "-t", "5", "--wrap", "sleep 600") for n in (2, 1)]
        cluster.wait_state(inside, "RUNNING")
        cluster.wait_state(outside[0], "RUNNING")
        assert cluster.text("squeue", "-h", "-j", str(inside), "-o", "%N %v").split() == [first, "course"]
        assert cluster.text("squeue", "-h", "-j", str(outside[0]), "-o", "%N").strip() != first
        wait_until(
            lambda: "May be reserved" in cluster.text("squeue", "-h", "-j", str(outside[1]), "-o", "%r"),
            "the job that finds no other node to have its reason",
        )
        shown = cluster.text("scontrol", "-o", "show", "node", first)
        assert "+RESERVED" in shown and "ReservationName=course" in shown
        in_use = cluster.run("scontrol", "delete", "ReservationName=course", check=False)
        assert in_use.returncode == 1 and "Requested reservation is in use" in in_use.stderr
        cluster.text("scontrol", "update", "ReservationName=course", "EndTime=now+3")
        assert cluster.wait(inside).state == "TIMEOUT"
        cluster.wait_state(outside[1], "RUNNING")
        assert cluster.text("sinfo", "-T") == "No reservations in the system\n"


def test_jobs_wait_for_maintenance_to_be_over_unless_they_are_short() -> None:
    with Cluster(nodes=1, cpus=4) as cluster:
        when = ("StartTime=now+5minutes", "Duration=10")
        create(cluster, "m", *when, f"Users={ME}", "Nodes=ALL", "Flags=MAINT")
        short = cluster.sbatch("-t", "2", "--wrap", "true")
        long = cluster.sbatch("-t", "60", "--wrap", "true")
        assert cluster.wait(short).state == "COMPLETED"
        wait_until(
            lambda: (
                cluster.text("squeue", "-h", "-j", str(long), "-o", "%r").strip()
                == "ReqNodeNotAvail, Reserved for maintenance"
            ),
            "the long job to wait for the maintenance",
        )
        kill(cluster.scheduler())
        cluster.up()
        assert "INACTIVE" in cluster.text("sinfo", "-T")
        refused = cluster.run("sbatch", "--reservation=nosuch", "--wrap", "true", check=False)
        assert refused.stderr.endswith(
            "\nsbatch: error: Batch job submission failed: Requested reservation is invalid\n"
        )
        cluster.text("scontrol", "delete", "reservation", "m")
        assert cluster.wait(long).state == "COMPLETED"
