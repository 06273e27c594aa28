"""RS-RAG's fused score against its released search (tests/golden/metrics/rsrag.json), its stages and its ties."""

import numpy as np
import pytest

from fake.golden import golden
from rsvlm.index.knowledge import KnowledgeBase, Passage, Picture
from rsvlm.index.rerank import TASK_KINDS, fused

FUSION = golden("rsrag.json")["fusion"]


def base_of(points):
    """(kind, text's vector, image's vector or None) to a knowledge base."""
    seen = [image for _, _, image in points if image is not None]
    about = np.cumsum([image is not None for _, _, image in points]) - 1
    about[[image is None for _, _, image in points]] = -1
    texts = np.array([text for _, text, _ in points], float)
    passages = [Passage(kind, f"passage {number}") for number, (kind, _, _) in enumerate(points)]
    pictures = [Picture(f"picture {number}") for number in range(len(seen))]
    return KnowledgeBase(passages, pictures, texts, np.array(seen, float).reshape(len(seen), texts.shape[1]), about)


RELEASED = base_of([(point["type"], point["text"], point["image"]) for point in FUSION["points"]])


@pytest.mark.parametrize("expected", FUSION["expect"], ids=lambda e: f"{e['task']}-{e['alpha']}")
@pytest.mark.parametrize("top", [1, 3, 5])
def test_order_and_scores_are_those_of_the_released_search(expected, top):
    query = FUSION["query_image"], FUSION["query_text"]
    hits = fused(RELEASED, *query, alpha=expected["alpha"], top=top, task=expected["task"])
    assert [FUSION["points"][hit.number]["id"] for hit in hits] == expected["top5"][:top]
    assert [hit.score for hit in hits] == pytest.approx(expected["scores"][:top], abs=1e-12)
    assert [hit.image_score for hit in hits] == pytest.approx(expected["image_scores"][:top], abs=1e-12)
    assert [hit.text_score for hit in hits] == pytest.approx(expected["text_scores"][:top], abs=1e-12)


SAME = [("caption", [1, n], [1, 0]) for n in (3, 1, 2)]


def test_kinds_pictures_and_ties():
    base = base_of([*SAME, ("caption", [1, 0], None)])
    hits = fused(base, [1, 0], [1, 0], alpha=1.0, top=9, task="caption")
    assert [hit.number for hit in hits] == [1, 2, 0]  # equal scores: nearest text to the query's image first
    assert fused(base, [1, 0], [1, 0], task="vqa") == []
    assert set(TASK_KINDS) == {"vqa", "caption", "classification"}
    with pytest.raises(ValueError, match="share"):
        fused(base, [1, 0], [1, 0], alpha=2)


def test_without_a_picture_the_text_decides_and_a_passage_needs_none():
    base = base_of([*SAME, ("caption", [1, 0], None)])
    hits = fused(base, None, [1, 0], alpha=0.9, top=2)
    assert [(hit.number, hit.picture is None) for hit in hits] == [(3, True), (1, False)]
    assert hits[0].score == hits[0].text_score == pytest.approx(1)


def test_pictures_are_left_out_by_number():
    base = base_of(SAME)
    assert base.pictured({"picture 1"}) == {1}
    assert [hit.number for hit in fused(base, [1, 0], [1, 0], top=9, without={1, 0})] == [2]


def test_two_stages_see_only_the_nearest():
    """The passage that is best in both together is not among the nearest of either."""
    points = [("caption", [1, 0, 0], [0, 0, 1]), ("caption", [0, 1, 0], [1, 0, 0]), ("caption", [1, 1, 0], [1, 0, 1])]
    base, query = base_of(points), ([1, 0, 0], [1, 0, 0])
    assert fused(base, *query, alpha=0.5)[0].number == 2
    assert [hit.number for hit in fused(base, *query, top=3, mode="two_stage", candidates=1)] == [0, 1]
    assert len(fused(base, *query, top=3, mode="two_stage", candidates=3)) == 3
    assert fused(base, *query, alpha=1.0, mode="two_stage", candidates=1)[0].number == 1


def test_a_base_that_does_not_fit_together_is_refused():
    base = base_of(SAME)
    with pytest.raises(ValueError, match="shapes"):
        KnowledgeBase(base.passages, base.pictures, base.texts, base.images[:, :1], base.about)
    with pytest.raises(ValueError, match="none of 3"):
        KnowledgeBase(base.passages, base.pictures, base.texts, base.images, base.about + 3)
