"""The options of sbatch, and the environment variables that stand for them."""

from __future__ import annotations

from packhorse.cli.slurm.options import (
    HARMLESS,
    NONE,
    NOT_YET,
    OPTIONAL,
    REQUIRED,
    USED,
    WARNED,
    Parser,
    is_set,
)

# Alphabetical: ambiguity messages list them in this order. HARMLESS ones have no effect because nothing
# that they ask for exists here (mail, profiling) or because they only permit something (sharing, burst
# hints).
TABLE: dict[str, tuple[str, int, str]] = {
    "account": ("A", REQUIRED, USED),
    "acctg-freq": ("", REQUIRED, HARMLESS),
    "array": ("a", REQUIRED, USED),
    "batch": ("", REQUIRED, WARNED),
    "bb": ("", REQUIRED, WARNED),
    "bbf": ("", REQUIRED, WARNED),
    "begin": ("b", REQUIRED, USED),
    "chdir": ("D", REQUIRED, USED),
    "checkpoint-signal": ("", REQUIRED, USED),
    "cluster-constraint": ("", REQUIRED, WARNED),
    "clusters": ("M", REQUIRED, USED),
    "comment": ("", REQUIRED, USED),
    "constraint": ("C", REQUIRED, USED),
    "container": ("", REQUIRED, USED),
    "container-image": ("", REQUIRED, USED),
    "contiguous": ("", NONE, USED),
    "core-spec": ("S", REQUIRED, WARNED),
    "cores-per-socket": ("", REQUIRED, WARNED),
    "cpu-freq": ("", REQUIRED, WARNED),
    "cpus-per-gpu": ("", REQUIRED, USED),
    "cpus-per-task": ("c", REQUIRED, USED),
    "deadline": ("", REQUIRED, USED),
    "delay-boot": ("", REQUIRED, HARMLESS),
    "dependency": ("d", REQUIRED, USED),
    "distribution": ("m", REQUIRED, USED),
    "error": ("e", REQUIRED, USED),
    "exclude": ("x", REQUIRED, USED),
    "exclusive": ("", OPTIONAL, USED),
    "export": ("", REQUIRED, USED),
    "export-file": ("", REQUIRED, USED),
    "extra-node-info": ("B", REQUIRED, WARNED),
    "gang": ("", REQUIRED, USED),
    "get-user-env": ("", OPTIONAL, USED),
    "gid": ("", REQUIRED, NOT_YET),
    "gpu-bind": ("", REQUIRED, USED),
    "gpu-freq": ("", REQUIRED, WARNED),
    "gpu-link": ("", REQUIRED, USED),
    "gpu-share": ("", REQUIRED, USED),
    "gpus": ("G", REQUIRED, USED),
    "gpus-per-node": ("", REQUIRED, USED),
    "gpus-per-socket": ("", REQUIRED, NOT_YET),
    "gpus-per-task": ("", REQUIRED, USED),
    "gres": ("", REQUIRED, USED),
    "gres-flags": ("", REQUIRED, USED),
    "help": ("h", NONE, USED),
    "hint": ("", REQUIRED, WARNED),
    "hold": ("H", NONE, USED),
    "hops": ("", REQUIRED, USED),
    "idle-gpu-ok": ("", NONE, USED),
    "ignore-pbs": ("", NONE, USED),
    "input": ("i", REQUIRED, USED),
    "job-name": ("J", REQUIRED, USED),
    "kill-on-invalid-dep": ("", REQUIRED, USED),
    "licenses": ("L", REQUIRED, USED),
    "mail-type": ("", REQUIRED, USED),
    "mail-user": ("", REQUIRED, USED),
    "mcs-label": ("", REQUIRED, WARNED),
    "mem": ("", REQUIRED, USED),
    "mem-bind": ("", REQUIRED, WARNED),
    "mem-per-cpu": ("", REQUIRED, USED),
    "mem-per-gpu": ("", REQUIRED, USED),
    "mincpus": ("", REQUIRED, USED),
    "network": ("", REQUIRED, WARNED),
    "nice": ("", OPTIONAL, USED),
    "no-kill": ("k", OPTIONAL, WARNED),
    "no-lend": ("", NONE, USED),
    "no-requeue": ("", NONE, USED),
    "nodefile": ("F", REQUIRED, USED),
    "nodelist": ("w", REQUIRED, USED),
    "nodes": ("N", REQUIRED, USED),
    "ntasks": ("n", REQUIRED, USED),
    "ntasks-per-core": ("", REQUIRED, WARNED),
    "ntasks-per-gpu": ("", REQUIRED, USED),
    "ntasks-per-node": ("", REQUIRED, USED),
    "ntasks-per-socket": ("", REQUIRED, WARNED),
    "oom-retry": ("", REQUIRED, USED),
    "open-mode": ("", REQUIRED, USED),
    "output": ("o", REQUIRED, USED),
    "overcommit": ("O", NONE, USED),
    "oversubscribe": ("s", NONE, HARMLESS),
    "parsable": ("", NONE, USED),
    "partition": ("p", REQUIRED, USED),
    "power": ("", REQUIRED, WARNED),
    "prefer": ("", REQUIRED, WARNED),
    "priority": ("", REQUIRED, USED),
    "profile": ("", REQUIRED, HARMLESS),
    "propagate": ("", OPTIONAL, USED),
    "qos": ("q", REQUIRED, USED),
    "quiet": ("Q", NONE, USED),
    "reboot": ("", NONE, NOT_YET),
    "requeue": ("", NONE, USED),
    "reservation": ("", REQUIRED, USED),
    "retry": ("", REQUIRED, USED),
    "right-size": ("", OPTIONAL, USED),
    "server": ("", REQUIRED, USED),
    "signal": ("", REQUIRED, USED),
    "sockets-per-node": ("", REQUIRED, WARNED),
    "spread-job": ("", NONE, USED),
    "switches": ("", REQUIRED, USED),
    "tasks-per-node": ("", REQUIRED, USED),
    "test-only": ("", NONE, USED),
    "thread-spec": ("", REQUIRED, WARNED),
    "threads-per-core": ("", REQUIRED, WARNED),
    "time": ("t", REQUIRED, USED),
    "time-min": ("", REQUIRED, HARMLESS),
    "tmp": ("", REQUIRED, USED),
    "uid": ("", REQUIRED, NOT_YET),
    "usage": ("", NONE, USED),
    "use-min-nodes": ("", NONE, HARMLESS),
    "verbose": ("v", NONE, USED),
    "version": ("V", NONE, USED),
    "wait": ("W", NONE, USED),
    "wait-all-nodes": ("", REQUIRED, HARMLESS),
    "wckey": ("", REQUIRED, USED),
    "wrap": ("", REQUIRED, USED),
}

PARSER = Parser("sbatch", TABLE, bad=255, permute=False)

_VARIABLES = {
    "SBATCH_ARRAY_INX": "array",
    "SBATCH_DEBUG": "verbose",
    "SBATCH_MEM_PER_NODE": "mem",
    "SBATCH_TIMELIMIT": "time",
    "SBATCH_REQ_SWITCH": "switches",
    "SLURM_CLUSTERS": "clusters",
    "SLURM_HINT": "hint",
}
"""Variables that are not spelled SBATCH_ plus the option's name."""

# fmt: off
_WITH_VARIABLE = frozenset((
    "account", "acctg-freq", "batch", "checkpoint-signal", "clusters", "constraint", "container",
    "core-spec", "cpus-per-gpu",
    "delay-boot", "distribution", "error", "exclusive", "export", "get-user-env", "gpu-bind", "gpu-freq",
    "gpus", "gpus-per-node", "gpus-per-task", "gres", "gres-flags", "hint", "ignore-pbs", "input",
    "job-name", "mem-bind", "mem-per-cpu", "mem-per-gpu", "network", "no-kill", "no-lend", "no-requeue",
    "oom-retry", "open-mode", "output", "overcommit", "partition", "power", "profile", "qos", "requeue",
    "reservation", "right-size", "signal", "spread-job", "thread-spec", "threads-per-core",
    "use-min-nodes", "wait", "wait-all-nodes", "wckey",
))
# fmt: on


def from_environment(environment: dict[str, str]) -> list[tuple[str, str]]:
    """The options that SBATCH_* variables stand for, as (long name, value)."""
    found: list[tuple[str, str]] = []
    for variable, value in environment.items():
        if variable in _VARIABLES:
            name = _VARIABLES[variable]
        elif variable.startswith("SBATCH_"):
            name = variable[7:].lower().replace("_", "-")
            if name not in _WITH_VARIABLE:
                continue
        else:
            continue
        if name == "switches" and "@" not in value and environment.get("SBATCH_WAIT4SWITCH"):
            value = f"{value}@{environment['SBATCH_WAIT4SWITCH']}"
        if TABLE[name][1] != NONE:
            found.append((name, value))
        elif is_set(value):
            found.append((name, ""))
    return found


if __name__ == "__main__":
    import sys

    from packhorse.cli.slurm.srun_options import row

    lines = ["| option | here |", "|---|---|", *[row(name, option) for name, option in TABLE.items()]]
    sys.stdout.write("\n".join(lines) + "\n")
