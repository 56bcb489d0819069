/* An entry is not zero where its decision bits, as a number, are below the limit. */
#include "shift_register.h"

static void lfsr_threshold_row(const tdse_generator *g, int path, int row, int columns, int8_t *trits) {
    for (int column = 0; column < columns; column++) {
        uint32_t decision = next_decision(g, path, row == 0 && column == 0);
        trits[column] = decision >> 1 < g->limit ? sign_of(decision) : 0;
    }
}
