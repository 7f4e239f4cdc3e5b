"""What runs were given and did not use, for those who may know: sums from the store, and what to do about
them."""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import asdict, replace

from packhorse.scheduler.core.right_size import present_of_row
from packhorse.scheduler.core.suggest import Present, suggest
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.waste import Waste, WasteKey, WasteQuery, WasteSort
from packhorse.scheduler.service import messages
from packhorse.scheduler.service.auth import Principal, Relation, allowed, require
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.service.suggesting import Subject, advice_texts, history, options_of
from packhorse.scheduler.store.protocol import DAY_US, Store

T = TypeVar("T")

METHOD = "ListWaste"
WINDOW_US = 7 * DAY_US
"""How far back a request looks that does not say."""
ROWS = 20
MAX_ROWS = 10_000
MAX_JOBS = 50
"""Each takes a query for its suggestion."""

BY = {"": WasteKey.USER, "user": WasteKey.USER, "account": WasteKey.ACCOUNT, "job-name": WasteKey.NAME}
RESOURCE = {WasteSort.MEM: "mem", WasteSort.CPU: "cpus", WasteSort.GPU: "gpus"}
SORT = {"": WasteSort.MEM, **{sort.value: sort for sort in WasteSort}}


async def list_waste(
    engine: Engine, principal: Principal, request: messages.ListWasteRequest
) -> messages.ListWasteResponse:
    """The answer to a ListWasteRequest. Raises CallFailed for other people's waste, unless one
    administers."""
    owner = principal.owner
    wanted = request.filter or messages.JobFilter()
    others = [user for user in wanted.users if user not in (owner.user, str(owner.uid))]
    relation = Relation.OTHER if others else Relation.OWN
    require(principal, METHOD, relation, f"runs of {', '.join(others)}" if others else "")
    everybody = allowed(METHOD, principal.role, Relation.OTHER)
    now = engine.clock.now()
    names = tuple([user for user in wanted.users if not user.isdecimal()])
    numbers = tuple([int(user) for user in wanted.users if user.isdecimal()])
    query = WasteQuery(
        since=Instant(request.since_us or max(0, now - WINDOW_US)),
        until=Instant(request.until_us or now + 1),
        by=(_one_of("by", BY, request.by),),
        uids=numbers if everybody else (owner.uid,),
        users=names if everybody else (),
        accounts=tuple(wanted.accounts),
        names=tuple(wanted.names),
        partitions=tuple(wanted.partitions),
        sort=_one_of("sort", SORT, request.sort),
        limit=min(request.limit or ROWS, MAX_ROWS),
    )
    await engine.barrier()
    return await engine.ask(
        lambda store: _answer(store, query, min(request.jobs, MAX_JOBS), now, "" if everybody else owner.user)
    )


def _one_of(name: str, known: dict[str, T], word: str) -> T:
    if word not in known:
        accepted = ", ".join([one for one in known if one])
        raise CallFailed(Code.INVALID_ARGUMENT, f'{name} "{word}": accepted are {accepted}')
    return known[word]


def _answer(
    store: Store, query: WasteQuery, n_jobs: int, now: Instant, user: str
) -> messages.ListWasteResponse:
    [total] = store.waste(replace(query, by=(), limit=1))
    jobs = []
    if n_jobs:
        by_job = replace(query, by=(WasteKey.USER, WasteKey.NAME), limit=n_jobs)
        jobs = [
            _job(store, found, query.sort, now) for found in store.waste(by_job) if _amount(found, query.sort)
        ]
    return messages.ListWasteResponse(
        total=_sum(total),
        rows=[_sum(found) for found in store.waste(query)],
        jobs=jobs,
        since_us=query.since,
        until_us=query.until,
        user=user,
    )


def _amount(found: Waste, sort: WasteSort) -> int:
    return {
        WasteSort.MEM: found.mem_wasted,
        WasteSort.CPU: found.cpu_wasted,
        WasteSort.GPU: found.gpu_wasted,
    }[sort]


def _job(store: Store, found: Waste, sort: WasteSort, now: Instant) -> messages.WasteJob:
    """A user's runs of one name, and what they should ask for; in words of what the report is sorted by."""
    user, name = found.key
    past = history(store, Subject(name, user, ""), now)
    present = present_of_row(past.newest) if past.newest is not None else Present()
    advice = suggest(past.runs, present)
    options = options_of(advice, past.newest.n_tasks if past.newest is not None else 0)
    texts = advice_texts(advice)
    return messages.WasteJob(
        user=user,
        name=name,
        sum=_sum(found),
        text=texts.get(RESOURCE[sort], ""),
        options=options,
    )


def _sum(found: Waste) -> messages.WasteSum:
    fields = asdict(found)
    return messages.WasteSum(**{**fields, "key": " ".join(found.key)})
