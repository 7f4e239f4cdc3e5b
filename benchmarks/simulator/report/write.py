"""The report of a sweep: a folder with one page, complete in itself, and its plots as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Final

import msgspec

from packhorse.scheduler.model.errors import PackhorseError
from packhorse.simulator.figures import shown
from packhorse.simulator.outcome import Outcome
from packhorse.simulator.report import colors, html
from packhorse.simulator.summary import Summary

PAGE: Final = "index.html"


class NoPlots(PackhorseError):
    """What draws plots is not installed."""


class About(msgspec.Struct, frozen=True):
    """What was run, as the page says it. command: to run it again. clusters: a text by trace. versions: by
    program. notes: what else a reader has to know, a paragraph each.
    """

    title: str
    command: str = ""
    clusters: Mapping[str, str] = {}
    versions: Mapping[str, str] = {}
    notes: Sequence[str] = ()


def write(folder: Path, about: About, summaries: Sequence[Summary], outcomes: Sequence[Outcome]) -> Path:
    """The page. summaries: all runs, each policy and seed on each trace. outcomes: the runs that are drawn,
    one seed of each policy on each trace; the first policy of a trace is what others are compared with.
    The same input gives the same bytes. Raises NoPlots, OtherJobs, OSError.
    """
    try:
        from packhorse.simulator.report import sections
    except ImportError as why:
        raise NoPlots(
            f'the report needs {why.name}: pip install "packhorse[report]", or leave --report out'
        ) from why
    folder.mkdir(parents=True, exist_ok=True)
    traces = list(dict.fromkeys(outcome.trace for outcome in outcomes))
    body, links = [], []
    for i, trace in enumerate(traces):
        section = sections.section(trace, summaries, outcomes, f"t{i}" if len(traces) > 1 else "")
        for name, png in section.pictures.items():
            (folder / f"{name}.png").write_bytes(png)
        body.append(section.html)
        links += section.links
    body.append(_glossary(summaries))
    text = Template(_file("page.html")).substitute(
        title=escape(about.title),
        style=Template(_file("page.css")).substitute(light=colors.scheme(False), dark=colors.scheme(True)),
        about=_about(about, summaries),
        links="".join(
            f'<a href="#{at}">{escape(name)}</a>' for at, name in [*links, ("figures", "Figures explained")]
        ),
        body="\n".join(body),
        script=_file("page.js"),
    )
    (folder / PAGE).write_text(text, encoding="utf-8")
    return folder / PAGE


def _about(about: About, summaries: Sequence[Summary]) -> str:
    policies = ", ".join(dict.fromkeys(run.policy for run in summaries))
    seeds = sorted({run.seed for run in summaries})
    traces = list(dict.fromkeys(run.trace for run in summaries))
    entries = [(("Traces" if len(traces) > 1 else "Trace"), escape(", ".join(traces)))]
    entries += [
        (f"Cluster of {trace}" if len(traces) > 1 else "Cluster", escape(text))
        for trace, text in about.clusters.items()
    ]
    entries += [
        ("Policies", escape(policies)),
        ("Seeds", escape(_seeds(seeds))),
        ("Command", f"<code>{escape(about.command)}</code>" if about.command else ""),
        ("Versions", escape(", ".join(f"{name} {version}" for name, version in about.versions.items()))),
    ]
    said = html.pairs([entry for entry in entries if entry[1]])
    return said + "".join(f"<p>{escape(note)}</p>" for note in about.notes)


def _seeds(seeds: Sequence[int]) -> str:
    """1 to 10 where all between are there."""
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def _glossary(summaries: Sequence[Summary]) -> str:
    entries = [(f"{figure.group}: {figure.name}", escape(figure.hint)) for figure in shown(summaries)]
    return f'<h2 id="figures">Figures explained</h2>{html.pairs(entries)}'


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
