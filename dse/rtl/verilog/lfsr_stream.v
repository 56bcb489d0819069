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

    // The FRESH bits that follow a state.
    function [FRESH-1:0] fresh_after(input [STATE_BITS-1:0] from);
        reg [TOTAL-1:0] line;  // the state and they: bit n of the stream is line[TOTAL - 1 - n]
        integer n;
        begin
            line = {from, {FRESH{1'b0}}};
            for (n = STATE_BITS; n < TOTAL; n = n + 1)
                line[TOTAL-1-n] = line[TOTAL-1-n+STATE_BITS]
                                ^ line[TOTAL-1-n+TAP_1]
                                ^ (TAP_2 != 0 ? line[TOTAL-1-n+TAP_2] : 1'b0)
                                ^ (TAP_3 != 0 ? line[TOTAL-1-n+TAP_3] : 1'b0);
            fresh_after = line[FRESH-1:0];
        end
    endfunction

    wire [FRESH-1:0]      fresh = fresh_after(state);
    wire [STATE_BITS-1:0] following;  // the state after ADVANCE of them

    assign bits = fresh[FRESH-1 -: WIDTH];

    generate
        if (ADVANCE < STATE_BITS)
            assign following = {state[STATE_BITS-1-ADVANCE:0], fresh[FRESH-1 -: ADVANCE]};
        else
            assign following = fresh[FRESH-1-ADVANCE+STATE_BITS -: STATE_BITS];
    endgenerate

    always @(posedge clk)
        if (load)
            state <= seed;
        else if (enable)
            state <= following;
endmodule
