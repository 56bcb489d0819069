// Trits of density 2^-AND_BITS: not zero where all of AND_BITS bits are 1, and a sign.
//
// Lane l takes AND_BITS bits and one sign bit, SHIFT bits after lane l - 1.
module lfsr_and #(
    parameter LANES = 16,
    parameter STATE_BITS = 127,
    parameter TAP_1 = 97,
    parameter TAP_2 = 0,
    parameter TAP_3 = 0,
    parameter AND_BITS = 3,
    parameter SHIFT = AND_BITS + 1
) (
    input                   clk,
    input                   load,
    input                   enable,
    input  [STATE_BITS-1:0] seed,
    output [LANES-1:0]      nonzero,
    output [LANES-1:0]      negative  // where nonzero
);
    localparam WIDTH = (LANES - 1) * SHIFT + AND_BITS + 1;

    wire [WIDTH-1:0] bits;

    lfsr_stream #(
        .STATE_BITS(STATE_BITS), .TAP_1(TAP_1), .TAP_2(TAP_2), .TAP_3(TAP_3),
        .WIDTH(WIDTH), .ADVANCE(LANES * SHIFT)
    ) stream (.clk(clk), .load(load), .enable(enable), .seed(seed), .bits(bits));

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : lanes
            if (AND_BITS == 0)
                assign nonzero[lane] = 1'b1;
            else
                assign nonzero[lane] = &bits[WIDTH-1-lane*SHIFT -: (AND_BITS > 0 ? AND_BITS : 1)];
            assign negative[lane] = bits[WIDTH-1-lane*SHIFT-AND_BITS];
        end
    endgenerate
endmodule
