"""Results for people: the contact sheet of one run, and one Markdown table out of many result files."""

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL.Image

from rsvlm.data.images import read_rgb
from rsvlm.errors import BadInput
from rsvlm.evaluate.protocol import Row
from rsvlm.evaluate.tasks import Item
from rsvlm.sample import Image

THUMBNAIL = 160  # pixels, longer side
MOST = 600  # pictures on a sheet: some 4 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One sample of a run as it is shown: what was asked, said, understood, and what that scored."""

    item: Item
    row: Row
    parsed: Any
    score: float
    wrong: bool


_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 1.5rem; background: #fff; color: #222 }
table { border-collapse: collapse } td, th { padding: .15rem .8rem .15rem 0; text-align: left }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: .8rem; margin-top: 1rem }
article { display: flex; gap: .7rem; border: 1px solid #ccc; border-left: .4rem solid #4a8; padding: .5rem }
article.wrong { border-left-color: #c33 } article img { align-self: flex-start }
p { margin: 0 0 .3rem } .q, .id { color: #777; font-size: 12px } .a { font-weight: 600 }
ul { margin: 0; padding-left: 1rem }
"""


def contact_sheet(title: str, result: Mapping[str, Any], shown: Sequence[Shown]) -> str:
    """A self-contained HTML page: every picture with question, answer, references and its score in `metric`.

    Wrong answers have a red edge. At most `MOST` samples, evenly spread over the run; the page says where it skips.
    """
    step = max(1, -(-len(shown) // MOST))
    kept = shown[::step]
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{value['value']:.4f} ± {value['stderr']:.4f}</td></tr>"
        for name, value in result["metrics"].items()
    )
    left_out = f", every {step}. of {len(shown)} shown" if step > 1 else ""
    head = html.escape(f"{result['protocol']}, {result['split']}: {result['model']}, n = {result['n']}{left_out}")
    wrong = sum(one.wrong for one in shown)
    cards = "\n".join(_card(one, result["per_item"]) for one in kept)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{html.escape(title)}</h1><p>{head}; {wrong} marked</p>"
        f"<table>{rows}</table>\n<main>\n{cards}\n</main></body></html>\n"
    )


def _card(one: Shown, metric: str) -> str:
    item = one.item
    references = "".join(f"<li>{html.escape(text)}</li>" for text in dict.fromkeys(item.references))
    said = str(one.row.get("answer", ""))
    unread = " (not understood)" if one.parsed is None else ""
    return (
        f'<article class="{"wrong" if one.wrong else "right"}"><img src="{_thumbnail(item.image)}" alt="">'
        f'<div><p class="q">{html.escape(item.question)}</p><p class="a">{html.escape(said)}{unread}</p>'
        f'<ul>{references}</ul><p class="id">{html.escape(item.id)} · {metric} {one.score:.2f} · '
        f"confidence {one.row.get('confidence', 0):.2f}</p></div></article>"
    )


def _thumbnail(image: Image) -> str:
    picture = PIL.Image.fromarray(read_rgb(image))
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    with io.BytesIO() as file:
        picture.save(file, "JPEG", quality=75)
        return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def report(folders: Sequence[str | Path], *, every: bool = False) -> str:
    """A Markdown table of the result.json files in `folders` (or below them): one row a metric, baselines beside it.

    Only each benchmark's headline metrics, all with `every`. Raises BadInput where there is no result, or a broken one.
    """
    results = [_read(path) for folder in folders for path in _find(Path(folder))]
    baselines = list(dict.fromkeys(name for result in results for name in result["baselines"]))
    heads = ["benchmark", "split", "model", "n", "metric", "value ± s.e.", *(b.replace("_", " ") for b in baselines)]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * 3}{'---:|---|' + '---:|' * (len(heads) - 5)}"]
    for result in results:
        for name in result["metrics"] if every else result["headline"]:
            metric = result["metrics"][name]
            beside = [result["baselines"].get(baseline, {}).get(name) for baseline in baselines]
            cells = [
                result["protocol"], result["split"], result["model"], str(result["n"]), name,
                f"{metric['value']:.3f} ± {metric['stderr']:.3f}", *("-" if b is None else f"{b:.3f}" for b in beside),
            ]  # fmt: skip
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def _find(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("result.json"))
    if not found:
        raise BadInput(f"{folder} holds no result.json; give a folder written by rsvlm evaluate --out.")
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read as a result ({error}); run the evaluation again.") from error
    wanted = ("protocol", "split", "model", "n", "metrics", "headline", "baselines")
    missing = [key for key in wanted if not isinstance(result, dict) or key not in result]
    if missing:
        raise BadInput(f"{path} lacks {', '.join(missing)}; it was not written by rsvlm evaluate.")
    return result
