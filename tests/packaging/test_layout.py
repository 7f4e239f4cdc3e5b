"""House rules that neither ruff nor import-linter can state."""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCES = ("scheduler", "agent", "cli", "benchmarks/simulator")


def modules(repository: Path, *folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((repository / folder).rglob("*.py")):
            if "__pycache__" not in path.parts:
                yield path.relative_to(repository).as_posix(), ast.parse(path.read_text())


def imported(tree: ast.Module) -> Iterator[str]:
    """Full names of what a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_only_convert_modules_name_protobuf_messages(repository: Path) -> None:
    offenders = [
        (name, what)
        for name, tree in modules(repository, *SOURCES)
        if not Path(name).name.startswith("convert")
        for what in imported(tree)
        if any(part.endswith("_pb2") for part in what.split("."))
        and not what.startswith("grpc_health.")  # gRPC's own service, with nothing of ours to convert
    ]
    assert offenders == []


def test_core_calls_nothing_that_touches_the_world(repository: Path) -> None:
    touching = {"open", "print", "input", "breakpoint", "exec", "eval", "__import__"}
    offenders = [
        (name, node.lineno, node.func.id)
        for name, tree in modules(repository, "scheduler/core")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in touching
    ]
    assert offenders == []


def test_no_module_is_a_drawer_for_everything(repository: Path) -> None:
    drawers = {"utils.py", "util.py", "common.py", "helpers.py", "manager.py", "misc.py"}
    names = [name for name, _ in modules(repository, *SOURCES, "tests")]
    assert [name for name in names if Path(name).name in drawers] == []
    assert len(names) > 10
