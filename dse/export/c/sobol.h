/* One entry of each block is not zero: at a place of a Sobol sequence, with a sign from a counter. */
#include "mixing.h"

static void sobol_row(const tdse_generator *g, int path, int row, int columns, int8_t *trits) {
    int bits = g->decision_bits, block = 1 << bits;
    uint32_t key = word_of(g->state), low = word_of(g->state + 4);
    uint32_t output = ((low >> 16) + (uint32_t)row) & 0xFFFFu;
    uint32_t shift = (low & 0xFFFFu) >> (16 - bits), signs = 0;
    memset(trits, 0, (size_t)columns);
    for (int b = 0; b < columns / block; b++) {
        uint32_t point = (output + (uint32_t)block * 40503u * (uint32_t)b) & 0xFFFFu, place = 0;
        for (uint32_t i = 0; i < (uint32_t)bits; i++) {
            uint32_t digit = 0;
            for (uint32_t j = 0; j < 16; j++) digit ^= (i & j) == i ? point >> j & 1u : 0u;
            place = place << 1 | digit;
        }
        if (b % 32 == 0) signs = mix(output << 16 | (uint32_t)(b / 32), key, g->rounds);
        trits[b * block + (int)(place ^ shift)] = signs >> (31 - b % 32) & 1u ? -1 : 1;
    }
    (void)path; /* a counter needs no register of its own */
}
