"""Recall at K against the reference numbers, and against a plain sort."""

import time
import tracemalloc

import numpy as np
import pytest

from fake.golden import golden
from rsvlm.errors import BadInput
from rsvlm.metrics import retrieval
from rsvlm.metrics.retrieval import mean_rank, median_rank, retrieval_ranks, retrieval_scores
from rsvlm.metrics.score import resample

GOLDEN = golden("retrieval.json")
IMAGES = np.array(GOLDEN["image_features"])
TEXT_OF = np.array(GOLDEN["captions"])
OWNER = np.repeat(np.arange(GOLDEN["n_images"]), len(TEXT_OF) // GOLDEN["n_images"])
CAPTIONS = [GOLDEN["texts"][i] for i in TEXT_OF]
NO_TIES = np.round(IMAGES @ np.array(GOLDEN["text_no_ties"]).T, 9)
TIES = np.round(IMAGES @ np.array(GOLDEN["text_unique"])[TEXT_OF].T, 9)
EXACT = {"rel": 0, "abs": 1e-9}


def equal_to_amfmn(scores, expected):
    for direction in ("i2t", "t2i"):
        for k in retrieval.KS:
            found = 100 * scores[f"{direction}_recall@{k}"].value
            assert found == pytest.approx(expected[direction][f"R@{k}"], **EXACT), (direction, k)
    assert 100 * scores["mean_recall"].value == pytest.approx(expected["mR"], **EXACT)


@pytest.mark.parametrize("ties", ["pessimistic", "optimistic", "amfmn_stable_reversed"])
def test_without_ties_every_rule_is_amfmn(ties):
    expected = GOLDEN["expect"]["no_ties"]["amfmn"]
    ranks = retrieval_ranks(NO_TIES, OWNER, ties=ties)
    assert ranks.i2t.tolist() == expected["ranks_i2t"]
    assert ranks.t2i.tolist() == expected["ranks_t2i"]
    for direction, found in (("i2t", ranks.i2t), ("t2i", ranks.t2i)):
        assert median_rank(found) == expected[direction]["medr"]
        assert mean_rank(found) == pytest.approx(expected[direction]["meanr"], **EXACT)
    equal_to_amfmn(retrieval_scores(NO_TIES, OWNER, ties=ties), expected)


@pytest.mark.parametrize("ties", ["pessimistic", "optimistic", "amfmn_stable_reversed"])
def test_each_rule_for_ties_is_its_recorded_value(ties):
    equal_to_amfmn(retrieval_scores(TIES, OWNER, ties=ties), GOLDEN["expect"]["duplicates"][ties])


def test_the_default_gives_no_tie_away():
    equal_to_amfmn(retrieval_scores(TIES, OWNER), GOLDEN["expect"]["duplicates"]["pessimistic"])
    same = retrieval_ranks(np.zeros((4, 20)), np.repeat(np.arange(4), 5))
    assert same.i2t.tolist() == [15] * 4 and same.t2i.tolist() == [3] * 20


def test_merged_texts_are_skyscript():
    expected = GOLDEN["expect"]["duplicates"]["skyscript"]
    scores = retrieval_scores(TIES, OWNER, CAPTIONS, protocol="merged_texts")
    for ours, theirs in (("i2t", "img2text"), ("t2i", "text2img")):
        for k in (1, 5, 10, 100):
            assert scores[f"merged_{ours}_recall@{k}"].value == pytest.approx(expected[f"{theirs}_R@{k}"], **EXACT)
        assert scores[f"merged_{ours}_mean_recall"].value == pytest.approx(expected[f"{theirs}_mean"], **EXACT)
    assert scores["merged_t2i_recall@1"].n == expected["unique_texts"]


def test_the_two_protocols_share_no_name():
    assert not set(retrieval_scores(TIES, OWNER)) & set(
        retrieval_scores(TIES, OWNER, CAPTIONS, protocol="merged_texts")
    )


def test_features_give_what_their_products_give():
    for texts in (np.array(GOLDEN["text_no_ties"]), np.array(GOLDEN["text_unique"])[TEXT_OF]):
        whole = retrieval_ranks(np.round(IMAGES @ texts.T, 6), OWNER)
        parts = retrieval_ranks((IMAGES, texts), OWNER)
        assert np.array_equal(whole.i2t, parts.i2t) and np.array_equal(whole.t2i, parts.t2i)


def test_equal_texts_of_float32_features_tie():
    """The last bits of a matrix product depend on the place in the matrix; a tie must not be broken by them."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(1, 513)).astype(np.float32)
    texts = np.repeat(rng.normal(size=(1, 513)).astype(np.float32), 7, axis=0)
    images, texts = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (images, texts))
    noisy = texts * (1 + np.arange(7, dtype=np.float32)[:, None] * 1e-8)
    pair = (np.concatenate([images, -images]), noisy)
    owner = np.array([0, 1, 1, 1, 1, 1, 1])
    assert retrieval_ranks(pair, owner).i2t[0] == 6 and retrieval_ranks(pair, owner, ties="optimistic").i2t[0] == 0


@pytest.mark.parametrize("cells", [1, 50, 10**6])
def test_blocks_do_not_change_a_rank(monkeypatch, cells):
    monkeypatch.setattr(retrieval, "_CELLS", cells)
    for ties in ("pessimistic", "optimistic", "amfmn_stable_reversed"):
        equal_to_amfmn(retrieval_scores(TIES, OWNER, ties=ties), GOLDEN["expect"]["duplicates"][ties])


def test_ranks_are_those_of_a_sort():
    rng = np.random.default_rng(1)
    for _ in range(30):
        images = int(rng.integers(1, 9))
        owner = np.concatenate([np.arange(images), rng.integers(0, images, int(rng.integers(0, 30)))])
        owner = rng.permutation(owner)
        near = rng.integers(0, 6, (images, len(owner))) / 7
        ranks = retrieval_ranks(near, owner, ties="amfmn_stable_reversed")
        for i in range(images):
            order = np.argsort(near[i], kind="stable")[::-1]
            assert ranks.i2t[i] == min(np.flatnonzero(owner[order] == i))
        for t, i in enumerate(owner):
            order = np.argsort(near[:, t], kind="stable")[::-1]
            assert ranks.t2i[t] == np.flatnonzero(order == i)[0]


def test_an_unreadable_similarity_is_never_right():
    near = np.eye(3)
    near[0] = np.nan
    ranks = retrieval_ranks(near, np.arange(3), ties="optimistic")
    assert ranks.i2t.tolist() == [3, 0, 0] and ranks.t2i.tolist() == [3, 0, 0]
    assert retrieval_scores(np.full((3, 3), np.nan), np.arange(3), ties="optimistic")["i2t_recall@10"].value == 0


def test_all_scores_of_a_call_resample_together():
    for protocol in ("grouped_captions", "merged_texts"):
        scores = retrieval_scores(TIES, OWNER, CAPTIONS, protocol=protocol)
        assert len({len(score.sums) for score in scores.values()}) == 1
        for score in scores.values():
            assert float(score.finish(score.sums.sum(axis=0))) == pytest.approx(score.value, **EXACT)
            assert len(score.per_item) == score.n
        assert all(len(values) == 20 and values.std() < 0.2 for values in resample(scores, draws=20).values())
    grouped = retrieval_scores(TIES, OWNER)
    together = resample(grouped, groups=[*range(len(IMAGES)), *OWNER], draws=50)
    assert set(together) == set(grouped)


@pytest.mark.parametrize("call, message", [
    (lambda: retrieval_ranks(np.zeros((2, 3)), [0, 1]), "2 images and 3 captions"),
    (lambda: retrieval_ranks(np.zeros((2, 3)), [0, 0, 0]), "each image at least"),
    (lambda: retrieval_ranks(np.zeros((2, 3)), [0, 1, 2]), "numbered 0 to 2"),
    (lambda: retrieval_ranks((np.zeros((2, 3)), np.zeros((2, 4))), [0, 1]), r"\(2, 3\) and \(2, 4\)"),
    (lambda: retrieval_ranks(np.zeros((2, 2)), [0, 1], protocol="merged_texts"), "needs the 2 captions"),
])  # fmt: skip
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(BadInput, match=message):
        call()


def test_memory_stays_that_of_a_block():
    rng = np.random.default_rng(0)
    images, texts = (rng.normal(size=(n, 8)).astype(np.float32) for n in (1500, 7500))
    tracemalloc.start()
    began = time.perf_counter()
    retrieval_ranks((images, texts), np.repeat(np.arange(1500), 5))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * retrieval._CELLS + 2**22 and time.perf_counter() - began < 60
