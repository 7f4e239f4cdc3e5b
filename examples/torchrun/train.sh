#!/bin/bash
#SBATCH --job-name=torchrun
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=2
#SBATCH --time=10
#SBATCH --output=train.out

# One launcher per node, started by srun; each starts as many workers as the job has CPUs (or GPUs) on a node.
# With PyTorch: LAUNCHER="torchrun". Without it launch.py does what torchrun does, with the same options.
LAUNCHER=${LAUNCHER:-python3 "${SRC:-.}/launch.py"}
TRAINING=${TRAINING:-"${SRC:-.}/train.py"}

# The workers meet at the first node. The port is one that another job on that node does not take.
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))
# Nodes that `packhorse up --nodes 2` made of one machine have names that nobody can look up.
getent hosts "$MASTER_ADDR" > /dev/null || MASTER_ADDR=127.0.0.1

# Each launcher learns from its task which node it is: torchrun's --node-rank differs, the rest is the same on all nodes.
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit bash -c "exec $LAUNCHER \
    --nnodes=$SLURM_NNODES --nproc-per-node=${SLURM_GPUS_ON_NODE:-$SLURM_CPUS_PER_TASK} \
    --node-rank=\$SLURM_NODEID --master-addr=$MASTER_ADDR --master-port=$MASTER_PORT $TRAINING"
