"""Time single inferences: torch, and the exported network in onnxruntime, float and int8.

    .venv/bin/python benchmarks/inference.py --out inference.json      # needs 'ternary-dse[onnx]'

One clip at a time on one thread, process CPU time; the ways are interleaved, each round is the mean
of many runs, and the table shows medians of the rounds. int8 is onnxruntime's static quantisation
(QDQ, per channel) calibrated on random pictures: a question of speed and size here, not of
accuracy. docs/evidence/performance.md has results.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from dse.design.published import published
from dse.export.onnx import export_onnx
from dse.networks.network import build_network
from dse.processor import prepare
from dse.training.fast import fast_scores

NETWORKS = ("matchboxnet-3x2x64", "matchboxnet-3x2x64-P1", "matchboxnet-3x2x64-P4")
"""Dense; pointwise layers of blocks ternary; all 1x1 ternary, at a density of a quarter."""

OUTPUTS, FRAMES = 30, 128
CALIBRATION_CLIPS = 16


class _Pictures(CalibrationDataReader):
    """Random pictures for the ranges of activations."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        shape = (CALIBRATION_CLIPS, 1, 64, FRAMES)
        self.pictures: Iterator[Any] = iter(random.normal(size=shape).astype(np.float32))

    def get_next(self) -> dict[str, Any] | None:
        """The next one, None after the last."""
        picture = next(self.pictures, None)
        return None if picture is None else {"features": picture}


def session(path: Path) -> Callable[[np.ndarray], object]:
    """Onnxruntime on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    found = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda picture: found.run(None, {"features": picture})


def compressed_bytes(path: Path) -> int:
    """Size as a download would have it: zeros of ternary matrices cost little."""
    return len(zlib.compress(path.read_bytes(), 9))


def measure(name: str, rounds: int, runs: int, folder: Path) -> dict[str, Any]:
    """All ways to run one network on one clip."""
    torch.manual_seed(0)
    network = build_network(published(name), OUTPUTS).eval()
    plain, small = folder / f"{name}.onnx", folder / f"{name}.int8.onnx"
    export_onnx(network, plain, in_channels=64)
    merged = folder / f"{name}.merged.onnx"  # batch norms go into the convolutions before them
    quant_pre_process(plain, merged, skip_symbolic_shape=True)
    quantize_static(merged, small, _Pictures(), quant_format=QuantFormat.QDQ, per_channel=True)
    picture = torch.randn(1, 64, FRAMES)
    array = picture.numpy()
    in_float, in_int8 = session(plain), session(small)
    ways: dict[str, Callable[[], object]] = {
        "torch eager": lambda: network(picture),
        "torch fast path": lambda: fast_scores(network, picture),
        "onnxruntime float32": lambda: in_float(array),
        "onnxruntime int8": lambda: in_int8(array),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    with torch.inference_mode():
        for turn in range(rounds + 1):  # the first round warms up
            for way, run in ways.items():
                start = time.process_time()
                for _ in range(runs):
                    run()
                if turn:
                    times[way].append(1000 * (time.process_time() - start) / runs)
    return {
        "network": name,
        "milliseconds": {way: statistics.median(found) for way, found in times.items()},
        "bytes": {"float32": plain.stat().st_size, "int8": small.stat().st_size},
        "compressed_bytes": {"float32": compressed_bytes(plain), "int8": compressed_bytes(small)},
    }


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--runs", type=int, default=50, help="of each way in a round")
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    prepare()
    print(f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, 1 clip, 1 thread")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            results.append(measure(name, options.rounds, options.runs, Path(folder)))
            found = results[-1]
            listed = ", ".join(f"{way} {ms:.3f} ms" for way, ms in found["milliseconds"].items())
            sizes = ", ".join(f"{kind} {size:,} B" for kind, size in found["bytes"].items())
            packed = found["compressed_bytes"]
            print(f"{name}: {listed}; {sizes}; compressed {packed}", flush=True)
    if options.out is not None:
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
