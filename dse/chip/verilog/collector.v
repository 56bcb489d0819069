// Takes the sums of a finished pass out of the way of the next one, and hands them on row by row.
//
// Of a MAC array a row at a time: its columns side by side, or added up where columns share a sum.
// Of the trees all at once, a sum a tree.
module collector #(
    parameter ROWS = 8,
    parameter COLUMNS = 8,
    parameter TREES = 4,
    parameter LANES = 8,
    parameter SUM_BITS = 24
) (
    input                              clk,
    input                              start,
    input                              trees,
    input                              adds_up,
    input  [7:0]                       last_row,
    input                              load,
    input  [ROWS*COLUMNS*SUM_BITS-1:0] mac_sums,
    input  [TREES*SUM_BITS-1:0]        tree_sums,
    input                              accepted,   // the row below is taken
    output                             free,       // a pass may finish in this cycle
    output reg                         valid,
    output reg [LANES*32-1:0]          values
);
    reg  [7:0] row;
    reg  [ROWS*COLUMNS*SUM_BITS-1:0] held;
    wire last = row == last_row;

    assign free = !valid || (accepted && last);

    integer column;
    reg [31:0] total;
    always @* begin
        values = {LANES*32{1'b0}};
        total  = 32'd0;
        for (column = 0; column < COLUMNS; column = column + 1)
            total = total + {{(32-SUM_BITS){held[(column+1)*SUM_BITS-1]}}, held[column*SUM_BITS +: SUM_BITS]};
        for (column = 0; column < LANES; column = column + 1)
            if (column < (COLUMNS > TREES ? COLUMNS : TREES))
                values[column*32 +: 32] = {
                    {(32-SUM_BITS){held[(column+1)*SUM_BITS-1]}}, held[column*SUM_BITS +: SUM_BITS]};
        if (adds_up)
            values[31:0] = total;
    end

    always @(posedge clk)
        if (start) begin
            valid <= 1'b0;
            row   <= 8'd0;
        end else begin
            if (load) begin
                if (trees)
                    held[TREES*SUM_BITS-1:0] <= tree_sums;
                else
                    held <= mac_sums;
                row <= 8'd0;
            end else if (accepted) begin
                held <= held >> (COLUMNS * SUM_BITS);
                row  <= row + 1'b1;
            end
            valid <= load || (valid && !(accepted && last));
        end
endmodule
