import csv
import dataclasses
import io
import json
import re

import pytest
import yaml
from click.testing import CliRunner

from cost_models import accelerator_names, estimate, load_accelerator, load_technology
from cost_models.application import average_power_uw
from cost_models.band import Band
from cost_models.energy import Component
from cost_models.library import DATA
from cost_models.roofline import roofline
from cost_models.row_loads import row_loads
from cost_models.streaming import stream
from cost_models.writing import accelerator_yaml, technology_yaml
from dse.columns import percent_text, significant
from dse.design.policies import apply_policy
from dse.design.published import published
from dse.interchange.nemo import import_nemo
from dse.networks.lowering import lower
from dse.pricing.what_if import MemoryChange, varied
from dse.report.cost_tables import COMPONENT_WORDS
from dse_cli import group, main

DESIGN = "matchboxnet-3x1x64-P1"


def run(*arguments):
    result = CliRunner().invoke(group, ["estimate", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def said(*arguments):
    """What is printed, without the layout of tables."""
    result = run(*arguments)
    assert result.exit_code == 0
    return " ".join(result.stdout.split())


def told(*arguments):
    return json.loads(run(*arguments, "--json").stdout)


def shown(band):
    """A band as it is printed."""
    return f"{significant(band.mid)} ({significant(band.low)} to {significant(band.high)})"


def price(machine, frames=128, outputs=12, design=DESIGN, objective="edp"):
    accelerator = load_accelerator(machine)
    workload = lower(published(design), frames=frames, outputs=outputs)
    technology = load_technology(accelerator.technology)
    return estimate(workload, accelerator, technology, objective)


def design_file(folder, **changes):
    path = folder / "design.yaml"
    path.write_text(yaml.safe_dump(published(DESIGN).to_dict() | changes))
    return str(path)


# --- what is printed


def test_prints_counts_energy_latency_area_and_bounds():
    stdout = said(DESIGN)
    cost = price("kws_ternary")
    for text in (
        f"{DESIGN} (key {published(DESIGN).key}), one inference of 128 frames, 12 outputs",
        f"trained parameters {cost.workload.trained_parameters:,} ",
        f"stored (KiB) {significant(cost.stored_bits / 8192)} ",
        f"activations alive at a time (KiB) {significant(cost.activation_bits / 8192)} ",
        f"energy (µJ) {shown(cost.energy.scaled(1e-6))} ",
        f"latency (ms) {significant(cost.latency_us * 1e-3)} ",
        f" cycles {cost.latency_cycles:,} clock, MHz 10.0 ",
        f"area (mm²) {shown(cost.area.scaled(1e-6))} ",
        "of it ternary addition",
        "B1.0.pw.bn",
        "machine kws_ternary: ",
        "technology low_leakage_45nm: ",
        "Figures in brackets are the lowest and the highest that the sources",
        "docs/evidence/model.md",
    ):
        assert text in stdout, text
    for part, pj in cost.energies_pj.items():
        if pj:
            share = f"{100 * pj / cost.energy_pj:.1f} %"
            words = f"of it {COMPONENT_WORDS[part]} (µJ) {significant(pj * 1e-6)}, {share}"
            assert words in stdout
    for bound, cycles in cost.bounds_cycles.items():
        assert f"bound by {bound} (%) {100 * cycles / cost.latency_cycles:.1f}" in stdout
    for part in cost.areas_um2:
        assert f" {part} " in stdout


def test_a_line_a_layer():
    stdout = run(DESIGN).stdout
    cost = price("kws_ternary")
    for layer in cost.layers:
        [line] = [
            line
            for line in stdout.splitlines()
            if line.split()[:1] == [layer.layer.name]
            and line.rstrip().endswith(layer.bound if layer.latency_cycles else ".")
        ]
        assert significant(layer.energy_pj * 1e-3) in line.split()
        assert percent_text(100 * layer.energy_pj / cost.energy_pj) in line.split()
        if layer.latency_cycles:
            assert f"{layer.latency_cycles:,}" in line.split()


def test_a_line_a_memory_and_operand():
    """Accesses of each operand in each memory, and their energy, over all layers."""
    stdout = run(DESIGN).stdout
    cost = price("kws_ternary")
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for row in cost.energy_table:
        if row["action"] in ("read", "write"):
            each = rows.setdefault((row["part"], row["operand"]), {"pj": 0, "read": 0, "write": 0})
            each["pj"] += row["energy_pj"]
            each[row["action"]] += row["count"]
    assert ("weight_sram", "weights") in rows and ("macs", "outputs") in rows
    for (part, operand), each in rows.items():
        name = f"{'registers of ' if part in ('macs', 'trees') else ''}{part}, {operand} "
        [line] = [line for line in stdout.splitlines() if line.startswith(f" {name}")]
        cells = line.removeprefix(f" {name}").split()
        counts = [f"{int(each[action]):,}" if each[action] else "." for action in ("read", "write")]
        assert cells[:3] == [*counts, f"{significant(each['pj'] * 1e-3)},"]


def test_a_roofline_on_request():
    assert "lowest roof" not in said(DESIGN)
    stdout = run(DESIGN, "--roofline").stdout
    for roof in roofline(price("kws_ternary")):
        [line] = [
            line
            for line in stdout.splitlines()
            if line.split()[:1] == [roof.layer] and line.split()[4:5] == [roof.limit]
        ]
        figures = [significant(roof.reached), significant(roof.attainable), f"{roof.peak:,}"]
        assert line.split()[1:4] == figures


def test_non_zero_entries_are_counted():
    stdout = said(DESIGN)
    for load in row_loads(price("kws_ternary")):
        assert f"{load.fewest} to {load.most} 1 x 32 {load.dense_steps}" in stdout
    assert "Non-zero entries" not in said("matchboxnet-3x1x64")
    [cost] = told(DESIGN)
    assert [load["layer"] for load in cost["row_loads"]] == ["B1.0.pw", "B2.0.pw", "B3.0.pw"]
    assert cost["break_even"]["certain"] is False
    assert "though the bands overlap" in stdout
    assert "whatever the bands say" in said("matchboxnet-3x1x64-P3")


def test_ports_of_memories_that_have_two():
    [cost] = told(DESIGN, "--machine", "tpu_like")
    for layer in cost["layers"]:
        both = [layer[f"activation_sram_{way}_port_cycles"] for way in ("read", "write")]
        assert max(both) == layer["activation_sram_cycles"]
    assert "dram_read_port_cycles" not in cost["layers"][0]


def test_generate_or_store_is_there_where_weights_are_generated():
    stdout = said(DESIGN)
    assert re.search(r"Generate or store\? [\d,]+ bits of trits\. Energy: generating takes", stdout)
    assert "Generate or store?" not in said(DESIGN, "--machine", "kws_int8")
    assert "Generate or store?" not in said("matchboxnet-3x1x64")


def test_mappings_on_request():
    mapping = str(next(layer.mapping for layer in price("kws_ternary").layers if layer.mapping))
    assert mapping not in said(DESIGN)
    assert mapping in said(DESIGN, "--mapping")


def test_says_what_does_not_fit():
    stdout = said("quartznet-5x5", "--frames", "500", "--outputs", "29")
    cost = price("kws_ternary", 500, 29, "quartznet-5x5")
    assert len(cost.misfits) == 2
    for misfit in cost.misfits:
        assert f"Does not fit: {misfit}. Priced as if it did." in stdout
    assert "Does not fit" not in said(DESIGN)


def test_says_that_a_machine_is_too_large():
    smaller = "matchboxnet-3x1x64-P3"  # fills less than half
    stdout = said(smaller)
    machine = load_accelerator("kws_ternary")
    fits = varied(machine, memories={"weight_sram": MemoryChange(capacity_bits="fit")})
    point = published(smaller)
    workload = lower(point, frames=128, outputs=12)
    cost = estimate(workload, fits, load_technology(machine.technology))
    whole = price("kws_ternary", design=smaller)
    power = [each.dynamic_energy.mid * 1e-6 + each.leakage.mid for each in (cost, whole)]
    share = whole.leakages_uw["weight_sram"].mid / power[1]
    held = f"{significant(whole.stored_bits / 8192)} of 128 KiB"
    assert (
        f"Too large: 'weight_sram' holds {held} ("
        f"{significant(100 * whole.stored_bits / 1_048_576, 2)} %); its leakage is "
        f"{100 * share:.0f} % of the average power at 1 inference a second. With "
        "capacity_bits: fit for it the machine "
        f"takes {significant(power[0])} instead of {significant(power[1])} µW on average, "
        f"{significant(cost.energy_pj * 1e-6)} instead of {significant(whole.energy_pj * 1e-6)} µJ "
        f"an inference, {significant(cost.area.mid * 1e-6)} instead of "
        f"{significant(whole.area.mid * 1e-6)} mm²."
    ) in stdout
    # Where dynamic energy is nearly all of the power, and where there is no power at that rate, the
    # empty silicon is still there.
    assert "Too large: 'weight_sram' holds" in said(smaller, "--rate", "50")
    assert "Too large: 'weight_sram' holds" in said(smaller, "--rate", "1000000")


def test_a_machine_that_fits_is_told_with_the_sizes_of_the_design(tmp_path):
    text = (DATA / "accelerators" / "kws_ternary.yaml").read_text()
    text = text.replace("capacity_bits: 1048576", "capacity_bits: fit")
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    stdout = said(DESIGN, "--machine", str(path))
    assert "Too large" not in stdout
    [weights] = [each for each in price(str(path)).accelerator.memories if each.fitted]
    assert f"Fits matchboxnet-3x1x64-P1: 'weight_sram' has {weights.bits:,} bits." in stdout


def test_a_name_with_brackets_is_no_markup(tmp_path):
    assert "[red]x[/blue] (key" in said(design_file(tmp_path, name="[red]x[/blue]"))


NEMO = """\
name: Little
model:
  sample_rate: 16000
  labels: [' ', a, b, c]
  preprocessor: {_target_: nemo.AudioToMelSpectrogramPreprocessor, features: 64}
  crop_or_pad_augment: {_target_: nemo.CropOrPadSpectrogramAugmentation, audio_length: 100}
  encoder:
    _target_: nemo.collections.asr.modules.ConvASREncoder
    feat_in: 64
    activation: relu
    jasper:
      - {filters: 32, repeat: 1, kernel: [5], stride: [1], dilation: [1], dropout: 0.0,
         residual: false, separable: true}
  decoder:
    _target_: nemo.collections.asr.modules.ConvASRDecoder
    feat_in: 32
    num_classes: 4
    vocabulary: [' ', a, b, c]
"""


def test_a_machine_and_its_technology_may_lie_in_another_folder(tmp_path):
    machine = dataclasses.replace(load_accelerator("kws_int8"), technology="mine.yaml")
    (tmp_path / "chip.yaml").write_text(accelerator_yaml(machine))
    (tmp_path / "mine.yaml").write_text(technology_yaml(load_technology("synthesis_45nm")))
    [cost] = told(DESIGN, "--machine", str(tmp_path / "chip.yaml"))
    assert (cost["accelerator"], cost["technology"]) == ("chip", "mine")
    [other] = told(DESIGN, "--machine", "kws_int8", "--technology", "synthesis_45nm")
    assert cost["total"] == other["total"]


def test_frames_and_outputs_of_a_nemo_file_are_its_own(tmp_path):
    path = tmp_path / "little.yaml"
    path.write_text(NEMO)
    expected = import_nemo(path)
    assert (expected.outputs, expected.frames) == (5, 100)  # four characters and the blank
    assert "one inference of 100 frames, 5 outputs" in said(str(path))
    assert "one inference of 64 frames, 9 outputs" in said(
        str(path), "--frames", "64", "--outputs", "9"
    )


# --- JSON and CSV


def test_json_has_all_of_it():
    [cost] = told(DESIGN, "--frames", "64", "--outputs", "30")
    expected = price("kws_ternary", 64, 30)
    assert cost["total"] == expected.columns()
    assert cost["design_key"] == published(DESIGN).key
    assert [layer["layer"] for layer in cost["layers"]] == [
        layer.name for layer in expected.workload.layers
    ]
    assert sum(row["energy_pj"] for row in cost["accesses"]) == pytest.approx(expected.energy_pj)
    assert sum(area["mid"] for area in cost["areas_um2"].values()) == pytest.approx(
        expected.area.mid
    )
    assert sum(cost["bounds_cycles"].values()) == expected.latency_cycles
    assert {roof["layer"] for roof in cost["roofline"]} == {
        layer.name for layer in expected.workload.layers if layer.weight_entries
    }
    assert cost["break_even"]["layers"][0]["layer"] == "B1.0.pw"
    assert cost["stream"] is None and cost["misfits"] == []
    assert "LPDDR4" in cost["sources"]["dram_pj_per_bit"]
    assert cost["sources"]["accelerator"].startswith("Design choice of this project")


def test_csv_has_one_row_a_machine_and_layer():
    stdout = run(DESIGN, "--csv", "--compare", "kws_int8,tpu_like").stdout
    rows = list(csv.DictReader(io.StringIO(stdout)))
    layers = len(price("kws_int8").layers)
    names = ("kws_ternary", "kws_int8", "tpu_like")
    assert [row["accelerator"] for row in rows] == [each for each in names for _ in range(layers)]
    for name in names:
        energy_pj = sum(float(row["energy_pj"]) for row in rows if row["accelerator"] == name)
        assert energy_pj == pytest.approx(price(name).energy_pj)
    # A machine without DRAM has no cycles there: empty, not 0.
    assert rows[0]["dram_cycles"] == "" and rows[-1]["dram_cycles"] != ""


# --- comparisons


def test_compares_all_machines_of_the_library():
    names = accelerator_names()
    stdout = said(DESIGN, "--machine", names[0], "--compare", ",".join(names))
    for name in names:
        assert stdout.count(f"machine {name}: ") == 1
        assert f" {shown(price(name).energy.scaled(1e-6))} " in stdout


def test_compares_policies_of_a_published_network():
    costs = told(DESIGN, "--compare", "P0,P3,kws_int8")
    assert [(cost["design"], cost["accelerator"]) for cost in costs] == [
        (DESIGN, "kws_ternary"),
        ("matchboxnet-3x1x64", "kws_ternary"),
        ("matchboxnet-3x1x64-P3", "kws_ternary"),
        (DESIGN, "kws_int8"),
    ]
    assert [cost["design_key"] for cost in costs[1:3]] == [
        published("matchboxnet-3x1x64").key,
        published("matchboxnet-3x1x64-P3").key,
    ]
    stdout = said(DESIGN, "--compare", "P0")
    assert "matchboxnet-3x1x64 (key " in stdout and f"{DESIGN} (key " in stdout


def test_columns_that_are_equal_stand_once():
    assert len(told(DESIGN, "--compare", "kws_ternary,P1,kws_ternary")) == 1


def test_policies_keep_density_and_generator_of_the_design(tmp_path):
    point = apply_policy(published("matchboxnet-3x1x64"), "P1", density=0.125, generator="one_hot")
    path = tmp_path / "design.yaml"
    path.write_text(yaml.safe_dump(point.to_dict()))
    expected = apply_policy(
        published("matchboxnet-3x1x64"), "P3", density=0.125, generator="one_hot"
    )
    assert told(str(path), "--compare", "P3")[1]["design_key"] == expected.key


@pytest.mark.parametrize("name", ["mine-P1", "mine", "matchboxnet-3x1x64-P1", ""])
def test_a_design_of_ones_own_is_compared_with_itself(tmp_path, name):
    """Whatever it is called: it is not the published network of that name."""
    point = published(DESIGN)
    wide = dataclasses.replace(point.blocks[-1], out_channels=96)
    point = dataclasses.replace(point, blocks=(*point.blocks[:-1], wide), name=name)
    path = tmp_path / "design.yaml"
    path.write_text(yaml.safe_dump(point.to_dict()))
    own, dense, further = told(str(path), "--compare", "P0,P1,P2")
    assert own["design_key"] == point.key
    assert dense["total"]["generated_weights"] == 0
    # Conv3 with 96 outputs of 128 inputs: 32 rows fewer, with 2 of the batch norm each, and the
    # head reads 32 channels less for each of its 12 outputs.
    network = price("kws_ternary", design="matchboxnet-3x1x64").workload.trained_parameters
    fewer = 32 * (128 + 2) + 32 * 12
    assert dense["total"]["trained_parameters"] == network - fewer
    # P1 is the design itself, and stands once; P2 is the next column.
    assert further["total"]["generated_weights"] > own["total"]["generated_weights"]


# --- applications and streams


def test_power_is_energy_without_leakage_and_leakage_all_the_time():
    [cost] = told(DESIGN, "--rate", "10")
    expected = price("kws_ternary")
    rows = [row for row in cost["accesses"] if row["component"] != Component.LEAKAGE]
    dynamic = Band(
        low=sum(row["energy_low_pj"] for row in rows),
        mid=sum(row["energy_pj"] for row in rows),
        high=sum(row["energy_high_pj"] for row in rows),
    )
    power = average_power_uw(dynamic, expected.latency_us, expected.leakage, 10)
    assert cost["application"]["average_power_uw"] == pytest.approx(dataclasses.asdict(power))
    assert cost["application"]["inferences_per_second"] == pytest.approx(1e6 / expected.latency_us)
    # 650 mWh at so many microwatts, in days.
    days = cost["application"]["battery_days"]
    assert days["mid"] == pytest.approx(650e3 / power.mid / 24)
    assert days["low"] == pytest.approx(650e3 / power.high / 24)


def test_a_rate_that_is_too_high_is_said_in_place_of_power():
    stdout = said(DESIGN, "--rate", "1000")
    at_most = 1e6 / price("kws_ternary").latency_us
    assert (
        f"inferences a second, at most {significant(at_most)} power at 1000 a second (µW) too slow"
    ) in stdout
    [cost] = told(DESIGN, "--rate", "1000")
    assert "1,000 inferences a second do not fit" in cost["application"]["not_possible"]


def test_a_supply_that_is_cut_between_inferences_does_not_leak_then():
    [always] = told(DESIGN, "--rate", "10")
    [cut] = told(DESIGN, "--rate", "10", "--duty-cycled")
    cost = price("kws_ternary")
    busy = 10 * cost.latency_us * 1e-6
    assert cut["application"]["busy_share"] == pytest.approx(busy)
    saved = always["application"]["average_power_uw"]["mid"]
    saved -= cut["application"]["average_power_uw"]["mid"]
    assert saved == pytest.approx((1 - busy) * cost.leakage.mid)
    assert always["application"]["duty_cycled"] is False
    assert cut["application"]["duty_cycled"] is True
    printed = said(DESIGN, "--rate", "10", "--duty-cycled")
    power = cut["application"]["average_power_uw"]["mid"]
    assert f"power at 10 a second, off between (µW) {significant(power)} (" in printed
    assert f"busy (%) {100 * busy:.1f}" in printed


@pytest.mark.parametrize(
    ("machine", "memory"),
    [("kws_ternary", "weight_sram"), ("edge_tpu_like", None), ("kws_int8_dram", None)],
)
def test_a_cut_of_the_supply_says_what_is_forgotten(machine, memory):
    # Without DRAM, SRAM is all there is; where 256 Kibit hold all weights, they come again from the
    # DRAM behind; the 64 Kibit of kws_int8_dram do not, so each inference reads them anyway.
    design = "matchboxnet-3x1x64-P4"
    stdout = said(design, "--machine", machine, "--duty-cycled")
    [cost] = told(design, "--machine", machine, "--duty-cycled")
    bits = cost["total"]["stored_bits"]
    lost = cost["application"]["forgets"]
    reloaded = bits if machine == "edge_tpu_like" else 0
    assert cost["application"]["asleep"]["reloaded_bits"] == reloaded
    assert (f"{bits:,} bits reloaded" in stdout) == bool(reloaded)
    if memory is None:
        assert lost is None and "Forgets:" not in stdout
    else:
        assert lost.startswith(f"'{memory}' of {machine} forgets {bits:,} bits of weights")
        assert f"Forgets: {lost}." in stdout
    assert "Forgets:" not in said(design, "--machine", machine)


def test_retention_lies_between_on_and_cut():
    powers = [
        told(DESIGN, "--sleep", mode)[0]["application"]["average_power_uw"]["mid"]
        for mode in ("on", "retention", "gated", "cut")
    ]
    assert powers == sorted(powers, reverse=True) and len(set(powers)) == 4
    stdout = said(DESIGN, "--sleep", "retention")
    assert "power at 1 a second, asleep between (retention) (µW)" in stdout
    assert "(logic off, input_buffer off, weight_sram retention, activation_sram off)" in stdout
    assert "Forgets:" not in stdout and "Asleep:" not in said(DESIGN)
    assert "weight_sram retention, activation_sram retention" in said(
        DESIGN, "--sleep", "retention", "--stream", "4"
    )
    assert run(DESIGN, "--sleep", "gated", "--duty-cycled").exit_code == 2


def test_energy_of_a_second_of_sound_is_that_of_real_time():
    # 64 frames of 10 ms: 1 / 0.64 inferences a second, and a second of leakage.
    [cost] = told(DESIGN, "--frames", "64")
    expected = price("kws_ternary", frames=64)
    leaked = expected.energies_pj[Component.LEAKAGE]
    uj = (expected.energy_pj - leaked) * 1e-6 / 0.64 + expected.leakage.mid
    assert cost["application"]["audio_s_per_inference"] == 0.64
    assert cost["application"]["energy_per_audio_second_uj"]["mid"] == pytest.approx(uj)
    listening = f"a second of sound, in real time (µJ) {significant(uj)} ("
    assert listening in said(DESIGN, "--frames", "64")
    # A stream takes in a hop: 4 frames.
    [hop] = told(DESIGN, "--stream", "4")
    assert hop["application"]["audio_s_per_inference"] == 0.04
    power = hop["application"]["average_power_uw"]["mid"]  # 25 hops a second
    assert hop["application"]["energy_per_audio_second_uj"]["mid"] == pytest.approx(power)
    # QuartzNet takes longer on this machine than its sound lasts.
    large = ("quartznet-5x5", "--frames", "200", "--machine", "kws_tiny", "--rate", "0.01")
    [slow] = told(*large)
    assert "energy_per_audio_second_uj" not in slow["application"]
    assert "a second of sound, in real time (µJ) too slow" in said(*large)


def test_a_stream_prices_a_hop_at_real_time():
    [cost] = told(DESIGN, "--stream", "4")
    workload = lower(published(DESIGN), frames=128, outputs=12)
    hop = stream(workload, 4)
    machine = load_accelerator("kws_ternary")
    expected = estimate(hop.workload, machine, load_technology(machine.technology))
    assert cost["total"] == expected.columns()
    assert cost["stream"] == {
        "hop_frames": 4,
        "state_bits": hop.state_bits,
        "wait_frames": hop.wait_frames,
        "look_ahead_ms": 10 * hop.wait_frames,
    }
    # 100 frames of 10 ms a second, 4 a hop.
    assert cost["application"]["rate"] == 25
    stdout = said(DESIGN, "--stream", "4")
    assert "a hop of 4 frames, 12 outputs" in stdout
    assert f"kept between hops (KiB) {significant(hop.state_bits / 8192)}" in stdout
    assert f"waits for frames {hop.wait_frames}" in stdout
    assert "power at 25 a second" in stdout


def test_a_stream_whose_state_does_not_fit_says_so():
    [cost] = told("quartznet-5x5", "--stream", "2", "--frames", "200", "--outputs", "29")
    [misfit] = [text for text in cost["misfits"] if "between hops" in text]
    bits = cost["total"]["activation_bits"] + cost["stream"]["state_bits"]
    assert misfit == (
        f"activations of a hop and what is kept between hops take {bits:,} bits, and "
        "'activation_sram' of kws_ternary has 524,288"
    )


# --- lengths


def test_lengths_stand_side_by_side_each_as_if_priced_alone():
    design = ("matchboxnet-1x1x16", "--machine", "kws_ternary")
    [cost] = told(*design, "--seconds", "2,0.5")
    assert cost["total"] == told(*design, "--frames", "200")[0]["total"]
    assert [(each["audio_s"], each["frames"]) for each in cost["by_length"]] == [
        (0.5, 50),
        (2, 200),
    ]
    for each in cost["by_length"]:
        alone = told(*design, "--frames", str(each["frames"]))[0]["total"]
        assert each["total"] == alone
        factor = alone["latency_us"] * 1e-6 / each["audio_s"]
        assert each["real_time_factor"] == pytest.approx(factor)
        energy_uj = alone["energy_pj"] * 1e-6 / each["audio_s"]
        assert each["energy_per_audio_second_uj"] == pytest.approx(energy_uj)
    assert "by_length" not in told(*design)[0]
    assert "real-time factor" in said(*design, "--seconds", "2")


def test_a_network_that_answers_at_every_frame_is_priced_for_ten_seconds_and_29_outputs():
    stdout = said("quartznet-5x1")
    assert "one inference of 1000 frames, 29 outputs" in stdout
    assert "By length of the input" in stdout and "real-time factor" in stdout


def test_a_stream_says_how_far_it_lags():
    # Kernels of 11, 13 and 29 with dilation 2 wait for 5, 6 and 28 frames; all of them one after
    # the other.
    [cost] = told("matchboxnet-1x1x16", "--stream", "4")
    assert cost["stream"]["wait_frames"] == 5 + 6 + 28
    assert cost["stream"]["look_ahead_ms"] == 390
    words = said("matchboxnet-1x1x16", "--stream", "4")
    assert "390 of look-ahead, up to 40.0 until the hop is full" in words


# --- options and files


def test_another_technology():
    [cost] = told(DESIGN, "--technology", "synthesis_45nm")
    assert cost["technology"] == "synthesis_45nm"


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_the_objective_of_the_mapping(objective):
    [cost] = told(DESIGN, "--machine", "eyeriss_like", "--objective", objective)
    assert cost["total"] == price("eyeriss_like", objective=objective).columns()


def test_reads_a_design_file(tmp_path):
    assert told(design_file(tmp_path)) == told(DESIGN)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_net"], "there is no published network 'no_such_net'"),
        (["none.yaml"], "none.yaml does not exist"),
        ([DESIGN, "--machine", "kws"], "no machine is called 'kws'"),
        ([DESIGN, "--compare", "kws_int8,tpu"], "no machine is called 'tpu'"),
        ([DESIGN, "--compare", "P9"], "no machine is called 'P9'"),
        ([DESIGN, "--technology", "3nm"], "no technology is called '3nm'"),
        (
            [DESIGN, "--technology", "horowitz_45nm"],
            "an SRAM of 8,192 bits ('input_buffer', machine ",
        ),
        ([DESIGN, "--stream", "129"], "a hop of 129 frames is longer than the 128 frames"),
        (
            ["quartznet-5x5", "--stream", "3"],
            "a hop of 3 frames does not fit the network's strides: use a multiple of 2",
        ),
    ],
)
def test_input_errors_are_one_sentence_and_exit_code_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["estimate", *arguments])
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"dse: {message}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--json", "--csv"], "choose one of --json and --csv"),
        (["--frames", "0"], "0 is not in the range 1<=x<=1000000"),
        (["--seconds", "0"], "0.0 is not in the range 0.01<=x<=10000.0"),
        (["--seconds", "ten"], "'ten' is not a valid float"),
        (["--seconds", "1", "--frames", "9"], "choose one of --frames and --seconds"),
        (["--seconds", "1,2", "--stream", "4"], "a hop costs the same at every length: give"),
        (["--rate", "0"], "0.0 is not in the range 1e-09<=x<=1000000000.0"),
        (["--objective", "area"], "'area' is not one of 'energy', 'latency', 'edp'"),
    ],
)
def test_wrong_options(arguments, message):
    result = run(DESIGN, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_help_names_the_machines():
    stdout = run("--help").stdout
    assert "kws_int8_dram" in stdout
    assert "\\b" not in stdout


def test_technologies_stand_side_by_side_and_say_what_does_not_compare():
    text = said(DESIGN, "--technology", "low_leakage_45nm,low_leakage_22nm,synthesis_45nm")
    assert (
        "kws_ternary, low_leakage_45nm kws_ternary, low_leakage_22nm kws_ternary, synthesis_45nm"
        in text
    )
    assert "of memories low_leakage (itrs-lstp cells of CACTI 7, 350 K, 1.1 V)" in text
    assert "kws_ternary leaks 189 mW in synthesis_45nm: 99." in text
    assert "Leakage of memories is at 350 K in low_leakage_45nm, 300 K in low_leakage_22nm" in text
    each = told(DESIGN, "--technology", "synthesis_45nm,low_leakage_22nm")
    assert [one["technology"] for one in each] == ["synthesis_45nm", "low_leakage_22nm"]
    assert [bool(one["leakage_warning"]) for one in each] == [True, False]
    assert each[0]["leakage_classes"]["memories"]["level"] == "high_performance"


def test_constants_that_are_not_of_the_technology_are_told():
    text = said(DESIGN, "--machine", "tpu_like", "--compare", "kws_int8")
    assert "tpu_like, own constants" in text
    assert "tpu_like has constants of its own (ZigZag 3.9.1, tpu_like) for" in text
    assert [bool(one["own_constants"]) for one in told(DESIGN, "--compare", "tpu_like")] == [
        False,
        True,
    ]
