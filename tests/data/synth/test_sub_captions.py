"""Captions cut by sentence: nothing is lost, the order stays, and each kind of sentence goes where it belongs."""

import pytest

from rsvlm.data.synth.sub_captions import PARTS, join_unique_sentences, split_caption, split_sentences

# The forms of sentence that RSICap's annotators write, in other words.
CAPTION = (
    "This is an aerial image with high resolution. There are two sheds and a path on both sides of a canal. "
    "The canal runs below the path, as its shadow shows. There are several ridges on the field running parallel to "
    "each other. One lorry and thirty-two small-vehicles can be seen in the image."
)


def test_theme_object_and_relation():
    cut = split_caption(CAPTION)
    assert cut.parts == (("theme",), ("relation",), ("relation",), ("object",), ("object",))
    assert cut.part("theme") == "This is an aerial image with high resolution."
    assert cut.part("object").startswith("There are several ridges") and cut.part("object").endswith("in the image.")


@pytest.mark.parametrize(("sentence", "part"), [
    ("This is a grayscale satellite image.", "theme"), ("The image shows a port.", "theme"),
    ("This is a remote sensing image shows two courts.", "theme"), ("It is a picture of farmland.", "theme"),
    ("The image was taken from an aerial view with high resolution.", "theme"),
    ("Four planes can be seen.", "object"), ("Some of the buses are white, others yellow.", "object"),
    ("There are many trees in the bottom right of the image.", "relation"),
    ("The courts are surrounded by trees and a fence.", "relation"), ("A car is next to the house.", "relation"),
    ("The road runs parallel to the river.", "relation"),
])  # fmt: skip
def test_a_sentence_alone(sentence, part):
    assert split_caption(sentence).parts == ((part,),)


def test_what_the_image_shows_is_its_theme_only_at_the_beginning():
    opening = split_caption("This is a satellite image. The image shows a port near a town. Ships are white.")
    assert opening.parts == (("theme",), ("theme",), ("object",))
    later = split_caption("Ships are white. The image shows a port near a town. The image is in low resolution.")
    assert later.parts == (("object",), ("relation",), ("theme",))


def test_with_overlap_a_sentence_that_counts_and_places_is_in_both():
    cut = split_caption(CAPTION, overlap=True)
    assert cut.parts[1] == ("object", "relation") and cut.parts[2] == ("relation",)
    assert "two sheds" in cut.part("object") and "two sheds" in cut.part("relation")


@pytest.mark.parametrize("text", [
    CAPTION, "", "no full stop", "A pier. A  pier!  Is it?\nYes.", "About 3.5 m wide, e.g. Roads and approx. Ten cars.",
    'He said "land." Then water. (Perhaps.) 12 boats.',
])  # fmt: skip
@pytest.mark.parametrize("overlap", [False, True])
def test_no_sentence_is_lost(text, overlap):
    cut = split_caption(text, overlap=overlap)
    assert " ".join(cut.sentences) == " ".join(text.split())
    assert len(cut.parts) == len(cut.sentences) and all(at and set(at) <= set(PARTS) for at in cut.parts)
    said = {sentence for name in PARTS for sentence in split_sentences(cut.part(name))}
    assert said >= set(cut.sentences)


def test_sentences_end_where_a_new_one_begins():
    assert split_sentences("About 3.5 m wide, e.g. Roads. It is so. 12 boats? yes") == (
        "About 3.5 m wide, e.g. Roads.", "It is so.", "12 boats? yes",
    )  # fmt: skip


def test_joined_keeps_the_order_and_says_nothing_twice():
    drafts = ["This is a port. Two ships.", "two ships! A crane.", "", "A crane. The crane is left."]
    assert join_unique_sentences(drafts) == "This is a port. Two ships. A crane. The crane is left."
    assert join_unique_sentences([]) == join_unique_sentences(["", " "]) == ""
    cut = split_caption(CAPTION)
    assert sorted(split_sentences(join_unique_sentences([cut.part(name) for name in PARTS]))) == sorted(cut.sentences)
