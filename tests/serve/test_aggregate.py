"""How replies about tiles and the whole become one verdict, kind by kind."""

import pytest

from rsvlm.data.prompt import REFUSAL
from rsvlm.sample import Reply
from rsvlm.serve.aggregate import ViewReply, aggregate
from rsvlm.serve.question_type import QuestionType

SIDE = 100


def seen(text: str, at: int = 0, confidence: float = 0.8, valid: float = 1.0) -> ViewReply:
    return ViewReply(window=(at * SIDE, 0, SIDE, SIDE), valid=valid, reply=Reply(text=text, confidence=confidence))


def row(*texts: str) -> list[ViewReply]:
    return [seen(text, at) for at, text in enumerate(texts)]


def test_one_view_is_answered_as_the_model_says():
    one = aggregate(QuestionType.CAPTION, "Describe this image.", [], seen("A lake."))
    assert (one.answer, one.confidence, one.evidence[0].label) == ("A lake.", 0.8, "A lake")
    yes = aggregate(QuestionType.PRESENCE, "Is there water?", [], seen("Yes"))
    assert yes.evidence[0].label == "water" and yes.evidence[0].properties["reply"] == "Yes"
    assert aggregate(QuestionType.PRESENCE, "Is there water?", [], seen("No")).evidence == ()
    assert aggregate(QuestionType.COUNT, "How many boats are there?", [], seen("0")).evidence == ()
    assert aggregate(QuestionType.COUNT, "How many boats are there?", [], seen("2")).evidence[0].label == "boats"


@pytest.mark.parametrize("kind", QuestionType)
def test_a_refusal_for_the_whole_stays_one(kind):
    result = aggregate(kind, "Who lives here?", row("Yes", "3"), seen(REFUSAL, confidence=0.9))
    assert (result.answer, result.confidence, result.evidence) == (REFUSAL, 0.9, ())
    assert "refused" in result.rule


def test_a_tile_that_refuses_does_not_count():
    result = aggregate(QuestionType.COUNT, "How many boats are there?", row("2", REFUSAL, "3"), seen("9"))
    assert result.answer == "5"
    assert aggregate(QuestionType.COUNT, "How many boats?", row(REFUSAL, REFUSAL), seen("9")).answer == "9"
    cover = aggregate(QuestionType.SCENE, "What land cover is this?", row(REFUSAL, REFUSAL, "Forest."), seen("Forest."))
    assert cover.shares == (("Forest", 1.0),)
    caption = aggregate(QuestionType.CAPTION, "Describe this image.", row(REFUSAL, REFUSAL, "A lake."), seen("A lake."))
    assert [one.label for one in caption.evidence] == ["A lake"]


def test_presence():
    tiles = [seen("No", 0, 0.9), seen("Yes", 1, 0.7), seen("Yes.", 2, 0.95), seen("Yes", 3, 0.3)]
    result = aggregate(QuestionType.PRESENCE, "Is there water?", tiles, seen("No"))
    assert (result.answer, result.confidence) == ("Yes", 0.95)
    assert [one.windows[0][0] for one in result.evidence] == [100, 200] and "2 of 4" in result.rule
    no = aggregate(QuestionType.PRESENCE, "Is there water?", [tiles[0], seen("No", 1, 0.7)], seen("No"))
    assert (no.answer, no.evidence) == ("No", ()) and no.confidence == pytest.approx(0.8)
    large = aggregate(QuestionType.PRESENCE, "Is there a river?", row("No", "No"), seen("Yes", confidence=0.6))
    assert (large.answer, large.confidence, len(large.evidence)) == ("Yes", 0.6, 1)
    doubt = aggregate(QuestionType.PRESENCE, "Is there a river?", [seen("Yes", 0, 0.3)], seen("No"))
    assert doubt.answer == "No" and doubt.confidence == pytest.approx(0.7)
    assert aggregate(QuestionType.PRESENCE, "Is there a river?", row("A river"), seen("Maybe")).answer == "Maybe"


def test_count_is_a_sum_and_says_so():
    result = aggregate(QuestionType.COUNT, "How many boats are there?", row("3", "No boats", "two", "many"), seen("1"))
    assert result.answer == "5" and [one.properties["count"] for one in result.evidence] == [3, 2]
    assert [one.label for one in result.evidence] == ["boats: 3", "boats: 2"]
    assert "sum" in result.rule and "1 tiles gave no number" in result.rule
    assert aggregate(QuestionType.COUNT, "How many boats?", row("many"), seen("lots")).answer == "lots"


def test_land_cover_goes_by_valid_area():
    tiles = [seen("Forest.", 0, 0.9), seen("Sea lake.", 1, 0.5, 0.25), seen("sea lake", 2, 0.7, 0.25)]
    result = aggregate(QuestionType.SCENE, "What land cover is this?", tiles, seen("River."))
    assert result.answer == "Forest" and result.shares == (("Forest", 2 / 3), ("Sea lake", 1 / 3))
    assert result.confidence == pytest.approx(0.9 * 2 / 3)
    lake = result.evidence[1]
    assert lake.windows == ((100, 0, 100, 100), (200, 0, 100, 100)) and lake.score == pytest.approx(0.6)
    assert lake.properties == {"share": 1 / 3, "tiles": 2, "valid": 0.25}


def test_a_caption_is_that_of_the_whole_with_the_most_typical_tiles():
    said = ["a green forest with trees"] * 3 + ["a forest with many green trees", "ships in a harbour"]
    result = aggregate(
        QuestionType.CAPTION, "Describe this image.", row(*said), seen("A large forest.", confidence=0.66)
    )
    assert (result.answer, result.confidence) == ("A large forest.", 0.66)
    assert [one.properties["caption"] for one in result.evidence] == [said[0], said[3], said[4]]
    many = row(*(f"thing {n}" for n in range(20)))
    assert len(aggregate(QuestionType.CAPTION, "Describe this image.", many, seen("Things.")).evidence) == 5


def test_other_questions_are_answered_for_the_whole():
    result = aggregate(QuestionType.OTHER, "Which season is it?", row("Summer", "Winter.", "summer."), seen("Summer."))
    assert result.answer == "Summer." and [one.windows[0][0] for one in result.evidence] == [0, 200]
    alone = aggregate(QuestionType.OTHER, "Which season is it?", row("Winter"), seen("Summer."))
    assert len(alone.evidence) == 1
