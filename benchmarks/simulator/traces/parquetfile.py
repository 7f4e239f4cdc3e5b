"""Parquet files as the same records as CSV files. Read with pyarrow, an optional extra (`parquet`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packhorse.simulator.traces.broken import TraceBroken
from packhorse.simulator.traces.csvfile import Record

BATCH: Final = 65_536
"""Rows that are in memory at once."""


def records(path: Path) -> tuple[list[str], Iterator[Record]]:
    """The columns of a file, and its rows, counted from 1, read as they are needed. What is null is empty.

    Raises TraceBroken where the file cannot be read, and without pyarrow.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise TraceBroken(
            f"{path}: Parquet is read with pyarrow, which is not installed: "
            'pip install "packhorse[parquet]", or write the jobs as CSV'
        ) from None
    try:
        file = pyarrow.parquet.ParquetFile(path)
    except FileNotFoundError:
        raise TraceBroken(f"{path}: there is no such file") from None
    except (OSError, pyarrow.ArrowException) as why:
        raise TraceBroken(f"{path}: cannot be read: {str(why).splitlines()[0]}") from why
    names: list[str] = list(file.schema_arrow.names)

    def rows() -> Iterator[Record]:
        place, n = {name: i for i, name in enumerate(names)}, 0
        try:
            for batch in file.iter_batches(BATCH):
                for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    n += 1
                    yield Record(path, n, place, ["" if value is None else str(value) for value in values])
        except (OSError, pyarrow.ArrowException) as why:
            raise TraceBroken(f"{path}: cannot be read after line {n}: {str(why).splitlines()[0]}") from why

    return names, rows()
