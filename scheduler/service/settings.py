"""The configuration in effect, for `scontrol show config`: first under Slurm's names, then under ours."""

from __future__ import annotations

from packhorse.scheduler.config.changes import text_of, value_of
from packhorse.scheduler.config.file import Configuration
from packhorse.scheduler.config.keys import KEYS, PARTITION
from packhorse.scheduler.core.orders import MULTIFACTOR
from packhorse.scheduler.model.cluster import ClusterConfig, Enforce, PreemptBy
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.units import format_clock
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.messages import Setting
from packhorse.scheduler.service.status import About

_PREEMPT_TYPES = {
    PreemptBy.NONE: "(null)",
    PreemptBy.QOS: "preempt/qos",
    PreemptBy.PARTITION: "preempt/partition_prio",
    PreemptBy.BOTH: "preempt/partition_prio,preempt/qos",
}


def settings(configuration: Configuration, engine: Engine, about: About) -> list[Setting]:
    """Key and value as they are printed, Slurm's keys in its order."""
    import time  # only here

    cluster, service = configuration.cluster, configuration.service
    state, preempts = engine.state, cluster.preemption.type is not PreemptBy.NONE
    known = {
        "AccountingStorageEnforce": _ENFORCED[cluster.accounts.enforce],
        "BOOT_TIME": time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(about.started_at // US)),
        "ClusterName": cluster.name,
        "EnforcePartLimits": "ALL",
        "GresTypes": ",".join(sorted({d.kind for n in state.nodes.values() for d in n.spec.devices}))
        or "(null)",
        "JobRequeue": "1",
        "InactiveLimit": f"{cluster.inactive_limit_s} sec",
        "KillWait": f"{cluster.kill_wait_s} sec",
        "Licenses": text_of(cluster.licenses) or "(null)",
        "MaxArraySize": str(cluster.max_array_size),
        "MaxJobCount": str(cluster.max_pending_jobs),
        "MinJobAge": f"{cluster.min_job_age_s} sec",
        "NEXT_JOB_ID": str(state.next_job_id),
        "PreemptExemptTime": format_clock(cluster.preemption.exempt_s) if preempts else "NONE",
        "PreemptMode": cluster.preemption.mode.upper() if preempts else "OFF",
        "PreemptType": _PREEMPT_TYPES[cluster.preemption.type],
        **priority_settings(cluster),
        "SchedulerType": "sched/backfill",
        "SlurmctldHost[0]": about.host,
        "SlurmctldLogFile": service.log_file,
        "StateSaveLocation": service.store_path,
        "SLURM_CONF": configuration.path or "(null)",
        "SLURM_VERSION": about.version,
    }
    found = [Setting(key=key, value=value) for key, value in known.items()]
    for key in KEYS:
        if key.section == PARTITION:
            continue
        text = text_of(value_of(configuration, key))
        found.append(Setting(key=f"packhorse.{key.section}.{key.name}", value=text))
    return found


def priority_settings(cluster: ClusterConfig) -> dict[str, str]:
    """Slurm's words about priorities; sprio and sshare go by them."""
    weights = cluster.priorities
    of_tres = ",".join(f"{name}={weight}" for name, weight in weights.weight_tres)
    kind = "multifactor" if cluster.order == MULTIFACTOR else "basic"
    return {
        "PriorityCalcPeriod": format_clock(weights.calc_period_s),
        "PriorityDecayHalfLife": format_clock(weights.half_life_s),
        "PriorityFavorSmall": "Yes" if weights.favor_small else "No",
        "PriorityFlags": "MAX_TRES" if weights.max_tres else "(null)",
        "PriorityMaxAge": format_clock(weights.max_age_s),
        "PriorityType": f"priority/{kind}",
        "PriorityUsageResetPeriod": weights.usage_reset.upper(),
        "PriorityWeightAge": str(weights.weight_age),
        "PriorityWeightAssoc": str(weights.weight_assoc),
        "PriorityWeightFairShare": str(weights.weight_fairshare),
        "PriorityWeightJobSize": str(weights.weight_job_size),
        "PriorityWeightPartition": str(weights.weight_partition),
        "PriorityWeightQOS": str(weights.weight_qos),
        "PriorityWeightTRES": of_tres or "(null)",
    }


_ENFORCED = {
    Enforce.NONE: "none",
    Enforce.ACCOUNTS: "limits,qos",
    Enforce.LIMITS: "associations,limits,qos",
    Enforce.ASSOCIATIONS: "associations,limits,qos",
}
"""In Slurm's words."""
