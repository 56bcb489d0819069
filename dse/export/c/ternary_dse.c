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
