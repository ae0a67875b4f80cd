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


@pytest.mark.parametrize(
    "text",
    [
        "<!--\n# hidden\n-->\n# Shown\n",
        "<!-- # hidden -->\n# Shown\n",
        "<div>\n# hidden\n</div>\n\n# Shown\n",
        "<pre>\n\n# hidden\n</pre>\n# Shown\n",
        "<script>\n# hidden\n\n# hidden\n</script>\n\n# Shown\n",
    ],
)
def test_html_in_markdown_has_no_headings(text, read, outline):
    document = read("a.md", text)
    assert outline(document) == [(1, "Shown")]
    assert document.text == text


@pytest.mark.parametrize(
    "front",
    [
        "---\ntitle: 'The lamp'\ntags: [a, b]\nauthor: K\n---",
        "---\ntitle: >-\n  The\n  lamp\n# of 2026\ntags:\n- a\n- 'b'\nauthor:\n    K\nhidden: &x y\n---",
        '+++\ntitle = "The lamp"\ntags = ["a", "b"]\nauthor = "K"\n+++',
        '{\n"title": "The lamp", "tags": ["a", "b"],\n"author": "K", "more": {"x": 1}}',
    ],
)
def test_front_matter_is_metadata_and_no_text(front, read):
    text = f"{front}\n# One\n\nIt is lit.\n"
    document = read("a.md", text)
    assert document.title == "The lamp"
    assert document.metadata == {"author": "K", "tags": "a, b"}
    assert document.text.strip() == "# One\n\nIt is lit."
    assert document.text.count("\n") == text.count("\n"), "lines keep their numbers"


PICTURE = "data:image/png;base64," + "9bFl/kp+" * 500


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.rst", "a.css", "a.adoc", "a.json", "a.csv"])
def test_pictures_in_base64_are_no_text(name, read):
    text = f'["The board met.", "![]({PICTURE})",\n"[image1]: <{PICTURE}>",\n"The crossing is repainted."]\n'
    document = read(name, text)
    assert document.text == text.replace(PICTURE, "data:image/png;base64,…")


def test_pictures_in_svg_and_in_quoted_lines_are_no_text(read):
    svg = "data:image/svg+xml,%3Csvg%20viewBox='0%200%209%209'%3E" + "%3Cpath%20d='M0%200h9'/%3E" * 40 + "%3C/svg%3E"
    quoted = "\n> ".join(["9bFl/kp+" * 9] * 4)
    document = read("a.md", f"![]({svg}) Teal.\n\n> ![](data:image/png;base64,{quoted}) Ochre.\n")
    assert document.text == "![](data:image/svg+xml,…) Teal.\n\n> ![](data:image/png;base64,…\n\n\n) Ochre.\n"
    assert read("a.css", f'a {{background: url("{svg}")}}').text == 'a {background: url("data:image/svg+xml,…")}'


def test_base64_that_no_address_announces_is_no_text_and_genes_are(read):
    blob = "9bFl/kp+" * 200
    assert read("a.json", f'{{"a": "{blob}", "b": "teal"}}').text == '{"a": "9bFl/kp+9bFl/kp+9bFl…", "b": "teal"}'
    lines = "\n".join(["9bFl/kp+" * 8] * 12) + "\n9bFl/g=="
    document = read("a.xml", f"<book>\n<binary>\n{lines}\n</binary>\nTeal.\n</book>\n")
    assert document.text.split() == ["<book>", "<binary>", "9bFl/kp+9bFl/kp+9bFl…", "</binary>", "Teal.", "</book>"]
    assert document.text.count("\n") == lines.count("\n") + 6
    genes = "ACGT" * 500
    assert read("a.txt", genes).text == genes


@pytest.mark.parametrize("first", ["", "\n"])
def test_the_lines_of_pictures_in_base64_are_empty(first, read):
    picture = f"data:image/png;base64,{first}" + "\n".join(["9bFl/kp+" * 9] * 40) + "\n9bFl/g=="
    document = read("a.md", f"![]({picture})\n\nThe crossing is repainted.\n")
    assert document.text.split() == ["![](data:image/png;base64,…", ")", *["The", "crossing", "is", "repainted."]]
    assert document.text.count("\n") == picture.count("\n") + 3


def test_xml_in_the_encoding_that_it_declares(read):
    for encoding, word in (("euc-kr", "오늘 저녁"), ("iso-8859-1", "café"), ("utf-8", "日本"), ("shift_jis", "日本")):
        text = f'<?xml version="1.0" encoding="{encoding}"?>\n<doc>{word}</doc>\n'
        assert read("a.xml", text.encode(encoding)).text == text
    assert read("a.xml", "<a>&#26085;&#x672c;&lt;&#60;&#xD800;</a>").text == "<a>日本&lt;&#60;&#xD800;</a>"


def test_latex(read):
    text = (
        "\\documentclass{article}\n\\title{The \\emph{lamp}}\n\\author{K}\n\\section{Oil}\n% \\section{no}\n"
        "\\begin{verbatim}\n\\section{no}\n\\end{verbatim}\n\\subsection*[x]{Wick {and} glass}\ntext\n"
    )
    document = read("a.tex", text)
    assert document.text == text
    assert [(h.level, h.text) for h in document.headings] == [(1, "Oil"), (2, "Wick and glass")]
    assert text[document.headings[1].start :].startswith("\\subsection")
    assert (document.title, document.metadata) == ("The lamp", {"author": "K"})


def test_org(read):
    text = "#+TITLE: The lamp\n* TODO [#A] Oil :daily:\n** Wick\n#+begin_src org\n* no\n#+end_src\n*bold*\n"
    document = read("a.org", text)
    assert document.text == text
    assert [(h.level, h.text) for h in document.headings] == [(1, "Oil"), (2, "Wick")]
    assert document.title == "The lamp"


def test_asciidoc(read, outline):
    text = "= The lamp\n:author: K\n\n== Oil\n\n----\n== no\n----\n\n////\n== no\n////\n=== Wick ===\n"
    document = read("a.adoc", text)
    assert document.text == text
    assert outline(document) == [(1, "The lamp"), (2, "Oil"), (3, "Wick")]
    assert (document.title, document.metadata) == ("The lamp", {"author": "K"})


SRT = (
    "1\n00:00:01,000 --> 00:00:03,000\n<i>The lamp is lit</i>\nat dusk.\n\n"
    "2\n00:00:04,000 --> 00:00:06,000\n12\n\n3\n01:02:00,000 --> 01:02:02,500\n{\\an8}Good night.\n"
)
VTT = (
    "WEBVTT - Lamps\n\nNOTE a remark\n\nSTYLE\n::cue {}\n\n00:01.000 --> 00:03.000 align:start\n<v Keeper>Oil &amp; wick</v>\n\n"
    "intro\n01:00.000 --> 01:02.000\nGood <c.red>night</c>.\n\n01:02.000 --> 01:04.000\nGood <c.red>night</c>.\n"
)


# A sentence that is being said when the second minute begins, one that has no end, and one after a pause
ACROSS = (
    "WEBVTT\n\n00:56.000 --> 00:59.500\nThe lamp is cleaned every morning\n\n01:00.000 --> 01:02.000\nat six by the keeper.\n\n"
    "01:02.000 --> 01:04.000\nHe is old.\n\n01:58.000 --> 01:59.000\nand then\n\n02:40.000 --> 02:42.000\nIt rains.\n"
)


GAPS = (
    "1\n00:00:01,000 --> 00:00:03,000\n灯台守は\n\n毎朝六時に\n\n点検する。\n\n"
    "2\n0:01:04 --> 0:01:06\nIm Jahr\n\n2024\n\n3\n00:02:00,000 --> 00:02:01,000\nEnde.\n\nWirklich.\n"
)


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        (
            "gaps.srt",
            GAPS,
            "00:00:00\n灯台守は\n毎朝六時に\n点検する。\n00:01:00\nIm Jahr\n2024\n00:02:00\nEnde.\nWirklich.",
        ),
        (
            "mark.srt",
            f"By the keeper\n\n{SRT}",
            "By the keeper\n00:00:00\nThe lamp is lit\nat dusk.\n12\n01:02:00\nGood night.",
        ),
        ("film.srt", SRT, "00:00:00\nThe lamp is lit\nat dusk.\n12\n01:02:00\nGood night."),
        (
            "long.vtt",
            ACROSS,
            "00:00:00\nThe lamp is cleaned every morning\nat six by the keeper.\n00:01:00\nHe is old.\nand then\n"
            "00:02:00\nIt rains.",
        ),
        (
            "talk.vtt",
            "WEBVTT\n\n00:58.000 --> 01:00.000\n<v Ida Holm>The licence is valid</v>\n\n01:00.000 --> 01:02.000\n"
            "<v Ida Holm>until August.</v>\n\n01:02.000 --> 01:03.000\n<v Ida Holm>Good.</v>\n",
            "00:00:00\nIda Holm: The licence is valid\nuntil August.\n00:01:00\nIda Holm: Good.",
        ),
        ("film.vtt", VTT, "00:00:00\nKeeper: Oil & wick\n00:01:00\nGood night."),
        (
            "ruby.vtt",
            "WEBVTT\n\n00:01.000 --> 00:03.000\n<ruby>灯<rt>とう</rt>台<rt>だい</ruby>守\n",
            "00:00:00\n灯台守",
        ),
    ],
)
def test_subtitles_are_what_is_said(name, data, text, read, outline):
    document = read(name, data.replace("\n", "\r\n"))
    assert document.text == text
    assert document.title == name[:4]
    assert [heading for _, heading in outline(document)] == [line for line in text.split("\n") if line[2:3] == ":"]


def test_text_between_two_rulers_is_no_front_matter(read):
    assert "The lamp is lit." in read("a.md", b"---\nThe lamp is lit.\n---\nIt burns.\n").text
    assert "draft" not in read("b.md", b"---\ndraft:\n  - yes\n---\nIt burns.\n").text


def test_letters_that_latex_writes_by_commands_are_letters(read):
    text = (
        "\\section{Gr\\\"o{\\ss}e}\nM\\\"uller, Erd\\H{o}s, na\\\"{\\i}ve, \\'Etude, \\v{C}apek, {\\L}\\'od\\'z, \\O{}rsted, k\\o ge,"
        " Wert\\-papier.\n$x\\'a$ \\[\\v{a}\\] \\verb|\\'e| a\\\\'b\n\\begin{verbatim}\n\\'a\n\\end{verbatim}\n"
    )
    document = read("a.tex", text)
    assert document.text.splitlines()[:2] == [
        "\\section{Größe}",
        "Müller, Erdős, naïve, Étude, Čapek, Łódź, Ørsted, køge, Wertpapier.",
    ]
    assert document.text.splitlines()[2:] == text.splitlines()[2:], "formulas and listings stay"
    assert [heading.text for heading in document.headings] == ["Größe"]
    assert read("a.bib", 'author = {M{\\"u}ller and {\\"{O}}zg{\\"u}r}').text == "author = {Müller and Özgür}"


def test_references_to_characters_are_characters(read):
    text = "# M&uuml;ller\n\nCaf&eacute; &#28783;&#x53f0; light&shy;house &amp; `&eacute;`\n\n```html\n&eacute;\n```\n&eacute;\n"
    document = read("a.md", text)
    assert document.text == ("# Müller\n\nCafé 灯台 light\xadhouse &amp; `&eacute;`\n\n```html\n&eacute;\n```\né\n")
    assert document.title == "Müller"
    assert read("a.xml", "<a>Stra&szlig;e &unknown; &lt;</a>").text == "<a>Straße &unknown; &lt;</a>"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.html", "<h1>One</h1><p>It is lit.</p>"),
        ("a.adoc", "== One\n\nIt is lit.\n"),
        ("a.org", "* One\nIt is lit.\n"),
        ("a.rst", "One\n===\n\nIt is lit.\n"),
        ("a.md", "# One\n\nIt is lit.\n"),
    ],
)
@pytest.mark.parametrize(
    "front", ["---\ntitle: The lamp\nlayout: page\n---\n", '+++\ntitle = "The lamp"\nlayout = "page"\n+++\n']
)
def test_front_matter_is_no_text_in_any_format_of_a_site(name, body, front, read):
    document = read(name, front + body)
    assert "page" not in document.text
    assert "It is lit." in document.text
    assert [heading.text for heading in document.headings] == ["One"]
    assert (document.title, document.metadata) == ("The lamp", {"layout": "page"})


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("{% highlight bash %}", "{% endhighlight %}"),
        ("{%- comment -%}", "{%- endcomment -%}"),
        ("{{< highlight sh >}}", "{{< /highlight >}}"),
        ("{#", "#}"),
        ("{{/*", "*/}}"),
        ("%%", "%%"),
        ("$$", "$$"),
        ("<?php", "?>"),
        ("<![CDATA[", "]]>"),
        ("<my-box>", "</my-box>"),
        ("<!DOCTYPE a [", "]>"),
    ],
)
def test_a_hash_in_a_block_of_another_language_is_no_heading(begin, end, read, outline):
    assert outline(read("a.md", f"# One\n\n{begin}\n# hidden\n{end}\n\n# Two\n")) == [(1, "One"), (1, "Two")]


def test_a_block_that_does_not_end_is_none(read, outline):
    for begin in ("{% raw %}", "%%", "$$", "{#"):
        assert outline(read("a.md", f"{begin}\n# One\n")) == [(1, "One")]


def test_a_ruler_is_no_part_of_a_heading_and_attributes_are_none(read, outline):
    document = read("a.md", "\n---\ntitle\n---\n\n# One {#one .big}\n\n***\nTwo {#two}\n===\n")
    assert outline(document) == [(2, "title"), (1, "One"), (1, "Two")]


AOZORA = """灯台の夜
田所一郎

《》：ルビ
［＃３字下げ］一［＃「一」は中見出し］

　老いた灯台守《とうだいもり》は坂を走《はし》り、北の｜見張り台《みはりだい》に登った。
　誰も［＃「誰も」に傍点］灯を※［＃「てへん＋劣」、第3水準1-84-77］がず※［＃「口＋世」、U+546D、1-2］いた。※［＃丸印］
［＃ここから２字下げ］
［＃大見出し］二　嵐《あらし》［＃大見出し終わり］
"""


@pytest.mark.parametrize("encoding", ["cp932", "utf-8"])
def test_annotations_of_aozora_bunko_are_no_text(encoding, read, outline):
    document = read("a.txt", AOZORA.replace("\n", "\r\n").encode(encoding))
    assert document.text.split("\n") == [
        *("灯台の夜", "田所一郎", "", "《》：ルビ", "一", ""),
        *("　老いた灯台守は坂を走り、北の見張り台に登った。", "　誰も灯を挘がず呭いた。※", "", "二　嵐", ""),
    ]
    assert outline(document) == [(2, "一"), (1, "二 嵐")]
    assert (document.title, document.metadata) == ("灯台の夜", {"author": "田所一郎"})


def test_brackets_without_such_notes_are_text(read):
    text = "絵画《モナ・リザ》と｜縦線を［1］で見た。\n"
    assert read("a.txt", text).text == text


@pytest.mark.parametrize(
    ("name", "definition", "used", "shown"),
    [
        (
            "a.tex",
            r"\newcommand{\port}{Port Ellen}",
            r"At \port{} and \port\ it is \portal.",
            r"At Port Ellen and Port Ellen it is \portal.",
        ),
        ("a.tex", r"\def\port{Kiel}", r"\port is \textbf{\port}", r"Kiel is \textbf{Kiel}"),
        ("a.tex", r"\newcommand{\port}[1]{Port #1}", r"At \port{Ellen}", r"At \port{Ellen}"),
        ("a.adoc", ":lamp: 1000 W", "It has {lamp}, \\{lamp} and {wick}.", "It has 1000 W, \\{lamp} and {wick}."),
        (
            "a.rst",
            ".. |rev| replace:: revision 7",
            "This is |rev|_ of |it|, a|rev|b.",
            "This is revision 7 of |it|, a|rev|b.",
        ),
        ("a.org", "#+MACRO: lamp 1000 W", "It has {{{lamp}}} and {{{wick}}}.", "It has 1000 W and {{{wick}}}."),
    ],
)
def test_names_that_a_text_defines_are_what_they_stand_for(name, definition, used, shown, read):
    assert read(name, f"{definition}\n\n{used}\n").text == f"{definition}\n\n{shown}\n"


def test_names_in_a_title_of_latex_and_notes_beside_it(read):
    document = read(
        "a.tex",
        "\\newcommand{\\port}{Port Ellen}\n\\title{Tides of \\port}\n\\author{A.~Berg\\thanks{Bergen}}\n\\section{In \\port}\n",
    )
    assert (document.title, document.metadata["author"]) == ("Tides of Port Ellen", "A. Berg")
    assert [heading.text for heading in document.headings] == ["In Port Ellen"]


def test_names_are_not_replaced_without_end(read):
    text = read("a.adoc", f":a: {'long ' * 39}end\n\n" + "{a}" * 20_000, max_text=50_000_000).text
    assert len(text) < 1_100_000
    assert text.endswith("{a}")
