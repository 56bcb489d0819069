// One trit that is not zero in every block of 2^BLOCK_BITS lanes.
//
// Block b takes BLOCK_BITS bits as the place of its trit, the first the most significant, and one
// sign bit, SHIFT bits after block b - 1. LANES is a multiple of 2^BLOCK_BITS.
module one_hot #(
    parameter LANES = 16,
    parameter STATE_BITS = 127,
    parameter TAP_1 = 97,
    parameter TAP_2 = 0,
    parameter TAP_3 = 0,
    parameter BLOCK_BITS = 2,
    parameter SHIFT = BLOCK_BITS + 1
) (
    input                   clk,
    input                   load,
    input                   enable,
    input  [STATE_BITS-1:0] seed,
    output [LANES-1:0]      nonzero,
    output [LANES-1:0]      negative  // where nonzero
);
    localparam BLOCK = 1 << BLOCK_BITS;
    localparam BLOCKS = LANES / BLOCK;
    localparam WIDTH = (BLOCKS - 1) * SHIFT + BLOCK_BITS + 1;

    wire [WIDTH-1:0] bits;

    lfsr_stream #(
        .STATE_BITS(STATE_BITS), .TAP_1(TAP_1), .TAP_2(TAP_2), .TAP_3(TAP_3),
        .WIDTH(WIDTH), .ADVANCE(BLOCKS * SHIFT)
    ) stream (.clk(clk), .load(load), .enable(enable), .seed(seed), .bits(bits));

    genvar block, lane;
    generate
        for (block = 0; block < BLOCKS; block = block + 1) begin : blocks
            // The place, and below it the sign.
            wire [BLOCK_BITS:0] field = bits[WIDTH-1-block*SHIFT -: BLOCK_BITS+1];
            for (lane = 0; lane < BLOCK; lane = lane + 1) begin : lanes
                assign nonzero[block*BLOCK+lane]  = (field >> 1) == lane;
                assign negative[block*BLOCK+lane] = field[0];
            end
        end
    endgenerate
endmodule
