// The input buffer: a ring of words, written word by word, read from any byte on.
//
// Addresses count bytes and go on for ever; their low bits are the place. BYTES macros of a byte
// each, so that a read may begin in one word and end in the next.
module input_buffer #(
    parameter BYTES = 32,
    parameter WORDS = 32,
    parameter BITS = 16,
    parameter BYTE_BITS = $clog2(BYTES),
    parameter WORD_BITS = $clog2(WORDS)
) (
    input                clk,
    input                enable,
    input                write,
    input [BITS-1:0]     address,  // of a write: a multiple of BYTES
    input [BYTES*8-1:0]  data,
    output [BYTES*8-1:0] q
);
    reg  [BYTE_BITS-1:0] turned;
    wire [BYTES*8-1:0]   bytes_out;
    wire [BYTE_BITS-1:0] offset = address[BYTE_BITS-1:0];
    wire [WORD_BITS-1:0] word   = address[BYTE_BITS +: WORD_BITS];

    genvar number;
    generate
        for (number = 0; number < BYTES; number = number + 1) begin : macros
            localparam [BYTE_BITS-1:0] NUMBER = number;
            wire [BYTE_BITS-1:0] from = turned + NUMBER;
            memory_macro #(.WORDS(WORDS), .BITS(8)) macro (
                .clk(clk), .enable(enable), .write(write),
                .address(NUMBER < offset ? word + 1'b1 : word),
                .data(data[number*8 +: 8]), .q(bytes_out[number*8 +: 8])
            );
            assign q[number*8 +: 8] = bytes_out[{{(32-BYTE_BITS){1'b0}}, from}*8 +: 8];
        end
    endgenerate

    always @(posedge clk)
        if (enable && !write)
            turned <= offset;
endmodule
