#!/usr/bin/env bash
# A search under Slurm: a job array of workers, and one job that coordinates.
#
#   export DSE_STORAGE='postgresql://dse:PASSWORD@db.example.org/dse'   # never as an argument
#   sbatch --job-name=dse-search --ntasks=1 --array=0 --export=ALL,ROLE=search examples/cluster/slurm.sh
#   sbatch --job-name=dse-worker --array=1-32%16 examples/cluster/slurm.sh
#
# Both may be cancelled, requeued and preempted at any moment: what is trained is kept after each
# epoch, and the next worker goes on from there. A coordinator that is requeued pulls its study from
# the storage, on whatever node it comes up.
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@60
#SBATCH --output=dse-%x-%A-%a.log
set -euo pipefail

: "${DSE_STORAGE:?set it to the URL of the storage, and let sbatch pass it on (--export=ALL)}"
STUDY="${STUDY:-examples/demo.yaml}"
NAME="${NAME:-demo}"
DATA="${DATA:-/shared/speech}"
ARTIFACTS="${ARTIFACTS:-/shared/dse-artifacts}"
PARALLEL="${PARALLEL:-16}"
FOLDER="${FOLDER:-studies/$NAME}"

# A node has many cores, and a worker one: OpenMP must not take the others.
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"

if [ "${ROLE:-worker}" = search ]; then
    exec dse search "$STUDY" --data "$DATA" --out "$FOLDER" --workers "$PARALLEL" \
        --local-workers 0 --artifacts "$ARTIFACTS"
fi

# `exec`: Slurm's signal reaches the worker, which gives its design back before it ends.
exec dse worker --study "$NAME" --data "$DATA" --artifacts "$ARTIFACTS" \
    --threads "$OMP_NUM_THREADS" --idle-seconds 900
