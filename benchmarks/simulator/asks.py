"""A trace's job as the scheduler is asked for it."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Final

from msgspec.structs import replace

from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.input import Caller
from packhorse.scheduler.model.job import JobSpec, Owner
from packhorse.scheduler.model.node import NodeSpec
from packhorse.scheduler.model.resources import WHOLE, Ask, Gres
from packhorse.simulator.traces.job import TraceJob

SEVERAL: Final = "|"
"""Between models of devices of which a job may use any."""

_MODEL: Final = "gpu:"
"""What the names of models begin with among the features of a node."""

_FIRST_UID: Final = 1000

LimitOf = Callable[[TraceJob], int]
"""The time limit of a job in microseconds, 0 for none."""

ACCOUNT_OF: Final[dict[str, Callable[[TraceJob], str]]] = {
    "default": lambda job: "",
    "group": lambda job: job.group,
    "user": lambda job: job.user,
    "queue": lambda job: job.queue,
}
"""Under which account a job is submitted; "" is its user's default one."""


def asked(job: TraceJob) -> int:
    """What its user asked for; what it runs where that is not known."""
    return job.limit_us or job.run_us


def recorded(job: TraceJob) -> int:
    """What its user asked for; no limit where that was none."""
    return job.limit_us


def clairvoyant(job: TraceJob) -> int:
    """What it runs."""
    return job.run_us


class Asks:
    """Specs and callers for jobs; equal jobs share one, so that the core sees few classes.

    On a cluster of a single node tasks need no telling apart. limit: see LimitOf. partitions: those there
    are; jobs of another queue go to the default one. account_of: a name in ACCOUNT_OF.
    """

    def __init__(
        self,
        nodes: Sequence[NodeSpec],
        limit: LimitOf,
        partitions: Container[str] = (),
        account_of: str = "default",
    ) -> None:
        self._account_of = ACCOUNT_OF[account_of]
        self._one_node = len(nodes) == 1
        self._mixed = next((spec.name for spec in nodes if len(_models(spec)) > 1), None)
        self._limit = limit
        self._partitions = partitions
        self._specs: dict[tuple[object, ...], JobSpec] = {}
        self._callers: dict[tuple[str, str], Caller] = {}
        self._uids: dict[str, int] = {}

    def spec(self, job: TraceJob) -> JobSpec:
        """The same one for jobs that ask for the same. Limits are whole seconds, one at least.

        BadValue if any of several models of devices is asked for and a node has several: a node is chosen by
        its models then (`with_models`), and nothing says which of its devices are meant.
        """
        if SEVERAL in job.gpu_type and self._mixed is not None:
            raise BadValue(
                f'any of "{job.gpu_type}": node {self._mixed} has devices of several models, where '
                "this cannot be asked for; name one model, or split the node"
            )
        limit_us = self._limit(job)
        limit_s = max(-(-limit_us // US), 1) if limit_us else 0
        partition = job.queue if job.queue in self._partitions else ""
        account = self._account_of(job)
        key = (
            partition,
            job.tasks,
            job.cpu_milli,
            job.mem_mib,
            job.n_gpus,
            job.gpu_milli,
            job.gpu_type,
            job.nodes,
            limit_s,
            job.qos,
            account,
        )
        found = self._specs.get(key)
        if found is None:
            found = self._specs[key] = JobSpec(
                name="",
                ask=self._ask(job),
                partition=partition,
                script_ref="",
                env_ref="",
                work_dir="/",
                time_limit_s=limit_s,
                requeue=True,
                qos=job.qos,
                account=account,
            )
        return found

    def caller(self, job: TraceJob) -> Caller:
        """Its user; users are numbered as they come, the same in every group."""
        key = (job.user, job.group)
        found = self._callers.get(key)
        if found is None:
            uid = self._uids.setdefault(job.user, _FIRST_UID + len(self._uids))
            owner = Owner(uid, uid, job.user or "nobody", job.group or "nobody")
            found = self._callers[key] = Caller(owner, admin=True)
        return found

    def _ask(self, job: TraceJob) -> Ask:
        if self._one_node and job.nodes <= 1:
            share = job.n_gpus == 1 and job.gpu_milli < WHOLE
            gres = () if not job.n_gpus else _gres(job, 1 if share else job.n_gpus * job.tasks)
            if not (share and job.tasks > 1):
                return Ask(
                    n_tasks=1,
                    cpu_milli_per_task=job.tasks * job.cpu_milli,
                    mem_mib_per_node=job.tasks * job.mem_mib,
                    min_nodes=1,
                    max_nodes=1,
                    gres_per_node=gres,
                    features=_features(job),
                )
        single = job.tasks == 1 or job.nodes == 1
        gres = _gres(job, job.n_gpus) if job.n_gpus else ()
        return Ask(
            n_tasks=job.tasks,
            cpu_milli_per_task=job.cpu_milli,
            mem_mib_per_node=job.tasks * job.mem_mib if single else 0,
            mem_mib_per_cpu=0 if single else -(-job.mem_mib * 1000 // max(job.cpu_milli, 1)),
            min_nodes=max(job.nodes, 1),
            max_nodes=1 if single else job.nodes,
            gres_per_task=gres,
            features=_features(job),
        )


def with_models(spec: NodeSpec) -> NodeSpec:
    """The node with the models of its devices among its features, so that any of several can be asked for."""
    models = tuple(f"{_MODEL}{model}" for model in _models(spec))
    return replace(spec, features=(*spec.features, *models)) if models else spec


def _models(spec: NodeSpec) -> list[str]:
    return sorted({device.type for device in spec.devices if device.kind == "gpu" and device.type})


def _features(job: TraceJob) -> str:
    if not job.n_gpus or SEVERAL not in job.gpu_type:
        return ""
    return SEVERAL.join(f"{_MODEL}{model}" for model in job.gpu_type.split(SEVERAL))


def _gres(job: TraceJob, n: int) -> tuple[Gres, ...]:
    model = "" if SEVERAL in job.gpu_type else job.gpu_type
    if job.n_gpus == 1 and job.gpu_milli < WHOLE:
        return (Gres("gpu", model, 1, job.gpu_milli),)
    return (Gres("gpu", model, n),)
