// Takes the sums of a finished pass out of the way of the next one, and hands them on row by row.
//
// Of MAC units that each have a sum of their own all rows come at once, and wait for each other. Of
// trees, and of MAC units whose columns are parts of a sum, a pass gives a single row: a sum a tree,
// or a row of units (`adds_up`), or one for all of them (`folds`). As many of those may wait as the
// array has rows, so that passes may finish one right after the other.
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
    input                              folds,
    input  [7:0]                       last_row,
    input                              load,
    input  [ROWS*COLUMNS*SUM_BITS-1:0] mac_sums,
    input  [TREES*SUM_BITS-1:0]        tree_sums,
    input                              accepted,   // the row below is taken
    output                             free,       // a pass may finish in this cycle
    output                             valid,
    output [LANES*32-1:0]              values
);
    localparam ROW_BITS = LANES * SUM_BITS;

    reg  [7:0]               rows;      // that wait
    reg  [ROWS*ROW_BITS-1:0] held;      // the next one lowest
    reg  [ROWS*ROW_BITS-1:0] kept;
    reg  [ROW_BITS-1:0]      pushed;
    reg  [SUM_BITS-1:0]      total, all;

    wire       single = trees || adds_up;
    wire [7:0] left   = rows - {7'd0, accepted};

    assign valid = rows != 0;
    assign free  = single ? left < ROWS : left == 0;

    integer column, row;
    always @* begin
        pushed = {ROW_BITS{1'b0}};
        all    = {SUM_BITS{1'b0}};
        total  = {SUM_BITS{1'b0}};
        if (trees)
            pushed[TREES*SUM_BITS-1:0] = tree_sums;
        else begin
            for (row = 0; row < ROWS; row = row + 1) begin
                total = {SUM_BITS{1'b0}};
                for (column = 0; column < COLUMNS; column = column + 1)
                    total = total + mac_sums[(row*COLUMNS+column)*SUM_BITS +: SUM_BITS];
                all = all + total;
                pushed[row*SUM_BITS +: SUM_BITS] = total;
            end
            if (folds)
                pushed[SUM_BITS-1:0] = all;
        end
        kept = accepted ? held >> ROW_BITS : held;
        for (row = 0; row < ROWS; row = row + 1)
            if (load && !single)
                kept[row*ROW_BITS +: COLUMNS*SUM_BITS] =
                    mac_sums[row*COLUMNS*SUM_BITS +: COLUMNS*SUM_BITS];
            else if (load && left == row)
                kept[row*ROW_BITS +: ROW_BITS] = pushed;
    end

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : lanes
            assign values[lane*32 +: 32] = {
                {(32-SUM_BITS){held[(lane+1)*SUM_BITS-1]}}, held[lane*SUM_BITS +: SUM_BITS]};
        end
    endgenerate

    always @(posedge clk)
        if (start)
            rows <= 8'd0;
        else begin
            held <= kept;
            rows <= left + (!load ? 8'd0 : single ? 8'd1 : last_row + 8'd1);
        end
endmodule
