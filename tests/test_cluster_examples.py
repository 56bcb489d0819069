"""The files for Slurm and Kubernetes lint, and the commands in them are commands of ours."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import yaml

from dse_cli import group

FOLDER = Path(__file__).parents[1] / "examples" / "cluster"
SLURM = FOLDER / "slurm.sh"
RAY_JOB = yaml.safe_load((FOLDER / "kubernetes.yaml").read_text())


def parse(arguments: list[str]) -> dict[str, Any]:
    """What a command of ours would be called with; nothing is run."""
    context = click.Context(group, info_name="dse")
    command = group.get_command(context, arguments[0])
    assert command is not None
    with command.make_context(arguments[0], arguments[1:], parent=context) as own:
        return dict(own.params)


def test_the_script_of_slurm_lints() -> None:
    subprocess.run(["bash", "-n", SLURM], check=True)
    program = Path(sys.executable).parent / "shellcheck"
    done = subprocess.run([program, "--severity=style", SLURM], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_options_of_slurm_are_well_formed() -> None:
    text = SLURM.read_text()
    options = re.findall(r"^#SBATCH (--[a-z-]+)(?:=(\S+))?$", text, re.M)
    assert len(options) == text.count("#SBATCH")
    assert {"--nodes", "--cpus-per-task", "--mem", "--time", "--requeue"} <= {o for o, _ in options}
    first_command = text.index("set -euo")
    assert all(place.start() < first_command for place in re.finditer("#SBATCH", text))


def test_the_script_of_slurm_calls_ray_and_us_rightly(tmp_path: Path) -> None:
    """Run for real, with a Slurm that does the command at once, and a `ray` that writes down."""
    for name, text in {
        "scontrol": 'echo "node7"; echo "node8"',
        "srun": 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
        "ray": 'printf "%s\\n" "$@"',
    }.items():
        fake = tmp_path / name
        fake.write_text(f"#!/usr/bin/env bash\n{text}\n")
        fake.chmod(0o755)
    slurm = {"SLURM_JOB_NODELIST": "node[7-8]", "SLURM_NNODES": "2", "SLURM_CPUS_PER_TASK": "16"}
    environment = os.environ | slurm | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [SLURM], env=environment, cwd=FOLDER.parents[1], capture_output=True, text=True, check=True
    )
    ray, _, ours = done.stdout.partition("--\n")
    called = ray.split()
    # Ray itself reads its options, and finds our command behind them.
    from ray.scripts.symmetric_run import curate_and_validate_ray_start_args, symmetric_run

    own = symmetric_run.make_context("symmetric-run", [*called[1:], "--", *ours.split()])
    assert called[0] == "symmetric-run" and own.params["address"] == "node7:6379"
    assert own.params["min_nodes"] == 2 and ours.split()[:2] == ["dse", "search"]
    assert "--num-cpus" in curate_and_validate_ray_start_args(called[1:])
    given = parse(ours.split()[1:])
    assert given["engine"] == "ray" and given["ray_address"] == "auto"
    assert given["out"] == "/shared/studies/demo"


def test_the_ray_job_has_pods_that_are_valid() -> None:
    """KubeRay's own fields are few; what it makes of them are pods, and those are checked."""
    assert (RAY_JOB["apiVersion"], RAY_JOB["kind"]) == ("ray.io/v1", "RayJob")
    cluster = RAY_JOB["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for number, each in enumerate(groups):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod{number}"}}
        pod["spec"] = each["template"]["spec"]
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
        there = {volume["name"] for volume in pod["spec"].get("volumes", [])}
        for container in pod["spec"]["containers"]:
            mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounts == there
            secrets = [entry for entry in container["env"] if "valueFrom" in entry]
            assert {entry["valueFrom"]["secretKeyRef"]["name"] for entry in secrets} == {"dse"}
    for worker in cluster["workerGroupSpecs"]:
        assert worker["minReplicas"] <= worker["replicas"] <= worker["maxReplicas"]


def test_the_ray_job_calls_us_rightly() -> None:
    name, *arguments = shlex.split(RAY_JOB["spec"]["entrypoint"])
    given = parse([a.replace("/study/study.yaml", "examples/demo.yaml") for a in arguments])
    assert name == "dse" and given["engine"] == "ray" and given["out"].startswith("s3://")
