"""Where a job's output goes: patterns, append and truncate, standard input, and the working directory."""

from __future__ import annotations

from tests.cluster import Cluster


def test_default_names(cluster: Cluster) -> None:
    job = cluster.sbatch("--wrap", "echo one")
    array = cluster.sbatch("--array=3,5", "--wrap", "echo task $SLURM_ARRAY_TASK_ID")
    cluster.wait_all([job, array])
    assert cluster.output(job) == "one\n"
    assert (cluster.work / f"slurm-{array}_3.out").read_text() == "task 3\n"
    assert (cluster.work / f"slurm-{array}_5.out").read_text() == "task 5\n"


def test_patterns(cluster: Cluster) -> None:
    job = cluster.sbatch(
        "-J", "named", "-w", "node2", "-o", "%x-%j-%N-%n-%t-%u-%%-%5j.out", "-e", "%x-%j.err",
        "--wrap", "echo out; echo err >&2",
    )  # fmt: skip
    array = cluster.sbatch("--array=4", "-o", "%A_%a.txt", "--wrap", "echo array")
    cluster.wait_all([job, array])
    user = cluster.job(job)["user"]
    assert (cluster.work / f"named-{job}-node2-0-0-{user}-%-{job:05}.out").read_text() == "out\n"
    assert (cluster.work / f"named-{job}.err").read_text() == "err\n"
    assert (cluster.work / f"{array}_4.txt").read_text() == "array\n"


def test_append_and_truncate(cluster: Cluster) -> None:
    for mode, kept in (("append", "before\nhello\n"), ("truncate", "hello\n")):
        path = cluster.work / f"{mode}.txt"
        path.write_text("before\n")
        cluster.wait(cluster.sbatch(f"--open-mode={mode}", "-o", path, "--wrap", "echo hello"))
        assert path.read_text() == kept
    path = cluster.work / "default.txt"
    path.write_text("before\n")
    cluster.wait(cluster.sbatch("-o", path, "--wrap", "echo hello"))
    assert path.read_text() == "hello\n"


def test_both_streams_in_one_file_keep_their_order(cluster: Cluster) -> None:
    job = cluster.sbatch(
        "-o", "both.txt", "-e", "both.txt", "--wrap", "echo 1; echo 2 >&2; echo 3; echo 4 >&2"
    )
    cluster.wait(job)
    assert (cluster.work / "both.txt").read_text() == "1\n2\n3\n4\n"


def test_standard_input_and_directory(cluster: Cluster) -> None:
    place = cluster.work / "somewhere else"
    place.mkdir()
    (place / "in.txt").write_text("given\n")
    job = cluster.sbatch("-D", place, "-i", "in.txt", "-o", "out.txt", "--wrap", "pwd; cat")
    nothing = cluster.sbatch("--wrap", "cat; echo nothing came")
    cluster.wait_all([job, nothing])
    assert (place / "out.txt").read_text() == f"{place}\ngiven\n"
    assert cluster.output(nothing) == "nothing came\n"


def test_the_umask_and_limits_of_the_submitter_hold(cluster: Cluster) -> None:
    done = cluster.run(
        "sh", "-c", "umask 027; ulimit -Sn 111; exec sbatch --parsable --wrap 'umask; ulimit -n; ls -l $0'"
    )
    job = int(done.stdout)
    cluster.wait(job)
    lines = cluster.output(job).splitlines()
    assert lines[:2] == ["0027", "111"]
    assert (cluster.work / f"slurm-{job}.out").stat().st_mode & 0o777 == 0o640
