"""Steps of a MatchboxNet written with Keras, on command; `benchmarks/training.py` starts it.

Reads the blocks as one line of JSON, then makes a training step for each further line and answers
with the step's CPU time in milliseconds. Needs TensorFlow and nothing of this project.
"""

import json
import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf


def build(blocks: list[dict], frames: int, outputs: int) -> keras.Model:
    """Channels last, as Keras is fastest; the same order of layers as NeMo's."""
    inputs = keras.Input((frames, 64))
    values = inputs
    for block in blocks:
        around = values
        for repeat in range(block["repeats"]):
            layer = keras.layers.SeparableConv1D if block["separable"] else keras.layers.Conv1D
            values = layer(
                block["channels"],
                block["kernel"],
                padding="same",
                dilation_rate=block["dilation"],
                use_bias=False,
            )(values)
            values = keras.layers.BatchNormalization()(values)
            if repeat == block["repeats"] - 1 and block["skip"]:
                skip = keras.layers.Conv1D(block["channels"], 1, use_bias=False)(around)
                values = values + keras.layers.BatchNormalization()(skip)
            values = keras.layers.ReLU()(values)
    pooled = keras.layers.GlobalAveragePooling1D()(values)
    return keras.Model(inputs, keras.layers.Dense(outputs)(pooled))


def main() -> None:
    """Serve steps until the input ends."""
    clips, frames, outputs = map(int, sys.argv[1:])
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = build(json.loads(sys.stdin.readline()), frames, outputs)
    print("ready", flush=True)
    optimiser = keras.optimizers.AdamW(1e-4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    random = np.random.default_rng(0)
    pictures = tf.constant(random.normal(size=(clips, frames, 64)), tf.float32)
    labels = tf.constant(random.integers(outputs, size=clips))

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            value = loss(labels, model(pictures, training=True))
        weights = model.trainable_variables
        optimiser.apply_gradients(zip(tape.gradient(value, weights), weights, strict=True))

    step()
    for _ in sys.stdin:
        start = time.process_time()
        step()
        print(1000 * (time.process_time() - start), flush=True)


if __name__ == "__main__":
    main()
