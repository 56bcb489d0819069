/* One entry of each block is not zero: the one whose number the decision bits are. */
#include "shift_register.h"

static void one_hot_row(const tdse_generator *g, int path, int row, int columns, int8_t *trits) {
    memset(trits, 0, (size_t)columns);
    for (int column = 0; column < columns; column += 1 << g->decision_bits) {
        uint32_t decision = next_decision(g, path, row == 0 && column == 0);
        trits[column + (int)(decision >> 1)] = sign_of(decision);
    }
}
