// Records of a layer's channels: read from the weight memory once a layer, in the cycles that the
// weights leave, and kept in rows of LANES, so that all lanes get theirs in one cycle.
//
// A record has 64 bits: {offset (32), nothing (11), shift (5), factor (16)}. Lanes of a step that are
// of different channels have a row to themselves (`per_row` records); otherwise rows are full. Where
// the layer's matrix is generated, the first SEED_RECORDS records are the generator's start words.
module parameter_store #(
    parameter WORD_BITS = 64,
    parameter LANES = 8,
    parameter LANE_BITS = 3,
    parameter ROWS = 32,
    parameter SEED_RECORDS = 1,
    parameter ADDRESS_BITS = 20,
    parameter RECORD_BITS = 53,
    parameter BITS = 12
) (
    input                          clk,
    input                          start,
    input  [ADDRESS_BITS-1:0]      base,        // word of the first record
    input  [BITS-1:0]              count,       // records, start words not counted
    input  [3:0]                   per_row,
    input                          seeded,
    input                          granted,
    input  [WORD_BITS-1:0]         q,
    output                         wanted,
    output [ADDRESS_BITS-1:0]      address,
    output reg                     seed_there,
    output reg [SEED_RECORDS*64-1:0] seed,
    output [BITS-1:0]              there,       // records that may be read; all, when no more come
    input                          read,
    input  [BITS-1:0]              channel,
    output [LANES*RECORD_BITS-1:0] row
);
    localparam PARTS = 64 / WORD_BITS;
    localparam PART_BITS = PARTS > 1 ? $clog2(PARTS) : 1;
    localparam ROW_BITS = ROWS > 1 ? $clog2(ROWS) : 1;
    localparam LEFT_BITS = BITS + 2;

    reg  [ADDRESS_BITS-1:0]   word;
    reg  [LEFT_BITS-1:0]      left;        // words to ask for
    reg  [PART_BITS-1:0]      part;
    reg                       coming;
    reg  [63:0]               shifted;
    reg  [3:0]                seeds_left;
    reg  [BITS-LANE_BITS-1:0] stored_rows;
    reg  [LANE_BITS-1:0]      stored_lane;
    wire [63+WORD_BITS:0]     joined = {q, shifted};
    wire [63:0]               now    = joined[WORD_BITS +: 64];
    wire                      whole  = coming && part == PARTS - 1;
    wire                      store  = whole && seeds_left == 0;

    assign wanted  = left != 0;
    // A pass at the edge has results of channels that are not there, which nobody writes.
    assign there   = wanted || coming ? {stored_rows, stored_lane} : {BITS{1'b1}};
    assign address = word;

    // Written from the weight memory and read by the vector unit in one cycle: two ports.
    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : lanes
            two_port_macro #(.WORDS(ROWS), .BITS(RECORD_BITS), .ADDRESS_BITS(ROW_BITS)) records (
                .clk(clk), .write(store && stored_lane == lane),
                .write_address(stored_rows[ROW_BITS-1:0]), .data({now[63:32], now[20:0]}),
                .read(read), .read_address(channel[LANE_BITS +: ROW_BITS]),
                .q(row[lane*RECORD_BITS +: RECORD_BITS])
            );
        end
    endgenerate

    always @(posedge clk)
        if (start) begin
            word        <= base;
            left        <= ({{(LEFT_BITS-BITS){1'b0}}, count} + (seeded ? SEED_RECORDS : 0)) * PARTS;
            part        <= 0;
            coming      <= 1'b0;
            stored_rows <= 0;
            stored_lane <= 0;
            seed_there  <= 1'b0;
            seeds_left  <= seeded ? SEED_RECORDS : 0;
        end else begin
            if (granted) begin
                word <= word + 1'b1;
                left <= left - 1'b1;
            end
            coming <= granted;
            if (coming) begin
                shifted <= now;
                part    <= whole ? 0 : part + 1'b1;
            end
            if (whole && seeds_left != 0) begin
                seed       <= (seed << 64) | now;
                seeds_left <= seeds_left - 1'b1;
                seed_there <= seeds_left == 1;
            end
            if (store) begin
                stored_lane <= stored_lane + 4'd1 == per_row ? 0 : stored_lane + 1'b1;
                stored_rows <= stored_rows + (stored_lane + 4'd1 == per_row);
            end
        end
endmodule
