"""A workload: the layers that a machine executes for one inference, with everything it must do.

A tensor is channels times *pixels*. In a 1-D network, whose frequencies are channels, pixels are
frames. A 2-D network convolves over frequency, too: each frame has *bins*, and every frame of every
bin is a pixel. A layer has one bin and a kernel of one bin unless it says otherwise, and all that
is counted here is the same then as without them.

    49 frames of 10 bins, 1 channel; kernel of 10 frames and 4 bins, strides of 2, 64 outputs:

        in_pixels   49 * 10 = 490        taps   10 * 4 = 40
        out_pixels  25 * 5 = 125         macs   64 * 40 * 125 = 320,000

Counts per layer (`C_in`, `C_out` channels; `K` taps of the kernel; `G` groups; `T` output pixels;
`Z` non-zero entries of a ternary matrix, generated or trained):

    weight_entries  = C_out * (C_in / G) * K
    macs            = weight_entries * T          stored weights: one multiplication, one addition
    additions       = macs, or Z * T              ternary weights: additions only
    batch norm      = C * T multiplications and C * T additions, none when folded into the weights
    residual add    = C * T additions
    average pool    = an addition for each input, a multiplication for each output; with a kernel
                      (windows, which may overlap) C * T * K additions
    maximum pool    = as many comparisons, and nothing else
    activation      = C * T comparisons (ReLU), and as many multiplications by trained slopes
    argmax          = C * T comparisons
    softmax         = C * T comparisons (maximum), 2 C * T multiplications and additions: the
                      exponential by a table and one linear interpolation, the sum, the division by
                      a reciprocal

Every addition into an accumulator counts, the first one too (paper.md of the ternary work counts
the same way); so a dense layer has as many additions as MACs.

What is stored beside weights are *records*, of `RECORD_BITS` each: the numbers by which a sum
becomes what the next layer reads, `limit((offset + (sum * factor >> shift)) >> 7)`
(`dse.training.integer`). Bias and batch norm are in them, behind any kind of weights; a batch norm
has none of its own.

    convolution, linear    C_out      each channel's sums, a depthwise layer's, too
    residual add           2 C        each of its two tensors has a step of its own
    average pool           1          one factor for all channels: they have one step, and T frames
    trained slopes         1 or C     of a PReLU: what is below zero has a factor of its own
    generated weights      besides, the generator's start words, in whole records
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter

from cost_models.errors import InvalidLayer
from cost_models.generator import GeneratorSpec

FACTOR_BITS = 16
"""Of what a sum is multiplied by to become an int8: 15 bits and a sign. Two figures of a shift and
a mantissa of 16 bits are what CMSIS-NN reduces TFLite's multipliers of 32 bits to where its sums
are wide (`REDUCE_MULTIPLIER`, arm_nnsupportfunctions.h, Arm Limited, 2024)."""
SHIFT_BITS = 5
"""Of a shift by 0 to 31; stages of selections behind each other, too."""
OFFSET_BITS = 27
"""Of an offset. One of int8 results, in 1/128ths of them, needs 24; a score's, in 1/65,536ths, has
room for a bias of 1,024 with these. Together a record is three words of the narrowest memory."""
RECORD_BITS = FACTOR_BITS + SHIFT_BITS + OFFSET_BITS

INPUT = "input"
"""What the first layer reads."""


class LayerKind(StrEnum):
    """What a layer computes."""

    DEPTHWISE = "depthwise"
    POINTWISE = "pointwise"
    CONVOLUTION = "convolution"
    LINEAR = "linear"
    BATCH_NORM = "batch_norm"
    ACTIVATION = "activation"
    RESIDUAL_ADD = "residual_add"
    AVERAGE_POOL = "average_pool"
    MAX_POOL = "max_pool"
    ARGMAX = "argmax"
    SOFTMAX = "softmax"


CONVOLUTIONS = frozenset(
    {LayerKind.DEPTHWISE, LayerKind.POINTWISE, LayerKind.CONVOLUTION, LayerKind.LINEAR}
)
"""Kinds with a weight tensor that multiplies or adds the inputs."""

POOLS = frozenset({LayerKind.AVERAGE_POOL, LayerKind.MAX_POOL})
"""Kinds that make one value of several of a channel: of those under their kernel, or, where it has
one tap, of all frames, of all bins, or of both."""

IN_LINE = frozenset({LayerKind.BATCH_NORM, LayerKind.ACTIVATION})
"""Kinds that are done to outputs on their way to the memory: no activation traffic of their own."""


class WeightSource(StrEnum):
    """Where a layer's weights come from."""

    TRAINED = "trained"  # learned, stored, read
    CONSTANT = "constant"  # never learned, but stored, read and multiplied like trained ones
    TRAINED_TERNARY = "trained_ternary"  # learned as -1, 0, +1: stored and read, two bits each
    GENERATED = "generated"  # constant ternary, made on chip from a seed: nothing stored or read
    NONE = "none"  # the layer has no weights


LEARNED = frozenset({WeightSource.TRAINED, WeightSource.TRAINED_TERNARY})
"""Sources of weights that training changes."""
STORED = LEARNED | {WeightSource.CONSTANT}
"""Sources of weights that are in the weight memory, whatever the machine."""
TRITS = frozenset({WeightSource.TRAINED_TERNARY, WeightSource.GENERATED})
"""Sources of weights that add, subtract or skip, and multiply nothing."""


_SIZES = (
    "in_channels",
    "out_channels",
    "in_frames",
    "out_frames",
    "kernel_size",
    "stride",
    "dilation",
    "in_bins",
    "out_bins",
    "kernel_bins",
    "bin_stride",
    "bin_dilation",
    "groups",
    "weight_bits",
    "input_bits",
    "output_bits",
    "accumulator_bits",
)
"""Fields of a layer that are whole numbers from 1."""
_sizes = attrgetter(*_SIZES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer: shapes, precisions and the kind of its weights."""

    name: str
    kind: LayerKind
    in_channels: int
    out_channels: int
    in_frames: int
    out_frames: int
    kernel_size: int = 1
    """Frames of the kernel."""
    stride: int = 1
    """Of frames."""
    dilation: int = 1
    ahead_frames: int | None = None
    """Of the (kernel_size - 1) * dilation frames that an output sees beside its own, those that are
    still to come: none of a causal kernel. None: half of them, as of a symmetric one. It matters on
    a stream alone."""
    in_bins: int = 1
    """Values of a frame and channel: the second dimension, frequency. 1 in networks of one."""
    out_bins: int = 1
    kernel_bins: int = 1
    bin_stride: int = 1
    bin_dilation: int = 1
    groups: int = 1
    weights: WeightSource = WeightSource.NONE
    nonzeros: int = 0
    """Entries of a ternary matrix that are not zero: counted on a generated one, not expected; of a
    trained one an expectation, as training decides."""
    nonzero_mask: bytes = field(default=b"", repr=False)
    """Which entries of a generated matrix are not zero: `np.packbits(matrix != 0)` in row-major
    order. Needed by machines that skip zeros, whose time is that of the fullest row."""
    reads: tuple[str, ...] = ()
    """Layers whose outputs are its inputs, `INPUT` for the network's; the layer before it where
    empty. Layers that are done in line (`IN_LINE`) give on what they read."""
    extends: str = ""
    """Layer to whose output tensor this one appends its outputs, as further channels: a matrix
    whose rows are made in two ways is two layers that write one tensor."""
    bias: bool = False
    gains: bool = False
    """A trained factor for each output channel. It takes no memory and no multiplication: it is
    part of the factor by which each sum is brought to the units of the outputs anyway."""
    slopes: int = 0
    """Of an activation: trained factors of what is below zero (PReLU), one or one for each channel.
    """
    rescaled: bool = True
    """Its sums become outputs by records. False for layers of other tools, which know of none: a
    bias is stored by itself there, at `accumulator_bits`."""
    folded: bool = False
    """Batch norm only: merged into the weights before it, so that inference does not execute it."""
    generator: GeneratorSpec | None = None
    """What makes this layer's weights; its start state is stored."""
    matrix_tile: tuple[int, int] | None = None
    """Rows and columns of the tiles in whose order a generated matrix is made; row by row where it
    is None (`cost_models.generation`)."""
    matrix_numbers: int | None = None
    """Numbers that are trained of a matrix whose entries are made of fewer, or of more, of them
    (circulant blocks repeat theirs; a codebook is trained beside the entries); None: its entries.
    """
    matrix_bits: int | None = None
    """Bits that such a matrix takes in the weight memory; None: its entries at `weight_bits`. A
    read still brings an entry of `weight_bits`: what is compressed is unpacked at the memory."""
    weight_bits: int = 8
    input_bits: int = 8
    output_bits: int = 8
    accumulator_bits: int = 24

    def __post_init__(self) -> None:
        """Refuse sizes that contradict each other."""
        # In one look each, for a search makes a million layers, nearly all of them right.
        if min(_sizes(self)) < 1:
            name = next(each for each in _SIZES if getattr(self, each) < 1)
            raise InvalidLayer(f"{self.name}: {name} must be at least 1, not {getattr(self, name)}")
        if self.in_channels % self.groups or self.out_channels % self.groups:
            name = "in_channels" if self.in_channels % self.groups else "out_channels"
            raise InvalidLayer(
                f"{self.name}: {name} {getattr(self, name)} cannot be divided into "
                f"{self.groups} groups"
            )
        if self.weights is WeightSource.NONE and self.kind in CONVOLUTIONS:
            raise InvalidLayer(
                f"{self.name}: a {self.kind} layer needs trained or generated weights"
            )
        packed = (self.matrix_numbers, self.matrix_bits)
        if packed != (None, None) and self.weights not in STORED:
            raise InvalidLayer(
                f"{self.name}: matrix_numbers and matrix_bits are left out where weights are "
                f"{self.weights}, not {packed}"
            )
        if self.ahead_frames is not None:
            self._check_ahead()
        if self.weights in TRITS:
            self._check_matrix()
        if self.matrix_tile is not None and self.weights is not WeightSource.GENERATED:
            raise InvalidLayer(
                f"{self.name}: matrix_tile is left out where weights are {self.weights}, not "
                f"{self.matrix_tile}"
            )

    def _check_ahead(self) -> None:
        span = (self.kernel_size - 1) * self.dilation
        assert self.ahead_frames is not None
        if not 0 <= self.ahead_frames <= span:
            raise InvalidLayer(
                f"{self.name}: ahead_frames must be from 0 to {span}, which its kernel spans, not "
                f"{self.ahead_frames}"
            )

    def _check_matrix(self) -> None:
        if self.matrix_tile is not None and min(self.matrix_tile) < 1:
            raise InvalidLayer(
                f"{self.name}: matrix_tile must be rows and columns of at least 1, not "
                f"{self.matrix_tile}"
            )
        if not 0 <= self.nonzeros <= self.weight_entries:
            raise InvalidLayer(
                f"{self.name}: nonzeros must be in 0..{self.weight_entries}, not {self.nonzeros}"
            )
        needed = -(-self.weight_entries // 8)
        if self.nonzero_mask and len(self.nonzero_mask) != needed:
            raise InvalidLayer(
                f"{self.name}: nonzero_mask must have {needed} bytes for {self.weight_entries} "
                f"entries, not {len(self.nonzero_mask)}"
            )
        ones = int.from_bytes(self.nonzero_mask).bit_count()
        if self.nonzero_mask and ones != self.nonzeros:
            raise InvalidLayer(
                f"{self.name}: nonzero_mask marks {ones} entries, and nonzeros is {self.nonzeros}"
            )

    @property
    def in_pixels(self) -> int:
        """Values of each channel of the input."""
        return self.in_frames * self.in_bins

    @property
    def out_pixels(self) -> int:
        """Values of each channel of the output."""
        return self.out_frames * self.out_bins

    @property
    def taps(self) -> int:
        """Values of a channel that the kernel sees at once."""
        return self.kernel_size * self.kernel_bins

    @property
    def two_dimensional(self) -> bool:
        """Whether it has a second dimension, which not every tool and circuit can express."""
        return max(self.in_bins, self.out_bins, self.kernel_bins) > 1

    @property
    def weight_entries(self) -> int:
        """Entries of the weight tensor, zeros included; 0 for layers without one.

        Output channels times the inputs that each of them sees: those of its group, at every tap.
        Times `out_pixels` it is the number of positions, each a MAC or a ternary addition or skip.
        """
        if self.kind not in CONVOLUTIONS:
            return 0
        return self.out_channels * (self.in_channels // self.groups) * self.taps

    @property
    def trained_parameters(self) -> int:
        """Numbers that training changes: weights, biases, gains, slopes, both of batch norms."""
        if self.kind is LayerKind.BATCH_NORM:
            return 2 * self.out_channels
        if self.slopes:
            return self.slopes
        per_channel = self.out_channels * (self.bias + self.gains)
        if self.weights not in LEARNED:
            return per_channel
        entries = self.weight_entries if self.matrix_numbers is None else self.matrix_numbers
        return per_channel + entries

    @property
    def stored_matrix_bits(self) -> int:
        """Bits of weight memory of the matrix alone; 0 where it is generated, or there is none."""
        if self.weights not in STORED:
            return 0
        return (
            self.weight_entries * self.weight_bits if self.matrix_bits is None else self.matrix_bits
        )

    @property
    def records(self) -> int:
        """Of its channels, each `RECORD_BITS`; start words of a generator are not among them."""
        if not self.rescaled:
            return 0
        if self.kind is LayerKind.RESIDUAL_ADD:
            return 2 * self.out_channels
        if self.kind is LayerKind.AVERAGE_POOL:
            return 1
        return self.out_channels if self.kind in CONVOLUTIONS else self.slopes

    @property
    def start_bits(self) -> int:
        """Bits that start the generator of this layer's weights, whole records; 0 without one."""
        words = -(-self.generator.start_bits // RECORD_BITS) if self.generator else 0
        return words * RECORD_BITS

    @property
    def generated_weights(self) -> int:
        """Weights made on chip, zeros included: the generator runs through them all."""
        return self.weight_entries if self.weights is WeightSource.GENERATED else 0

    @property
    def stored_bits(self) -> int:
        """Bits of weight memory that inference needs.

        Stored matrices, records, and the start words of a generator. What a machine stores of them,
        in words of its memory: `Accelerator.stored_bits`.
        """
        return self.stored_matrix_bits + self.parameter_bits + self.start_bits

    @property
    def parameter_bits(self) -> int:
        """Bits of records, or of biases where the layer has none."""
        biases = self.out_channels if self.bias and not self.rescaled else 0
        return self.records * RECORD_BITS + biases * self.accumulator_bits

    @property
    def macs(self) -> int:
        """Multiply-accumulates of stored weights, trits aside; norms and pooling are not MACs."""
        multiplied = self.weights in STORED - TRITS
        return self.weight_entries * self.out_pixels if multiplied else 0

    @property
    def multiplications(self) -> int:
        """All multiplications, those within MACs included.

        A batch norm that is not folded scales each output; an average pool divides once an output.
        """
        if self.kind is LayerKind.BATCH_NORM and not self.folded:
            return self.out_channels * self.out_pixels
        if self.kind is LayerKind.AVERAGE_POOL or self.slopes:
            return self.out_channels * self.out_pixels
        if self.kind is LayerKind.SOFTMAX:
            return 2 * self.out_channels * self.out_pixels
        return self.macs

    @property
    def additions(self) -> int:
        """All additions, those within MACs included; zeros of a ternary matrix are skipped."""
        outputs = self.out_channels * self.out_pixels
        if self.kind is LayerKind.BATCH_NORM:
            return 0 if self.folded else outputs
        if self.kind is LayerKind.RESIDUAL_ADD:
            return outputs
        if self.kind is LayerKind.AVERAGE_POOL:
            return self.pooled
        if self.kind is LayerKind.SOFTMAX:
            return 2 * outputs
        if self.weights in TRITS:
            return self.nonzeros * self.out_pixels
        return self.macs + (outputs if self.bias else 0)

    @property
    def pooled(self) -> int:
        """Values that pass a pool's sums or maxima: each input, once for each window it is in."""
        if self.kind not in POOLS:
            return 0
        if self.taps > 1:
            return self.out_channels * self.out_pixels * self.taps
        return self.in_channels * self.in_pixels

    @property
    def dense_additions(self) -> int:
        """Additions that a datapath without zero skipping clocks.

        Against `additions`, what the zeros of a ternary matrix are worth to one that skips them.
        """
        if self.weights in TRITS:
            return self.weight_entries * self.out_pixels
        return self.additions

    @property
    def comparisons(self) -> int:
        """Comparisons of two numbers: ReLU with zero, a maximum over the outputs or of a pool."""
        if self.kind is LayerKind.MAX_POOL:
            return self.pooled
        if self.kind in (LayerKind.ACTIVATION, LayerKind.ARGMAX, LayerKind.SOFTMAX):
            return self.out_channels * self.out_pixels
        return 0

    @property
    def weight_traffic_bits(self) -> int:
        """Weight bits read once per inference: exactly what is stored.

        A bound from below: a mapping may read weights once for each tile of pixels
        (`cost_models.traffic`).
        """
        return self.stored_bits

    @property
    def input_traffic_bits(self) -> int:
        """Input activations, each read once; a residual add reads two tensors.

        Nothing for what a datapath does on the way out of the layer before: folded or scaling
        batch norm, and activation functions.
        """
        if self.kind in IN_LINE:
            return 0
        tensors = 2 if self.kind is LayerKind.RESIDUAL_ADD else 1
        return tensors * self.in_channels * self.in_pixels * self.input_bits

    @property
    def output_traffic_bits(self) -> int:
        """Output activations, each written once; nothing for batch norm and activation."""
        if self.kind in IN_LINE:
            return 0
        return self.out_channels * self.out_pixels * self.output_bits

    @property
    def activation_traffic_bits(self) -> int:
        """Activation bits read and written, each once: a bound from below for any mapping."""
        return self.input_traffic_bits + self.output_traffic_bits


@dataclass(frozen=True, slots=True)
class Workload:
    """The layers of one inference, in order. Totals are sums over the layers, never stored."""

    name: str
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        """A workload has layers, and their names are distinct."""
        if not self.layers:
            raise InvalidLayer(f"workload {self.name!r} has no layers")
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InvalidLayer(f"workload {self.name!r} has two layers named {twice!r}")

    def total(self, count: Callable[[Layer], int]) -> int:
        """Sum of a count over the layers: `workload.total(lambda layer: layer.macs)`."""
        return sum(count(layer) for layer in self.layers)

    @property
    def trained_parameters(self) -> int:
        """Trained parameters of the whole network; running statistics are not trained."""
        return self.total(lambda layer: layer.trained_parameters)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole network."""
        return self.total(lambda layer: layer.macs)

    @property
    def additions(self) -> int:
        """Additions of the whole network, those within MACs included."""
        return self.total(lambda layer: layer.additions)
