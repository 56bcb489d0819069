// Adds or subtracts LANES activations, or leaves them out, as their trits say.
module ternary_tree #(
    parameter LANES = 16,
    parameter ACTIVATION_BITS = 8,
    parameter SUM_BITS = ACTIVATION_BITS + 1 + $clog2(LANES)
) (
    input  [LANES*ACTIVATION_BITS-1:0] activations,  // two's complement, lane 0 lowest
    input  [LANES-1:0]                 nonzero,
    input  [LANES-1:0]                 negative,
    output signed [SUM_BITS-1:0]       sum
);
    localparam LEVELS = $clog2(LANES);
    localparam LEAVES = 1 << LEVELS;

    // Minus a value is its bits inverted, plus one: the ones go in where adders have a carry. Level v
    // has LEAVES >> v sums of ACTIVATION_BITS + 1 + v bits: one bit for -(-128), one a level.
    wire [LEAVES-1:0] minus;

    genvar lane, level, node;
    generate
        for (level = 0; level <= LEVELS; level = level + 1) begin : levels
            localparam BITS = ACTIVATION_BITS + 1 + level;
            wire [(LEAVES >> level)*BITS-1:0] sums;
        end
        for (lane = 0; lane < LEAVES; lane = lane + 1) begin : lanes
            localparam BITS = ACTIVATION_BITS + 1;
            if (lane < LANES) begin : used
                assign minus[lane] = nonzero[lane] & negative[lane];
                wire [BITS-2:0] narrow = activations[lane*ACTIVATION_BITS +: ACTIVATION_BITS];
                wire [BITS-1:0] value  = {narrow[BITS-2], narrow};
                assign levels[0].sums[lane*BITS +: BITS] =
                    {BITS{minus[lane]}} ^ ({BITS{nonzero[lane]}} & value);
            end else begin : unused
                assign minus[lane] = 1'b0;
                assign levels[0].sums[lane*BITS +: BITS] = {BITS{1'b0}};
            end
        end
        for (level = 1; level <= LEVELS; level = level + 1) begin : adders
            localparam BITS = ACTIVATION_BITS + 1 + level;
            for (node = 0; node < (LEAVES >> level); node = node + 1) begin : nodes
                wire [BITS-2:0] left  = levels[level-1].sums[(2*node)*(BITS-1) +: BITS-1];
                wire [BITS-2:0] right = levels[level-1].sums[(2*node+1)*(BITS-1) +: BITS-1];
                // Nodes are numbered 1 to LEAVES - 1 from the last one down: one carry each.
                wire            carry = minus[(LEAVES >> level) + node];
                assign levels[level].sums[node*BITS +: BITS] =
                    {left[BITS-2], left} + {right[BITS-2], right} + {{(BITS-1){1'b0}}, carry};
            end
        end
    endgenerate

    assign sum = levels[LEVELS].sums + {{(SUM_BITS-1){1'b0}}, minus[0]};
endmodule
