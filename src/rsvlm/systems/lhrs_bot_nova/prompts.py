"""How the released weights of LHRS-Bot-Nova are asked, by task (branch nova, main_cls.py and others). No PyTorch."""

from collections.abc import Mapping

from rsvlm.systems.lhrs_bot import prompts as lhrs_bot

PROMPTS: Mapping[str, str] = {
    "scene": lhrs_bot.PROMPTS["scene"],
    "vqa": "[CONSIZE] {question} Answer in a single word. Answer:",  # as it is spelt there
    "ground": "[DET] {question}",  # boxes are the dialect "nova"
}
