"""The real model's shape with random weights: its latency can be measured where its weights are not at hand."""

from pathlib import Path

import torch
from transformers import Phi3Config, Phi3ForCausalLM

TRUE_LAYERS = 32


def write_random_weights(folder: Path, layers: int, device: str) -> Path:
    """Write Phi-3-mini's shape, cut to its first `layers` layers, in bfloat16; made on `device`, 7.6 GB if whole."""
    config = Phi3Config(num_hidden_layers=layers)  # the library's defaults are this model's shape
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            torch.manual_seed(1)
            Phi3ForCausalLM(config).save_pretrained(folder)
    finally:
        torch.set_default_dtype(before)
    return folder
