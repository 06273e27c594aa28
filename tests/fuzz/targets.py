"""What is fuzzed: functions of a text, and files that hold it. Only BadInput and MissingPart may come out."""

import contextlib
import io
import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rsvlm.data import formats
from rsvlm.data.box_codecs import decode
from rsvlm.data.box_dialects import DIALECTS
from rsvlm.data.catalogue import load
from rsvlm.data.referring_parser import parse_phrase
from rsvlm.data.reply import stream_text
from rsvlm.data.sources import plain_pickle
from rsvlm.data.synth.sub_captions import split_caption
from rsvlm.errors import BadInput, MissingPart
from rsvlm.evaluate import parsers
from rsvlm.geo.band_meaning import common_names
from rsvlm.metrics import accuracy, change, choice
from rsvlm.metrics.text.tokenizer import ptb, whitespace
from rsvlm.printable import printable
from rsvlm.recipe import read_recipe, shipped
from rsvlm.serve.question_type import classify_question, grounding_phrase, object_of, parse_number, parse_yes_no, route
from rsvlm.systems.providers.chat_completions import plain_text

ODD = (
    "9" * 5000, "-" * 300, "s\u0131x", "\u017f", "\u0130", "\ud800", "\x00", "\u2028", "\ufeff", "1e999", "NaN", "-0",
    "[" * 400, "{" * 200, "]" * 50, "\\u0000", "\u0661\u0662", "<", ">", "&#x110000;", "&#99999999999;", "none", "null",
    '"', "'", ",", ":", "|", "\n", "\t", "  ", "(1,2),(3,4)", "0" * 400 + "1", "é", "\U0001f600" * 20, "not", "the ",
    "A) ", "Option B", "first", "third", "top left", "<image>", "<bbox>", "-9223372036854775809", "1_000", "٣",
)  # fmt: skip
REPLIES = (
    "Yes, there are 3 boats.", "{<12><34><56><78>|<90>}", '[{"bbox_2d": [1, 2, 3, 4], "label": "ship"}]',
    "<box>[[1,2,3,4]]</box>", "(1,2),(3,4)", "<quad><1><2><3><4><5><6><7><8></quad>", "The answer is (B).",
    "the second car from the left", "How many boats are in this image?", "What land cover is this?",
    "<bbox>[0.1,0.2,0.3,0.4]</bbox>", "There is a river. Two roads cross it near a bridge.", "[top left, center]",
    "the scene is the same as before", "Is there water, and how much?", "Boats - how many? Where are they?",
    "discribe teh image and tell me when and where it was taken", "Wie viele Boote gibt es?",
)  # fmt: skip
CONVERSATION = {
    "id": "1",
    "image": "a.png",
    "conversations": [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A."}],
}
MESSAGES = {
    "messages": [{"role": "user", "content": "<image>Find <ref-object>."}, {"role": "assistant", "content": "<bbox>"}],
    "images": ["a.png"], "objects": {"ref": ["ship"], "bbox": [[1, 2, 3, 4]]},
}  # fmt: skip
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 6, "height": 5}], "categories": [{"id": 1, "name": "ship"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "segmentation": [[1, 2, 3, 4, 5, 6]]}
    ],
}  # fmt: skip
KARPATHY = {"images": [{"filename": "a.jpg", "split": "train", "sentences": [{"raw": "a ship"}]}]}
XML = (
    "<annotation><filename>a.jpg</filename><size><width>6</width><height>5</height></size><object><name>ship</name>"
    "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object></annotation>"
)
DOTA = "imagesource:GoogleEarth\ngsd:0.5\n1 2 3 2 3 4 1 4 ship 0\n"

Run = Callable[[str, Path], object]


def text_targets() -> Mapping[str, tuple[tuple[str, ...], Run]]:
    """Name -> seeds, and a call with a text and a folder of its own."""
    functions: dict[str, Callable[[str], object]] = {
        f"decode {name}": (lambda text, name=name: decode(text, name, input_size=(100, 90))) for name in DIALECTS
    }
    functions |= {call.__name__: call for call in (
        ptb, whitespace, parsers.free_text, parsers.yes_no, parsers.refusal, accuracy.exact, accuracy.vqa_v2,
        accuracy.evalai, accuracy.squad, accuracy.inside_tags, accuracy.rsvqa_bucket,
    )}  # fmt: skip
    functions |= {
        "classify_question": classify_question, "grounding_phrase": grounding_phrase, "object_of": object_of,
        "parse_number": parse_number, "parse_yes_no": parse_yes_no, "parse_phrase": parse_phrase,
        "route": route, "route to find": lambda text: route(text, "find"),
        "parsers.number": parsers.number, "split_caption": split_caption,
        "read_locations": change.read_locations, "read_counts": change.read_counts,
        "released_locations": lambda text: change.read_locations(text, "released"),
        "released_counts": lambda text: change.read_counts(text, "released"),
        "printable": printable, "plain_text": plain_text, "common_names": lambda text: common_names(text.split(",")),
        "choice": lambda text: choice.letter(text, ("a boat", "a car", "none")),
        "stream_text": lambda text: list(stream_text([(text[:n], 0.5) for n in (1, 5, len(text))], ("stop",))),
    }  # fmt: skip
    return {name: (REPLIES, lambda text, _, call=call: call(text)) for name, call in functions.items()}


def file_targets() -> Mapping[str, tuple[tuple[str, ...], Run]]:
    """As `text_targets`, of files that hold the text."""

    def written(name: str, call: Callable[[Path], object], root: bool = False) -> Run:
        def run(text: str, folder: Path) -> object:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            return call(folder if root else path)

        return run

    def everything(read: Callable[[Path], Iterator[object]]) -> Callable[[Path], object]:
        return lambda path: list(read(path))

    def whole(name: str) -> Callable[[Path], object]:
        return lambda folder: load(name, folder, "all", skip_missing=True)

    recipe = shipped("lhrs_bot", "tiny").read_text(encoding="utf-8")
    return {
        "llava": ((json.dumps([CONVERSATION]),), written("a.json", everything(formats.read))),
        "messages": ((json.dumps(MESSAGES),), written("a.jsonl", everything(formats.read))),
        "coco": ((json.dumps(COCO),), written("annotations/instances_a.json", whole("coco"), root=True)),
        "karpathy": ((json.dumps(KARPATHY),), written("dataset.json", whole("ucm_captions"), root=True)),
        "voc": ((XML,), written("Annotations/a.xml", whole("voc"), root=True)),
        "dota": ((DOTA,), written("labelTxt/a.txt", whole("dota"), root=True)),
        "recipe": ((recipe,), written("recipe.yaml", read_recipe)),
        "pickle": (("\x80\x03]q\x00K\x01a.", "(lp0\nI1\na."), written("refs.p", plain_pickle.load_plain)),
    }  # fmt: skip


VALUES = (
    None,
    True,
    0,
    -1,
    1e308,
    float("nan"),
    float("inf"),
    10**30,
    "",
    "\ud800",
    "x" * 300,
    [],
    {},
    [[]],
    [None],
    {"a": []},
)


def restructured(value: object, draw: random.Random) -> object:
    """A JSON value of which one part has another type, is gone, or is doubled."""
    if isinstance(value, dict) and value and draw.random() < 0.8:
        key = draw.choice(sorted(value))
        if draw.random() < 0.15:
            return {name: inner for name, inner in value.items() if name != key}
        return value | {key: restructured(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.8:
        at = draw.randrange(len(value))
        if draw.random() < 0.2:
            return [*value, *value[at:]]
        return [*value[:at], restructured(value[at], draw), *value[at + 1 :]]
    return draw.choice(VALUES)


def mutated(seed: str, draw: random.Random) -> str:
    """A text near a seed: pieces cut, doubled, swapped, and odd ones put in; of JSON half the time other values."""
    text = seed
    if seed[:1] in "[{" and seed[1:2] in '{"' and draw.random() < 0.5:
        with contextlib.suppress(ValueError):
            return json.dumps(restructured(json.loads(seed), draw))
    for _ in range(draw.randint(1, 4)):
        at, length = draw.randint(0, len(text)), draw.randint(0, 12)
        kind = draw.randrange(6)
        if kind == 0:
            text = text[:at] + text[at + length :]
        elif kind == 1:
            text = text[:at] + text[at : at + length] * draw.choice((2, 2, 9)) + text[at + length :]
        elif kind == 2:
            text = text[:at] + draw.choice(ODD) + text[at + length * draw.randint(0, 1) :]
        elif kind == 3:
            text = text[:at] + chr(draw.choice((draw.randrange(128), draw.randrange(0x3000)))) + text[at + 1 :]
        elif kind == 4:
            text = text[:at]
        else:
            text = text[at:] + text[:at]
    return text[:20_000]


def fuzz(
    run: Run, seeds: tuple[str, ...], count: int, folder: Path, seed: object = 0
) -> list[tuple[str, BaseException]]:
    """What came out that may not, of `count` mutations of the seeds: (text, exception)."""
    draw, failed = random.Random(f"fuzz/{seed}"), []
    for _ in range(count):
        text = mutated(draw.choice(seeds), draw)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                run(text, folder)
        except (BadInput, MissingPart):
            pass
        except Exception as error:  # noqa: BLE001 (that is what is looked for)
            failed.append((text, error))
    return failed
