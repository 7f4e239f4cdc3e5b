#!/bin/bash
#SBATCH -J JobName
#SBATCH --time=11:00:00
#SBATCH --mem-per-cpu=4096
#SBATCH --cpus-per-task=4

echo "job $SLURM_JOB_ID ($SLURM_JOB_NAME) on $(hostname)"
echo "CPUs per task: $SLURM_CPUS_PER_TASK, memory per CPU: $SLURM_MEM_PER_CPU MiB"
echo "time limit: $(squeue -h -j "$SLURM_JOB_ID" -o %l)"
