// Multiply-accumulate units: ROWS x COLUMNS, DEPTH sums in each, operands broadcast.
//
// What rows and columns stand for comes from the layer's descriptor (N output channels, R inputs, T
// frames):
//
//     rows N, columns T     unit (i, j) adds  weight[i] * input[j]
//     rows T, columns T     unit (i, j) adds  weight[0] * input[i * COLUMNS + j]
//     rows N, columns R     unit (i, j) adds  weight[i * COLUMNS + j] * input[j]
//     rows T, columns R     unit (i, j) adds  weight[j] * input[i * COLUMNS + j]
//     rows R, columns R     unit (i, j) adds  weight[i * COLUMNS + j] * input[i * COLUMNS + j]
//
// Where columns are R, whoever takes the sums adds those of a row, and where rows are R, of all rows.
//
// Weights are int8, or trits of two bits. `sums` are those of this very pass, before they are stored.
module mac_array #(
    parameter ROWS = 8,
    parameter COLUMNS = 8,
    parameter DEPTH = 1,
    parameter SUM_BITS = 24,
    parameter DEPTH_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input                               clk,
    input                               go,
    input                               first,     // of a sum
    input  [DEPTH_BITS-1:0]             index,     // which of the sums
    input                               rows_outputs,     // rows are N, otherwise T or
    input                               rows_inputs,      // R
    input                               columns_inputs,   // columns are R, otherwise T
    input                               trits,
    input  [7:0]                        columns_used,
    input  [ROWS*COLUMNS*8-1:0]         inputs,
    input  [ROWS*COLUMNS*8-1:0]         weights,
    output [ROWS*COLUMNS*SUM_BITS-1:0]  sums
);
    genvar row, column;
    generate
        for (row = 0; row < ROWS; row = row + 1) begin : rows
            for (column = 0; column < COLUMNS; column = column + 1) begin : columns
                localparam UNIT = row * COLUMNS + column;
                reg  signed [SUM_BITS-1:0] stored [0:DEPTH-1];
                wire signed [7:0] value = rows_outputs ? inputs[column*8 +: 8] : inputs[UNIT*8 +: 8];
                wire [7:0] eight = rows_outputs || rows_inputs
                    ? columns_inputs ? weights[UNIT*8 +: 8] : weights[row*8 +: 8]
                    : columns_inputs ? weights[column*8 +: 8] : weights[7:0];
                wire [1:0] two = rows_outputs || rows_inputs
                    ? columns_inputs ? weights[UNIT*2 +: 2] : weights[row*2 +: 2]
                    : columns_inputs ? weights[column*2 +: 2] : weights[1:0];
                wire signed [7:0]  weight  = trits ? {{7{two[1]}}, two[0]} : eight;
                wire signed [15:0] product = (rows_inputs ? UNIT : column) < columns_used || !columns_inputs
                    ? value * weight : 16'sd0;
                wire signed [SUM_BITS-1:0] so_far = first ? {SUM_BITS{1'b0}} : stored[index];
                wire signed [SUM_BITS-1:0] sum = so_far + product;
                assign sums[UNIT*SUM_BITS +: SUM_BITS] = sum;
                always @(posedge clk)
                    if (go)
                        stored[index] <= sum;
            end
        end
    endgenerate
endmodule
