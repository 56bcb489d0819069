"""The generator inside of the machine: one circuit for all layers, with start words for each."""

from dataclasses import dataclass

from cost_models.workload import RECORD_BITS
from dse.chip.machine import ChipMachine
from dse.chip.program import Program
from dse.errors import InvalidDesign
from dse.rtl.designs import GeneratorBlock, module_text
from dse.ternary.matrix import start_state

MOST_RECORDS = 15
"""Start records that `parameter_store.v` counts, in four bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TritSource:
    """A generator block, and what it starts with in each layer."""

    block: GeneratorBlock
    starts: dict[str, int]
    """Layer -> all start words as one number, the first the lowest bits."""

    @property
    def bits(self) -> int:
        """Of all start words."""
        return sum(self.block.word_bits.values())

    @property
    def records(self) -> int:
        """Records of the weight memory that they take."""
        return -(-self.bits // RECORD_BITS)

    def start_records(self, layer: str) -> bytes:
        """Start words as they stand in the weight memory: the highest record first."""
        size = RECORD_BITS // 8
        whole = self.starts[layer].to_bytes(self.records * size, "little")
        return b"".join(whole[at : at + size] for at in range(len(whole) - size, -1, -size))

    def modules(self) -> dict[str, str]:
        """Verilog files: the family's modules, and the wrapper that the chip knows."""
        files = {f"{name}.v": module_text(name) for name in self.block.modules}
        return files | {"trit_generator.v": self._wrapper()}

    def _wrapper(self) -> str:
        block, low, words = self.block, 0, ""
        for name, bits in block.word_bits.items():
            words += f"        .{name}(seed[{low} +: {bits}]),\n"
            low += bits
        parameters = ", ".join(f".{name}({value})" for name, value in block.parameters.items())
        lanes = block.lanes
        return f"""\
// The generator of this design: {block.generator.label}, density {block.density:g}.
//
// A trit is two bits, {{negative, nonzero}}; lane 0 is the lowest.
module trit_generator (
    input                   clk,
    input                   load,    // the start words: then come the first trits
    input                   enable,  // the next ones
    input  [{self.records * RECORD_BITS - 1}:0] seed,
    output [{2 * lanes - 1}:0] trits
);
    wire [{lanes - 1}:0] nonzero, negative;
    {block.top} #({parameters}) generator (
        .clk(clk), .load(load), .enable(enable),
{words}        .nonzero(nonzero), .negative(negative)
    );
    genvar lane;
    generate
        for (lane = 0; lane < {lanes}; lane = lane + 1) begin : lanes
            assign trits[2*lane +: 2] = {{negative[lane] & nonzero[lane], nonzero[lane]}};
        end
    endgenerate
endmodule
"""


def trit_source(program: Program, chip: ChipMachine) -> TritSource | None:
    """The generator of all layers that the machine generates; None where there are none.

    Raises:
        InvalidDesign: layers have different generators, or densities that one circuit cannot make.
    """
    blocks, starts = [], {}
    for step in program.steps:
        generated = step.path is not None and step.path.place is not None
        if not generated or not chip.machine.generates(program.layer(step.name).layer):
            continue
        assert step.path is not None and step.path.place is not None
        place = step.path.place
        generator, density = place.mixer.generator, place.mixer.density
        assert generator is not None and density is not None  # Mixer checked it
        block = GeneratorBlock(generator=generator, density=density, lanes=chip.trit_lanes)
        state = start_state(place.ternary_seed, place.name, generator)
        number, low = 0, 0
        for bits, value in block.start_words(state, place.in_channels).values():
            number |= value << low
            low += bits
        blocks.append(block)
        starts[step.name] = number
    if not blocks:
        return None
    if any(
        block.parameters != blocks[0].parameters or block.top != blocks[0].top for block in blocks
    ):
        raise InvalidDesign(
            "the exported chip has one generator, and the design's ternary layers need several: "
            "use one family, with densities that it takes as a start word, or a machine that "
            "stores trits"
        )
    found = TritSource(block=blocks[0], starts=starts)
    if found.records > MOST_RECORDS:
        raise InvalidDesign(
            f"the exported chip keeps {MOST_RECORDS * RECORD_BITS:,} bits of a generator's start, "
            f"and {blocks[0].generator.label} needs {found.bits:,}: use another generator, or a "
            "machine that stores trits"
        )
    return found
