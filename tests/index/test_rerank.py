"""RS-RAG's fused score against its released search (tests/golden/metrics/rsrag.json)."""

import pytest

from fake.golden import golden
from rsvlm.index.rerank import TASK_KINDS, Chunk, fused

FUSION = golden("rsrag.json")["fusion"]
CHUNKS = [
    Chunk(id=point["id"], kind=point["type"], text=point["text"], image=point["image"]) for point in FUSION["points"]
]


@pytest.mark.parametrize("expected", FUSION["expect"], ids=lambda e: f"{e['task']}-{e['alpha']}")
def test_order_and_scores_are_those_of_the_released_search(expected):
    hits = fused(
        CHUNKS, FUSION["query_image"], FUSION["query_text"], alpha=expected["alpha"], top=5, task=expected["task"]
    )
    assert [hit.chunk.id for hit in hits] == expected["top5"]
    assert [hit.score for hit in hits] == pytest.approx(expected["scores"], abs=1e-9)
    assert [hit.image_score for hit in hits] == pytest.approx(expected["image_scores"], abs=1e-9)
    assert [hit.text_score for hit in hits] == pytest.approx(expected["text_scores"], abs=1e-9)


def test_kinds_pictures_and_ties():
    same = [Chunk(id=n, kind="caption", text=[1, n], image=[1, 0]) for n in (3, 1, 2)]
    bare = Chunk(id=9, kind="caption", text=[1, 0])
    hits = fused([*same, bare], [1, 0], [1, 0], alpha=1.0, top=9, task="caption")
    assert [hit.chunk.id for hit in hits] == [1, 2, 3]  # equal scores: nearest text to the query's image first
    assert fused([*same, bare], [1, 0], [1, 0], task="vqa") == []
    assert set(TASK_KINDS) == {"vqa", "caption", "classification"}
    with pytest.raises(ValueError, match="share"):
        fused(same, [1, 0], [1, 0], alpha=2)
