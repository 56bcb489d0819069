"""`dse estimate`: what one design costs on one machine, or on several side by side.

    design -> lower -> workload (layers with shapes) -> [stream] -> estimate on a machine -> Cost

Counts (MACs, additions, bits) are exact; energy, latency and area are estimates of a model whose
constants have bands. Nothing is trained: no cost depends on the value of a trained weight.
"""

import dataclasses
import json
from dataclasses import asdict
from typing import Any, get_args

import click

from cost_models import (
    Band,
    Cost,
    Objective,
    estimate,
)
from cost_models.application import Sleep, Use
from cost_models.break_even import BreakEvenTotal, break_even
from cost_models.roofline import roofline
from cost_models.row_loads import row_loads
from cost_models.sleep import sleep_between
from cost_models.streaming import stream
from dse.design.matrices import matrix_words
from dse.design.point import DesignPoint
from dse.design.policies import POLICIES, apply_policy, make_dense
from dse.design.published import (
    DEFAULT_DENSITY,
    published,
)
from dse.errors import InvalidDesign, InvalidInput
from dse.networks.lowering import lower
from dse.pricing.application import application, forgotten, left_out, unknown_standby
from dse.pricing.comparable import leakage_warning, own_constants, say_technology
from dse.pricing.priced import Layers, Priced
from dse.report.estimate import estimate_sections
from dse.report.lengths import MS_PER_S, Length, look_ahead_ms
from dse.report.terminal import print_sections
from dse.sheets import csv_records
from dse_cli.asked import Asked, AskedLayers, read_network
from dse_cli.options import (
    DEFAULT_MACHINE,
    FRAMES_PER_S,
    FRAMES_RANGE,
    MACHINES,
    OUTPUTS_RANGE,
    TECHNOLOGIES,
    USUAL_FRAMES,
    USUAL_OUTPUTS,
    Lengths,
    battery_option,
    mapping_objective_option,
    rate_option,
    split_names,
)
from dse_cli.terminal import Screen, say


@click.command(short_help="Price one design: counts, energy, latency, area.")
@click.argument("design")
@click.option(
    "--design",
    "chosen",
    help="Of a study: trial number or key of the design.  [default: the frontier's of the least "
    "error]",
)
@click.option(
    "--machine",
    help=f"{MACHINES}; of a study also one of its own.  [default: the one that the study's row "
    f"names, else {DEFAULT_MACHINE}]",
)
@click.option(
    "--technology",
    help=f"{TECHNOLOGIES}, instead of the machine's own; several, separated by commas, stand side "
    "by side.",
)
@mapping_objective_option
@click.option(
    "--frames",
    type=FRAMES_RANGE,
    help=f"Input frames.  [default: a study's or NeMo file's own, or {USUAL_FRAMES}]",
)
@click.option(
    "--seconds",
    type=Lengths(),
    help="Instead of frames, the length of the audio; of several, separated by commas, the first "
    "is priced in full, and all stand side by side.",
)
@click.option(
    "--outputs",
    type=OUTPUTS_RANGE,
    help="Classes, or characters and blank.  [default: a study's or NeMo file's own, or "
    f"{USUAL_OUTPUTS}]",
)
@click.option(
    "--compare",
    help="Further columns, separated by commas: machines, or policies P0 to P4 of the same design.",
)
@click.option(
    "--stream",
    "hop",
    type=FRAMES_RANGE,
    help="Listen to a stream: each inference computes only so many new frames.",
)
@rate_option(
    "Inferences a second for the average power.  [default: real time with --stream, a study's own, "
    "or 1]"
)
@battery_option
@click.option(
    "--sleep",
    type=click.Choice(get_args(Sleep)),
    default="on",
    show_default=True,
    help="Between inferences: on; logic off and SRAMs that keep something in retention; all behind "
    "power switches; or the supply cut.",
)
@click.option(
    "--duty-cycled",
    is_flag=True,
    help="Same as --sleep cut: nothing leaks between inferences, and SRAM forgets.",
)
@click.option("--mapping", "with_mapping", is_flag=True, help="Show the mapping of each layer.")
@click.option(
    "--roofline", "with_roofline", is_flag=True, help="Show what each layer could reach at most."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: all of it.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: one row a machine and layer.")
def command(
    design: str,
    chosen: str | None,
    machine: str | None,
    technology: str | None,
    objective: Objective,
    frames: int | None,
    seconds: tuple[float, ...] | None,
    outputs: int | None,
    compare: str | None,
    hop: int | None,
    rate: float | None,
    battery_mwh: float,
    sleep: Sleep,
    duty_cycled: bool,
    with_mapping: bool,
    with_roofline: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Print what one inference of DESIGN costs: exact counts, estimated energy, latency and area.

    DESIGN is a YAML file of ours or of NeMo, or the name of a published network with or without a
    policy of ternary matrices (-P3), made row by row or in tiles (-P3@4x32, those of kws_ternary).
    It may also be a study's folder: one of its designs, on the machine and at the rate of the
    study. Or it is a network of your own, priced layer by layer: a graph in ONNX, or a Python file
    with a function that returns a PyTorch module and an example of its input. The file is run.

    \b
      dse estimate matchboxnet-3x2x64
      dse estimate matchboxnet-3x2x64-P3 --compare P0,kws_int8,kws_int8_dram
      dse estimate matchboxnet-3x1x64-P3 --technology low_leakage_45nm,low_leakage_22nm
      dse estimate matchboxnet-3x1x64-P3@4x32 --compare kws_ternary_stored
      dse estimate matchboxnet-3x1x64-P3 --stream 4
      dse estimate quartznet-5x5-half --seconds 10,1,30 --machine edge_tpu_like
      dse estimate my_design.yaml --machine my_chip.yaml --json
      dse estimate studies/demo --design 7
      dse estimate my_net.py:build --compare kws_int8,kws_int8_dram
      dse estimate my_net.onnx --frames 98
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    if duty_cycled and sleep not in ("on", "cut"):
        raise click.UsageError("choose one of --sleep and --duty-cycled")
    if as_json and as_csv:
        raise click.UsageError("choose one of --json and --csv")
    if seconds and frames is not None:
        raise click.UsageError("choose one of --frames and --seconds")
    if seconds and len(seconds) > 1 and hop:
        raise click.UsageError("a hop costs the same at every length: give --seconds one of them")
    asked = read_network(design, chosen, frames, outputs, seconds[0] if seconds else None)
    machine = asked.machine if machine is None else machine
    if isinstance(asked, AskedLayers):
        columns = _columns_of_layers(asked, machine, compare, seconds or ())
    else:
        columns = _columns(asked.point, machine, compare)
    priced = [
        _price(each, asked, name, constants, objective, hop)
        for each, name in columns
        for constants in (split_names(technology) or (None,))
    ]
    frames, outputs = asked.frames, asked.outputs
    if rate is None:
        rate = asked.frames_per_s / hop if hop else asked.rate
    lengths = _lengths(asked, seconds or (), priced[0], objective) if not hop else []
    use = Use(
        inferences_per_second=rate,
        audio_s=(hop or frames) / asked.frames_per_s,
        battery_mwh=battery_mwh,
        sleep="cut" if duty_cycled else sleep,
    )
    if as_json:
        found = [_to_dict(each, use, asked) for each in priced]
        found[0] |= {"by_length": _by_length(lengths)} if lengths else {}
        say(json.dumps(found, indent=2))
    elif as_csv:
        _write_csv(priced)
    else:
        sections = estimate_sections(
            priced,
            frames,
            outputs,
            use,
            mapping=with_mapping,
            roofline=with_roofline,
            lengths=lengths,
            frame_ms=MS_PER_S / asked.frames_per_s,
            notes=asked.notes,
        )
        print_sections(sections, Screen(highlight=False))


Network = DesignPoint | Layers
"""What is priced: a design, which is lowered, or layers as they are."""


def _columns_of_layers(
    asked: AskedLayers, machine: str, compare: str | None, seconds: tuple[float, ...]
) -> list[tuple[Network, str]]:
    """A network of layers on machines side by side.

    Raises:
        InvalidInput: a policy or several lengths are asked for: layers are what they are.
    """
    if len(seconds) > 1:
        raise InvalidInput(
            "--seconds of several lengths is for designs: of a network it says how long its "
            "example is, one number"
        )
    for name in split_names(compare):
        if name in POLICIES:
            raise InvalidInput(
                f"--compare {name} is for designs: replace the matrices of {asked.layers.label} by "
                "dse.ternarise, and estimate both"
            )
    return [(asked.layers, name) for name in dict.fromkeys((machine, *split_names(compare)))]


def _columns(point: DesignPoint, machine: str, compare: str | None) -> list[tuple[Network, str]]:
    """What stands side by side: the design on its machine, then as `--compare` says.

    A name is a policy's before it is a machine's: a policy changes the design and keeps the
    machine, a machine the other way round. The same network on the same machine stands there once.
    """
    columns: list[tuple[DesignPoint, str]] = [(point, machine)]
    for name in split_names(compare):
        if name in POLICIES:
            dense = _dense(point)
            replaced = _with_policy(dense, name, point)
            if name != "P0" and replaced.key == dense.key:
                raise InvalidInput(
                    f"--compare {name}: policy {name} replaces nothing in {dense.label}: name a "
                    "policy that does, or a network with 1x1 matrices there"
                )
            columns.append((replaced, machine))
        else:
            columns.append((point, name))
    distinct = {(each.key, name): (each, name) for each, name in columns}
    return [*distinct.values()]


def _with_policy(dense: DesignPoint, policy: str, like: DesignPoint) -> DesignPoint:
    """A dense design with a policy's matrices ternary, made as another design makes its own.

    So that a comparison of policies changes the policy alone, density and generator are taken over
    from the first ternary matrix of `like`; where it has none, they are the defaults.
    """
    mixers = [mixer for block in like.blocks for mixer in (block.mixer, block.skip) if mixer]
    ternary = next((mixer for mixer in mixers if mixer.kind == "ternary"), None)
    if ternary is None or ternary.density is None or ternary.generator is None:
        return apply_policy(dense, policy, density=DEFAULT_DENSITY)
    return apply_policy(dense, policy, density=ternary.density, generator=ternary.generator)


def _dense(point: DesignPoint) -> DesignPoint:
    """The design before a policy: the published network, or this one with dense matrices.

    A policy may have put identities in the place of skips; where the network is not a published
    one, nobody knows, and they stay.
    """
    base, _, ending = point.name.rpartition("-")
    policy = ending.partition("@")[0]
    if policy in POLICIES and base:
        try:
            network = published(base)
        except InvalidDesign:
            pass
        else:
            # A name proves nothing: only if the policy makes this very design of the published
            # network, was it made of it.
            if _with_policy(network, policy, point).key == point.key:
                return network
    dense = make_dense(point)
    if dense is point:
        return point
    return dataclasses.replace(dense, name=base if policy in POLICIES else "")


def _price(
    network: Network,
    asked: Asked | AskedLayers,
    machine: str,
    technology: str | None,
    objective: Objective,
    hop: int | None,
) -> Priced:
    """Lower a design, perhaps stream, and price.

    With a `hop`, one inference is `hop` new frames instead of a whole clip of `frames`: layers keep
    the tail of their inputs as state and compute new outputs alone, so that energy and latency are
    those of a hop, and an inference is due every `hop` frames.
    """
    accelerator, constants = asked.load(machine, technology)
    if isinstance(network, Layers):
        workload = network.workload
    else:
        workload = lower(network, frames=asked.frames, outputs=asked.outputs)
    streamed = stream(workload, hop) if hop else None
    if streamed is not None:
        workload = streamed.workload
    return Priced(
        point=network,
        cost=estimate(
            workload,
            accelerator,
            constants,
            objective,
            kept_bits=streamed.state_bits if streamed else 0,
        ),
        stream=streamed,
    )


def _frames(seconds: float) -> int:
    return max(round(seconds * FRAMES_PER_S), 1)


def _lengths(
    asked: Asked | AskedLayers, seconds: tuple[float, ...], first: Priced, objective: Objective
) -> list[Length]:
    """The first design on its machine, for inputs of these lengths.

    Those of a network with an answer at every frame are shown unasked, as its inputs have none of
    their own.
    """
    if isinstance(asked, AskedLayers) or (not seconds and first.design.head != "framewise"):
        return []
    cost, point = first.cost, first.design
    found = [Length(asked.frames / FRAMES_PER_S, asked.frames, first)]
    for length in seconds[1:]:
        workload = lower(point, frames=_frames(length), outputs=asked.outputs)
        # Memories that fit are as large as each length needs.
        priced = estimate(workload, cost.accelerator.as_asked, cost.technology, objective)
        found.append(Length(length, _frames(length), Priced(point=point, cost=priced)))
    return sorted(found, key=lambda each: each.frames)


def _by_length(lengths: list[Length]) -> list[dict[str, Any]]:
    """The table of lengths as JSON."""
    return [
        {
            "audio_s": each.seconds,
            "frames": each.frames,
            "energy_per_audio_second_uj": each.priced.cost.energy_pj * 1e-6 / each.seconds,
            "real_time_factor": each.real_time_factor,
            "misfits": list(each.priced.misfits),
            "total": each.priced.cost.columns(),
        }
        for each in lengths
    ]


def _to_dict(priced: Priced, use: Use, asked: Asked | AskedLayers) -> dict[str, Any]:
    """All that is known of a cost, as JSON: base units, which end the names (`_pj`, `_cycles`)."""
    cost, point = priced.cost, priced.point
    panel = break_even(cost)
    return {
        "design": point.label,
        "design_key": point.key or None,
        "notes": list(asked.notes),
        "accelerator": cost.accelerator.name,
        "technology": cost.technology.name,
        "own_constants": own_constants(cost.accelerator),
        "leakage_classes": {
            "logic": asdict(cost.technology.logic_class),
            "memories": asdict(cost.technology.memory_class),
        },
        "leakage_warning": leakage_warning(cost, use),
        "total": cost.columns(),
        "energies_pj": {str(part): pj for part, pj in cost.energies_pj.items()},
        "latency_high_cycles": cost.latency_high_cycles,
        "bounds_cycles": {str(part): cycles for part, cycles in cost.bounds_cycles.items()},
        "areas_um2": {part: asdict(area) for part, area in cost.areas_um2.items()},
        "leakages_uw": {part: asdict(leakage) for part, leakage in cost.leakages_uw.items()}
        | dict.fromkeys(unknown_standby(cost.accelerator)),
        "left_out_of_power": left_out(cost) or None,
        "application": _application_dict(cost, use, streams=priced.stream is not None),
        "break_even": None if panel is None else _break_even_dict(panel),
        "row_loads": [asdict(load) | {"imbalance": load.imbalance} for load in row_loads(cost)],
        "roofline": [asdict(roof) for roof in roofline(cost)],
        "stream": None
        if priced.stream is None
        else {
            "hop_frames": priced.stream.hop_frames,
            "state_bits": priced.stream.state_bits,
            "wait_frames": priced.stream.wait_frames,
            "look_ahead_ms": look_ahead_ms(priced.stream, MS_PER_S / asked.frames_per_s),
        },
        "misfits": list(priced.misfits),
        "matrices": (matrix_words(point) or None) if isinstance(point, DesignPoint) else None,
        "layers": cost.breakdown,
        "accesses": cost.energy_table,
        "sources": {"accelerator": cost.accelerator.source} | cost.technology.sources,
    }


def _break_even_dict(panel: BreakEvenTotal) -> dict[str, Any]:
    derived = ("generated_pj", "stored_pj", "cheaper", "certain", "smaller")
    return asdict(panel) | {name: getattr(panel, name) for name in derived}


def _application_dict(cost: Cost, use: Use, *, streams: bool) -> dict[str, Any]:
    """Power and battery at a rate; the reason instead where the machine is too slow for it."""
    try:
        figures = application(cost, use, streams=streams)
    except InvalidInput as error:
        return {"rate": use.inferences_per_second, "not_possible": str(error)}
    asleep = sleep_between(cost, use.sleep, streams=streams)
    plain = {
        name: asdict(value) if isinstance(value, Band) else value for name, value in figures.items()
    }
    return {
        "rate": use.inferences_per_second,
        "battery_mwh": use.battery_mwh,
        "audio_s_per_inference": use.audio_s,
        "sleep": use.sleep,
        "asleep": None if asleep is None else asdict(asleep),
        "forgets": forgotten(cost, use, streams=streams),
    } | plain


def _write_csv(priced: list[Priced]) -> None:
    rows: list[dict[str, Any]] = [
        {
            "design": each.point.label,
            "accelerator": each.cost.accelerator.name,
            "technology": say_technology(each.cost.accelerator, each.cost.technology),
            **row,
        }
        for each in priced
        for row in each.cost.breakdown
    ]
    say(csv_records(rows), nl=False)
