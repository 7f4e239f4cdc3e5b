"""How NVIDIA GPUs are connected to each other: link groups, and the matrix of `nvidia-smi topo -m`."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from packhorse.agent.inventory.found import Found

MAX_LINKS = 18
"""Of one GPU (Hopper, Blackwell)."""

_LEVELS = {0: "X", 10: "PIX", 20: "PXB", 30: "PHB", 40: "NODE", 50: "SYS"}
"""NVML's levels of a common ancestor, in the words of nvidia-smi."""


class Links:
    """Asks once for each set of GPUs and slices: links do not move while a machine runs."""

    def __init__(self, pynvml: Any) -> None:
        self._n = pynvml
        self._of: tuple[object, ...] = ()
        self._known: list[tuple[int, tuple[str, ...]]] = []

    def add(self, gpus: list[Found], handles: list[object]) -> list[Found]:
        """The GPUs with link group and row of the matrix. handles: one for each."""
        key = tuple((gpu.device.uuid, bool(gpu.slices)) for gpu in gpus)
        if key != self._of:
            self._known = self._ask(gpus, handles)
            self._of = key
        return [
            gpu._replace(device=replace(gpu.device, link=group), peers=peers)
            for gpu, (group, peers) in zip(gpus, self._known, strict=True)
        ]

    def _ask(self, gpus: list[Found], handles: list[object]) -> list[tuple[int, tuple[str, ...]]]:
        addresses = {dict(gpu.details).get("pci", ""): i for i, gpu in enumerate(gpus)}
        # A GPU that is cut reaches no other one directly, whatever its links.
        links = [
            ({}, 0) if gpu.slices else self._links(handle, addresses)
            for gpu, handle in zip(gpus, handles, strict=True)
        ]
        matrix = [["X" if i == j else "" for j in range(len(gpus))] for i in range(len(gpus))]
        leader = list(range(len(gpus)))
        for i in range(len(gpus)):
            for j in range(i):
                n_links = links[i][0].get(j, 0) or min(links[i][1], links[j][1])
                if n_links:
                    joined, into = leader[i], leader[j]
                    leader = [into if at == joined else at for at in leader]
                text = f"NV{n_links}" if n_links else self._level(handles[i], handles[j])
                matrix[i][j] = matrix[j][i] = text
        groups = {at: n for n, at in enumerate(sorted({at for at in leader if leader.count(at) > 1}))}
        return [(groups.get(at, -1), tuple(row)) for at, row in zip(leader, matrix, strict=True)]

    def _links(self, handle: object, addresses: dict[str, int]) -> tuple[dict[int, int], int]:
        """How many links it has to each other GPU, and how many into a switch."""
        n = self._n
        direct: dict[int, int] = {}
        switched = 0
        for link in range(MAX_LINKS):
            try:
                if not n.nvmlDeviceGetNvLinkState(handle, link):
                    continue
                if n.nvmlDeviceGetNvLinkRemoteDeviceType(handle, link) == n.NVML_NVLINK_DEVICE_TYPE_SWITCH:
                    switched += 1
                    continue
                bus = str(n.nvmlDeviceGetNvLinkRemotePciInfo(handle, link).busId).lower()
            except (n.NVMLError, n.NVMLLibraryMismatchError):
                break  # it has no more of them
            domain, _, rest = bus.partition(":")
            other = addresses.get(f"{domain[-4:]}:{rest}")
            if other is not None:
                direct[other] = direct.get(other, 0) + 1
        return direct, switched

    def _level(self, one: object, other: object) -> str:
        n = self._n
        try:
            return _LEVELS.get(n.nvmlDeviceGetTopologyCommonAncestor(one, other), "?")
        except (n.NVMLError, n.NVMLLibraryMismatchError):
            return "?"
