// Mixes a 32-bit word with a key: ROUNDS rounds of addition, rotation and XOR on two halves.
module arx32 #(
    parameter ROUNDS = 6
) (
    input  [31:0] word,
    input  [31:0] key,
    output [31:0] mixed
);
    wire [15:0] x [0:ROUNDS];
    wire [15:0] y [0:ROUNDS];

    assign x[0] = word[31:16];
    assign y[0] = word[15:0];

    genvar number;
    generate
        for (number = 0; number < ROUNDS; number = number + 1) begin : rounds
            wire [15:0] half    = number % 2 == 0 ? key[31:16] : key[15:0];
            wire [15:0] rotated = {x[number][6:0], x[number][15:7]};  // right by 7
            wire [15:0] sum     = rotated + y[number];
            assign x[number+1] = sum ^ half ^ number;
            assign y[number+1] = {y[number][13:0], y[number][15:14]} ^ x[number+1];  // left by 2
        end
    endgenerate

    assign mixed = {x[ROUNDS], y[ROUNDS]};
endmodule
