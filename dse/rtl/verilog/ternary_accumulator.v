// Sums of one output after another, over the inputs of FRAMES frames that share the trits.
//
// While `enable` is high, each cycle takes LANES trits of the current output, and of every frame the
// LANES activations of the inputs number chunk * LANES on. CHUNKS cycles make one output: `valid` is
// high in the cycle after its last, with the sums of all frames and the output's number.
module ternary_accumulator #(
    parameter LANES = 16,
    parameter CHUNKS = 4,     // inputs / LANES
    parameter OUTPUTS = 64,
    parameter FRAMES = 1,
    parameter ACTIVATION_BITS = 8,
    parameter SUM_BITS = 24,
    parameter CHUNK_BITS = CHUNKS > 1 ? $clog2(CHUNKS) : 1,
    parameter OUTPUT_BITS = OUTPUTS > 1 ? $clog2(OUTPUTS) : 1
) (
    input                                     clk,
    input                                     load,    // begin with output 0
    input                                     enable,
    input      [LANES-1:0]                    nonzero,
    input      [LANES-1:0]                    negative,
    input      [FRAMES*LANES*ACTIVATION_BITS-1:0] activations,  // frame 0, lane 0 lowest
    output reg [CHUNK_BITS-1:0]               chunk,   // of the activations that are wanted now
    output reg                                valid,
    output reg [OUTPUT_BITS-1:0]              number,  // of the output whose sums are valid
    output     [FRAMES*SUM_BITS-1:0]          sums     // two's complement, frame 0 lowest
);
    localparam [CHUNK_BITS-1:0]  LAST_CHUNK  = CHUNKS[CHUNK_BITS-1:0] - 1'b1;
    localparam [OUTPUT_BITS-1:0] LAST_OUTPUT = OUTPUTS[OUTPUT_BITS-1:0] - 1'b1;

    reg [OUTPUT_BITS-1:0] current;

    wire first = chunk == 0;
    wire last  = chunk == LAST_CHUNK;

    always @(posedge clk)
        if (load) begin
            chunk   <= 0;
            current <= 0;
            number  <= 0;
            valid   <= 1'b0;
        end else begin
            valid <= enable && last;
            if (enable) begin
                chunk <= last ? 0 : chunk + 1'b1;
                if (last) begin
                    number  <= current;
                    current <= current == LAST_OUTPUT ? 0 : current + 1'b1;
                end
            end
        end

    genvar frame;
    generate
        for (frame = 0; frame < FRAMES; frame = frame + 1) begin : frames
            localparam TREE_BITS = ACTIVATION_BITS + 1 + $clog2(LANES);
            wire [TREE_BITS-1:0] part;
            wire [SUM_BITS-1:0]  extended = {{(SUM_BITS-TREE_BITS){part[TREE_BITS-1]}}, part};
            reg  [SUM_BITS-1:0]  sum;

            ternary_tree #(.LANES(LANES), .ACTIVATION_BITS(ACTIVATION_BITS)) tree (
                .activations(activations[frame*LANES*ACTIVATION_BITS +: LANES*ACTIVATION_BITS]),
                .nonzero(nonzero), .negative(negative), .sum(part)
            );

            always @(posedge clk)
                if (enable)
                    sum <= (first ? {SUM_BITS{1'b0}} : sum) + extended;

            assign sums[frame*SUM_BITS +: SUM_BITS] = sum;
        end
    endgenerate
endmodule
