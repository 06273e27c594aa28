"""Tiny chat systems, opened as users open them: every registered one, from its recipe, with weights that tell."""

import numpy as np
import torch
import yaml
from safetensors.torch import save_file

from fake import batches, runs
from rsvlm.systems.load import load

PICTURES = [np.random.default_rng(n).integers(0, 255, (20, 30, 3), np.uint8) for n in range(3)]
QUESTIONS = ("What?", "Describe this image, please.", "How many boats are there?")


def saved(folder, system, **numbers):
    """A model folder of `system` from its tiny recipe, with other `numbers` of its model or language model."""
    path = runs.tiny(system)
    recipe, model, tokenizer = batches.tiny(path)
    for name, parameter in model.named_parameters():
        if "lora_" in name or "lm_head" in name:  # adapters that start at nothing would hide themselves
            torch.nn.init.normal_(parameter, std=0.2)
        elif name.startswith("language.") and parameter.ndim == 2:  # spread out, so that questions are told apart
            torch.nn.init.normal_(parameter, std=0.3)
        elif name.startswith("bridge.") and parameter.ndim == 2:  # and pictures
            parameter.data.mul_(3)
        if name == "language.model.lm_head.weight":  # it speaks in letters and blanks
            words = [tokenizer.convert_tokens_to_ids(letter) for letter in "abcdefghijklmnopqrstuvwxyz\u0120\u0120"]
            parameter.data *= torch.zeros(len(parameter), 1).index_fill(0, torch.tensor(words), 1.0)
    values = recipe.model_dump(mode="json")
    values["model"] |= {key: value for key, value in numbers.items() if key not in values["model"]["language"]}
    values["model"]["language"] |= {key: value for key, value in numbers.items() if key in values["model"]["language"]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    save_file({n: t.clone() for n, t in model.state_dict().items()}, folder / "model.safetensors")
    return folder


def chat(folder, system, **numbers):
    """The same, opened for answering."""
    return load(str(saved(folder, system, **numbers)))
