"""The table of limits and what is used of them, as `packhorse quota` asks for it."""

from __future__ import annotations

from packhorse.scheduler.core.accounts.standing import Standing
from packhorse.scheduler.service.tables.table import Catalogue, ints, texts

QUOTAS: Catalogue[list[Standing]] = {
    "kind": texts(lambda rows: [row.kind for row in rows]),
    "name": texts(lambda rows: [row.name for row in rows]),
    "user": texts(lambda rows: [row.user for row in rows]),
    "partition": texts(lambda rows: [row.partition for row in rows]),
    "title": texts(lambda rows: [row.title for row in rows]),
    "tres": texts(lambda rows: [row.tres for row in rows]),
    "limit": ints(lambda rows: [row.limit for row in rows]),
    "used": ints(lambda rows: [row.used for row in rows]),
    "in_time": ints(lambda rows: [int(row.in_time) for row in rows]),
    "borrowed": ints(lambda rows: [row.borrowed for row in rows]),
    "lent": ints(lambda rows: [row.lent for row in rows]),
}
