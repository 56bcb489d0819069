// Takes the sums of a finished pass out of the way of the next one, and hands them on row by row.
//
// Of a MAC array all rows come at once, and wait for each other; of the trees a row a pass, a sum a
// tree, so that as many passes may finish one after the other as the array has rows. Columns of a row
// are results side by side, or parts of one sum (`adds_up`); where rows are parts of it as well
// (`folds`), only the last one gives a result.
module collector #(
    parameter ROWS = 8,
    parameter COLUMNS = 8,
    parameter TREES = 4,
    parameter LANES = 8,
    parameter SUM_BITS = 24,
    parameter WIDTH = COLUMNS > TREES ? COLUMNS : TREES
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
    output reg [LANES*32-1:0]          values
);
    reg  [7:0]                   rows;    // that wait
    reg  [ROWS*WIDTH*SUM_BITS-1:0] held;  // the next one lowest
    reg  [ROWS*WIDTH*SUM_BITS-1:0] kept;
    reg  [31:0]                  folded, total;

    wire any  = rows != 0;
    wire fold = any && folds && rows != 1;
    wire gone = accepted || fold;
    wire [7:0] left = rows - {7'd0, gone};

    assign valid = any && !fold;
    assign free  = trees ? left < ROWS : left == 0;

    integer column, row;
    always @* begin
        values = {LANES*32{1'b0}};
        total  = folds ? folded : 32'd0;
        for (column = 0; column < COLUMNS; column = column + 1)
            total = total
                + {{(32-SUM_BITS){held[(column+1)*SUM_BITS-1]}}, held[column*SUM_BITS +: SUM_BITS]};
        for (column = 0; column < LANES && column < WIDTH; column = column + 1)
            values[column*32 +: 32] = {
                {(32-SUM_BITS){held[(column+1)*SUM_BITS-1]}}, held[column*SUM_BITS +: SUM_BITS]};
        if (adds_up)
            values[31:0] = total;
        kept = gone ? held >> (WIDTH * SUM_BITS) : held;
        if (load && trees) begin
            for (row = 0; row < ROWS; row = row + 1)
                if (left == row)
                    kept[row*WIDTH*SUM_BITS +: TREES*SUM_BITS] = tree_sums;
        end else if (load)
            for (row = 0; row < ROWS; row = row + 1)
                kept[row*WIDTH*SUM_BITS +: COLUMNS*SUM_BITS] =
                    mac_sums[row*COLUMNS*SUM_BITS +: COLUMNS*SUM_BITS];
    end

    always @(posedge clk)
        if (start) begin
            rows   <= 8'd0;
            folded <= 32'd0;
        end else begin
            held   <= kept;
            rows   <= left + (!load ? 8'd0 : trees ? 8'd1 : last_row + 8'd1);
            if (gone)
                folded <= fold ? total : 32'd0;
        end
endmodule
