"""JSON and JSON Lines: what hides behind escapes is readable, and the value stays."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st


def test_json_that_people_can_read_is_left_as_it_is(read):
    text = '{"b": [1.0, 1e999, NaN],\n  "a": "日本",  "a": 2}\n'
    assert read("a.json", text).text == text


def test_hidden_text_in_json_becomes_readable(read):
    text = r'{"a": "\u65e5\u672c\ud83d\ude00", "b": "\\u65e5 \"\u0022\n\u0000\u000a", "c": "\ud800"}'
    assert read("a.json", text).text == r'{"a": "日本😀", "b": "\\u65e5 \"\"\n\u0000\n", "c": "�"}'


def test_json_on_one_line_is_indented(read):
    value = {"n": ["x" * 3_000, 1.5, {}, [], {"k": None}], "[": "{,:}", "big": int("9" * 4_000)}
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace('"big":9', '"big":-9' + "9" * 5_000)
    document = read("a.json", text)
    assert document.text == json.dumps(value, indent=2).replace('"big": 9', '"big": -9' + "9" * 5_000)


SCALARS = st.none() | st.booleans() | st.text() | st.floats(allow_nan=False)


@given(value=st.recursive(SCALARS, lambda values: st.lists(values) | st.dictionaries(st.text(), values)))
def test_json_keeps_its_value(read, value):
    padded = ["x" * 2_001, value]
    text = read("a.json", json.dumps(padded)).text
    assert json.loads(text) == json.loads(json.dumps(padded))
    assert "\\ud" not in text


def test_json_that_is_none(refusal):
    assert refusal("a.json", "The lamp is lit.") == "not valid JSON: Expecting value at line 1, column 1"
    assert refusal("a.jsonl", '{"a": 1}\n\n' + "{bad}\n" * 10).endswith("at line 3, column 2")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"a":\n 1 2}', "Expecting ',' delimiter at line 2, column 4"),
        ('[\n{"lamp": "bronze"},\n{"lamp": "bra', "Unterminated string starting at at line 3, column 10"),
        ('{"lamp": "two\nlines"}', "Invalid control character at at line 1, column 14"),
        ("{lamp: 'bronze'}", "Expecting property name enclosed in double quotes at line 1, column 2"),
        ("[\n1\n2\n3\n]", "Expecting ',' delimiter at line 3, column 1"),
        ('{"a": // no value\n}', "Expecting value at line 1, column 7"),
        ('{"a": 1\n}\n2', "Extra data at line 3, column 1"),
    ],
)
def test_json_with_an_error_in_it_is_read_as_text(text, error, read):
    document = read("a.json", text)
    assert (document.text, document.warnings) == (text, (f"not valid JSON: {error}: read as plain text",))


def test_one_broken_line_among_many_is_named(read, parts):
    text = '{"a": 1}\n{"a": 2}\n{"a": "cut off\n\n{"a": "\\u65e5"}\n'
    for name in ("a.jsonl", "a.json"):
        document = read(name, text)
        assert document.text == text.replace("\\u65e5", "日")
        assert [part[:5] for part in parts(document)] == ['{"a":'] * 4
        [warning] = document.warnings
        assert warning.startswith("not valid JSON: Unterminated string")
        assert "at line 3, column 7" in warning


def test_a_line_with_a_broken_escape_is_named(read):
    document = read("a.jsonl", '{"a": "\\u65e5"}\n{"a": "\\u65"}\n{"a": 3}\n')
    assert document.text == '{"a": "日"}\n{"a": "\\u65"}\n{"a": 3}\n'
    assert [warning[:26] for warning in document.warnings] == ["not valid JSON: Invalid \\u"]


def test_many_broken_lines_are_counted(read):
    warnings = read("a.jsonl", '{"a": 1}\n' * 20 + "{bad\n" * 15).warnings
    assert len(warnings) == 11
    assert warnings[-1] == "5 more lines are broken"


def test_of_lines_half_of_which_are_broken_the_others_are_read(read):
    document = read("a.jsonl", '{"a": 1}\n{bad\n{"a": 2}\nbad\n{bad\n')
    assert '{"a": 2}' in document.text
    assert [warning[warning.index(" at line ") :] for warning in document.warnings] == [
        f" at line {n}, column {column}" for n, column in ((2, 2), (4, 1), (5, 2))
    ]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_json_text_sequence_is_read_record_by_record(name, read, refusal):
    text = '\x1e{"lamp": "bronze"}\n\x1e{\n  "lamp": "brass"\n}\n\x1e{"cut\n'
    document = read(name, text)
    assert document.text == text.replace("\x1e", " ")
    assert len(document.breaks) == 3
    [warning] = document.warnings
    assert warning.startswith("the record that begins on line 5: not valid JSON")
    assert "not valid JSON" in refusal(name, '\x1e{"cut\n')


def test_json_lines_under_the_name_of_json(read):
    text = '{"q": "What colour is the buoy?"}\n{"q": "Teal."}\n'
    document = read("a.json", text)
    assert (document.text, document.breaks, document.warnings) == (text, (0, 34), ())


def test_several_json_values_one_after_another(read):
    text = '{\n  "a": 1\n}\n{\n  "b": 2\n}\n'
    document = read("a.json", text)
    assert (document.text, document.breaks) == (text, (0, 13))


def test_json_with_comments_and_trailing_commas(read):
    text = '// settings\n{\n  "a": "http://x", /* one */\n  "b": [1, 2,], // "two"\n}\n'
    assert read("a.json", text).text == text


@pytest.mark.parametrize(
    "text",
    [
        "// settings\n{'colour': 'teal', ports: [80, 443,],}\n",
        "# made by hand\n{\n  colour: teal\n}\n",
        'callback({"colour": "teal"});',
        'window.data = [{"colour": "teal"}]',
        ")]}',\n{\"colour\": 'teal'}",
    ],
)
def test_json_for_javascript_and_for_people_is_read_as_it_is(text, read):
    document = read("a.json", text)
    assert document.text == text
    assert document.warnings[0].endswith("read as plain text")


def test_json_lines_with_values_over_several_lines(read):
    text = '{\n  "a": 1\n}\n{\n  "b": 2\n}\n'
    document = read("a.jsonl", text)
    assert (document.text, document.breaks) == (text, (0, 13))


def test_pictures_whose_slashes_json_escapes_are_no_text(read):
    text = '{"a": "data:image\\/png;base64,' + "9bFl\\/kp+" * 500 + '", "b": "teal"}'
    assert read("a.json", text).text == '{"a": "data:image\\/png;base64,…", "b": "teal"}'
