// Puts together the weights that the array needs next: from the weight memory, or from a generator.
//
// Both give words of BITS bits. The nest counts bytes; an operand that is smaller than a word lies
// within one. With `keeps`, an operand in the word that was read last is not read again: registers
// that hold several narrow weights take them together. The generator is a memory that can only be
// read in order: word 0 loads the start state, the word after the one before advances it. The
// exporter has made sure that a layer asks for nothing else. Words of an operand that this layer does
// not have are not clocked.
module weight_fetch #(
    parameter BITS = 64,
    parameter OPERAND_BITS = 512,
    parameter LOOPS = 5,
    parameter COUNT_BITS = 12,
    parameter ADDRESS_BITS = 20,
    parameter BEAT_BITS = 6
) (
    input                                clk,
    input                                start,
    input                                used,       // by this layer
    input  [LOOPS*COUNT_BITS-1:0]        last,
    input  [ADDRESS_BITS-1:0]            first,
    input  [LOOPS*ADDRESS_BITS-1:0]      deltas,
    input  [BEAT_BITS-1:0]               last_beat,
    input                                keeps,
    input                                blocked,    // the source cannot be read yet
    input                                disturbed,  // another one reads in this cycle
    input  [BITS-1:0]                    q,
    input                                pop,
    output                               reads,      // a word, in this cycle
    output [ADDRESS_BITS-1:0]            word,       // its number
    output reg                           valid,
    output [OPERAND_BITS-1:0]            operand
);
    localparam BYTE_BITS = $clog2(BITS / 8);
    localparam BEATS = (OPERAND_BITS + BITS - 1) / BITS;

    reg  [BEAT_BITS-1:0]       beat, read_beat;
    reg                        read, read_last, known;
    reg  [ADDRESS_BITS-1:0]    known_word;
    reg  [BYTE_BITS-1:0]       read_byte;
    reg  [BITS-1:0]            saved_word;
    reg                        saved;
    reg  [BEATS*BITS-1:0]      building, held;
    wire [ADDRESS_BITS-1:0]    address;
    wire                       active;
    wire [LOOPS-1:0]           unused_first, unused_last, unused_turns;

    wire move       = read && read_last && (!valid || pop);
    wire take       = read && !read_last || move;
    wire last_of_it = beat == last_beat;
    wire here       = keeps && known && known_word == word;
    wire issue      = active && (!read || take) && (here || !blocked);

    assign reads    = issue && !here;
    assign word     = (address >> BYTE_BITS) + {{(ADDRESS_BITS-BEAT_BITS){1'b0}}, beat};

    loop_nest #(
        .LOOPS(LOOPS), .COUNT_BITS(COUNT_BITS), .BITS(ADDRESS_BITS)
    ) nest (
        .clk(clk), .start(start), .used(used), .step(issue && last_of_it), .last(last), .first(first),
        .deltas(deltas), .active(active), .address(address), .at_first(unused_first),
        .at_last(unused_last), .turns(unused_turns)
    );

    // A word that still waits, or is taken again, when another one reads is kept here.
    wire [BITS-1:0] shifted = (saved ? saved_word : q) >> {read_byte, 3'd0};
    genvar position;
    generate
        for (position = 0; position < BEATS; position = position + 1) begin : beats
            localparam [BEAT_BITS-1:0] NUMBER = position;
            wire now = read_beat == NUMBER;
            always @(posedge clk) begin
                if (position < BEATS - 1 && take && !move && now)
                    building[position*BITS +: BITS] <= shifted;
                if (move && NUMBER <= last_beat)
                    held[position*BITS +: BITS] <= now ? shifted : building[position*BITS +: BITS];
            end
        end
    endgenerate
    assign operand = held[OPERAND_BITS-1:0];

    always @(posedge clk)
        if (start) begin
            beat  <= 0;
            read  <= 1'b0;
            valid <= 1'b0;
            known <= 1'b0;
            saved <= 1'b0;
        end else begin
            saved <= (read && !take && (saved || disturbed)) || (issue && here && disturbed);
            if (disturbed && !saved)
                saved_word <= q;
            if (issue) begin
                beat      <= last_of_it ? 0 : beat + 1'b1;
                read_beat <= beat;
                read_last <= last_of_it;
                read_byte <= address[BYTE_BITS-1:0];
            end
            if (reads) begin
                known      <= 1'b1;
                known_word <= word;
            end else if (disturbed)
                known <= 1'b0;
            read <= issue || (read && !take);
            valid <= move || (valid && !pop);
        end
endmodule
