"""An accelerator: compute arrays, memories, a vector unit, and a generator of ternary weights.

    dram -- sram -- register file -- compute array (rows x columns x lanes of elements)
                                     each element: registers for weights, inputs, outputs
    generator ------------------^    trits instead of stored weights

An operand lives in the memories that hold it, innermost first; the last of them is its backing
memory, which must hold all of it. Which memories hold what is the machine's choice: weights may
come from the DRAM without passing an SRAM, outputs may have a buffer of their own.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, Literal

from cost_models.allowed import OURS, Allowed, Count, Name, Positive, Source, check_fields
from cost_models.errors import InvalidAccelerator, require
from cost_models.generator import GeneratorSpec
from cost_models.sram import WIDEST_WORD_BITS, Build
from cost_models.technology import Constant
from cost_models.workload import CONVOLUTIONS, TRITS, Layer, WeightSource

Operand = Literal["weights", "inputs", "outputs"]
OPERANDS: tuple[Operand, ...] = ("weights", "inputs", "outputs")

Axis = Literal["rows", "columns", "lanes"]
AXES: tuple[Axis, ...] = ("rows", "columns", "lanes")

Element = Literal["mac", "ternary_adder", "ternary_tree"]
ZeroHandling = Literal["dense", "gated", "skipped"]
Dataflow = Literal["auto", "weight_stationary", "output_stationary", "input_stationary"]
Depthwise = Literal["auto", "one_channel_per_pass", "channels_across_array"]
TernaryWeights = Literal["generated", "stored", "refused"]
Fit = Literal["fit"]
MemoryKind = Literal["register_file", "sram", "dram", "mask_rom", "eflash", "rram", "mram"]
READ_ONLY: tuple[MemoryKind, ...] = ("mask_rom", "eflash", "rram", "mram")


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Storage of one operand in every element of an array."""

    capacity_bits: Count
    """Of one register file."""
    shared_along: tuple[Axis, ...] = ()
    """Elements along these axes of the array share one; an accumulator below an adder tree, say."""
    word_bits: Count = 1
    """Smallest access: a narrower value costs as much to read. Values are kept bit by bit, so that
    four of two bits lie in a word of 8 and are written together."""
    read_pj_per_bit: Constant | None = None
    """The technology's register where it is left out."""
    write_pj_per_bit: Constant | None = None
    where: Annotated[str, OURS] = field(default="", compare=False)
    """File and line that describe it, for messages."""

    def __post_init__(self) -> None:
        """Holds something."""
        check_fields(self)
        fits = self.word_bits <= self.capacity_bits
        require(fits, "word_bits", f"at most capacity_bits ({self.capacity_bits})", self.word_bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeArray:
    """What computes, and how much of it a cycle."""

    name: Name
    element: Element
    """A multiply-accumulate unit, a ternary adder with its accumulator, or a lane of a ternary
    adder tree: `rows` trees of `columns` lanes, one accumulator a tree."""
    rows: Count
    columns: Count
    lanes: Count = 1
    """Elements at each place of the array."""
    interconnect: Literal["broadcast", "multicast", "systolic"] = "broadcast"
    """Operands reach whole rows or columns in a cycle; or any set of elements (an input then
    serves several frames of a convolution at once, along diagonals); or move from neighbour to
    neighbour."""
    operand_bits: Count = 8
    """Widest weight or activation that an element takes."""
    accumulator_bits: Count = 24
    """Widest sum that an element holds."""
    saturates: bool = False
    """Wider sums than that stop at the largest number, instead of being refused."""
    zero_handling: ZeroHandling = "dense"
    """What a zero trit costs: an addition of zero, a cycle with a gated clock, or nothing."""
    dataflow: Dataflow = "auto"
    """What stays in the elements while the others pass; `auto` takes the best for each layer."""
    depthwise: Depthwise = "auto"
    """One channel at a time, or as many as the array has rows."""
    bypass: bool = True
    """Systolic arrays only: data enters beside the rows and columns that a layer leaves idle,
    instead of passing them."""
    weights: Register | None = None
    inputs: Register | None = None
    outputs: Register
    latched: tuple[Literal["weights", "inputs"], ...] = ()
    """Operands without registers in the elements whose values of the current pass stand in a latch
    before the array, `elements * operand_bits` flip-flops an operand: the next pass may need the
    same, and a port that is narrower than a pass takes several transfers to fill it."""
    latch_pj_per_bit: Constant | None = None
    """To write a bit of them; where it is left out, part of `operation_pj` if that is given, else
    the technology's register."""
    operation_pj: Constant | None = None
    """Of one operation, whatever its width; the technology's where it is left out."""
    element_um2: Constant | None = None
    """Of one element with its registers; the technology's where it is left out."""
    where: Annotated[str, OURS] = field(default="", compare=False)
    """File and line that describe it, for messages."""

    def __post_init__(self) -> None:
        """Sizes are positive, and parts fit each other."""
        check_fields(self)
        require(
            self.zero_handling == "dense" or self.element != "mac",
            "zero_handling",
            "dense for an array of MAC units: they do not look for zeros",
            self.zero_handling,
        )
        require(
            self.interconnect != "systolic" or self.element == "mac",
            "interconnect",
            "broadcast or multicast for ternary elements: only MAC arrays are modelled as systolic",
            self.interconnect,
        )
        require(
            self.element != "ternary_tree" or self.lanes == 1,
            "lanes",
            "1 for ternary trees: their columns are the lanes",
            self.lanes,
        )
        twice = [each for each in self.latched if self.latched.count(each) > 1]
        with_registers = [each for each in self.latched if getattr(self, each) is not None]
        require(
            not twice and not with_registers,
            "latched",
            "a list of different operands, none of which has registers in the elements",
            list(self.latched),
        )
        require(
            self.latch_pj_per_bit is None or bool(self.latched),
            "latch_pj_per_bit",
            "left out where nothing is latched",
            self.latch_pj_per_bit,
        )
        require(
            self.outputs.capacity_bits >= self.accumulator_bits,
            "outputs",
            f"registers of at least accumulator_bits ({self.accumulator_bits})",
            self.outputs.capacity_bits,
        )

    @property
    def elements(self) -> int:
        """Operations a cycle at most."""
        return self.rows * self.columns * self.lanes

    @property
    def latch_bits(self) -> int:
        """Flip-flops of each latched operand: as many values as elements, each of its own."""
        return self.elements * self.operand_bits

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Rows, columns, lanes."""
        return (self.rows, self.columns, self.lanes)

    def operations(self, layer: Layer) -> int:
        """Operations that a convolution takes on this array: zero trits count unless skipped.

        One operation is a multiply-accumulate, or one entry of a ternary matrix applied to one
        output pixel. An array that only gates the clock of zeros still spends a cycle on each, so
        its zeros count; one that skips them does so for generated matrices alone, whose zeros are
        known. Divided by `elements` it is the least number of cycles that the layer can take.
        """
        skipped = self.zero_handling == "skipped" and layer.weights is WeightSource.GENERATED
        entries = layer.nonzeros if skipped else layer.weight_entries
        return entries * layer.out_pixels

    def register(self, operand: Operand) -> Register | None:
        """The register of an operand; a tree's accumulator is shared by its lanes."""
        register: Register | None = getattr(self, operand)
        if register is not None and operand == "outputs" and self.element == "ternary_tree":
            return replace(register, shared_along=("columns",))
        return register

    def instances(self, operand: Operand) -> int:
        """Register files of an operand in the whole array; 0 without them.

        The product of the axes along which they are not shared: an array of 8 rows, 16 columns and
        1 lane has 128 of them, or 8 where its columns share one (the accumulators of 8 trees).
        """
        register = self.register(operand)
        if register is None:
            return 0
        sizes = zip(AXES, self.sizes, strict=True)
        return math.prod(size for axis, size in sizes if axis not in register.shared_along)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLevel:
    """A memory between the arrays and the outside, or the DRAM outside."""

    name: Name
    kind: MemoryKind
    """The last four hold weights without supply, and are not written during an inference
    (`cost_models.nonvolatile`)."""
    holds: tuple[Operand, ...]
    capacity_bits: Count | Fit
    """`fit`: as large as the design needs that runs, rounded up to a macro that can be built
    (`cost_models.fitting`)."""
    bandwidth_bits_per_cycle: Count
    """Of each port."""
    ports: Literal["shared", "separate"] = "shared"
    """One port that reads or writes, or one that reads and one that writes."""
    double_buffered: bool = False
    """The next tile comes while one is used: a tile takes at most half of what whole tensors
    leave."""
    word_bits: Count | None = None
    """Smallest access: every tile that moves takes whole words. Left out, it is the whole port; of
    register files and DRAM a bit. An SRAM whose port is wider than its word is made
    of banks, port / word of them (`cost_models.sram`)."""
    read_pj_per_bit: Constant | None = None
    """The technology's where it is left out: of a register, an SRAM of this size, its DRAM."""
    write_pj_per_bit: Constant | None = None
    leakage_uw: Constant | None = None
    area_um2: Constant | None = None
    """A DRAM has none: it is another chip."""
    asleep: Literal["on", "retention", "off"] | None = None
    """Between inferences, of a memory on the chip, whatever the mode of sleep but a cut; left out,
    the mode decides (`cost_models.sleep`)."""
    where: Annotated[str, OURS] = field(default="", compare=False)
    """File and line that describe it, for messages."""
    fitted: Annotated[bool, OURS] = field(default=False, compare=False)
    """Its capacity was `fit`, and is what a design needs."""

    def __post_init__(self) -> None:
        """Sizes are positive, it holds something, and its port is not wider than all of it."""
        check_fields(self)
        distinct = 1 <= len(self.holds) == len(set(self.holds))
        require(distinct, "holds", "a list of distinct operands", list(self.holds))
        if self.read_only:
            self._check_read_only()
        holds = self.asleep != "retention" or self.kind == "sram"
        require(
            holds, "asleep", "on or off: only an SRAM has a low voltage to hold data", self.asleep
        )
        stays = self.kind != "dram" or self.asleep is None
        require(stays, "asleep", "left out for a DRAM, which is another chip", self.asleep)
        if self.capacity_bits == "fit":
            self._check_fit()
            return
        for name in ("bandwidth_bits_per_cycle", "word_bits"):
            width = getattr(self, name)
            fits = self.kind == "dram" or width is None or width <= self.capacity_bits
            require(fits, name, f"at most capacity_bits ({self.capacity_bits:,})", width)

    def _check_read_only(self) -> None:
        """What is not written holds weights alone, and has one port, which reads."""
        words = self.kind.replace("_", " ")
        only = f"[weights] for {words}, which is not written during an inference"
        require(self.holds == ("weights",), "holds", only, list(self.holds))
        require(
            self.ports == "shared", "ports", f"shared for {words}, which only reads", self.ports
        )
        remedy = f"left out for {words}, which is not written during an inference"
        require(self.write_pj_per_bit is None, "write_pj_per_bit", remedy, self.write_pj_per_bit)

    def _check_fit(self) -> None:
        """A size that is chosen later needs figures that follow it."""
        given = "a number of bits"
        another = f"{given} for a DRAM: it is another chip"
        require(self.kind != "dram", "capacity_bits", another, "fit")
        own = ("read_pj_per_bit", "write_pj_per_bit", "leakage_uw", "area_um2")
        for name in own:
            remedy = f"{given} where {name} is given, which belongs to one size"
            require(getattr(self, name) is None, "capacity_bits", remedy, "fit")

    @property
    def bits(self) -> int:
        """Its capacity, of a memory whose size is known.

        Raises:
            InvalidAccelerator: it is `fit`, and no design has said yet what it needs.
        """
        if self.capacity_bits == "fit":
            raise InvalidAccelerator(
                f"'{self.name}' has no size yet{at(self.where)}: capacity_bits is fit, and follows "
                "from a design; name a design, or give a number of bits"
            )
        return self.capacity_bits

    @property
    def size_words(self) -> str:
        """`65,536 bits`, and whether a design's needs decided it."""
        if self.capacity_bits == "fit":
            return "as many bits as the design needs"
        return f"{self.capacity_bits:,} bits{' (fit)' if self.fitted else ''}"

    @property
    def access_bits(self) -> int:
        """Bits that the smallest access pays for."""
        if self.word_bits is not None:
            return self.word_bits
        macro = self.kind == "sram" or self.read_only
        return self.bandwidth_bits_per_cycle if macro else 1

    @property
    def read_only(self) -> bool:
        """Whether it is not written during an inference."""
        return self.kind in READ_ONLY

    @property
    def build(self) -> Build:
        """Macros of an SRAM: as many as a word needs, as many words as the port has."""
        macros = -(-self.access_bits // WIDEST_WORD_BITS)
        word_bits = -(-self.access_bits // macros)
        banks = -(-max(self.bandwidth_bits_per_cycle, self.access_bits) // word_bits)
        return Build(word_bits=word_bits, banks=banks, two_ports=self.ports == "separate")


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorUnit:
    """The part of a machine that makes ternary weights from a seed."""

    trits_per_cycle: Annotated[int, Allowed(ge=1, le=65_536)]
    """Lanes. The sequence does not depend on them."""
    saved_states: Annotated[int, Allowed(ge=0, le=1)] = 0
    """Registers beside it that keep one state, so that a piece of a matrix can be made again from
    its beginning. Without one, only whole matrices are made again (`cost_models.generation`)."""
    spec: GeneratorSpec | None = None
    """The one generator that this machine has; left out, it is built for the design that runs: the
    generator follows from the design like the seed does."""

    def __post_init__(self) -> None:
        """There is a lane."""
        check_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A machine. A frozen value; `library.load_accelerator` reads it."""

    name: str
    """Of its file."""
    description: str
    source: Source
    """Where its sizes come from: a publication, or whose design choice they are."""
    technology: str
    """Technology that it is priced with unless another is asked for: name or file."""
    clock_mhz: Positive
    arrays: tuple[ComputeArray, ...]
    memories: tuple[MemoryLevel, ...]
    """Innermost first."""
    vector_lanes: Count
    """What makes int8 of sums, batch norm included, of residual adds and means: a value a cycle."""
    ternary_weights: TernaryWeights
    """Made by the generator; read from memory, two bits each; or not executable."""
    generator: GeneratorUnit | None = None
    residency: Literal["where_it_fits", "never"] = "where_it_fits"
    """Whether activations stay in an SRAM between layers, and weights between inferences, where
    they fit; otherwise every layer begins and ends in the backing memory."""
    input_memory: str = ""
    """Where the features of an inference arrive and its scores leave; the backing memory of the
    inputs where it is left out."""
    clock_gates: bool = True
    """Registers that nothing is written to stand still; without, their clock runs in each cycle."""
    where: Annotated[str, OURS] = field(default="", compare=False)
    """File and line of its clock, for messages."""

    def __post_init__(self) -> None:
        """Parts fit each other."""
        check_fields(self)
        for parts in ("arrays", "memories"):
            names = [part.name for part in getattr(self, parts)]
            distinct = 1 <= len(names) == len(set(names))
            require(distinct, parts, "a list of distinct names, at least one", names)
        require(
            any(array.element == "mac" for array in self.arrays),
            "arrays",
            "a list with an array of MAC units: trained weights multiply",
            [array.element for array in self.arrays],
        )
        self._check_memories()
        generated = self.ternary_weights == "generated"
        if generated:
            remedy = "given where ternary_weights is generated"
        else:
            remedy = f"left out where ternary_weights is {self.ternary_weights}"
        require((self.generator is not None) == generated, "generator", remedy, self.generator)

    def _check_memories(self) -> None:
        for operand in OPERANDS:
            held = any(operand in memory.holds for memory in self.memories)
            require(
                held,
                "memories",
                f"a list in which one holds the {operand}",
                [list(memory.holds) for memory in self.memories],
            )
        for memory in self.memories:
            outermost = memory.name == self.chain("weights")[-1].name
            require(
                outermost or not memory.read_only,
                "memories",
                f"a list in which '{memory.name}' is the last that holds weights: nothing fills it",
                [each.name for each in self.chain("weights")],
            )
        last = self.chain("inputs")[-1].name
        require(
            self.chain("outputs")[-1].name == last,
            "memories",
            "a list in which inputs and outputs end in the same memory: outputs become inputs",
            [last, self.chain("outputs")[-1].name],
        )
        names = [memory.name for memory in self.chain("inputs") if "outputs" in memory.holds]
        require(
            self.input_memory in ("", *names),
            "input_memory",
            f"a memory that holds inputs and outputs ({', '.join(names)})",
            self.input_memory,
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data, but where it was read from."""
        plain: dict[str, Any] = _without_places(asdict(self))
        if self.clock_gates:  # studies begun before there was this key go on
            del plain["clock_gates"]
        for memory in plain["memories"]:
            del memory["fitted"]
            if memory["asleep"] is None:
                del memory["asleep"]
            if not memory["double_buffered"]:  # studies begun before there was this key go on
                del memory["double_buffered"]
        if self.generator is not None and not self.generator.saved_states:
            del plain["generator"]["saved_states"]
        spec = plain["generator"]["spec"] if plain["generator"] else None
        if spec and not spec["paired_signs"]:  # as above
            del spec["paired_signs"]
        return plain

    def chain(self, operand: Operand) -> tuple[MemoryLevel, ...]:
        """Memories that hold an operand, innermost first; the last one is its backing memory.

        An operand passes all of them in turn on its way to the array, outputs on their way back;
        memories that do not hold it are bypassed. Never empty: a machine that lacks one is refused.
        """
        return tuple(memory for memory in self.memories if operand in memory.holds)

    @property
    def sum_bits(self) -> int:
        """Of the widest sum of its arrays, which a vector lane takes."""
        return max(array.accumulator_bits for array in self.arrays)

    @property
    def sram_bits(self) -> int:
        """Capacity of all SRAMs together: not of registers and register files, nor of DRAM."""
        return sum(memory.bits for memory in self.memories if memory.kind == "sram")

    @property
    def to_fit(self) -> tuple[MemoryLevel, ...]:
        """Memories whose size follows from the design that runs."""
        return tuple(memory for memory in self.memories if memory.capacity_bits == "fit")

    def sized(self, capacities: Sequence[int]) -> "Accelerator":
        """The machine with these capacities for its memories `to_fit`, in their order."""
        sizes = dict(zip((memory.name for memory in self.to_fit), capacities, strict=True))
        memories = tuple(
            replace(memory, capacity_bits=sizes[memory.name], fitted=True)
            if memory.name in sizes
            else memory
            for memory in self.memories
        )
        return replace(self, memories=memories)

    @property
    def as_asked(self) -> "Accelerator":
        """The machine before its memories were fitted to a design."""
        if not any(memory.fitted for memory in self.memories):
            return self
        memories = tuple(
            replace(memory, capacity_bits="fit", fitted=False) if memory.fitted else memory
            for memory in self.memories
        )
        return replace(self, memories=memories)

    @property
    def activation_home(self) -> MemoryLevel | None:
        """The outermost memory below the backing one that can keep activations between layers.

        It must hold inputs and outputs, since the outputs of a layer are the inputs of the next.
        Whatever lies between it and the array is passed all the same; what is saved is the way to
        the backing memory and back (`cost_models.residency`).

        None where `residency` is `never`, and where there is nothing to save: where activations
        have no memory but their backing one.
        """
        if self.residency == "never":
            return None
        below = self.chain("inputs")[:-1]
        both = [memory for memory in below if "outputs" in memory.holds]
        return both[-1] if both else None

    @property
    def weight_home(self) -> MemoryLevel | None:
        """The outermost memory below the weights' backing one: it keeps a network that fits.

        None where activations have that memory for their home: it is not given away twice. The
        memories further in are not asked then: they are tile buffers, not homes.
        """
        below = self.chain("weights")[:-1] if self.residency != "never" else ()
        home = self.activation_home
        taken = home is not None and bool(below) and below[-1].name == home.name
        return below[-1] if below and not taken else None

    @property
    def input_arrives_on_chip(self) -> bool:
        """Whether features are in the activations' home when an inference begins.

        As on a chip that computes its features itself. Otherwise they are fetched from the backing
        memory, and the scores go there, whatever room the home has.
        """
        home = self.activation_home
        return home is not None and self.input_memory == home.name

    def array_for(self, layer: Layer) -> ComputeArray:
        """The array that executes a convolution: ternary elements for ternary weights if any.

        The first array that is not of MAC units takes the ternary layers. A machine without one
        runs them on its MAC units, with each trit as an ordinary weight. So does one whose ternary
        elements take their trits from a generator, or skip zeros by knowing the matrix, with
        *trained* trits: those come from the memory, and training decides which are zero. Whether
        the operands are narrow enough for the array is another question: `check_executable`.
        """
        if layer.weights in TRITS:
            stored = layer.weights is WeightSource.TRAINED_TERNARY
            for array in self.arrays:
                if array.element != "mac" and not (stored and self._makes_trits(array)):
                    return array
        return next(array for array in self.arrays if array.element == "mac")

    def _makes_trits(self, array: ComputeArray) -> bool:
        """Whether an array of ternary elements cannot take trits that training has chosen."""
        return self.ternary_weights != "stored" or array.zero_handling == "skipped"

    def generates(self, layer: Layer) -> bool:
        """Whether this machine's generator makes a layer's weights.

        False for a ternary layer on a machine that stores its trits: there its weights come through
        the memories like trained ones.
        """
        return layer.weights is WeightSource.GENERATED and self.ternary_weights == "generated"

    def stored_bits(self, layer: Layer) -> int:
        """Bits of weight memory that a layer takes on this machine.

        `Layer.stored_bits`, except on a machine that stores ternary matrices: there their entries
        at the layer's `weight_bits` take the place of the generator's start words. Weights, and
        what stands beside them, begin at a word of the memory that keeps them.
        """
        weights, beside = layer.stored_matrix_bits, layer.parameter_bits
        if layer.weights is WeightSource.GENERATED and self.ternary_weights == "stored":
            weights = layer.generated_weights * layer.weight_bits
        else:
            beside += layer.start_bits
        word = self.weight_word_bits
        return -(-weights // word) * word + -(-beside // word) * word

    @property
    def weight_word_bits(self) -> int:
        """Word of the memory that keeps the weights: their home, or the backing one without."""
        return (self.weight_home or self.chain("weights")[-1]).access_bits

    def check_executable(self, layer: Layer) -> None:
        """Raise `InvalidAccelerator` if the machine cannot execute a layer, whatever its size.

        Asked of kinds and widths: ternary weights that the machine refuses, operands or sums wider
        than the array (unless it saturates), a matrix that its generator does not make. Layers that
        are not convolutions run on the vector unit, which takes them all. Whether tiles fit the
        memories is found out by the search of a mapping (`UnmappableLayer`).
        """
        if layer.kind not in CONVOLUTIONS:
            return
        where = f"{layer.name} cannot run on {self.name}"
        if layer.weights is WeightSource.GENERATED and self.ternary_weights == "refused":
            raise InvalidAccelerator(
                f"{where}: its weights are generated, and the machine has no generator; set "
                "ternary_weights to stored or to generated (with a generator), or use a dense mixer"
            )
        array = self.array_for(layer)
        # A trit on a ternary element is a command (add, subtract, skip) and no operand: only on MAC
        # units does its width have to fit. Outputs are sums as they leave, or narrower: the vector
        # unit rounds them, so an element never takes one.
        ternary = layer.weights in TRITS and array.element != "mac"
        sums = layer.output_bits <= layer.accumulator_bits
        widest = max(layer.input_bits, 0 if ternary else layer.weight_bits)
        widest = widest if sums else max(widest, layer.output_bits)
        if widest > array.operand_bits:
            raise InvalidAccelerator(
                f"{where}: it has {widest}-bit operands, and operand_bits of '{array.name}' is "
                f"{array.operand_bits}{at(array.where)}; use a wider array"
            )
        if layer.accumulator_bits > array.accumulator_bits and not array.saturates:
            raise InvalidAccelerator(
                f"{where}: it has {layer.accumulator_bits}-bit sums, and accumulator_bits of "
                f"'{array.name}' is {array.accumulator_bits}{at(array.where)}; use a wider array, "
                "or let it saturate"
            )
        if self.generates(layer) and layer.generator is None:
            raise InvalidAccelerator(
                f"{where}: the machine generates its matrix, and nothing says by what; give the "
                "layer a generator"
            )
        fixed = self.generator.spec if self.generator else None
        if self.generates(layer) and fixed and layer.generator not in (None, fixed):
            raise InvalidAccelerator(
                f"{where}: its matrix is made by {_words(layer.generator)}, and generator.spec of "
                f"the machine is {_words(fixed)}, so the matrix would be another one; change either"
            )


def at(where: str) -> str:
    """The place of a part in its file, as the end of a clause; nothing where it has none."""
    return f" (machine {where})" if where else ""


def _without_places(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {key: _without_places(each) for key, each in plain.items() if key != "where"}
    if isinstance(plain, list | tuple):
        return type(plain)(_without_places(each) for each in plain)
    return plain


def _words(spec: GeneratorSpec | None) -> str:
    assert spec is not None
    more = f" and {spec.rounds} rounds" if spec.rounds else ""
    more += " and balanced signs" if spec.paired_signs else ""
    return (
        f"{spec.family} of {spec.state_bits} state bits, {spec.decision_bits} decision bits{more}"
    )
