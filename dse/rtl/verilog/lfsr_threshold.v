// Trits of any density n / 2^THRESHOLD_BITS: a number against a limit, and a sign.
//
// Lane l takes THRESHOLD_BITS bits as a number, the first the most significant, and one sign bit,
// SHIFT bits after lane l - 1; the trit is not zero where the number is at most `limit`, which is
// density * 2^THRESHOLD_BITS - 1, taken when `load` is high.
module lfsr_threshold #(
    parameter LANES = 16,
    parameter STATE_BITS = 127,
    parameter TAP_1 = 97,
    parameter TAP_2 = 0,
    parameter TAP_3 = 0,
    parameter THRESHOLD_BITS = 8,
    parameter SHIFT = THRESHOLD_BITS + 1
) (
    input                       clk,
    input                       load,
    input                       enable,
    input  [STATE_BITS-1:0]     seed,
    input  [THRESHOLD_BITS-1:0] limit,
    output [LANES-1:0]          nonzero,
    output [LANES-1:0]          negative  // where nonzero
);
    localparam WIDTH = (LANES - 1) * SHIFT + THRESHOLD_BITS + 1;

    reg  [THRESHOLD_BITS-1:0] limit_held;
    wire [WIDTH-1:0]          bits;

    lfsr_stream #(
        .STATE_BITS(STATE_BITS), .TAP_1(TAP_1), .TAP_2(TAP_2), .TAP_3(TAP_3),
        .WIDTH(WIDTH), .ADVANCE(LANES * SHIFT)
    ) stream (.clk(clk), .load(load), .enable(enable), .seed(seed), .bits(bits));

    always @(posedge clk)
        if (load)
            limit_held <= limit;

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : lanes
            at_most #(.BITS(THRESHOLD_BITS)) compare (
                .number(bits[WIDTH-1-lane*SHIFT -: THRESHOLD_BITS]),
                .limit(limit_held), .yes(nonzero[lane])
            );
            assign negative[lane] = bits[WIDTH-1-lane*SHIFT-THRESHOLD_BITS];
        end
    endgenerate
endmodule
