"""The language model itself, by transformers: loaded, scored and decoded in the worker's process."""
