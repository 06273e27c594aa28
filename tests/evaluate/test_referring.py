"""Referring phrases made from labels: who knows is right, constants are not, a phrase has one box of its picture."""

import pytest

from rsvlm.evaluate.baselines import constants
from rsvlm.evaluate.benchmarks import find
from rsvlm.sample import Image, Region, Sample

PICTURE = Image(path="a", width=100, height=100)
SAMPLES = [
    Sample(id="two", images=(PICTURE,), regions=(Region(label="boat", box=(10, 10, 20, 20)),
           Region(label="boat", box=(60, 70, 90, 95)))),
    Sample(id="one", images=(PICTURE,), regions=(Region(label="boat", box=(25, 25, 75, 75)),)),
    Sample(id="none", images=(PICTURE,)),
]  # fmt: skip


def test_the_phrases_are_asked_and_the_first_box_counts():
    protocol = find("ships/referring")
    assert (protocol.name, protocol.ability, protocol.prompt_hash) == ("ships/referring@1", "grounds", PINNED)
    items = protocol.ask(SAMPLES)
    assert {item.kind for item in items} == {"unique", "size", "position", "order"}
    assert {item.question: item.regions[0].box for item in items}["the largest boat"] == (60, 70, 90, 95)
    read = protocol.reader(items)

    def scores(boxes_of):
        return protocol.measure(items, [read(item, {"boxes": boxes_of(item)}) for item in items])

    right = scores(lambda item: [list(item.regions[0].box), [0, 0, 1, 1]])
    assert {right[name].value for name in protocol.headline} == {1.0} and right["acc@0.5_size"].n == 2
    assert scores(lambda item: None)["parse_failures"].value == 1.0
    assert scores(lambda item: [[0, 0, 1, 1], list(item.regions[0].box)])["acc@0.5"].value == 0.0
    centre = constants(protocol, items, items)["centre_box"]
    found = protocol.measure(items, [read(item, row) for item, row in zip(items, centre, strict=True)])
    assert found["acc@0.5_unique"].value == 1.0 and found["acc@0.5"].value == pytest.approx(2 / len(items))


PINNED = "4cf7b6a34f4add28"
