"""The model on ONNX Runtime against the same weights in PyTorch: packed blocks, logits, answers, boxes."""

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from fake.chat_model import coast
from rsvlm.assets.packed_language import pack_language
from rsvlm.errors import BadInput, MissingPart
from rsvlm.systems.convert.verify import verify
from rsvlm.systems.load import load
from rsvlm.systems.onnx.graph import FLOAT32, INT8, language_graph
from rsvlm.systems.onnx.language import OnnxLanguage
from rsvlm.systems.onnx.session import language_weights, open_graph, read_weights

HEADS, KV_HEADS, WIDTH, INNER, LAYERS, TOKENS, RANK = 4, 2, 64, 96, 2, 40, 4
Q4, Q8 = gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0
QUESTIONS = ("Describe this image.", "What land cover is this?", "Is there water?", "How many boats are there?")


def rows_for_llama_cpp(weight, heads):
    """The order in which llama.cpp keeps the rows of queries and keys."""
    return weight.reshape(heads, 2, len(weight) // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder of packed weights, and the same numbers in a LLaMA of transformers."""
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS, vocab_size=TOKENS, max_position_embeddings=64, tie_word_embeddings=True,
        rope_theta=10000.0, rms_norm_eps=1e-5,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    writer = gguf.GGUFWriter(str(folder / "tiny.gguf"), "llama")
    writer.add_block_count(LAYERS)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_context_length(64)
    writer.add_vocab_size(TOKENS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_token_list(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(chr(97 + i) for i in range(TOKENS - 4)), "ab"]
    )
    writer.add_token_types([3, 3, 3, *([1] * (TOKENS - 3))])
    writer.add_token_merges(["a b"])
    names = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down"}  # fmt: skip

    def add(name, parameter, kind, heads=0):
        """The parameter as the file holds it, which it then is in the model, too."""
        weight = parameter.detach().numpy()
        rows = rows_for_llama_cpp(weight, heads) if heads else weight
        stored = gguf.quants.quantize(rows, kind)
        writer.add_tensor(name, stored, raw_dtype=kind)
        back = gguf.quants.dequantize(stored, kind)
        if heads:
            back = back.reshape(heads, len(back) // heads // 2, 2, -1).swapaxes(1, 2).reshape(back.shape)
        parameter.data = torch.from_numpy(back.copy())

    add("token_embd.weight", model.model.embed_tokens.weight, Q8)
    for layer, block in enumerate(model.model.layers):
        for theirs, ours in names.items():
            heads = {"attn_q": HEADS, "attn_k": KV_HEADS}.get(ours, 0)
            add(f"blk.{layer}.{ours}.weight", block.get_submodule(theirs).weight, Q4, heads)
        for theirs, ours in (("input_layernorm", "attn_norm"), ("post_attention_layernorm", "ffn_norm")):
            block.get_submodule(theirs).weight.data = torch.rand(WIDTH) + 0.5
            writer.add_tensor(f"blk.{layer}.{ours}.weight", block.get_submodule(theirs).weight.detach().numpy())
    writer.add_tensor("output_norm.weight", model.model.norm.weight.detach().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    pack_language(folder / "tiny.gguf", folder)
    model.lm_head.weight = model.model.embed_tokens.weight
    return folder, model


def adapters_of(model, targets, seed=0):
    """LoRA matrices under peft's names, and the model with them merged."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for layer, block in enumerate(model.model.layers):
        for target in targets:
            linear = block.self_attn.get_submodule(f"{target}_proj")
            down = torch.randn(RANK, WIDTH, generator=generator) * 0.1
            up = torch.randn(linear.out_features, RANK, generator=generator) * 0.1
            name = f"language.model.model.layers.{layer}.self_attn.{target}_proj.lora_%s.default.weight"
            found |= {name % "A": down.numpy(), name % "B": up.numpy()}
            linear.weight.data += 2 * up @ down
    return found


def opened(folder, adapters, ranks, accuracy, where):
    packed, config = read_weights(folder / "model.safetensors"), json.loads((folder / "config.json").read_text())
    graph = language_graph(config, ranks, accuracy=accuracy)
    (where / "language.onnx").write_bytes(graph.SerializeToString())
    names = [one.name for one in graph.graph.initializer if one.data_location == 1]
    weights = language_weights(packed, adapters, lora_alpha=2.0 * RANK, config=config)
    return OnnxLanguage(open_graph(where / "language.onnx", names, weights, folder), packed)


@pytest.mark.parametrize(("accuracy", "close"), [(FLOAT32, 2e-5), (INT8, 0.05)])
def test_logits_are_those_of_the_same_weights_in_transformers(tiny, tmp_path, accuracy, close):
    folder, model = tiny
    model = copy.deepcopy(model)
    adapters = adapters_of(model, "qvo")
    language = opened(folder, adapters, {"qkv": 2 * RANK, "o": RANK}, accuracy, tmp_path)
    ids = np.array([[0, 0, 5, 9, 11], [7, 30, 2, 39, 4]])
    real = np.array([[False, False, True, True, True], [True] * 5])  # the first row is padded
    logits, past = language.forward(language.embed(ids), real)
    longer = np.concatenate([real, np.ones((2, 1), bool)], 1)
    after, _ = language.forward(language.embed(np.array([[3], [8]])), longer, past)
    with torch.inference_mode():
        alone = [model(torch.tensor([row]))[0][0] for row in ([5, 9, 11, 3], [7, 30, 2, 39, 4, 8])]
    scale = max(one.abs().max() for one in alone).item()
    for row, expected in enumerate(alone):
        assert np.abs(logits[row] - expected[-2].numpy()).max() < close * scale
        assert np.abs(after[row] - expected[-1].numpy()).max() < close * scale


def test_without_its_constants_or_adapters_the_product_is_another(tiny, tmp_path):
    """What the other test holds together is in the two small matrices: without either it would fail."""
    folder, model = tiny
    adapters = adapters_of(copy.deepcopy(model), "qvo")
    x, real = np.ones((1, 1, WIDTH), np.float32), np.ones((1, 1), bool)
    bare = opened(folder, {}, {}, FLOAT32, tmp_path).forward(x, real)[0]
    adapted = opened(folder, adapters, {"qkv": 2 * RANK, "o": RANK}, FLOAT32, tmp_path).forward(x, real)[0]
    assert np.abs(bare - adapted).max() > 0.01 * np.abs(bare).max()


def test_embeddings_are_the_published_ones(tiny, tmp_path):
    folder, model = tiny
    language = opened(folder, {}, {}, INT8, tmp_path)
    expected = model.model.embed_tokens.weight.detach().numpy()
    assert np.array_equal(language.embed(np.arange(TOKENS)), expected)
    assert np.array_equal(language.embed(np.array([-1])), expected[:1]), "a placeholder has the embedding of id 0"


def test_a_row_that_ends_leaves_the_others_as_they_are(tiny, tmp_path):
    folder, _ = tiny
    language = opened(folder, {}, {}, FLOAT32, tmp_path)
    ids = np.array([[5, 9, 11], [7, 30, 2], [1, 1, 4]])

    def replies(rows, ended=None):
        start = language.embed(ids[rows]), np.ones((len(rows), 3), bool), None
        *_, last = language.steps(*start, stop=frozenset(), max_new_tokens=6, ended=ended)
        return [(row.ids, row.confidence) for row in last]

    together = replies([0, 1, 2])
    first = together[0][0][:2]
    short = replies([0, 1, 2], ended=lambda ids: ids == first)
    assert short[0][0] == first and [ids for ids, _ in short[1:]] == [ids for ids, _ in together[1:]]
    for row in range(3):
        (alone,) = replies([row])
        assert alone[0] == together[row][0] and alone[1] == pytest.approx(together[row][1], abs=1e-5)


# ---- the embedded model itself, where it is installed ----


@pytest.fixture(scope="module")
def both():
    try:
        return load("mini"), load("torch:mini")
    except MissingPart as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def pictures():
    return [np.ascontiguousarray(coast(180 + 40 * seed, 240, 240).transpose(1, 2, 0)) for seed in range(3)]


def test_mini_is_run_by_onnx_runtime_without_pytorch(both):
    program = (
        "import sys, numpy, rsvlm.systems.load as load; model = load.load('mini'); "
        "model.answer([numpy.zeros((64, 64, 3), 'uint8')], ['Is there water?'], max_new_tokens=2); "
        "model.detect([numpy.zeros((64, 64, 3), 'uint8')], ['boats']); "
        "print(sorted({'torch', 'transformers', 'onnx'} & set(sys.modules)), model.trace['onnxruntime'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", onnxruntime.__version__]


def test_vectors_of_pictures_and_texts_are_those_of_pytorch(both, pictures):
    ours, theirs = both
    texts = ["a harbour with many boats", "Forest.", "many dense houses " * 200]
    assert ours.count_tokens(texts) == theirs.count_tokens(texts) and ours.count_tokens(texts)[2] > ours.max_text == 512
    assert np.abs(ours.embed_texts(texts) - theirs.embed_texts(texts)).max() < 1e-4
    assert np.abs(ours.embed_texts(texts)[0] - ours.embed_texts(texts[:1])[0]).max() < 1e-5, "padding changes nothing"
    cosine = (ours.embed_images(pictures) * theirs.embed_images(pictures)).sum(1)
    assert (cosine > 0.999).all(), "PyTorch may compute the tower in bfloat16"
    if theirs.trace["dtype"] == "fp32":
        assert np.abs(ours.embed_images(pictures) - theirs.embed_images(pictures)).max() < 1e-4
    assert ours.logit_scale == pytest.approx(theirs.logit_scale, rel=1e-6)
    assert np.allclose(ours.match(pictures, texts[:2]).sum(1), 1)


def test_levels_boxes_and_vectors_are_those_of_pytorch(both, pictures):
    ours, theirs = both
    cosine = (ours.pooled(pictures) * theirs.pooled(pictures)).sum(1)
    assert (cosine > 0.999).all(), "PyTorch may compute in bfloat16"
    phrases = ["boats", "the car at the left", "people"]
    for mine, other in zip(ours.detect(pictures, phrases), theirs.detect(pictures, phrases), strict=True):
        assert len(mine) == len(other)
        for one, region in zip(mine, other, strict=True):
            assert one.score == pytest.approx(region.score, abs=0.02) and one.box == pytest.approx(region.box, abs=2)


def test_maps_of_change_are_those_of_pytorch(both, pictures):
    ours, theirs = both
    before, after = pictures[0], pictures[0].copy()
    after[60:120, 80:150] = 240
    one, other = ours.change_maps(before, after), theirs.change_maps(before, after)
    assert ours.change_classes == theirs.change_classes == ("built", "damaged", "other")
    assert one.shape == other.shape == (3, *before.shape[:2])
    masks = one >= 0.5, other >= 0.5
    assert masks[0].any()
    assert (masks[0] & masks[1]).sum() >= 0.995 * (masks[0] | masks[1]).sum(), "within 0.5 % of IoU"


def test_a_picture_that_is_asked_twice_is_answered_as_if_asked_once(both, pictures):
    ours, _ = both
    together = ours.answer([pictures[0]] * 3 + [pictures[1]], [*QUESTIONS[:3], QUESTIONS[0]])
    alone = [ours.answer([image], [question])[0] for image, question in zip(
        [pictures[0]] * 3 + [pictures[1]], [*QUESTIONS[:3], QUESTIONS[0]], strict=True)]  # fmt: skip
    for one, other in zip(together, alone, strict=True):
        assert one.text and one.confidence == pytest.approx(other.confidence, abs=0.1)


def test_the_stream_is_the_answer(both, pictures):
    ours, _ = both
    streaming = ours.stream(pictures[0], QUESTIONS[0])
    pieces = []
    try:
        while True:
            pieces.append(next(streaming))
    except StopIteration as end:
        reply = end.value
    assert "".join(pieces) == reply.text == ours.answer([pictures[0]], [QUESTIONS[0]])[0].text
    assert len(pieces) > 1


def test_blind_and_too_long_questions(both):
    ours, theirs = both
    (blind,) = ours.answer([None], [QUESTIONS[2]])
    assert blind.text == theirs.answer([None], [QUESTIONS[2]])[0].text
    with pytest.raises(BadInput, match="reads 8192 tokens at once"):
        ours.answer([None], ["why " * 9000])


FAULTS = {
    "not finite": lambda state, name: state[name].view(-1)[0].fill_(float("nan")),
    "int8": lambda state, name: state.update({name: state[name].to(torch.int8)}),
    "uint8": lambda state, name: state.update({name: state[name].to(torch.uint8)}),
    "complex": lambda state, name: state.update({name: state[name].to(torch.complex64)}),
    "wrong shape": lambda state, name: state.update({name: state[name][:-1].contiguous()}),
    "missing": lambda state, name: state.pop(name),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "name", ["boxes.level.0.0.weight", "language.model.model.layers.3.self_attn.v_proj.lora_B.default.weight"]
)
def test_weights_that_do_not_fit_are_refused_as_weights_check_does(both, pictures, tmp_path, fault, name):
    from rsvlm.systems.model_dir import model_folder

    folder = tmp_path / "model"
    shutil.copytree(model_folder("mini"), folder)
    state = load_file(folder / "model.safetensors")
    FAULTS[fault](state, name)
    save_file(state, folder / "model.safetensors")
    with pytest.raises(BadInput) as checked:
        verify(folder)
    with pytest.raises(BadInput) as refused:
        load(str(folder)).detect(pictures[:1], ["boats"])
    assert str(refused.value) == str(checked.value) and f"the first is {name};" in str(refused.value)


def test_graphs_hold_no_weights_and_no_paths():
    from rsvlm.systems.model_dir import model_folder

    try:
        folder = model_folder("mini") / "onnx"
    except MissingPart as error:
        pytest.skip(str(error))
    assert sum(file.stat().st_size for file in folder.iterdir()) < 1_000_000
    for file in folder.glob("*.onnx"):
        data = file.read_bytes()
        assert b"/home/" not in data and b"/root/" not in data and b"site-packages" not in data and b".py" not in data
    assert {Path(file).stem for file in folder.glob("*.onnx")} == {
        *("tower", "bridge", "boxes", "language"),
        *("match_image", "match_text", "change"),
    }
