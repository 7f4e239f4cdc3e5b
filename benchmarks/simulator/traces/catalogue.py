"""Opens a trace whatever its format is: by name, by what its first lines look like, or as it is told.

A format may be given with parameters, `swf:unknown_run_s=10`; which ones stands at the `_open` of each
format.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from packhorse.scheduler.model.errors import PackhorseError
from packhorse.simulator.traces import gavel, history, jobfile, muri, openb_jobs, philly, sia, swf, tiresias
from packhorse.simulator.traces.broken import OnBroken, Skipped
from packhorse.simulator.traces.generate import GENERATORS, generate
from packhorse.simulator.traces.parameters import named
from packhorse.simulator.traces.textfile import head
from packhorse.simulator.traces.trace import Format, Trace


class FormatUnknown(PackhorseError):
    """Nothing tells in which format a trace is, or there is no such format; the formats are named."""


def open_trace(path: str | Path, format: str = "", on_broken: str = OnBroken.STOP) -> Trace:
    """The trace in a file, or a synthetic one: a path such as `lublin:jobs=10000,procs=256`, see generate.py.

    format: one of FORMATS, perhaps with parameters; "": told by the file's name and header.
    on_broken: "stop" raises TraceBroken at a line that cannot be read, "skip" counts it and goes on.
    Raises FormatUnknown, ParameterError, and TraceBroken for a file that cannot be read.
    """
    generator = str(path).partition(":")[0]
    if generator in GENERATORS and not format:
        return generate(named(str(path)))
    path, how = Path(path), named(format)
    skipped = Skipped(on_broken)
    if how.name and how.name not in FORMATS:
        raise FormatUnknown(f'"{how.name}" is no format of traces; there are {_known()}')
    name = how.name or _guess(path)
    return FORMATS[name].open(path, how, skipped)


def _guess(path: Path) -> str:
    top = head(path, 5)
    for name, format in FORMATS.items():
        if format.suits(path, top):
            return name
    first = top[0].strip()[:80] if top else ""
    raise FormatUnknown(
        f'{path}: neither its name nor its first line ("{first}") tells the format; name it: {_known()}'
    )


def _known() -> str:
    return ", ".join(f"{name} ({format.what})" for name, format in FORMATS.items())


FORMATS: Final[dict[str, Format]] = {
    "swf": swf.FORMAT,
    "packhorse-jobs": jobfile.FORMAT,
    "muri": muri.FORMAT,
    "tiresias": tiresias.FORMAT,
    "sia": sia.FORMAT,
    "gavel": gavel.FORMAT,
    "openb": openb_jobs.FORMAT,
    "history": history.FORMAT,
    "philly": philly.FORMAT,
}
"""By name, in the order in which they are tried."""
