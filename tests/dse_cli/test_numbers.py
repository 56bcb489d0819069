"""Numbers on the command line: none is believed that nothing can be computed with."""

import json
import math
from collections.abc import Iterator

import click
import pytest

from cost_models.application import Use
from dse.design.published import published
from dse.errors import InvalidDesign, InvalidInput
from dse.networks.lowering import MOST_FRAMES, MOST_OUTPUTS, lower
from dse_cli import group, main

HUGE = "9" * 30
CHECKED_WITHIN = {
    # Commands whose own sentence knows more than a range: what a family, a node or a file has.
    *("threshold_bits", "rounds", "shift", "lanes", "density", "fan_in", "size", "matrices"),
    *("clips", "opset", "node_nm", "voltage_v", "speakers"),
}


def commands(
    command: click.Command, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield words, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from commands(inner, (*words, name))


def refuses(option: click.Parameter, text: str) -> bool:
    try:
        option.type.convert(text, option, None)
    except click.BadParameter:
        return True
    return False


def test_no_option_takes_a_number_beyond_all_use() -> None:
    for words, command in commands(group):
        for option in command.params:
            place = (*words, option.name)
            if isinstance(option.type, click.types.IntParamType):
                taken = not refuses(option, HUGE)
            elif isinstance(option.type, click.types.FloatParamType):
                taken = not all(refuses(option, text) for text in ("nan", "inf", "-inf"))
            else:
                continue
            assert (
                not taken
                or option.name in CHECKED_WITHIN
                or place in {("data", "synthesize", "seed")}
            ), place


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--frames", HUGE), "is not in the range 1<=x<=1000000"),
        (("--frames", "0"), "0 is not in the range"),
        (("--outputs", HUGE), "is not in the range 1<=x<=100000"),
        (("--stream", HUGE), "is not in the range"),
        (("--rate", "nan"), "nan is no finite number"),
        (("--rate", "inf"), "inf is not in the range"),
        (("--rate", "1e300"), "1e+300 is not in the range"),
        (("--rate", "-1"), "-1.0 is not in the range"),
        (("--rate", "1e-300"), "1e-300 is not in the range"),
        (("--battery-mwh", "1e308"), "1e+308 is not in the range"),
        (("--battery-mwh", "nan"), "nan is no finite number"),
    ],
)
def test_what_cannot_be_priced_is_told(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["estimate", "matchboxnet-3x1x64-P3", *words])
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert words[0] in err and message in err


@pytest.mark.parametrize(
    "words",
    [
        ("generator", "--rows", HUGE, "--out", "g"),
        ("generator", "--family", "counter_arx", "--columns", HUGE, "--out", "g"),
        ("generator", "--family", "counter_arx", "--rounds", HUGE, "--out", "g"),
        ("generator", "--shift", HUGE, "--out", "g"),
        ("generator", "--lanes", HUGE, "--out", "g"),
        ("engine", "matchboxnet-3x1x64-P2", "--layer", "B1.0.pw", "--frames", HUGE, "--out", "e"),
        ("engine", "matchboxnet-3x1x64-P2", "--layer", "B1.0.pw", "--vectors", HUGE, "--out", "e"),
        ("onnx", "matchboxnet-3x1x64", "--seed", HUGE, "--out", "x.onnx"),
        ("onnx", "matchboxnet-3x1x64", "--outputs", HUGE, "--out", "x.onnx"),
        ("technology", "low_leakage_22nm", "--voltage-v", "nan", "--out", "t.yaml"),
    ],
)
def test_exports_of_what_no_memory_holds_are_one_sentence(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["export", *words])
    err = capsys.readouterr().err
    assert caught.value.code == 2 and "Traceback" not in err


@pytest.mark.parametrize(
    ("frames", "outputs"), [(MOST_FRAMES + 1, 12), (0, 12), (128, MOST_OUTPUTS + 1), (128, 0)]
)
def test_python_has_the_same_limits(frames: int, outputs: int) -> None:
    with pytest.raises(InvalidDesign, match="must be from 1 to 1"):
        lower(published("matchboxnet-3x1x64"), frames=frames, outputs=outputs)


@pytest.mark.parametrize("number", [0.0, -1.0, math.nan, math.inf, 1e300, 1e-300])
@pytest.mark.parametrize("name", ["inferences_per_second", "battery_mwh"])
def test_a_use_is_one_that_there_is(name: str, number: float) -> None:
    with pytest.raises(InvalidInput, match=f"^{name} must be in "):
        Use(**{name: number})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("machine", "lacking"), [("kws_int8", None), ("kws_int8_dram", "the standby power of 'dram'")]
)
def test_json_says_what_a_power_lacks(
    machine: str, lacking: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["estimate", "matchboxnet-3x1x64", "--machine", machine, "--json"])
    [priced] = json.loads(capsys.readouterr().out)
    said = priced["left_out_of_power"]
    assert said is None if lacking is None else said.startswith(lacking)
    unknown = [name for name, leakage in priced["leakages_uw"].items() if leakage is None]
    assert unknown == ([] if lacking is None else ["dram"])


def test_no_help_tells_a_limit_that_there_is_not() -> None:
    for words, command in commands(group):
        context = click.Context(command, info_name=" ".join(words))
        assert "None]" not in " ".join(command.get_help(context).split()), words
