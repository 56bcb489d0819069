/* What the families with a shift register share: the next decision. */
#ifndef SHIFT_REGISTER_H
#define SHIFT_REGISTER_H

/* Each path of a stage has its own, since their rows come in turns. */
static struct {
    uint8_t ring[MODEL_MOST_STATE_BITS]; /* the last bits, one a byte */
    int oldest;
    uint32_t window; /* the bits that decide, first the most significant */
} registers[2];

/* Decision bits, then the sign bit: from the start state, or `step` bits further on. */
static uint32_t next_decision(const tdse_generator *g, int path, int first) {
    uint8_t *ring = registers[path].ring;
    int width = g->decision_bits + 1;
    if (first) {
        for (int n = 0; n < g->state_bits; n++) ring[n] = g->state[n / 8] >> (7 - n % 8) & 1;
        registers[path].oldest = 0;
    }
    int oldest = registers[path].oldest;
    uint32_t window = registers[path].window;
    for (int n = 0; n < (first ? width : g->step); n++) {
        uint8_t bit = 0;
        for (int tap = 0; tap < g->taps_count; tap++)
            bit ^= ring[(oldest + g->state_bits - g->taps[tap]) % g->state_bits];
        ring[oldest] = bit;
        oldest = (oldest + 1) % g->state_bits;
        window = (window << 1 | bit) & ((1u << width) - 1u);
    }
    registers[path].oldest = oldest;
    registers[path].window = window;
    return window;
}

static int8_t sign_of(uint32_t decision) { return decision & 1u ? -1 : 1; }

#endif
