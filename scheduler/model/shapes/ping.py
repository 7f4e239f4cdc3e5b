"""Whether a daemon answers: `controller_ping`, and `slurmdbd_ping`, which is the same daemon here."""

from __future__ import annotations

from packhorse.scheduler.model.shapes.shape import Shape, always, text, whole

PING = Shape(
    "controller_ping",
    {
        "hostname": text("host"),
        "pinged": always("text", "UP"),
        "responding": always("bool", True),
        "latency": whole("latency_us"),
        "mode": always("text", "primary"),
        "primary": always("bool", True),
    },
)
DATABASE_PING = Shape(
    "slurmdbd_ping",
    {
        "hostname": text("host"),
        "responding": always("bool", True),
        "latency": whole("latency_us"),
        "primary": always("bool", True),
    },
)
