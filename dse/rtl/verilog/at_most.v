// Whether a number is at most a limit: one bit after the other from the least significant on, which
// takes the fewest gates.
module at_most #(
    parameter BITS = 8
) (
    input  [BITS-1:0] number,
    input  [BITS-1:0] limit,
    output            yes
);
    wire [BITS:0] so_far;

    assign so_far[0] = 1'b1;
    assign yes = so_far[BITS];

    genvar place;
    generate
        for (place = 0; place < BITS; place = place + 1) begin : places
            assign so_far[place+1] = (limit[place] & ~number[place])
                                   | (so_far[place] & (limit[place] | ~number[place]));
        end
    endgenerate
endmodule
