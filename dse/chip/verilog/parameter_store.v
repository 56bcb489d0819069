// Records of a layer's channels: read from the weight memory once a layer, in the cycles that the
// weights leave, and kept in rows of LANES, so that all lanes get theirs in one cycle.
//
// A record has RECORD_BITS bits, three units of 16: {offset (27), shift (5), factor (16)}. Records
// follow each other without gaps, whatever the memory's word (one, two or four units), so units that
// came and make no whole record yet wait here. Lanes of a step that are of different channels have a
// row to themselves (`per_row` records); otherwise rows are full. Where the layer's matrix is
// generated, the first SEED_RECORDS records are the generator's start words.
module parameter_store #(
    parameter WORD_BITS = 64,
    parameter LANES = 8,
    parameter LANE_BITS = 3,
    parameter ROWS = 32,
    parameter GENERATES = 1,          // 0: no register of start words, as nobody would read it
    parameter SEED_RECORDS = 1,
    parameter ADDRESS_BITS = 20,
    parameter RECORD_BITS = 48,
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
    output reg [SEED_RECORDS*RECORD_BITS-1:0] seed,
    output [BITS-1:0]              there,       // records that may be read; all, when no more come
    input                          read,
    input  [BITS-1:0]              channel,
    output [LANES*RECORD_BITS-1:0] row
);
    localparam UNIT_BITS = 16;
    localparam UNITS     = WORD_BITS / UNIT_BITS;     // of a word
    localparam NEEDED    = RECORD_BITS / UNIT_BITS;   // of a record
    localparam ROW_BITS  = ROWS > 1 ? $clog2(ROWS) : 1;
    localparam MOST      = (1 << BITS) + SEED_RECORDS;
    localparam LEFT_BITS = $clog2(MOST), ASKED_BITS = $clog2(NEEDED * MOST);

    reg  [ADDRESS_BITS-1:0]   word;
    reg  [ASKED_BITS-1:0]     units_left;  // to ask for
    reg  [LEFT_BITS-1:0]      left;        // records and start words that are not there yet
    reg                       coming;
    // Of a record that is not whole yet at most two units; of a whole one that waits, three.
    reg  [RECORD_BITS-1:0]    kept;
    reg  [1:0]                held;        // units of it
    reg  [3:0]                seeds_left;
    reg  [BITS-LANE_BITS-1:0] stored_rows;
    reg  [LANE_BITS-1:0]      stored_lane;

    wire [2:0] units = {1'b0, held} + (coming ? UNITS[2:0] : 3'd0);
    wire       whole = units >= NEEDED && left != 0;
    wire [2:0] rest  = whole ? units - NEEDED[2:0] : units;
    reg  [RECORD_BITS+WORD_BITS-1:0] now;
    always @* begin
        now = {{WORD_BITS{1'b0}}, kept};
        if (coming)
            case (held)
                2'd0: now[0 +: WORD_BITS] = q;
                2'd1: now[UNIT_BITS +: WORD_BITS] = q;
                default: now[2*UNIT_BITS +: WORD_BITS] = q;
            endcase
    end
    wire store = whole && (!GENERATES || seeds_left == 0);

    // A word finds room where at most two units are left; three are a record that goes first.
    assign wanted  = units_left != 0 && rest < NEEDED;
    // A pass at the edge has results of channels that are not there, which nobody writes.
    assign there   = left != 0 ? {stored_rows, stored_lane} : {BITS{1'b1}};
    assign address = word;

    // Written from the weight memory and read by the vector unit in one cycle: two ports.
    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : lanes
            two_port_macro #(.WORDS(ROWS), .BITS(RECORD_BITS), .ADDRESS_BITS(ROW_BITS)) records (
                .clk(clk), .write(store && stored_lane == lane),
                .write_address(stored_rows[ROW_BITS-1:0]), .data(now[RECORD_BITS-1:0]),
                .read(read), .read_address(channel[LANE_BITS +: ROW_BITS]),
                .q(row[lane*RECORD_BITS +: RECORD_BITS])
            );
        end
    endgenerate

    wire [LEFT_BITS-1:0] whole_count = count + (seeded ? SEED_RECORDS : 0);
    always @(posedge clk)
        if (start) begin
            word        <= base;
            units_left  <= NEEDED * whole_count;
            left        <= whole_count;
            coming      <= 1'b0;
            held        <= 2'd0;
            stored_rows <= 0;
            stored_lane <= 0;
            seed_there  <= 1'b0;
            seeds_left  <= seeded ? SEED_RECORDS : 0;
        end else begin
            if (granted) begin
                word       <= word + 1'b1;
                units_left <= units_left > UNITS ? units_left - UNITS : 0;
            end
            coming <= granted;
            if (coming || whole) begin
                kept <= whole ? now[RECORD_BITS +: WORD_BITS] : now[RECORD_BITS-1:0];
                held <= rest[1:0];
            end
            if (whole)
                left <= left - 1'b1;
            if (GENERATES && whole && seeds_left != 0) begin
                seed       <= (seed << RECORD_BITS) | now[RECORD_BITS-1:0];
                seeds_left <= seeds_left - 1'b1;
                seed_there <= seeds_left == 1;
            end
            if (store) begin
                stored_lane <= stored_lane + 4'd1 == per_row ? 0 : stored_lane + 1'b1;
                stored_rows <= stored_rows + (stored_lane + 4'd1 == per_row);
            end
        end
endmodule
