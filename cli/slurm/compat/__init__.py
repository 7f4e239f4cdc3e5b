"""How far Slurm's command lines and configuration are understood: the page docs/slurm.md, made from the very
tables that the commands parse with."""
