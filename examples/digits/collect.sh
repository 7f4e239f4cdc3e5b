#!/bin/bash
#SBATCH --job-name=digits-collect
#SBATCH --cpus-per-task=1
#SBATCH --mem=1G
#SBATCH --time=5
#SBATCH --output=results/%x.out

# Runs when every task of the training has succeeded (--dependency=afterok in submit.sh).
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
export OPENBLAS_NUM_THREADS="$OMP_NUM_THREADS"
export MPLBACKEND=Agg
# matplotlib keeps its list of fonts somewhere, and a home directory may not be there on every node.
export MPLCONFIGDIR="${TMPDIR:-/tmp}/matplotlib-$(id -u)"

exec python3 collect.py results
