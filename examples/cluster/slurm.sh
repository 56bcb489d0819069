#!/usr/bin/env bash
# A search under Slurm: Ray on all nodes of an allocation, and the search on the first of them.
#
#   sbatch --nodes=4 examples/cluster/slurm.sh
#   DATA=/shared/speech STUDY=my-study.yaml FOLDER=/shared/my-study sbatch --nodes=16 examples/cluster/slurm.sh
#
# FOLDER lies on a file system that all nodes share. The job may be cancelled, requeued and preempted
# at any moment: what is trained is kept after each epoch, and the next run goes on from there.
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=32G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@60
#SBATCH --output=dse-%x-%j.log
set -euo pipefail

STUDY="${STUDY:-examples/demo.yaml}"
DATA="${DATA:-/shared/speech}"
FOLDER="${FOLDER:-/shared/studies/demo}"
CACHE="${CACHE:-$FOLDER.cache}"
PORT="${PORT:-6379}"

HEAD="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)"  # `head` would end the pipe early

# `ray symmetric-run` runs on every node: the first starts the cluster and, when all have joined,
# the search; the others serve until it has ended.
exec srun --nodes="$SLURM_NNODES" --ntasks="$SLURM_NNODES" \
    ray symmetric-run --address "$HEAD:$PORT" --min-nodes "$SLURM_NNODES" \
    --num-cpus "$SLURM_CPUS_PER_TASK" -- \
    dse search "$STUDY" --data "$DATA" --out "$FOLDER" --cache "$CACHE" \
    --engine ray --ray-address auto
