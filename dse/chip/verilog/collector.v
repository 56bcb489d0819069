// Takes the sums of a finished pass out of the way of the next one, and hands them on row by row.
//
// Of MAC units that each have a sum of their own all rows come at once, and leave one after the other.
// Of trees, and of MAC units whose columns are parts of a sum, a pass gives a single row: a sum a
// tree, or a row of units (`adds_up`), or one for all of them (`folds`). Scores leave one by one,
// those of a row in turns. Where the vector unit takes a row in each cycle, passes of single rows may
// finish one right after the other. Of the sums that are held only those are clocked that wait.
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
    input                              scores,
    input  [3:0]                       row_results,
    input  [7:0]                       last_row,
    input                              load,
    input  [ROWS*COLUMNS*SUM_BITS-1:0] mac_sums,
    input  [TREES*SUM_BITS-1:0]        tree_sums,
    input                              accepted,   // the row below is taken, or the score
    output                             free,       // a pass may finish in this cycle
    output                             valid,
    output [LANES*SUM_BITS-1:0]        values
);
    localparam UNITS = ROWS * COLUMNS;
    localparam HELD = UNITS > LANES ? UNITS : LANES;
    localparam SCORE_BITS = LANES > 1 ? $clog2(LANES) : 1;   // a row has as many scores at most

    reg  [7:0]               rows;      // that wait
    reg  [HELD*SUM_BITS-1:0] held;      // the next one lowest
    reg  [HELD*SUM_BITS-1:0] next;
    reg  [SUM_BITS-1:0]      total, all;
    reg  [3:0]               score;

    // The adders see the sums only where they are taken: otherwise they would follow every pass.
    wire [UNITS*SUM_BITS-1:0] added = mac_sums & {UNITS*SUM_BITS{load && adds_up}};

    wire       single = trees || adds_up;
    wire       taken  = accepted && (!scores || score + 4'd1 == row_results);
    wire [7:0] left   = rows - {7'd0, taken};

    assign valid = rows != 0;
    assign free  = left == 0;

    integer column, row;
    always @* begin
        next  = held >> (COLUMNS * SUM_BITS);
        all   = {SUM_BITS{1'b0}};
        total = {SUM_BITS{1'b0}};
        if (load && trees)
            next[TREES*SUM_BITS-1:0] = tree_sums;
        else if (load && !adds_up)
            next[UNITS*SUM_BITS-1:0] = mac_sums;
        for (row = 0; row < ROWS; row = row + 1) begin
            total = {SUM_BITS{1'b0}};
            for (column = 0; column < COLUMNS; column = column + 1)
                total = total + added[(row*COLUMNS+column)*SUM_BITS +: SUM_BITS];
            all = all + total;
            if (load && adds_up)
                next[row*SUM_BITS +: SUM_BITS] = total;
        end
        if (load && folds)
            next[SUM_BITS-1:0] = all;
    end

    assign values[LANES*SUM_BITS-1:SUM_BITS] = held[LANES*SUM_BITS-1:SUM_BITS];
    assign values[SUM_BITS-1:0] = scores
        ? held[score[SCORE_BITS-1:0]*SUM_BITS +: SUM_BITS] : held[SUM_BITS-1:0];

    localparam SINGLE = TREES > ROWS ? TREES : ROWS;   // sums of a pass that gives a single row
    genvar sum;
    generate
        for (sum = 0; sum < HELD; sum = sum + 1) begin : sums
            localparam [7:0] ROW = sum / COLUMNS;
            always @(posedge clk)
                if (load ? sum < SINGLE || !single : taken && ROW < left)
                    held[sum*SUM_BITS +: SUM_BITS] <= next[sum*SUM_BITS +: SUM_BITS];
        end
    endgenerate

    always @(posedge clk)
        if (start) begin
            rows  <= 8'd0;
            score <= 4'd0;
        end else begin
            if (scores && accepted)
                score <= taken ? 4'd0 : score + 4'd1;
            rows <= left + (!load ? 8'd0 : single ? 8'd1 : last_row + 8'd1);
        end
endmodule
