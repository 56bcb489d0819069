/* One entry of each block is not zero: the one whose number the decision bits are. */
#include "shift_register.h"

/* Pairs of blocks run on from row to row; each path of a stage has its own. */
static struct {
    uint8_t second; /* the next block is the second of its pair */
    int8_t sign;    /* of the first */
} pairs[2];

static void one_hot_row(const tdse_generator *g, int path, int row, int columns, int8_t *trits) {
    memset(trits, 0, (size_t)columns);
    if (row == 0) pairs[path].second = 0;
    for (int column = 0; column < columns; column += 1 << g->decision_bits) {
        uint32_t decision = next_decision(g, path, row == 0 && column == 0);
        int8_t sign = pairs[path].second ? (int8_t)-pairs[path].sign : sign_of(decision);
        trits[column + (int)(decision >> 1)] = sign;
        pairs[path].sign = sign;
        pairs[path].second = g->paired_signs && !pairs[path].second;
    }
}
