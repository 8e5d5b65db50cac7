"""The model: a bundle on disk, and its forward pass. Imports neither torch nor anything that unpickles."""
