// A programmable loop nest: which word of each memory is wanted, cycle by cycle.
//
// LOOPS counters stand in a row, the innermost first; each steps when all before it are at their
// last value. An address moves by a step of its own for each loop, so that none is multiplied:
// `steps` has the distance from the last element of the inner loops to the next one of this loop.
// Limits and steps are written once a layer, word by word, and held by a gated clock afterwards.
module loop_nest #(
    parameter LOOPS = 4,
    parameter COUNT_BITS = 12,
    parameter ADDRESSES = 3,
    parameter ADDRESS_BITS = 16
) (
    input                                   clk,
    input                                   set,      // one word of limits and steps
    input      [7:0]                        word,     // loops first, then steps by address and loop
    input      [ADDRESS_BITS-1:0]           value,
    input                                   load,     // begin with the first iteration
    input                                   enable,
    output                                  first,    // of the innermost loop: a new sum
    output                                  done,
    output     [ADDRESSES*ADDRESS_BITS-1:0] addresses
);
    wire [LOOPS:0] carry;  // loops before this one are all at their last value
    assign carry[0] = enable;
    wire [LOOPS-1:0] zero;
    assign first = zero[0];
    assign done = carry[LOOPS];

    genvar l, a;
    generate
        for (l = 0; l < LOOPS; l = l + 1) begin : loops
            reg [COUNT_BITS-1:0] count, limit;
            always @(posedge clk) if (set && word == l) limit <= value[COUNT_BITS-1:0];
            assign zero[l] = count == 0;
            assign carry[l+1] = carry[l] && count == limit;
            always @(posedge clk)
                if (load || carry[l])
                    count <= load || carry[l+1] ? {COUNT_BITS{1'b0}} : count + 1'b1;
        end
        for (a = 0; a < ADDRESSES; a = a + 1) begin : units
            reg  [ADDRESS_BITS-1:0] address;
            wire [LOOPS*ADDRESS_BITS-1:0] chosen;  // the step of the loop that advances, else 0
            for (l = 0; l < LOOPS; l = l + 1) begin : steps
                reg [ADDRESS_BITS-1:0] step;
                always @(posedge clk) if (set && word == LOOPS + a * LOOPS + l) step <= value;
                wire here = carry[l] && !carry[l+1];
                wire [ADDRESS_BITS-1:0] below;
                if (l == 0) assign below = 0;
                else assign below = chosen[(l-1)*ADDRESS_BITS +: ADDRESS_BITS];
                assign chosen[l*ADDRESS_BITS +: ADDRESS_BITS] =
                    below | ({ADDRESS_BITS{here}} & step);
            end
            wire moves = |chosen[(LOOPS-1)*ADDRESS_BITS +: ADDRESS_BITS];
            always @(posedge clk)
                if (load || moves)
                    address <= load ? {ADDRESS_BITS{1'b0}}
                                    : address + chosen[(LOOPS-1)*ADDRESS_BITS +: ADDRESS_BITS];
            assign addresses[a*ADDRESS_BITS +: ADDRESS_BITS] = address;
        end
    endgenerate
endmodule
