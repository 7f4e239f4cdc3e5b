"""What sprio and sshare ask for and show: raw columns, letters and names."""

from __future__ import annotations

TERMS = ("age", "assoc", "fairshare", "job_size", "partition", "qos")

PRIORITY_COLUMNS: dict[str, str] = {
    "job_id": "int",
    "user": "text",
    "uid": "int",
    "account": "text",
    "partition": "text",
    "qos": "text",
    "priority": "int",
    "explicit": "int",
    "site": "int",
    "nice": "int",
    **{f"{name}_term": "int" for name in TERMS},
    "tres_terms": "text",
    **{f"{name}_factor": "text" for name in TERMS},
    "tres_factors": "text",
}

SHARE_COLUMNS: dict[str, str] = {
    "account": "text",
    "user": "text",
    "partition": "text",
    "depth": "int",
    "shares": "int",
    "norm_shares": "text",
    "usage_s": "int",
    "norm_usage": "text",
    "effective_usage": "text",
    "fairshare": "text",
    "level_fs": "text",
    "grp_tres_mins": "text",
    "tres_mins": "text",
    "tres_run_mins": "text",
}

LETTERS: dict[str, tuple[str, str]] = {
    "a": ("AGE", "age_factor"),
    "A": ("AGE", "age_term"),
    "b": ("ASSOC", "assoc_factor"),
    "B": ("ASSOC", "assoc_term"),
    "c": ("CLUSTER", "cluster"),
    "f": ("FAIRSHARE", "fairshare_factor"),
    "F": ("FAIRSHARE", "fairshare_term"),
    "i": ("JOBID", "job_id"),
    "j": ("JOBSIZE", "job_size_factor"),
    "J": ("JOBSIZE", "job_size_term"),
    "n": ("QOSNAME", "qos"),
    "N": ("NICE", "nice"),
    "o": ("ACCOUNT", "account"),
    "p": ("PARTITION", "partition_factor"),
    "P": ("PARTITION", "partition_term"),
    "q": ("QOS", "qos_factor"),
    "Q": ("QOS", "qos_term"),
    "r": ("PARTITION", "partition"),
    "S": ("SITE", "site"),
    "t": ("TRES", "tres_factors"),
    "T": ("TRES", "tres_terms"),
    "u": ("USER", "user"),
    "y": ("PRIORITY", "normalized"),
    "Y": ("PRIORITY", "priority"),
}
"""sprio's letters: header and column. `cluster` and `normalized` are made of others."""

WEIGHTS: dict[str, str] = {
    "age": "PriorityWeightAge",
    "assoc": "PriorityWeightAssoc",
    "fairshare": "PriorityWeightFairShare",
    "job_size": "PriorityWeightJobSize",
    "partition": "PriorityWeightPartition",
    "qos": "PriorityWeightQOS",
}
"""Key of the configuration by term."""

SHARE_FIELDS: dict[str, tuple[int, str]] = {
    "Account": (-20, "account"),
    "Cluster": (10, "cluster"),
    "EffectvUsage": (13, "effective_usage"),
    "FairShare": (10, "fairshare"),
    "ID": (6, "id"),
    "LevelFS": (10, "level_fs"),
    "NormShares": (11, "norm_shares"),
    "NormUsage": (11, "norm_usage"),
    "Partition": (12, "partition"),
    "RawShares": (10, "shares"),
    "RawUsage": (11, "usage_s"),
    "User": (10, "user"),
    "GrpTRESMins": (30, "grp_tres_mins"),
    "GrpTRESRaw": (30, "tres_mins"),
    "TRESRunMins": (30, "tres_run_mins"),
}
"""sshare's names in Slurm's order, of which the first that begins as a given name is meant: width, negative
where it stands to the left, and column. `cluster` and `id` are made of others."""
