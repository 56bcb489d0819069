/* An entry is a field of a word that its own number is mixed into. */
#include "mixing.h"

static void counter_arx_row(const tdse_generator *g, int path, int row, int columns, int8_t *trits) {
    int width = g->decision_bits + 1, in_word = 1;
    while (2 * in_word * width <= 32) in_word *= 2;
    uint32_t key = word_of(g->state), start = word_of(g->state + 4);
    for (int column = 0; column < columns; column++) {
        uint32_t entry = (uint32_t)row * (uint32_t)columns + (uint32_t)column;
        uint32_t field = mix(start + entry / (uint32_t)in_word, key, g->rounds) >>
                         (32 - ((int)(entry % (uint32_t)in_word) + 1) * width);
        uint32_t number = field >> 1 & ((1u << g->decision_bits) - 1u);
        trits[column] = number < g->limit ? (field & 1u ? -1 : 1) : 0;
    }
    (void)path; /* a counter needs no register of its own */
}
