"""A policy in a Python file of the user's own: an order, or a placement policy, or both.

    # shortest_first_with_age.py
    from packhorse.scheduler.core.orders import Order
    ORDER = Order("aged-sjf", "short jobs first, old ones sooner", True, lambda w: w.run_s - 2 * w.wait_s)

The file is read before it is run: what could look at the clock, roll dice, touch files or the network, or
reach into the interpreter is refused by name. What it gets are arrays that cannot be written to, and the same
question is asked twice. That keeps mistakes out; it is no sandbox for strangers' code.
"""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path
from typing import Final

import numpy as np

from packhorse.scheduler.core.orders import ORDERS, Order, Waiting
from packhorse.scheduler.core.packing.policies import add
from packhorse.scheduler.core.packing.policy import Policy
from packhorse.scheduler.model.errors import BadValue

MODULES: Final = (
    "numpy",
    "math",
    "typing",
    "collections",
    "dataclasses",
    "functools",
    "itertools",
    "__future__",
)
"""What a policy may import, and from the core: its own kinds of values."""

_OURS: Final = (
    "packhorse.scheduler.core.orders",
    "packhorse.scheduler.core.packing",
    "packhorse.scheduler.model",
)
_NAMES: Final = frozenset(
    "open exec eval compile input print globals locals vars breakpoint setattr delattr exit quit".split()  # noqa: SIM905
)
_ATTRIBUTES: Final = frozenset("random load save savez fromfile tofile memmap setflags".split())  # noqa: SIM905


def load(path: Path) -> tuple[Order | None, Policy | None]:
    """What the file defines as ORDER and POLICY, made known under their names.

    BadValue names the file, the line and what is wrong: it cannot be read, is not pure, defines neither,
    takes a name that is taken, raises, or does not answer as it should.
    """
    try:
        text = path.read_text()
        tree = ast.parse(text, str(path))
    except (OSError, UnicodeDecodeError) as why:
        raise BadValue(f"{path}: cannot be read: {getattr(why, 'strerror', None) or why}") from None
    except (SyntaxError, ValueError) as why:
        raise BadValue(f"{path}, line {getattr(why, 'lineno', 0)}: {getattr(why, 'msg', why)}") from None
    _refuse_impure(path, tree)
    space: dict[str, object] = {"__name__": f"packhorse_policy_{digest(path)[:8]}", "__file__": str(path)}
    try:
        exec(compile(tree, str(path), "exec"), space)
    except Exception as why:  # whatever the file does wrong is told, not shown as a traceback
        raise BadValue(f"{path}: {_where(path, why)}{type(why).__name__}: {why}") from None
    order, policy = space.get("ORDER"), space.get("POLICY")
    if not isinstance(order, Order | None) or not isinstance(policy, Policy | None):
        raise BadValue(
            f"{path}: ORDER must be an Order (core/orders.py), POLICY a Policy (packing/policy.py)"
        )
    if order is None and policy is None:
        raise BadValue(f"{path}: defines neither ORDER nor POLICY")
    if order is not None:
        _try(path, order)
        if ORDERS.setdefault(order.name, order) is not order:
            raise BadValue(f'{path}: there is an order "{order.name}" already; give it another name')
    if policy is not None:
        try:
            add(policy.name, policy)
        except BadValue as bad:
            raise BadValue(f"{path}: {bad}") from None
    return order, policy


def digest(path: Path) -> str:
    """Equal for equal files."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _refuse_impure(path: Path, tree: ast.Module) -> None:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "."]
        for name in names:
            if name.partition(".")[0] not in MODULES and not name.startswith(_OURS):
                raise BadValue(
                    f'{path}, line {_line(node)}: a policy may not import "{name}"; only '
                    f"{', '.join(MODULES)} and the scheduler's own orders and policies"
                )
        wrong = ""
        if isinstance(node, ast.Name) and node.id in _NAMES:
            wrong = node.id
        elif isinstance(node, ast.Attribute) and (node.attr in _ATTRIBUTES or node.attr.startswith("__")):
            wrong = node.attr
        elif isinstance(node, ast.Global | ast.Nonlocal):
            wrong = "global" if isinstance(node, ast.Global) else "nonlocal"
        if wrong:
            raise BadValue(
                f'{path}, line {_line(node)}: a policy may not use "{wrong}": it has to be pure, the same '
                "question has the same answer, without clock, chance, files or memory of its own"
            )


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


def _try(path: Path, order: Order) -> None:
    """Asks for the keys of a few jobs, twice."""
    n = 7
    columns = [np.linspace(low, high, n) for low, high in ((0, 1e6), (1, 1e5), (1, 1e5), (1, 64))]
    extra = len(Waiting._fields) - len(columns)
    sample = Waiting(*columns, *([np.zeros(n)] * extra))
    for column in sample:
        column.flags.writeable = False
    try:
        keys = [np.asarray(order.key(sample), dtype=np.float64) for _ in range(2)]
    except Exception as why:  # a stranger's function
        raise BadValue(
            f'{path}: order "{order.name}": {_where(path, why)}{type(why).__name__}: {why}'
        ) from None
    if keys[0].shape != (n,) or not np.isfinite(keys[0]).all():
        raise BadValue(
            f'{path}: order "{order.name}": for {n} jobs it gave {keys[0].shape}, expected {n} finite numbers'
        )
    if not (keys[0] == keys[1]).all():
        raise BadValue(f'{path}: order "{order.name}": the same question had two answers; it has to be pure')


def _where(path: Path, why: BaseException) -> str:
    """The last line of the file on the way to the error."""
    line, trace = 0, why.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"line {line}: " if line else ""
