"""Phrases are true of exactly one box, by a margin, in every view; answers read back to the box; nothing is random."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as PILImage

from fake.stages import stage_batches
from rsvlm.data import box_codecs as boxes
from rsvlm.data.dihedral import dihedral_box, dihedral_size
from rsvlm.data.loader import Schedule, dihedral_view
from rsvlm.data.prompt import TASK_QUESTIONS
from rsvlm.data.synth.box_targets import make_target_sampler
from rsvlm.data.synth.conversations import make_conversation, merge_by_image
from rsvlm.data.synth.referring import (
    MIN_AREA_RATIO,
    MIN_RANK_GAP,
    dihedral_sample,
    referring_phrases,
    referring_samples,
    training_samples,
)
from rsvlm.evaluate.protocols.grounding import WORDING
from rsvlm.sample import Image, Region, Sample
from rsvlm.systems.build import byte_tokenizer

SIZE = (200, 100)


def sample(*found, path="a.png", **meta):
    """Boxes given as (label, centre x, centre y, side), all in hundredths of the picture's sides."""
    regions = tuple(
        Region(label=label, box=((x - s / 2) * 2, y - s / 2, (x + s / 2) * 2, y + s / 2)) for label, x, y, s in found
    )
    image = Image(path=path, width=SIZE[0], height=SIZE[1])
    return Sample(id="set/a", images=(image,), regions=regions, source="ships", split="train", meta=meta)


def said(one, **more):
    return {phrase.words: phrase.targets for phrase in referring_phrases(one, **more)}


def test_the_only_one_and_all_of_a_kind():
    found = said(sample(("boat", 50, 50, 10)), labels=["car"])
    assert found == {"the boat": (0,), "the boat in the middle": (0,), "all boats": (0,), "all cars": ()}
    many = said(sample(*(("person", 5 + 13 * n, 50, 4) for n in range(7))))
    assert "all people" not in many and "the person" not in many and "the leftmost person" not in many


def test_size_needs_a_margin():
    def areas(ratio):
        return sample(("boat", 20, 50, 10), ("boat", 45, 50, 10 * ratio**0.5))

    clear = said(areas(MIN_AREA_RATIO + 0.01))
    assert (clear["the largest boat"], clear["the smallest boat"]) == ((1,), (0,))
    assert not [words for words in said(areas(MIN_AREA_RATIO - 0.01)) if "est boat" in words and "most" not in words]


def test_a_place_is_left_out_near_its_border_and_where_a_rival_is_near():
    assert said(sample(("car", 10, 10, 4), ("car", 60, 60, 4)))["the car at the top left"] == (0,)
    near = said(sample(("car", 31, 10, 4), ("car", 60, 60, 4)))  # the third ends at 33.3, the margin is 4
    assert "the car at the top left" not in near and near["the car at the top"] == (0,)
    rival = said(sample(("car", 10, 10, 4), ("car", 36, 20, 4)))
    assert not {"the car at the top left", "the car on the left", "the car at the top"} & set(rival)
    corner = said(sample(("car", 10, 10, 4), ("car", 10, 90, 4)))
    assert "the car on the left" not in corner  # both are
    assert said(sample(("car", 10, 10, 4), ("bus", 10, 20, 4)))["the car at the top left"] == (0,)


def test_ranks_need_gaps_and_agreeing_edges():
    row = said(sample(*(("person", x, 50, 4) for x in (70, 10, 40, 90))))
    assert [row[f"the {words}"] for words in (
        "leftmost person", "second person from the left", "third person from the left", "rightmost person",
        "second person from the right",
    )] == [(1,), (2,), (0,), (3,), (0,)]  # fmt: skip
    assert not [words for words in row if "top" in words or "lowest" in words]
    close = said(sample(*(("person", x, 50, 4) for x in (10, 40, 40 + 100 * MIN_RANK_GAP - 1, 90))))
    assert close["the leftmost person"] == (0,) and "the second person from the left" not in close
    wide = said(sample(("boat", 40, 50, 60), ("boat", 30, 50, 4)))  # its centre is farther left, its edge is not
    assert "the leftmost boat" not in wide


def test_what_the_authors_could_not_tell_is_a_rival():
    assert said(sample(("car", 10, 10, 4), ignore=[[150, 70, 158, 74]])).keys() == {
        "the car at the top left", "the car on the left", "the car at the top", "the leftmost car", "the topmost car",
    }  # fmt: skip
    assert "the car on the left" not in said(sample(("car", 10, 10, 4), ignore=[[10, 70, 20, 80]]))


def random_sample(seed):
    rng = np.random.default_rng(seed)
    found = [(("boat", "car")[n % 2], *rng.uniform(10, 90, 2), rng.uniform(2, 20)) for n in range(rng.integers(1, 9))]
    return sample(*found)


@pytest.mark.parametrize("seed", range(20))
def test_phrases_of_a_view_are_those_of_the_turned_picture(seed):
    """Mirrored, what was on the left is on the right: the same boxes, under the mirrored words."""
    one = random_sample(seed)
    swap = {"left": "right", "right": "left", "leftmost": "rightmost", "rightmost": "leftmost"}
    mirrored = {" ".join(swap.get(word, word) for word in words.split()): t for words, t in said(one).items()}
    shown = said(dihedral_sample(one, 1))
    assert {words: set(targets) for words, targets in mirrored.items()} == {w: set(t) for w, t in shown.items()}
    assert referring_phrases(one) == referring_phrases(one)
    for phrase in referring_phrases(one):
        assert phrase.kind == "all" or len(phrase.targets) == 1


@pytest.mark.parametrize("view", range(8))
def test_boxes_turn_as_pixels_do(view):
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[3:7, 10:19] = 1
    shown = dihedral_view(pixels, view)
    assert dihedral_size((30, 20), view) == (shown.shape[1], shown.shape[0])
    rows, columns = np.nonzero(shown[..., 0])
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert dihedral_box((10, 3, 19, 7), (30, 20), view) == box


def test_measured_samples_have_one_phrase_and_one_box():
    many = sample(*(("car", x, y, 4) for x, y in ((10, 10), (50, 20), (90, 50), (30, 80))))
    made = referring_samples([many], max_per_image=5)
    assert len(made) == 5 and len({one.id for one in made}) == 5 and referring_samples([many], max_per_image=5) == made
    for one in made:
        (turn,), (region,) = one.turns, one.regions
        assert turn.task == "ground" and region == many.regions[said(many)[turn.question][0]]
    assert len(referring_samples([many], max_per_image=99)) == len(
        [words for words in said(many) if not words.startswith("all")]
    )


def test_an_ingredient_speaks_of_its_own_view_and_reads_back():
    one, other = sample(("car", 10, 10, 8), ("boat", 80, 60, 20)), sample(("boat", 30, 30, 10), path="b.png")
    made = training_samples([one, other], dialect="lhrs", views=8)
    assert len(made) == 16 and [item.meta["view"] for item in made[:8]] == [*range(8)]
    for item in made:
        size = item.images[0].width, item.images[0].height
        assert size == dihedral_size(SIZE, item.meta["view"])
        for turn in item.turns:
            read = boxes.decode(turn.answer, "lhrs").pixels(size)
            wanted = said(item, labels=["boat", "car"])[turn.question]
            assert np.allclose(read, [item.regions[i].box for i in wanted] or np.zeros((0,)), atol=1.01)
    assert {turn.answer for item in made[8:] for turn in item.turns if turn.question == "all cars"} == {"none"}
    assert len(merge_by_image([made, made])) == 16


def test_no_box_is_claimed_of_kinds_that_only_other_sets_label():
    """A picture of boats from a set that does not label cars may show cars; nobody can say "none"."""
    boats, cars = sample(("boat", 30, 30, 10), path="b.png"), sample(("car", 10, 10, 8))
    strange = [replace(one, source="dota") for one in (boats, cars)]
    turns = [turn for item in training_samples(strange, dialect="lhrs") for turn in item.turns]
    assert turns and "none" not in {turn.answer for turn in turns}
    assert "none" in {turn.answer for item in training_samples([boats, cars], dialect="lhrs") for turn in item.turns}

    def without(one, *others):
        locate, tokenizer = make_target_sampler(byte_tokenizer(), [one, *others], seed=0), byte_tokenizer()
        drawn = [locate(one, visit) for visit in range(300)]
        return {tokenizer.decode(ids) for ids, found in drawn if not found}

    assert without(strange[0], strange[1]) == set() and without(strange[0], cars) == set()
    assert without(boats, cars) == {"all cars", "cars"}  # ships are taken to show none
    assert without(replace(cars, source="hit_uav"), boats) == {"all boats", "boats"}


def test_conversations_ask_in_the_words_of_the_benchmark():
    (item,) = training_samples([sample(("boat", 10, 10, 8), ("boat", 80, 60, 20))], dialect="lhrs")
    turns = [
        turn for visit in range(100) for turn in make_conversation(item, visit, max_turns=4, refusal_probability=0.0)
    ]
    assert {turn.task for turn in turns} == {"ground"} and all(turn.answer.startswith("[0.") for turn in turns)
    asked = TASK_QUESTIONS["ground"][0].format(phrase="all boats")
    assert asked in {turn.question for turn in turns} and asked == WORDING.replace("{}", "all boats")
    assert max(len(make_conversation(item, visit, max_turns=4, refusal_probability=0.0)) for visit in range(30)) == 4


def test_the_loader_shows_the_view_that_is_spoken_of(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (16, 16, 3), np.uint8)
    PILImage.fromarray(pixels).save(tmp_path / "a.png")
    made = training_samples([sample(("boat", 10, 10, 8), path=str(tmp_path / "a.png"))], dialect="lhrs", views=8)
    schedule = Schedule.draw([8], [1.0], 32, [3])
    steps = stage_batches(made, schedule)
    for step in range(4):
        (batch,) = steps[step]
        for k in range(8):
            shown = dihedral_view(pixels, int(schedule.sample[8 * step + k]))
            assert np.array_equal((batch["image"][k] * 255).round().byte().permute(1, 2, 0).numpy(), shown)
