"""Whatever is wrong with a JSON file is told in one sentence."""

import pytest

from clip_scaling.core.errors import UserError
from clip_scaling.core.json_files import parse_json, read_json

HOSTILE = {
    "empty": b"", "cut off": b'{"shards": [', "two values": b"{} {}", "no UTF-8": b'{"a": "\xff\xfe"}', "zeros": bytes(64),
    "UTF-16": '{"a": 1}'.encode("utf-16"), "a byte order mark": b"\xef\xbb\xbf{}", "noise": bytes(range(256)),
    "a deep list": b"[" * 500_000 + b"]" * 500_000, "deep objects": b'{"a":' * 200_000, "a long number": b"9" * 10_000,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_json_is_one_sentence(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json: is no JSON \(.+\); fetch it again") as told:
        read_json(path, mend="fetch it again")
    assert isinstance(told.value, ValueError) and "\n" not in told.value.sentence and len(told.value.sentence) < 2300


@pytest.mark.parametrize(("content", "kind", "said"), [
    ("[]", dict, "is not an object"), ("null", dict, "is not an object"), ("{}", list, "is not a list"),
    ('"a"', list, "is not a list"),
])
def test_another_kind_of_value_is_told(tmp_path, content, kind, said):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UserError, match=rf"a\.json: {said} in JSON; put it back as it was"):
        read_json(tmp_path / "a.json", kind=kind)


def test_what_is_json_is_read(tmp_path):
    (tmp_path / "a.json").write_text('{"ü": [1, null]}', encoding="utf-8")
    assert read_json(tmp_path / "a.json", kind=dict) == {"ü": [1, None]}
    assert parse_json(b'{"\\u00fc": [1, null]}', where="here") == {"ü": [1, None]}
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "b.json")
