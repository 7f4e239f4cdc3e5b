"""A program that finds the other tasks of its step by PMI, for tests of srun --mpi=pmi2.

    pmi_program.py 1|2 [WHAT]

With the protocol of that version it puts a key, comes to a fence, gets the keys of all others, twice, and
prints what it knows. WHAT: `abort CODE` aborts as rank 1, `die` ends as rank 1 before the first fence, with
code 3.
"""

from __future__ import annotations

import os
import socket
import sys


class Pmi:
    """One task's side."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.socket = socket.socket(fileno=int(os.environ["PMI_FD"]))
        self.stream = self.socket.makefile("rb")
        self.rank, self.size = int(os.environ["PMI_RANK"]), int(os.environ["PMI_SIZE"])
        subversion = 2 - version
        said = self._line(f"cmd=init pmi_version={version} pmi_subversion={subversion}\n")
        assert said == {
            "cmd": "response_to_init",
            "rc": "0",
            "pmi_version": str(version),
            "pmi_subversion": str(subversion),
        }, said
        if version == 2:
            said = self.ask("fullinit", pmijobid=os.environ["PMI_JOBID"], pmirank=self.rank, threaded="FALSE")
            assert (said["rank"], said["size"]) == (str(self.rank), str(self.size)), said

    def _line(self, text: str) -> dict[str, str]:
        self.socket.sendall(text.encode())
        return self._fields(self.stream.readline().decode().rstrip("\n").split(" "))

    @staticmethod
    def _fields(words: list[str]) -> dict[str, str]:
        return dict(word.partition("=")[::2] for word in words if word)

    def ask(self, command: str, **fields: object) -> dict[str, str]:
        """One request of the version that is spoken, and its answer, if it succeeded."""
        if self.version == 1:
            said = self._line(f"cmd={command}" + "".join([f" {k}={v}" for k, v in fields.items()]) + "\n")
        else:
            self.tell(command, **fields)
            length = int(self.stream.read(6))
            said = self._fields(self.stream.read(length).decode().split(";"))
        assert said["rc"] == "0", said
        return said

    def tell(self, command: str, **fields: object) -> None:
        """A request without an answer."""
        if self.version == 1:
            text = f"cmd={command}" + "".join([f" {k}={v}" for k, v in fields.items()]) + "\n"
        else:
            body = f"cmd={command};" + "".join([f"{k}={v};" for k, v in fields.items()])
            text = f"{len(body):<6}{body}"
        self.socket.sendall(text.encode())

    def put(self, key: str, value: str) -> None:
        self.ask("put" if self.version == 1 else "kvs-put", key=key, value=value)

    def fence(self) -> None:
        self.ask("barrier_in" if self.version == 1 else "kvs-fence")

    def get(self, key: str) -> str:
        return self.ask("get" if self.version == 1 else "kvs-get", key=key)["value"]

    def mapping(self) -> str:
        if self.version == 1:
            return self.get("PMI_process_mapping")
        return self.ask("info-getjobattr", key="PMI_process_mapping")["value"]


def main() -> None:
    version, what = int(sys.argv[1]), sys.argv[2:]
    pmi = Pmi(version)
    if what == ["die"] and pmi.rank == 1:
        sys.exit(3)
    if what[:1] == ["abort"] and pmi.rank == 1:
        pmi.tell("abort", exitcode=what[1], isworld="TRUE", msg="enough")
        pmi.fence()  # nobody comes
    found = []
    for turn in range(2):
        pmi.put(f"{turn}.{pmi.rank}", f"{turn}/{pmi.rank}/{os.environ['SLURMD_NODENAME']}")
        pmi.fence()
        found += [pmi.get(f"{turn}.{rank}") for rank in range(pmi.size)]
    where = [word.rpartition("/")[2] for word in found[: pmi.size]]
    assert found == [f"{turn}/{rank}/{where[rank]}" for turn in range(2) for rank in range(pmi.size)], found
    print(pmi.rank, pmi.size, pmi.mapping(), ",".join(sorted(set(where))), flush=True)
    pmi.ask("finalize")


main()
