"""How the released weights of LHRS-Bot are asked, by task (main_cls.py, main_vqa.py, main_vg.py). No PyTorch."""

from collections.abc import Mapping

PROMPTS: Mapping[str, str] = {
    "scene": "[CLS] Choose the best categories describe the image from: {choices}",
    "vqa": "[VQA] {question}",
    "ground": "[VG] {question}",
}
# LHRS-Bench's multiple choice (main_bench_gen.py).
CHOICE = "{question}\nChoices: {choices} Answer from the given choices with A., B., C., D., etc."
