#!/bin/bash
#SBATCH --job-name=ring-openmpi
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=2
#SBATCH --output=ring-openmpi.out

# Open MPI's mpirun sees the job's nodes and tasks in the environment, and starts its daemons on them by our srun.
mpicc.openmpi -O2 -o ring.openmpi "${SRC:-.}/ring.c"
mpirun.openmpi ./ring.openmpi
