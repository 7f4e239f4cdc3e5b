"""Makes the Python code beside the .proto files, or checks that what is committed is what would be made.

    python proto/generate.py            writes *_pb2.py, *_pb2.pyi, *_pb2_grpc.py and *_pb2_grpc.pyi
    python proto/generate.py --check    writes nothing; lists what differs, is missing or left over; exit 1

Messages and their types come from protoc itself, the services from gRPC's generator and their types from
mypy-protobuf. All three are pinned (extra `dev`), so that two people get the same bytes.
"""

import sys
import sysconfig
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
PACKAGE = Path("packhorse/v1")
MADE = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def generate(into: Path) -> None:
    """Writes the generated modules below `into`; exits with what protoc says if a .proto file is wrong."""
    sources = sorted(path.relative_to(HERE).as_posix() for path in (HERE / PACKAGE).glob("*.proto"))
    if not sources:
        sys.exit(f"no .proto file in {HERE / PACKAGE}")
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={HERE}",
            f"--proto_path={files('grpc_tools') / '_proto'}",
            f"--plugin=protoc-gen-mypy_grpc={sysconfig.get_path('scripts')}/protoc-gen-mypy_grpc",
            f"--python_out={into}",
            f"--pyi_out={into}",
            f"--grpc_python_out={into}",
            f"--mypy_grpc_out=quiet:{into}",
            *sources,
        ]
    )
    if status != 0:
        sys.exit(status)


def made_in(folder: Path) -> dict[str, bytes]:
    """Generated files of the package below `folder`: name to content."""
    return {path.name: path.read_bytes() for pattern in MADE for path in (folder / PACKAGE).glob(pattern)}


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh = made_in(Path(scratch))
    there = made_in(HERE)
    differing = sorted(name for name in fresh.keys() | there.keys() if fresh.get(name) != there.get(name))
    if arguments:
        for name in differing:
            what = "missing" if name not in there else "left over" if name not in fresh else "differs"
            print(f"proto/{PACKAGE}/{name}: {what}", file=sys.stderr)
        if differing:
            print("run `make proto` and commit the result", file=sys.stderr)
        return 1 if differing else 0
    for name in differing:
        target = HERE / PACKAGE / name
        if name in fresh:
            target.write_bytes(fresh[name])
        else:
            target.unlink()
        print(f"proto/{PACKAGE}/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
