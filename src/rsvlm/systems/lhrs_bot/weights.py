"""The published weights of LHRS-Bot: FINAL.pt (and TextLoRA/ beside it) into a model folder of ours.

Layout of the release: github.com/NJU-LHRS/LHRS-Bot, branch main, lhrs/models/UniBind.py (custom_load_state_dict).
"""

from collections.abc import Iterable
from pathlib import Path

from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints import clip as clip_weights
from rsvlm.parts.checkpoints import weights
from rsvlm.parts.checkpoints.weights import Account, WeightTable
from rsvlm.recipe import Recipe
from rsvlm.systems.convert.identified import Has, Identified
from rsvlm.systems.lhrs_bot import files
from rsvlm.systems.lhrs_bot.files import LORA, UNREAD, final_file, read_final, write_model

LAYOUT = files.FINAL

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


def identify(has: Has) -> Identified | None:
    """What a checkpoint of LHRS-Bot is, from the names of its tensors; None for any other."""
    if not files.is_final(has) or files.is_nova(has):
        return None
    adapted = has(r"^TextLoRA\.")
    stage = "2 or 3 (their names are the same)" if adapted else "1, unless its TextLoRA folder is missing"
    return Identified("LHRS-Bot (branch main)", variant="dense perceiver", stage=stage)


def published_table(own: Iterable[str]) -> WeightTable:
    """Names of FINAL.pt (flattened) and of TextLoRA (under "TextLoRA.") -> names of `LHRSBot`, which are `own`."""
    tower = [name.removeprefix("vision.") for name in own if name.startswith("vision.")]
    return (
        clip_weights.published_table(tower).under("rgb_ckpt.encoder.", "vision.")
        | PERCEIVER.under("other_ckpt.rgb_pooler.", "bridge.")
        | LORA.under("TextLoRA.", "language.model.")
        | UNREAD
    )


def convert_published(
    path: Path, out: Path, *, recipe: Recipe, language_model: Path | None = None, vision: Path | None = None,
    lora: bool = True,
) -> Account:  # fmt: skip
    """Turn a published FINAL.pt into the model folder `out`: model.safetensors, recipe.yaml, provenance.json.

    `recipe` gives the sizes (lhrs_bot/paper). `language_model` is the folder of Llama-2-7b-chat-hf,
    which the release does not contain; without it the folder says so when asked. Stage 1 has no adapters:
    `lora=False`. The tower is in the file, so `vision` is refused. Nothing is left at `out` on failure. Raises
    BadInput for a file that is damaged, holds code or is of another system, for a TextLoRA that is missing or has
    other numbers, and for any tensor, theirs or ours, without a counterpart.
    """
    path = final_file(path, vision)
    with weights.new_folder(out) as aside:
        published = read_final(path)
        if any(".rgb_pooler.layernorm_" in name or ".mlp.gate." in name for name in published):
            raise BadInput(
                f"{path} is a checkpoint of LHRS-Bot-Nova (branch nova), not of LHRS-Bot; convert it as lhrs_bot_nova."
            )
        return write_model(
            aside, path, published, recipe=recipe, table=published_table, base="llama-2-7b-chat",
            language_model=language_model, lora=lora,
        )  # fmt: skip
