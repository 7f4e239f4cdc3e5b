"""The session that was recorded on a real Slurm 22.05, held again on a cluster of ours, and compared.

`python -m tests.golden_session` (or `make golden-session`) runs the recorded session's own script, which
lies beside the repository, with the commands of Packhorse on a cluster that is set up as that one was; every
transcript is compared with the recorded one, field by field. What differs and is meant to is in meant.toml,
with its reason.
"""
