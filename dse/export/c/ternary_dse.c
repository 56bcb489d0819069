/* Reference of a network in whole numbers; see ternary_dse.h. */
#include "ternary_dse.h"

#include <string.h>

#define MODEL_TABLES
#include "model.h"

/* ---- generators ---- */

/* A shift register; each path of a stage has its own, since their rows come in turns. */
static struct {
    uint8_t ring[MODEL_MOST_STATE_BITS]; /* the last bits, one a byte */
    int oldest;
    uint32_t window; /* the bits that decide, first the most significant */
} registers[2];

static void draw(const tdse_generator *g, int path, int bits, int width) {
    uint8_t *ring = registers[path].ring;
    int oldest = registers[path].oldest;
    uint32_t window = registers[path].window;
    for (int n = 0; n < bits; n++) {
        uint8_t bit = 0;
        for (int tap = 0; tap < g->taps_count; tap++)
            bit ^= ring[(oldest + g->state_bits - g->taps[tap]) % g->state_bits];
        ring[oldest] = bit;
        oldest = (oldest + 1) % g->state_bits;
        window = (window << 1 | bit) & ((1u << width) - 1u);
    }
    registers[path].oldest = oldest;
    registers[path].window = window;
}

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

static void register_row(const tdse_generator *g, int path, int row, int columns, int8_t *trits) {
    int width = g->decision_bits + 1, block = g->family == TDSE_ONE_HOT ? 1 << g->decision_bits : 1;
    if (row == 0) {
        for (int n = 0; n < g->state_bits; n++) registers[path].ring[n] = g->state[n / 8] >> (7 - n % 8) & 1;
        registers[path].oldest = 0;
    }
    memset(trits, 0, (size_t)columns);
    for (int column = 0; column < columns; column += block) {
        draw(g, path, row == 0 && column == 0 ? width : g->step, width);
        uint32_t number = registers[path].window >> 1;
        int8_t sign = registers[path].window & 1u ? -1 : 1;
        if (g->family == TDSE_ONE_HOT) trits[column + (int)number] = sign;
        else if (g->family == TDSE_AND) trits[column] = number + 1u == 1u << g->decision_bits ? sign : 0;
        else trits[column] = number < g->limit ? sign : 0;
    }
}

static void counter_row(const tdse_generator *g, int row, int columns, int8_t *trits) {
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
}

static void sobol_row(const tdse_generator *g, int row, int columns, int8_t *trits) {
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
}

void tdse_trits(const tdse_generator *generator, int path, int row, int columns, int8_t *trits) {
    if (generator->family == TDSE_COUNTER) counter_row(generator, row, columns, trits);
    else if (generator->family == TDSE_SOBOL) sobol_row(generator, row, columns, trits);
    else register_row(generator, path, row, columns, trits);
}

/* ---- layers ---- */

static int8_t tensor[3][MODEL_MOST_VALUES];
static int8_t trits[MODEL_MOST_CHANNELS];
static int32_t sums[MODEL_MOST_FRAMES];
static int64_t totals[MODEL_MOST_CHANNELS > MODEL_MOST_FRAMES ? MODEL_MOST_CHANNELS : MODEL_MOST_FRAMES];

static int frames_after(int frames, int stride) { return (frames - 1) / stride + 1; }

/* Rounds towards minus infinity, whatever >> of a negative number does on this machine. */
static int64_t shifted(int64_t value, int shift) {
    return value >= 0 ? value >> shift : -1 - ((-1 - value) >> shift);
}

static int64_t limited(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

static void row_sums(const tdse_path *path, int number, int outputs, int row, const int8_t *in, int frames, int after) {
    memset(sums, 0, sizeof sums);
    if (path->kind == TDSE_IDENTITY) {
        for (int t = 0; t < after; t++) sums[t] = in[row * frames + t];
        return;
    }
    if (path->kind == TDSE_TERNARY) {
        tdse_trits(path->generator, number, row, path->inputs, trits);
        for (int c = 0; c < path->inputs; c++) {
            if (trits[c] == 0) continue;
            for (int t = 0; t < after; t++) {
                int8_t value = in[c * frames + t * path->stride];
                sums[t] += trits[c] > 0 ? value : -value;
            }
        }
        return;
    }
    int each = path->inputs / path->groups, first = row / (outputs / path->groups) * each;
    int margin = path->dilation * (path->taps - 1) / 2;
    for (int c = 0; c < each; c++)
        for (int k = 0; k < path->taps; k++) {
            int32_t weight = path->weights[(row * each + c) * path->taps + k];
            for (int t = 0; t < after; t++) {
                int at = t * path->stride + k * path->dilation - margin;
                if (at >= 0 && at < frames) sums[t] += weight * in[(first + c) * frames + at];
            }
        }
}

static int run_stage(const tdse_stage *stage, const int8_t *in, int frames, const int8_t *kept,
                     int kept_frames, int8_t *out) {
    int after = frames_after(frames, stage->path[0].stride);
    for (int row = 0; row < stage->outputs; row++) {
        for (int t = 0; t < after; t++)
            totals[t] = stage->offsets[row] + ((int64_t)1 << (stage->shift - 1));
        for (int p = 0; p < stage->paths; p++) {
            const tdse_path *path = &stage->path[p];
            row_sums(path, p, stage->outputs, row, p ? kept : in, p ? kept_frames : frames, after);
            for (int t = 0; t < after; t++) totals[t] += (int64_t)sums[t] * path->multipliers[row];
        }
        for (int t = 0; t < after; t++)
            out[row * after + t] =
                (int8_t)limited(shifted(totals[t], stage->shift), stage->relu ? 0 : -127, 127);
    }
    return after;
}

static int32_t score(const tdse_head *head, int row, const int64_t *values) {
    int64_t total = 0;
    for (int c = 0; c < head->inputs; c++) total += head->weights[row * head->inputs + c] * values[c];
    total = total * head->multipliers[row] + head->offsets[row] + ((int64_t)1 << (head->shift - 1));
    return (int32_t)limited(shifted(total, head->shift), -INT32_MAX, INT32_MAX);
}

int tdse_run(const int8_t *features, int frames, int32_t *scores) {
    if (frames < 1 || frames > MODEL_MOST_FRAMES) return 0;
    int now = 0, kept = 0, kept_frames = frames;
    memcpy(tensor[0], features, (size_t)MODEL_INPUTS * (size_t)frames);
    for (int s = 0; s < MODEL_STAGES; s++) {
        const tdse_stage *stage = &model_stages[s];
        if (stage->begins_block) kept = now, kept_frames = frames;
        int next = 0;
        while (next == now || next == kept) next++;
        frames = run_stage(stage, tensor[now], frames, tensor[kept], kept_frames, tensor[next]);
        now = next;
    }
    const tdse_head *head = &model_head;
    if (head->pooled) {
        for (int c = 0; c < head->inputs; c++) {
            int64_t sum = 0;
            for (int t = 0; t < frames; t++) sum += tensor[now][c * frames + t];
            totals[c] = (128 * sum + frames / 2) / frames; /* behind a ReLU: never negative */
        }
        for (int row = 0; row < head->outputs; row++) scores[row] = score(head, row, totals);
        return 1;
    }
    for (int t = 0; t < frames; t++) {
        for (int c = 0; c < head->inputs; c++) totals[c] = tensor[now][c * frames + t];
        for (int row = 0; row < head->outputs; row++) scores[row * frames + t] = score(head, row, totals);
    }
    return frames;
}
