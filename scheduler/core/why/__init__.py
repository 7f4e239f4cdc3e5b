"""Why a job waits, what would start it, why it is where it is: questions of people, answered from the
state."""
