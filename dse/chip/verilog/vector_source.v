// What the vector unit reads from memory: the two tensors of a sum in turns, or frames of a mean.
//
//     sum      LANES values of one tensor, then those of the other: int8 as they are
//     mean     all frames of a channel are added up, LANES at a time
module vector_source #(
    parameter LANES = 8,
    parameter SUM_BITS = 24,
    parameter BITS = 16
) (
    input                       clk,
    input                       start,
    input                       means,
    input  [BITS-1:0]           frames,
    input                       valid,        // a word waits at the memory
    input                       ends_group,
    input  [BITS-1:0]           read_frame,
    input  [LANES*8-1:0]        word,
    input                       accepted,     // the values below are taken
    output                      taken,
    output                      ready,
    output [LANES*SUM_BITS-1:0] values
);
    localparam FEW_BITS = 8 + $clog2(LANES);          // of the frames of one word
    reg  [SUM_BITS-1:0] sum;
    reg  [FEW_BITS-1:0] few;

    assign ready = valid && (!means || ends_group);
    assign taken = ready ? accepted : valid;

    // Frames from the word's first lane on, as many as it has at most.
    localparam LEFT_BITS = $clog2(LANES + 1);
    wire [BITS-1:0]      more = frames - read_frame;
    wire [LEFT_BITS-1:0] left = more > LANES ? LANES : more[LEFT_BITS-1:0];
    // The adders see a word only where a mean is made of it.
    wire [LANES*8-1:0] added = word & {LANES*8{means && valid}};
    integer each;
    always @* begin
        few = {FEW_BITS{1'b0}};
        for (each = 0; each < LANES; each = each + 1)
            few = few + ({{FEW_BITS-8{added[each*8+7]}}, added[each*8 +: 8]}
                & {FEW_BITS{each < left}});
    end
    wire [SUM_BITS-1:0] frames_sum = sum + {{SUM_BITS-FEW_BITS{few[FEW_BITS-1]}}, few};

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : lanes
            wire [SUM_BITS-1:0] plain = {{SUM_BITS-8{word[lane*8+7]}}, word[lane*8 +: 8]};
            assign values[lane*SUM_BITS +: SUM_BITS] = lane == 0 && means ? frames_sum : plain;
        end
    endgenerate

    always @(posedge clk)
        if (start)
            sum <= {SUM_BITS{1'b0}};
        else if (means && taken)
            sum <= ends_group ? {SUM_BITS{1'b0}} : frames_sum;
endmodule
