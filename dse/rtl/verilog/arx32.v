// Mixes a 32-bit word with a key: ROUNDS rounds of addition, rotation and XOR on two halves.
module arx32 #(
    parameter ROUNDS = 6
) (
    input  [31:0] word,
    input  [31:0] key,
    output [31:0] mixed
);
    function [31:0] mix(input [31:0] from, input [31:0] with_key);
        reg [15:0] x, y, half;
        integer turn;
        begin
            {x, y} = from;
            for (turn = 0; turn < ROUNDS; turn = turn + 1) begin
                half = turn % 2 == 0 ? with_key[31:16] : with_key[15:0];
                x = {x[6:0], x[15:7]} + y;              // x rotated right by 7
                x = x ^ half ^ turn[15:0];
                y = {y[13:0], y[15:14]} ^ x;            // y rotated left by 2
            end
            mix = {x, y};
        end
    endfunction

    assign mixed = mix(word, key);
endmodule
