// Puts words of the activation memory together to words of the input buffer, and writes them.
//
// The ring has room for a word as soon as the fetch unit has released what lies there. A group of
// words (a tile) ends with a word of its own, whatever of it is used.
module buffer_filler #(
    parameter IN_BYTES = 8,
    parameter OUT_BYTES = 32,
    parameter RING_BYTES = 1024,
    parameter BITS = 16
) (
    input                        clk,
    input                        start,
    input                        valid,       // a word waits at the activation memory
    input                        ends_group,
    input  [IN_BYTES*8-1:0]      word,
    output                       taken,
    input  [BITS-1:0]            released,    // bytes that are no longer needed, counted for ever
    input                        granted,
    output                       wanted,      // a write to the buffer
    output [BITS-1:0]            address,
    output [OUT_BYTES*8-1:0]     data,
    output reg [BITS-1:0]        loaded       // bytes that are in the buffer, counted for ever
);
    localparam PARTS = OUT_BYTES / IN_BYTES;
    localparam PART_BITS = PARTS > 1 ? $clog2(PARTS) : 1;
    localparam [BITS-1:0] WORD = OUT_BYTES;
    localparam [BITS-1:0] RING = RING_BYTES;

    reg  [PART_BITS-1:0]     part;
    reg  [OUT_BYTES*8-1:0]   filling, whole;
    wire signed [BITS-1:0]   room = released + RING - loaded - WORD;

    // All words but the last wait here; that one is written as it comes.
    wire ends    = ends_group || part == PARTS - 1;
    wire written = wanted && granted;

    assign wanted  = valid && ends && room >= 0;
    assign taken   = valid && (!ends || written);
    assign address = loaded;
    assign data    = whole;

    integer position;
    always @* begin
        whole = filling;
        for (position = 0; position < PARTS; position = position + 1)
            if (part == position)
                whole[position*IN_BYTES*8 +: IN_BYTES*8] = word;
    end

    always @(posedge clk)
        if (start) begin
            part   <= 0;
            loaded <= {BITS{1'b0}};
        end else begin
            if (taken)
                part <= ends ? 0 : part + 1'b1;
            if (taken && !ends)
                filling <= whole & ~({OUT_BYTES*8{1'b1}} << ((PARTS - 1) * IN_BYTES * 8));
            if (written)
                loaded <= loaded + WORD;
        end
endmodule
