"""A simulator of gate netlists: many copies of a circuit at once, one bit of a number each.

Yosys turns Verilog into gates and flip-flops; this file turns those into one Python function of
bitwise operations. Python's integers have as many bits as wanted, so hundreds of copies with seeds
of their own run in the time of one.
"""

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dse.rtl.yosys import Circuit, read_commands, run_script

BitArray = npt.NDArray[np.uint8]

_GATES = {
    "$_NOT_": "~{A}",
    "$_BUF_": "{A}",
    "$_AND_": "{A} & {B}",
    "$_NAND_": "~({A} & {B})",
    "$_OR_": "{A} | {B}",
    "$_NOR_": "~({A} | {B})",
    "$_XOR_": "{A} ^ {B}",
    "$_XNOR_": "~({A} ^ {B})",
    "$_ANDNOT_": "{A} & ~{B}",
    "$_ORNOT_": "{A} | ~{B}",
    "$_MUX_": "({A} & ~{S}) | ({B} & {S})",
    "$_NMUX_": "~(({A} & ~{S}) | ({B} & {S}))",
    "$_AOI3_": "~(({A} & {B}) | {C})",
    "$_OAI3_": "~(({A} | {B}) & {C})",
}
_FLIP_FLOP = "$_DFF_P_"


class Simulation:
    """`copies` circuits that share a clock and differ in their inputs; all registers start at 0."""

    def __init__(self, circuit: Circuit, copies: int = 1) -> None:
        """Synthesise the circuit with Yosys and compile its gates.

        Raises:
            InvalidInput: Yosys is not installed or refuses the design.
        """
        module = gate_netlist(circuit)
        self.copies = copies
        self.ports: dict[str, list[Any]] = {
            name: port["bits"] for name, port in module["ports"].items()
        }
        self.inputs = [
            name for name, port in module["ports"].items() if port["direction"] == "input"
        ]
        cells = module["cells"].values()
        flip_flops = [cell["connections"] for cell in cells if cell["type"] == _FLIP_FLOP]
        self._registers = [(pins["D"][0], pins["Q"][0]) for pins in flip_flops]
        self.gates = [cell for cell in cells if cell["type"] != _FLIP_FLOP]
        self._values: dict[Any, int] = {"0": 0, "1": -1, "x": 0}
        for bits in self.ports.values():
            self._values.update(dict.fromkeys(bits, 0))
        self._values.update({q: 0 for _, q in self._registers})
        self._values |= {"0": 0, "1": -1, "x": 0}
        self._evaluate = self._compile()

    @property
    def flip_flops(self) -> int:
        """Flip-flops of one copy."""
        return len(self._registers)

    def set(self, port: str, values: int | BitArray) -> None:
        """Drive an input: a number for all copies, or bits, shape (copies, width), bit 0 first."""
        bits = self.ports[port]
        if isinstance(values, int):
            for place, bit in enumerate(bits):
                self._values[bit] = -(values >> place & 1)
            return
        assert values.shape == (self.copies, len(bits)), values.shape
        packed = np.packbits(values.T, axis=1, bitorder="little")
        for bit, row in zip(bits, packed, strict=True):
            self._values[bit] = int.from_bytes(row.tobytes(), "little")

    def get(self, port: str) -> BitArray:
        """An output now, shape (copies, width), bit 0 first."""
        self._evaluate(self._values)
        size = -(-self.copies // 8)
        mask = (1 << self.copies) - 1
        columns = b"".join(
            (self._values[bit] & mask).to_bytes(size, "little") for bit in self.ports[port]
        )
        packed = np.frombuffer(columns, dtype=np.uint8).reshape(-1, size)
        return np.unpackbits(packed, axis=1, bitorder="little")[:, : self.copies].T

    def clock(self) -> None:
        """One rising edge."""
        self._evaluate(self._values)
        following = [self._values[d] for d, _ in self._registers]
        for (_, q), value in zip(self._registers, following, strict=True):
            self._values[q] = value

    def _compile(self) -> Any:
        """One function that computes all gates, each after those that it depends on."""
        driver = {gate["connections"]["Y"][0]: gate for gate in self.gates}
        lines, done = ["def evaluate(v):"], set()
        for target in list(driver):
            stack = [target]
            while stack:
                bit = stack[-1]
                if bit in done or bit not in driver:
                    stack.pop()
                    continue
                pins = {name: nets[0] for name, nets in driver[bit]["connections"].items()}
                waiting = [
                    net
                    for name, net in pins.items()
                    if name != "Y" and net in driver and net not in done
                ]
                if waiting:
                    stack.extend(waiting)
                    continue
                names = {
                    name: (f"n{net}" if net in driver else f"v[{net!r}]")
                    for name, net in pins.items()
                    if name != "Y"
                }
                lines.append(f" n{bit} = {_GATES[driver[bit]['type']].format(**names)}")
                done.add(bit)
                stack.pop()
        wanted = {bit for bits in self.ports.values() for bit in bits}
        wanted |= {d for d, _ in self._registers}
        lines += [f" v[{bit}] = n{bit}" for bit in driver if bit in wanted]
        lines.append(" return v")
        name_designs: dict[str, Any] = {}
        exec(compile("\n".join(lines), "<netlist>", "exec"), name_designs)
        return name_designs["evaluate"]


def gate_netlist(block: Circuit) -> dict[str, Any]:
    """The module as simple gates and flip-flops: one entry of Yosys' JSON, not to be changed.

    Raises:
        InvalidInput: Yosys is not installed or refuses the design.
    """
    return _gate_netlist(block.top, tuple(block.parameters.items()), block.sources)


@functools.lru_cache(maxsize=64)  # tests of one process ask for the same circuits
def _gate_netlist(
    top: str, parameters: tuple[tuple[str, int], ...], sources: tuple[str, ...]
) -> dict[str, Any]:
    block = Circuit(top=top, parameters=dict(parameters), sources=sources)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_script(
            [
                *read_commands(block, folder),
                f"synth -flatten -noabc -top {block.top}",
                "delete t:$scopeinfo",
                "dfflegalize -cell $_DFF_P_ 01",  # enables become multiplexers
                "clean -purge",
                "write_json netlist.json",
            ],
            folder,
        )
        modules = json.loads((folder / "netlist.json").read_text(encoding="utf-8"))["modules"]
    (module,) = (module for module in modules.values() if module["attributes"].get("top"))
    found: dict[str, Any] = module
    return found
