/* Runs the network on the vectors of vectors.h and compares: prints PASS or what differs. */
#include <stdio.h>

#include "ternary_dse.h"

#include "model.h"
#include "vectors.h"

static int32_t scores[MODEL_OUTPUTS * VECTOR_FRAMES];

int main(void) {
    for (int v = 0; v < VECTORS; v++) {
        int frames = tdse_run(&vector_features[v * MODEL_INPUTS * VECTOR_FRAMES], VECTOR_FRAMES, scores);
        if (frames * MODEL_OUTPUTS != VECTOR_SCORES) {
            printf("FAIL: %d frames of scores\n", frames);
            return 1;
        }
        for (int n = 0; n < VECTOR_SCORES; n++)
            if (scores[n] != vector_scores[v * VECTOR_SCORES + n]) {
                printf("FAIL: vector %d, score %d is %ld, not %ld\n", v, n, (long)scores[n],
                       (long)vector_scores[v * VECTOR_SCORES + n]);
                return 1;
            }
    }
    printf("PASS: %d scores\n", VECTORS * VECTOR_SCORES);
    return 0;
}
