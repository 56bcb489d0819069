// Trits of density n / 2^THRESHOLD_BITS from a counter: any entry at any time.
//
// A word of 32 bits, mixed from its number, makes PER_WORD trits: THRESHOLD_BITS bits as a number
// and one sign bit each, from the most significant bit on. LANES is a multiple of PER_WORD. `seed` is
// the key (32 bits, the more significant half) and the number of the first word (32 bits).
module counter_arx #(
    parameter LANES = 16,
    parameter THRESHOLD_BITS = 8,
    parameter ROUNDS = 6
) (
    input                       clk,
    input                       load,
    input                       enable,
    input  [63:0]               seed,
    input  [THRESHOLD_BITS-1:0] limit,    // density * 2^THRESHOLD_BITS - 1
    output [LANES-1:0]          nonzero,
    output [LANES-1:0]          negative  // where nonzero
);
    localparam FIELD = THRESHOLD_BITS + 1;
    localparam PER_WORD = FIELD > 16 ? 1 : FIELD > 8 ? 2 : FIELD > 4 ? 4 : FIELD > 2 ? 8 : 16;
    localparam WORDS = LANES / PER_WORD;

    reg [31:0]               key;
    reg [31:0]               count;
    reg [THRESHOLD_BITS-1:0] limit_held;

    always @(posedge clk)
        if (load) begin
            {key, count} <= seed;
            limit_held   <= limit;
        end else if (enable)
            count <= count + WORDS;

    genvar index, slot;
    generate
        for (index = 0; index < WORDS; index = index + 1) begin : words
            wire [31:0] word = count + index;
            wire [31:0] mixed;
            arx32 #(.ROUNDS(ROUNDS)) mixer (.word(word), .key(key), .mixed(mixed));
            for (slot = 0; slot < PER_WORD; slot = slot + 1) begin : slots
                at_most #(.BITS(THRESHOLD_BITS)) compare (
                    .number(mixed[31-slot*FIELD -: THRESHOLD_BITS]),
                    .limit(limit_held), .yes(nonzero[index*PER_WORD+slot])
                );
                assign negative[index*PER_WORD+slot] = mixed[31-slot*FIELD-THRESHOLD_BITS];
            end
        end
    endgenerate
endmodule
