"""The exported folder: Verilog, memory images, clips, and a test bench that checks their scores."""

from dataclasses import dataclass
from functools import cached_property
from importlib import resources

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import Accelerator
from cost_models.technology import Technology
from cost_models.workload import RECORD_BITS, Workload
from dse.chip.bench import test_bench
from dse.chip.convolutions import Fields, Place, convolution_fields, weight_fields
from dse.chip.descriptors import (
    Widths,
    descriptor_bits,
    encode_descriptor,
    fields_header,
    nest_sizes,
)
from dse.chip.images import image_hex, records, weight_image
from dse.chip.machine import SUM_BITS, ChipMachine, chip_machine
from dse.chip.mapped import MappedLayer, mapped_layer
from dse.chip.nests import make_nest
from dse.chip.program import FEATURES, Program, Step, make_program
from dse.chip.readme import chip_readme
from dse.chip.tensors import place_tensors
from dse.chip.trits import TritSource, trit_source
from dse.chip.vectors import mean_fields, sum_fields
from dse.errors import InvalidDesign
from dse.training.integer import RESULT_SHIFT, IntegerNetwork, Rounding
from dse.training.integer_scores import scores_of_clips

MODULES = (
    "chip",
    "controller",
    "loop_nest",
    "memory_macro",
    "two_port_macro",
    "activation_memory",
    "input_buffer",
    "word_reader",
    "buffer_filler",
    "operand_fetch",
    "weight_fetch",
    "parameter_store",
    "mac_array",
    "tree_array",
    "collector",
    "vector_source",
    "signed_product",
    "requantiser",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class ChipExport:
    """A network on a machine, as a circuit with everything in its memories.

    Raises:
        InvalidDesign: the circuit cannot be that machine, or cannot run a layer of the network.
    """

    network: IntegerNetwork
    workload: Workload
    """Lowered, for as many frames as the clips have."""
    machine: Accelerator
    technology: Technology
    features: npt.NDArray[np.int8]
    """(clips, features, frames), as `IntegerNetwork.quantise` gives them."""

    @cached_property
    def chip(self) -> ChipMachine:
        """The machine's parts; memories that are to fit have the sizes that the model found."""
        return chip_machine(self.program.cost.accelerator)

    @cached_property
    def program(self) -> Program:
        """What the controller runs, and what the model says of it."""
        chip_machine(self.machine)  # what it cannot be is said first
        return make_program(self.network, self.workload, self.machine, self.technology)

    @cached_property
    def places(self) -> dict[str, Place]:
        """Where each tensor lies."""
        rows = place_tensors(
            list(self.program.tensors), self.chip.lanes, self.chip.rows, self.chip.activations.name
        )
        return {
            tensor.name: Place(tensor=tensor, row=rows[tensor.name], lanes=self.chip.lanes)
            for tensor in self.program.tensors
        }

    @cached_property
    def trits(self) -> TritSource | None:
        """What generates trits, and the start words of each layer."""
        return trit_source(self.program, self.chip)

    @cached_property
    def loaded(self) -> tuple[list[Fields], bytes]:
        """Fields of all layers, and the image of the weight memory that they point into."""
        image = bytearray()
        fields = [self._step_fields(step, image) for step in self.program.steps]
        bits = 8 * len(image)
        if bits > self.chip.weights.bits:
            raise InvalidDesign(
                f"weights, multipliers and offsets take {bits:,} bits, and "
                f"'{self.chip.weights.name}' of {self.machine.name} has "
                f"{self.chip.weights.bits:,}: use a machine with a larger one"
            )
        return fields, bytes(image)

    @property
    def scores(self) -> npt.NDArray[np.int32]:
        """What the circuit must give: scores of the integer network, (clips, classes)."""
        return scores_of_clips(self.network, self.features)

    def mapped(self, step: Step) -> MappedLayer:
        """A convolution's layer under the model's mapping."""
        found = self.program.layer(step.name)
        assert found.mapping is not None  # every convolution has one
        return mapped_layer(found.layer, found.mapping, self.chip)

    def _step_fields(self, step: Step, image: bytearray) -> Fields:
        """Fields of a step; what it needs of the weight memory is appended to the image."""
        source, target = self.places[step.source], self.places.get(step.target)
        if step.kind == "convolution":
            assert step.path is not None and step.path.weights is not None
            mapped = self.mapped(step)
            fields = convolution_fields(mapped, source, target)
            if not fields["generated"]:
                base = self._append(image, weight_image(mapped, step.path.weights))
                nest = weight_fields(mapped)["weight"]
                fields["weight"] = make_nest((base,), nest.loops, step.name)
        else:
            assert target is not None
            second = self.places.get(step.second)
            fields = (
                mean_fields(source, target)
                if second is None
                else sum_fields(source, second, target)
            )
        return fields | self._records(step, fields, image)

    def _roundings(self, step: Step) -> list[Rounding]:
        """Of a step's channels; of means one for all, as their frames are known."""
        if step.kind == "mean":
            factor, shift = self.network.head.mean_rounding(self.places[step.source].tensor.frames)
            numbers = (np.array([each]) for each in (factor, shift, 2 ** (RESULT_SHIFT - 1)))
            factors, shifts, offsets = numbers
            return [Rounding(factors=factors, shifts=shifts, offsets=offsets)]
        assert step.rounding is not None
        return [each for each in (step.rounding, step.second_rounding) if each is not None]

    def _records(self, step: Step, fields: Fields, image: bytearray) -> Fields:
        parts = b""
        if fields.get("generated"):
            assert self.trits is not None
            parts = self.trits.start_records(step.name)
        made = records(self._roundings(step))
        base = self._append(image, parts + made) // (
            self.chip.weights.bandwidth_bits_per_cycle // 8
        )
        lanes = self.chip.lanes
        return {
            "record_base": base,
            "record_count": len(made) * 8 // RECORD_BITS,
            "records_a_row": fields["results_a_step"] if fields.get("records_held") else lanes,
            "limit_zero": int(step.relu),
        }

    def _append(self, image: bytearray, part: bytes) -> int:
        """Adds whole words to the image; the byte at which they begin."""
        base = len(image)
        word = self.chip.weights.bandwidth_bits_per_cycle // 8
        image += part + bytes(-len(part) % word)
        return base

    @cached_property
    def record_rows(self) -> int:
        """Rows of the parameter store, a record a lane, in the layer that takes most."""
        counts = [(each["record_count"], each["records_a_row"]) for each in self.loaded[0]]
        return max(-(-int(records) // int(a_row)) for records, a_row in counts)

    @cached_property
    def widths(self) -> Widths:
        """As many bits as each count of the descriptors needs."""
        chip, fields = self.chip, self.loaded[0]
        tensors = self.program.tensors
        reach = max(
            layer.dilation * (layer.kernel_size - 1) for layer in self.workload.layers
        ) + max(chip.fetch_bytes, chip.lanes)
        sizes = max(max(tensor.frames, tensor.channels) for tensor in tensors) + reach
        tensor = sizes.bit_length() + 1
        row = (chip.rows - 1).bit_length()
        ring = (4 * chip.ring_bytes - 1).bit_length()
        trees = chip.depth(chip.trees) if chip.trees else 1
        streams = [
            2 * layer.weight_entries // 8
            for layer in self.workload.layers
            if self.machine.generates(layer)
        ]
        weight_bytes = chip.weights.bits // 8
        word_bytes = chip.weights.bandwidth_bits_per_cycle // 8
        return Widths(
            lanes=chip.lanes,
            index=max(1, (max(chip.depth(chip.macs), trees) - 1).bit_length()),
            fetch=ring if chip.buffer else row,
            second=ring if chip.buffer else tensor,
            row=row,
            tensor=tensor,
            weight=(max(weight_bytes, *streams, 2) - 1).bit_length(),
            word=(weight_bytes // word_bytes - 1).bit_length(),
            channel=(self.record_rows * chip.lanes).bit_length(),
            nests=nest_sizes(fields),
        )

    @property
    def parameters(self) -> dict[str, int]:
        """Parameters of the top module."""
        chip, fields = self.chip, self.loaded[0]
        trees, macs = chip.trees, chip.macs
        elements = max(macs.elements, trees.elements if trees else 0)
        weight_bits = chip.weights.bandwidth_bits_per_cycle
        words = chip.weights.bits // weight_bits
        layers = len(fields)
        return {
            "LANES": chip.lanes,
            "LANE_BITS": chip.lanes.bit_length() - 1,
            "ACTIVATION_ROWS": chip.rows,
            "BUFFERED": int(chip.buffer is not None),
            "FETCH_BYTES": chip.fetch_bytes,
            "BUFFER_WORDS": max(1, chip.ring_bytes // chip.fetch_bytes),
            "OPERAND_BYTES": -(-elements // chip.fetch_bytes) * chip.fetch_bytes,
            "WEIGHT_BITS": weight_bits,
            "WEIGHT_WORDS": words,
            "WEIGHT_IMAGE_WORDS": -(-8 * len(self.loaded[1]) // weight_bits),
            "WEIGHT_ADDRESS_BITS": (words - 1).bit_length(),
            "WEIGHT_OPERAND_BITS": max(8 * macs.elements, 2 * trees.elements if trees else 0),
            "RECORD_ROWS": self.record_rows,
            "SEED_RECORDS": self.trits.records if self.trits else 1,
            "GENERATES": int(self.trits is not None),
            "TRIT_LANES": chip.trit_lanes or 1,
            "MAC_ROWS": macs.rows,
            "MAC_COLUMNS": macs.columns,
            "MAC_DEPTH": chip.depth(macs),
            "HAS_TREES": int(trees is not None),
            "TREE_ROWS": trees.rows if trees else 1,
            "TREE_COLUMNS": trees.columns if trees else 1,
            "TREE_DEPTH": chip.depth(trees) if trees else 1,
            "SUM_BITS": SUM_BITS,
            "RECORD_BITS": RECORD_BITS,
            "LAYER_BITS": max(1, (layers - 1).bit_length()),
            "LAST_LAYER": layers - 1,
            "DESCRIPTOR_BITS": descriptor_bits(self.widths),
            "INDEX_BITS": self.widths.index,
            "FETCH_BITS": self.widths.fetch,
            "SECOND_BITS": self.widths.second,
            "ROW_BITS": self.widths.row,
            "TENSOR_BITS": self.widths.tensor,
            "WEIGHT_BYTE_BITS": self.widths.weight,
            "CHANNEL_BITS": self.widths.channel,
            **{
                f"{name.upper()}_{what}": size
                for name, sizes in self.widths.nests.items()
                for what, size in zip(("LOOPS", "COUNT_BITS"), sizes, strict=True)
            },
        }

    def files(self) -> dict[str, str]:
        """File name -> text."""
        fields, image = self.loaded
        lanes, widths = self.chip.lanes, self.widths
        digits = -(-descriptor_bits(widths) // 4)
        modules = {f"{name}.v": module_text(name) for name in MODULES}
        if self.chip.trees is not None:
            modules["ternary_tree.v"] = _rtl_text("ternary_tree")
        else:
            del modules["tree_array.v"]
        if self.trits is not None:
            modules |= self.trits.modules()
        found = {
            **modules,
            "parameters.vh": _parameters(self.parameters),
            "fields.vh": fields_header(widths),
            "descriptors.hex": "".join(
                f"{encode_descriptor(each, widths):0{digits}x}\n" for each in fields
            ),
            "weights.hex": image_hex(image, self.chip.weights.bandwidth_bits_per_cycle // 8),
            "features.hex": _features_hex(self.features, lanes),
            "scores.hex": "".join(f"{int(score) % 2**32:08x}\n" for score in self.scores.ravel()),
            "test_bench.v": test_bench(
                clips=len(self.features),
                classes=len(self.network.classes),
                tensor=self.places[FEATURES],
                layers=len(fields),
            ),
        }
        return found | {"README.md": chip_readme(self, sorted(modules))}

    @property
    def descriptor_bits(self) -> int:
        """Bits of a descriptor."""
        return descriptor_bits(self.widths)

    @property
    def record_bits(self) -> int:
        """Bits of a channel's factor, shift and offset."""
        return RECORD_BITS


def module_text(name: str) -> str:
    """The text of a module of `verilog/`, by its name without `.v`."""
    return (resources.files("dse.chip") / "verilog" / f"{name}.v").read_text(encoding="utf-8")


def _rtl_text(name: str) -> str:
    return (resources.files("dse.rtl") / "verilog" / f"{name}.v").read_text(encoding="utf-8")


def _parameters(values: dict[str, int]) -> str:
    return ",\n".join(f"    parameter {name} = {value}" for name, value in values.items()) + "\n"


def _features_hex(features: npt.NDArray[np.int8], lanes: int) -> str:
    """Words of the clips as the host writes them: frames of a channel, the first lowest."""
    frames = features.shape[2]
    padded = np.pad(features, ((0, 0), (0, 0), (0, -frames % lanes)))
    words = padded.reshape(-1, lanes).astype(np.uint8)
    return "".join(f"{word[::-1].tobytes().hex()}\n" for word in words)
