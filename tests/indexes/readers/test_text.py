"""Plain text, Markdown and reStructuredText: the text is the file's own; titles and headings."""

import pytest


@pytest.mark.parametrize("suffix", [".txt", ".md", ".rst", ".py", ".c", ".csv", ".tsv", ".yaml", ".TXT"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp932", "euc_jp", "iso2022_jp"])
def test_the_text_of_a_text_file_is_its_own(suffix, encoding, read):
    text = "一行目です。\r\n  二行目\tは\r\n\r\n\f最後。　\n\n"
    document = read(f"a{suffix}", text.encode(encoding))
    assert document.text == text
    assert document.title == "a"


def test_the_users_encoding_is_taken(read):
    assert read("a.txt", "café".encode("latin-1"), encoding="latin-1").text == "café"
    assert read("a.html", "<p>café".encode("latin-1"), encoding="latin-1").text == "café"


def test_markdown_headings(read, outline):
    document = read(
        "a.md",
        "# 題名 #\n\ntext\n\nUnder\nlined\n===\n\nSecond\n---\n\n"
        "```python\n# no heading\n```\n\n~~~\n## nor this\n```\n~~~\n\n    # code\n\n- item\n---\n\n"
        "#no\n\n> quoted\n---\n\n| a |\n---\n\n###\n\n###### six\n#######seven\n",
    )
    assert outline(document) == [(1, "題名"), (1, "Under lined"), (2, "Second"), (6, "six")]
    assert document.title == "題名"
    assert document.text[document.headings[2].start :].startswith("Second\n---")


def test_a_fence_that_never_closes_hides_the_rest(read, outline):
    assert outline(read("a.md", "# A\n```\n# b\n")) == [(1, "A")]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_markdown_front_matter_and_line_ends(newline, read, outline):
    text = '---\ntitle: "本の題"\nauthor: x\n---\n# One\nTwo\n---\n'.replace("\n", newline)
    document = read("a.md", text)
    assert document.title == "本の題"
    assert outline(document) == [(1, "One"), (2, "Two")]


def test_rst_titles(read, outline):
    document = read(
        "a.rst",
        "========\n Manual\n========\n\n使い方\n------\n\ntext\n\nMore\n~~~~\n\nBack\n----\n\n"
        "::\n\n  code\n  ----\n\n...\n\nshort\n--\n\n=====  =====\na      b\n=====  =====\n",
    )
    assert outline(document) == [(1, "Manual"), (2, "使い方"), (3, "More"), (2, "Back")]
    assert document.title == "Manual"
    assert document.headings[0].start == 0
