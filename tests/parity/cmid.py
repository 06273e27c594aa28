"""The rigs of CMID: masks, decoder, losses, heads, queue, teacher, Swin tower, and one whole step."""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from parity.registry import PARITY, Parity, Tensors
from rsvlm.parts import masked_reconstruction as masked
from rsvlm.parts import self_distillation as distil
from rsvlm.parts.checkpoints.weights import WeightTable
from rsvlm.parts.vision.resnet import ResNet
from rsvlm.parts.vision.swin import Swin
from rsvlm.systems.cmid.model import CMID
from rsvlm.systems.cmid.weights import DECODER, LOCAL_HEAD, PROJECTOR, published_table

Config = Mapping[str, Any]
NONE = WeightTable({})


def _bare(_: Config) -> nn.Module:
    return nn.Module()


# ---- masks ----


def _masks(_: nn.Module, inputs: Tensors, config: Config) -> Tensors:
    numbers, image = config["gen"], inputs["img"]
    found: dict[str, Tensor] = {}
    for seed in config["seeds"]:
        side = numbers["input_size"] // numbers["mask_patch_size"]
        mask = torch.from_numpy(masked.block_mask(side, numbers["mask_ratio"], np.random.RandomState(seed)))[None]
        tokens = masked.on_grid(mask, [numbers["input_size"] // numbers["model_patch_size"]] * 2)
        found[f"mask_{seed}"], found[f"img_{seed}"] = tokens[0, 0], masked.mean_filled(image[None], mask)[0]
        released = masked.block_mask(7, 0.6, np.random.RandomState(seed))
        found[f"release_mask7x7_{seed}"] = torch.from_numpy(released)
    return found


PARITY.add("cmid/blockwise_mask", Parity(build=_bare, run=_masks, table=NONE))


# ---- heads ----


def _projector(config: Config, batch_norm: bool) -> nn.Module:
    sizes = config["mlp"]
    return distil.projector(sizes["in_dim"], sizes["hidden_dim"], sizes["out_dim"], batch_norm=batch_norm)


def _project(module: nn.Module, inputs: Tensors, _: Config) -> Tensors:
    out = module(inputs["x"])
    return {"out": out, "normalised": F.normalize(out, dim=-1)}


for _name, _norm in (("global_projector", False), ("byol_projector", True)):
    PARITY.add(
        f"cmid/{_name}",
        Parity(build=lambda config, norm=_norm: _projector(config, norm), run=_project, table=PROJECTOR),
    )


def _local_head(config: Config) -> nn.Module:
    sizes = config["head"]
    return distil.LocalHead(
        sizes["in_dim"], prototypes=sizes["out_dim"], hidden=sizes["hidden_dim"], bottleneck=sizes["bottleneck_dim"],
        layers=sizes["num_layers"], batch_norm=sizes["use_bn"],
    )  # fmt: skip


def _head(module: nn.Module, inputs: Tensors, config: Config) -> Tensors:
    module.eval()
    assert isinstance(module, distil.LocalHead)
    found = {"eval_out": module(inputs["x"]), "eval_mlp": module.mlp(inputs["x"])}
    module.train(config["grad_mode"] == "train")
    return {**found, "out": module(inputs["x"])}


for _name in ("local_head_bn", "local_head_nobn"):
    PARITY.add(f"cmid/{_name}", Parity(build=_local_head, run=_head, table=LOCAL_HEAD))

PARITY.add(
    "cmid/mim_head",
    Parity(
        build=lambda config: masked.PixelDecoder(config["head"]["in_channels"], config["head"]["encoder_stride"]),
        run=lambda module, inputs, config: {"out": module(inputs["feature"])}, table=DECODER,
    ),
)  # fmt: skip


# ---- losses ----


def _losses(_: nn.Module, inputs: Tensors, config: Config) -> Tensors:
    pair = inputs["pred"], inputs["target"]
    focal = masked.focal_l1(*pair, **config["focal"])
    return {
        "focal_l1_none": focal, "focal_l1_mean": focal.mean(), "focal_l1_sum": focal.sum(),
        "focal_l1_residual": masked.focal_l1(*pair, **config["focal"], residual=True).mean(),
        "focal_l1_tanh": masked.focal_l1(*pair, **config["focal"], activation="tanh").mean(),
        "ffl_cmid": masked.focal_frequency(*pair),
        "ffl_plain": masked.focal_frequency(*pair, average=False, logarithm=False),
        "ffl_alpha2": 0.5 * masked.focal_frequency(*pair, alpha=2.0, logarithm=False),  # a weight of half there
        "moco": distil.queue_contrast(inputs["query"], inputs["key"], inputs["queue"], config["temperature"]),
        "byol": distil.regression(inputs["byol_p"], inputs["byol_z"]),
    }  # fmt: skip


PARITY.add("cmid/losses", Parity(build=_bare, run=_losses, table=NONE))


def _reconstruction(_: nn.Module, inputs: Tensors, config: Config) -> Tensors:
    head = config["head"]
    own = {"frequency_weight": head["fft_weight"], "seen_frequency": head["fft_unmask_weight"],
           "filler": head["fft_unmask_replace"], "seen_weight": head["unmask_weight"]}  # fmt: skip
    forms = {
        "loss": {}, "loss_no_fft": {"frequency_weight": 0.0}, "loss_mean": {"filler": "mean"},
        "loss_target": {"filler": "target"}, "loss_prediction": {"filler": "prediction"},
        "loss_unmask": {"seen_weight": 0.3},
    }  # fmt: skip
    return {
        name: masked.reconstruction_loss(inputs["x_rec"], inputs["x"], inputs["mask"], **own | more)
        for name, more in forms.items()
    }


PARITY.add("cmid/mim_loss", Parity(build=_bare, run=_reconstruction, table=NONE))


def _local_loss(config: Config) -> nn.Module:
    loss = config["loss"]
    return distil.LocalDistillation(
        loss["class_feat_size"], temperature=loss["online_temp"], centre_momentum=loss["center_momentum"],
        temperatures=(loss["warmup_branch_temp"], loss["branch_temp"]),
        warmup=(loss["warmup_branch_temp_epochs"] - 1) / loss["num_epochs"],
    )  # fmt: skip


def _distil(module: nn.Module, inputs: Tensors, config: Config) -> Tensors:
    assert isinstance(module, distil.LocalDistillation)
    epochs, found = config["loss"]["num_epochs"], dict[str, Tensor]()
    for call in (1, 2):
        pair = inputs[f"online_{call}"], inputs[f"branch_{call}"]
        found[f"loss_{call}"] = module(*pair, config["epoch"] / epochs)
        found[f"center_{call}"] = module.centre.clone()
    found["temp_schedule"] = torch.tensor([module.teacher_temperature(epoch / epochs) for epoch in range(epochs)])
    return found


PARITY.add("cmid/local_loss", Parity(build=_local_loss, run=_distil, table=WeightTable({"center": "centre"})))


# ---- what moves without gradients ----


def _follow(module: nn.Module, inputs: Tensors, config: Config) -> Tensors:
    """The student takes recorded values, the teacher follows; momenta, and the teacher after every iteration."""
    student = nn.Linear(*config["d"])
    teacher = distil.MomentumTeacher({"net": module}, base=config["base"], final=config["final"])
    used, found = list[float](), {"weight": list[Tensor](), "bias": list[Tensor]()}
    for step in range(config["iters"]):
        student.load_state_dict({name: inputs[f"online_{name}"][step] for name in found})
        momentum = teacher.follow({"net": student}, step, config["max_steps"])
        used.append(-1.0 if momentum is None else momentum)
        for name, values in found.items():
            values.append(teacher["net"].get_parameter(name).detach().clone())
    curve = [teacher.momentum(step / config["curve_max"]) for step in config["curve_steps"]]
    return {
        **{name: torch.stack(values) for name, values in found.items()}, "tau_used": torch.tensor(used),
        "tau_curve": torch.tensor(curve),
    }  # fmt: skip


SAME = WeightTable({r"(.+)": r"\1"})
PARITY.add("cmid/ema", Parity(build=lambda config: nn.Linear(*config["d"]), run=_follow, table=SAME))


def _enqueue(_: nn.Module, inputs: Tensors, config: Config) -> Tensors:
    queue, found = distil.KeyQueue(config["dim"], config["k"]), dict[str, Tensor]()
    queue.keys.copy_(distil.initial_keys(inputs["queue_randn"], "legacy"))
    found["queue_init"] = queue.keys.clone()
    for index, keys in enumerate(inputs["keys"]):
        queue.enqueue(keys)
        found[f"queue_{index}"], found[f"ptr_{index}"] = queue.keys.clone(), queue.pointer.clone()
    return found


PARITY.add("cmid/moco_queue", Parity(build=_bare, run=_enqueue, table=NONE))


def _match(_: nn.Module, inputs: Tensors, config: Config) -> Tensors:
    """Recorded windows begin at fractions of where they could begin; the features are of a map, flattened."""
    extent, side, found = torch.tensor(config["size"]), config["N"], dict[str, Tensor]()
    maps = {name: inputs[f"map_{name}"].mT.unflatten(2, (side, side)) for name in "ab"}
    for front, coordinates in (("", "legacy"), ("pixel_", "pixel")):
        centres = {}
        for name in "ab":
            place = inputs[f"location_{name}"]
            corner = place[:, 2:4] * (extent - place[:, :2])
            window = torch.cat([place[:, :2], corner, place[:, 4:]], 1)
            centres[name] = distil.cell_centres(window, side, tuple(config["size"]), coordinates)
            found[f"{front}grid_{name}"] = centres[name]
        for name, other in ("ab", "ba"):
            pair = maps[name], maps[other], centres[name], centres[other]
            here, there = distil.matched(*pair, config["num_matches"])
            found[f"{front}sel_{name}"], found[f"{front}nn_{other}"] = here.mT, there.mT
    return found


PARITY.add("cmid/position_match", Parity(build=_bare, run=_match, table=NONE))


# ---- towers and the whole step ----


class _Masked(nn.Module):
    """A tower and its token, as the original wraps them."""

    def __init__(self, vision: Swin) -> None:
        super().__init__()
        self.vision, self.mask_token = vision, nn.Parameter(torch.zeros(1, vision.stem_dim, 1, 1))


def _swin(config: Config) -> nn.Module:
    numbers, sizes = config["swin"], config["swin"]["arch"]
    return _Masked(Swin(
        width=sizes["embed_dims"], depths=sizes["depths"], heads=sizes["num_heads"], window=numbers["window_size"],
        size=numbers["img_size"], taps=numbers["out_indices"],
    ))  # fmt: skip


def _see(module: nn.Module, inputs: Tensors, _: Config) -> Tensors:
    assert isinstance(module, _Masked)
    tower, found = module.vision, dict[str, Tensor]()
    stem = tower.stem_map(inputs["image"])
    found["plain"], found["masked"] = (
        tower.deep_maps(stem)[-1],
        masked.masked_map(tower, inputs["image"], inputs["mask"], module.mask_token),
    )
    cells = stem.permute(0, 2, 3, 1)
    for index, stage in enumerate(tower.stages):
        cells = stage(cells)
        found[f"stage_{index}"] = cells.flatten(1, 2)
    return found


_ENCODER = WeightTable(
    {r"model\.(.+)": r"vision.\1", "mask_token": "mask_token"},
    layouts={"mask_token": lambda token: token.reshape(1, -1, 1, 1)},
)
PARITY.add("cmid/mask_swin", Parity(build=_swin, run=_see, table=_ENCODER))


_EPOCHS = 100  # any number: the teacher's temperature was recorded in the second of 5 epochs in which it rises


def _system(config: Config) -> nn.Module:
    widths = config["channels"]
    tower = ResNet(depths=[1] * len(widths), widths=widths, block="basic", size=config["size"])
    return CMID(
        tower, hidden=config["hidden"], width=config["out"], queue=config["K"], matches=config["num_matches"],
        temperature=config["temperature"], momentum=(config["tau"], 1.0), teacher_warmup=4 / _EPOCHS,
        local={"prototypes": config["cfs"], "hidden": config["hidden"], "bottleneck": config["bott"],
               "layers": config["layers"], "batch_norm": config["use_bn"]},
    )  # fmt: skip


def _step(module: nn.Module, inputs: Tensors, config: Config) -> Tensors:
    assert isinstance(module, CMID)
    views, shown = (inputs["img"], inputs["view"]), (inputs["mim_img"], inputs["view_mim_img"])
    masks, centres = (inputs["mask"], inputs["view_mask"]), (inputs["location_a"], inputs["location_b"])
    tower: Any = module.teacher["vision"]
    with torch.no_grad():
        module.eval()
        found = {
            "student_eval_plain": module.backbone.deep_maps(module.backbone.stem_map(views[0]))[-1],
            "student_eval_masked": masked.masked_map(module.backbone, shown[0], masks[0], module.mask_token),
            "teacher_eval": tower.deep_maps(tower.stem_map(views[0]))[-1],
        }
        module.train()
    module.step = config["epoch"], _EPOCHS
    losses = module.compare(views, shown, masks, centres)
    found |= {"loss_rec": losses["reconstruction"], "global_loss": losses["contrastive"], "pixel_loss": losses["local"]}
    found["total_loss"] = torch.stack(list(losses.values())).sum()
    averaged = copy.deepcopy(module.teacher)
    averaged.follow(module._followed(), 1, _EPOCHS)  # the first step that is followed, with the momentum of the start
    fronts = {"vision.": "branch_encoder.", "projector.": "branch_projector.layer.0.",
              "local_head.": "branch_class_projector."}  # fmt: skip
    for name, tensor in averaged.state_dict().items():
        front = next(front for front in fronts if name.startswith(front))
        found[f"ema.{fronts[front]}{name.removeprefix(front)}"] = tensor
    return found


PARITY.add("cmid/moco_full_step", Parity(
    build=_system, run=_step, table=published_table(), loss=lambda outputs, inputs: outputs["total_loss"],
    all_gradients=False,
))  # fmt: skip
