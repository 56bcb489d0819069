// What the vector unit reads from memory: the two tensors of a sum, frames of a mean, sums of scores.
//
//     sum      LANES values of both tensors, int8 or sums of 24 bits
//     mean     all frames of a channel are added; (128 * sum + frames / 2) / frames, as a product with
//              a reciprocal that the exporter has proved exact, in two digits of base 128
//     score    two sums of a class, of the higher and the lower digit of the means: 128 * a + b
module vector_source #(
    parameter LANES = 8,
    parameter BITS = 16
) (
    input                       clk,
    input                       start,
    input                       means,
    input                       scores,
    input  [BITS-1:0]           frames,
    input  [15:0]               half,          // frames / 2
    input  [23:0]               reciprocal,
    input  [5:0]                reciprocal_shift,
    input                       wide_a,        // of 24 bits
    input                       wide_b,
    input                       valid,
    input  [1:0]                plane,
    input                       second,
    input                       whole,
    input                       ends_group,
    input  [BITS-1:0]           read_frame,
    input  [LANES*8-1:0]        word,
    input                       accepted,      // the values below are taken
    output                      taken,
    output reg                  ready,
    output reg [LANES*32-1:0]   a,
    output reg [LANES*32-1:0]   b
);
    reg  [LANES*24-1:0] low_a, low_b;
    reg  [31:0]         sum;
    reg  [31:0]         frames_sum;
    wire [LANES*32-1:0] now_a, now_b;

    assign taken = valid && (!ready || accepted);

    // A word's last plane is used as it comes; those before it wait in `low`.
    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : lanes
            wire [7:0]  top = word[lane*8 +: 8];
            wire [23:0] old_a = low_a[lane*24 +: 24];
            wire [23:0] old_b = low_b[lane*24 +: 24];
            wire [31:0] wide_now  = {{8{top[7]}}, top, second ? old_b[15:0] : old_a[15:0]};
            wire [31:0] small_now = {{24{top[7]}}, top};
            wire [31:0] kept_a = wide_a ? {{8{old_a[23]}}, old_a} : {{24{old_a[7]}}, old_a[7:0]};
            assign now_b[lane*32 +: 32] = wide_b ? wide_now : small_now;
            assign now_a[lane*32 +: 32] = second ? kept_a : wide_a ? wide_now : small_now;
        end
    endgenerate

    integer each;
    always @* begin
        frames_sum = sum;
        for (each = 0; each < LANES; each = each + 1)
            if (read_frame + each < frames)
                frames_sum = frames_sum + {{24{word[each*8+7]}}, word[each*8 +: 8]};
    end
    wire [31:0] numerator = (frames_sum << 7) + {16'd0, half};
    wire [55:0] scaled    = ({24'd0, numerator} * {32'd0, reciprocal}) >> reciprocal_shift;

    always @(posedge clk)
        if (start) begin
            ready <= 1'b0;
            sum   <= 32'd0;
        end else begin
            if (taken) begin
                for (each = 0; each < LANES; each = each + 1)
                    if (second)
                        low_b[each*24 + plane*8 +: 8] <= word[each*8 +: 8];
                    else
                        low_a[each*24 + plane*8 +: 8] <= word[each*8 +: 8];
                if (means) begin
                    sum <= ends_group ? 32'd0 : frames_sum;
                    a   <= {{(LANES-2)*32{1'b0}}, 25'd0, scaled[6:0], 25'd0, scaled[13:7]};
                end else begin
                    a <= now_a;
                    b <= now_b;
                    if (scores)
                        a[31:0] <= (now_a[31:0] << 7) + now_a[63:32];
                end
            end
            ready <= (taken && (means ? ends_group : whole)) || (ready && !accepted);
        end
endmodule
