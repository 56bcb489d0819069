/* What the families with a counter share: the mixing function. */
#ifndef MIXING_H
#define MIXING_H

static uint32_t word_of(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint32_t mix(uint32_t word, uint32_t key, int rounds) {
    uint16_t x = (uint16_t)(word >> 16), y = (uint16_t)word;
    for (int i = 0; i < rounds; i++) {
        uint16_t half = (uint16_t)(i % 2 == 0 ? key >> 16 : key);
        x = (uint16_t)(x >> 7 | x << 9);
        x = (uint16_t)(x + y);
        x ^= (uint16_t)(half ^ i);
        y = (uint16_t)(y << 2 | y >> 14);
        y ^= x;
    }
    return (uint32_t)x << 16 | y;
}

#endif
