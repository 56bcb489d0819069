// Trees that share the trits of a generator, with their registers of operands and a loop nest.
//
// `generator` and the trees are the modules that `dse export` writes. Each tree adds the inputs of a
// frame of its own; all take the trits of the same cycle.
module ternary_machine #(
    parameter LANES = 16,
    parameter FRAMES = 4,
    parameter BITS = 8,
    parameter SUM_BITS = 24,
    parameter STATE_BITS = 127,
    parameter TAP_1 = 97,
    parameter THRESHOLD_BITS = 8,
    parameter LOOPS = 4,
    parameter ADDRESSES = 2,
    parameter ADDRESS_BITS = 16
) (
    input                                clk,
    input                                set,
    input  [7:0]                         word,
    input  [ADDRESS_BITS-1:0]            value,
    input                                load,
    input                                enable,
    input  [STATE_BITS-1:0]              seed,
    input  [THRESHOLD_BITS-1:0]          limit,
    input  [FRAMES*LANES*BITS-1:0]       inputs,
    output                               done,
    output [ADDRESSES*ADDRESS_BITS-1:0]  addresses,
    output [FRAMES*SUM_BITS-1:0]         sums
);
    wire first, begins, works;
    wire [LANES-1:0] nonzero, negative;
    wire [FRAMES*LANES*BITS-1:0] held;
    loop_nest #(.LOOPS(LOOPS), .ADDRESSES(ADDRESSES), .ADDRESS_BITS(ADDRESS_BITS)) control (
        .clk(clk), .set(set), .word(word), .value(value), .load(load), .enable(enable),
        .first(first), .done(done), .addresses(addresses)
    );
    lfsr_threshold #(
        .LANES(LANES), .STATE_BITS(STATE_BITS), .TAP_1(TAP_1), .THRESHOLD_BITS(THRESHOLD_BITS)
    ) generator (
        .clk(clk), .load(load), .seed(seed), .limit(limit), .enable(works),
        .nonzero(nonzero), .negative(negative)
    );
    mac_operands #(.BITS(FRAMES * LANES * BITS)) operands (
        .clk(clk), .enable(enable), .first(first), .values(inputs), .held(held),
        .begins(begins), .works(works)
    );
    ternary_trees #(
        .LANES(LANES), .FRAMES(FRAMES), .BITS(BITS), .SUM_BITS(SUM_BITS)
    ) array (
        .clk(clk), .enable(works), .first(begins), .nonzero(nonzero), .negative(negative),
        .inputs(held), .sums(sums)
    );
endmodule

module ternary_trees #(
    parameter LANES = 16, parameter FRAMES = 4, parameter BITS = 8, parameter SUM_BITS = 24
) (
    input                              clk,
    input                              enable,
    input                              first,
    input      [LANES-1:0]             nonzero,
    input      [LANES-1:0]             negative,
    input      [FRAMES*LANES*BITS-1:0] inputs,
    output     [FRAMES*SUM_BITS-1:0]   sums
);
    localparam TREE_BITS = BITS + 1 + $clog2(LANES);
    genvar f;
    generate
        for (f = 0; f < FRAMES; f = f + 1) begin : frames
            wire signed [TREE_BITS-1:0] part;
            wire signed [SUM_BITS-1:0] extended = part;
            reg [SUM_BITS-1:0] sum;
            ternary_tree #(.LANES(LANES), .ACTIVATION_BITS(BITS)) tree (
                .activations(inputs[f*LANES*BITS +: LANES*BITS]),
                .nonzero(nonzero), .negative(negative), .sum(part)
            );
            always @(posedge clk)
                if (enable) sum <= (first ? {SUM_BITS{1'b0}} : sum) + extended;
            assign sums[f*SUM_BITS +: SUM_BITS] = sum;
        end
    endgenerate
endmodule
