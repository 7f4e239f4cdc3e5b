"""A trace of a few nodes and pods in the format of openb, for tests that change it."""

from __future__ import annotations

import gzip
from pathlib import Path

NODES = """sn,cpu_milli,memory_mib,gpu,model
n0,8000,1000,2,A
n1,8000,1000,1,B
n2,4000,1000,0,
"""
PODS = """name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec
p0,1000,100,1,600,
p1,1000,100,1,1000,A
p2,1000,100,2,1000,
p3,2000,100,0,0,
"""
ORDER = """pos,s42,s43
0,3,0
1,0,2
2,1,0
3,2,
"""
RANKS = """sn,s42,s43
n0,1,0
n1,0,2
n2,2,1
"""


def write_trace(
    folder: Path, *, nodes: str = NODES, pods: str = PODS, order: str = ORDER, ranks: str = RANKS
) -> Path:
    """The four files of a variant called small."""
    folder.mkdir(exist_ok=True)
    (folder / "openb_node_list_gpu_node.csv").write_text(nodes)
    for name, text in (("openb_pod_list", pods), ("order", order), ("noderank", ranks)):
        (folder / f"{name}_small.csv.gz").write_bytes(gzip.compress(text.encode()))
    return folder
