"""The PTB tokenizer against the Java original's output (tests/golden/metrics/tokenizer.json)."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from fake.golden import golden
from rsvlm.metrics.text.tokenizer import ptb, tokenize, whitespace

GOLDEN = golden("tokenizer.json")
CAPTIONS = golden("captions.json")
REAL = Path(os.environ.get("RSVLM_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def test_every_odd_string_equals_the_java_tokenizer():
    cases = GOLDEN["items"] + GOLDEN["non_ascii"]
    assert [(c["raw"], ptb(c["raw"])) for c in cases] == [(c["raw"], c["out"]) for c in cases]


def test_real_captions_equal_the_java_tokenizer():
    images, tokens = CAPTIONS["images"], CAPTIONS["protocols"]["coco_ptb"]["tokens"]
    assert tokenize([image["cand"] for image in images]) == tokens["cand"]
    assert [tokenize(image["refs"]) for image in images] == tokens["refs"]


# What the Java program (CoreNLP 3.4.1 through pycocoevalcap 1.2) gave for strings beyond the golden ones.
@pytest.mark.parametrize(
    ("raw", "tokens"),
    [
        ("'90s '80 90's the'90s", "'90s '80 90 's the '90s"),
        ("can't-miss won't/can't don'ts", "ca n't miss wo n't / ca n't do n'ts"),
        ("o'hara d'arc l'aqua j'ai c'mon y'all", "o'hara d'arc l'aqua j' ai c'mon y' all"),
        ("5/6/7 1/2/3/4 a/b/c/d a-b/c-d 3 1/2", "5/6/7 1/2/3 / 4 a/b/c / d a-b/c-d 3\xa01/2"),
        ("1.5m 1a.5 -5.5 a+5 5°C x²", "1.5 m 1a .5 -5.5 a +5 5 ° c x ²"),
        ("etc., etc.; x.) Mr.Smith jan.5 ark. Ark. b", "etc. etc. x. -rrb- mr.smith jan. 5 ark ark. b"),
        ("no.5 no. 5 no. a fig. 3", "no. 5 no. 5 no a fig. 3"),
        ("foo@bar.com www.ab.com/x?y=z, https://a.b/c.", "foo@bar.com www.ab.com/x?y=z https://a.b/c"),
        ("AT&T a&B a*b ** !! ?! - -- ----- _", "at&t a & b a * b ** !! ?! ----- _"),
        ("<a b> a<b> &amp; &frac12;", "<a\xa0b> a <b> & & frac12"),
        ("low_vegetation a-b_c a,b-c 3.5-inch", "low_vegetation a-b_c a,b-c 3.5-inch"),
        ("建筑物abc ½ ⅓ €5 water’s isn’t", "建筑物abc 1/2 1/3 $ 5 water 's is n't"),
        ("हवाई अड्डे के पास दो रनवे हैं २३ km२", "हवाई अड्डे के पास दो रनवे हैं २३ km२"),
        ("มีรันเวย์สองแห่งใกล้กับสนามบิน", "มีรันเวย์สองแห่งใกล้กับสนามบิน"),
        ("مَدْرَجَانِ قُرْبَ المَطَارِ ٢٣٫٥ ؟", "مَدْرَجَانِ قُرْبَ المَطَارِ ٢٣٫٥ ؟"),
        ("שָׁלוֹם e\u0301glise 1\u0301b", "שָׁלוֹם e\u0301glise 1 \u0301b"),
        ("\ufefftwo a\u200bb\u200dc \ue000 \x07 𝐀 𝟏 2𝟏3", "two a b c 2 3"),
        ("Ⅳ roads of type Ⅱ ⅳa ①②", "roads of type a ① ②"),
        ("x₁₂ x²³ 10⁻³ 1⁄2 non‑breaking x‐ray", "x ₁₂ x ²³ 10 ⁻³ 1⁄2 non‑breaking x‐ray"),
        ("C# c++ ##x @@ @aé a/é 建/筑 a/b", "c# c++ ## x @@ @a é a / é 建 / 筑 a/b"),
    ],
)
def test_what_the_java_tokenizer_says_of_other_strings(raw, tokens):
    assert ptb(raw) == tokens


@pytest.mark.parametrize("mark", ["\r", "\r\n", "\v", "\f", "\u2028", "\u2029", "\n", "\x85"])
def test_line_breaks_of_every_kind_are_blanks(mark):
    assert ptb(f"two roads{mark}cross .") == "two roads cross"


def test_whitespace_leaves_a_caption_alone():
    assert whitespace("A  b .") == "A  b ."


@pytest.mark.parametrize(
    ("name", "file"), [("ucm", "UCM_captions/dataset.json"), ("rsicd", "RSICD/dataset_rsicd.json")]
)
def test_whole_corpora_hash_as_recorded(name, file):
    path = REAL / file
    if not path.is_file():
        pytest.skip(f"no {path}")
    listing = json.loads(path.read_text(encoding="utf-8"))
    captions = [sentence["raw"] for image in listing["images"] for sentence in image["sentences"]]
    recorded = GOLDEN["corpus_hash"][name]
    if hashlib.sha256("\n".join(captions).encode()).hexdigest() != recorded["sha256_in"]:
        pytest.skip(f"{path} holds {len(captions)} of the {recorded['captions']} captions that were recorded")
    assert hashlib.sha256("\n".join(tokenize(captions)).encode()).hexdigest() == recorded["sha256_out"]
