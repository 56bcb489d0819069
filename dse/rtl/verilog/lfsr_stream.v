// A linear-feedback shift register that gives WIDTH bits at once and moves on by ADVANCE.
//
//   bit[n] = bit[n - STATE_BITS] ^ bit[n - TAP_1] (^ bit[n - TAP_2] ^ bit[n - TAP_3], where not 0)
//
// `state` holds the last STATE_BITS bits, the oldest as the most significant; `bits` are the next
// ones, the first as the most significant. `seed` must not be all zeros.
module lfsr_stream #(
    parameter STATE_BITS = 127,
    parameter TAP_1 = 97,
    parameter TAP_2 = 0,
    parameter TAP_3 = 0,
    parameter WIDTH = 144,
    parameter ADVANCE = 144
) (
    input                   clk,
    input                   load,    // take the seed
    input                   enable,  // move on
    input  [STATE_BITS-1:0] seed,
    output [WIDTH-1:0]      bits
);
    localparam FRESH = WIDTH > ADVANCE ? WIDTH : ADVANCE;
    localparam TOTAL = STATE_BITS + FRESH;

    reg [STATE_BITS-1:0] state;

    // The state, and the bits that follow it: bit n of the stream is line[TOTAL - 1 - n].
    function [TOTAL-1:0] line_after(input [STATE_BITS-1:0] from);
        integer n;
        begin
            line_after = {from, {FRESH{1'b0}}};
            for (n = STATE_BITS; n < TOTAL; n = n + 1)
                line_after[TOTAL-1-n] = line_after[TOTAL-1-n+STATE_BITS]
                                      ^ line_after[TOTAL-1-n+TAP_1]
                                      ^ (TAP_2 != 0 ? line_after[TOTAL-1-n+TAP_2] : 1'b0)
                                      ^ (TAP_3 != 0 ? line_after[TOTAL-1-n+TAP_3] : 1'b0);
        end
    endfunction

    wire [TOTAL-1:0] line = line_after(state);

    assign bits = line[FRESH-1 -: WIDTH];

    always @(posedge clk)
        if (load)
            state <= seed;
        else if (enable)
            state <= line[TOTAL-1-ADVANCE -: STATE_BITS];
endmodule
