/* An entry is not zero where all of its decision bits are 1. */
#include "shift_register.h"

static void lfsr_and_row(const tdse_generator *g, int path, int row, int columns, int8_t *trits) {
    for (int column = 0; column < columns; column++) {
        uint32_t decision = next_decision(g, path, row == 0 && column == 0);
        trits[column] = (decision >> 1) + 1u == 1u << g->decision_bits ? sign_of(decision) : 0;
    }
}
