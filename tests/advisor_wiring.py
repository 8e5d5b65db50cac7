"""Which part each key of the advisor's models is for, and what it becomes there: see test_assembly.py."""

from collections.abc import Callable

from msgspec import Struct

from trader import assembly
from trader.advisor.calibration import CalibrationMode
from trader.advisor.prompt import Example
from trader.settings import Settings

MODEL = assembly.model_options
WORKER = assembly.worker_rules
SERVER = assembly.openai_options
CALIBRATION = assembly.calibration_rules
PROMPT = assembly.prompt_rules
PARTS = (MODEL, WORKER, SERVER, CALIBRATION, PROMPT)

Wire = tuple[str, Callable[[Settings], Struct], dict[str, object]]


def _both(override: str, change: dict[str, object]) -> list[Wire]:
    """A key of the model that a server is told as well."""
    return [(override, MODEL, change), (override, SERVER, change)]


WIRING: list[Wire] = [
    *_both("advisor.mode=generate", {"mode": "generate"}),
    ("advisor.wants_reason=true", MODEL, {"wants_reason": True}),
    ("advisor.legal_mass_min=0.3", CALIBRATION, {"legal_mass_min": 0.3}),
    ("advisor.calibration.mode=off", CALIBRATION, {"mode": CalibrationMode.OFF}),
    ("advisor.calibration.learns=false", CALIBRATION, {"learns": False}),
    ("advisor.worker.start_timeout_s=12", WORKER, {"start_timeout_s": 12.0}),
    ("advisor.worker.reply_timeout_s=3", WORKER, {"reply_timeout_s": 3.0}),
    ("advisor.worker.restart_pause_s=1", WORKER, {"restart_pause_s": 1.0}),
    ("advisor.worker.memory_limit_gib=24", WORKER, {"memory_limit_gib": 24.0}),
    ("advisor.openai.url=http://127.0.0.1:9/v1", SERVER, {"url": "http://127.0.0.1:9/v1"}),
    ("advisor.openai.socket=/run/phi.sock", SERVER, {"socket": "/run/phi.sock"}),
    ("advisor.openai.model=phi3", SERVER, {"model": "phi3"}),
    ("advisor.openai.credential=token", SERVER, {"credential": "token"}),
    ("advisor.openai.scoring=logprobs", SERVER, {"scoring": "logprobs"}),
    ("advisor.openai.timeout_s=2", SERVER, {"timeout_s": 2.0}),
    ("llm_model.name=models/phi", MODEL, {"name": "models/phi"}),
    ("llm_model.revision=0a67737c", MODEL, {"revision": "0a67737c"}),
    ("llm_model.quantization=int4", MODEL, {"quantization": "int4"}),
    ("llm_model.device=cpu", MODEL, {"device": "cpu"}),
    ("llm_model.graphs=on", MODEL, {"graphs": "on"}),
    *_both("llm_model.max_new_tokens=60", {"max_new_tokens": 60}),
    *_both("llm_model.cot_max_tokens=90", {"cot_max_tokens": 90}),
    *_both("llm_model.sample=true", {"sample": True}),
    *_both("llm_model.temperature=0.2", {"temperature": 0.2}),
    *_both("llm_model.top_p=0.5", {"top_p": 0.5}),
    *_both("llm_model.seed=9", {"seed": 9}),
    ("prompt.system=Be brief.", PROMPT, {"system": "Be brief."}),
    ('prompt.context_template="{rsi:.0f}"', PROMPT, {"template": "{rsi:.0f}"}),
    (
        'prompt.examples=[{question: "RSI 20", reply: "BUY | 0.60 | oversold"}]',
        PROMPT,
        {"examples": (Example(question="RSI 20", reply="BUY | 0.60 | oversold"),)},
    ),
    ("prompt.anonymise=true", PROMPT, {"anonymise": True}),
]

TOGETHER = {"prompt.template", "prompt.context_template_cached", "prompt.chain_of_thought"}
"""Keys that mean something only beside another: see the tests of their own."""

FILES = {
    "advisor.worker.isolation", "advisor.ensemble.members", "advisor.on_unavailable", "advisor.calibration.fitted",
    "llm_model.knowledge_until", "prompt.calendar_file", "prompt.calendar_minutes", "prompt.correlated_file",
    "prompt.correlated_market", "prompt.headlines_file", "prompt.headlines_minutes", "prompt.headlines_max",
    "fusion.mode", "fusion.adaptive.learning_rate", "fusion.adaptive.share", "fusion.adaptive.llm_weight_max",
}  # fmt: skip
"""What `trader.advisors` reads itself."""
