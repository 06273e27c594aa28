"""Parity with the original code: every recording under RSVLM_GOLDEN_DIR (default tests/golden) of a system built here.

A recording holds the state, inputs, outputs and gradients of one module of an original at a small size. Ours is built
from the recording's own config and loaded through the table that loads published checkpoints (tests/parity).
"""

import json
import os
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from parity.registry import ROWS, load_rigs
from rsvlm.errors import BadInput, MissingPart
from rsvlm.parts.checkpoints.weights import adopt

OWN = Path(__file__).parent / "golden"
ROOT = Path(os.environ.get("RSVLM_GOLDEN_DIR") or OWN).resolve()
# Others read these by name: texts and pictures for tests/metrics and tests/data, our own losses for tests/train,
# labels for tests/geo.
OTHERS = {"metrics", "losses", "index_labels.json"}
FILES = sorted(
    p for p in ROOT.rglob("*") if p.suffix in {".safetensors", ".json"} and not OTHERS & {p.parent.name, p.name}
)

PARITY = load_rigs()


def read(path: Path):
    """The description of a recording and its tensors by group: state, input, output, grad."""
    groups = {"state": {}, "input": {}, "output": {}, "grad": {}}
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))["golden"], groups
    with safe_open(path, "pt") as file:
        meta = json.loads((file.metadata() or {})["golden"])
        for key in file.keys():  # noqa: SIM118 (no mapping)
            group, name = key.split(".", 1)
            groups[group][name] = file.get_tensor(key)
    return meta, groups


def close(name: str, found, wanted, tolerance: float) -> None:
    """The rule of the recordings: max|a - b| <= tolerance * max(1, max|recorded|); integers are equal, NaN fails."""
    assert found is not None, f"{name}: nothing was computed"
    assert found.shape == wanted.shape, f"{name}: {tuple(found.shape)}, recorded {tuple(wanted.shape)}"
    if not wanted.is_floating_point():
        assert torch.equal(found.to(wanted.dtype), wanted), f"{name}: integers differ"
        return
    assert found.is_floating_point(), f"{name}: integers where floats are recorded"
    if wanted.numel():
        difference, limit = (found - wanted).abs().max(), tolerance * max(1.0, float(wanted.abs().max()))
        assert difference <= limit, f"{name}: differs by {difference:.3g}, allowed {limit:.3g}"


def recorded_loss(text: str, outputs, inputs):
    """The scalar behind the gradients: a sum of `output.x` and `sum(output.x * input.w)`; remarks behind it are cut."""
    term = r"sum\(output\.([\w.]+) \* input\.([\w.]+)\)|output\.([\w.]+)"
    sentence = re.split(r" \(|;", text)[0]
    assert re.fullmatch(rf"(?:{term})(?: \+ (?:{term}))*", sentence), f"no rule for the loss {text!r}: give Parity.loss"
    return sum((outputs[a] * inputs[w]).sum() if a else outputs[b] for a, w, b in re.findall(term, sentence))


def dropped(patterns, table) -> dict[str, str]:
    """Our names of the state that a recording leaves out; a leading * stands for any front."""
    ours = {p: f".*{re.escape(p[1:])}" if p.startswith("*") else re.escape(table.ours(p) or p) for p in patterns}
    return {pattern: f"left out of the recording: {name}" for name, pattern in ours.items()}


def check(path: Path) -> None:
    """Build, load, run and compare one recording, whatever sizes it has."""
    meta, tensors = read(path)
    parity = PARITY[f"{meta['system']}/{meta['module']}"]
    config = {**meta["config"], "shapes": {name: tuple(tensor.shape) for name, tensor in tensors["state"].items()}}
    module = parity.build(config).train(meta["mode"] == "train")
    own, published = module.state_dict(), parity.split(tensors["state"])
    state, account = adopt(
        published, own, parity.table, source=str(path), elsewhere=dropped(meta["dropped_state"], parity.table)
    )
    assert set(account.loaded) | set(account.ignored) == set(published)
    module.load_state_dict({**own, **state})
    wanted_grads = parity.split(tensors["grad"])
    inputs = {
        name: value.clone().requires_grad_(f"input.{name}" in wanted_grads) for name, value in tensors["input"].items()
    }
    outputs = dict(parity.run(module, inputs, config))
    after = module.state_dict()
    outputs = {f"after.{name}": after[ours] for name, ours in account.loaded.items()} | outputs
    assert tensors["output"]
    for name, wanted in tensors["output"].items():
        own_name = name.removeprefix("after.")  # what follows the call are tensors of the state, as they lie in ours
        wanted = wanted if own_name == name else parity.table.laid_out(own_name, wanted)
        close(f"output.{name}", outputs.get(name), wanted, meta["atol"])
    if wanted_grads:
        loss = parity.loss(outputs, inputs) if parity.loss else recorded_loss(meta["loss"], outputs, inputs)
        loss.backward()
        still = {name: tensor for name, tensor in tensors["state"].items() if name in meta["no_grad_keys"]}
        meta = {**meta, "no_grad_keys": list(parity.split(still))}
        check_gradients(meta, module, parity, account.loaded, inputs, wanted_grads)


def check_rows(path: Path) -> None:
    """Compare a recorded function's rows one by one; where a row needs a package that is not here, the others first."""
    recording = json.loads(path.read_text(encoding="utf-8"))
    meta, missing = recording["golden"], None
    rig = ROWS[f"{meta['system']}/{meta['module']}"]
    ours = rig.read(meta["config"])
    assert recording["rows"]
    for row in recording["rows"]:
        try:
            found = ours(row[rig.input])
        except MissingPart as error:
            missing = error
            continue
        assert found == {name: value for name, value in row.items() if name != rig.input}, row[rig.input]
    if missing:
        raise missing


def check_gradients(meta, module, parity, loaded, inputs, wanted) -> None:
    """Each parameter has a recorded gradient, equal to ours, or is named as one without, and then has none here."""
    grads = {name: parameter.grad for name, parameter in module.named_parameters()}
    ours = {name: grads[target] for name, target in loaded.items() if target in grads}
    still = set(meta["no_grad_keys"])
    recorded = {name for name in wanted if not name.startswith("input.")}
    assert recorded | still >= set(ours) or not parity.all_gradients, (
        f"parameters without a recorded gradient: {set(ours) - recorded - still}"
    )
    for name, gradient in wanted.items():
        found = inputs[name.removeprefix("input.")].grad if name.startswith("input.") else ours.get(name)
        close(f"grad.{name}", found, parity.table.laid_out(name, gradient), meta["grad_atol"])
    for name in still & set(ours):
        assert ours[name] is None or not ours[name].any(), f"{name} gets a gradient; in the original it gets none"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_recording(path):
    meta, _ = read(path)
    name = f"{meta['system']}/{meta['module']}"
    if name not in PARITY and name not in ROWS:
        pytest.skip(f"not covered: {name}")  # counted and named at the end of the run (tests/conftest.py)
    try:
        check(path) if name in PARITY else check_rows(path)
    except MissingPart as missing:
        pytest.skip(str(missing))


def test_there_is_something_to_compare():
    assert FILES, f"no recording under {ROOT}"


def test_what_is_covered_is_recorded_here():
    """Deleting a recording from the repository is not a way to pass."""
    metas = [
        read(path)[0]
        for path in [*OWN.rglob("*.safetensors"), *OWN.glob("*/tokenizer.json")]
        if "metrics" not in path.parts
    ]
    assert {f"{meta['system']}/{meta['module']}" for meta in metas} >= set(PARITY) | set(ROWS)
    assert set(PARITY) >= {"lhrs_bot/attn_pooler", "lhrs_bot/attn_pooler_inproj", "deltavlm/eva_vit"}


# The harness itself: a wrong module, a wrong recording and a lost tensor must be seen.

POOLER = OWN / "lhrs_bot" / "attn_pooler.safetensors"


def altered(path: Path, target: Path, change) -> Path:
    """A copy of a recording after `change(meta, tensors)`."""
    with safe_open(path, "pt") as file:
        meta = json.loads(file.metadata()["golden"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    change(meta, tensors)
    save_file(tensors, target, {"golden": json.dumps(meta)})
    return target


@pytest.mark.parametrize("change, message", [
    (lambda m, t: t["state.query"].add_(1e-3), "output.out"),
    (lambda m, t: t["output.out"].add_(1e-3), "output.out"),
    (lambda m, t: t["output.out"].fill_(float("nan")), "output.out"),
    (lambda m, t: t["grad.query"].mul_(1.001), "grad.query"),
    (lambda m, t: t.pop("grad.query"), "without a recorded gradient"),
    (lambda m, t: m["no_grad_keys"].append("query"), "query gets a gradient"),
    (lambda m, t: t.update({"output.more": torch.ones(1)}), "output.more: nothing"),
    (lambda m, t: m.update(loss="the usual one"), "no rule for the loss"),
])  # fmt: skip
def test_a_wrong_number_is_seen(tmp_path, change, message):
    with pytest.raises(AssertionError, match=re.escape(message)):
        check(altered(POOLER, tmp_path / "x.safetensors", change))


@pytest.mark.parametrize("change, message", [
    (lambda m, t: t.pop("state.layers.1.ln_1_kv.bias"), "lacks 1 of"),
    (lambda m, t: t.update({"state.layers.0.extra.bias": torch.ones(1)}), "does not have"),
    (lambda m, t: m["config"]["pooler"].update(output_size=7), "has shape"),
])  # fmt: skip
def test_a_lost_or_strange_tensor_is_seen(tmp_path, change, message):
    with pytest.raises(BadInput, match=message):
        check(altered(POOLER, tmp_path / "x.safetensors", change))


def break_norm(monkeypatch):
    monkeypatch.setattr(torch.nn.LayerNorm, "forward", lambda s, x: torch.nn.functional.layer_norm(
        x, s.normalized_shape, s.weight, s.bias, 1e-3))  # fmt: skip


def break_gelu(monkeypatch):
    monkeypatch.setattr(torch.nn.GELU, "forward", lambda s, x: torch.nn.functional.gelu(x, approximate="tanh"))


def break_keys(monkeypatch):
    from rsvlm.parts.bridges import perceiver as bridge

    real = bridge.PerceiverLayer.forward
    monkeypatch.setattr(bridge.PerceiverLayer, "forward", lambda s, x, kv: real(s, x, kv[:, x.shape[1] :]))


@pytest.mark.parametrize("broken", [break_norm, break_gelu, break_keys])
@pytest.mark.parametrize("name", ["attn_pooler", "attn_pooler_inproj"])
def test_a_wrong_perceiver_is_seen(monkeypatch, broken, name):
    broken(monkeypatch)
    with pytest.raises(AssertionError, match=r"output\.out: differs"):
        check(OWN / "lhrs_bot" / f"{name}.safetensors")


def test_other_losses_can_be_read():
    a, w = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    outputs, inputs = {"a": a, "loss_1": a[0], "loss_2": a[1]}, {"w": w}
    assert recorded_loss("sum(output.a * input.w) + sum(output.a * input.w)", outputs, inputs) == 22
    assert recorded_loss("output.loss_1 + output.loss_2 (original sum)", outputs, inputs) == 3
    assert recorded_loss("sum(output.a * input.w); gradients of the mode", outputs, inputs) == 11
