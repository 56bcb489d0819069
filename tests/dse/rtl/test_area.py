"""Areas by Yosys: by hand in the small library, and in sky130 and ASAP7 where they are there."""

import gzip
import itertools
import re
from pathlib import Path

import pytest

from cost_models.generator import AREA_FITS, generator_area_um2, generator_parts
from dse.errors import InvalidInput
from dse.networks.mixers.ternary import generator_spec
from dse.rtl.area import default_library, evaluate_function, synthesise
from dse.rtl.designs import GeneratorBlock, module_text
from dse.rtl.yosys import Circuit
from dse.ternary.generators import Generator

LIBERTY = Path(__file__).parents[4] / "shared" / "liberty"
NAND_AND_REGISTER = Circuit(
    top="both",
    parameters={},
    sources=(
        "module both(input clk, input a, input b, output reg y);"
        " always @(posedge clk) y <= ~(a & b); endmodule",
    ),
)


def test_a_nand_and_a_flip_flop_by_hand() -> None:
    area = synthesise(NAND_AND_REGISTER)
    assert (area.cells, area.flip_flops) == (2, 1)
    assert area.area_um2 == pytest.approx(3.7536 + 20.0192)
    assert area.gate_equivalents == pytest.approx(1 + 20.0192 / 3.7536)


def test_a_processing_element_keeps_its_sum() -> None:
    areas = {}
    for bits in (16, 24, 32):
        block = Circuit(
            top="ternary_pe", parameters={"SUM_BITS": bits}, sources=(module_text("ternary_pe"),)
        )
        areas[bits] = synthesise(block)
        assert areas[bits].flip_flops == bits
    assert areas[16].area_um2 < areas[24].area_um2 < areas[32].area_um2


def test_libraries_may_be_several_and_packed(tmp_path: Path) -> None:
    text = default_library().read_text()
    head, _, cells = text.partition("  cell (inv)")
    first, _, flip_flop = cells.partition("  cell (dff)")
    logic, registers = tmp_path / "logic.lib", tmp_path / "registers.lib.gz"
    logic.write_text(f"{head}  cell (inv){first}}}\n")
    registers.write_bytes(gzip.compress(f"{head}  cell (dff){flip_flop}".encode()))
    assert synthesise(NAND_AND_REGISTER, (logic, registers)) == synthesise(NAND_AND_REGISTER)
    with pytest.raises(
        InvalidInput, match=r"^the library has no D flip-flop: add the file that has"
    ):
        synthesise(NAND_AND_REGISTER, (logic,))


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("inv", "the library has no inverter: add the file that has the inverters"),
        ("buf", "the library has no buffer: add the file that has the buffers"),
        ("nand2", "the library has no NAND of two inputs to count gate equivalents in"),
        ("dff", "the library has no D flip-flop: add the file that has the flip-flops"),
    ],
)
def test_a_library_that_lacks_a_cell_is_refused(cell: str, message: str, tmp_path: Path) -> None:
    text = default_library().read_text()
    less = re.sub(rf"  cell \({cell}\) \{{.*?\n  \}}\n", "", text, flags=re.DOTALL)
    assert len(less) < len(text)
    path = tmp_path / "cells.lib"
    path.write_text(less)
    with pytest.raises(InvalidInput) as caught:
        synthesise(NAND_AND_REGISTER, (path,))
    assert str(caught.value) == message


def changed(tmp_path: Path, old: str, new: str) -> Path:
    """The small library with a change in all its cells, or in one."""
    text = default_library().read_text()
    assert old in text
    path = tmp_path / "changed.lib"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    area :", "    dont_use : false; area :"),
        ("    area :", '    dont_use : "FALSE" ; area :'),
        ("/* A small", "\ufeff/* A small"),
        ("library (", "/* cell (inv) { area : -5; } */ library ("),
    ],
)
def test_what_means_nothing_changes_nothing(old: str, new: str, tmp_path: Path) -> None:
    path = changed(tmp_path, old, new)
    assert synthesise(NAND_AND_REGISTER, (path,)) == synthesise(NAND_AND_REGISTER)


def test_a_cell_that_is_not_to_be_used_is_as_good_as_none(tmp_path: Path) -> None:
    path = changed(tmp_path, "cell (inv) {", "cell (inv) { dont_use : true;")
    with pytest.raises(InvalidInput, match="the library has no inverter"):
        synthesise(NAND_AND_REGISTER, (path,))


def test_a_cell_without_an_area_is_no_cell_of_area_0(tmp_path: Path) -> None:
    text = default_library().read_text()
    area = re.search(r"cell \(dff\) \{[^\n]*\s*(area : [0-9.]+;)", text)
    assert area
    path = changed(tmp_path, area[1], "")
    with pytest.raises(InvalidInput, match="cell dff of the library has no area, and the circuit"):
        synthesise(NAND_AND_REGISTER, (path,))


def test_one_cell_with_two_areas_is_refused(tmp_path: Path) -> None:
    text = default_library().read_text()
    area = re.search(r"cell \(inv\) \{[^\n]*\s*(area : [0-9.]+;)", text)
    assert area
    libraries = (default_library(), changed(tmp_path, area[1], "area : 7;"))
    with pytest.raises(InvalidInput, match="cell inv stands in the libraries twice, with areas of"):
        synthesise(NAND_AND_REGISTER, libraries)


@pytest.mark.parametrize("area", ["1.2.3", "big", "1e400", "2e9", "-0.5", "nan"])
def test_an_area_that_is_none_is_one_sentence(area: str, tmp_path: Path) -> None:
    path = tmp_path / "cells.lib"
    text = default_library().read_text()
    path.write_text(re.sub(r"area : [0-9.]+;", f"area : {area};", text, count=1))
    with pytest.raises(InvalidInput, match=rf"has an area of {re.escape(area)}"):
        synthesise(NAND_AND_REGISTER, (path,))


def test_functions_without_end_are_none_of_ours(tmp_path: Path) -> None:
    path = changed(tmp_path, 'function : "!A"', f'function : "{"!(" * 9001}A{")" * 9001}"')
    with pytest.raises(InvalidInput, match="the library has no inverter"):
        synthesise(NAND_AND_REGISTER, (path,))


def test_a_library_with_wrong_areas_is_refused(tmp_path: Path) -> None:
    text = default_library().read_text()
    path = tmp_path / "cells.lib"
    path.write_text(text.replace("area : 20.0192", "area : -20"))
    with pytest.raises(
        InvalidInput,
        match=r"^cell dff of library .* has an area of -20: 0, or a number of um2 from 0.001 to",
    ):
        synthesise(NAND_AND_REGISTER, (path,))
    path = tmp_path / "none.lib"
    path.write_text(re.sub(r"area : [0-9.]+;", "", text))
    with pytest.raises(InvalidInput, match="the library has no areas"):
        synthesise(NAND_AND_REGISTER, (path,))


def test_a_damaged_library_is_refused(tmp_path: Path) -> None:
    text = default_library().read_text()
    half = tmp_path / "half.lib"
    half.write_text(text[: len(text) // 2])
    with pytest.raises(InvalidInput, match=r"half\.lib is cut off: it has more `{` than `}`"):
        synthesise(NAND_AND_REGISTER, (half,))
    packed = gzip.compress(text.encode())
    for place in range(12, len(packed), 60):
        path = tmp_path / f"flipped{place}.lib.gz"
        path.write_bytes(packed[:place] + bytes([packed[place] ^ 0xFF]) + packed[place + 1 :])
        with pytest.raises(InvalidInput, match=r"lib\.gz cannot be read"):
            synthesise(NAND_AND_REGISTER, (path,))


def test_packed_libraries_need_no_suffix_and_paths_may_have_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my cells"
    folder.mkdir()
    path = folder / "a library.lib"
    path.write_bytes(gzip.compress(default_library().read_bytes()))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert synthesise(NAND_AND_REGISTER, (path,)) == synthesise(NAND_AND_REGISTER)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!(A&B)", [1, 1, 1, 0]),
        ("(A B)'", [1, 1, 1, 0]),
        ("!A + !B", [1, 1, 1, 0]),
        ("(!A) | (!B)", [1, 1, 1, 0]),
        ("A'|B'", [1, 1, 1, 0]),
        ("(A*B)' ", [1, 1, 1, 0]),
        ("A ^ B", [0, 1, 1, 0]),
        ("A B + !A !B", [1, 0, 0, 1]),
        ("!A B'' | 0", [0, 1, 0, 0]),
        ("A & B | 1", [1, 1, 1, 1]),
    ],
)
def test_functions_are_read_as_liberty_writes_them(text: str, expected: list[int]) -> None:
    inputs = itertools.product((False, True), repeat=2)
    found = [evaluate_function(text, {"A": a, "B": b}) for a, b in inputs]
    assert found == [bool(bit) for bit in expected]


@pytest.mark.parametrize("text", ["", "A &", "(A", "A)", "A = B", "C", "!"])
def test_what_is_no_function_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        evaluate_function(text, {"A": True, "B": False})


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cells.lib"
    path.write_text("cells: none\n")
    with pytest.raises(InvalidInput) as caught:
        synthesise(NAND_AND_REGISTER, (path,))
    assert str(caught.value) == f"library {path} is no Liberty file: it has no `library (...)`"
    packed = tmp_path / "cells.lib.gz"
    packed.write_bytes(b"no gzip")
    with pytest.raises(InvalidInput, match=r"cells\.lib\.gz cannot be read"):
        synthesise(NAND_AND_REGISTER, (packed,))


def model_um2(block: GeneratorBlock, library: str) -> float:
    parts = generator_parts(generator_spec(block.density, block.generator), block.lanes)
    return generator_area_um2(parts, AREA_FITS[library])


@pytest.mark.parametrize(
    ("generator", "density", "lanes"),
    [
        # None of these is among the designs of the fit, nor among those held out beside it.
        (Generator(taps=(89, 51)), 0.25, 24),
        *(
            pytest.param(*case, marks=pytest.mark.soak)
            for case in (
                (Generator(threshold_bits=10), 0.25, 32),
                (Generator(family="lfsr_and", taps=(89, 51)), 0.25, 48),
                (Generator(family="one_hot", taps=(607, 460)), 1 / 16, 32),
                (Generator(family="one_hot", signs="balanced"), 0.5, 16),
                (Generator(family="one_hot", signs="balanced"), 0.5, 18),
                (Generator(family="counter_arx", threshold_bits=7, rounds=7), 0.25, 12),
                (Generator(family="sobol", rounds=7), 1 / 16, 32),
            )
        ),
    ],
)
def test_the_model_holds_for_designs_outside_the_fit(
    generator: Generator, density: float, lanes: int
) -> None:
    block = GeneratorBlock(generator=generator, density=density, lanes=lanes)
    area_um2 = synthesise(block.circuit()).area_um2
    assert model_um2(block, "small_130nm") == pytest.approx(area_um2, rel=0.08)


@pytest.mark.skipif(not LIBERTY.is_dir(), reason="no folder ../shared/liberty")
@pytest.mark.parametrize(
    ("library", "files"),
    [("sky130", "sky130hd_tt.lib.gz"), ("asap7", "asap7sc7p5t_*.lib*")],
)
def test_the_model_holds_in_libraries_of_foundries(library: str, files: str) -> None:
    block = GeneratorBlock(generator=Generator(taps=(89, 51)), density=0.25, lanes=24)
    area = synthesise(block.circuit(), tuple(sorted(LIBERTY.glob(files))))
    assert area.flip_flops == 89 + 8
    assert area.nand2_um2 == {"sky130": 3.7536, "asap7": 0.05832}[library]
    assert model_um2(block, library) == pytest.approx(area.area_um2, rel=0.08)
