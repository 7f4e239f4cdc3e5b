"""Which control groups this machine lets us use, and how a job's limits are written there.

Version 2 is taken where the memory controller hangs there, version 1 where it hangs there, version 2 without
controllers for tracking alone, else nothing (limits then are what a process can set for itself; see
spec.Limits). Every group is made below the agent's own one, so that jobs stay inside whatever bounds the
agent itself was given:

    <agent's group>/packhorse-NODE-TAG/job-KEY

TAG comes from the agent's spool directory: two clusters on one machine never touch each other's groups.

Version 2 lets a group have members or children with controllers, not both. Where the agent's group holds
nobody but the agent, the agent moves itself into a leaf beside the jobs; otherwise root goes to the top of
the hierarchy.

Devices are kept from jobs by the devices controller of version 1, or by a BPF program at the group of version
2 (launch/bpf.py), which no controller has to hang there for.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Literal, NamedTuple

from packhorse.agent.launch import bpf, cgroup
from packhorse.agent.launch.spec import Group, Limits

Kind = Literal["v2", "v1", "none"]
Wish = Literal["auto", "v2", "v1", "none"]

V1_CONTROLLERS = ("memory", "cpu", "pids", "devices", "cpuset")
V2_CONTROLLERS = ("memory", "cpu", "pids", "cpuset")
_TRACKING = ("freezer", "pids", "cpu", "systemd")
_PERIOD_US = 100_000
_LEAST_MIB = 8
"""The supervisor passes through the job's group on its way to start it, and must not be killed there."""


class Mount(NamedTuple):
    """A mounted hierarchy: where, which part of it is shown there, and what hangs on it ("" is version 2)."""

    point: str
    root: str
    controllers: tuple[str, ...]


class Cgroups:
    """What can be used, and the groups of one agent.

    kind: "v2", "v1" or "none". controllers: those whose limits are enforced. tracking: whether membership is
    (a job's processes are found even if their supervisor is gone). missing: controller, or "cgroup" -> why
    not.
    """

    def __init__(
        self,
        kind: Kind,
        bases: dict[str, str],
        missing: dict[str, str],
        tracking_base: str = "",
        homes: dict[str, str] | None = None,
        freezer_base: str = "",
    ) -> None:
        """freezer_base: where version 1 can make groups that stop what is in them; "": nowhere."""
        self.kind: Kind = kind
        self.missing = missing
        self._bases = bases
        self._tracking_base = tracking_base
        self._freezer_base = freezer_base
        self._homes = homes or {}
        memory = bases.get("memory", "")
        swap_files = ("memory.memsw.limit_in_bytes", "memory.swap.max")
        self._swap = bool(memory) and any(os.path.exists(f"{memory}/{name}") for name in swap_files)
        self._memory_nodes = "".join(_words(f"{bases['cpuset']}/cpuset.mems")) if "cpuset" in bases else ""

    @property
    def controllers(self) -> tuple[str, ...]:
        return tuple(self._bases)

    @property
    def tracking(self) -> bool:
        return bool(self._bases or self._tracking_base)

    @property
    def isolation(self) -> str:
        """What bounds a job's memory, as a node registers it: "cgroup2", "cgroup1" or "rlimits"; and the
        controllers that are in force, as in "cgroup1:memory,cpu,pids,devices,cpuset".
        """
        if "memory" not in self._bases:
            first = "rlimits"
        else:
            first = "cgroup2" if self.kind == "v2" else "cgroup1"
        return f"{first}:{','.join(self.controllers)}" if self.controllers else first

    def describe(self) -> str:
        """One line for people: what is enforced and what is not, and why."""
        enforced = ", ".join(self.controllers) or "none"
        lacking = "; ".join(f"{name}: {why}" for name, why in self.missing.items())
        return f"cgroup {self.kind}, limits enforced: {enforced}{f' ({lacking})' if lacking else ''}"

    @classmethod
    def detect(
        cls,
        node: str,
        spool: str | Path,
        wish: Wish = "auto",
        *,
        proc: str = "/proc/self",
    ) -> Cgroups:
        """Looks at the hierarchies, makes the agent's base group in each it can use, and tries it with a
        process.

        wish: take this version only, or none at all. Blocks for some milliseconds. Never raises for what a
        machine
        lacks: it is in `missing`.
        """
        tag = hashlib.sha1(os.path.realpath(spool).encode(), usedforsecurity=False).hexdigest()[:8]
        name = f"packhorse-{node}-{tag}"
        if wish == "none":
            return cls("none", {}, {"cgroup": "switched off"})
        mounts = read_mounts(f"{proc}/mountinfo")
        own = read_own(f"{proc}/cgroup")
        missing: dict[str, str] = {}
        unified = next((mount for mount in mounts if mount.controllers == ("",)), None)
        if wish in ("auto", "v2"):
            if unified is None:
                missing["v2"] = "not mounted"
            else:
                found = _unified(unified, own.get("", "/"), name)
                if isinstance(found, str):
                    missing["v2"] = found
                else:
                    base, controllers = found
                    if "memory" in controllers or wish == "v2" or not _has_v1(mounts, "memory"):
                        lacking = {c: "not available here" for c in V2_CONTROLLERS if c not in controllers}
                        if why := _try_devices(base):
                            lacking["devices"] = why
                        else:
                            controllers += ("devices",)
                        home = _place(unified, read_own(f"{proc}/cgroup").get("", "/"))  # we may have moved
                        return cls("v2", dict.fromkeys(controllers, base), lacking, base, {base: home})
                    _rmdir(base)
        if wish in ("auto", "v1"):
            bases, lacking = _legacy(mounts, own, name)
            if bases:
                extra = next((name for name in bases if name not in V1_CONTROLLERS), "")
                freezer = bases.get("freezer", "") or _freezer(mounts, own, name)
                homes = {base: os.path.dirname(base) for base in (*bases.values(), freezer)}
                return cls("v1", bases, lacking, bases.pop(extra, ""), homes, freezer)
            missing |= lacking or {"v1": "not mounted"}
        return cls("none", {}, {"cgroup": "; ".join(f"{k}: {why}" for k, why in missing.items())})

    def groups(self, key: str, limits: Limits, cpus: tuple[int, ...] = ()) -> tuple[Group, ...]:
        """The groups to make for an attempt, none more than its limits need; the first one tracks its
        processes.

        cpus: the processors it is bound to, () for all.
        """
        leaf = f"job-{key}"
        bound = _bound(cpus, self._memory_nodes) if "cpuset" in self._bases else ()
        if self.kind == "v2":
            base = self._tracking_base
            group = Group(
                f"{base}/{leaf}",
                self._homes[base],
                _v2_writes(limits, self.controllers, self._swap) + bound[-1:],
                memory="memory" in self._bases,
                version=2,
                deny=limits.deny_devices if "devices" in self._bases else (),
            )
            return (group,)
        chosen: dict[str, Group] = {}
        for controller, base in self._bases.items():
            path = f"{base}/{leaf}"
            if writes := bound if controller == "cpuset" else _v1_writes(controller, limits, self._swap):
                before = chosen.get(path, Group(path, self._homes[base]))
                memory = before.memory or controller == "memory"
                chosen[path] = Group(path, before.home, before.writes + writes, memory)
        if not chosen and self.tracking:
            base = self._tracking_base or self._bases.get("pids") or next(iter(self._bases.values()))
            path = f"{base}/{leaf}"
            chosen[path] = Group(path, self._homes[base], memory=base == self._bases.get("memory"))
        if self._freezer_base and (path := f"{self._freezer_base}/{leaf}") not in chosen:
            chosen[path] = Group(path, self._homes[self._freezer_base])
        return tuple(chosen.values())

    @property
    def _all_bases(self) -> list[str]:
        return list(dict.fromkeys((*self._bases.values(), self._tracking_base, self._freezer_base)))

    def leftovers(self) -> dict[str, list[str]]:
        """Attempt key -> directories of groups that exist now, whoever made them under this agent's name."""
        found: dict[str, list[str]] = {}
        for base in self._all_bases:
            try:
                names = os.listdir(base) if base else []
            except OSError:
                continue
            for name in sorted(names):
                if name.startswith("job-"):
                    found.setdefault(name[4:], []).append(f"{base}/{name}")
        return found

    def remove_leftovers(self, live: set[str]) -> list[str]:
        """Kills and removes the groups of attempts not in `live`; the keys of those removed. For the agent's
        start.

        live: keys of all attempts with a running supervisor.
        """
        removed = []
        version: Literal[1, 2] = 2 if self.kind == "v2" else 1
        for key, paths in self.leftovers().items():
            if key in live:
                continue
            for path in paths:
                group = Group(path, "", version=version)
                for _ in range(50):
                    if not (pids := cgroup.members(group)):
                        break
                    cgroup.freeze(group, False)
                    if not cgroup.kill(group):  # the group that counts processes lets none be added now
                        for pid in pids:
                            _kill(pid)
                cgroup.remove(group)
            removed.append(key)
        return removed

    def close(self) -> None:
        """Removes the base groups if no job is in them."""
        for base in self._all_bases:
            if base:
                _rmdir(base)


def _bound(cpus: tuple[int, ...], memory_nodes: str) -> tuple[tuple[str, str], ...]:
    """What binds a group to processors; version 1 wants to be told of its memory too, which is all there is.

    Memory is not bound with the processors: one node's would run out while the other's is free.
    """
    if not cpus:
        return ()
    return (("cpuset.mems", memory_nodes), ("cpuset.cpus", ",".join(map(str, cpus))))


def _v1_writes(controller: str, limits: Limits, swap: bool) -> tuple[tuple[str, str], ...]:
    match controller:
        case "memory" if limits.mem_mib:
            amount = str(max(limits.mem_mib, _LEAST_MIB) << 20)
            memory = (("memory.limit_in_bytes", amount),)
            return (*memory, ("memory.memsw.limit_in_bytes", amount)) if swap else memory
        case "cpu" if limits.cpu_milli:
            shares = (("cpu.shares", str(max(2, limits.cpu_milli * 1024 // 1000))),)
            quota = str(limits.cpu_milli * _PERIOD_US // 1000)
            return (*shares, ("cpu.cfs_quota_us", quota)) if limits.cpu_hard else shares
        case "pids" if limits.pids:
            return (("pids.max", str(limits.pids)),)
        case "devices":
            return tuple(("devices.deny", rule) for rule in limits.deny_devices)
    return ()


def _v2_writes(limits: Limits, controllers: tuple[str, ...], swap: bool) -> tuple[tuple[str, str], ...]:
    writes: list[tuple[str, str]] = []
    if limits.mem_mib and "memory" in controllers:
        writes.append(("memory.max", str(max(limits.mem_mib, _LEAST_MIB) << 20)))
        if swap:
            writes.append(("memory.swap.max", "0"))
    if limits.cpu_milli and "cpu" in controllers:
        shares = min(262_144, max(2, limits.cpu_milli * 1024 // 1000))
        writes.append(("cpu.weight", str(1 + (shares - 2) * 9999 // 262_142)))  # the kernel's own conversion
        if limits.cpu_hard:
            writes.append(("cpu.max", f"{limits.cpu_milli * _PERIOD_US // 1000} {_PERIOD_US}"))
    if limits.pids and "pids" in controllers:
        writes.append(("pids.max", str(limits.pids)))
    return tuple(writes)


def read_mounts(path: str) -> list[Mount]:
    """The cgroup hierarchies in a mountinfo file; [] if it cannot be read."""
    mounts = []
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if kind[0] == "cgroup2":
            mounts.append(Mount(fields[4], fields[3], ("",)))
        elif kind[0] == "cgroup":
            options = [option.removeprefix("name=") for option in kind[-1].split(",")]
            mounts.append(Mount(fields[4], fields[3], tuple(o for o in options if o not in ("rw", "ro"))))
    return mounts


def read_own(path: str) -> dict[str, str]:
    """Controller -> the reader's own group, from /proc/self/cgroup; "" is version 2."""
    own: dict[str, str] = {}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    for line in lines:
        _, names, group = line.split(":", 2)
        for name in names.split(","):
            own[name.removeprefix("name=")] = group
    return own


def _place(mount: Mount, group: str) -> str:
    """Where `group` is seen below the mount; the mount's top if it lies outside what is shown there."""
    if mount.root not in ("/", "") and (group == mount.root or group.startswith(mount.root + "/")):
        group = group[len(mount.root) :]
    path = f"{mount.point}{group}".rstrip("/")
    return path if os.path.isdir(path) else mount.point


def _has_v1(mounts: list[Mount], controller: str) -> bool:
    return any(controller in mount.controllers for mount in mounts)


def _legacy(mounts: list[Mount], own: dict[str, str], name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Controller -> base group of version 1, and why others are missing; without any, one that can track."""
    bases: dict[str, str] = {}
    missing: dict[str, str] = {}
    for controller in (*V1_CONTROLLERS, *_TRACKING):
        if controller in bases or (controller not in V1_CONTROLLERS and bases):
            continue
        mount = next((mount for mount in mounts if controller in mount.controllers), None)
        if mount is None:
            why = "not mounted"
        else:
            base = f"{_place(mount, own.get(controller, '/'))}/{name}"
            why = _open_cpuset(base) if controller == "cpuset" else ""
            why = why or _try_base(base)
            if not why:
                bases[controller] = base
        if why and controller in V1_CONTROLLERS:
            missing[controller] = why
    return bases, missing


def _freezer(mounts: list[Mount], own: dict[str, str], name: str) -> str:
    """Base group of version 1's freezer, "" where there is none to use."""
    mount = next((mount for mount in mounts if "freezer" in mount.controllers), None)
    if mount is None:
        return ""
    base = f"{_place(mount, own.get('freezer', '/'))}/{name}"
    return "" if _try_base(base) else base


def _unified(mount: Mount, own: str, name: str) -> tuple[str, tuple[str, ...]] | str:
    """Base group of version 2 and its controllers, or why there is none."""
    why = ""
    home = _place(mount, own)
    for parent in dict.fromkeys((home, mount.point) if os.geteuid() == 0 else (home,)):
        base = f"{parent}/{name}"
        if why := _try_base(base):
            continue
        available = _words(f"{parent}/cgroup.controllers")
        wanted = [controller for controller in V2_CONTROLLERS if controller in available]
        _enable(parent, wanted, name)
        _enable(base, wanted, "")
        enabled = _words(f"{base}/cgroup.subtree_control")
        controllers = tuple(controller for controller in wanted if controller in enabled)
        if wanted and not controllers and parent != mount.point and os.geteuid() == 0:
            _rmdir(base)
            continue
        return base, controllers
    return why


def _enable(parent: str, controllers: list[str], name: str) -> None:
    """Hands `controllers` of `parent` to its children; if only our own presence forbids it, we move to a
    leaf.
    """
    handed = _words(f"{parent}/cgroup.subtree_control")
    for controller in (controller for controller in controllers if controller not in handed):
        try:
            cgroup.write(f"{parent}/cgroup.subtree_control", f"+{controller}")
        except OSError:
            if not name or cgroup.members(Group(parent, "")) != [os.getpid()]:
                return
            leaf = f"{parent}/{name}-agent"
            try:
                os.makedirs(leaf, exist_ok=True)
                cgroup.write(f"{leaf}/{cgroup.PROCS}", "0")
                cgroup.write(f"{parent}/cgroup.subtree_control", f"+{controller}")
            except OSError:
                return


def _open_cpuset(base: str) -> str:
    """Makes a base group of version 1's cpuset with all that its parent has; "" if that works, else why not.

    Without processors and memory of its own a group takes no process; those made in `base` copy them.
    """
    parent = os.path.dirname(base)
    try:
        os.makedirs(base, exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            whole = "".join(_words(f"{parent}/{name}"))
            if not whole:
                return f"{parent}/{name} is empty"
            cgroup.write(f"{base}/{name}", whole)
        cgroup.write(f"{base}/cgroup.clone_children", "1")
    except OSError as error:
        return f"cannot make a group: {error.strerror}"
    return ""


def _try_devices(base: str) -> str:
    """Whether groups below a version 2 base can be kept from devices: "" if so, else why not."""
    trial = f"{base}/trial"
    try:
        os.makedirs(trial, exist_ok=True)
        bpf.keep_from_devices(trial, ("c 195:255 rwm",))
    except OSError as error:
        return f"the kernel takes no BPF program: {error.strerror}"
    finally:
        _rmdir(trial)
    return ""


def _try_base(base: str) -> str:
    """Makes `base` and moves a process into a group below it; "" if that works, else why not."""
    trial = f"{base}/trial"
    try:
        os.makedirs(base, exist_ok=True)
        os.makedirs(trial, exist_ok=True)
    except OSError as error:
        return f"cannot make a group: {error.strerror}"
    ran = subprocess.run(
        ["/bin/sh", "-c", 'echo 0 > "$0"', f"{trial}/{cgroup.PROCS}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    cgroup.remove(Group(trial, ""))
    if ran.returncode:
        _rmdir(base)
        return f"cannot move a process: {ran.stderr.decode(errors='replace').strip().rpartition(': ')[2]}"
    return ""


def _words(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="ascii").split()
    except OSError:
        return []


def _rmdir(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        pass


def _kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except (ProcessLookupError, PermissionError):
        pass
