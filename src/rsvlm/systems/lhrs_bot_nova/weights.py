"""The published weights of LHRS-Bot-Nova: FINAL.pt of each stage, and TextLoRA/ beside it, into a model folder of ours.

Layouts: github.com/NJU-LHRS/LHRS-Bot, branch nova (Stage1, Stage2, Stage3), and github.com/NJU-LHRS/ScoreRS,
src/model/lhrsbot_meta_hf.py (Stage3_HF). In which names Stage3_HF differs is not published; ours is to take a tensor by
its name within its module, whatever modules are named around it.
"""

from collections.abc import Iterable
from pathlib import Path

from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints import weights
from rsvlm.parts.checkpoints.weights import Account, WeightTable
from rsvlm.recipe import Recipe
from rsvlm.systems.convert.identified import Has, Identified
from rsvlm.systems.lhrs_bot import files
from rsvlm.systems.lhrs_bot import weights as lhrs_bot_weights
from rsvlm.systems.lhrs_bot.files import LORA, UNREAD, final_file, read_final, write_model

LAYOUT = files.FINAL
EXPERTS = WeightTable(
    {
        r"(layers\.\d+\.mlp\.|)gate\.gate_network\.(.+)": r"\1router.gate.\2",
        r"(layers\.\d+\.mlp\.|)gate\.weight_noise\.(.+)": r"\1router.noise.\2",
        r"(layers\.\d+\.mlp\.|)calculator\.experts\.(weight|bias)_up\.(\d+)": r"\1experts.\3.0.\2",
        r"(layers\.\d+\.mlp\.|)calculator\.experts\.(weight|bias)_down\.(\d+)": r"\1experts.\3.2.\2",
    },
    layouts={r".*calculator\.experts\.weight_down\.\d+": lambda tensor: tensor.mT},  # theirs is (hidden, width)
)
PERCEIVER = (
    lhrs_bot_weights.PERCEIVER
    | WeightTable(
        {
            r"in_proj\.(.+)": r"in_proj.\1",
            r"layernorm_(query|kv)\.(.+)": r"norm_\1.\2",
            r"layernorm_post\.(.+)": r"norm_out.\1",
        }
    )
    | EXPERTS
)
_TOWER = r"rgb_ckpt\.(?:(?:model|rgb)\.)*(?:encoder\.)?(?:vision_model\.)?"
_POOLER = r"other_ckpt\.rgb_pooler\.(?:(?:model|rgb_pooler)\.)*"


def identify(has: Has) -> Identified | None:
    """What a checkpoint of LHRS-Bot-Nova is, from the names of its tensors; None for any other."""
    if not files.is_final(has) or not files.is_nova(has):
        return None
    names = "names as in Stage3_HF" if has(r"^rgb_ckpt\.(model|rgb)\.|rgb_pooler\.(model|rgb_pooler)\.") else ""
    dense = has(r"\.mlp\.c_fc\.")
    variant = ["dense perceiver", names] if dense else ["perceiver of experts", names or "names as in Stage3"]
    return Identified(
        "LHRS-Bot-Nova (branch nova)",
        variant=", ".join(filter(None, variant)),
        stage="1" if dense else "2 or 3 (their names are the same)",
    )


def published_table(own: Iterable[str]) -> WeightTable:
    """Names of FINAL.pt (flattened) and of TextLoRA (under "TextLoRA.") -> names of `LHRSBotNova`, which are `own`."""
    ours = "vision.model." + weights.clip_prefix(own, "vision.model.")
    tower = WeightTable(
        {rf"{_TOWER}((?:embeddings|encoder)\..+)": rf"{ours}\1"},
        {
            rf"{_TOWER}embeddings\.position_ids": "a constant that transformers before 4.31 saved",
            rf"{_TOWER}(?:post_layernorm|head)\..+": "behind the last level that the perceiver reads",
        },
    )
    pooler = WeightTable(
        {f"{_POOLER}(?:{theirs})": f"bridge.{ours}" for theirs, ours in PERCEIVER.renames.items()},
        layouts={f"{_POOLER}(?:{theirs})": turn for theirs, turn in PERCEIVER.layouts.items()},
    )
    return tower | pooler | LORA.under("TextLoRA.", "language.model.") | UNREAD


def convert_published(
    path: Path, out: Path, *, recipe: Recipe, language_model: Path | None = None, vision: Path | None = None,
    lora: bool = True,
) -> Account:  # fmt: skip
    """Turn a published FINAL.pt into the model folder `out`: model.safetensors, recipe.yaml, provenance.json.

    `recipe` gives the sizes (lhrs_bot_nova/paper). A file without experts is taken for what it is,
    stage 1: a dense perceiver and no adapters. `language_model` is the folder of Meta-Llama-3-8B-Instruct, which
    the release does not contain; without it the folder says so when asked. The tower is in the file, so `vision` is
    refused. Nothing is left at `out` on failure. Raises BadInput as
    `rsvlm.systems.lhrs_bot.weights.convert_published` does.
    """
    path = final_file(path, vision)
    with weights.new_folder(out) as aside:
        published = read_final(path)
        if not any(".layernorm_kv." in name for name in published):
            raise BadInput(
                f"{path} is a checkpoint of LHRS-Bot (branch main), not of LHRS-Bot-Nova; convert it as lhrs_bot."
            )
        if any(".mlp.c_fc." in name for name in published):
            bridge = {**recipe.model["bridge"], "experts": 0}
            recipe, lora = recipe.model_copy(update={"model": {**recipe.model, "bridge": bridge}}), False
        return write_model(
            aside, path, published, recipe=recipe, table=published_table, base="llama-3-8b-instruct",
            language_model=language_model, lora=lora,
        )  # fmt: skip
