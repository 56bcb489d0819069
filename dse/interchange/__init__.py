"""Formats of other tools: what they describe becomes a design, and back.

    nemo, nemo_export   NeMo YAML <-> `DesignPoint`    a network, before it is lowered
    onnx_import         ONNX -> `Workload`             layers, already of fixed shape
    onnx_graph          its tensors, with all bounds
    onnx_layers         operators that become layers
    onnx_shapes         operators that move or rename numbers
    zigzag              workload and hardware YAML <- `Workload`, `Accelerator`
    zigzag_layers       workload YAML -> `Workload`
    zigzag_machine      hardware YAML -> `Accelerator`
    stream              one core of Stream's accelerator YAML -> `Accelerator`
    scalesim            topology CSV, cfg <- `Workload`, `Accelerator`; cfg -> `Accelerator`
    imported            `ImportedMachine`, what readers of machines give back
    accelforge          workload and architecture YAML <- `Workload`, `Accelerator`
    accelergy           ERT, ART -> `Technology`       energies and areas of components

Readers of networks refuse a layer or an operator that ours cannot express, with its place in the
file: a network that has lost a feature in silence would still get a price. Exporters write what
both tools can express; what they leave out stands in the docstring of the module.
"""
