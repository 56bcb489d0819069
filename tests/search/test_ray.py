"""A search on a real Ray cluster of several nodes, one of which is killed in the middle."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dse.errors import InvalidInput
from dse.studies.rows import read_rows
from dse.training.history import read_history
from dse_cli import group
from tests.search.test_cluster import run
from tests.search.test_workers import numbers

# In a process of its own: Ray keeps threads and sockets that a later test would find.
_SEARCH = """
import json, sys, threading, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from search.cluster.on_ray import RayOptions
from search.study import run_study
from dse.studies.spec import read_study

study, folder, cache = map(Path, sys.argv[1:4])
small = {"object_store_memory": 80 * 1024**2, "num_cpus": 1}
cluster = Cluster(initialize_head=True, head_node_args=small | {"num_cpus": 0})
nodes = [cluster.add_node(**small) for _ in range(2)]
cluster.wait_for_nodes()
seen = {"epochs": 0, "killed": 0, "nodes": len(cluster.list_all_nodes())}

class Killer:
    def __getattr__(self, name):
        return lambda *_, **__: None

    def epoch(self, point, record):
        seen["epochs"] += 1
        if seen["epochs"] == 3:
            cluster.remove_node(nodes.pop(0), allow_graceful=False)
            seen["killed"] += 1
            nodes.append(cluster.add_node(**small))

ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
options = RayOptions(address=cluster.address, cpus=1)
outcome = run_study(read_study(study), study.read_text(), folder, Killer(), cache=cache,
                    workers=2, on_ray=options)
Path(sys.argv[4]).write_text(json.dumps(seen | {"trained": outcome.state.trained}))
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.soak
def test_a_node_that_is_killed_changes_no_row(study_file: Path, tmp_path: Path) -> None:
    study_file.write_text(study_file.read_text().replace("epochs: 2", "epochs: 6"))
    alone = run(study_file, tmp_path / "alone")
    folder = tmp_path / "study"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _SEARCH,
            str(study_file),
            str(folder),
            str(study_file.parent / "cache"),
            str(tmp_path / "told.json"),
        ],
        capture_output=True,
        text=True,
        timeout=400,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["killed"] == 1 and told["nodes"] == 3 and told["trained"] == 4
    assert numbers(read_rows(folder)) == numbers(alone.rows)
    for row in read_rows(folder):
        if row.status == "trained":
            history = read_history(folder / "designs" / row.key)
            assert [record.epoch for record in history] == list(range(1, 7))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ray-address", "x"], "are for --engine ray"),
        (["--local-workers", "2"], "--local-workers is for searches with --storage"),
        (["--artifacts", "x"], "--artifacts is for searches with --storage or --engine ray"),
    ],
)
def test_options_that_do_not_belong_together(
    study_file: Path, arguments: list[str], message: str
) -> None:
    result = CliRunner().invoke(group, ["search", str(study_file), *arguments])
    assert isinstance(result.exception, InvalidInput) and message in str(result.exception)
