"""The tables of docs/policy/why.md are those of the code; UPDATE_DOCS=1 writes them anew."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from packhorse.scheduler.core.why import conditions, meanings

TABLES = {"reasons": meanings.markdown(), "sizes": conditions.markdown()}


@pytest.mark.parametrize("name", TABLES)
def test_tables(repository: Path, name: str) -> None:
    path = repository / "docs" / "policy" / "why.md"
    page = path.read_text()
    found = re.search(rf"<!-- {name} -->\n(.*)<!-- /{name} -->", page, re.DOTALL)
    assert found is not None
    if os.environ.get("UPDATE_DOCS"):
        page = page[: found.start(1)] + TABLES[name] + "\n" + page[found.end(1) :]
        path.write_text(page)
        return
    assert found[1] == TABLES[name] + "\n"
