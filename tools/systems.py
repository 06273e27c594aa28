"""Count what the paper's recipes build and which recorded numbers of the originals ours gives, into cards/sizes.json.

tools/tables.py runs it. Counting lays out whole models (without their memory) and takes a while; whether the file is
about these recipes and these recordings is seen from their hashes.
"""

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from rsvlm.cli.pages import GROUPS
from rsvlm.recipe import RECIPES, Recipe, read_recipe
from rsvlm.systems.cards import CARDS, SIZES
from rsvlm.systems.registry import SYSTEMS

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests/golden"


def write() -> None:
    SIZES.write_text(json.dumps(counted(), indent=2) + "\n", "utf-8")


def counted() -> dict[str, dict[str, Any]]:
    """What `rsvlm.systems.cards.sizes` gives."""
    files = {path for name in SYSTEMS for path in recordings(name)}
    good = passed(files)
    return {
        name: {
            "recipe": recipe(name).hash,
            "parameters": parameters(laid_out(recipe(name))),
            "recordings": {key(path): {"sha256": digest(path), "passed": good[path]} for path in recordings(name)},
        }
        for name in SYSTEMS
    }


def up_to_date() -> bool:
    """Whether sizes.json is about these recipes and these recordings; what they give today is not counted again."""
    recorded = json.loads(SIZES.read_text("utf-8")) if SIZES.is_file() else {}
    return list(recorded) == list(SYSTEMS) and all(
        one["recipe"] == recipe(name).hash
        and {path: file["sha256"] for path, file in one["recordings"].items()}
        == {key(path): digest(path) for path in recordings(name)}
        for name, one in recorded.items()
    )


def recipe(name: str) -> Recipe:
    return read_recipe(RECIPES / f"{name}/paper.yaml")


def recordings(name: str) -> list[Path]:
    """The files of the modules that a card names."""
    return [GOLDEN / f"{one}.safetensors" for one in CARDS[name].recordings]


def key(path: Path) -> str:
    return path.relative_to(GOLDEN).as_posix()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def laid_out(recipe: Recipe) -> Any:
    """The model that a recipe builds, without its memory."""
    import torch

    from rsvlm.systems.build import build

    with torch.device("meta"):
        return build(recipe, for_training=False)


def parameters(model: Any) -> dict[str, int]:
    """How many parameters a model has, by `GROUPS`: an adapter counts as one wherever it is."""
    counts = dict.fromkeys(GROUPS, 0)
    tower = {"image_projection": "vision", "text_projection": "text", "logit_scale": "text"}  # as open_clip counts
    tower["semantic_vision"] = "vision"
    for name, parameter in model.named_parameters():
        top = name.partition(".")[0]
        top = tower.get(top, top)
        counts["adapters" if "lora_" in name or top not in counts else top] += parameter.numel()
    return counts


def passed(files: set[Path]) -> dict[Path, bool]:
    """Whether ours gives what each recording holds, by the test that says so."""
    sys.path += [str(ROOT / "tests")] * (str(ROOT / "tests") not in sys.path)  # it imports the rigs of tests/parity
    spec = importlib.util.spec_from_file_location("test_golden", ROOT / "tests/test_golden.py")
    assert spec and spec.loader
    test = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(test)

    def passes(path: Path) -> bool:
        try:
            test.check(path)
        except AssertionError:
            return False
        return True

    return {path: passes(path) for path in files}
