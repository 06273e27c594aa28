"""Results of runs as result.json holds them, and samples as a page shows them, without any run."""

from pathlib import Path

from PIL import Image as Picture

from rsvlm.evaluate.items import Item
from rsvlm.evaluate.report.html import ScoredItem
from rsvlm.sample import Image


def result(**changes) -> dict:
    """Of a run on ten questions: seven right, a constant gives four, one reply could not be read."""
    whole = {
        "protocol": "rsivqa/evalai-numbers@1", "model": "a model", "n": 10, "split": "val", "limit": None, "seed": 0,
        "metrics": {
            "overall": {"value": 0.7, "stderr": 0.14, "low": 0.43, "high": 0.93, "n": 10},
            "average": {"value": 0.6, "stderr": 0.14, "low": 0.33, "high": 0.83, "n": 10, "note": "over two types"},
        },
        "baselines": {"most_frequent": {"overall": 0.4, "average": 0.3}, "blind": {"overall": 0.5, "average": 0.2}},
        "headline": ["overall"], "per_item": "overall", "dialect": "match evalai", "legacy": "", "data_hash": "d" * 16,
        "prompt_hash": "e" * 16, "parse_failures": 1, "refusals": 2, "failed": 0, "problems": {}, "calibration": {},
        "leak": {}, "seconds": 1.0, "asked": 10, "commit": None, "versions": {"rsvlm": "0"}, "trace": {}, "notes": [],
    }  # fmt: skip
    return whole | changes


def shown(number: int = 0, images: tuple[Image, ...] = (), **changes) -> ScoredItem:
    """A sample that was answered rightly; `changes` are those of `ScoredItem` and of its item."""
    mine = {key: changes.pop(key) for key in ("row", "parsed", "score", "wrong") if key in changes}
    item = Item(id=f"q{number}", question="How many?", images=images, references=("two",), **changes)
    right = {"row": {"answer": "two", "confidence": 0.75}, "parsed": "two", "score": 1.0, "wrong": False}
    return ScoredItem(item=item, **right | mine)


def picture(path: Path, size: tuple[int, int] = (40, 30), colour: tuple[int, int, int] = (90, 120, 60)) -> Image:
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.new("RGB", size, colour).save(path)
    return Image(path=str(path))
