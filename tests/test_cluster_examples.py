"""The files for Slurm and Kubernetes lint, and the commands in them are commands of ours."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from dse_cli import group

FOLDER = Path(__file__).parents[1] / "examples" / "cluster"
SLURM = FOLDER / "slurm.sh"
KUBERNETES = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))


@pytest.fixture(autouse=True)
def storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSE_STORAGE", "sqlite:///never-opened")


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
    assert {"--cpus-per-task", "--mem", "--time", "--requeue", "--signal"} <= {
        o for o, _ in options
    }
    first_command = text.index("set -euo")
    assert all(place.start() < first_command for place in re.finditer("#SBATCH", text))


@pytest.mark.parametrize("role", ["search", "worker"])
def test_the_script_of_slurm_calls_us_rightly(role: str, tmp_path: Path) -> None:
    """Run for real, with a `dse` that writes down how it was called."""
    fake = tmp_path / "dse"
    fake.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$OMP_NUM_THREADS" "$@"\n')
    fake.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "ROLE": role,
        "SLURM_CPUS_PER_TASK": "2",
        "DSE_STORAGE": "postgresql://dse:secret@db/dse",
    }
    done = subprocess.run(
        [SLURM], env=environment, cwd=FOLDER.parents[1], capture_output=True, text=True, check=True
    )
    threads, *arguments = done.stdout.splitlines()
    assert threads == "2" and arguments[0] == role
    parse(arguments)
    assert "secret" not in done.stdout  # the password goes by the environment
    del environment["DSE_STORAGE"]
    refused = subprocess.run([SLURM], env=environment, capture_output=True, text=True)
    assert refused.returncode != 0 and "set it to the URL of the storage" in refused.stderr


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    for manifest in KUBERNETES:
        for container in manifest["spec"]["template"]["spec"]["containers"]:
            yield manifest["kind"], container


@pytest.mark.parametrize("manifest", KUBERNETES, ids=lambda manifest: manifest["kind"])
def test_the_manifests_are_valid(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    pod = manifest["spec"]["template"]["spec"]
    there = {volume["name"] for volume in pod["volumes"]}
    for container in pod["containers"]:
        assert {mount["name"] for mount in container["volumeMounts"]} == there


def test_the_manifests_call_us_rightly_and_hold_no_password() -> None:
    commands = {}
    for kind, container in containers():
        name, *arguments = container["command"]
        assert name == "dse"
        commands[kind] = parse(
            [a.replace("/study/study.yaml", "examples/demo.yaml") for a in arguments]
        )
        secret = {entry["name"]: entry for entry in container["env"]}["DSE_STORAGE"]
        assert secret["valueFrom"] == {"secretKeyRef": {"name": "dse", "key": "storage"}}
    # The workers work for the study that is searched, on the same data.
    assert commands["Job"]["data"] == commands["Deployment"]["data"]
    assert commands["Job"]["local_workers"] == 0
    demo = yaml.safe_load((FOLDER.parent / "demo.yaml").read_text())
    assert commands["Deployment"]["study"] == demo["name"]
