// Ternary adder trees: ROWS of them, COLUMNS lanes each, with DEPTH sums behind every tree.
//
//     rows N     tree i adds  trits of output i  times the inputs of one frame
//     rows T     tree i adds  the trits of one output  times the inputs of frame i
//
// A trit takes two bits, {negative, nonzero}: two's complement. Lanes beyond `columns_used` add
// nothing. `sums` are those of this very pass, before they are stored.
module tree_array #(
    parameter ROWS = 4,
    parameter COLUMNS = 32,
    parameter DEPTH = 16,
    parameter SUM_BITS = 24,
    parameter DEPTH_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input                          clk,
    input                          go,
    input                          first,
    input  [DEPTH_BITS-1:0]        index,
    input                          rows_outputs,
    input  [7:0]                   columns_used,
    input  [ROWS*COLUMNS*8-1:0]    inputs,
    input  [ROWS*COLUMNS*2-1:0]    trits,
    output [ROWS*SUM_BITS-1:0]     sums
);
    localparam TREE_BITS = 9 + $clog2(COLUMNS);

    genvar row, lane;
    generate
        for (row = 0; row < ROWS; row = row + 1) begin : rows
            reg  signed [SUM_BITS-1:0] stored [0:DEPTH-1];
            wire [COLUMNS*8-1:0] values = rows_outputs ? inputs[COLUMNS*8-1:0]
                : inputs[row*COLUMNS*8 +: COLUMNS*8];
            wire [COLUMNS-1:0] nonzero, negative;
            for (lane = 0; lane < COLUMNS; lane = lane + 1) begin : lanes
                wire [1:0] trit = rows_outputs ? trits[(row*COLUMNS+lane)*2 +: 2]
                    : trits[lane*2 +: 2];
                assign nonzero[lane]  = trit[0] && lane < columns_used;
                assign negative[lane] = trit[1];
            end
            wire signed [TREE_BITS-1:0] added;
            ternary_tree #(.LANES(COLUMNS), .ACTIVATION_BITS(8)) tree (
                .activations(values), .nonzero(nonzero), .negative(negative), .sum(added)
            );
            wire signed [SUM_BITS-1:0] so_far = first ? {SUM_BITS{1'b0}} : stored[index];
            wire signed [SUM_BITS-1:0] sum = so_far + added;
            assign sums[row*SUM_BITS +: SUM_BITS] = sum;
            always @(posedge clk)
                if (go)
                    stored[index] <= sum;
        end
    endgenerate
endmodule
