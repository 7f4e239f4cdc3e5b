"""#SBATCH lines, as sbatch 22.05 reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.cli.slurm.directives import DirectiveError, directive_words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "#SBATCH --job-name=hello --ntasks=1   # two options and a comment",
            ["--job-name=hello", "--ntasks=1"],
        ),
        ("#SBATCH\t-J\tx", ["-J", "x"]),
        ("#SBATCH-J x", ["-J", "x"]),
        ('#SBATCH --job-name="a b" --comment=c', ["--job-name=a b", "--comment=c"]),
        ("#SBATCH -J 'q\"r' # c", ["-J", 'q"r']),
        ("#SBATCH -J x#y", ["-J", "x"]),
        ("#SBATCH --job-name        pad", ["--job-name", "pad"]),
        (" #SBATCH -J x\n#SBATCH -J y", []),
        ("#SBATCH", []),
        ("#SBATCH   ", []),
        ("#sbatch -J x", []),
        ("##SBATCH -J x", []),
        ("#PBS -N x", []),
        (r"#SBATCH -J c\ d", ["-J", "c", "d"]),
        (r'#SBATCH -J "a\"b"', ["-J", 'a"b']),
        (r"#SBATCH -J a\\b", ["-J", r"a\b"]),
        ('#SBATCH -J a"b c"d', ["-J", "ab cd"]),
        ('#SBATCH --comment="a # b"', ["--comment=a # b"]),
        ('#SBATCH --comment "" -t 5', ["--comment", "", "-t", "5"]),
    ],
)
def test_words(line: str, words: list[str]) -> None:
    assert directive_words(f"#!/bin/sh\n{line}\ntrue\n") == words


def test_reading_stops_at_the_first_command() -> None:
    head = "#!/bin/bash\n#SBATCH -J directive -N 1\n\n## a comment\n   \n#SBATCH --time=7\n"
    script = head + "echo\n#SBATCH -J late\n"
    assert directive_words(script) == ["-J", "directive", "-N", "1", "--time=7"]


def test_an_open_quote_is_an_error_with_its_line() -> None:
    with pytest.raises(DirectiveError, match=r'Unmatched `"` in \[ -J "x\]') as caught:
        directive_words('#!/bin/sh\n\n#SBATCH -J "x\n')
    assert caught.value.line == 3


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), max_size=12), max_size=5))
def test_quoted_words_come_back(words: list[str]) -> None:
    quoted = ['"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words]
    assert directive_words("#!/bin/sh\n#SBATCH " + " ".join(quoted) + "\n") == words
