"""How a machine runs a job: fork server, one supervisor per attempt, exit records, killing.

    launcher.py    the agent's side (asyncio): launch, adopt, wait, signal, terminate: the public face
    forkserver.py  a small process that forks supervisors, and gives those that are free the next attempt
    successor.py   how an attempt that ended is followed by another
    supervisor.py  one process per attempt: starts the job, watches it, kills it, writes the exit record
    child.py       what happens between fork and exec
    attemptdir.py  the files of one attempt and the order in which they become durable
    spec.py, exitrecord.py, control.py, wire.py   the values and messages that travel between them
    processes.py, jobtree.py   /proc, and who belongs to a job
    contact.py     the lease's contact file

What the fork server imports every supervisor pays for: of this package only `launcher.py` may import asyncio.
"""
