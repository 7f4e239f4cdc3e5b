"""What it takes to start one attempt: the agent's wish, and the request the fork server gets."""

from __future__ import annotations

from typing import Literal

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the job may use. 0 and () mean: no limit of that kind.

    mem_mib: memory cgroup where there is one (at least 8 MiB there: less would not hold the start of a
        shell) (swap included where the kernel counts it). Elsewhere the supervisor adds up the memory of the
        job's processes every `mem_sample_ms` and kills the job above the limit. Not
        RLIMIT_AS: address space is not memory, and programs that reserve much of it (CUDA, Java, Go,
        sanitizers) would die far below their limit. So without a cgroup a job may pass its limit for one
        sampling interval.
        The interval is shorter the faster the job grows towards its limit (watch.py).
    cpu_milli: weight among jobs when the processors are busy; with `cpu_hard` also a ceiling. cgroup only.
    pids: most processes and threads; without a cgroup, most processes that were seen at a sample.
    deny_devices: device cgroup rules, as in "c 195:1 rwm". cgroup only.
    """

    mem_mib: int = 0
    mem_sample_ms: int = 2000
    cpu_milli: int = 0
    cpu_hard: bool = False
    pids: int = 0
    deny_devices: tuple[str, ...] = ()


class Task(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One task of a step on this node.

    environment: K=V, beside what all tasks have; a later one wins. cpus: processors to run on, () for those
    of the step. stdin, stdout, stderr: absolute paths, "" for what goes through the client that attaches.
    stdin without an `input_rank` that lets it have some: /dev/null. banner: a line for its stderr before it
    is executed, with `%d` for its pid; "" for none.
    """

    rank: int
    argv: tuple[str, ...]
    environment: tuple[str, ...] = ()
    cpus: tuple[int, ...] = ()
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    banner: str = ""


class StepPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a step does on this node.

    tasks: by rank. attach_s: it is ended when no owner attached for so long, 0: never. return_s: for so long
    an owner may come back whose connection broke; so long, too, is output kept after the tasks' end for one
    that left. input_rank: the only task that gets the owner's input, -1: all, -2: none. pty: the first of
    `tasks` has a terminal of rows × columns (0: of unknown size), if it is rank 0. mpi: how its tasks find
    each other (mpikinds.py). n_tasks, n_nodes, node_index, tasks_on_nodes, nodes: of the whole step, for
    that.
    """

    tasks: tuple[Task, ...]
    attach_s: int = 60
    return_s: int = 60
    input_rank: int = -1
    pty: bool = False
    rows: int = 0
    columns: int = 0
    mpi: str = "none"
    n_tasks: int = 1
    n_nodes: int = 1
    node_index: int = 0
    tasks_on_nodes: tuple[int, ...] = ()
    nodes: str = ""


class LaunchSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt, ready to run.

    key: names the attempt on this machine, "1234.1.7". attempt_dir: absolute, made by the agent, 0700, empty.
    argv: argv[0] is executed, searched in the job's own PATH if it has no slash. A batch script is (script,
        *arguments): the kernel reads its "#!" line. The job's user should be able to reach it; where only a
        directory on the way forbids that, it is run through a descriptor opened before (`$0` is then
        /dev/fd/N).
    environment: K=V, complete: nothing is inherited.
    uid, gid, groups: whom to run as; groups are the supplementary ones, as os.getgrouplist(user, gid) has
        them. None of them can be changed unless the agent is root.
    stdin, stdout, stderr: absolute, patterns already expanded, opened as that user; stderr "": same as
        stdout. The same path twice is opened once. Writing always appends (so that the writers of one file
        do not overwrite each other); `append` False empties the file first.
    rlimits: (name as in "nofile", soft limit, -1 for infinity); a hard limit is raised if rights allow, else
        the soft limit is cut to it.
    cpus: processors to run on, () for all; by a cpuset group, else by the job's affinity, which it can
        change. nice: added to the agent's.
    time_limit_s: 0 for none. `backstop_s` after it the supervisor ends the job by itself, if the agent has
        not.
    grace_s: from the first signal to KILL, where the supervisor decides by itself.
    lease_s: 0 for none. The job is dead `lease_s` after the last contact noted in `contact_file`
        (contact.py) at the latest; TERM goes out before, by the grace but at most half of the lease.
    label, node: for the line in the job's stderr when it is ended, as in "JOB 12 ON n1".
    step: it is a step, with these tasks instead of argv, stdin, stdout and stderr.
    """

    key: str
    attempt_dir: str
    argv: tuple[str, ...]
    environment: tuple[str, ...]
    cwd: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    user: str = ""
    stdin: str = "/dev/null"
    stdout: str = "/dev/null"
    stderr: str = ""
    append: bool = False
    umask: int = 0o022
    rlimits: tuple[tuple[str, int], ...] = ()
    cpus: tuple[int, ...] = ()
    nice: int = 0
    limits: Limits = Limits()
    time_limit_s: int = 0
    backstop_s: int = 10
    grace_s: int = 30
    lease_s: int = 0
    contact_file: str = ""
    label: str = ""
    node: str = ""
    step: StepPlan | None = None


class Group(msgspec.Struct, frozen=True, array_like=True):
    """One cgroup directory to make, what to write into its files first, and how to ask it things.

    home: the group, of the same hierarchy, that the supervisor itself lives in. memory: whether the memory
    controller is here. version: 1 or 2. deny: device rules that version 2 has no file for (bpf.py).
    """

    path: str
    home: str
    writes: tuple[tuple[str, str], ...] = ()
    memory: bool = False
    version: Literal[1, 2] = 1
    deny: tuple[str, ...] = ()

    def writes_to(self, name: str) -> bool:
        """Whether the file `name` is set, and with it that limit in force."""
        return any(file == name for file, _ in self.writes)


class ForkRequest(msgspec.Struct, frozen=True, array_like=True):
    """Agent to fork server. token marks the job's processes in their environment."""

    id: int
    spec: LaunchSpec
    token: str
    groups: tuple[Group, ...]


class ForkAnswer(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Fork server to agent. error "": the supervisor `pid` that started at `start_time` ticks after boot
    exists.
    """

    id: int
    pid: int = 0
    start_time: int = 0
    started_at: int = 0
    error: str = ""


class AttemptOver(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Fork server to agent: the attempt of request `id` has ended, and so was its exit record written.

    record b"": its supervisor is gone; what it left in the attempt's directory counts.
    """

    id: int
    record: bytes = b""


TOKEN_VARIABLE = "PACKHORSE_ATTEMPT"
"""In the environment of every process of a job: how leftovers are found where there is no cgroup."""
