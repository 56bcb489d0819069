// A memory with a port that writes and one that reads: to be replaced by a macro.
//
// What is read appears after the clock edge and stays until the next read.
module two_port_macro #(
    parameter WORDS = 256,
    parameter BITS = 128,
    parameter ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input                    clk,
    input                    write,
    input [ADDRESS_BITS-1:0] write_address,
    input [BITS-1:0]         data,
    input                    read,
    input [ADDRESS_BITS-1:0] read_address,
    output reg [BITS-1:0]    q
);
    reg [BITS-1:0] words [0:WORDS-1];

    always @(posedge clk) begin
        if (write)
            words[write_address] <= data;
        if (read)
            q <= words[read_address];
    end
endmodule
