// Whether a number is at most a limit: one bit after the other from the least significant on, which
// takes the fewest gates.
module at_most #(
    parameter BITS = 8
) (
    input  [BITS-1:0] number,
    input  [BITS-1:0] limit,
    output            yes
);
    function so_far(input [BITS-1:0] a, input [BITS-1:0] most);
        integer place;
        begin
            so_far = 1'b1;
            for (place = 0; place < BITS; place = place + 1)
                so_far = (most[place] & ~a[place]) | (so_far & (most[place] | ~a[place]));
        end
    endfunction

    assign yes = so_far(number, limit);
endmodule
