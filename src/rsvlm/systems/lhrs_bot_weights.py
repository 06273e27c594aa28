"""The published weights of LHRS-Bot: FINAL.pt (and TextLoRA/ beside it) into a model folder of ours.

Layout of the release: github.com/NJU-LHRS/LHRS-Bot, branch main, lhrs/models/UniBind.py (custom_load_state_dict).
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor, nn

from rsvlm.errors import BadInput
from rsvlm.parts import weights
from rsvlm.parts.bridge import MultiLevelPerceiver
from rsvlm.parts.weights import Account, WeightTable
from rsvlm.recipe import Recipe
from rsvlm.systems.build import build
from rsvlm.systems.parity import PARITY, Parity, Tensors

PERCEIVER = WeightTable(
    {
        r"(query|out_proj\..+)": r"\1",
        r"in_proj\.(.+)": r"in_proj.0.1.\1",
        r"layers\.(\d+)\.ln_1\.(.+)": r"layers.\1.norm_query.\2",
        r"layers\.(\d+)\.ln_1_kv\.(.+)": r"layers.\1.norm_kv.\2",
        r"layers\.(\d+)\.ln_2\.(.+)": r"layers.\1.norm_mlp.\2",
        r"layers\.(\d+)\.attn\.(.+)": r"layers.\1.attention.\2",
        r"layers\.(\d+)\.mlp\.c_fc\.(.+)": r"layers.\1.mlp.0.\2",
        r"layers\.(\d+)\.mlp\.c_proj\.(.+)": r"layers.\1.mlp.2.\2",
    }
)

_LORA = WeightTable({r"base_model\.model\.(model\..+\.lora_[AB])\.weight": r"\1.default.weight"})
_BASE = "the language model, which is published apart (meta-llama/Llama-2-7b-chat-hf)"


def published_table(own: Iterable[str]) -> WeightTable:
    """Names of FINAL.pt (flattened) and of TextLoRA (under "TextLoRA.") -> names of `LHRSBot`, which are `own`."""
    clip = WeightTable(
        {r"(?:vision_model\.)?((?:embeddings|pre_layrnorm|encoder|post_layernorm)\..+)": r"\1"},
        {r".*embeddings\.position_ids": "a constant that transformers before 4.31 saved"},
    )
    unread = {
        r"other_ckpt\.embed_tokens\..+": "never trained (no token is added), and the released loader never reads it",
        r"other_ckpt\.(lm_head|text_proj)\..+": "never trained; the released loader never reads it",
    }
    tower = "vision.model."
    return (
        clip.under("rgb_ckpt.encoder.", tower + weights.clip_prefix(own, tower))
        | PERCEIVER.under("other_ckpt.rgb_pooler.", "bridge.")
        | _LORA.under("TextLoRA.", "language.model.")
        | WeightTable({}, unread)
    )


def convert_published(
    path: Path, out: Path, *, recipe: Recipe, language_model: Path | None = None, lora: bool = True
) -> Account:
    """Turn a published FINAL.pt into the model folder `out`: model.safetensors, recipe.yaml, provenance.json.

    `recipe` gives the sizes (recipes/lhrs_bot/paper.yaml). `language_model` is the folder of Llama-2-7b-chat-hf, which
    the release does not contain; without it the folder says so when asked. Stage 1 has no adapters: `lora=False`.
    Nothing is left at `out` on failure. Raises BadInput for a file that is damaged, holds code or is of another system,
    for a TextLoRA that is missing or has other numbers, and for any tensor, theirs or ours, without a counterpart.
    """
    path = path / "FINAL.pt" if path.is_dir() else path
    with weights.new_folder(out) as aside:
        language = dict(recipe.model["language"])
        adapter = language.pop("lora", None) if lora else None
        published, files = _read(path, adapter)
        numbers = {**recipe.model, "language": {**language, "lora": adapter}}
        with torch.device("meta"):
            own = build(recipe.model_copy(update={"model": numbers}), for_training=False).state_dict()
        apart = {r"language\.model\.(?!.*\.lora_[AB]\.).+": _BASE, r"tags\..+": "ours; the release has no tags"}
        state, account = weights.adopt(published, own, published_table(own), source=str(path), elsewhere=apart)
        base = str(language_model.resolve()) if language_model else "llama-2-7b-chat"
        final = recipe.model_copy(
            update={"model": {**numbers, "language": {"base": base, "lora": adapter}}, "stages": ()}
        )
        _write(aside, state, final, files, account)
    return account


def _read(path: Path, adapter: Mapping[str, Any] | None) -> tuple[dict[str, Tensor], dict[str, Path]]:
    """The published tensors by flattened name, and the files that they came from."""
    tree = weights.read_pickle(path)
    tree = tree["model"] if isinstance(tree, Mapping) and "model" in tree else tree
    found = sorted(map(str, tree)) if isinstance(tree, Mapping) else [type(tree).__name__]
    if not isinstance(tree, Mapping) or found != ["other_ckpt", "rgb_ckpt"]:
        raise BadInput(
            f"{path} is no LHRS-Bot checkpoint: expected rgb_ckpt and other_ckpt at the top, "
            f"found {', '.join(found[:4])}{', ...' if len(found) > 4 else ''}."
        )
    published, files = weights.flatten(tree, source=str(path)), {path.name: path}
    if any(".rgb_pooler.layernorm_" in name or ".mlp.gate." in name for name in published):
        raise BadInput(
            f"{path} is a checkpoint of LHRS-Bot-Nova (branch nova), not of LHRS-Bot; convert it as lhrs_bot_nova."
        )
    if adapter is not None:
        folder = path.parent / "TextLoRA"
        if not folder.is_dir():
            raise BadInput(
                f"There is no TextLoRA folder beside {path}; put it there, or say that this is a stage-1 checkpoint, "
                "which has none (--no-lora)."
            )
        tensors = weights.read_adapter(folder, r=adapter["r"], lora_alpha=adapter["lora_alpha"])
        published |= {f"TextLoRA.{name}": tensor for name, tensor in tensors.items()}
        files |= {
            f"TextLoRA/{file.name}": file for file in sorted(folder.iterdir()) if file.name.startswith("adapter_")
        }
    return published, files


def _write(
    aside: Path, state: Mapping[str, Tensor], recipe: Recipe, files: Mapping[str, Path], account: Account
) -> None:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, aside / "model.safetensors")
    (aside / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")), encoding="utf-8")
    record = {
        "system": recipe.system, "recipe": recipe.hash,
        "sha256": {name: weights.sha256(file) for name, file in files.items()},
        "loaded": len(account.loaded), "ignored": dict(account.ignored),
        "elsewhere": sorted(set(account.elsewhere.values())),
    }  # fmt: skip
    (aside / "provenance.json").write_text(json.dumps(record, indent=1), encoding="utf-8")


def _recorded_pooler(config: Mapping[str, Any]) -> nn.Module:
    """`AttnPooler` of the original from its constructor's values; an int `stage_num` means that many equal parts."""
    values = config["pooler"]
    stages = values["stage_num"]
    queries = [values["num_query"] // stages] * stages if isinstance(stages, int) else stages
    return MultiLevelPerceiver(
        level_dims=[values["encoder_hidden_size"]] * len(queries), num_queries=queries, width=values["hidden_size"],
        depth=values["num_layers"], heads=values["num_attention_heads"], output_dim=values["output_size"],
    )  # fmt: skip


def _run_pooler(module: nn.Module, inputs: Tensors, config: Mapping[str, Any]) -> Tensors:
    return {"out": module(inputs["image_embs"].split(config["pooler"]["split_part"], 1))}


for _module in ("attn_pooler", "attn_pooler_inproj"):
    PARITY.add(f"lhrs_bot/{_module}", Parity(build=_recorded_pooler, run=_run_pooler, table=PERCEIVER))
