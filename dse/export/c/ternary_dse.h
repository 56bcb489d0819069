/* Reference of a network in whole numbers: int8 tensors, exact sums. C99, no floats, no heap.
 *
 * ternary_dse.c computes what the Python model dse.training.integer computes, bit for bit; the tables
 * are in model.h. It is written to be read and ported, not to be fast. */
#ifndef TERNARY_DSE_H
#define TERNARY_DSE_H

#include <stdint.h>

typedef struct tdse_generator tdse_generator;

/* docs/evidence/generator.md has what each family does; NAME.h is its code. */
struct tdse_generator {
    void (*row)(const tdse_generator *, int path, int row, int columns, int8_t *trits);
    uint8_t decision_bits; /* k, j or log2 of a block */
    uint8_t rounds;        /* of the mixing function */
    uint8_t paired_signs;  /* of blocks: the second of two has the opposite of the first one's */
    uint8_t taps_count;
    uint16_t step;         /* bits that the register moves on a decision */
    uint16_t state_bits;
    uint32_t limit;        /* an entry is not zero where its number is below */
    const uint16_t *taps;
    const uint8_t *state;  /* start state, first bit the most significant of the first byte */
    uint16_t rows;         /* of the matrix */
    uint16_t tile_rows, tile_columns; /* it is made tile by tile; 0: row by row */
};

enum { TDSE_CONVOLUTION, TDSE_TERNARY, TDSE_IDENTITY };

/* Of each output: offset + (sum * factor >> shift), in 1/128 of an int8 or 1/65536 of a score. */
typedef struct {
    const int16_t *factors;
    const uint8_t *shifts;
    const int32_t *offsets;
} tdse_rounding;

/* What is summed of one tensor. */
typedef struct {
    uint8_t kind;
    uint16_t inputs, groups, taps, stride, dilation;
    const int8_t *weights;           /* outputs x inputs/groups x taps; none of a ternary path */
    const tdse_generator *generator; /* of a ternary path */
    tdse_rounding rounding;          /* no factors: an identity that meets another path, as it is */
} tdse_path;

/* What makes one tensor: int8 of one path's sums, or of two int8 that meet. */
typedef struct {
    uint8_t paths; /* the second reads the input of the block */
    uint8_t relu;
    uint8_t begins_block;
    uint8_t most; /* the largest value: 127 of eight bits, 7 of four */
    uint16_t outputs;
    tdse_path path[2];
    tdse_rounding added[2]; /* where two meet */
} tdse_stage;

typedef struct {
    uint8_t pooled;
    uint32_t mean_gain; /* step of the last tensor over that of its mean, in 1/65536 */
    uint16_t inputs, outputs;
    const int8_t *weights;
    tdse_rounding rounding;
} tdse_head;

/* Scores of one clip, in 1/65536.
 *
 * features: MODEL_INPUTS x frames, row by row; frames: 1 to MODEL_MOST_FRAMES;
 * scores: MODEL_OUTPUTS of a pooled head, MODEL_OUTPUTS x result of a framewise one.
 * Returns the frames of the scores (1 of a pooled head), 0 where frames is out of range. */
int tdse_run(const int8_t *features, int frames, int32_t *scores);

/* Entries of one row of a ternary matrix, -1, 0 and 1. Rows must be asked for in order, from 0 on;
 * two matrices may be made in turns, one with path 0 and one with path 1. */
void tdse_trits(const tdse_generator *generator, int path, int row, int columns, int8_t *trits);

#endif
