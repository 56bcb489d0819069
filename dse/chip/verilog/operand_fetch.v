// Puts together what the array needs next of its inputs, ahead of it.
//
// An operand is BEATS reads of WIDTH bytes; it waits in `operand` while the array uses it, and the
// next one is put together meanwhile. Three stages, each with room for one: what the memory has read
// (its output stays), `building`, `operand`.
//
// Lanes whose frame lies outside of the tensor are zero padding: `frame` counts the first lane's.
module operand_fetch #(
    parameter WIDTH = 32,
    parameter BYTES = 128,
    parameter LOOPS = 5,
    parameter COUNT_BITS = 12,
    parameter BITS = 16,
    parameter BEAT_BITS = 6
) (
    input                          clk,
    input                          start,
    input  [LOOPS*COUNT_BITS-1:0]  last,
    input  [3*BITS-1:0]            first,
    input  [LOOPS*3*BITS-1:0]      deltas,
    input  [BEAT_BITS-1:0]         last_beat,
    input  [3*BITS-1:0]            beat_steps,
    input                          padded,      // lanes are frames, and some may lie outside
    input  [BITS-1:0]              frames,      // of the tensor
    input                          available,   // what is asked for is there
    input                          granted,     // the memory's port is ours in this cycle
    input  [WIDTH*8-1:0]           q,
    input                          pop,         // the array is done with the operand
    output                         wanted,      // a read, if granted
    output [3*BITS-1:0]            address,     // of it; the third one is a frame
    output [3*BITS-1:0]            operand_address,
    output [LOOPS-1:0]             at_last,
    output                         active,
    output                         steps,       // the last beat of an operand is read
    output [WIDTH-1:0]             real_lanes,      // lanes that are not padding
    output reg                     valid,
    output [BYTES*8-1:0]           operand
);
    localparam BEATS = BYTES / WIDTH;

    reg  [BEAT_BITS-1:0] beat, read_beat;
    reg  [3*BITS-1:0]    offset;
    reg                  read, read_last, built;
    reg  [WIDTH-1:0]     read_inside;
    reg  [BYTES*8-1:0]   building, held;
    wire [LOOPS-1:0]     unused_first, unused_turns;

    wire ready_read  = !read || take;
    wire take        = read && (!built || move);
    wire move        = built && (!valid || pop);
    wire last_of_it  = beat == last_beat;
    wire issue       = wanted && granted;

    assign wanted  = active && available && ready_read;
    assign steps   = issue && last_of_it;
    assign operand = held;

    loop_nest #(.LOOPS(LOOPS), .COUNT_BITS(COUNT_BITS), .ADDRESSES(3), .BITS(BITS)) nest (
        .clk(clk), .start(start), .step(steps), .last(last), .first(first), .deltas(deltas),
        .active(active), .address(operand_address), .at_first(unused_first), .at_last(at_last),
        .turns(unused_turns)
    );

    genvar part, lane;
    generate
        for (part = 0; part < 3; part = part + 1) begin : parts
            assign address[part*BITS +: BITS] =
                operand_address[part*BITS +: BITS] + offset[part*BITS +: BITS];
        end
        for (lane = 0; lane < WIDTH; lane = lane + 1) begin : lanes
            localparam [BITS-1:0] NUMBER = lane;
            wire [BITS-1:0] at = address[2*BITS +: BITS] + NUMBER;
            // Negative frames are large ones here, and outside as well.
            assign real_lanes[lane] = !padded || at < frames;
        end
    endgenerate

    integer step_part, position, l;
    always @(posedge clk)
        if (start) begin
            beat      <= 0;
            offset    <= 0;
            read      <= 1'b0;
            built     <= 1'b0;
            valid     <= 1'b0;
        end else begin
            if (issue) begin
                beat <= last_of_it ? 0 : beat + 1'b1;
                for (step_part = 0; step_part < 3; step_part = step_part + 1)
                    offset[step_part*BITS +: BITS] <= last_of_it ? 0
                        : offset[step_part*BITS +: BITS] + beat_steps[step_part*BITS +: BITS];
                read_beat   <= beat;
                read_last   <= last_of_it;
                read_inside <= real_lanes;
            end
            read <= issue || (read && !take);
            if (take)
                for (position = 0; position < BEATS; position = position + 1)
                    if (read_beat == position)
                        for (l = 0; l < WIDTH; l = l + 1)
                            building[(position*WIDTH+l)*8 +: 8] <=
                                read_inside[l] ? q[l*8 +: 8] : 8'd0;
            built <= (take && read_last) || (built && !move);
            if (move)
                held <= building;
            valid <= move || (valid && !pop);
        end
endmodule
