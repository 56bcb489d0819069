// A programmable nest of loops: counts and address steps come from a layer's descriptor.
//
// One step is one iteration of the innermost loop. `address` holds up to three affine functions of
// the loop variables, of BITS, SECOND and THIRD bits; instead of strides the descriptor has `deltas`,
// what a step adds when loop d advances and all loops inside of it start over:
//
//     delta[d] = stride[d] - sum over the loops e inside of d of (count[e] - 1) * stride[e]
//
// so that one addition an address makes a step, however many loops turn over. Loops count down from
// what the descriptor says.
module loop_nest #(
    parameter LOOPS = 5,
    parameter COUNT_BITS = 12,
    parameter BITS = 16,
    parameter SECOND = 0,
    parameter THIRD = 0,
    parameter WIDTH = BITS + SECOND + THIRD
) (
    input                         clk,
    input                         start,  // of a layer: take the first addresses, and begin,
    input                         used,   // or else stay idle, whatever the registers woke up with
    input                         step,
    input  [LOOPS*COUNT_BITS-1:0] last,   // count - 1 of each loop, the innermost one lowest
    input  [WIDTH-1:0]            first,
    input  [LOOPS*WIDTH-1:0]      deltas,
    output reg                    active, // there are iterations left
    output reg [WIDTH-1:0]        address,
    output [LOOPS-1:0]            at_first,
    output [LOOPS-1:0]            at_last,
    output [LOOPS-1:0]            turns   // one-hot: the loop that the next step advances
);
    reg  [LOOPS*COUNT_BITS-1:0] left;
    reg  [WIDTH-1:0]            delta;
    wire [WIDTH-1:0]            next;
    wire [LOOPS:0]              carry;
    integer loop;

    assign carry[0] = 1'b1;
    genvar g;
    generate
        for (g = 0; g < LOOPS; g = g + 1) begin : loops
            wire [COUNT_BITS-1:0] mine = left[g*COUNT_BITS +: COUNT_BITS];
            assign at_last[g]  = mine == 0;
            assign at_first[g] = mine == last[g*COUNT_BITS +: COUNT_BITS];
            assign carry[g+1]  = carry[g] && at_last[g];
            assign turns[g]    = carry[g] && !at_last[g];
            always @(posedge clk)
                if (start || (step && carry[g]))
                    left[g*COUNT_BITS +: COUNT_BITS] <= start || at_last[g]
                        ? last[g*COUNT_BITS +: COUNT_BITS] : mine - 1'b1;
        end
        if (SECOND > 0) begin : second
            assign next[BITS +: SECOND] = address[BITS +: SECOND] + delta[BITS +: SECOND];
        end
        if (THIRD > 0) begin : third
            assign next[BITS+SECOND +: THIRD] =
                address[BITS+SECOND +: THIRD] + delta[BITS+SECOND +: THIRD];
        end
    endgenerate
    assign next[BITS-1:0] = address[BITS-1:0] + delta[BITS-1:0];

    always @* begin
        delta = {WIDTH{1'b0}};
        for (loop = 0; loop < LOOPS; loop = loop + 1)
            delta = delta | (deltas[loop*WIDTH +: WIDTH] & {WIDTH{turns[loop]}});
    end

    always @(posedge clk)
        if (start) begin
            address <= first;
            active  <= used;
        end else if (step) begin
            address <= next;
            active  <= !carry[LOOPS];
        end
endmodule
