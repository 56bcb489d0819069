// A memory with one port, which reads or writes a word a cycle: to be replaced by a macro.
//
// What is read appears after the clock edge and stays until the next read; writes leave it alone.
// `IMAGE` names a text for $readmemh, for simulation and for FPGAs; a macro has its own way.
module memory_macro #(
    parameter WORDS = 1024,
    parameter BITS = 64,
    parameter IMAGE = "",
    parameter IMAGE_WORDS = WORDS,  // that the text has
    parameter ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input                    clk,
    input                    enable,
    input                    write,
    input [ADDRESS_BITS-1:0] address,
    input [BITS-1:0]         data,
    output reg [BITS-1:0]    q
);
    reg [BITS-1:0] words [0:WORDS-1];

`ifndef SYNTHESIS
    initial
        if (IMAGE != "")
            $readmemh(IMAGE, words, 0, IMAGE_WORDS - 1);
`endif

    always @(posedge clk)
        if (enable) begin
            if (write)
                words[address] <= data;
            else
                q <= words[address];
        end
endmodule
