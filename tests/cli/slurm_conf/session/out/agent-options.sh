#!/bin/sh
# Made by packhorse import from slurm.conf: what a node's agent is to declare.
# On the node, or with its name as argument:
#     eval "packhorse agent $(sh agent-options.sh)"
# An agent finds CPUs, memory and GPUs by itself (packhorse agent --inventory prints them): options
# that say the same may go.
node=${1:-$(hostname -s)}
case "$node" in
# node1
node1) options='--cpus 8 --mem 16000 --features cpu' ;;
# node2
node2) options='--cpus 8 --mem 16000 --features cpu,gpu --gres gpu:2' ;;
*) echo "$0: $node is not in what was imported" >&2; exit 1 ;;
esac
printf '%s\n' "--node $node $options"
