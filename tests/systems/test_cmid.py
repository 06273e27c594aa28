"""CMID: its facts, its tower alone, the files that go in and those that come out."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fake import batches, runs
from fake.releases import cmid as release
from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints.backbones import read_backbone
from rsvlm.parts.vision.swin import Swin
from rsvlm.recipe import Recipe, read_recipe
from rsvlm.systems.build import build
from rsvlm.systems.convert.convert import convert
from rsvlm.systems.convert.export import export_tower
from rsvlm.systems.convert.verify import verify
from rsvlm.systems.load import load
from rsvlm.train.stages import freeze
from rsvlm.train.start import fitting_state

FORMS = {"resnet": release.recipe(release.RESNET), "swin": release.recipe(release.SWIN)}
each = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
PICTURES = [np.random.default_rng(n).integers(0, 255, (70, 64, 3), np.uint8) for n in range(3)]


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("size, decoder, projector, head", [
    ("paper", 6_294_528, 4_720_896, 9_451_776), ("paper_swin", 3_148_800, 2_623_744, 7_346_432),
])  # fmt: skip
def test_the_heads_of_the_paper_have_their_parameters(size, decoder, projector, head):
    """Counted by the original's shapes, the frozen lengths of the prototypes among those of the local head."""
    with torch.device("meta"):
        model = build(read_recipe(f"cmid/{size}"), for_training=False)
    lengths = model.local_head.last_layer.weight_g
    assert (count(model.decoder), count(model.projector)) == (decoder, projector) and lengths.numel() == 2048
    assert count(model.local_head) + lengths.numel() == head
    assert count(model.teacher) == sum(count(part) for part in (model.vision, model.projector, model.local_head))
    assert model.queue.keys.shape == (256, 65536) and model.vision.size == 224


def test_thirty_of_the_papers_forty_nine_blocks_are_hidden():
    from rsvlm.parts.masked_reconstruction import block_mask

    numbers = read_recipe("cmid/paper").model["distillation"]
    side = 224 // numbers["block"]
    assert side == 7 and block_mask(side, numbers["mask_ratio"], np.random.default_rng(0)).sum() == 30


def test_the_papers_teacher_warms_up_over_fifty_epochs():
    """0.04 in the first of them, 0.07 from the fiftieth on, in equal steps."""
    recipe = read_recipe("cmid/paper")
    with torch.device("meta"):
        loss = build(recipe, for_training=False).local_loss
    found = [loss.teacher_temperature(epoch / 200) for epoch in (0, 1, 49, 50, 199)]
    assert found == pytest.approx([0.04, 0.04 + 0.03 / 49, 0.07, 0.07, 0.07])
    assert recipe.stages[0].steps == 200 * (990_848 // 256) and recipe.stages[0].floor == 1e-6 / 0.004


@each
def test_a_step_gives_three_losses_and_moves_what_follows(form):
    torch.manual_seed(0)
    model = build(form).train()
    freeze(model, ["vision", "mask_token", "decoder", "projector", "local_head"])
    batch = batches.views(model)
    before = {name: model.get_buffer(name).clone() for name in ("queue.keys", "local_loss.centre")}
    losses = model.loss(batch)
    assert list(losses) == ["reconstruction", "contrastive", "local"]
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.any() for p in (model.mask_token, *model.decoder.parameters()))
    assert not any(p.grad is not None for p in model.teacher.parameters())
    assert all(not torch.equal(model.get_buffer(name), old) for name, old in before.items())
    assert int(model.queue.pointer) == 8
    with torch.no_grad():
        model.mask_token.normal_()
    assert not torch.equal(model.loss(batch)["reconstruction"], losses["reconstruction"])


def test_coordinates_are_the_recipes_own():
    """Where views were cut decides which places are compared, but not in the released form."""
    found = {}
    for form in ("pixel", "legacy"):
        torch.manual_seed(0)
        model = build(release.recipe(release.RESNET | {"size": 128}, match_coords=form)).eval()
        batch = batches.views(model, count=2)
        moved = {
            **batch,
            "window": batch["window"] + torch.tensor([0, 0, 29.0, 56.0, 0]) * (batch["window"][:, :1] < 128),
        }
        found[form] = [copied(model).loss(one)["local"].item() for one in (batch, moved)]
    assert found["pixel"][0] != found["pixel"][1] and found["legacy"][0] == pytest.approx(found["legacy"][1], abs=1e-6)


def copied(model):
    import copy

    return copy.deepcopy(model)


def test_a_tower_without_a_stem_is_refused():
    tower = {"tower": "clip", "width": 16, "depth": 1, "heads": 2, "patch": 8, "size": 32, "taps": [1]}
    with pytest.raises(BadInput, match=r"CLIPLevels has no stem.*resnet, swin or efficientnet_lite0"):
        build(Recipe(system="cmid", size="x", model={"vision": tower}))


def test_numbers_that_are_off_are_named():
    with pytest.raises(BadInput, match="variant is 'dino'; expected moco or byol"):
        build(release.recipe(release.RESNET, variant="dino"))
    alone = build(Recipe(system="cmid", size="x", model={"vision": release.RESNET}))
    with pytest.raises(BadInput, match=r"CMID's tower alone; give model\.distillation"):
        alone.loss({})


def test_the_mini_tower_learns_from_its_own_stem():
    """EfficientNet-Lite0 at a small size: the token lies behind the stem, and its norms keep their statistics."""
    values = read_recipe("cmid/mini_tower").model_dump(mode="json")["model"]
    values["vision"]["weights"] = "random"
    values["distillation"] |= {"queue": 8, "matches": 3}
    torch.manual_seed(0)
    model = build(Recipe(system="cmid", size="x", model=values)).train()
    assert model.mask_token.shape == (1, 32, 1, 1) and model.decoder.proj.out_channels == 3 * 32 * 32
    batch = batches.views(model, count=2)
    batch["image"] = nn.functional.interpolate(batch["image"], (64, 64))
    batch["hidden"] = batch["hidden"][:, :2, :2]
    statistics = model.vision.stem[1].running_mean.clone()
    sum(model.loss(batch).values()).backward()
    assert model.mask_token.grad.any() and torch.equal(model.vision.stem[1].running_mean, statistics)


# Published files.


@each
@pytest.mark.parametrize("wrapped", ["model", "state_dict", ""])
def test_a_backbone_is_the_student_of_its_checkpoint_however_it_is_wrapped(tmp_path, form, wrapped):
    """The published backbone, the same in a `state_dict`, and the whole: all are `weights` of a tower."""
    whole = release.write(tmp_path / "whole", form)
    alone = release.write(tmp_path / "alone", form, backbone=True)
    path = tmp_path / "alone" / release.FILE
    torch.save({wrapped: alone} if wrapped else alone, path)
    vision = form.model["vision"]
    towers = [
        build(Recipe(system="cmid", size="x", model={"vision": vision | {"weights": str(file)}})).vision
        for file in (path, tmp_path / "whole" / release.FILE)
    ]
    for tower in towers:
        assert all(torch.equal(value, alone[name]) for name, value in tower.state_dict().items())
    _, account = read_backbone(tmp_path / "whole" / release.FILE, towers[0])
    assert set(account.loaded) | set(account.ignored) == set(whole)
    assert set(account.ignored.values()) == {"what trained the backbone (CMID)"}


def test_a_backbone_with_a_lost_or_strange_tensor_is_refused(tmp_path):
    alone = release.write(tmp_path, FORMS["swin"], backbone=True)
    tower = Swin(**{name: value for name, value in release.SWIN.items() if name != "tower"})
    for change, match in (
        ({"stages.9.x": torch.ones(1)}, "holds stages.9.x, which"),
        ({"norm3.bias": None}, "lacks 1 of"),
    ):
        torch.save({n: t for n, t in (alone | change).items() if t is not None}, tmp_path / release.FILE)
        with pytest.raises(BadInput, match=match):
            read_backbone(tmp_path / release.FILE, tower)


def test_a_file_has_the_recipe_of_its_tower(tmp_path):
    """Without a recipe, the sizes are the paper's with that tower, which these small files have not."""
    for name, expected in (("resnet", r"mask_token has shape .* expected \(1, 64, 1, 1\)"),
                           ("swin", r"mask_token has shape .* expected \(1, 128, 1, 1\)")):  # fmt: skip
        release.write(tmp_path / name, FORMS[name])
        with pytest.raises(BadInput, match=expected):
            convert(tmp_path / name / release.FILE, tmp_path / "out")
        other = {"resnet": "swin", "swin": "resnet"}[name]
        with pytest.raises(BadInput, match=f"holds a {name}, the recipe has a {other}"):
            convert(tmp_path / name / release.FILE, tmp_path / "out", recipe=FORMS[other])
        with pytest.raises(BadInput, match="holds the whole model; leave out --language-model"):
            convert(tmp_path / name / release.FILE, tmp_path / "out", recipe=FORMS[name], language_model=tmp_path)


@each
def test_a_converted_checkpoint_goes_on_learning_and_a_backbone_only_sees(tmp_path, form):
    release.write(tmp_path / "whole", form)
    convert(tmp_path / "whole" / release.FILE, tmp_path / "model", recipe=form)
    state = load_file(tmp_path / "model" / "model.safetensors")
    model = build(form)
    kept, left_out = fitting_state(state, model.state_dict(), "the folder")
    assert not left_out and set(kept) == set(model.state_dict())
    release.write(tmp_path / "alone", form, backbone=True)
    convert(tmp_path / "alone" / release.FILE, tmp_path / "tower", recipe=form)
    assert verify(tmp_path / "tower")["groups"].keys() == {"vision"}
    vectors = [load(str(tmp_path / name)).embed_images(PICTURES) for name in ("model", "tower")]
    assert np.array_equal(*vectors)


# Files for others.


@each
def test_an_exported_backbone_is_the_published_one_and_comes_back(tmp_path, form):
    whole = release.write(tmp_path / "whole", form)
    convert(tmp_path / "whole" / release.FILE, tmp_path / "model", recipe=form)
    for part, front in (("student", "online_encoder.model."), ("teacher", "branch_encoder.")):
        written = export_tower(str(tmp_path / "model"), tmp_path / part, part=part, pth=True)
        wanted = {n.removeprefix(front): t for n, t in whole.items() if n.startswith(front)}
        for found in (load_file(written), torch.load(written.with_name("backbone.pth"), weights_only=True)):
            assert found.keys() == wanted.keys() and all(torch.equal(found[n], wanted[n]) for n in wanted)
        vision = form.model["vision"] | {"weights": str(written)}
        tower = build(Recipe(system="cmid", size="x", model={"vision": vision})).vision
        assert all(torch.equal(value, wanted[name]) for name, value in tower.state_dict().items())
        said = json.loads((tmp_path / part / "preprocessing.json").read_text())
        assert said["mean"] == pytest.approx([0.485, 0.456, 0.406]) and said["mean_255"][0] == pytest.approx(123.675)
        assert said["part"] == part and said["source"]["weights_licence"] == "no commercial use (README)"
        assert said["channels"] == "RGB" and said["size"] == 64 and said["fit"] == "squash"
    with pytest.raises(BadInput, match="exists already"):
        export_tower(str(tmp_path / "model"), tmp_path / "student")


def test_an_exported_swin_is_transformers_own(tmp_path):
    from transformers import SwinModel

    form = FORMS["swin"]
    release.write(tmp_path / "whole", form)
    convert(tmp_path / "whole" / release.FILE, tmp_path / "model", recipe=form)
    export_tower(str(tmp_path / "model"), tmp_path / "hf", layout="transformers")
    theirs = SwinModel.from_pretrained(tmp_path / "hf", add_pooling_layer=False).eval().double()
    ours = load(str(tmp_path / "model")).model.vision.double()  # small weights: float32 is coarse behind the norms
    image = torch.rand(2, 3, 64, 64).double()
    with torch.no_grad():
        assert torch.allclose(ours(image)[0], theirs(ours.normalised(image)).last_hidden_state, atol=1e-5)
    with pytest.raises(BadInput, match="has the tower ResNet; expected swin"):
        release.write(tmp_path / "r", FORMS["resnet"])
        convert(tmp_path / "r" / release.FILE, tmp_path / "resnet", recipe=FORMS["resnet"])
        export_tower(str(tmp_path / "resnet"), tmp_path / "no", layout="transformers")


def test_what_has_no_teacher_or_no_such_tower_is_told_so(tmp_path):
    release.write(tmp_path / "alone", FORMS["resnet"], backbone=True)
    convert(tmp_path / "alone" / release.FILE, tmp_path / "tower", recipe=FORMS["resnet"])
    with pytest.raises(BadInput, match="holds no teacher: it was not trained by CMID here"):
        export_tower(str(tmp_path / "tower"), tmp_path / "out", part="teacher")
    recipe = read_recipe(runs.tiny("skyeyegpt"))
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "recipe.yaml").write_text(runs.tiny("skyeyegpt").read_text())
    assert recipe.model["vision"]["tower"] == "eva_clip"
    with pytest.raises(BadInput, match="has the tower EVACLIP; expected resnet, swin or efficientnet_lite0"):
        export_tower(str(tmp_path / "chat"), tmp_path / "out")


def test_the_command_writes_them(tmp_path, capsys, monkeypatch):
    from rsvlm import cli

    release.write(tmp_path / "whole", FORMS["resnet"])
    convert(tmp_path / "whole" / release.FILE, tmp_path / "model", recipe=FORMS["resnet"])
    words = ["export", tmp_path / "model", "--out", tmp_path / "out", "--part", "teacher", "--pth"]
    monkeypatch.setattr("sys.argv", ["rsvlm", "weights", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 0 and "the teacher's tower" in capsys.readouterr().out
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "backbone.safetensors", "backbone.pth", "preprocessing.json"
    }  # fmt: skip
