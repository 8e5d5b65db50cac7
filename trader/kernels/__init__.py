"""numba functions, pure and scalar. Written once: called per bar by the engine, in loops by batch and training."""
