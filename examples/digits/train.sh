#!/bin/bash
#SBATCH --job-name=digits-train
#SBATCH --array=0-15
#SBATCH --cpus-per-task=1
#SBATCH --mem=512M
#SBATCH --time=5
#SBATCH --output=results/%x-%a.out

# One point of the grid per array task; as many threads as CPUs were granted, and no more.
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
export OPENBLAS_NUM_THREADS="$OMP_NUM_THREADS"

exec python3 train.py "$SLURM_ARRAY_TASK_ID" results
