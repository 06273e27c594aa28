"""A few bytes that ask for gigabytes: pickles, torch files, YAML; and recipes that are no text."""

import pickle
import struct
import time
import tracemalloc
import zipfile

import pytest
import torch

from rsvlm.data.sources.plain_pickle import load_plain
from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints.weights import read_pickle
from rsvlm.recipe import read_recipe
from rsvlm.systems.providers.hf_files import weights_hash

MEMO = b"K\x01r\xff\xff\xff\x0f."  # LONG_BINPUT: eight bytes, a memo of 268 million places


def test_a_pickle_of_eight_bytes_takes_no_memory(tmp_path):
    (tmp_path / "refs.p").write_bytes(MEMO)
    tracemalloc.start()
    with pytest.raises(BadInput, match="asks for 268,435,455 places of memory in 8 bytes; it is not read"):
        load_plain(tmp_path / "refs.p")
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("protocol", range(2, 6))
def test_plain_data_is_read_whatever_the_protocol(tmp_path, protocol):
    plain = {"a": [1, 2.5, "é" * 300, None, True, (1, 2), {3}, b"x" * 300], "b": 2**70}
    (tmp_path / "refs.p").write_bytes(pickle.dumps(plain, protocol))
    try:
        assert load_plain(tmp_path / "refs.p") == plain
    except BadInput as error:  # bytes and sets ask for a function before protocols 3 and 4
        assert protocol < 4 and "asks for" in str(error)


def torch_file(path, program, **more):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program, **more)
        archive.writestr("archive/version", "3\n")
    return path


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (MEMO, "places of memory"),
        (b"cbuiltins\nbytearray\n(J\x00\x94\x35\x77tR.", "makes byte arrays of any length"),
        (b"\x80\x04\x8c\x08builtins\x8c\x09bytearray\x93(J\x00\x94\x35\x77tR.", "makes byte arrays of any length"),
        (b"\x80\x02X" + struct.pack("<I", 2**31 - 1) + b"x", "is damaged or no pickle"),
    ],
)
def test_a_torch_file_is_looked_over_before_it_is_read(tmp_path, program, message):
    with pytest.raises(BadInput, match=message):
        read_pickle(torch_file(tmp_path / "model.pt", program))


def test_a_zip_that_unpacks_to_far_more_is_refused_and_true_files_are_read(tmp_path):
    path = torch_file(tmp_path / "bomb.pt", bytes(40_000_000), compress_type=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(BadInput, match=r"unpacks archive/data\.pkl to 40 MB"):
        read_pickle(path)
    state = {"model": {"a": torch.arange(3.0), "b": torch.zeros(2, 2, dtype=torch.bfloat16)}, "epoch": 3}
    for old in (False, True):
        torch.save(state, tmp_path / "true.pt", _use_new_zipfile_serialization=not old)
        assert torch.equal(read_pickle(tmp_path / "true.pt")["model"]["a"], state["model"]["a"])


# ---- recipes ----

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "its aliases stand for more than 100,000 values"),
        ("a: &a [*a]\n", "its aliases stand for more than 100,000 values"),
        (f"system: lhrs_bot\nsize: tiny\nmodel: {{x: [{', '.join(['9'] * 90_000)}]}}\nseed: q\n", "seed: .*found 'q'"),
        (f"seed: {'9' * 5000}\n", "is not valid YAML"),
        ("[" * 3000, "is not valid YAML"),
        (b"\xff\xfes\x00", "is not valid YAML"),
        ("", r"the file: .*\(found None\)"),
    ],
)
def test_a_recipe_that_is_none_is_refused_at_once(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    start = time.perf_counter()
    with pytest.raises(BadInput, match=message) as caught:
        read_recipe(path)
    assert time.perf_counter() - start < 20 and len(str(caught.value)) < 600


def test_a_byte_order_mark_anchors_and_odd_names(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("\ufeffsystem: lhrs_bot\nsize: &size tiny\nstart: ''\nmodel: {a: *size, b: *size}\n")
    assert read_recipe(path).model == {"a": "tiny", "b": "tiny"}
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(BadInput, match="There is no recipe at"):
            read_recipe(name)


@pytest.mark.parametrize(
    "weights", ['{"a": "../../secret"}', '{"a": 3}', '{"a": {"b": 1}}', '["a"]', "{}", '{"a": "/etc/passwd"}']
)
def test_an_index_names_files_beside_it_only(tmp_path, weights):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text(f'{{"weight_map": {weights}}}')
    with pytest.raises(BadInput, match=r"as a part; expected files beside it|names no file"):
        weights_hash(tmp_path)
