// Reads words of one or two tensors of the activation memory, in the order of a nest.
//
// Of each word come first the values of the first tensor, then those of the second, if there is one.
// What was read waits at the memory's output until it is taken.
module word_reader #(
    parameter LOOPS = 5,
    parameter COUNT_BITS = 12,
    parameter ROW_BITS = 16,
    parameter TENSOR_BITS = 16
) (
    input                         clk,
    input                         start,
    input                         used,       // by this layer
    input  [LOOPS*COUNT_BITS-1:0] last,
    input  [ROW_BITS+2*TENSOR_BITS-1:0] first,
    input  [LOOPS*(ROW_BITS+2*TENSOR_BITS)-1:0] deltas,
    input  [LOOPS-1:0]            group,        // loops whose last iteration ends a group of words
    input  [ROW_BITS-1:0]         base_a,
    input  [ROW_BITS-1:0]         base_b,
    input                         two,          // tensors
    input                         granted,
    input                         taken,
    output                        wanted,
    output [ROW_BITS-1:0]         row,
    output [TENSOR_BITS-1:0]      channel,
    output [TENSOR_BITS-1:0]      frame,
    output reg                    valid,
    output reg                    second,       // what was read is of the second tensor
    output reg                    ends_group,
    output reg [TENSOR_BITS-1:0]  read_frame
);
    reg                              in_second;
    wire [ROW_BITS+2*TENSOR_BITS-1:0] address;
    wire [LOOPS-1:0]                 at_last, unused_first, unused_turns;
    wire                             active;

    wire issue     = wanted && granted;
    wire word_ends = in_second || !two;

    assign wanted  = active && (!valid || taken);
    assign row     = address[ROW_BITS-1:0] + (in_second ? base_b : base_a);
    assign channel = address[ROW_BITS +: TENSOR_BITS];
    assign frame   = address[ROW_BITS+TENSOR_BITS +: TENSOR_BITS];

    loop_nest #(
        .LOOPS(LOOPS), .COUNT_BITS(COUNT_BITS), .BITS(ROW_BITS), .SECOND(TENSOR_BITS),
        .THIRD(TENSOR_BITS)
    ) nest (
        .clk(clk), .start(start), .used(used), .step(issue && word_ends), .last(last), .first(first),
        .deltas(deltas), .active(active), .address(address), .at_first(unused_first),
        .at_last(at_last), .turns(unused_turns)
    );

    always @(posedge clk)
        if (start) begin
            in_second <= 1'b0;
            valid     <= 1'b0;
        end else begin
            if (issue) begin
                in_second  <= !word_ends;
                second     <= in_second;
                ends_group <= &(at_last | ~group);
                read_frame <= frame;
            end
            valid <= issue || (valid && !taken);
        end
endmodule
