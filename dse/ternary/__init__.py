"""A ternary matrix as a function of (seed, layer): one file a generator family."""
