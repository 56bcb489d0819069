// Trits along the paths of a Sobol' sequence: one in every block of 2^BLOCK_BITS lanes.
//
// The trit of block b of output r stands at the first BLOCK_BITS digits of the sequence's second
// component, point number start + r + 2^BLOCK_BITS * STEP * b, XOR a shift. Signs are mixed from
// (start + r, b / 32). `seed` is the key of the signs (32 bits), start (16) and shift (16).
// LANES / 2^BLOCK_BITS is a power of two, LANES divides the inputs, and `last_block` is the number
// of blocks of an output less those of one cycle.
module sobol #(
    parameter LANES = 16,
    parameter BLOCK_BITS = 2,
    parameter ROUNDS = 6
) (
    input              clk,
    input              load,
    input              enable,
    input  [63:0]      seed,
    input  [15:0]      last_block,
    output [LANES-1:0] nonzero,
    output [LANES-1:0] negative  // where nonzero
);
    localparam [15:0] STEP = 40503;
    localparam BLOCK = 1 << BLOCK_BITS;
    localparam BLOCKS = LANES / BLOCK;
    localparam WORDS = BLOCKS > 32 ? BLOCKS / 32 : 1;

    reg [31:0] key;
    reg [15:0] shift;
    reg [15:0] last_held;
    reg [15:0] row;     // start + r
    reg [15:0] first;   // number of the first block of this cycle
    reg [15:0] offset;  // BLOCK * STEP * first

    wire row_ends = first == last_held;

    always @(posedge clk)
        if (load) begin
            {key, row, shift} <= seed;
            last_held         <= last_block;
            first             <= 16'd0;
            offset            <= 16'd0;
        end else if (enable) begin
            first  <= row_ends ? 16'd0 : first + BLOCKS;
            offset <= row_ends ? 16'd0 : offset + STEP * LANES;
            row    <= row + {15'd0, row_ends};
        end

    // The first digits of a point: digit d is the XOR of all bits j with j choose d odd.
    function [15:0] digits(input [15:0] point);
        integer d, j;
        begin
            digits = 0;
            for (d = 0; d < BLOCK_BITS; d = d + 1)
                for (j = 0; j < 16; j = j + 1)
                    if ((j & d) == d)
                        digits[BLOCK_BITS-1-d] = digits[BLOCK_BITS-1-d] ^ point[j];
        end
    endfunction

    // The signs of this cycle's blocks, that of the first block as the most significant bit.
    wire [32*WORDS-1:0] mixed;
    wire [32*WORDS-1:0] signs = WORDS > 1 ? mixed : mixed << first[4:0];
    wire [15:0]         base  = row + offset;

    genvar word, block, lane;
    generate
        for (word = 0; word < WORDS; word = word + 1) begin : words
            wire [15:0] group = (first >> 5) + word;
            arx32 #(.ROUNDS(ROUNDS)) mixer (
                .word({row, group}), .key(key), .mixed(mixed[32*(WORDS-word)-1 -: 32])
            );
        end
        for (block = 0; block < BLOCKS; block = block + 1) begin : blocks
            wire [15:0] point = base + STEP * BLOCK * block;
            wire [15:0] place = digits(point) ^ (shift >> (16 - BLOCK_BITS));
            for (lane = 0; lane < BLOCK; lane = lane + 1) begin : lanes
                assign nonzero[block*BLOCK+lane]  = place == lane;
                assign negative[block*BLOCK+lane] = signs[32*WORDS-1-block];
            end
        end
    endgenerate
endmodule
