"""A quantised network as C: tables in `model.h`, a reference that runs them, vectors to check it.

Trained weights are int8 tables; a ternary matrix is a generator and its start state, a few bytes,
and the reference makes its rows as it needs them. Functions here return texts by file name; writing
them is the command line's. `build_and_check` compiles them where there is a C compiler.

    ternary_dse.c, .h    the reference, the same for all networks
    FAMILY.h             of each family of generators that the network has: one row of a matrix
    model.h              sizes and tables of this one
    check.c, vectors.h   runs it on test vectors and compares with `dse.training.integer`

Layouts, as C reads them (all row-major, the last index the fastest):

    weights       [output][input / groups][tap] int8      one table a convolution
    factors       [output] int16                          one table a path, and two a sum of paths
    shifts        [output] uint8                          likewise
    offsets       [output] int32                          one table a path, and one a sum
    features      [feature][frame] int8                   a clip
    scores        [class][frame] int32                    [class] of a pooled head

A ternary path has no table of weights. The reference makes row r of its matrix, adds or subtracts
the inputs for all frames at once, and forgets the row: `in_channels` bytes instead of
in_channels * out_channels. Shift registers go forwards alone, so rows must be made in order.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dse.design.places import Place
from dse.errors import InvalidDesign
from dse.networks.lowering import output_frames
from dse.ternary.generators import find_family, has
from dse.ternary.matrix import start_state
from dse.training.integer import IntegerNetwork, Rounding, Stage
from dse.training.integer import Path as TensorPath
from dse.training.integer_scores import scores_of_clips
from dse.training.rounding import limit_of

SOURCES = Path(__file__).parent / "c"
FLAGS = ("-std=c99", "-pedantic", "-O2", "-Wall", "-Wextra", "-Werror")
COMPILE_SECONDS = 120
MOST_FRAMES = 10_000

_INCLUDE = re.compile(r'^#include "(\w+\.[ch])"', re.MULTILINE)
_KINDS = {
    "convolution": "TDSE_CONVOLUTION",
    "ternary": "TDSE_TERNARY",
    "identity": "TDSE_IDENTITY",
}


def c_files(network: IntegerNetwork, features: npt.NDArray[np.int8]) -> dict[str, str]:
    """All files of a network for a microcontroller: file name -> text.

    Args:
        network: what to write.
        features: (clips, features, frames), inputs of the test vectors; clips of that many frames
            are the longest that the reference takes.

    Raises:
        InvalidDesign: there are too many frames.
    """
    frames = features.shape[2]
    if frames > MOST_FRAMES:
        raise InvalidDesign(f"frames must be at most {MOST_FRAMES:,}, not {frames:,}")
    own = {
        "model.h": model_header(network, frames),
        "vectors.h": vectors_header(network, features),
        "README.md": _readme(network, frames),
    }
    return _sources(own["model.h"], own) | own


def _sources(text: str, known: Collection[str]) -> dict[str, str]:
    """Files of `SOURCES` that the network needs: of generators those that `text` includes."""
    found: dict[str, str] = {}
    wanted = ["check.c", "ternary_dse.c", *_INCLUDE.findall(text)]
    while wanted:
        name = wanted.pop()
        if name not in found and name not in known:
            found[name] = (SOURCES / name).read_text(encoding="utf-8")
            wanted += _INCLUDE.findall(found[name])
    return found


def model_header(network: IntegerNetwork, frames: int) -> str:
    """Text of `model.h`: sizes for everybody, tables where `MODEL_TABLES` is defined.

    Tables are `static`: included by two files they would be in the program twice. So the reference
    alone defines `MODEL_TABLES`, and a caller that wants names of classes `MODEL_NAMES`.

    Args:
        network: what to write.
        frames: of the longest clip; they size the tensors, which are arrays of fixed size.
    """
    lines = [
        "/* " + comment(network.title) + " */",
        "#ifndef MODEL_H",
        "#define MODEL_H",
        "",
        '#include "ternary_dse.h"',
        "",
        f"#define MODEL_INPUTS {network.in_channels}",
        f"#define MODEL_OUTPUTS {len(network.classes)}",
        f"#define MODEL_STAGES {len(network.stages)}",
        f"#define MODEL_MOST_FRAMES {frames}",
        f"#define MODEL_MOST_VALUES {most_values(network, frames)}",
        f"#define MODEL_MOST_CHANNELS {_most_channels(network)}",
        f"#define MODEL_MOST_STATE_BITS {_most_state_bits(network)}",
        f"#define MODEL_MOST_BAND {_most_band(network)}",
        "/* A feature is its int8 times this; a score its int32 divided by 65536. */",
        f"#define MODEL_INPUT_SCALE {network.input_scale!r}",
        "",
        "#ifdef MODEL_TABLES",
        *(f'#include "{family}.h"' for family in _families(network)),
    ]
    if network.mean:
        lines += [
            "/* int8 = round((feature - mean) / deviation / MODEL_INPUT_SCALE), a channel each;",
            " * padding, zero in every channel, stays 0.",
            " * mean: " + ", ".join(f"{value:.6g}" for value in network.mean),
            " * deviation: " + ", ".join(f"{value:.6g}" for value in network.deviation) + " */",
        ]
    for number, stage in enumerate(network.stages):
        lines += _stage_tables(number, stage)
    head = network.head
    lines += [
        "/* head */",
        _table("int8_t", "head_weights", head.weights),
        *_rounding_tables("head", head.rounding),
        "static const tdse_stage model_stages[MODEL_STAGES] = {",
        *(_stage_entry(number, stage) for number, stage in enumerate(network.stages)),
        "};",
        "static const tdse_head model_head = "
        f"{{{int(head.pooled)}, {head.mean_gain}u, {head.weights.shape[1]}, "
        f"{head.weights.shape[0]}, head_weights, {_rounding_entry('head', head.rounding)}}};",
        "#endif /* MODEL_TABLES */",
        "",
        "#ifdef MODEL_NAMES",
        "static const char *const model_classes[MODEL_OUTPUTS] = {",
        *(f"    {_string(name)}," for name in network.classes),
        "};",
        "#endif /* MODEL_NAMES */",
        "",
        "#endif /* MODEL_H */",
    ]
    return "\n".join(lines) + "\n"


def vectors_header(network: IntegerNetwork, features: npt.NDArray[np.int8]) -> str:
    """Text of `vectors.h`: inputs, and the scores that the Python model gives for them.

    The check asks for equality of each score: whole numbers leave no room for a tolerance.

    Args:
        network: computes the scores.
        features: (clips, features, frames), as `IntegerNetwork.quantise` gives them.
    """
    scores = scores_of_clips(network, features)
    lines = [
        "/* Test vectors, from the Python model dse.training.integer. */",
        f"#define VECTORS {len(features)}",
        f"#define VECTOR_FRAMES {features.shape[2]}",
        f"#define VECTOR_SCORES {scores[0].size}",
        _table("int8_t", "vector_features", features),
        _table("int32_t", "vector_scores", scores),
    ]
    return "\n".join(lines) + "\n"


def weight_bytes(network: IntegerNetwork) -> int:
    """Bytes of all constant tables: int8 weights, factors, shifts, offsets, start states.

    What goes to flash, program code and the structs that point to the tables not counted. Batch
    norms take no bytes of their own: they are in factors and offsets.
    """
    # An output's factor (2 bytes), shift (1) and offset (4).
    total = network.head.weights.size + 7 * len(network.head.weights)
    for stage in network.stages:
        if stage.added is not None:
            total += 2 * 7 * stage.out_channels
        for path in stage.paths:
            if path.rounding is not None:
                total += 7 * stage.out_channels
            if path.kind == "convolution" and path.weights is not None:
                total += path.weights.size
            if path.place is not None:
                total += -(-len(_state(path.place)) // 8)
    return int(total)


def work_bytes(network: IntegerNetwork, frames: int) -> int:
    """Bytes of the reference's tensors, sums and registers: what goes to RAM, the stack apart.

    Three tensors of the largest size take turns: one is read, one written, and one holds the
    block's input for its skip.

        3 * most_values                 int8 tensors
        channels                        int8, one row of a ternary matrix
        2 * 4 * frames                  int32 sums of one output, of a path and of both
        channels                        int8 means of the pooled head
        2 * (state bits + 8)            shift registers, a bit a byte, for the two paths of a stage

    Args:
        network: what is computed.
        frames: of the longest clip.
    """
    channels = _most_channels(network)
    return (
        3 * most_values(network, frames)
        + 2 * channels
        + 8 * frames
        + 2 * (_most_state_bits(network) + 8)
    )


def most_values(network: IntegerNetwork, frames: int) -> int:
    """Values of the largest tensor, input included: channels * frames at that place.

    Frames become fewer at each stride, channels mostly more; neither end of the network need be
    the largest.
    """
    most = network.in_channels * frames
    for stage in network.stages:
        frames = output_frames(frames, stage.paths[0].stride)
        most = max(most, stage.out_channels * frames)
    return most


def compiler() -> str | None:
    """Path of a C compiler, the first of `cc`, `gcc`, `clang` on the PATH; None without one."""
    return next(filter(None, (shutil.which(name) for name in ("cc", "gcc", "clang"))), None)


def build_and_check(folder: Path) -> str:
    """Compile the files of a folder and run the check: its line, `PASS: ...` or `FAIL: ...`.

    Warnings count as errors (`FLAGS`). The program is made in a folder that is removed afterwards.
    Ask `compiler` first: without one this fails an assertion.

    Args:
        folder: where the texts of `c_files` were written.

    Raises:
        subprocess.TimeoutExpired: compiler or check took more than `COMPILE_SECONDS`.
    """
    found = compiler()
    assert found is not None
    with tempfile.TemporaryDirectory() as scratch:
        program = Path(scratch) / "check"
        sources = [str(folder / name) for name in ("check.c", "ternary_dse.c")]
        built = subprocess.run(
            [found, *FLAGS, *sources, "-o", str(program)],
            capture_output=True,
            text=True,
            timeout=COMPILE_SECONDS,
        )
        if built.returncode:
            return f"FAIL: {built.stderr.strip().splitlines()[0]}"
        ran = subprocess.run(
            [str(program)], capture_output=True, text=True, timeout=COMPILE_SECONDS
        )
    return ran.stdout.strip() or f"FAIL: the check ended with {ran.returncode}"


def comment(text: str) -> str:
    """Text from a stranger, such as a design's name, that cannot end a comment.

    Nor join the next line to it: a backslash at the end of a line does, and so does its trigraph
    `??/`, which C99 reads as a backslash. What is not printable ASCII becomes `?`.
    """
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in text)
    return plain.replace("*/", "* /").replace("??/", "?/").rstrip("\\")


def _string(text: str) -> str:
    """A C string: what is not a letter, digit or space in octal, a byte of UTF-8 at a time.

    Octal and not hexadecimal: an escape in hexadecimal takes all digits that follow, a letter from
    a to f behind it included. One in octal ends after three digits.
    """
    return (
        '"'
        + "".join(
            chr(byte) if (chr(byte).isalnum() and byte < 128) or byte == 32 else f"\\{byte:03o}"
            for byte in text.encode()
        )
        + '"'
    )


def _table(kind: str, name: str, values: Any) -> str:
    """A constant array of C, row-major, in lines of at most 114 characters."""
    numbers: Iterable[int] = np.asarray(values).ravel().tolist()
    text = ",".join(map(str, numbers))
    lines, rest = [], text
    while len(rest) > 110:
        cut = rest.rfind(",", 0, 110) + 1
        lines.append("    " + rest[:cut])
        rest = rest[cut:]
    lines.append("    " + rest)
    return f"static const {kind} {name}[] = {{\n" + "\n".join(lines) + "\n};"


def _state(place: Place) -> npt.NDArray[np.uint8]:
    assert place.mixer.generator is not None
    return start_state(place.ternary_seed, place.name, place.mixer.generator)


def _families(network: IntegerNetwork) -> list[str]:
    places = [path.place for stage in network.stages for path in stage.paths if path.place]
    generators = [place.mixer.generator for place in places]
    return sorted({each.family for each in generators if each is not None})


def _most_state_bits(network: IntegerNetwork) -> int:
    places = [path.place for stage in network.stages for path in stage.paths if path.place]
    return max([1, *(len(_state(place)) for place in places)])


def _most_band(network: IntegerNetwork) -> int:
    """Entries of the largest band of tiles, whose rows are made together; 1 without one."""
    places = [path.place for stage in network.stages for path in stage.paths if path.place]
    found = [(place, place.mixer.generator) for place in places]
    bands = [
        min(made.tile[0], place.out_channels) * place.in_channels
        for place, made in found
        if made is not None and made.tile
    ]
    return max([1, *bands])


def _most_channels(network: IntegerNetwork) -> int:
    return max(network.in_channels, *(stage.out_channels for stage in network.stages))


def _stage_tables(number: int, stage: Stage) -> list[str]:
    lines = [f"/* {stage.name} */"]
    for index, path in enumerate(stage.paths):
        prefix = f"stage{number}_{index}"
        if path.kind == "convolution":
            lines.append(_table("int8_t", f"{prefix}_weights", path.weights))
        if path.rounding is not None:
            lines += _rounding_tables(prefix, path.rounding)
        if path.place is not None:
            lines += _generator_tables(prefix, path.place)
    for index, rounding in enumerate(stage.added or ()):
        lines += _rounding_tables(f"stage{number}_added{index}", rounding)
    return lines


def _rounding_tables(prefix: str, rounding: Rounding) -> list[str]:
    return [
        _table("int16_t", f"{prefix}_factors", rounding.factors),
        _table("uint8_t", f"{prefix}_shifts", rounding.shifts),
        _table("int32_t", f"{prefix}_offsets", rounding.offsets),
    ]


def _rounding_entry(prefix: str, rounding: Rounding | None) -> str:
    if rounding is None:
        return "{0, 0, 0}"
    return f"{{{prefix}_factors, {prefix}_shifts, {prefix}_offsets}}"


def _generator_tables(prefix: str, place: Place) -> list[str]:
    generator, density = place.mixer.generator, place.mixer.density
    assert generator is not None and density is not None  # Mixer checked it
    family = find_family(generator)
    decision = family.decision_bits(generator, density)
    register = has(generator.family, "taps")
    state = _state(place)
    # A decision takes `decision` bits for the entry and one for its sign; a register with a shift
    # of its own moves by that many bits instead.
    steps = generator.shift or decision + 1
    rounds = 0 if register else generator.rounds
    taps = generator.taps if register else (0,)
    paired = int(generator.signs == "balanced")
    fields = (
        f"{generator.family}_row, {decision}, {rounds}, {paired}, "
        f"{len(taps)}, {steps}, {len(state)}, "
        f"{round(density * 2**decision)}u, {prefix}_taps, {prefix}_state, "
        f"{place.out_channels}, {', '.join(map(str, generator.tile or (0, 0)))}"
    )
    return [
        f"/* {place.name}: {generator.family}, density {density:g}, seed {place.ternary_seed} */",
        _table("uint16_t", f"{prefix}_taps", taps),
        _table("uint8_t", f"{prefix}_state", np.packbits(state)),
        f"static const tdse_generator {prefix}_generator = {{{fields}}};",
    ]


def _stage_entry(number: int, stage: Stage) -> str:
    paths = ", ".join(
        _path_entry(f"stage{number}_{index}", path) for index, path in enumerate(stage.paths)
    )
    added = ", ".join(
        _rounding_entry(f"stage{number}_added{index}", rounding)
        for index, rounding in enumerate(stage.added or (None, None))
    )
    flags = f"{len(stage.paths)}, {int(stage.relu)}, {int(stage.begins_block)}"
    flags += f", {limit_of(stage.output_bits)}"
    return f"    {{{flags}, {stage.out_channels}, {{{paths}}}, {{{added}}}}},"


def _path_entry(prefix: str, path: TensorPath) -> str:
    weights = f"{prefix}_weights" if path.kind == "convolution" else "0"
    generator = f"&{prefix}_generator" if path.place is not None else "0"
    sizes = f"{path.in_channels}, {path.groups}, {path.taps}, {path.stride}, {path.dilation}"
    rounding = _rounding_entry(prefix, path.rounding)
    return f"{{{_KINDS[path.kind]}, {sizes}, {weights}, {generator}, {rounding}}}"


def _readme(network: IntegerNetwork, frames: int) -> str:
    ternary = sum(path.place is not None for stage in network.stages for path in stage.paths)
    shape = "1" if network.head.pooled else "result"
    return f"""# {comment(network.title)}

- constants: {weight_bytes(network):,} bytes; {ternary} ternary matrices are start states
- memory: {work_bytes(network, frames):,} bytes for clips of up to {frames} frames

`model.h` has the tables, `ternary_dse.c` computes them: C99, no floats, no heap, no library.

    cc {" ".join(FLAGS[:2])} check.c ternary_dse.c -o check && ./check

Use: `tdse_run(features, frames, scores)` takes {network.in_channels} x frames int8, row by row, one
row a feature, each the normalised feature divided by MODEL_INPUT_SCALE
({network.input_scale:.6g}), rounded. Scores are {len(network.classes)} x {shape} int32 in
1/65536ths; the largest is the class. For the names of the classes define MODEL_NAMES before
including `model.h`.
"""
