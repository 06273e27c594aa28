"""How a picture becomes square: as the original processors make it, and where a place of it is in the square."""

import numpy as np
import pytest

from fake import runs
from rsvlm.data.box_codecs import decode
from rsvlm.data.resize import PAD_COLOUR, RESIZE_MODES, box_window, crop_window, full_window, resize_square
from rsvlm.data.synth.box_targets import make_target_sampler
from rsvlm.data.synth.referring import training_samples
from rsvlm.errors import BadInput
from rsvlm.evaluate.solvers import read_boxes
from rsvlm.recipe import read_recipe
from rsvlm.sample import Image, Region, Sample
from rsvlm.systems.build import build, byte_tokenizer

SHAPES = ((30, 47), (47, 30), (33, 33), (5, 64), (1, 9))


def pixels(height, width):
    return np.random.default_rng(height * 99 + width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_crop_is_clips_own_processor(shape):
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    theirs = CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size=24, do_normalize=False, do_rescale=False)
    made = theirs(pixels(*shape), return_tensors="np", input_data_format="channels_last")["pixel_values"][0]
    assert np.array_equal(resize_square(pixels(*shape), 24, "crop"), made.transpose(1, 2, 0))


@pytest.mark.parametrize("shape", SHAPES)
def test_pad_is_llavas_square(shape):
    """`expand2square` with the mean colour, then CLIP's processor, which has nothing left to crop."""
    height, width = shape
    side = max(shape)
    square = np.full((side, side, 3), (122, 116, 104), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = pixels(*shape)
    assert PAD_COLOUR == (122, 116, 104)
    assert np.array_equal(resize_square(pixels(*shape), 24, "pad"), resize_square(square, 24))


@pytest.mark.parametrize("fit", RESIZE_MODES)
def test_a_square_picture_is_the_same_in_every_way(fit):
    assert np.array_equal(resize_square(pixels(40, 40), 24, fit), resize_square(pixels(40, 40), 24))
    assert crop_window((40, 40), 24, fit) == (0, 0, 40, 40)


@pytest.mark.parametrize("fit", RESIZE_MODES)
@pytest.mark.parametrize("extent", [(60, 40), (40, 61), (200, 100)])
def test_a_place_in_the_square_is_found_in_the_picture(fit, extent):
    """A white spot is where `part` says, to half a pixel of either."""
    width, height = extent
    picture = np.zeros((height, width, 3), np.uint8)
    x, y = width // 2 + 6, height // 2 - 5
    picture[y - 3 : y + 3, x - 3 : x + 3] = 255
    seen = resize_square(picture, 48, fit)[..., 0].astype(float)
    seen[(seen > 100) & (seen < 130)] = 0  # the mean colour around it
    seen = np.where(seen > 130, seen, 0)
    rows, columns = np.indices(seen.shape) + 0.5
    where = (seen * columns).sum() / seen.sum() / 48, (seen * rows).sum() / seen.sum() / 48
    left, top, wide, high = crop_window(extent, 48, fit)
    step = max(wide, high) / 48
    assert abs(left + where[0] * wide - x) < max(step, 1) and abs(top + where[1] * high - y) < max(step, 1)


def test_what_is_shown():
    assert crop_window((60, 40), 20, "pad") == (0, -10, 60, 60)
    assert crop_window((40, 61), 20, "pad") == (-10, 0, 61, 61)
    assert crop_window((60, 40), 20, "crop") == (10, 0, 40, 40)
    assert crop_window((60, 40), 20) == (0, 0, 60, 40)
    assert box_window(20, "pad", "stored")((60, 40)) == full_window((60, 40)) == (0, 0, 60, 40)
    assert box_window(20, "pad", "shown")((60, 40)) == (0, -10, 60, 60)


def test_boxes_of_what_is_shown_come_back_to_the_picture():
    text = "[0.50, 0.50, 1.00, 1.00]"
    assert read_boxes(text, "lhrs", (60, 40)) == [[30, 20, 60, 40]]
    assert read_boxes(text, "lhrs", (60, 40), part=crop_window((60, 40), 20, "pad")) == [
        [30, 20, 60, 40]
    ]  # 50 is cut to 40
    assert read_boxes("[0, 0.25, 0.5, 0.5]", "lhrs", (60, 40), part=(0, -10, 60, 60)) == [[0, 5, 30, 20]]
    assert read_boxes(text, "lhrs", (60, 40), part=crop_window((60, 40), 20, "crop")) == [[30, 20, 50, 40]]
    turned = decode("{<0><25><50><50>|<30>}", "geochat").pixels((60, 40), (0, -10, 60, 60))
    assert turned == ((0, 5, 30, 20, 30),)


@pytest.mark.parametrize(("fit", "sides", "wanted"), [
    ("squash", "shown", "[0.50, 0.25, 1.00, 0.75]"), ("pad", "shown", "[0.50, 0.33, 1.00, 0.67]"),
    ("crop", "shown", "[0.50, 0.25, 1.00, 0.75]"), ("pad", "stored", "[0.50, 0.25, 1.00, 0.75]"),
])  # fmt: skip
def test_what_is_trained_is_what_is_read_back(fit, sides, wanted):
    region = Region(label="ship", box=(30, 10, 60, 30) if fit != "crop" else (30, 10, 50, 30))
    sample = Sample(id="a", images=(Image(path="a.png", width=60, height=40),), regions=(region,))
    of = box_window(20, fit, sides)
    (made,) = training_samples([sample], dialect="lhrs", window_of=of)
    answer = next(turn.answer for turn in made.turns if turn.question == "the ship")
    assert answer == wanted
    assert read_boxes(answer, "lhrs", (60, 40), part=of((60, 40)))[0] == pytest.approx(region.box, abs=0.31)
    _, targets = make_target_sampler(byte_tokenizer(), [sample], seed=0, window_of=box_window(20, fit, "shown"))(
        sample, 0
    )
    left, top, wide, high = crop_window((60, 40), 20, fit)
    back = [(left + x1 * wide, top + y1 * high, left + x2 * wide, top + y2 * high) for x1, y1, x2, y2 in targets]
    assert back[0] == pytest.approx(region.box)


PAPERS = {"lhrs_bot/paper": ("crop", "stored"), "lhrs_bot_nova/paper": ("squash", "stored"),
          "rs_gpt4v/paper": ("pad", "shown"), "rs_gpt4v/geochat": ("pad", "stored"),
          "gaia_blip2/paper": ("squash", "shown"),
          "rs_capret/paper": ("crop", "shown"), "rs_capret/fromage_default": ("crop", "shown"),
          "rs_moe/paper": ("squash", "shown"), "skyeyegpt/paper": ("squash", "shown"),
          "gaia/paper": ("crop", ""), "skyscript/paper": ("crop", ""), "skyscript/vit_b32": ("crop", ""),
          **{f"georsclip/{size}": ("crop", "") for size in (
              "paper", "ret2", "vit_l14", "vit_l14_336", "vit_h14", "peft_lora", "peft_prefix", "peft_bottleneck",
              "peft_unipelt")}}  # fmt: skip


def test_every_paper_recipe_says_how_pictures_are_shown():
    import torch

    named = {f"{path.parent.name}/{path.stem}" for path in runs.RECIPES.glob("*/*.yaml")}
    assert {name for name in named if not name.split("/")[1].startswith(("tiny", "mini"))} == {
        *PAPERS,
        "cmid/paper",
        "cmid/paper_swin",
        "mmodal_cc/paper",
        "rsiccformer/paper",  # whose recipes say nothing: squashed, as published
    }
    for name, wanted in PAPERS.items():
        recipe = read_recipe(runs.RECIPES / f"{name}.yaml")
        assert recipe.model["vision"]["fit"] == wanted[0]
        with torch.device("meta"):
            model = build(recipe, for_training=False)
        assert (model.vision.fit, getattr(model, "box_sides", "")) == wanted
    assert "fit" not in read_recipe(runs.RECIPES / "lhrs_bot/mini.yaml").model["vision"]  # squashed, as ever


def test_an_unknown_fit_is_refused():
    recipe = read_recipe(runs.tiny("lhrs_bot"))
    vision = {**recipe.model["vision"], "fit": "paad"}
    with pytest.raises(BadInput, match=r"No fit is named 'paad'.*pad"):
        build(recipe.model_copy(update={"model": {**recipe.model, "vision": vision}}))
