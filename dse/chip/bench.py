"""The test bench: clips in, scores out, and what every memory did meanwhile, layer by layer."""

from dse.chip.convolutions import Place


def test_bench(*, clips: int, classes: int, tensor: Place, layers: int) -> str:
    """Text of `test_bench.v`.

    It writes a clip's features into the activation memory, lets the chip run, compares each score,
    and prints for each layer a line `LAYER clip layer cycles` and the accesses to the memories.

    Args:
        clips: in features.hex.
        classes: scores a clip.
        tensor: of the features.
        layers: descriptors.
    """
    return f"""\
// Self-checking test bench: {clips} clips, {classes} scores each.
module test_bench;
    localparam LANES = {tensor.lanes};
    localparam CLIPS = {clips};
    localparam CLASSES = {classes};
    localparam CHANNELS = {tensor.tensor.channels};
    localparam FRAMES = {tensor.tensor.frames};
    localparam PITCH = {tensor.pitch};
    localparam BASE = {tensor.row};
    localparam LAYERS = {layers};
    localparam PATIENCE = 400000;

    reg clk = 0;
    reg reset = 1;
    reg go = 0;
    reg host_write = 0;
    reg [15:0] host_row = 0, host_channel = 0, host_frame = 0;
    reg [LANES-1:0] host_lanes = 0, mask = 0;
    reg [LANES*8-1:0] host_data = 0;
    wire done, running, score_valid, conflict;
    wire [31:0] score;
    wire [15:0] best;

    reg [LANES*8-1:0] features [0:CLIPS*CHANNELS*PITCH-1];
    reg [31:0] expected [0:CLIPS*CLASSES-1];
    integer clip, channel, word, lane, number, cycle, wrong, checked, chosen;
    integer layer_cycles, activation_reads, activation_writes, buffer_reads, buffer_writes;
    integer weight_reads, record_reads, trit_cycles, passes, clashes, shown;

    always #5 clk = !clk;

    chip dut (
        .clk(clk), .reset(reset), .go(go), .done(done), .running(running), .layer(),
        .host_write(host_write), .host_row(host_row), .host_channel(host_channel),
        .host_frame(host_frame), .host_pitch(16'd{tensor.pitch}), .host_lanes(host_lanes),
        .host_data(host_data), .score_valid(score_valid), .score(score), .best(best),
        .conflict(conflict)
    );

    // What happened in a cycle is counted at its end; a layer's line is printed when the next one
    // is fetched, or all are done.
    task show;
        begin
            $display("LAYER %0d %0d %0d %0d %0d %0d %0d %0d %0d %0d %0d", clip, shown, layer_cycles,
                activation_reads, activation_writes, buffer_reads, buffer_writes, weight_reads,
                record_reads, trit_cycles, passes);
            shown = shown + 1;
            layer_cycles = 0; activation_reads = 0; activation_writes = 0;
            buffer_reads = 0; buffer_writes = 0; weight_reads = 0; record_reads = 0;
            trit_cycles = 0; passes = 0;
        end
    endtask

    initial begin
        $readmemh("features.hex", features);
        $readmemh("scores.hex", expected);
        wrong = 0; checked = 0; clashes = 0;
        repeat (2) @(negedge clk);
        reset = 0;
        @(negedge clk);
        for (clip = 0; clip < CLIPS; clip = clip + 1) begin
            for (channel = 0; channel < CHANNELS; channel = channel + 1)
                for (word = 0; word < PITCH; word = word + 1) begin
                    host_write = 1;
                    host_row = BASE + channel * PITCH;
                    host_channel = channel;
                    host_frame = word * LANES;
                    for (lane = 0; lane < LANES; lane = lane + 1)
                        mask[lane] = word * LANES + lane < FRAMES;
                    host_lanes = mask;
                    host_data = features[(clip * CHANNELS + channel) * PITCH + word];
                    @(negedge clk);
                end
            host_write = 0;
            go = 1;
            @(negedge clk) go = 0;
            cycle = 0; number = 0; shown = 0;
            layer_cycles = 0; activation_reads = 0; activation_writes = 0;
            buffer_reads = 0; buffer_writes = 0; weight_reads = 0; record_reads = 0;
            trit_cycles = 0; passes = 0;
            while (!done && cycle < PATIENCE) begin
                if (dut.fetch_descriptor && layer_cycles != 0)
                    show;
                layer_cycles = layer_cycles + 1;
                if (dut.activation_enable && dut.activation_write)
                    activation_writes = activation_writes + 1;
                if (dut.activation_enable && !dut.activation_write)
                    activation_reads = activation_reads + 1;
                if (dut.buffer_enable && dut.buffer_write) buffer_writes = buffer_writes + 1;
                if (dut.buffer_enable && !dut.buffer_write) buffer_reads = buffer_reads + 1;
                if (dut.weight_reads) weight_reads = weight_reads + 1;
                if (dut.store_granted) record_reads = record_reads + 1;
                if (dut.generator_reads) trit_cycles = trit_cycles + 1;
                if (dut.pass) passes = passes + 1;
                if (conflict) clashes = clashes + 1;
                if (score_valid) begin
                    checked = checked + 1;
                    if (score !== expected[clip * CLASSES + number]) wrong = wrong + 1;
                    number = number + 1;
                end
                cycle = cycle + 1;
                @(negedge clk);
            end
            show;
            chosen = 0;
            for (number = 1; number < CLASSES; number = number + 1)
                if ($signed(expected[clip*CLASSES+number]) > $signed(expected[clip*CLASSES+chosen]))
                    chosen = number;
            if (best !== chosen) wrong = wrong + 1;
            $display("CLIP %0d %0d", clip, cycle);
            @(negedge clk);
        end
        if (wrong == 0 && clashes == 0 && checked == CLIPS * CLASSES)
            $display("PASS: %0d scores of %0d clips, 0 mismatches", checked, CLIPS);
        else
            $display("FAIL: %0d of %0d scores differ, expected %0d; %0d conflicts", wrong, checked,
                CLIPS * CLASSES, clashes);
        $finish;
    end
endmodule
"""
