// Turns sums into what the next layer reads, and writes it: the end of the vector unit.
//
//     limit((a * multiplier_a + b * multiplier_b + offset + 2^(shift-1)) >> shift)
//
// per lane, as dse.training.integer does it; or the sums as they are (`raw`), in three planes. LANES
// results, in the order in which they come, are a word of the activation memory. Four stages: values
// and record, products, total, word.
//
// All lanes of a step are of one channel, or lane l of channel + l (`held`): then their records are
// fetched one after the other, and kept while the channel stays.
module requantiser #(
    parameter LANES = 8,
    parameter LOOPS = 5,
    parameter COUNT_BITS = 12,
    parameter BITS = 16,
    parameter CHANNEL_BITS = 12
) (
    input                             clk,
    input                             start,
    input                             raw,
    input                             held,
    input                             scores,
    input                             limit_zero,    // ReLU
    input  [5:0]                      shift,
    input  [3:0]                      results,       // a step
    input  [3:0]                      word_lanes,    // results a word
    input  [1:0]                      planes,
    input  [BITS-1:0]                 plane_rows,
    input                             fast_frames,
    input  [2:0]                      fast,
    input  [BITS-1:0]                 channels,      // of the tensor: lanes beyond are not written
    input  [BITS-1:0]                 frames,
    input  [LOOPS*COUNT_BITS-1:0]     step_last,
    input  [CHANNEL_BITS-1:0]         step_first,
    input  [LOOPS*CHANNEL_BITS-1:0]   step_deltas,
    input  [LOOPS*COUNT_BITS-1:0]     word_last,
    input  [3*BITS-1:0]               word_first,
    input  [LOOPS*3*BITS-1:0]         word_deltas,
    input                             valid,
    input  [LANES*32-1:0]             a,
    input  [LANES*32-1:0]             b,
    output                            accepted,
    input  [CHANNEL_BITS-1:0]         records,       // that are there
    output                            read_record,
    output [CHANNEL_BITS-1:0]         record_channel,
    input  [127:0]                    record,
    input                             granted,
    output                            wanted,
    output [3*BITS-1:0]               address,
    output [LANES-1:0]                lanes,
    output [LANES*8-1:0]              data,
    output                            score_valid,
    output [31:0]                     score,
    output                            active
);
    wire [CHANNEL_BITS-1:0] channel;
    wire                    steps_left;
    wire [3*BITS-1:0]       word_address;
    wire [LOOPS-1:0]        unused_0, unused_1, unused_2, unused_3, unused_4, unused_5;

    // Records that are held, a lane each.
    reg                     known, fetching, arrives;
    reg  [CHANNEL_BITS-1:0] known_channel;
    reg  [3:0]              asked, arriving;
    reg  [LANES*128-1:0]    kept;
    wire fits    = known && known_channel == channel;
    wire missing = held && !raw && valid && steps_left && !fits && !values_valid && !total_valid;
    wire fetch   = missing && asked < results && channel + asked < records;

    reg                     values_valid, total_valid, out_valid;
    reg  [LANES*32-1:0]     values_a, values_b;
    reg  [LANES*64-1:0]     totals;
    reg  [3:0]              filled;
    reg  [LANES*24-1:0]     building, out;
    reg  [1:0]              plane;
    reg  [BITS-1:0]         down;

    wire completes = filled + results == word_lanes;
    wire written   = (wanted && granted) || (out_valid && lanes == 0);
    wire out_ends  = out_valid && written && plane + 2'd1 == planes;
    wire advance   = !(total_valid && completes && !scores && out_valid && !out_ends);

    assign accepted = advance && valid && steps_left
        && (raw || (held ? fits : channel < records));
    assign read_record    = fetch || (accepted && !held);
    assign record_channel = held ? channel + asked : channel;

    loop_nest #(
        .LOOPS(LOOPS), .COUNT_BITS(COUNT_BITS), .ADDRESSES(1), .BITS(CHANNEL_BITS)
    ) steps (
        .clk(clk), .start(start), .step(accepted), .last(step_last), .first(step_first),
        .deltas(step_deltas), .active(steps_left), .address(channel), .at_first(unused_0),
        .at_last(unused_1), .turns(unused_2)
    );
    loop_nest #(.LOOPS(LOOPS), .COUNT_BITS(COUNT_BITS), .ADDRESSES(3), .BITS(BITS)) words (
        .clk(clk), .start(start), .step(scores ? score_valid : out_ends), .last(word_last),
        .first(word_first), .deltas(word_deltas), .active(active), .address(word_address),
        .at_first(unused_3), .at_last(unused_4), .turns(unused_5)
    );

    wire [LANES*32-1:0] limited;
    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : arithmetic
            localparam [BITS-1:0] NUMBER = lane;
            wire signed [31:0] value_a = values_a[lane*32 +: 32];
            wire signed [31:0] value_b = values_b[lane*32 +: 32];
            wire [127:0] own = held ? kept[lane*128 +: 128] : record;
            wire signed [31:0] multiplier_a = own[31:0];
            wire signed [31:0] multiplier_b = own[63:32];
            wire signed [63:0] offset = own[127:64];
            wire signed [63:0] product_a = value_a * multiplier_a;
            wire signed [63:0] product_b = value_b * multiplier_b;
            always @(posedge clk)
                if (advance)
                    totals[lane*64 +: 64] <= raw ? {{32{value_a[31]}}, value_a}
                        : product_a + product_b + offset + (64'd1 << (shift - 6'd1));
            wire signed [63:0] total   = totals[lane*64 +: 64];
            wire signed [63:0] shifted = total >>> shift;
            wire signed [63:0] most  = scores ? 64'sd2147483647 : 64'sd127;
            wire signed [63:0] least = limit_zero ? 64'sd0 : -most;
            wire signed [63:0] cut   = shifted > most ? most : shifted < least ? least : shifted;
            assign limited[lane*32 +: 32] = raw ? total[31:0] : cut[31:0];
            // Where the lane's result belongs.
            wire [BITS-1:0] low  = NUMBER & ~({BITS{1'b1}} << fast);
            wire [BITS-1:0] high = NUMBER >> fast;
            wire [BITS-1:0] own_channel = word_address[BITS +: BITS] + (fast_frames ? high : low);
            wire [BITS-1:0] own_frame = word_address[2*BITS +: BITS] + (fast_frames ? low : high);
            assign lanes[lane] = NUMBER < word_lanes && own_channel < channels && own_frame < frames;
            assign data[lane*8 +: 8] = plane == 0 ? out[lane*24 +: 8]
                : plane == 1 ? out[lane*24+8 +: 8] : out[lane*24+16 +: 8];
        end
    endgenerate

    assign score_valid = scores && total_valid;
    assign score       = limited[31:0];
    assign wanted      = out_valid && lanes != 0;
    assign address     = {word_address[3*BITS-1:BITS], word_address[BITS-1:0] + down};

    integer position, from;
    reg [LANES*24-1:0] filled_word;
    always @* begin
        filled_word = building;
        for (position = 0; position < LANES; position = position + 1)
            for (from = 0; from <= position; from = from + 1)
                if (position - from == filled && from < results)
                    filled_word[position*24 +: 24] = limited[from*32 +: 24];
    end

    always @(posedge clk)
        if (start) begin
            known        <= 1'b0;
            arrives      <= 1'b0;
            asked        <= 4'd0;
            values_valid <= 1'b0;
            total_valid  <= 1'b0;
            out_valid    <= 1'b0;
            filled       <= 4'd0;
            plane        <= 2'd0;
            down         <= {BITS{1'b0}};
        end else begin
            arrives  <= fetch;
            arriving <= asked;
            if (fetch)
                asked <= asked + 1'b1;
            if (arrives) begin
                for (position = 0; position < LANES; position = position + 1)
                    if (arriving == position)
                        kept[position*128 +: 128] <= record;
                if (arriving + 4'd1 == results) begin
                    known         <= 1'b1;
                    known_channel <= channel;
                    asked         <= 4'd0;
                end
            end
            if (advance) begin
                values_valid <= accepted;
                values_a     <= a;
                values_b     <= b;
                total_valid  <= values_valid;
                if (total_valid && !scores) begin
                    building <= filled_word;
                    filled   <= completes ? 4'd0 : filled + results;
                end
            end
            if (advance && total_valid && completes && !scores) begin
                out       <= filled_word;
                out_valid <= 1'b1;
            end else if (out_ends)
                out_valid <= 1'b0;
            if (written) begin
                plane <= out_ends ? 2'd0 : plane + 2'd1;
                down  <= out_ends ? {BITS{1'b0}} : down + plane_rows;
            end
        end
endmodule
