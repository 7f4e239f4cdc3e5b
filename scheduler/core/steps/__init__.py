"""Steps of running jobs: what `srun` starts within an allocation (docs/decisions/0011-steps.md)."""
