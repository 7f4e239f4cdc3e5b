"""Programs that drive Slurm, unmodified, against a cluster of Packhorse: `make test-clients`."""
