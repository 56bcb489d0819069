// Runs the layers one after the other: fetches a descriptor, starts all engines, waits for the last
// word to be written.
module controller #(
    parameter LAYER_BITS = 6
) (
    input                       clk,
    input                       reset,
    input                       go,
    input  [LAYER_BITS-1:0]     last_layer,
    input                       active,      // results of this layer are still to come
    output reg                  running,
    output reg                  done,        // for a cycle, behind the last layer
    output                      fetch,       // the descriptor of `layer`
    output reg                  start,
    output reg [LAYER_BITS-1:0] layer
);
    reg  fetching, waiting;
    wire ends = waiting && !start && !active;

    assign fetch = fetching;

    always @(posedge clk)
        if (reset) begin
            running  <= 1'b0;
            done     <= 1'b0;
            fetching <= 1'b0;
            start    <= 1'b0;
            waiting  <= 1'b0;
            layer    <= 0;
        end else begin
            done     <= ends && layer == last_layer;
            fetching <= (go && !running) || (ends && layer != last_layer);
            start    <= fetching;
            waiting  <= fetching || (waiting && !ends);
            if (go && !running) begin
                running <= 1'b1;
                layer   <= 0;
            end else if (ends) begin
                running <= layer != last_layer;
                if (layer != last_layer)
                    layer <= layer + 1'b1;
            end
        end
endmodule
