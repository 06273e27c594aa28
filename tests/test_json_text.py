"""What Python's reader of JSON gives up is the same error as any other fault."""

import pytest

from rsvlm.errors import BadInput
from rsvlm.json_text import describe_json_error, load_json, parse_json, read_json_object


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000, "nested too deep"),
        ("9" * 5000, "a number of thousands of digits"),
        ("[1,\n2,", "Expecting value at line 2"),
        (b"\xff", "no UTF-8 text"),
        ("", "Expecting value at line 1"),
    ],
)
def test_what_cannot_be_read_is_one_kind_of_error(text, problem):
    with pytest.raises(ValueError) as caught:
        load_json(text)
    assert describe_json_error(caught.value) == problem
    with pytest.raises(BadInput, match=f"a.json is not valid JSON: {problem}"):
        parse_json(text, "a.json")
    assert describe_json_error(caught.value, 7).endswith("at line 7")


@pytest.mark.parametrize("content", [b"[]", b"3", b"\xff\xfe", b"{", b"[" * 9000])
def test_an_object_is_asked_for(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.json .*expected a card"):
        read_json_object(tmp_path / "a.json", "a card", "write it again")
    with pytest.raises(BadInput, match=r"cannot be read .* expected a card"):
        read_json_object(tmp_path / "none.json", "a card")
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf{}")
    assert read_json_object(tmp_path / "a.json", "a card") == {}
