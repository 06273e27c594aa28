"""The rigs of RSICCformer and MModalCC: encoders, layers of the decoders, decoders with their loss, beam search."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from parity.registry import PARITY, Parity, Tensors
from rsvlm.parts.beam_search import beam_search, best
from rsvlm.parts.change_captioner import word_loss
from rsvlm.parts.change_captioning import (
    CaptionDecoder,
    CaptionLayer,
    CrossModalEncoder,
    DifferenceEncoder,
    GatedCaptionLayer,
)
from rsvlm.parts.checkpoints.weights import WeightTable
from rsvlm.sample import IGNORE
from rsvlm.systems.convert.change_captioning import renamed
from rsvlm.systems.mmodal_cc import weights as mmodal
from rsvlm.systems.rsiccformer import weights as rsicc

Config = Mapping[str, Any]


def side_by_side(before: Tensor, after: Tensor) -> Tensor:
    return torch.stack([before, after], 1).flatten(0, 1)


def of_encoder(config: Config) -> dict[str, Any]:
    sizes = config["enc"]
    return {"width": sizes["d_model"], "heads": sizes["n_head"], "layers": sizes["n_layers"],
            "dropout": sizes["dropout"], "grid": sizes["h"]}  # fmt: skip


# ---- encoders ----


def _cross_modal(module: nn.Module, inputs: Tensors, _: Config) -> Tensors:
    assert isinstance(module, CrossModalEncoder)
    maps = side_by_side(inputs["img_a"], inputs["img_b"])
    semantic = side_by_side(inputs["sem_a"], inputs["sem_b"])
    outputs, found = module.layer_outputs, dict[str, Tensor]()
    kept: list[Any] = []
    module.layer_outputs = lambda *grids: kept.append(outputs(*grids)) or kept[-1]
    rgb, sem = module(maps, semantic)
    for layer, streams in enumerate(kept[0]):
        for name, tokens in zip("is", streams, strict=True):
            found |= {f"layer{layer}_{name}{date + 1}": tokens[date::2].transpose(0, 1) for date in (0, 1)}
    return {**found, "rgb": rgb.transpose(0, 1), "sem": sem.transpose(0, 1)}


for _name in ("encoder", "encoder_train_bn"):
    PARITY.add(f"mmodalcc/{_name}", Parity(
        build=lambda config: CrossModalEncoder(config["enc"]["feature_dim"], **of_encoder(config)), run=_cross_modal,
        table=mmodal.ENCODER,
    ))  # fmt: skip


class _ByChannels(nn.Module):
    """The encoder with a projection for each of the towers that the original knows; the input says which."""

    def __init__(self, encoder: DifferenceEncoder, width: int) -> None:
        super().__init__()
        names = {1024: "projection", 768: "projection2", 512: "projection3", 256: "projection4"}
        self.names, self.projections = names, nn.ModuleDict({n: nn.Conv2d(c, width, 1) for c, n in names.items()})
        self.encoder = encoder
        del encoder.projection


def _difference(module: nn.Module, inputs: Tensors, _: Config) -> Tensors:
    assert isinstance(module, _ByChannels)
    maps, encoder = side_by_side(inputs["img_a"], inputs["img_b"]), module.encoder
    encoder.projection = module.projections[module.names[maps.shape[1]]]
    outputs = encoder.layer_outputs(maps)
    found = {f"layer{layer}_{date}": tokens.transpose(0, 1)
             for layer, dates in enumerate(outputs) for date, tokens in zip("ab", dates, strict=True)}  # fmt: skip
    return {**found, "out": encoder(maps)[0].transpose(0, 1)}


PARITY.add("rsiccformer/encoder", Parity(
    build=lambda config: _ByChannels(DifferenceEncoder(1, **of_encoder(config)), config["enc"]["d_model"]),
    run=_difference,
    table=WeightTable({r"(projection\d?)\.(.+)": r"projections.\1.\2"}) | rsicc.ENCODER.under("", "encoder."),
))  # fmt: skip


# ---- decoders ----


def _memories(memory: Tensor, streams: int) -> list[Tensor]:
    return [one.transpose(0, 1) for one in memory.chunk(streams, -1)]


def _layer(streams: int) -> Callable[[nn.Module, Tensors, Config], Tensors]:
    return lambda module, inputs, _: {
        "out": module(inputs["tgt"].transpose(0, 1), _memories(inputs["memory"], streams)).transpose(0, 1)
    }


def _built(kind: type[CaptionLayer]) -> Callable[[Config], nn.Module]:
    return lambda config: kind(
        config["layer"]["d_model"], config["layer"]["nhead"], config["layer"]["dim_feedforward"], 0.1
    )


PARITY.add("mmodalcc/mgca_layer", Parity(
    build=_built(GatedCaptionLayer), run=_layer(2), table=renamed(mmodal.CAPTION_LAYER, mmodal.DEAD),
))  # fmt: skip
PARITY.add("rsiccformer/decoder_layer", Parity(
    build=_built(CaptionLayer), run=_layer(1), table=renamed(rsicc.CAPTION_LAYER, rsicc.DEAD),
))  # fmt: skip


def _decoder(gated: bool) -> Callable[[Config], nn.Module]:
    def build(config: Config) -> nn.Module:
        sizes = config["dec"]
        return CaptionDecoder(
            sizes["vocab_size"], width=sizes["feature_dim"], heads=sizes["n_head"], layers=sizes["n_layers"],
            dropout=sizes["dropout"], gated=gated,
        )  # fmt: skip

    return build


def _speak(module: nn.Module, inputs: Tensors, _: Config) -> Tensors:
    """The original gives captions and logits from the longest to the shortest."""
    lengths, order = inputs["lengths"].squeeze(1).sort(descending=True)
    captions = inputs["captions"]
    memories = [inputs[name].transpose(0, 1) for name in ("memory", "memory2") if name in inputs]
    logits = module(captions, memories)
    labels = captions.masked_fill(torch.arange(captions.shape[1]) >= inputs["lengths"], IGNORE)
    loss = word_loss(logits, labels, (lengths - 1).sum())
    return {"logits": logits[order], "captions_sorted": captions[order], "decode_lengths": lengths - 1,
            "sort_ind": order, "loss": loss}  # fmt: skip


def _search(module: nn.Module, inputs: Tensors, config: Config) -> Tensors:
    found: dict[str, Tensor] = {}
    for image in range(config["images"]):
        own = [inputs[name][image].transpose(0, 1) for name in ("memory", "memory2") if name in inputs]

        def logits(ids: Tensor, own: Sequence[Tensor] = own) -> Tensor:
            return module(ids, [one.expand(len(ids), -1, -1) for one in own])[:, -1]

        found |= _sentences(f"img{image}", logits, config)
    return found


def _sentences(name: str, logits: Callable[[Tensor], Tensor], config: Config) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for beams in config["beams"]:
        front = f"{name}_beam{beams}_"
        some = beam_search(logits, start=config["start"], end=config["end"], beams=beams)
        if not some[0].whole:
            found[f"{front}failed"] = torch.tensor(1)
            continue
        found |= {f"{front}complete_{at}": torch.tensor(one.ids) for at, one in enumerate(some)}
        found[f"{front}scores"], found[f"{front}seq"] = (
            torch.tensor([one.log for one in some]),
            torch.tensor(best(some).ids),
        )
    return found


for _system, _table, _gated in (("mmodalcc", mmodal.DECODER, True), ("rsiccformer", rsicc.DECODER, False)):
    PARITY.add(f"{_system}/decoder", Parity(
        build=_decoder(_gated), run=_speak, table=_table, loss=lambda outputs, inputs: outputs["loss"],
    ))  # fmt: skip
    PARITY.add(f"{_system}/beam_search", Parity(build=_decoder(_gated), run=_search, table=_table))


def _fixed(_: nn.Module, inputs: Tensors, config: Config) -> Tensors:
    found: dict[str, Tensor] = {}
    for number, table in enumerate(inputs["table"]):
        found |= _sentences(f"table{number}", lambda ids, table=table: table[ids[:, -1]], config)
    return found


PARITY.add(
    "mmodalcc/beam_search_fixed_logits",
    Parity(build=lambda config: nn.Module(), run=_fixed, table=WeightTable({})),
)
