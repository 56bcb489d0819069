// ROWS x COLUMNS multiply-accumulate units with their registers of operands and a loop nest.
//
// A cycle takes a weight for each row and an input for each column, as memories deliver them; each
// unit adds their product to a sum of its own, which begins anew with the innermost loop.
module mac_machine #(
    parameter ROWS = 4,
    parameter COLUMNS = 4,
    parameter BITS = 8,
    parameter SUM_BITS = 24,
    parameter LOOPS = 4,
    parameter ADDRESSES = 3,
    parameter ADDRESS_BITS = 16
) (
    input                                   clk,
    input                                   set,
    input  [7:0]                            word,
    input  [ADDRESS_BITS-1:0]               value,
    input                                   load,
    input                                   enable,
    input  [ROWS*BITS-1:0]                  weights,
    input  [COLUMNS*BITS-1:0]               inputs,
    output                                  done,
    output [ADDRESSES*ADDRESS_BITS-1:0]     addresses,
    output [ROWS*COLUMNS*SUM_BITS-1:0]      sums
);
    wire first, begins, works;
    wire [ROWS*BITS-1:0] held_weights;
    wire [COLUMNS*BITS-1:0] held_inputs;
    loop_nest #(.LOOPS(LOOPS), .ADDRESSES(ADDRESSES), .ADDRESS_BITS(ADDRESS_BITS)) control (
        .clk(clk), .set(set), .word(word), .value(value), .load(load), .enable(enable),
        .first(first), .done(done), .addresses(addresses)
    );
    mac_operands #(.BITS((ROWS + COLUMNS) * BITS)) operands (
        .clk(clk), .enable(enable), .first(first), .values({weights, inputs}),
        .held({held_weights, held_inputs}), .begins(begins), .works(works)
    );
    mac_array #(.ROWS(ROWS), .COLUMNS(COLUMNS), .BITS(BITS), .SUM_BITS(SUM_BITS)) array (
        .clk(clk), .enable(works), .first(begins), .weights(held_weights), .inputs(held_inputs),
        .sums(sums)
    );
endmodule

module mac_operands #(parameter BITS = 64) (
    input                 clk,
    input                 enable,
    input                 first,
    input      [BITS-1:0] values,
    output reg [BITS-1:0] held,
    output reg            begins,
    output reg            works
);
    always @(posedge clk) begin
        works <= enable;
        if (enable) begin
            held <= values;
            begins <= first;
        end
    end
endmodule

module mac_array #(
    parameter ROWS = 4, parameter COLUMNS = 4, parameter BITS = 8, parameter SUM_BITS = 24
) (
    input                                  clk,
    input                                  enable,
    input                                  first,
    input      [ROWS*BITS-1:0]             weights,
    input      [COLUMNS*BITS-1:0]          inputs,
    output     [ROWS*COLUMNS*SUM_BITS-1:0] sums
);
    genvar r, c;
    generate
        for (r = 0; r < ROWS; r = r + 1) begin : rows
            for (c = 0; c < COLUMNS; c = c + 1) begin : columns
                wire signed [BITS-1:0] weight = weights[r*BITS +: BITS];
                wire signed [BITS-1:0] value = inputs[c*BITS +: BITS];
                wire signed [2*BITS-1:0] product = weight * value;
                wire signed [SUM_BITS-1:0] extended = product;
                reg [SUM_BITS-1:0] sum;
                always @(posedge clk)
                    if (enable) sum <= (first ? {SUM_BITS{1'b0}} : sum) + extended;
                assign sums[(r*COLUMNS+c)*SUM_BITS +: SUM_BITS] = sum;
            end
        end
    endgenerate
endmodule
