// The whole machine: arrays, vector unit, memories, and a controller that runs a layer a descriptor.
//
//     activation memory -> input buffer -> operand -> MAC array  -> collector -> vector unit -> back
//     weight memory or generator -------> operand -> or trees
//
// Every arrow is an engine with a loop nest of its own, which runs ahead of the next one as far as
// there is room: transfers overlap with computing as the cost model says, and only the ends of a
// layer show. Sizes are parameters; what a layer does is data (`fields.vh` names a descriptor's bits).
module chip #(
`include "parameters.vh"
) (
    input                       clk,
    input                       reset,
    input                       go,           // begin an inference; features are in the memory
    output                      done,
    output                      running,
    output [LAYER_BITS-1:0]     layer,
    // The activation memory from outside, while nothing runs: a word of LANES frames of a channel.
    input                       host_write,
    input  [15:0]               host_row,
    input  [15:0]               host_channel,
    input  [15:0]               host_frame,
    input  [15:0]               host_pitch,
    input  [LANES-1:0]          host_lanes,
    input  [LANES*8-1:0]        host_data,
    output                      score_valid,
    output [31:0]               score,
    output reg [15:0]           best,         // the class with the highest score so far
    output                      conflict      // two lanes asked for one bank: never
);
    localparam PLACE_BITS = ROW_BITS + 2 * TENSOR_BITS;          // row, channel, frame
    localparam TRIT_OPERAND_BITS = HAS_TREES ? 2 * TREE_ROWS * TREE_COLUMNS : WEIGHT_OPERAND_BITS;
    localparam FETCH_ALL = FETCH_BITS + SECOND_BITS + TENSOR_BITS;
    localparam MAC_DEPTH_BITS = MAC_DEPTH > 1 ? $clog2(MAC_DEPTH) : 1;
    localparam TREE_DEPTH_BITS = TREE_DEPTH > 1 ? $clog2(TREE_DEPTH) : 1;

    wire [DESCRIPTOR_BITS-1:0] descriptor;
    wire                       fetch_descriptor, start;
`include "fields.vh"

    // --- control

    wire results_active;
    controller #(.LAYER_BITS(LAYER_BITS)) control (
        .clk(clk), .reset(reset), .go(go), .last_layer(LAST_LAYER[LAYER_BITS-1:0]),
        .active(results_active), .running(running), .done(done), .fetch(fetch_descriptor),
        .start(start), .layer(layer)
    );
    memory_macro #(
        .WORDS(LAST_LAYER + 1), .BITS(DESCRIPTOR_BITS), .IMAGE("descriptors.hex"),
        .ADDRESS_BITS(LAYER_BITS)
    ) descriptors (
        .clk(clk), .enable(fetch_descriptor), .write(1'b0), .address(layer),
        .data({DESCRIPTOR_BITS{1'b0}}), .q(descriptor)
    );
    wire scores      = kind == 2'd3;
    wire convolution = kind == 2'd0 || scores;
    wire means       = kind == 2'd2;

    // --- activation memory: results first, then whoever reads

    wire               result_wanted, read_granted;
    wire [PLACE_BITS-1:0] result_address, operand_read;
    wire [LANES-1:0]   result_lanes;
    wire [LANES*8-1:0] result_data, activation_q;
    wire               reader_wanted, direct_wanted, reader_taken;
    wire [ROW_BITS-1:0]    reader_row;
    wire [TENSOR_BITS-1:0] reader_channel, reader_frame;
    wire [LANES-1:0]   direct_lanes;

    wire reader_asks   = running && reader_wanted && (BUFFERED || !convolution);
    wire direct_asks   = running && direct_wanted && !BUFFERED && convolution;
    wire result_writes = running && result_wanted;
    assign read_granted = !result_writes;
    wire activation_enable = running ? result_writes || reader_asks || direct_asks : host_write;
    wire activation_write  = running ? result_writes : 1'b1;

    wire [PLACE_BITS-1:0] place = !running
        ? {host_frame[TENSOR_BITS-1:0], host_channel[TENSOR_BITS-1:0], host_row[ROW_BITS-1:0]}
        : result_writes ? result_address
        : direct_asks ? operand_read : {reader_frame, reader_channel, reader_row};
    activation_memory #(
        .BANKS(LANES), .ROWS(ACTIVATION_ROWS), .BITS(TENSOR_BITS), .ROW_BITS(ROW_BITS)
    ) activations (
        .clk(clk), .enable(activation_enable), .write(activation_write),
        .row(place[ROW_BITS-1:0]), .channel(place[ROW_BITS +: TENSOR_BITS]),
        .frame(place[ROW_BITS+TENSOR_BITS +: TENSOR_BITS]),
        .pitch(!running ? host_pitch[TENSOR_BITS-1:0] : result_writes ? out_pitch : in_pitch),
        .fast_frames(!running || (result_writes ? out_fast_frames
            : direct_asks ? !fetch_channels : read_fast_frames)),
        .fast(!running ? LANE_BITS[2:0] : result_writes ? out_fast
            : direct_asks ? LANE_BITS[2:0] : read_fast),
        .lanes(!running ? host_lanes : result_writes ? result_lanes
            : direct_asks ? direct_lanes : read_lanes),
        .data(running ? result_data : host_data), .q(activation_q), .conflict(conflict)
    );

    wire        reader_valid, reader_second, reader_ends, filler_taken, vector_taken;
    wire [TENSOR_BITS-1:0] reader_read_frame;
    word_reader #(
        .LOOPS(READ_LOOPS), .COUNT_BITS(READ_COUNT_BITS), .ROW_BITS(ROW_BITS),
        .TENSOR_BITS(TENSOR_BITS)
    ) reader (
        .clk(clk), .start(start), .used(BUFFERED || !convolution), .last(read_last),
        .first(read_first), .deltas(read_deltas),
        .group(read_group), .base_a(read_base_a), .base_b(read_base_b),
        .two(read_two),
        .granted(read_granted), .taken(reader_taken), .wanted(reader_wanted), .row(reader_row),
        .channel(reader_channel), .frame(reader_frame), .valid(reader_valid),
        .second(reader_second), .ends_group(reader_ends),
        .read_frame(reader_read_frame)
    );
    assign reader_taken = convolution ? filler_taken : vector_taken;

    // --- operands of the arrays

    wire                       inputs_valid, weights_valid, pop_inputs, pop_weights;
    wire [OPERAND_BYTES*8-1:0] inputs;
    wire [WEIGHT_OPERAND_BITS-1:0] weights;
    wire                       buffer_enable, buffer_write;

    generate
        if (BUFFERED) begin : buffered
            wire                      wanted, active, steps, fill_wanted;
            wire [FETCH_ALL-1:0]      address, operand_address;
            wire [FETCH_LOOPS-1:0]    at_last;
            wire [FETCH_BITS-1:0]     loaded, fill_address;
            wire [FETCH_BYTES-1:0]    real_lanes;
            wire [FETCH_BYTES*8-1:0]  fill_data, q;
            reg  [FETCH_BITS-1:0]     released;

            // What a read needs ends with the tile: lanes beyond it are padding.
            wire [FETCH_BITS-1:0] needed = address[FETCH_BITS-1:0] + FETCH_BYTES;
            wire [FETCH_BITS-1:0] tile_end = address[FETCH_BITS +: FETCH_BITS];
            wire signed [FETCH_BITS-1:0] beyond = needed - tile_end;
            wire signed [FETCH_BITS-1:0] short = (beyond > 0 ? tile_end : needed) - loaded;

            operand_fetch #(
                .WIDTH(FETCH_BYTES), .BYTES(OPERAND_BYTES), .LOOPS(FETCH_LOOPS),
                .COUNT_BITS(FETCH_COUNT_BITS), .BITS(FETCH_BITS), .SECOND(SECOND_BITS),
                .TENSOR_BITS(TENSOR_BITS)
            ) fetch (
                .clk(clk), .start(start), .used(convolution), .last(fetch_last),
                .first(fetch_first), .deltas(fetch_deltas), .last_beat(fetch_last_beat),
                .beat_steps(fetch_beat_steps), .padded(fetch_padded), .frames(in_frames), .available(short <= 0),
                .granted(!fill_wanted), .q(q), .pop(pop_inputs), .wanted(wanted),
                .address(address), .operand_address(operand_address), .at_last(at_last),
                .active(active), .steps(steps), .real_lanes(real_lanes), .valid(inputs_valid),
                .operand(inputs)
            );
            buffer_filler #(
                .IN_BYTES(LANES), .OUT_BYTES(FETCH_BYTES), .RING_BYTES(FETCH_BYTES * BUFFER_WORDS),
                .BITS(FETCH_BITS)
            ) filler (
                .clk(clk), .start(start), .valid(reader_valid && convolution),
                .ends_group(reader_ends), .word(activation_q), .taken(filler_taken),
                .released(released), .granted(1'b1), .wanted(fill_wanted), .address(fill_address),
                .data(fill_data), .loaded(loaded)
            );
            assign buffer_enable = running && (fill_wanted || wanted);
            assign buffer_write  = fill_wanted;
            input_buffer #(
                .BYTES(FETCH_BYTES), .WORDS(BUFFER_WORDS), .BITS(FETCH_BITS)
            ) ring (
                .clk(clk), .enable(buffer_enable), .write(buffer_write),
                .address(fill_wanted ? fill_address : address[FETCH_BITS-1:0]), .data(fill_data), .q(q)
            );
            always @(posedge clk)
                if (start)
                    released <= {FETCH_BITS{1'b0}};
                else if (steps && &(at_last | ~fetch_tile))
                    released <= operand_address[FETCH_BITS +: FETCH_BITS];
                else if (steps && fetch_releases && &(at_last | ~fetch_reuse))
                    released <= operand_address[FETCH_BITS-1:0];
            assign direct_wanted = 1'b0;
            assign direct_lanes = {LANES{1'b0}};
            assign operand_read  = {PLACE_BITS{1'b0}};
        end else begin : direct
            wire [FETCH_LOOPS-1:0] unused_last;
            wire [FETCH_ALL-1:0]   unused_operand;
            wire                   unused_active, unused_steps;
            operand_fetch #(
                .WIDTH(LANES), .BYTES(OPERAND_BYTES), .LOOPS(FETCH_LOOPS),
                .COUNT_BITS(FETCH_COUNT_BITS), .BITS(FETCH_BITS), .SECOND(SECOND_BITS),
                .TENSOR_BITS(TENSOR_BITS)
            ) fetch (
                .clk(clk), .start(start), .used(convolution), .last(fetch_last),
                .first(fetch_first), .deltas(fetch_deltas), .last_beat(fetch_last_beat),
                .beat_steps(fetch_beat_steps), .padded(fetch_padded), .frames(in_frames), .available(1'b1),
                .granted(read_granted), .q(activation_q), .pop(pop_inputs), .wanted(direct_wanted),
                .address(operand_read), .operand_address(unused_operand), .at_last(unused_last),
                .active(unused_active), .steps(unused_steps), .real_lanes(direct_lanes),
                .valid(inputs_valid), .operand(inputs)
            );
            assign filler_taken  = 1'b0;
            assign buffer_enable = 1'b0;
            assign buffer_write  = 1'b0;
        end
    endgenerate

    // --- weight memory: weights first, then records of channels

    wire                      weight_reads, store_wanted, weight_enable, memory_valid;
    wire [WEIGHT_BYTE_BITS-1:0] weight_word;
    wire [WEIGHT_ADDRESS_BITS-1:0] store_word;
    wire [WEIGHT_BITS-1:0]    weight_q;
    wire [WEIGHT_OPERAND_BITS-1:0] memory_weights;
    wire                      seed_there, read_record;
    wire [SEED_RECORDS*RECORD_BITS-1:0] seed;
    wire [CHANNEL_BITS-1:0]   records_there, record_channel;
    wire [LANES*RECORD_BITS-1:0] record_row;

    wire store_granted = store_wanted && !weight_reads;
    assign weight_enable = running && (weight_reads || store_granted);
    memory_macro #(
        .WORDS(WEIGHT_WORDS), .BITS(WEIGHT_BITS), .IMAGE("weights.hex"),
        .IMAGE_WORDS(WEIGHT_IMAGE_WORDS),         .ADDRESS_BITS(WEIGHT_ADDRESS_BITS)
    ) weight_memory (
        .clk(clk), .enable(weight_enable), .write(1'b0),
        .address(weight_reads ? weight_word[WEIGHT_ADDRESS_BITS-1:0]
            : store_word),
        .data({WEIGHT_BITS{1'b0}}), .q(weight_q)
    );
    weight_fetch #(
        .BITS(WEIGHT_BITS), .OPERAND_BITS(WEIGHT_OPERAND_BITS), .LOOPS(WEIGHT_LOOPS),
        .COUNT_BITS(WEIGHT_COUNT_BITS), .ADDRESS_BITS(WEIGHT_BYTE_BITS)
    ) stored (
        .clk(clk), .start(start), .used(convolution && !generated), .last(weight_last),
        .first(weight_first),
        .deltas(weight_deltas), .last_beat(weight_last_beat), .keeps(weight_keeps),
        .blocked(1'b0), .disturbed(store_granted), .q(weight_q), .pop(pop_weights),
        .reads(weight_reads), .word(weight_word), .valid(memory_valid),
        .operand(memory_weights)
    );
    parameter_store #(
        .WORD_BITS(WEIGHT_BITS), .LANES(LANES), .LANE_BITS(LANE_BITS), .ROWS(RECORD_ROWS),
        .GENERATES(GENERATES), .SEED_RECORDS(SEED_RECORDS), .ADDRESS_BITS(WEIGHT_ADDRESS_BITS),
        .RECORD_BITS(RECORD_BITS), .BITS(CHANNEL_BITS)
    ) parameters (
        .clk(clk), .start(start), .base(record_base), .count(record_count),
        .per_row(records_a_row), .seeded(generated),
        .granted(store_granted), .q(weight_q), .wanted(store_wanted), .address(store_word),
        .seed_there(seed_there), .seed(seed), .there(records_there), .read(read_record),
        .channel(record_channel), .row(record_row)
    );

    wire generator_reads;
    generate
        if (GENERATES) begin : generates
            wire                       valid;
            wire [WEIGHT_BYTE_BITS-1:0] word;
            wire [TRIT_OPERAND_BITS-1:0] trits;
            wire [2*TRIT_LANES-1:0]    q;
            trit_generator generator (
                .clk(clk), .load(generator_reads && word == 0),
                .enable(generator_reads && word != 0), .seed(seed), .trits(q)
            );
            weight_fetch #(
                .BITS(2 * TRIT_LANES), .OPERAND_BITS(TRIT_OPERAND_BITS), .LOOPS(WEIGHT_LOOPS),
                .COUNT_BITS(WEIGHT_COUNT_BITS), .ADDRESS_BITS(WEIGHT_BYTE_BITS)
            ) fetch (
                .clk(clk), .start(start), .used(convolution && generated), .last(weight_last),
                .first(weight_first), .deltas(weight_deltas), .last_beat(weight_last_beat),
                .keeps(weight_keeps), .blocked(!seed_there), .disturbed(1'b0), .q(q),
                .pop(pop_weights), .reads(generator_reads), .word(word),
                .valid(valid), .operand(trits)
            );
            assign weights_valid = generated ? valid : memory_valid;
            assign weights       = generated ? trits : memory_weights;
        end else begin : stores
            assign generator_reads = 1'b0;
            assign weights_valid   = memory_valid;
            assign weights         = memory_weights;
        end
    endgenerate

    // --- passes

    wire             passes_left, collector_free;
    wire [INDEX_BITS-1:0] sum_index;
    wire [PASS_LOOPS-1:0] at_first, at_last, turns;
    wire first_of_sum = &(at_first | ~pass_reduces);
    wire last_of_sum  = &(at_last | ~pass_reduces);
    wire pass = running && passes_left && inputs_valid && weights_valid
        && (collector_free || !last_of_sum);
    // An operand is done with where one of the loops that it depends on moves on; all are at the end.
    assign pop_inputs  = pass && (|(turns & pass_pops_inputs) || turns == 0);
    assign pop_weights = pass && (|(turns & pass_pops_weights) || turns == 0);
    loop_nest #(
        .LOOPS(PASS_LOOPS), .COUNT_BITS(PASS_COUNT_BITS), .BITS(INDEX_BITS)
    ) passes (
        .clk(clk), .start(start), .used(convolution), .step(pass), .last(pass_last),
        .first({INDEX_BITS{1'b0}}),
        .deltas(pass_deltas), .active(passes_left), .address(sum_index), .at_first(at_first),
        .at_last(at_last), .turns(turns)
    );

    wire [MAC_ROWS*MAC_COLUMNS*SUM_BITS-1:0] mac_sums;
    wire [TREE_ROWS*SUM_BITS-1:0]            tree_sums;
    // An array that is idle sees zeros, or its adders would follow the other's operands: MAC units of
    // their inputs, trees of their trits, which are fewer bits.
    mac_array #(
        .ROWS(MAC_ROWS), .COLUMNS(MAC_COLUMNS), .DEPTH(MAC_DEPTH), .SUM_BITS(SUM_BITS)
    ) macs (
        .clk(clk), .go(pass && !on_trees), .first(first_of_sum),
        .index(sum_index[MAC_DEPTH_BITS-1:0]), .rows_outputs(rows_outputs),
        .rows_inputs(rows_inputs), .columns_inputs(columns_inputs), .trits(weights_are_trits), .columns_used(columns_used),
        .inputs(inputs[MAC_ROWS*MAC_COLUMNS*8-1:0]
            & {MAC_ROWS*MAC_COLUMNS*8{!(HAS_TREES && on_trees)}}),
        .weights(weights[MAC_ROWS*MAC_COLUMNS*8-1:0]), .sums(mac_sums)
    );
    generate
        if (HAS_TREES) begin : with_trees
            tree_array #(
                .ROWS(TREE_ROWS), .COLUMNS(TREE_COLUMNS), .DEPTH(TREE_DEPTH), .SUM_BITS(SUM_BITS)
            ) trees (
                .clk(clk), .go(pass && on_trees), .first(first_of_sum),
                .index(sum_index[TREE_DEPTH_BITS-1:0]), .rows_outputs(rows_outputs),
                .columns_used(columns_used),
                .inputs(inputs[TREE_ROWS*TREE_COLUMNS*8-1:0]),
                .trits(weights[TREE_ROWS*TREE_COLUMNS*2-1:0]
                    & {TREE_ROWS*TREE_COLUMNS*2{on_trees}}), .sums(tree_sums)
            );
        end else begin : without_trees
            assign tree_sums = {TREE_ROWS*SUM_BITS{1'b0}};
        end
    endgenerate

    // --- results

    wire                      collected, vector_ready, accepted;
    wire [LANES*SUM_BITS-1:0] collected_values, vector_values;
    collector #(
        .ROWS(MAC_ROWS), .COLUMNS(MAC_COLUMNS), .TREES(TREE_ROWS), .LANES(LANES),
        .SUM_BITS(SUM_BITS)
    ) collects (
        .clk(clk), .start(start), .trees(on_trees), .adds_up(columns_inputs && !on_trees),
        .folds(rows_inputs), .scores(scores), .row_results(results_a_row), .last_row(last_row),
        .load(pass && last_of_sum), .mac_sums(mac_sums), .tree_sums(tree_sums),
        .accepted(accepted && convolution), .free(collector_free), .valid(collected),
        .values(collected_values)
    );
    vector_source #(.LANES(LANES), .SUM_BITS(SUM_BITS), .BITS(TENSOR_BITS)) vectors (
        .clk(clk), .start(start), .means(means), .frames(in_frames),
        .valid(reader_valid && !convolution), .ends_group(reader_ends),
        .read_frame(reader_read_frame), .word(activation_q), .accepted(accepted),
        .taken(vector_taken), .ready(vector_ready), .values(vector_values)
    );
    requantiser #(
        .LANES(LANES), .LANE_BITS(LANE_BITS), .STEP_LOOPS(STEP_LOOPS),
        .STEP_COUNT_BITS(STEP_COUNT_BITS), .WORD_LOOPS(WORD_LOOPS),
        .WORD_COUNT_BITS(WORD_COUNT_BITS), .SUM_BITS(SUM_BITS), .ROW_BITS(ROW_BITS),
        .TENSOR_BITS(TENSOR_BITS), .RECORD_BITS(RECORD_BITS), .CHANNEL_BITS(CHANNEL_BITS)
    ) results (
        .clk(clk), .start(start), .held(records_held), .scores(scores), .limit_zero(limit_zero),
        .results(results_a_step), .word_lanes(results_a_word), .fast_frames(out_fast_frames),
        .fast(out_fast), .channels(out_channels), .frames(out_frames), .step_last(step_last),
        .step_deltas(step_deltas), .word_last(word_last), .word_first(word_first),
        .word_deltas(word_deltas), .valid(convolution ? collected : vector_ready),
        .begins(convolution || means || !reader_second),
        .ends(convolution || means || !read_two || reader_second),
        .values(convolution ? collected_values : vector_values), .accepted(accepted),
        .records(records_there), .read_record(read_record), .channel(record_channel),
        .row(record_row), .wanted(result_wanted), .address(result_address), .lanes(result_lanes),
        .data(result_data), .score_valid(score_valid), .score(score), .active(results_active)
    );

    reg [31:0] highest;
    reg [15:0] number;
    always @(posedge clk)
        if (start) begin
            number <= 16'd0;
            if (scores)
                best <= 16'd0;
        end else if (score_valid) begin
            number <= number + 16'd1;
            if (number == 0 || $signed(score) > $signed(highest)) begin
                highest <= score;
                best    <= number;
            end
        end
endmodule
