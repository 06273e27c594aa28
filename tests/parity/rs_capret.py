"""The rigs of RS-CapRet, which has no code of its own: FROMAGe's model, its generation, one step of its training.

Recorded from github.com/kohjingyu/fromage, commit b36a188.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from parity.registry import PARITY, Parity, Tensors
from rsvlm.parts.checkpoints.weights import WeightTable
from rsvlm.parts.language.model import opt
from rsvlm.parts.vision.clip import CLIPLevels
from rsvlm.recipe import Ingredient, Stage
from rsvlm.sample import IGNORE, IMAGE_TOKEN
from rsvlm.systems.rs_capret.model import RSCapRet
from rsvlm.systems.rs_capret.runtime import adjusted
from rsvlm.systems.rs_capret.weights import TABLE
from rsvlm.train.stages import freeze, optimizer

TABLE_NAME = "model.lm.model.decoder.embed_tokens.weight"
MAPS = ("bridge", "language.ret", "logit_scale")
HEAD = "model.lm.lm_head.weight"
TIED = (TABLE_NAME, HEAD, "model.input_embeddings.weight")


def _build(config: Mapping[str, Any]) -> RSCapRet:
    """FROMAGe's model: the last row of its table, [RET], is a parameter of ours; the rest of the table gets a gradient
    only so that it can be compared.
    """  # fmt: skip
    words, seen = config["opt"], config["clip"]
    assert words["word_embed_proj_dim"] == words["hidden_size"]
    numbers = {name: value for name, value in words.items() if name not in ("word_embed_proj_dim", "vocab_size")}
    vision = CLIPLevels(
        width=seen["hidden_size"], depth=seen["num_hidden_layers"], heads=seen["num_attention_heads"],
        patch=seen["patch_size"], size=seen["image_size"], taps=[seen["num_hidden_layers"]], class_token=True,
        mlp_ratio=seen["intermediate_size"] / seen["hidden_size"],
    )  # fmt: skip
    vision.mean.zero_()  # pictures are recorded as the tower takes them
    vision.std.fill_(1)
    language = opt(vocab_size=config["V"] - 1, **numbers)
    model = RSCapRet(vision, {"tokens": config["n_vis"], "dim": config["shared"]}, language)
    freeze(model, MAPS)
    model.language.table.requires_grad_(True)
    return model


def _split(tensors: Tensors) -> dict[str, Tensor]:
    """The tied table as its words, and the row of [RET]; of gradients, the head's is that of the table once more."""
    state = "model.lm.model.decoder.embed_positions.weight" in tensors
    kept = {name: tensor for name, tensor in tensors.items() if state or name != HEAD}
    cut = {name: tensor[:-1] for name, tensor in kept.items() if name in TIED}
    rows = {"ret_input_embeddings.weight": tensors[TABLE_NAME][-1:]} if TABLE_NAME in tensors else {}
    return {**kept, **cut, **rows}


def _batch(config: Mapping[str, Any], inputs: Tensors, *, prefix: Tensor | None = None) -> dict[str, Any]:
    """Both modes: rows as recorded, [RET] and padding included, of which neither is learned behind a picture."""
    ids, length = inputs["tokens"], inputs["caption_len"]
    place = torch.arange(ids.shape[1])
    prompt = torch.full((len(ids), config["n_vis"]), IMAGE_TOKEN)
    if prefix is not None:
        prompt = torch.cat([prompt, prefix.expand(len(ids), -1)], 1)
    return {
        "image": inputs["pixel_values"], "prompt": prompt, "prompt_mask": torch.ones_like(prompt, dtype=torch.bool),
        "reply": ids, "reply_mask": torch.ones_like(ids, dtype=torch.bool), "turn": torch.zeros_like(ids),
        "labels": ids.masked_fill(place >= length[:, None] - 1, IGNORE),
        "text": ids, "text_mask": place < length[:, None],
    }  # fmt: skip


def _spoken(model: RSCapRet, batch: dict[str, Any]) -> Tensor:
    """Logits of every position, prompts included."""
    x = torch.cat([model.read(batch), model.language.embed(batch["reply"])], 1)
    return model.language.head(model.language(x, torch.ones(x.shape[:2], dtype=torch.bool))[0])


def _labels(batch: dict[str, Any]) -> Tensor:
    return torch.cat([torch.full_like(batch["prompt"], IGNORE), batch["labels"]], 1)


def _concat(model: RSCapRet, config: Mapping[str, Any], inputs: Tensors) -> dict[str, Tensor]:
    """Two neighbours in one row, and behind both what the first and the second have from their [RET] on."""
    batch, length = _batch(config, inputs), config["n_vis"] + inputs["caption_len"] - 1
    embedded = torch.cat([model.tokens(batch), model.language.embed(batch["reply"])], 1)

    def laid(rows: Tensor) -> Tensor:
        cut = [(row[:end], row[end:]) for row, end in zip(rows, length.tolist(), strict=True)]
        pairs = zip(cut[::2], cut[1::2], strict=True)
        return torch.stack([torch.cat([one[0], other[0], one[1], other[1]]) for one, other in pairs])

    x = laid(embedded)
    logits = model.language.head(model.language(x, torch.ones(x.shape[:2], dtype=torch.bool))[0])
    together = {**batch, "reply_mask": batch["labels"] != IGNORE, "sequence": torch.arange(len(length)) // 2}
    return {
        "cap_concat_labels": laid(_labels(batch)), "cap_concat_logits": logits,
        "cap_concat_loss": model.loss(together)["caption"],
    }  # fmt: skip


def _run_modes(module: Any, inputs: Tensors, config: Mapping[str, Any]) -> Tensors:
    model, batch = module, _batch(config, inputs)
    prefixed = _batch(config, inputs, prefix=torch.tensor(config["prefix_ids"])[None])
    found = model.loss(batch)
    images, texts = model.embed_image(batch), model.embed_text(batch)
    scaled = model.logit_scale.exp() * images
    logits, pairs = scaled @ texts.T, torch.arange(len(images))
    hidden = model.language(model.language.embed(batch["text"]), batch["text_mask"])[0]
    last = hidden[pairs, inputs["caption_len"] - 2]
    by_text, by_image = F.cross_entropy(logits.T, pairs), F.cross_entropy(logits, pairs)
    assert torch.allclose((by_text + by_image) / 2, found["contrastive"], atol=1e-6)
    return {
        "cap_loss": found["caption"], "cap_labels": _labels(batch), "cap_logits": _spoken(model, batch),
        "cap_visual_embs": model.tokens(batch), "cap_prefix_labels": _labels(prefixed),
        "cap_prefix_loss": model.loss(prefixed)["caption"], "cap_prefix_logits": _spoken(model, prefixed),
        "ret_lm_loss": found["ret_lm"], "ret_labels": batch["text"].masked_fill(~batch["text_mask"], IGNORE),
        "ret_embedding": texts, "ret_last_logit": model.language.head(last), "ret_visual_embs_scaled": scaled,
        "logits_per_image": logits, "image_loss": by_image, "caption_loss": by_text,
        **_concat(model, config, inputs),
    }  # fmt: skip


@torch.no_grad()
def _run_generate(module: Any, inputs: Tensors, config: Mapping[str, Any]) -> Tensors:
    model, found = module, dict[str, Tensor]()
    for name, count, words, scale in (
        ("one", 1, 0, 1.0), ("batch", None, 0, 1.0), ("minwords", None, config["min_word_tokens"], config["ret_scale"]),
    ):  # fmt: skip
        batch = {key: value[:count] for key, value in _batch(config, inputs).items()}
        seen: list[Tensor] = []
        adjust = adjusted(model.language.ret, words, scale)

        def kept(logits: Tensor, step: int, adjust: Any = adjust, seen: list[Tensor] = seen) -> Tensor:
            seen.append(adjust(logits, step))
            return seen[-1]

        *_, rows = model.steps(batch, stop=frozenset(), max_new_tokens=config["max_len"], adjust=kept)
        ids = torch.tensor([row.ids for row in rows])
        x = torch.cat([model.read(batch), model.language.embed(ids[:, :-1])], 1)
        hidden = model.language(x, torch.ones(x.shape[:2], dtype=torch.bool))[0]
        found |= {f"{name}_ids": ids, f"{name}_embeddings": model.query(hidden),
                  f"{name}_logits": torch.stack(seen, 1).clamp(min=-1e30)}  # fmt: skip
    return found


def _run_step(module: Any, inputs: Tensors, config: Mapping[str, Any]) -> Tensors:
    """One step of the loop, by the parts that ours is made of: groups of parameters, AdamW, clipping, `after_step`."""
    model = module.train()
    assert (config["concat"], config["cap_scale"], config["ret_scale"]) == (0.0, 1.0, 1.0)
    stage = Stage(
        name="s", data=(Ingredient(set="s"),), trainable=MAPS, steps=1, batch=1, lr=config["lr"],
        betas=(config["beta1"], config["beta2"]), weight_decay=config["wd"], clip=config["grad_clip"],
    )  # fmt: skip
    moving = optimizer(stage, freeze(model, MAPS))
    loss = sum(model.loss(_batch(config, inputs)).values())
    loss.backward()
    names = {TABLE_NAME: "language.ret_in", "model.logit_scale": "logit_scale"}
    for theirs, ours in (("text_hidden_fcs.0.0", "text"), ("visual_embeddings", "visual"), ("visual_fc", "image")):
        names |= {f"model.{theirs}.{leaf}": f"bridge.{ours}.{leaf}" for leaf in ("weight", "bias")}
    parameters = dict(model.named_parameters())
    found = {f"grad_preclip.{theirs}": parameters[ours].grad.clone() for theirs, ours in names.items()}
    rows = found[f"grad_preclip.{TABLE_NAME}"]
    found[f"grad_preclip.{TABLE_NAME}"] = F.pad(rows, (0, 0, config["V"] - 1, 0))  # of all words: nothing
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), stage.clip)
    moving.step()
    model.after_step()
    whole = torch.cat([model.language.table, model.language.ret_in])
    return {**found, "loss": loss.detach(), "total_norm": norm, f"after.{TABLE_NAME}": whole}


_TABLE = WeightTable({
    r"model\.lm\.(.+)": r"language.model.\1",
    r"model\.input_embeddings\.weight": "language.model.model.decoder.embed_tokens.weight",
    r"model\.visual_model\.vision_model\.(.+)": r"vision.model.\1",
}) | TABLE | TABLE.under("model.", "")  # fmt: skip
for _name, _run in (("forward_modes", _run_modes), ("generate", _run_generate), ("train_step", _run_step)):
    PARITY.add(
        f"fromage/{_name}",
        Parity(
            build=_build, run=_run, table=_TABLE, split=_split,
            loss=lambda out, _: out["cap_loss"] + out["ret_lm_loss"] + (out["caption_loss"] + out["image_loss"]) / 2,
        ),
    )  # fmt: skip
