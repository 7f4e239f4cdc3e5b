"""`python -m packhorse.cli.slurm.compat > docs/slurm.md`."""

import sys

from packhorse.cli.slurm.compat.page import page

sys.stdout.write(page())
