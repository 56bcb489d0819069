// Reads words of one or two tensors of the activation memory, in the order of a nest.
//
// Sums of 24 bits lie in three planes, a byte each; int8 values in one. Of each word come first all
// planes of the first tensor, then those of the second, if there is one. What was read waits at the
// memory's output until it is taken.
module word_reader #(
    parameter LOOPS = 5,
    parameter COUNT_BITS = 12,
    parameter BITS = 16
) (
    input                         clk,
    input                         start,
    input  [LOOPS*COUNT_BITS-1:0] last,
    input  [3*BITS-1:0]           first,
    input  [LOOPS*3*BITS-1:0]     deltas,
    input  [LOOPS-1:0]            group,        // loops whose last iteration ends a group of words
    input  [BITS-1:0]             base_a,
    input  [BITS-1:0]             base_b,
    input  [BITS-1:0]             plane_rows_a,
    input  [BITS-1:0]             plane_rows_b,
    input  [1:0]                  planes_a,
    input  [1:0]                  planes_b,     // 0: there is no second tensor
    input                         granted,
    input                         taken,
    output                        wanted,
    output [BITS-1:0]             row,
    output [BITS-1:0]             channel,
    output [BITS-1:0]             frame,
    output reg                    valid,
    output reg [1:0]              plane,        // of what was read
    output reg                    second,       // it is of the second tensor
    output reg                    whole,        // the word is complete with it
    output reg                    ends_group,
    output reg [BITS-1:0]         read_frame
);
    reg  [1:0]        part;
    reg               in_second;
    reg  [BITS-1:0]   down;
    wire [3*BITS-1:0] address;
    wire [LOOPS-1:0]  at_last, unused_first, unused_turns;
    wire              active;

    wire issue     = wanted && granted;
    wire part_ends = part + 2'd1 == (in_second ? planes_b : planes_a);
    wire word_ends = part_ends && (in_second || planes_b == 0);

    assign wanted  = active && (!valid || taken);
    assign row     = address[0 +: BITS] + (in_second ? base_b : base_a) + down;
    assign channel = address[BITS +: BITS];
    assign frame   = address[2*BITS +: BITS];

    loop_nest #(.LOOPS(LOOPS), .COUNT_BITS(COUNT_BITS), .ADDRESSES(3), .BITS(BITS)) nest (
        .clk(clk), .start(start), .step(issue && word_ends), .last(last), .first(first),
        .deltas(deltas), .active(active), .address(address), .at_first(unused_first),
        .at_last(at_last), .turns(unused_turns)
    );

    always @(posedge clk)
        if (start) begin
            part      <= 2'd0;
            in_second <= 1'b0;
            down      <= {BITS{1'b0}};
            valid     <= 1'b0;
        end else begin
            if (issue) begin
                part       <= part_ends ? 2'd0 : part + 2'd1;
                down       <= part_ends ? {BITS{1'b0}} : down + (in_second ? plane_rows_b : plane_rows_a);
                in_second  <= part_ends ? (!word_ends) : in_second;
                plane      <= part;
                second     <= in_second;
                whole      <= word_ends;
                ends_group <= &(at_last | ~group);
                read_frame <= frame;
            end
            valid <= issue || (valid && !taken);
        end
endmodule
