/* Reference of a network in whole numbers; see ternary_dse.h. */
#include "ternary_dse.h"

#include <string.h>

#define MODEL_TABLES
#include "model.h"

/* A band of tiles at a time, for the entries of its rows come in turns; each path has its own. */
static int8_t bands[2][MODEL_MOST_BAND];

static void make_band(const tdse_generator *generator, int path, int row, int columns, int8_t *band) {
    int high = generator->rows - row < generator->tile_rows ? generator->rows - row : generator->tile_rows;
    for (int left = 0; left < columns; left += generator->tile_columns) {
        int wide = columns - left < generator->tile_columns ? columns - left : generator->tile_columns;
        /* Number 0 begins at the start state: the first row of the first tile, and no other. */
        for (int r = 0; r < high; r++) generator->row(generator, path, row + left + r, wide, &band[r * columns + left]);
    }
}

void tdse_trits(const tdse_generator *generator, int path, int row, int columns, int8_t *trits) {
    if (generator->tile_rows == 0) {
        generator->row(generator, path, row, columns, trits);
        return;
    }
    int within = row % generator->tile_rows;
    if (within == 0) make_band(generator, path, row, columns, bands[path]);
    memcpy(trits, &bands[path][within * columns], (size_t)columns);
}

/* ---- layers ---- */

static int8_t tensor[3][MODEL_MOST_VALUES];
static int8_t trits[MODEL_MOST_CHANNELS];
static int32_t sums[MODEL_MOST_FRAMES];
static int32_t totals[MODEL_MOST_FRAMES];
static int8_t means[MODEL_MOST_CHANNELS];

static int frames_after(int frames, int stride) { return (frames - 1) / stride + 1; }

/* Rounds towards minus infinity, whatever >> of a negative number does on this machine. */
static int64_t shifted(int64_t value, int shift) {
    return value >= 0 ? value >> shift : -1 - ((-1 - value) >> shift);
}

static int32_t scaled(const tdse_rounding *rounding, int row, int32_t sum) {
    int64_t product = (int64_t)sum * rounding->factors[row];
    return rounding->offsets[row] + (int32_t)shifted(product, rounding->shifts[row]);
}

static int8_t limited(int32_t total, int relu, int32_t most) {
    int32_t value = (int32_t)shifted(total, 7), low = relu ? 0 : -most;
    return (int8_t)(value < low ? low : value > most ? most : value);
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

/* Int8 of one path's row, in sums. */
static void row_values(const tdse_path *path, int relu, int most, int row, int after) {
    if (path->rounding.factors == 0) return;
    for (int t = 0; t < after; t++)
        sums[t] = limited(scaled(&path->rounding, row, sums[t]), relu, most);
}

static int run_stage(const tdse_stage *stage, const int8_t *in, int frames, const int8_t *kept,
                     int kept_frames, int8_t *out) {
    int after = frames_after(frames, stage->path[0].stride), meet = stage->paths > 1;
    for (int row = 0; row < stage->outputs; row++) {
        for (int p = 0; p < stage->paths; p++) {
            row_sums(&stage->path[p], p, stage->outputs, row, p ? kept : in, p ? kept_frames : frames, after);
            row_values(&stage->path[p], stage->relu && !meet, stage->most, row, after);
            for (int t = 0; t < after && meet; t++)
                totals[t] = (p ? totals[t] : 0) + scaled(&stage->added[p], row, sums[t]);
        }
        for (int t = 0; t < after; t++)
            out[row * after + t] = meet ? limited(totals[t], stage->relu, stage->most) : (int8_t)sums[t];
    }
    return after;
}

/* Int8 of the mean of a channel: the factor holds 1 / frames, and as many bits as it has room for. */
static int8_t mean(const tdse_head *head, const int8_t *values, int frames) {
    int64_t steps = (int64_t)frames * 65536, factor = 0;
    int32_t sum = 0;
    int shift = 31;
    for (int t = 0; t < frames; t++) sum += values[t];
    for (;; shift--) {
        factor = (((int64_t)head->mean_gain << (7 + shift)) + steps / 2) / steps;
        if (factor < 32768 || shift == 0) break;
    }
    if (factor > 32767) factor = 32767;
    return limited(64 + (int32_t)shifted(sum * factor, shift), 0, 127);
}

/* Values of a frame lie `apart` from each other. */
static int32_t score(const tdse_head *head, int row, const int8_t *values, int apart) {
    int32_t total = 0;
    for (int c = 0; c < head->inputs; c++) total += head->weights[row * head->inputs + c] * values[c * apart];
    return scaled(&head->rounding, row, total);
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
        for (int c = 0; c < head->inputs; c++) means[c] = mean(head, &tensor[now][c * frames], frames);
        for (int row = 0; row < head->outputs; row++) scores[row] = score(head, row, means, 1);
        return 1;
    }
    for (int t = 0; t < frames; t++)
        for (int row = 0; row < head->outputs; row++)
            scores[row * frames + t] = score(head, row, &tensor[now][t], frames);
    return frames;
}
