// One trit that is not zero in every block of 2^BLOCK_BITS lanes.
//
// Block b takes BLOCK_BITS bits as the place of its trit, the first the most significant, and one
// sign bit, SHIFT bits after block b - 1. LANES is a multiple of 2^BLOCK_BITS.
//
// BALANCED signs: blocks 2 i and 2 i + 1 of the stream share the sign bit of the first, and the
// second has the opposite sign. Where an odd number of blocks is made in a cycle, pairs are cut in
// every other one, and two flip-flops know of the half that came before.
module one_hot #(
    parameter LANES = 16,
    parameter STATE_BITS = 127,
    parameter TAP_1 = 97,
    parameter TAP_2 = 0,
    parameter TAP_3 = 0,
    parameter BLOCK_BITS = 2,
    parameter SHIFT = BLOCK_BITS + 1,
    parameter BALANCED = 0
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

    wire [BLOCKS:0] drawn;   // sign bits: of the last block of the cycle before, then of these
    wire            second;  // the first block is the second of its pair

    genvar block, lane;
    generate
        for (block = 0; block < BLOCKS; block = block + 1) begin : blocks
            // The place, and below it the sign.
            wire [BLOCK_BITS:0] field = bits[WIDTH-1-block*SHIFT -: BLOCK_BITS+1];
            wire follows = BALANCED != 0 && (second ^ (block % 2 == 1));
            wire sign    = follows ? !drawn[block] : drawn[block+1];
            assign drawn[block+1] = field[0];
            for (lane = 0; lane < BLOCK; lane = lane + 1) begin : lanes
                assign nonzero[block*BLOCK+lane]  = (field >> 1) == lane;
                assign negative[block*BLOCK+lane] = sign;
            end
        end
        if (BALANCED != 0 && BLOCKS % 2 == 1) begin : cut_pairs
            reg half, last_sign;
            always @(posedge clk)
                if (load) begin
                    half      <= 1'b0;
                    last_sign <= 1'b0;
                end else if (enable) begin
                    half      <= !half;
                    last_sign <= drawn[BLOCKS];
                end
            assign second   = half;
            assign drawn[0] = last_sign;
        end else begin : whole_pairs
            assign second   = 1'b0;
            assign drawn[0] = 1'b0;
        end
    endgenerate
endmodule
