// The activation memory: BANKS macros of a byte each, on the diagonal.
//
// A word of the port is any BANKS values of a tensor that lie in different banks. Frame t of channel
// c lies in row  base + c * pitch + t / BANKS  of bank
//
//     (t + reversed(c)) mod BANKS,      reversed: the low log2(BANKS) bits of c, the other way round
//
// so that BANKS frames of a channel (from any frame on), BANKS channels of a frame, and the
// rectangles between (2 channels from an even one, 4 from a multiple of 4, ...) each take one cycle.
// With 4 banks, the bank of each value:
//
//     frame      0 1 2 3 4
//     channel 0  0 1 2 3 0
//     channel 1  2 3 0 1 2
//     channel 2  1 2 3 0 1
//     channel 3  3 0 1 2 3
//
// Lane l of a word is frame t + (l % 2^FAST) of channel c + (l >> FAST), or the other way round where
// channels are the fast ones. `conflict` says that two lanes asked for one bank, which the exporter
// rules out.
module activation_memory #(
    parameter BANKS = 8,
    parameter ROWS = 8192,
    parameter BITS = 16,           // of channels and frames; signed
    parameter BANK_BITS = $clog2(BANKS),
    parameter ROW_BITS = $clog2(ROWS)
) (
    input                clk,
    input                enable,
    input                write,
    input [ROW_BITS-1:0] row,      // of the first frame of channel c
    input [BITS-1:0]     channel,
    input [BITS-1:0]     frame,    // may be negative, where lanes are masked
    input [BITS-1:0]     pitch,    // rows of a channel
    input                fast_frames,
    input [2:0]          fast,     // 2^fast lanes along the fast direction
    input [BANKS-1:0]    lanes,    // that take part
    input [BANKS*8-1:0]  data,
    output [BANKS*8-1:0] q,        // a cycle later; lanes that took no part are undefined
    output               conflict
);
    wire [BANKS*BANK_BITS-1:0] bank_of;  // of each lane
    wire [BANKS*ROW_BITS-1:0]  row_of;
    reg  [BANKS*BANK_BITS-1:0] held;

    // What lanes have in common: the row of the first lane's frame and the one below it, which a lane
    // beyond the last bank is in, and how far down channels behind the first lie.
    wire signed [ROW_BITS-1:0] first_rows = $signed(frame) >>> BANK_BITS;
    wire [ROW_BITS-1:0]    here       = row + first_rows;
    wire [ROW_BITS-1:0]    below      = here + 1'b1;
    wire [BANKS*ROW_BITS-1:0] multiples;

    genvar lane, bank;
    generate
        for (lane = 0; lane < BANKS; lane = lane + 1) begin : channels_down
            assign multiples[lane*ROW_BITS +: ROW_BITS] = lane * pitch;
        end
        for (lane = 0; lane < BANKS; lane = lane + 1) begin : spread
            localparam [2:0] NUMBER = lane;
            wire [2:0] low  = NUMBER & ~(3'b111 << fast);
            wire [2:0] high = NUMBER >> fast;
            wire [2:0] more_channels = fast_frames ? high : low;
            wire [2:0] more_frames   = fast_frames ? low : high;
            wire [BANK_BITS:0]   t = frame[BANK_BITS-1:0] + more_frames[BANK_BITS-1:0];
            wire [BANK_BITS-1:0] c = channel + more_channels;
            reg  [ROW_BITS-1:0]  channel_rows;
            wire [ROW_BITS-1:0]  down = (t[BANK_BITS] ? below : here) + channel_rows;
            reg  [BANK_BITS-1:0] reversed;
            integer bit_number, along;
            // A lane is in one of few channels: which ones is known for each `fast`.
            always @* begin
                channel_rows = {ROW_BITS{1'b0}};
                for (along = 0; along <= BANK_BITS; along = along + 1)
                    if (fast == along)
                        channel_rows = fast_frames
                            ? multiples[(lane >> along)*ROW_BITS +: ROW_BITS]
                            : multiples[(lane & ((1 << along) - 1))*ROW_BITS +: ROW_BITS];
            end
            always @*
                for (bit_number = 0; bit_number < BANK_BITS; bit_number = bit_number + 1)
                    reversed[bit_number] = c[BANK_BITS-1-bit_number];
            assign bank_of[lane*BANK_BITS +: BANK_BITS] = t[BANK_BITS-1:0] + reversed;
            assign row_of[lane*ROW_BITS +: ROW_BITS] = down;
        end
        for (bank = 0; bank < BANKS; bank = bank + 1) begin : banks
            localparam [BANK_BITS-1:0] NUMBER = bank;
            reg                hit, twice;
            reg [ROW_BITS-1:0] place;
            reg [7:0]          byte_in;
            wire [7:0]         byte_out;
            integer l;
            always @* begin
                hit     = 1'b0;
                twice   = 1'b0;
                place   = {ROW_BITS{1'b0}};
                byte_in = 8'd0;
                for (l = 0; l < BANKS; l = l + 1)
                    if (lanes[l] && bank_of[l*BANK_BITS +: BANK_BITS] == NUMBER) begin
                        twice   = twice | hit;
                        hit     = 1'b1;
                        place   = place | row_of[l*ROW_BITS +: ROW_BITS];
                        byte_in = byte_in | data[l*8 +: 8];
                    end
            end
            memory_macro #(.WORDS(ROWS), .BITS(8)) macro (
                .clk(clk), .enable(enable && hit), .write(write), .address(place),
                .data(byte_in), .q(byte_out)
            );
        end
    endgenerate

    wire [BANKS-1:0]   clashes;
    wire [BANKS*8-1:0] bytes_out;
    generate
        for (bank = 0; bank < BANKS; bank = bank + 1) begin : gather
            assign clashes[bank] = banks[bank].twice;
            assign bytes_out[bank*8 +: 8] = banks[bank].byte_out;
            assign q[bank*8 +: 8] = bytes_out[{29'd0, held[bank*BANK_BITS +: BANK_BITS]}*8 +: 8];
        end
    endgenerate
    assign conflict = enable && |clashes;

    always @(posedge clk)
        if (enable && !write)
            held <= bank_of;
endmodule
