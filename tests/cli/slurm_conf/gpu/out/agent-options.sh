#!/bin/sh
# Made by packhorse import from slurm.conf: what a node's agent is to declare.
# On the node, or with its name as argument:
#     eval "packhorse agent $(sh agent-options.sh)"
# An agent finds CPUs, memory and GPUs by itself (packhorse agent --inventory prints them): options
# that say the same may go.
node=${1:-$(hostname -s)}
case "$node" in
# a100-[01-08]
a100-01|a100-02|a100-03|a100-04|a100-05|a100-06|a100-07|a100-08) options='--cpus 62 --mem 1024000 --features a100,amd,ib --weight 50 --gres gpu:a100:8,nvme:1 --prolog /etc/slurm/prolog.sh --epilog /etc/slurm/epilog.sh --prolog-timeout 120s --health-check /usr/sbin/nhc --health-interval 300s --cgroups auto --bind cores' ;;
# v100-[01-04,10]
v100-01|v100-02|v100-03|v100-04|v100-10) options='--cpus 80 --mem 385000 --features v100,intel --weight 20 --gres gpu:v100:4 --prolog /etc/slurm/prolog.sh --epilog /etc/slurm/epilog.sh --prolog-timeout 120s --health-check /usr/sbin/nhc --health-interval 300s --cgroups auto --bind cores' ;;
# cpu[001-016]
cpu001|cpu002|cpu003|cpu004|cpu005|cpu006|cpu007|cpu008|cpu009|cpu010|cpu011|cpu012|cpu013|cpu014|cpu015|cpu016) options='--cpus 80 --mem 190000 --features intel --prolog /etc/slurm/prolog.sh --epilog /etc/slurm/epilog.sh --prolog-timeout 120s --health-check /usr/sbin/nhc --health-interval 300s --cgroups auto --bind cores' ;;
# cloud[1-4]
cloud1|cloud2|cloud3|cloud4) options='--cpus 16 --mem 60000 --prolog /etc/slurm/prolog.sh --epilog /etc/slurm/epilog.sh --prolog-timeout 120s --health-check /usr/sbin/nhc --health-interval 300s --cgroups auto --bind cores' ;;
*) echo "$0: $node is not in what was imported" >&2; exit 1 ;;
esac
printf '%s\n' "--node $node $options"
