"""Run other tools on exported designs, and keep what they say for the tests.

    .venv/bin/python benchmarks/run_exported.py zigzag scalesim
    .venv/bin/python benchmarks/run_exported.py accelforge --accelforge PYTHON

pip puts each tool into a folder of its own, as neither may lie in ours: ZigZag brings a package
`tests`, SCALE-Sim needs an older numpy. What else they import is taken from our environment.
AccelForge needs Python 3.12 and much of its own: name an interpreter that has accelforge==1.0.467,
and graphviz; it maps each layer by itself, for the least energy, some 20 s a layer.

Files go to `tests/dse/interchange/exported/`: the exported files' SHA-256 beside the figures, so
that a test notices when an export changes and this must run again. The tests run one case of ZigZag
and one of
SCALE-Sim anew.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.networks import ds_cnn_s
from cost_models import Accelerator, Workload, load_accelerator, load_technology
from dse.design.published import published
from dse.interchange.exporting import tool_files
from dse.networks.lowering import lower

FOLDER = Path(__file__).parents[1] / "tests" / "dse" / "interchange" / "exported"

CASES = {
    "zigzag": (
        ("matchboxnet-3x1x64", "kws_int8", 128, 12),
        ("matchboxnet-3x1x64-P2", "kws_int8", 128, 12),
        ("matchboxnet-3x1x64", "kws_int8_dram", 128, 12),
        ("ds-cnn-s-block", "kws_int8", 24, 12),
    ),
    "scalesim": (
        ("matchboxnet-3x1x64", "systolic_32x32", 128, 12),
        ("ds-cnn-s", "systolic_32x32", 49, 12),
    ),
    "accelforge": (("matchboxnet-3x1x64", "kws_int8_dram_bit_by_bit", 128, 12),),
}
"""Tool -> design, machine (of the library, or a file beside the figures), frames, outputs."""

PACKAGES = {
    "zigzag": (
        "zigzag-dse==3.9.1",
        "six==1.17.0",  # not among its requirements
        "multiprocessing_on_dill==3.5.0a4",
        "dill==0.4.1",
        "cerberus==1.3.8",
        "seaborn==0.13.2",
        "typeguard==4.6.1",
    ),
    # With numpy 2.4 it ends with an error: int() of an array.
    "scalesim": ("scalesim==3.0.0", "numpy==2.3.5", "absl-py==2.5.1", "configparser==7.3.0"),
}
"""Tool -> what our environment does not have of it."""

RUNNERS = {
    "zigzag": """
import contextlib, io, json, logging, sys
logging.basicConfig(level=logging.ERROR)
from zigzag.api import get_hardware_performance_zigzag
with contextlib.redirect_stdout(io.StringIO()):
    _, _, results = get_hardware_performance_zigzag(
        "workload.yaml", "hardware.yaml", "mapping.yaml", opt="EDP", dump_folder="out",
        lpf_limit=6, nb_spatial_mappings_generated=3, loma_show_progress_bar=False)
print(json.dumps([{
    "layer": found.layer.name, "macs": found.layer.total_mac_count,
    "energy_pj": found.energy_total, "mac_energy_pj": found.mac_energy,
    "cycles": found.latency_total2} for found, _ in results[0][1]]))
""",
    "scalesim": """
import contextlib, io, json
from scalesim.scale_sim import scalesim
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    simulation = scalesim(save_disk_space=True, verbose=False, config="scalesim.cfg",
                          topology="topology.csv", layout="layout.csv")
    simulation.run_scale(top_path=".")
rows = []
names = [line.split(",")[0] for line in open("topology.csv").read().splitlines()[1:]]
for layer, name in zip(simulation.runner.single_layer_sim_object_list, names):
    report = layer.get_compute_report_items()
    rows.append({"layer": name, "cycles": int(report[1]), "stalls": int(report[2])})
print(json.dumps(rows))
""",
    "accelforge": """
import contextlib, io, json, accelforge
from ruamel.yaml import YAML
rows, yaml = [], YAML(typ="safe")
for einsum in yaml.load(open("workload.yaml"))["workload"]["einsums"]:
    with open("layer.yaml", "w") as file:
        yaml.dump({"workload": {"einsums": [einsum]}}, file)
    with contextlib.redirect_stdout(io.StringIO()):
        spec = accelforge.Spec.from_yaml("arch.yaml", "layer.yaml")
        spec.mapper.metrics = accelforge.Metrics.ENERGY
        mapped = spec.map_workload_to_arch()
    actions = mapped.energy(per_component=True, per_action=True)
    mac = sum(joule for key, joule in actions.items() if "MAC" in key)
    rows.append({"layer": einsum["name"], "energy_pj": float(mapped.energy()) * 1e12,
                 "mac_energy_pj": float(mac) * 1e12})
print(json.dumps(rows))
""",
}


def find_machine(name: str) -> Accelerator:
    """A machine of the library, or one that lies beside the figures."""
    own = FOLDER / f"{name}.yaml"
    return load_accelerator(own if own.exists() else name)


def exported(tool: str, case: tuple[str, str, int, int]) -> dict[str, str]:
    """File name -> text of a case."""
    machine = find_machine(case[1])
    return tool_files(tool, find_workload(case), machine, load_technology(machine.technology))


def find_workload(case: tuple[str, str, int, int]) -> Workload:
    """The layers of a case."""
    design, _, frames, outputs = case
    if design == "ds-cnn-s":
        return ds_cnn_s(outputs)
    if design == "ds-cnn-s-block":
        # 24 frames for 25: they fill the 8 rows that ZigZag unrolls them over, bins apart.
        _, *block = ds_cnn_s(outputs).layers[:3]
        size = {"in_frames": frames, "out_frames": frames}
        return Workload(design, tuple(dataclasses.replace(each, **size) for each in block))
    return lower(published(design), frames=frames, outputs=outputs)


def digest(files: dict[str, str]) -> str:
    """SHA-256 of what a tool reads."""
    read = {name: text for name, text in files.items() if name != "README.md"}
    return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()


def installed(tool: str, into: Path) -> Path:
    """The folder that has a tool; pip puts it there where it is missing."""
    folder, packages = into / tool, "\n".join(PACKAGES[tool])
    stamp = folder / "packages.txt"
    if stamp.exists() and stamp.read_text() == packages:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    ran = subprocess.run([*pip, *PACKAGES[tool]], capture_output=True, text=True)
    if ran.returncode:
        raise RuntimeError(f"{tool} cannot be installed:\n{ran.stderr[-3000:]}")
    stamp.write_text(packages)
    return folder


def run(
    tool: str, folder: Path | None, files: dict[str, str], python: str = sys.executable
) -> list[dict[str, Any]]:
    """What the tool, in a folder or of an interpreter, says of each layer."""
    environment = dict(os.environ)
    environment.pop("PYTHONPATH", None)
    if folder is not None:
        environment["PYTHONPATH"] = str(folder.resolve())
    with tempfile.TemporaryDirectory() as place:
        for name, text in files.items():
            (Path(place) / name).write_text(text, encoding="utf-8")
        ran = subprocess.run(
            [python, "-c", RUNNERS[tool]],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
        )
    if ran.returncode:
        raise RuntimeError(f"{tool} ended with an error:\n{ran.stderr[-3000:]}")
    layers: list[dict[str, Any]] = json.loads(ran.stdout.splitlines()[-1])
    return layers


def main() -> None:
    """Run tools on their cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tools", nargs="+", choices=tuple(CASES))
    parser.add_argument("--into", type=Path, help="keep the tools here for the next time")
    parser.add_argument("--accelforge", metavar="PYTHON", help="interpreter that has AccelForge")
    options = parser.parse_args()
    if "accelforge" in options.tools and not options.accelforge:
        parser.error("accelforge needs --accelforge PYTHON, an interpreter that has it")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for tool in options.tools:
            own = tool == "accelforge"
            packages = None if own else installed(tool, options.into or Path(scratch))
            for case in CASES[tool]:
                files = exported(tool, case)
                python = options.accelforge if own else sys.executable
                keep(tool, case, files, run(tool, packages, files, python))


def keep(
    tool: str,
    case: tuple[str, str, int, int],
    files: dict[str, str],
    layers: list[dict[str, Any]],
) -> None:
    """Write down what a tool says of a case."""
    golden = {"tool": tool, "case": list(case), "sha256": digest(files), "layers": layers}
    path = FOLDER / f"{tool}__{case[0]}__{case[1]}.json"
    path.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
    energy = sum(layer.get("energy_pj", 0.0) for layer in layers)
    cycles = sum(layer["cycles"] for layer in layers if "cycles" in layer)
    said = [f"{energy * 1e-6:.4f} µJ"] * bool(energy) + [f"{cycles:,.0f} cycles"] * bool(cycles)
    print(f"{path.name}: {', '.join(said)}")


if __name__ == "__main__":
    main()
