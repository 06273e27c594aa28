"""Every script of benchmarks/ runs at its smallest size and prints one line of JSON with its figures."""

import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from rsvlm.assets import language_model, packed_language_model
from rsvlm.errors import MissingPart
from rsvlm.systems.model_dir import model_folder


def mini_is_here():
    try:
        return packed_language_model() and language_model() and model_folder("mini")
    except MissingPart:
        return None


SCRIPTS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))
FIGURES = {
    "align_pair": "target_ratio ratio seconds side by_hand error_px",
    "compare_scenes": "target_ratio ratio seconds side pixels_per_s loaded_mib compared_mib target_mib",
    "archive_index": "tiles target_ratio ours_s bare_s ratio tiles_per_s rows width target_peak_rss_mib add_s "
    "build_index_s peak_rss_mib",
    "archive_search": "rows width queries build_s first_query_s target_first_query_s filtered target_filtered "
    "approximate hnsw target_of_hnsw of_hnsw exact target_of_limit threads",
    "batch_caption": "batch tokens target_ratio tiny threads",
    "caption_metrics": "images references real_images distinct_captions seconds ratio target_ratio equal_to",
    "choices": "target_ratio likelihood_s free_s likelihood_to_free rules_s raw_s raw_to_rules",
    "cold_ask": "target_s ours_s bare_transformers_s ratio",
    "decode": "tokens_per_s ratio target_ratio bandwidth_limit_tokens_per_s share_of_limit same_tokens threads",
    "embed_images": "pictures batch target_ratio ours_s transformers_s ratio threads largest_difference",
    "gradient_cache": "pairs part cached_s whole_s ratio difference_of_losses threads",
    "indices": "labels target_iou pixels seconds peak_mib",
    "meteor": "images references real_images distinct_pairs seconds ratio target_ratio equal_to",
    "packing": ("target_ratio pack batch layers packed_tokens_s padded_tokens_s ratio packed_real padded_real threads"),
    "retrieval": "pictures captions target_ratio ours_s argsort_s ratio equal",
    "router": "questions target_ms ms ratio right",
    "runtimes": "caption eight_captions decode_tokens_per_s dtype threads",
    "same_words": "prompts real_images same gaps largest_difference shipped dtype threads",
    "shared_prefix": "questions target_ratio prefill answers threads",
    "stream_tiles": "target_ratio target_rss_mib none deflate",
    "train_step": "target model steps ours_s bare_s ratio",
    "warm_caption": "target_s threads ours_s transformers_generate_s ratio answer",
}
OPTIONAL = {
    "choices": mini_is_here,
    "compare_scenes": mini_is_here,
    "meteor": lambda: shutil.which("java"),
    "runtimes": mini_is_here,
    "same_words": mini_is_here,
}  # what may be absent from a machine with the extra `dev`


@pytest.fixture
def started(monkeypatch, capfd):
    """A script's name and arguments -> the objects of JSON that it prints on stdout, a line each."""

    def start(name, *arguments):
        script = next(path for path in SCRIPTS if path.stem == name)
        monkeypatch.syspath_prepend(script.parent)  # as `python benchmarks/<script>.py` has it
        monkeypatch.setattr(sys, "argv", [str(script), *arguments])
        runpy.run_path(str(script), run_name="__main__")
        return [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")]

    return start


def test_every_script_is_known():
    assert {path.stem for path in SCRIPTS} == set(FIGURES) and len(SCRIPTS) == 22


@pytest.mark.parametrize("name", FIGURES)
def test_a_script_runs_at_its_smallest_size(name, started):
    (line,) = started(name, "--smallest")
    if name in OPTIONAL and not OPTIONAL[name]():
        pytest.skip(line["skipped"])
    assert list(line)[:2] == ["benchmark", "smallest"] and line["benchmark"] == name and line["smallest"] is True
    assert set(line) - {"benchmark", "smallest"} == set(FIGURES[name].split())
    assert (
        line.get("same_tokens", True)
        and line.get("equal", True)
        and line.get("same") == line.get("prompts")
        and line.get("real_images", 0) == 0
    )


def test_a_script_without_what_it_needs_says_so_in_its_line(started, monkeypatch):
    monkeypatch.setattr("rsvlm.systems.model_dir.find_spec", lambda name: None)
    assert started("warm_caption") == [
        {"benchmark": "warm_caption", "skipped": "The embedded model is not installed; run: "
         "pip install ./packages/rsvlm-mini (from the repository)"}
    ]  # fmt: skip
