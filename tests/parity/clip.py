"""The rigs of CLIP, recorded from SkyScript's open_clip and GeoRSCLIP's classifier: towers, loss, words, classes.

Recorded from github.com/wangzhecheng/SkyScript, commit b16d2e7, and github.com/om-ai-lab/RS5M, commit 084cdd9.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from parity.registry import PARITY, ROWS, Parity, Rows, Tensors
from rsvlm import assets
from rsvlm.metrics.zero_shot import class_weights, zero_shot_logits
from rsvlm.parts import losses
from rsvlm.parts.checkpoints.open_clip import published_table, split_attention
from rsvlm.parts.checkpoints.weights import WeightTable
from rsvlm.parts.text.clip import CLIPText
from rsvlm.parts.text.clip_tokenizer import tokenizer_from_merges
from rsvlm.parts.vision.clip import CLIPLevels
from rsvlm.parts.vision_text import VisionTextDualEncoder


def _build(config: Mapping[str, Any]) -> nn.Module:
    """`CLIP` of the original from its constructor's values; the vocabulary is as large as its recorded matrix."""
    values, vision, text = (config["clip"], config["clip"]["vision_cfg"], config["clip"]["text_cfg"])
    activation = "quick_gelu" if config["quick_gelu"] else "gelu"
    tower = CLIPLevels(
        width=vision["width"], depth=vision["layers"], heads=vision["width"] // vision["head_width"],
        patch=vision["patch_size"], size=vision["image_size"], taps=[vision["layers"]], class_token=True,
        activation=activation, mlp_ratio=vision["mlp_ratio"],
    )  # fmt: skip
    words = CLIPText(
        vocabulary=config["shapes"]["token_embedding.weight"][0], width=text["width"], depth=text["layers"],
        heads=text["heads"], context=text["context_length"], activation=activation,
        mlp_ratio=text.get("mlp_ratio", 4.0),
    )  # fmt: skip
    return VisionTextDualEncoder(tower, words, dim=values["embed_dim"])


def _run(model: Any, inputs: Tensors, config: Mapping[str, Any]) -> Tensors:
    """Everything that is recorded, blocks sequence first. The pictures are normalised already."""
    seen = model.vision.hidden(inputs["image"])
    read = model.text.model(input_ids=inputs["text"], output_hidden_states=True).hidden_states
    batch: Any = {"levels": [seen[-1]], "text": inputs["text"], "text_mask": inputs["text"] >= 0}
    image, text, scale = model.embed_image(batch), model.embed_text(batch), model.logit_scale.exp()
    blocks = {f"visual_block_{at}": one.transpose(0, 1) for at, one in enumerate(seen[1:])}
    blocks |= {f"text_block_{at}": one.transpose(0, 1) for at, one in enumerate(read[1:])}
    return blocks | {
        "image_features_raw": model.image_features(batch["levels"]), "image_features": image,
        "text_features_raw": model.text_features(batch["text"], batch["text_mask"]), "text_features": text,
        "logit_scale": scale, "logits_per_image": scale * image @ text.T, "logits_per_text": scale * text @ image.T,
        "loss": sum(model.loss(batch).values()),
    }  # fmt: skip


def _run_loss(module: nn.Module, inputs: Tensors, config: Mapping[str, Any]) -> Tensors:
    logits = inputs["logit_scale"] * inputs["image_features"] @ inputs["text_features"].T
    return {"logits_per_image": logits, "logits_per_text": logits.T, "loss": losses.contrastive(logits)}


@torch.no_grad()
def _run_classifier(model: Any, inputs: Tensors, config: Mapping[str, Any]) -> Tensors:
    """Both averages of the prompts, and the classes that each gives the pictures."""
    levels, tokens = [model.vision.hidden(inputs["image"])[-1]], inputs["tokens"]
    image = F.normalize(model.image_features(levels), dim=-1)
    prompts = model.text_features(tokens.flatten(0, 1), tokens.flatten(0, 1) >= 0).unflatten(0, tokens.shape[:2])
    found: dict[str, Tensor] = {"image_features": image, "text_features_raw": prompts}
    for theirs, average in (("georsclip", "raw_mean"), ("skyscript", "unit_mean"), ("open_clip", "unit_mean")):
        weights = class_weights(prompts.numpy(), average=average)
        logits = torch.from_numpy(zero_shot_logits(image.numpy(), weights)).float()
        found |= {f"weights_{theirs}": torch.from_numpy(weights.T).float(), f"logits_{theirs}": logits}
        found[f"top5_{theirs}"] = logits.topk(min(5, logits.shape[1]), dim=1).indices
    return found


def _words(config: Mapping[str, Any]) -> Any:
    """Text -> ids alone, and ids as a row of each recorded length."""
    tokenizer = tokenizer_from_merges(assets.clip_merges())
    assert len(tokenizer) == config["vocab_size"]

    def read(text: str) -> dict[str, list[int]]:
        rows = {
            f"row{most}": tokenizer(text, truncation=True, max_length=most)["input_ids"]
            for most in config["context_length"]
        }
        return {"ids": tokenizer(text, add_special_tokens=False)["input_ids"], **rows}

    return read


_TABLE = published_table(())
for _module in ("clip_quickgelu", "clip_gelu"):
    PARITY.add(
        f"clip/{_module}",
        Parity(build=_build, run=_run, table=_TABLE, split=split_attention, loss=lambda outputs, _: outputs["loss"]),
    )
PARITY.add("clip/clip_loss", Parity(build=lambda config: nn.Module(), run=_run_loss, table=WeightTable({})))
PARITY.add("clip/zero_shot_classifier", Parity(build=_build, run=_run_classifier, table=_TABLE, split=split_attention))
ROWS.add("clip/tokenizer", Rows(input="text", read=_words))
