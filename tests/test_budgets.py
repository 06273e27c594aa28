"""A few bytes that ask for gigabytes: pickles, torch files, YAML; and recipes that are no text."""

import pickle
import resource
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import torch

from rsvlm.data.sources.plain_pickle import load_plain
from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints.weights import read_pickle
from rsvlm.pickles import check_pickle
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


OBJECT = b"\x80\x02]q\x00X\x04\x00\x00\x00dataa."  # ["data"]
BYTEARRAY = b"cbuiltins\nbytearray\n(J\x00\x94\x35\x77tR."


def old_file(path, program):
    """A torch file of the old form, whose fourth program is the object that was saved."""
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    heads = [pickle.dumps(one, 2) for one in (0x1950A86A20F9469CFC6C, 1001, machine)]
    path.write_bytes(b"".join([*heads, program, pickle.dumps([], 2)]))
    return path


@pytest.mark.parametrize("program", [BYTEARRAY, MEMO, b"\x80\x02" + b"\x8f" * 9_000_000 + b"."])
def test_an_old_torch_file_is_looked_over_beyond_its_first_program(tmp_path, program):
    with pytest.raises(BadInput, match="it is not read"):
        read_pickle(old_file(tmp_path / "model.pt", program))
    assert read_pickle(old_file(tmp_path / "true.pt", OBJECT)) == ["data"]


def test_a_zip_behind_an_old_file_does_not_hide_it(tmp_path):
    inner = torch_file(tmp_path / "inner.zip", OBJECT).read_bytes()
    path = old_file(tmp_path / "model.pt", BYTEARRAY)
    path.write_bytes(path.read_bytes() + inner)
    assert zipfile.is_zipfile(path)
    with pytest.raises(BadInput, match="makes byte arrays"):
        read_pickle(path)


def test_a_state_dict_may_have_any_names(tmp_path):
    torch.save({"bytearray": torch.ones(2), "my.bytearrays": torch.ones(2)}, tmp_path / "true.pt")
    with pytest.raises(BadInput, match="makes byte arrays"):  # the name alone is not told apart from the function's
        read_pickle(tmp_path / "true.pt")
    torch.save({"my.bytearrays": torch.ones(2)}, tmp_path / "true.pt")
    assert list(read_pickle(tmp_path / "true.pt")) == ["my.bytearrays"]


def doubled(value, times):
    for _ in range(times):
        value = {"a": value, "b": value}
    return value


def itself():
    value = {}
    value["a"] = value
    return value


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (lambda: {"a": torch.ones(1).expand(1 << 30)}, r"holds a tensor \(1073741824,\) of 4,294,967,296 bytes"),
        (lambda: {"a": torch.ones(4).as_strided((1 << 20, 1 << 20), (0, 0))}, "expected all of its numbers"),
        (lambda: doubled(torch.ones(1), 40), "stands for [0-9,]+ values"),
        (lambda: doubled({}, 70), "over 64 deep"),
        (lambda: [torch.ones(1 << 20)] * 100, "419,430,400 bytes of tensors"),
        (itself, "endless values"),
        (lambda: {"a": torch.sparse_coo_tensor([[0], [0]], [1.0], (1 << 20, 1 << 20))}, "sparse_coo tensor"),
        (lambda: {"a": torch.empty(1 << 30, device="meta")}, "on meta"),
    ],
)
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.filterwarnings("ignore:.*[Ss]parse")
def test_a_checkpoint_that_stands_for_more_than_it_stores_is_refused(tmp_path, state, message, old):
    torch.save(state(), tmp_path / "model.pt", _use_new_zipfile_serialization=not old)
    assert (tmp_path / "model.pt").stat().st_size < 5_000_000
    with pytest.raises(BadInput, match=message):
        read_pickle(tmp_path / "model.pt")


def test_tied_tensors_views_and_states_of_optimisers_are_read(tmp_path):
    one = torch.arange(10.0)
    state = {
        "a": one,
        "b": one,
        "c": one[:5],
        "d": one.view(2, 5).T,
        "e": torch.zeros(0),
        "f": {"step": 3, "g": [None]},
    }
    for old in (False, True):
        torch.save(state, tmp_path / "true.pt", _use_new_zipfile_serialization=not old)
        found = read_pickle(tmp_path / "true.pt")
        assert list(found) == list(state) and torch.equal(found["d"], state["d"])


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x04" + b"\x8f" * 6_000_000 + b".", b"\x80\x02" + b"}" * 6_000_000 + b".", b"(" * 9 + b"]" * 20_000_000,
        b"p99999999\n.", b"K\x01p" + b"9" * 5000 + b"\n.", b"\x96" + struct.pack("<Q", 1 << 40) + b".",
        b"\x95" + struct.pack("<Q", 1 << 60) + b".", b"\x8e" + struct.pack("<Q", 1 << 60) + b".",
    ],
    ids=["sets", "dicts", "lists", "a place in text", "a place without end", "a byte array", "a frame", "bytes"],
)  # fmt: skip
def test_a_plain_pickle_has_a_budget(tmp_path, program):
    (tmp_path / "refs.p").write_bytes(program)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadInput, match=r"it is not read|is damaged|was truncated"):
        load_plain(tmp_path / "refs.p")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000, "kB"


@pytest.mark.parametrize("protocol", range(6))
def test_the_look_over_ends_where_the_program_ends(protocol):
    value = [{"a": (1, 2.5, "x\ny", b"y\n", None, True, -(2**70), 2**3000, [], {}, set(), frozenset("a"))}] * 3
    data = pickle.dumps(value, protocol)
    assert check_pickle(b"zz" + data + b"more", Path("x"), 2) == 2 + len(data)
    for cut in range(1, len(data) - 1):
        with pytest.raises(BadInput, match="is damaged"):
            check_pickle(data[:cut], Path("x"))


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
        ("# nothing\n" * 200_000, r"has 2,000,000 bytes; expected a recipe, of 1,048,576 at the most"),
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
    assert time.perf_counter() - start < 100 and len(str(caught.value)) < 600


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
