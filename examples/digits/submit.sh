#!/bin/bash
# Submits the training and, behind it, the job that collects what it found. Run it in this folder: bash submit.sh
set -eu
cd "$(dirname "$0")"

mkdir -p results
training=$(sbatch --parsable train.sh)
collecting=$(sbatch --parsable --dependency="afterok:$training" collect.sh)

echo "training in array job $training, collecting in job $collecting"
echo "watch them with squeue; then see results/summary.txt and results/confusion.png"
