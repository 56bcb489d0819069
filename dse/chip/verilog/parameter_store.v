// Multipliers and offsets of a layer's channels: read from the weight memory once a layer, in the
// cycles that the weights leave.
//
// A record has 128 bits: {offset (64), multiplier of the second tensor (32), of the first (32)}. Where
// the layer's matrix is generated, the first SEEDS records are the generator's start words.
module parameter_store #(
    parameter WORD_BITS = 64,
    parameter RECORDS = 256,
    parameter SEED_RECORDS = 1,
    parameter ADDRESS_BITS = 20,
    parameter BITS = 12
) (
    input                          clk,
    input                          start,
    input  [ADDRESS_BITS-1:0]      base,        // word of the first record
    input  [BITS-1:0]              count,       // records, start words not counted
    input                          seeded,
    input                          granted,
    input  [WORD_BITS-1:0]         q,
    output                         wanted,
    output [ADDRESS_BITS-1:0]      address,
    output reg                     seed_there,
    output reg [SEED_RECORDS*128-1:0] seed,
    output [BITS-1:0]              there,       // records that may be read; all, when no more come
    input                          read,
    input  [BITS-1:0]              channel,
    output [127:0]                 record
);
    localparam PARTS = 128 / WORD_BITS;
    localparam PART_BITS = PARTS > 1 ? $clog2(PARTS) : 1;
    localparam RECORD_BITS = RECORDS > 1 ? $clog2(RECORDS) : 1;

    reg  [ADDRESS_BITS-1:0] asked;       // words asked for
    reg  [ADDRESS_BITS-1:0] words;       // in all
    reg  [PART_BITS-1:0]    part;
    reg                     coming;
    reg  [127:0]            shifted;
    reg  [7:0]              seeds_left;
    reg  [BITS-1:0]         stored;
    wire [127:0]            now = {q, shifted[127:WORD_BITS]};
    wire                    whole = coming && part == PARTS - 1;
    wire                    store = whole && seeds_left == 0;

    assign wanted  = asked != words;
    // A pass at the edge has results of channels that are not there, which nobody writes.
    assign there   = wanted || coming ? stored : {BITS{1'b1}};
    assign address = base + asked;

    // Written from the weight memory and read by the vector unit in one cycle: two ports.
    two_port_macro #(.WORDS(RECORDS), .BITS(128), .ADDRESS_BITS(RECORD_BITS)) records (
        .clk(clk), .write(store), .write_address(stored[RECORD_BITS-1:0]), .data(now),
        .read(read), .read_address(channel[RECORD_BITS-1:0]), .q(record)
    );

    always @(posedge clk)
        if (start) begin
            asked      <= 0;
            words      <= ({{(ADDRESS_BITS-BITS){1'b0}}, count} + (seeded ? SEED_RECORDS : 0)) * PARTS;
            part       <= 0;
            coming     <= 1'b0;
            stored     <= 0;
            seed_there <= 1'b0;
            seeds_left <= seeded ? SEED_RECORDS : 0;
        end else begin
            if (wanted && granted)
                asked <= asked + 1'b1;
            coming <= wanted && granted;
            if (coming) begin
                shifted <= now;
                part    <= whole ? 0 : part + 1'b1;
            end
            if (whole && seeds_left != 0) begin
                seed       <= (seed << 128) | now;
                seeds_left <= seeds_left - 1'b1;
                seed_there <= seeds_left == 1;
            end
            if (store)
                stored <= stored + 1'b1;
        end
endmodule
