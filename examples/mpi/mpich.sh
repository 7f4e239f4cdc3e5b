#!/bin/bash
#SBATCH --job-name=ring-mpich
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=2
#SBATCH --output=ring-mpich.out

# Programs of MPICH are started by srun itself: no mpiexec, no ssh.
mpicc.mpich -O2 -o ring.mpich "${SRC:-.}/ring.c"
srun --mpi=pmi2 --label ./ring.mpich
