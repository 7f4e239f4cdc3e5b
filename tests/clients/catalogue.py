"""Which clients are run, with which versions of them, and by which programs.

A client's environment is made from the package registry, apart from everybody else's, so that their
dependencies never meet. Versions are pinned: a new one is a change to be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Client:
    """One environment and what runs in it.

    requirements: what pip installs; (): the standard library is enough. acceptance: programs in
    ../shared/acceptance. programs: ours, in tests/clients/programs; both without the ending `.py`. within_s:
    of each.
    """

    name: str
    requirements: tuple[str, ...] = ()
    acceptance: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    within_s: int = 300


ACCEPTANCE = Client(
    "acceptance",
    ("submitit==1.5.4", "simple-slurm==0.3.6", "reportseff==2.10.3"),
    acceptance=("cli-shapes", "task-env", "submitit-basic", "simple-slurm", "reportseff-basic"),
    programs=("submitit_requeue",),
)

CLIENTS = (
    ACCEPTANCE,
    Client(
        "snakemake",
        (
            "snakemake==9.27.1",
            "snakemake-executor-plugin-slurm==2.8.0",
            "snakemake-executor-plugin-slurm-jobstep==0.6.1",
        ),
        programs=("snakemake_workflow",),
        within_s=600,
    ),
    Client("dask", ("dask-jobqueue==0.9.0",), programs=("dask_cluster",)),
    Client("parsl", ("parsl==2026.10.26",), programs=("parsl_slurm",)),
    Client("psij", ("psij-python==0.9.11",), programs=("psij_slurm",)),
    Client("reframe", ("reframe-hpc==4.10.4",), programs=("reframe_slurm",)),
    Client(
        "hydra",
        ("hydra-submitit-launcher==1.2.0", "submitit==1.5.4", "setuptools<81"),
        programs=("hydra_submitit",),
    ),
    Client("qtoolkit", ("qtoolkit==0.1.7",), programs=("qtoolkit_slurm",)),
    Client(
        "executorlib",
        ("executorlib==1.11.0", "pysqa==1.1.1", "h5py==3.16.0"),
        programs=("executorlib_slurm",),
    ),
    Client("torchx", ("torchx==0.7.0",), programs=("torchx_slurm",)),
    Client("aiida", ("aiida-core==2.9.4",), programs=("aiida_slurm",)),
    Client("cluster_utils", ("cluster_utils[runner]==3.0.0",), programs=("cluster_utils_slurm",)),
    Client("lightning", ("lightning-fabric==2.6.6",), programs=("lightning_env",)),
    Client("pyslurmutils", ("pyslurmutils==1.7.0",), programs=("pyslurmutils_rest",)),
    Client("slurm-magic", ("slurm-magic==0.1.0",), programs=("slurm_magic_cells",)),
    Client("myqueue", ("myqueue==26.8.1",), programs=("myqueue_tasks",)),
    Client("gridtk", ("gridtk==4.0.0",), programs=("gridtk_jobs",)),
    Client(
        "small",
        (
            "slurm2sql==0.9.9",
            "slurmpast==0.9.0",
            "slurm-usage==3.1.0",
            "slurm_gpustat==0.0.15",
            "termcolor",
            "slurminade==1.1.2",
            "slurmpy==0.0.8",
            "slurm-sweeps==0.1.3",
        ),
        programs=("accounting_readers", "slurminade_calls"),
    ),
    Client("slurmrestapi", ("slurmrestapi==25.11.4.0",), programs=("slurmrestapi_calls",)),
)
