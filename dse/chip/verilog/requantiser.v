// Makes of sums what the next layer reads, and writes it: the end of the vector unit.
//
//     limit((offset + (value * factor >> shift)) >> 7)
//
// per lane, as dse.training.integer does it. Where two tensors meet, a result has two values, one
// after the other, each with a record of its own; the products are added up. LANES results, in the
// order in which they come, are a word of the activation memory. Three stages: values and record,
// total, word. Scores are lane 0's totals as they are, 32 bits.
//
// A row of the parameter store has LANES records. All lanes of a step are of one channel, and
// `channel` says which record of which row is theirs; or each lane has its own (`held`).
module requantiser #(
    parameter LANES = 8,
    parameter LANE_BITS = 3,
    parameter STEP_LOOPS = 5,
    parameter STEP_COUNT_BITS = 12,
    parameter WORD_LOOPS = 5,
    parameter WORD_COUNT_BITS = 12,
    parameter SUM_BITS = 24,
    parameter ROW_BITS = 16,
    parameter TENSOR_BITS = 16,
    parameter RECORD_BITS = 48,
    parameter CHANNEL_BITS = 12
) (
    input                                   clk,
    input                                   start,
    input                                   held,
    input                                   scores,
    input                                   limit_zero,    // ReLU
    input  [3:0]                            results,       // a step
    input  [3:0]                            word_lanes,    // results a word
    input                                   fast_frames,
    input  [2:0]                            fast,
    input  [TENSOR_BITS-1:0]                channels,      // of the tensor: lanes beyond are not
    input  [TENSOR_BITS-1:0]                frames,        // written
    input  [STEP_LOOPS*STEP_COUNT_BITS-1:0] step_last,
    input  [STEP_LOOPS*CHANNEL_BITS-1:0]    step_deltas,
    input  [WORD_LOOPS*WORD_COUNT_BITS-1:0] word_last,
    input  [ROW_BITS+2*TENSOR_BITS-1:0]     word_first,
    input  [WORD_LOOPS*(ROW_BITS+2*TENSOR_BITS)-1:0] word_deltas,
    input                                   valid,
    input                                   begins,        // the first value of a result
    input                                   ends,          // the last one
    input  [LANES*SUM_BITS-1:0]             values,
    output                                  accepted,
    input  [CHANNEL_BITS-1:0]               records,       // that are there
    output                                  read_record,
    output [CHANNEL_BITS-1:0]               channel,
    input  [LANES*RECORD_BITS-1:0]          row,           // read last
    output                                  wanted,
    output [ROW_BITS+2*TENSOR_BITS-1:0]     address,
    output [LANES-1:0]                      lanes,
    output [LANES*8-1:0]                    data,
    output                                  score_valid,
    output [31:0]                           score,
    output                                  active
);
    wire                      steps_left;
    wire [STEP_LOOPS-1:0]     unused_0, unused_1, unused_2;
    wire [WORD_LOOPS-1:0]     unused_3, unused_4, unused_5;

    reg                       values_valid, values_begin, values_end, total_valid, out_valid;
    reg  [LANE_BITS-1:0]      chosen;
    reg  [LANES*SUM_BITS-1:0] now, used;
    reg  [3:0]                filled;
    reg  [LANES*8-1:0]        building, out;

    wire completes = filled + results == word_lanes;
    wire there     = held ? records[CHANNEL_BITS-1:LANE_BITS] > channel[CHANNEL_BITS-1:LANE_BITS]
        : records > channel;

    assign accepted    = valid && steps_left && there;
    assign read_record = accepted;

    loop_nest #(
        .LOOPS(STEP_LOOPS), .COUNT_BITS(STEP_COUNT_BITS), .BITS(CHANNEL_BITS)
    ) steps (
        .clk(clk), .start(start), .used(1'b1), .step(accepted), .last(step_last),
        .first({CHANNEL_BITS{1'b0}}),
        .deltas(step_deltas), .active(steps_left), .address(channel), .at_first(unused_0),
        .at_last(unused_1), .turns(unused_2)
    );
    loop_nest #(
        .LOOPS(WORD_LOOPS), .COUNT_BITS(WORD_COUNT_BITS), .BITS(ROW_BITS), .SECOND(TENSOR_BITS),
        .THIRD(TENSOR_BITS)
    ) words (
        .clk(clk), .start(start), .used(1'b1), .step(scores ? total_valid : out_valid), .last(word_last),
        .first(word_first), .deltas(word_deltas), .active(active), .address(address),
        .at_first(unused_3), .at_last(unused_4), .turns(unused_5)
    );
    wire [TENSOR_BITS-1:0] word_channel = address[ROW_BITS +: TENSOR_BITS];
    wire [TENSOR_BITS-1:0] word_frame   = address[ROW_BITS+TENSOR_BITS +: TENSOR_BITS];

    // Of the tensor behind the word's first lane, as many as it has at most.
    wire signed [TENSOR_BITS-1:0] more_channels = channels - word_channel;
    wire signed [TENSOR_BITS-1:0] more_frames   = frames - word_frame;
    wire [LANE_BITS:0] channels_left = more_channels <= 0 ? 0
        : more_channels > LANES ? LANES : more_channels[LANE_BITS:0];
    wire [LANE_BITS:0] frames_left = more_frames <= 0 ? 0
        : more_frames > LANES ? LANES : more_frames[LANE_BITS:0];

    wire [RECORD_BITS-1:0] common = row[chosen*RECORD_BITS +: RECORD_BITS];
    wire [LANES*8-1:0]     limited;
    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : arithmetic
            localparam [LANE_BITS:0] NUMBER = lane;
            localparam TOTAL_BITS = lane == 0 ? 32 : 24;
            wire [RECORD_BITS-1:0] own = held ? row[lane*RECORD_BITS +: RECORD_BITS] : common;
            wire signed [SUM_BITS-1:0] value   = now[lane*SUM_BITS +: SUM_BITS];
            wire signed [15:0]         factor  = own[15:0];
            wire [4:0]                 shift   = own[20:16];
            wire signed [SUM_BITS+15:0] product;
            signed_product #(.A(SUM_BITS), .B(16)) multiplies (.a(value), .b(factor), .product(product));
            // product >>> shift, a bit of the shift a stage; each keeps what the later ones may need.
            wire signed [TOTAL_BITS+30:0] extended_product = product;
            wire [TOTAL_BITS+14:0] by_16 = shift[4] ? extended_product[16 +: TOTAL_BITS+15]
                : extended_product[0 +: TOTAL_BITS+15];
            wire [TOTAL_BITS+6:0]  by_8 = shift[3] ? by_16[8 +: TOTAL_BITS+7] : by_16[0 +: TOTAL_BITS+7];
            wire [TOTAL_BITS+2:0]  by_4 = shift[2] ? by_8[4 +: TOTAL_BITS+3] : by_8[0 +: TOTAL_BITS+3];
            wire [TOTAL_BITS:0]    by_2 = shift[1] ? by_4[2 +: TOTAL_BITS+1] : by_4[0 +: TOTAL_BITS+1];
            wire [TOTAL_BITS-1:0]  scaled = shift[0] ? by_2[1 +: TOTAL_BITS] : by_2[0 +: TOTAL_BITS];
            reg  signed [TOTAL_BITS-1:0] total;
            wire signed [RECORD_BITS-22:0] offset = own[RECORD_BITS-1:21];
            wire signed [31:0] extended = offset;
            wire signed [TOTAL_BITS-1:0] base = values_begin ? extended[TOTAL_BITS-1:0] : total;
            always @(posedge clk)
                if (values_valid)
                    total <= base + scaled;
            wire signed [TOTAL_BITS-8:0] result = total[TOTAL_BITS-1:7];
            wire positive = !total[TOTAL_BITS-1];
            // Beyond int8: bits above the seventh are not all the sign. -128 becomes -127.
            wire beyond = result[TOTAL_BITS-8:7] != {TOTAL_BITS-14{!positive}};
            wire lowest = !positive && (beyond || result[6:0] == 7'd0);
            assign limited[lane*8 +: 8] = limit_zero && !positive ? 8'd0
                : lowest ? 8'h81 : beyond ? 8'd127 : result[7:0];
            // Where the lane's result belongs.
            wire [LANE_BITS:0] low  = NUMBER & ~({(LANE_BITS+1){1'b1}} << fast);
            wire [LANE_BITS:0] high = NUMBER >> fast;
            assign lanes[lane] = NUMBER < word_lanes && (fast_frames ? high : low) < channels_left
                && (fast_frames ? low : high) < frames_left;
        end
    endgenerate

    assign score_valid = scores && total_valid && word_channel < channels;
    assign score       = arithmetic[0].total;
    assign wanted      = out_valid && lanes != 0;
    assign data        = out;

    // Lanes without a result are still: their multipliers would follow what waits for its turn.
    integer each;
    always @*
        for (each = 0; each < LANES; each = each + 1)
            used[each*SUM_BITS +: SUM_BITS] = values[each*SUM_BITS +: SUM_BITS]
                & {SUM_BITS{each < results}};

    integer position, from;
    reg [LANES*8-1:0] filled_word;
    always @* begin
        filled_word = building;
        for (position = 0; position < LANES; position = position + 1)
            for (from = 0; from <= position; from = from + 1)
                if (position - from == filled && from < results)
                    filled_word[position*8 +: 8] = limited[from*8 +: 8];
    end

    always @(posedge clk)
        if (start) begin
            values_valid <= 1'b0;
            total_valid  <= 1'b0;
            out_valid    <= 1'b0;
            filled       <= 4'd0;
        end else begin
            values_valid <= accepted;
            values_begin <= begins;
            values_end   <= ends;
            chosen       <= channel[LANE_BITS-1:0];
            if (accepted)
                now <= used;
            total_valid <= values_valid && values_end;
            if (total_valid && !scores) begin
                building <= filled_word;
                filled   <= completes ? 4'd0 : filled + results;
            end
            out_valid <= total_valid && completes && !scores;
            if (total_valid && completes)
                out <= filled_word;
        end
endmodule
