"""The first line of a recording, for tests to vary."""

from trader.adapters.recording_file import Head

HEAD = Head(
    backend="phi3",
    identity="tiny@1 int8 score",
    answered_by="tiny@1 cpu",
    model="tiny",
    revision="1",
    quantization="int8",
    mode="score",
    prompt="prompts-1",
    anonymised=False,
    batched=True,
    knowledge_until="2023-10-01",
)
