// Puts together what the array needs next of its inputs, ahead of it.
//
// An operand is BEATS reads of WIDTH bytes; it waits in `operand` while the array uses it, and the
// next one is put together meanwhile: all reads but the last in `building`, that one at the memory's
// output, which stays. Only what an operand of this layer has is clocked: what lies behind it is still,
// and so are the units that it would feed.
//
// Lanes whose frame lies outside of the tensor are zero padding: `frame` counts the first lane's.
module operand_fetch #(
    parameter WIDTH = 32,
    parameter BYTES = 128,
    parameter LOOPS = 5,
    parameter COUNT_BITS = 12,
    parameter BITS = 16,           // of the first address, and of the second
    parameter SECOND = 16,
    parameter TENSOR_BITS = 16,    // of a frame
    parameter BEAT_BITS = 6,
    parameter ALL = BITS + SECOND + TENSOR_BITS
) (
    input                          clk,
    input                          start,
    input                          used,       // by this layer
    input  [LOOPS*COUNT_BITS-1:0]  last,
    input  [ALL-1:0]               first,
    input  [LOOPS*ALL-1:0]         deltas,
    input  [BEAT_BITS-1:0]         last_beat,
    input  [ALL-1:0]               beat_steps,
    input                          padded,      // lanes are frames, and some may lie outside
    input  [TENSOR_BITS-1:0]       frames,      // of the tensor
    input                          available,   // what is asked for is there
    input                          granted,     // the memory's port is ours in this cycle
    input  [WIDTH*8-1:0]           q,
    input                          pop,         // the array is done with the operand
    output                         wanted,      // a read, if granted
    output [ALL-1:0]               address,     // of it; the third one is a frame
    output [ALL-1:0]               operand_address,
    output [LOOPS-1:0]             at_last,
    output                         active,
    output                         steps,       // the last beat of an operand is read
    output [WIDTH-1:0]             real_lanes,      // lanes that are not padding
    output reg                     valid,
    output [BYTES*8-1:0]           operand
);
    localparam BEATS = BYTES / WIDTH;

    reg  [BEAT_BITS-1:0] beat, read_beat;
    reg  [ALL-1:0]       offset;
    wire [ALL-1:0]       moved;
    reg                  read, read_last;
    reg  [WIDTH-1:0]     read_inside;
    reg  [BYTES*8-1:0]   building, held;
    wire [LOOPS-1:0]     unused_first, unused_turns;

    wire ready_read  = !read || take;
    wire move        = read && read_last && (!valid || pop);
    wire take        = read && !read_last || move;
    wire last_of_it  = beat == last_beat;
    wire issue       = wanted && granted;

    assign wanted  = active && available && ready_read;
    assign steps   = issue && last_of_it;
    assign operand = held;

    loop_nest #(
        .LOOPS(LOOPS), .COUNT_BITS(COUNT_BITS), .BITS(BITS), .SECOND(SECOND), .THIRD(TENSOR_BITS)
    ) nest (
        .clk(clk), .start(start), .used(used), .step(steps), .last(last), .first(first),
        .deltas(deltas),
        .active(active), .address(operand_address), .at_first(unused_first), .at_last(at_last),
        .turns(unused_turns)
    );

    assign address[BITS-1:0] = operand_address[BITS-1:0] + offset[BITS-1:0];
    assign address[BITS +: SECOND] = operand_address[BITS +: SECOND] + offset[BITS +: SECOND];
    assign address[BITS+SECOND +: TENSOR_BITS] =
        operand_address[BITS+SECOND +: TENSOR_BITS] + offset[BITS+SECOND +: TENSOR_BITS];
    assign moved[BITS-1:0] = offset[BITS-1:0] + beat_steps[BITS-1:0];
    assign moved[BITS +: SECOND] = offset[BITS +: SECOND] + beat_steps[BITS +: SECOND];
    assign moved[BITS+SECOND +: TENSOR_BITS] =
        offset[BITS+SECOND +: TENSOR_BITS] + beat_steps[BITS+SECOND +: TENSOR_BITS];

    // Lanes before the tensor's first frame, and those up to its last: as many as there are at most.
    localparam LANE_BITS = $clog2(WIDTH + 1);
    wire signed [TENSOR_BITS-1:0] at   = address[BITS+SECOND +: TENSOR_BITS];
    wire signed [TENSOR_BITS-1:0] left = $signed(frames) - at;
    wire signed [TENSOR_BITS-1:0] gone = -at;
    wire [LANE_BITS-1:0] lead_lanes = gone <= 0 ? 0 : gone > WIDTH ? WIDTH : gone[LANE_BITS-1:0];
    wire [LANE_BITS-1:0] held_lanes = left <= 0 ? 0 : left > WIDTH ? WIDTH : left[LANE_BITS-1:0];
    genvar lane;
    generate
        for (lane = 0; lane < WIDTH; lane = lane + 1) begin : lanes
            localparam [LANE_BITS-1:0] NUMBER = lane;
            assign real_lanes[lane] = !padded || (NUMBER >= lead_lanes && NUMBER < held_lanes);
        end
    endgenerate

    reg  [WIDTH*8-1:0] came;
    integer l;
    always @*
        for (l = 0; l < WIDTH; l = l + 1)
            came[l*8 +: 8] = read_inside[l] ? q[l*8 +: 8] : 8'd0;
    genvar position;
    generate
        for (position = 0; position < BEATS; position = position + 1) begin : beats
            localparam [BEAT_BITS-1:0] NUMBER = position;
            wire now = read_beat == NUMBER;
            always @(posedge clk) begin
                if (position < BEATS - 1 && take && !move && now)
                    building[position*WIDTH*8 +: WIDTH*8] <= came;
                if (move && NUMBER <= last_beat)
                    held[position*WIDTH*8 +: WIDTH*8]
                        <= now ? came : building[position*WIDTH*8 +: WIDTH*8];
            end
        end
    endgenerate

    always @(posedge clk)
        if (start) begin
            beat      <= 0;
            offset    <= 0;
            read      <= 1'b0;
            valid     <= 1'b0;
        end else begin
            if (issue) begin
                beat        <= last_of_it ? 0 : beat + 1'b1;
                offset      <= last_of_it ? 0 : moved;
                read_beat   <= beat;
                read_last   <= last_of_it;
                read_inside <= real_lanes;
            end
            read <= issue || (read && !take);
            valid <= move || (valid && !pop);
        end
endmodule
