"""NVIDIA GPUs by NVML, where a driver is present."""

from __future__ import annotations

from packhorse.scheduler.model.resources import Device

MIB = 1 << 20


def gpus() -> tuple[tuple[Device, ...], str]:
    """The GPUs NVML lists, and "" or one line saying why there are none.

    type is the model in Slurm's manner: lower case, words joined by "_", without the maker's name.
    """
    import pynvml  # only here: a machine without a driver pays nothing for it at start-up

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as why:
        return (), f"no NVIDIA driver answered ({why})"
    try:
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            found.append(
                Device(
                    kind="gpu",
                    type=_model(pynvml.nvmlDeviceGetName(handle)),
                    index=index,
                    uuid=pynvml.nvmlDeviceGetUUID(handle),
                    mem_mib=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total) // MIB,
                )
            )
        return tuple(found), ""
    except pynvml.NVMLError as why:
        return (), f"NVML stopped answering ({why})"
    finally:
        pynvml.nvmlShutdown()


def _model(name: str | bytes) -> str:
    text = name.decode(errors="replace") if isinstance(name, bytes) else name
    words = [
        word for word in text.lower().replace("-", " ").split() if word not in ("nvidia", "geforce", "tesla")
    ]
    return "_".join(words)
