// One ternary processing element: an accumulator that adds, subtracts or skips an activation.
module ternary_pe #(
    parameter ACTIVATION_BITS = 8,
    parameter SUM_BITS = 24
) (
    input                              clk,
    input                              clear,     // begin a sum with this activation
    input                              enable,
    input  signed [ACTIVATION_BITS-1:0] activation,
    input                              nonzero,
    input                              negative,
    output reg signed [SUM_BITS-1:0]   sum
);
    wire signed [SUM_BITS-1:0] before = clear ? $signed({SUM_BITS{1'b0}}) : sum;

    always @(posedge clk)
        if (enable)
            sum <= !nonzero ? before : negative ? before - activation : before + activation;
endmodule
