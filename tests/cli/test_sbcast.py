"""What sbcast asks for, and its errors; that files arrive is tried in tests/e2e."""

from __future__ import annotations

from pathlib import Path

import pytest

from packhorse.cli.slurm import process, sbcast


@pytest.mark.parametrize(
    ("words", "job", "said"),
    [
        (["one"], "1", 'Need two file names, have 1 names\nTry "sbcast --help" for more information\n'),
        (["-j", "x", "a", "b"], "", 'sbcast: error: "x" is no job and no step of one: write 15 or 15.0\n'),
        (["-j", "7.", "a", "b"], "", 'sbcast: error: "7." is no job and no step of one: write 15 or 15.0\n'),
        (["-s", "big", "a", "b"], "1", 'sbcast: error: --size=big: not a number, as in "8m" for --size\n'),
        (["-t", "1.5", "a", "b"], "1", 'sbcast: error: --timeout=1.5: not a number, as in "8m" for --size\n'),
        (["nosuch", "b"], "1", "sbcast: error: Can't open `nosuch`: No such file or directory\n"),
        (["/", "b"], "1", "sbcast: error: /: only a regular file can be copied\n"),
        (["--frob", "a", "b"], "1", "sbcast: unrecognized option '--frob'\n"),
    ],
)
def test_what_cannot_be(
    words: list[str],
    job: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_JOB_ID", job)
    monkeypatch.setenv("PACKHORSE_HOME", str(tmp_path))
    assert process.run("sbcast", sbcast.command, words) == 1
    assert capsys.readouterr().err.startswith(said)


def test_variables_are_options(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SBCAST_COMPRESS", "lz4")
    monkeypatch.setenv("SBCAST_SIZE", "8m")
    assert process.run("sbcast", sbcast.command, ["-j1", str(tmp_path / "none"), "b"]) == 1
    assert "warning: option --compress has no effect" in capsys.readouterr().err
