"""NVIDIA GPUs by NVML, where a driver is present: what there is, whether it is well, who uses it.

NVML is asked through pynvml, which is imported only where the library can be loaded. Every call may block for
as long as the driver likes: an `Nvml` belongs to one thread, which nobody waits for without a limit.

What makes a GPU unfit for new work follows NVIDIA's own health check (DCGM, dcgmi health): it is lost or
wants a reset, rows could not be remapped, memory errors that ECC could not correct, or an XID of a fault of
the GPU. What only needs a reset some day is a remark.
"""

from __future__ import annotations

import ctypes
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from packhorse.agent.inventory.found import Found, Look, Remark, type_name
from packhorse.agent.inventory.nvidia_links import Links
from packhorse.scheduler.model.resources import Device, is_slice

T = TypeVar("T")

MIB = 1 << 20
LIBRARY = "libnvidia-ml.so.1"
PREFIX = "GPU-"
MAX_GPUS = 256
"""Of one host; a count above is not believed."""
MAX_MEM_MIB = 16 << 20
"""16 TiB: of one GPU more is not believed."""
LOST = "fell off the bus (NVML: GPU is lost)"

FATAL_XIDS = {
    48: "a double-bit memory error",
    64: "memory that could not be taken out of use",
    74: "a fault of its NVLink",
    79: "it fell off the bus",
    95: "a memory error that was not contained",
    119: "its firmware does not answer",
    120: "its firmware failed",
}
"""XIDs by which NVIDIA's documentation (XID errors, r550) blames the GPU and asks for a reset."""

PROGRAM_XIDS = frozenset((13, 31, 43, 45, 68, 69, 94))
"""XIDs of a program's own fault, or of one that ended a program and nothing else: not worth a word here."""

REPORTED_S = 3600.0
"""How long another XID is spoken of."""

_SLICE_NAME = re.compile(r"MIG (\S+)")


class Xid(NamedTuple):
    """An error the driver reported of the GPU with this UUID; "": of one that is lost."""

    uuid: str
    number: int


class _Lost(Exception):
    """The GPU that was asked is lost, or answers only after a reset."""


def present() -> bool:
    """Whether the library of a driver can be loaded."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


class Nvml:
    """The library, for one thread. sys: where sysfs is mounted.

    xids: of each GPU the error for which it is not used any more, until it was lost and came back, or until
    the process ends.
    """

    def __init__(self, sys: Path = Path("/sys")) -> None:
        import pynvml  # only here: a machine without a driver pays nothing for it

        self._n = pynvml
        self._sys = sys
        self._open = False
        self._events: Any = None
        self._watched: tuple[str, ...] = ()
        self._links = Links(pynvml)
        self._known: set[str] = set()
        self._lost: set[str] = set()
        self.xids: dict[str, int] = {}
        self._reported: dict[str, tuple[int, float]] = {}
        """Errors that are not known to be the end of it, and when."""
        self.doing = ""
        """The call that is under way, for when it does not come back."""

    def look(self) -> Look:
        """All GPUs. Never raises: what goes wrong is in the answer."""
        n = self._n
        try:
            if self._lost:
                self.close()  # what was lost is counted anew only by a new start of the library
            self._start()
            count = self._call(n.nvmlDeviceGetCount)
        except (n.NVMLError, n.NVMLLibraryMismatchError, _Lost, OSError) as why:
            self.close()
            remark = Remark("nvml", f"NVML does not list its GPUs ({why})")
            return Look(PREFIX, remarks=(remark,), complete=False)
        remarks = []
        if not 0 <= count <= MAX_GPUS:
            remarks.append(Remark("nvml-count", f"NVML counts {count} GPUs, which is not believed"))
            return Look(PREFIX, remarks=tuple(remarks), complete=False)
        found: dict[str, Found] = {}
        handles = []
        missing = "NVML does not list it any more"
        for index in range(count):
            try:
                handle = self._call(n.nvmlDeviceGetHandleByIndex, index)
                gpu = self._gpu(handle, index)
            except _Lost:
                missing = LOST
                continue
            except (n.NVMLError, n.NVMLLibraryMismatchError, ValueError) as why:
                remarks.append(
                    Remark(f"nvml-gpu-{index}", f"NVML does not tell what its GPU {index} is ({why})")
                )
                continue
            if gpu.device.uuid in found:
                remarks.append(Remark("nvml-twice", f"NVML lists {gpu.device.uuid} twice"))
                continue
            found[gpu.device.uuid] = gpu
            handles.append(handle)
        self._miss(set(found), missing)
        gpus = self._links.add(list(found.values()), handles)
        return Look(PREFIX, tuple(gpus), tuple(remarks), missing)

    def _miss(self, here: set[str], missing: str) -> None:
        """Notes who is gone."""
        self._known |= here
        self._lost = self._known - here
        if missing == LOST and not self._lost:
            self._lost = {""}  # one that was lost before it was ever seen

    def wait(self, seconds: float) -> list[Xid] | None:
        """Errors the driver reports within `seconds`, returning at the first; None: it cannot tell, and
        returned at once."""
        n = self._n
        if self._events is None or not self._watched or self._lost:
            return None
        try:
            event = self._call(n.nvmlEventSetWait, self._events, int(seconds * 1000))
        except n.NVMLError_Timeout:
            return []
        except _Lost:
            return [Xid("", 0)]
        except (n.NVMLError, n.NVMLLibraryMismatchError):
            self._events = None
            return None
        if event.eventType != n.nvmlEventTypeXidCriticalError:
            return []
        try:
            uuid = str(self._call(n.nvmlDeviceGetUUID, event.device))
        except (n.NVMLError, _Lost):
            uuid = ""  # it is gone: the next look will miss it
        if uuid and event.eventData in FATAL_XIDS:
            self.xids[uuid] = event.eventData
        elif uuid and event.eventData not in PROGRAM_XIDS:
            self._reported[uuid] = (event.eventData, time.monotonic())
        return [Xid(uuid, event.eventData)]

    def close(self) -> None:
        """Let go of the library: while it is held the driver cannot be changed, nor a GPU be reset."""
        n = self._n
        if not self._open:
            return
        try:
            if self._events is not None:
                self._call(n.nvmlEventSetFree, self._events)
            self._call(n.nvmlShutdown)
        except (n.NVMLError, _Lost):
            pass
        self._open = False
        self._events = None
        self._watched = ()

    def watch(self, devices: tuple[Found, ...]) -> None:
        """Be told of errors of these GPUs from now on; of those that can tell."""
        n = self._n
        uuids = tuple(gpu.device.uuid for gpu in devices)
        if not self._open or uuids == self._watched:
            return
        try:
            if self._events is None:
                self._events = self._call(n.nvmlEventSetCreate)
            wanted = n.nvmlEventTypeXidCriticalError
            for uuid in uuids:
                handle = self._call(n.nvmlDeviceGetHandleByUUID, uuid.encode())
                if self._call(n.nvmlDeviceGetSupportedEventTypes, handle) & wanted:
                    self._call(n.nvmlDeviceRegisterEvents, handle, wanted, self._events)
        except (n.NVMLError, n.NVMLLibraryMismatchError, _Lost):
            self._events = None
        self._watched = uuids

    # -- inside

    def _start(self) -> None:
        if not self._open:
            self._call(self._n.nvmlInit)
            self._open = True

    def _call(self, function: Callable[..., T], *arguments: object) -> T:
        """Raises _Lost, or what pynvml raises."""
        n = self._n
        self.doing = function.__name__
        try:
            return function(*arguments)
        except n.NVMLError as error:
            if error.value in (n.NVML_ERROR_GPU_IS_LOST, n.NVML_ERROR_RESET_REQUIRED):
                raise _Lost(str(error)) from error
            raise
        finally:
            self.doing = ""

    def _gpu(self, handle: object, index: int) -> Found:
        """Raises what tells that it is lost, or not even named; everything else is a remark."""
        n = self._n
        uuid = str(self._call(n.nvmlDeviceGetUUID, handle))
        if not uuid or not uuid.isascii():
            raise ValueError("it has no UUID")
        if uuid in self._lost:  # it was lost and is back, so it was reset: its old errors are over
            self.xids.pop(uuid, None)
        asked = _Asked(self, handle, uuid)
        name = str(asked.get("name", n.nvmlDeviceGetName) or "")
        bus = asked.get("PCI address", n.nvmlDeviceGetPciInfo)
        pci = _pci(str(bus.busId)) if bus is not None else ""
        slices, dead = self._slices(asked)
        dead = dead or self._trouble(asked, uuid)
        device = Device(
            kind="gpu",
            type=type_name(name),
            index=index,
            uuid=uuid,
            mem_mib=self._memory(asked),
            numa=self._numa(asked, pci),
            layouts=(tuple(profile for profile, _ in slices),) if slices else (),
        )
        pids = self._pids(asked)
        details = [("model", name), ("pci", pci)]
        capability = asked.get("compute capability", n.nvmlDeviceGetCudaComputeCapability)
        if capability is not None:
            details.append(("capability", f"{capability[0]}.{capability[1]}"))
        ecc = asked.get("ECC mode", n.nvmlDeviceGetEccMode)
        details.append(("ecc", "-" if ecc is None else "on" if ecc[0] else "off"))
        return Found(device, dead, tuple(asked.remarks), pids, slices, details=tuple(details))

    def _memory(self, asked: _Asked) -> int:
        memory = asked.get("memory", self._n.nvmlDeviceGetMemoryInfo)
        if memory is None:
            return 0
        mib = int(memory.total) // MIB
        if 0 < mib <= MAX_MEM_MIB:
            return mib
        asked.remark("memory", f"says it has {mib} MiB of memory, which is not believed")
        return 0

    def _numa(self, asked: _Asked, pci: str) -> int:
        """The NUMA node its bus hangs on; -1: unknown, or there is only one."""
        if pci:
            try:
                return max(-1, int((self._sys / "bus/pci/devices" / pci / "numa_node").read_text()))
            except (OSError, ValueError):
                pass
        n = self._n
        mask = asked.get("memory affinity", n.nvmlDeviceGetMemoryAffinity, 16, n.NVML_AFFINITY_SCOPE_NODE)
        for word, bits in enumerate(mask or ()):
            if bits:
                return word * 64 + (int(bits) & -int(bits)).bit_length() - 1
        return -1

    def _pids(self, asked: _Asked) -> tuple[int, ...]:
        n = self._n
        compute = asked.get("processes", n.nvmlDeviceGetComputeRunningProcesses_v3) or []
        graphics = asked.get("graphics processes", n.nvmlDeviceGetGraphicsRunningProcesses_v3) or []
        return tuple(sorted({int(process.pid) for process in (*compute, *graphics)}))

    def _slices(self, asked: _Asked) -> tuple[tuple[tuple[str, str], ...], str]:
        """The slices that MIG cut it into, and what is wrong with that."""
        n = self._n
        mode = asked.get("MIG mode", n.nvmlDeviceGetMigMode)
        if mode is None or not mode[0]:
            return (), ""
        if mode[1] != mode[0]:
            asked.remark("mig-pending", "changes its MIG mode with the next reset")
        slices = []
        for number in range(min(asked.get("count of slices", n.nvmlDeviceGetMaxMigDeviceCount) or 0, 16)):
            try:
                part = self._call(n.nvmlDeviceGetMigDeviceHandleByIndex, asked.handle, number)
                text = str(self._call(n.nvmlDeviceGetName, part))
                uuid = str(self._call(n.nvmlDeviceGetUUID, part))
            except n.NVMLError_NotFound:
                continue
            except n.NVMLError as why:
                asked.remark("mig", f"does not tell of its slice {number} ({why})")
                continue
            profile = _SLICE_NAME.search(text)
            if profile is None or not is_slice(name := profile[1].partition("+")[0]):
                asked.remark("mig", f'has a slice "{text[:60]}" of which no size is known; it is left out')
                continue
            slices.append((name, uuid))
        return tuple(slices), "" if slices else "MIG is on and it has no slices: nothing can run on it"

    def _trouble(self, asked: _Asked, uuid: str) -> str:
        """Why nothing may be started on it; remarks for what can wait."""
        n = self._n
        if xid := self.xids.get(uuid):
            return f"XID {xid}: {FATAL_XIDS[xid]}"
        number, at = self._reported.get(uuid, (0, 0.0))
        if number and time.monotonic() - at < REPORTED_S:
            asked.remark("xid", f"reported XID {number} (see NVIDIA's list of XID errors)")
        rows = asked.get("remapped rows", n.nvmlDeviceGetRemappedRows)
        if rows is not None and rows[3]:
            return "rows of its memory could not be remapped: it needs to be replaced"
        uncorrected = asked.get(
            "uncorrected errors",
            n.nvmlDeviceGetTotalEccErrors,
            n.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
            n.NVML_VOLATILE_ECC,
        )
        if uncorrected is not None and uncorrected >= 1 << 48:
            asked.remark("ecc", f"counts {uncorrected} memory errors, which is not believed")
        elif uncorrected:
            return "uncorrected memory errors since its driver was loaded: it needs a reset"
        if rows is not None and rows[2]:
            asked.remark("rows", "has rows of memory to be remapped by its next reset")
        if asked.get("retired pages", n.nvmlDeviceGetRetiredPagesPendingStatus):
            asked.remark("pages", "has pages of memory to be retired by its next reset")
        return ""


class _Asked:
    """What one GPU answers. remarks: what it should have answered and did not."""

    def __init__(self, nvml: Nvml, handle: object, uuid: str) -> None:
        self.handle = handle
        self.remarks: list[Remark] = []
        self._nvml = nvml
        self._uuid = uuid

    def get(self, what: str, function: Callable[..., T], *arguments: object) -> T | None:
        """None where it does not tell; raises _Lost if it is gone."""
        n = self._nvml._n
        try:
            return self._nvml._call(function, self.handle, *arguments)
        except (n.NVMLError_NotSupported, n.NVMLError_FunctionNotFound, n.NVMLError_NoPermission):
            return None
        except n.NVMLLibraryMismatchError:
            return None  # an older driver
        except (n.NVMLError, ValueError, OverflowError) as why:
            self.remark(what, f"does not tell its {what} (NVML: {why})")
            return None

    def remark(self, key: str, text: str) -> None:
        self.remarks.append(Remark(f"{self._uuid}-{key}", text))


def _pci(bus_id: str) -> str:
    """As sysfs writes it: "00000000:1B:00.0" is 0000:1b:00.0."""
    domain, _, rest = bus_id.lower().partition(":")
    return f"{domain[-4:]}:{rest}" if rest else ""
