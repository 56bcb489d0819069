// A programmable nest of loops: counts and address steps come from a layer's descriptor.
//
// One step is one iteration of the innermost loop. `address` holds ADDRESSES affine functions of the
// loop variables; instead of strides the descriptor has `deltas`, what a step adds when loop d
// advances and all loops inside of it start over:
//
//     delta[d] = stride[d] - sum over the loops e inside of d of (count[e] - 1) * stride[e]
//
// so that one addition an address makes a step, however many loops turn over.
module loop_nest #(
    parameter LOOPS = 5,
    parameter COUNT_BITS = 12,
    parameter ADDRESSES = 1,
    parameter BITS = 16
) (
    input                             clk,
    input                             start,  // take the first addresses and begin
    input                             step,
    input  [LOOPS*COUNT_BITS-1:0]     last,   // count - 1 of each loop, the innermost one lowest
    input  [ADDRESSES*BITS-1:0]       first,
    input  [LOOPS*ADDRESSES*BITS-1:0] deltas,
    output reg                        active, // there are iterations left
    output reg [ADDRESSES*BITS-1:0]   address,
    output [LOOPS-1:0]                at_first,
    output [LOOPS-1:0]                at_last,
    output reg [LOOPS-1:0]            turns   // one-hot: the loop that the next step advances
);
    reg  [LOOPS*COUNT_BITS-1:0]     index;
    reg  [LOOPS*COUNT_BITS-1:0]     next_index;
    reg  [ADDRESSES*BITS-1:0]       next_address;
    reg                             carry;
    integer loop, which;

    genvar g;
    generate
        for (g = 0; g < LOOPS; g = g + 1) begin : flags
            assign at_first[g] = index[g*COUNT_BITS +: COUNT_BITS] == 0;
            assign at_last[g]  = index[g*COUNT_BITS +: COUNT_BITS] == last[g*COUNT_BITS +: COUNT_BITS];
        end
    endgenerate

    always @* begin
        carry        = 1'b1;
        next_index   = index;
        next_address = address;
        turns        = {LOOPS{1'b0}};
        for (loop = 0; loop < LOOPS; loop = loop + 1) begin
            if (carry && at_last[loop])
                next_index[loop*COUNT_BITS +: COUNT_BITS] = {COUNT_BITS{1'b0}};
            else if (carry) begin
                next_index[loop*COUNT_BITS +: COUNT_BITS] =
                    index[loop*COUNT_BITS +: COUNT_BITS] + 1'b1;
                turns[loop] = 1'b1;
                for (which = 0; which < ADDRESSES; which = which + 1)
                    next_address[which*BITS +: BITS] = address[which*BITS +: BITS]
                        + deltas[(loop*ADDRESSES+which)*BITS +: BITS];
            end
            carry = carry && at_last[loop];
        end
    end

    always @(posedge clk)
        if (start) begin
            index   <= {LOOPS*COUNT_BITS{1'b0}};
            address <= first;
            active  <= 1'b1;
        end else if (step) begin
            index   <= next_index;
            address <= next_address;
            active  <= !carry;
        end
endmodule
