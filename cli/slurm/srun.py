"""srun: run tasks on the nodes of a job, in a job of its own where it is not called within one.

Options come from the command line and from variables (srun_options); the step is described by srun_step, its
bytes are moved by steps.client. srun ends with the highest exit code of its tasks.
"""

from __future__ import annotations

import os
import sys

from packhorse.cli.slurm import sbatch_request
from packhorse.cli.slurm.options import WARNED, UsageError, print_version, take_server
from packhorse.cli.slurm.process import CommandError, run
from packhorse.cli.slurm.srun_options import PARSER, STEP, TABLE, from_environment
from packhorse.cli.slurm.submission import error_code, list_options, merged
from packhorse.cli.transport import TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from packhorse.cli.slurm.steps.shepherd import Shepherd
    from packhorse.cli.slurm.steps.start import Launch

PROG = "srun"


def main() -> int:
    """The console script."""
    code = run(PROG, command)
    sys.stderr.flush()
    # Taking an interpreter apart costs as much as starting a step, and nothing is left to be done.
    os._exit(code)


def command(words: list[str]) -> int:
    """Exit code of `srun WORDS`."""
    try:
        return _command(words)
    except (CommandError, UsageError) as error:
        error.code = error_code(error.code)
        raise
    except TransportError as error:
        raise CommandError(
            f"{PROG}: error: Unable to contact the scheduler: {error}", error_code(1)
        ) from error


def _command(words: list[str]) -> int:
    found, arguments = PARSER.parse(words)
    for name, value in found:
        if name in ("help", "usage", "version"):
            _tell(name)
            return 0
        if value in ("help", "list") and name in ("mpi", "cpu-bind"):
            _tell_values(name)
            return 0
    if ":" in arguments or ":" in words[: len(words) - len(arguments)]:
        raise sbatch_request.refuse("heterogeneous steps (:) are not supported by Packhorse yet")
    job = _job(dict(found))
    own = found if not job else [(name, value) for name, value in found if name in STEP]
    options = merged(PARSER, _variables(job, own), own)
    take_server(list(options.items()))
    if not arguments:
        raise CommandError(f"{PROG}: fatal: No command given to execute.", 1)
    _settle_nodes(options)
    for name, _ in own:
        if TABLE[name][2] == WARNED:
            sys.stderr.write(f"{PROG}: warning: option --{name} has no effect\n")
    if "verbose" in options:
        list_options(options)
    line = " ".join([PROG, *words])
    if job:
        return _within(options, arguments, job, line)
    return _outside(options, arguments, line)


def _tell(name: str) -> None:
    if name == "version":
        print_version()
        return
    from packhorse.cli.slurm import usage

    usage.show(PROG, name)


def _tell_values(name: str) -> None:
    """--mpi=list, --cpu-bind=help."""
    from packhorse.cli.slurm import srun_step

    if name == "mpi":
        sys.stdout.write(
            "MPI plugin types are...\n" + "".join([f"\t{kind}\n" for kind in srun_step.MPI_TYPES])
        )
    else:
        sys.stdout.write(srun_step.CPU_BIND_HELP)


def _job(line: dict[str, str]) -> str:
    """The job in which the step is to run, "" for none."""
    text = line.get("jobid") or os.environ.get("SLURM_JOB_ID") or os.environ.get("SLURM_JOBID") or ""
    if text and not (text.isdecimal() and text.isascii() and 0 < len(text) < 19 and int(text)):
        raise CommandError(f'{PROG}: error: Invalid numeric value "{text}" for --jobid.', 255)
    return str(int(text)) if text else ""


def _variables(job: str, line: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What variables ask for, as far as the command line leaves room for it."""
    found = from_environment(os.environ, job)
    if job:
        found = [(name, value) for name, value in found if name in STEP]
    named = {name for name, _ in line}
    dropped: set[str] = set()
    if named & {"nodelist", "nodefile", "relative"} and "nodes" not in named:
        dropped.add("nodes")
    if named & {"ntasks-per-node", "tasks-per-node", "ntasks-per-gpu"} and "ntasks" not in named:
        dropped.add("ntasks")
    if "ntasks" in named:
        dropped.update(("ntasks-per-node", "ntasks-per-gpu"))
    found = [(name, value) for name, value in found if name not in dropped]
    # Of what does not exist here, a variable that some site sets everywhere is no error.
    return [(name, value) for name, value in found if TABLE[name][2] != "not yet"]


def _settle_nodes(options: dict[str, str]) -> None:
    """A list of nodes with a slash in it is the name of a file with the list."""
    if "/" in options.get("nodelist", ""):
        options["nodefile"] = options.pop("nodelist")
    if "/" in options.get("exclude", ""):
        options["exclude"] = ",".join(sbatch_request.node_file(options["exclude"]))


def _within(options: dict[str, str], arguments: list[str], job: str, line: str) -> int:
    """A step of a job that there is."""
    from packhorse.cli.slurm.steps.start import Launch

    launch = Launch(options, arguments, int(job), True, line)
    if "test-only" in options:
        return 0
    return launch.run()


def _outside(options: dict[str, str], arguments: list[str], line: str) -> int:
    """A job, one step of it, and the end of the job."""
    if "relative" in options:
        raise CommandError(f"{PROG}: fatal: --relative is for steps of a job that there is already", 1)
    if "hold" in options and "immediate" in options:
        raise sbatch_request.refuse("--hold and --immediate are mutually exclusive", 1)
    from packhorse.cli.slurm.steps import allocation
    from packhorse.cli.slurm.steps.shepherd import Shepherd
    from packhorse.cli.slurm.steps.start import Launch
    from packhorse.cli.slurm.submission import warn_of_too_many_nodes

    if options.get("clusters"):
        from packhorse.cli.slurm.clusters import checked

        checked(PROG, options["clusters"])
    wait_s = allocation.immediate_s(options)
    launch = Launch(options, arguments, 0, False, line)
    name = options.get("job-name") or os.path.basename(arguments[0])
    asked = dict(options)
    if "overcommit" in asked:
        # As if there were one task on each node; how many there are is the step's business.
        asked.pop("ntasks", None)
        asked.pop("ntasks-per-node", None)
    request = sbatch_request.allocation(asked, PROG, name, line)
    warn_of_too_many_nodes(request["spec"]["ask"])
    job_id = allocation.submit(request)
    if "test-only" in options:
        return 0
    with Shepherd(job_id) as shepherd:
        return _hold(launch, job_id, wait_s, "quiet" in options, shepherd)


def _hold(launch: Launch, job_id: int, wait_s: int, quiet: bool, shepherd: Shepherd) -> int:
    """From the submission to the end of the job; the step's code."""
    from packhorse.cli.slurm.steps import allocation

    if allocation.granted(job_id, wait_s, quiet) is None:
        shepherd.end(1)
        sys.stderr.write(
            f"{PROG}: Job allocation {job_id} has been revoked\n{PROG}: Force Terminated JobId={job_id}\n"
        )
        return error_code(1)
    code, number = 1, 0
    try:
        launch.job_id = job_id
        status = launch.run()
        code, number = (status, 0) if status < 129 or not launch.signalled else (0, status - 128)
        return status
    finally:
        shepherd.end(code, number)


if __name__ == "__main__":
    sys.exit(main())
