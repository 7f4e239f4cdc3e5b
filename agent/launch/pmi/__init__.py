"""PMI: how the tasks of a step find each other, as programs of the MPICH family ask for it (`--mpi=pmi2`).

Every task gets a socket. What it says there is cut into requests by the protocol that it chose first, PMI-1
(pmi1.py) or PMI-2 (pmi2.py); conversation.py answers them from what the node knows (space.py). Fences join
all tasks of the step: nodes tell the step's owner what their tasks put, and get what all of them did
(exchange.py). Nothing here does any input or output but tasks.py, which is what a supervisor holds.
"""
