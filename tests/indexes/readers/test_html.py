"""HTML: what a visitor reads, with its headings, in every encoding."""

import pytest


def test_html(read, outline):
    document = read(
        "a.html",
        """<!DOCTYPE html><html><head><title> The
        title </title><style>p {}</style><script>var x = "<p>no</p>";</script></head><body>
        <nav><ul><li>Home</ul></nav><!-- comment --><h1>Main <em>heading</em></h1>
        <p>One&nbsp;&amp; two<br>three &#x65e5;&#26412;</p><div>loose<p>para</div>
        <table><tr><th>k<th>v</tr><tr><td>a</td><td>b</td></tr></table>
        <pre>
def f():
    return 1


x</pre><h3>Sub</h3><noscript>no scripts</noscript><template>no</template><svg><title>no</title></svg>end<footer>no</footer>
        </body></html>""",
    )
    assert document.text == (
        "Main heading\nOne\xa0& two\nthree 日本\nloose\npara\nk | v\na | b\n\ndef f():\n    return 1\n\nx\nSub\nend"
    )
    assert document.title == "The title"
    assert outline(document) == [(1, "Main heading"), (3, "Sub")]


PAGE = """<!doctype html><html><head><title>The post | Site</title></head><body style="visibility: hidden">
<div id="cookie-banner">We use cookies. <div>Really</div></div><a class="btn Skip-Link" href="#main">Skip to content</a>
<header><a href="/">Site name</a><nav><ul><li>Home</ul></nav></header>
{before}<h1>The post<a class="headerlink" href="#x">¶</a></h1>
<p>Text with <code>inline_code()</code>, <a href="x">a link</a>{sentence}</p>
<aside class="note">A note</aside><div role="dialog">Subscribe!</div>
<div hidden>no <div>no</div></div><div hidden="until-found">found</div><p style="display: none">no</p><i aria-hidden="true">x</i>
<h2>Second<span class="mw-editsection">[edit]</span></h2><ul><li>one<li>two<ul><li>nested</ul></ul>
<pre><code>def f(x):
    return x
</code></pre>{after}
<aside><h3>Related</h3>Other posts</aside><div class="breadcrumb">Home</div><div role="contentinfo">(c)</div></body></html>"""
MAIN = """The post
Text with inline_code(), a link{sentence}
A note
found
Second
one
two
nested
def f(x):
    return x"""


@pytest.mark.parametrize(("before", "after"), [("<main>", "</main>"), ("<article>", "</article>")])
@pytest.mark.parametrize("sentence", [".", ", and more and more." * 20])
def test_the_main_text_of_a_page(before, after, sentence, read, outline):
    document = read("a.html", PAGE.format(before=before, after=after, sentence=sentence))
    assert document.text.strip() == MAIN.format(sentence=sentence)
    assert outline(document) == [(1, "The post"), (2, "Second")]


def test_a_page_that_does_not_say_which_is_its_main_text(read):
    """Nothing is lost but what can be known to be no part of it. A `main` that scripts will fill is none."""
    expected = "Site name\n" + MAIN.format(sentence=".").replace("A note\n", "")
    assert read("a.html", PAGE.format(before="", after="", sentence=".")).text.strip() == expected
    assert read("a.html", PAGE.format(before="<main>Loading</main>", after="", sentence=".")).text.startswith(
        "Site name"
    )


def test_furigana_is_left_out_and_lines_of_japanese_are_joined(read, outline):
    page = (
        "<h1><ruby>東京<rp>(</rp><rt>とうきょう</rt><rp>)</rp></ruby>の<ruby>歴<rt>れき</rt>史<rt>し</ruby></h1>"
        "<p><ruby><rb>漢字</rb><rtc><rt>かんじ</rt></rtc></ruby>の文章は\n  折り返す。\nIn English\ntoo.</p>"
    )
    document = read("a.html", page)
    assert document.text == "東京の歴史\n漢字の文章は折り返す。 In English too."
    assert outline(document) == [(1, "東京の歴史")]


def test_paragraphs_in_cells_do_not_break_a_row(read):
    page = (
        "<table><caption>Sales</caption><tr><th><p>Year</p></th>\n <th><p>Yen</p></th></tr>"
        "<tr><td> <div><p>2025</p></div></td><td><p>12</p><p>about</p></td><td>x</tr></table>after"
    )
    assert read("a.html", page).text == "Sales\nYear | Yen\n2025 | 12 about | x\nafter"


def test_a_page_laid_out_in_a_table_keeps_its_lines(read, outline):
    document = read("a.html", "<table><tr><td><h1>Title</h1><p>One</p><p>Two</p><ul><li>a<li>b</ul></td></tr></table>")
    assert document.text == "Title\nOne\nTwo\na\nb"
    assert outline(document) == [(1, "Title")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "shift_jis", "euc_jp", "iso2022_jp"])
@pytest.mark.parametrize(
    "declared",
    ["", '<meta charset="{}">', '<meta http-equiv="content-type" content="text/html; charset={}">'],
)
def test_html_in_every_encoding(encoding, declared, read):
    head = declared.format(encoding.removesuffix("-sig"))
    document = read("a.html", f"<html>{head}<title>題</title><p>日本語の文章です。</p></html>".encode(encoding))
    assert (document.title, document.text) == ("題", "日本語の文章です。")


def test_html_by_what_it_declares(read):
    assert read("a.html", '<meta charset="iso-8859-1"><p>caf\xe9 \x93q\x94'.encode("latin-1")).text == "café “q”"
    assert read("a.xhtml", '<?xml version="1.0" encoding="koi8-r"?><p>мир</p>'.encode("koi8-r")).text == "мир"
    assert read("a.html", '<meta charset="utf-8"><p>日本語です。'.encode("cp932")).text == "日本語です。"
    assert read("a.html", '<meta charset="utf-7"><p>日本+AGE-').text == "日本+AGE-"
    assert read("a.html", '<meta charset="no such"><p>日本').text == "日本"


def test_html_longer_than_a_piece(read):
    page = "".join(f"<p>段落{i}😀</p>" for i in range(20_000))
    assert read("a.html", f"<meta charset=utf-8>{page}").text.split("\n") == [f"段落{i}😀" for i in range(20_000)]


TEASERS = "".join(
    f"<article><h3>Story {i}</h3><p>{'A short teaser about something else. ' * 3}</p></article>" for i in range(4)
)
REPORT = "".join(
    f"<p>Paragraph {i} tells how the harbour was dredged in this stage and what it cost.</p>" for i in range(12)
)


@pytest.mark.parametrize("opening", ["<div id=content>", '<div role="main">', '<section role="main"><div>'])
def test_teasers_in_articles_do_not_replace_the_page(opening, read):
    page = f"<body>{opening}<h1>Dredging</h1>{REPORT}</div></section></div><div>{TEASERS}</div></body>"
    text = read("a.html", page).text
    assert all(f"Paragraph {i} tells" in text for i in range(12))
    assert ("Story 1" in text) == ("role" not in opening)


def test_comments_in_articles_do_not_replace_the_page(read):
    comments = "".join(
        f"<article class=comment><p>{'I am of another opinion, and have often said so. ' * 9}</p></article>" * 9
    )
    assert "Paragraph 3 tells" in read("a.html", f"<body><div>{REPORT}</div>{comments}</body>").text


def test_questions_in_buttons_are_text(read, outline):
    page = """<main><h1>FAQ</h1>
    <h2><button aria-expanded="false">The warranty</button></h2><div class="collapse">Two years.</div>
    <button class="faq-item"><span>Where is the depot?</span></button><div hidden class="answer">At pier nine.</div>
    <button aria-expanded="false" aria-controls="a2"><div>Returned rope</div></button><div id="a2" role="region" hidden>No.</div>
    <dl><dt><button>Boats</button><dd style="display:none" id="faq-3">By noon.</dl>
    <p>Press <button>OK</button> to go on.</p><button>Share</button><button aria-expanded="false">Menu</button>
    <button class="nav-toggle" aria-expanded="false">Toggle the navigation</button></main>"""
    document = read("a.html", page)
    assert document.text.split("\n") == [
        *("FAQ", "The warranty", "Two years.", "Where is the depot?", "At pier nine.", "Returned rope", "No.", "Boats"),
        *("By noon.", "Press to go on."),
    ]
    assert outline(document) == [(1, "FAQ"), (2, "The warranty")]


@pytest.mark.parametrize(
    ("math", "text"),
    [
        ("<mi>E</mi><mo>=</mo><mi>m</mi><msup><mi>c</mi><mn>2</mn></msup>", "E=mc^2"),
        ("<mfrac><mrow><mi>a</mi><mo>+</mo><mn>1</mn></mrow><mn>12</mn></mfrac>", "(a+1)/12"),
        ("<msqrt><mi>x</mi><mi>y</mi></msqrt><mo>+</mo><mroot><mi>z</mi><mn>3</mn></mroot>", "√(xy)+3√z"),
        ("<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover>", "∑_(i=1)^n"),
        (
            "<semantics><mrow><mi>x</mi></mrow><annotation encoding='application/x-tex'>\\x</annotation></semantics>",
            "x",
        ),
        ("", "alt"),
    ],
)
def test_equations_are_text(math, text, read):
    page = f"<p>It is <span style='display: none' class='mwe-math'><math alttext='alt'>{math}</math></span> here.</p>"
    assert read("a.html", page).text == f"It is {text} here."


def test_the_title_above_the_main_part_is_kept(read, outline):
    text = "<p>The harbour was dredged in the spring of that year.</p>" * 8
    page = f"<header><h1>Dredging</h1><p>Menu</p></header><main><h2>Stage</h2>{text}</main>"
    assert outline(read("a.html", page.encode()))[:2] == [(1, "Dredging"), (2, "Stage")]


def test_formulas_in_tex_are_text_and_their_drawn_form_is_not(read):
    page = (
        '<p>The energy <span class="MathJax_Preview">E</span><span class="MathJax"><nobr>E=mc2</nobr></span>'
        '<script type="math/tex" id="e">E = mc^2</script> holds.<script>var x = 1</script>'
    )
    assert read("a.html", page).text == "The energy E = mc^2 holds."


def test_a_script_does_not_run_into_what_follows_it(read):
    total = "<munderover><mo>∑</mo><mi>i</mi><mi>n</mi></munderover>"
    page = (
        f"<p><math>{total}<msup><mi>i</mi><mn>2</mn></msup><mo>+</mo><msub><mi>a</mi><mn>1</mn></msub><mi>b</mi></math>"
    )
    assert read("a.html", page).text == "∑_i^n i^2+a_1 b"


def test_short_lines_beside_teasers_are_no_menu(read):
    """A menu consists of links."""
    teasers = "".join(f"<article><h3>Story {n}</h3><p>{'Read about the harbour. ' * 3}</p></article>" for n in range(6))
    lines = [f"Berth {n} is dredged to {n} metres." for n in range(12)]
    menu = "".join(f'<li><a href="/{n}">Section number {n} of the site</a>' for n in range(40))
    text = read("a.html", f"<div>{''.join(f'<p>{line}</p>' for line in lines)}</div>{teasers}").text
    assert all(line in text for line in lines)
    assert "Section number" not in read("a.html", f"<ul>{menu}</ul>{teasers}").text


@pytest.mark.parametrize("text", ["Die Größe, 12 m²", "灯台は岬に立つ。"])
def test_what_is_utf_8_is_read_so_whatever_it_declares(read, text):
    for declared in ("iso-8859-1", "windows-1252", "koi8-r"):
        assert read("a.html", f'<meta charset="{declared}"><p>{text}</p>').text == text
        assert f"<a>{text}</a>" in read("a.xml", f'<?xml version="1.0" encoding="{declared}"?><a>{text}</a>').text


def test_what_it_declares_decides_where_utf_8_may_be_chance(read):
    for text, encoding in (("CAFÉ» ouvert", "windows-1252"), ("民族の歴史", "euc-jp"), ("Größe", "iso-8859-1")):
        assert read("a.html", f'<meta charset="{encoding}"><p>{text}</p>'.encode(encoding)).text == text


def test_what_a_button_names_is_kept_though_it_is_hidden(read):
    page = """<main><h1>FAQ</h1><button aria-expanded="false" aria-controls="w">The warranty</button><p id="w" hidden>Two years.</p>
    <button class="collapsed" data-bs-target="#r">Returned rope</button><div id="r" style="display: none">No.</div>
    <button role="tab" aria-controls="t">Opening hours</button><div id="t" hidden>Nine to five.</div>
    <button aria-controls="menu">Open the menu</button><div id="menu" hidden>Home</div><p hidden>no</p></main>"""
    assert read("a.html", page).text.split("\n") == [
        *("FAQ", "The warranty", "Two years.", "Returned rope", "No.", "Opening hours", "Nine to five."),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Where is the depot? ▾",
        "営業時間は何時までですか",
        "ما هو الضمان؟",
        "The lamp of the north beacon is lit at six, and the horn sounds once a minute in fog.",
    ],
)
def test_questions_and_sentences_on_buttons_are_text(text, read):
    assert read("a.html", f"<p>FAQ</p><button>{text}</button><button>Send</button>").text == f"FAQ\n{text}"


def test_a_raised_number_does_not_become_part_of_the_number_before(read):
    page = "<p>10<sup>6</sup> m<sup>2</sup> of H<sub>2</sub>O, 10<sup><i>−3</i></sup>, the 1<sup>st</sup> note<sup>[2]</sup></p>"
    assert read("a.html", page).text == "10^6 m2 of H2O, 10^−3, the 1st note[2]"


def test_lists_and_paragraphs_in_cells_stay_in_their_row(read):
    page = (
        "<table><tr><th>機能</th><th>説明</th><th>備考</th></tr>"
        "<tr><td>検索</td><td><ul><li>全文</li><li>タグ</li></ul></td><td><p>要</p><p>登録</p></td></tr>"
        "<tr><td rowspan=2>出力</td><td>CSV<br>TSV</td><td>-</td></tr><tr><td>PDF</td><td>無料</td></tr></table>"
    )
    document = read("a.html", page)
    [table] = document.tables
    assert table.header == "機能 | 説明 | 備考"
    assert document.text[table.start : table.end].splitlines() == [
        "検索 | 全文 タグ | 要 登録",
        "出力 | CSV TSV | -",
        "出力 | PDF | 無料",
    ]


def test_a_page_that_is_laid_out_by_a_table_keeps_its_lines(read):
    prose = "The lamp is trimmed every evening before dusk. " * 12
    page = f"<table><tr><td><a href=x>Home</a><br><a href=y>About</a></td><td><p>{prose}</p><p>It burns.</p></td></tr></table>"
    assert read("a.html", page).text.splitlines() == ["Home", f"About | {prose.strip()}", "It burns."]


def test_what_a_browser_shows_of_components_frames_and_quotations(read):
    component = "<my-card><template shadowrootmode=open><p>Teal buoy.</p></template></my-card><template>no</template>"
    assert read("a.html", component).text == "Teal buoy."
    frames = "<frameset cols='1,2'><frame src=a><noframes><body><p>灯台の頁</p></body></noframes></frameset>"
    assert read("a.html", f"<html><head><title>T</title></head>{frames}</html>").text == "灯台の頁"
    quote = "<blockquote><p>It is lit.</p><footer>— The keeper</footer></blockquote><footer>Imprint</footer>"
    assert read("a.html", quote).text == "It is lit.\n— The keeper"
    cells = "<span role={0}>{1}</span><span role={0}>{2}</span>"
    rows = cells.format("columnheader", "Port", "Depth"), cells.format("cell", "Kiel", "12 m")
    assert read("a.html", "".join(f"<div role=row>{row}</div>" for row in rows)).text == "Port | Depth\nKiel | 12 m"


def test_a_page_that_is_written_into_its_frame_is_read(read):
    page = "<p>before</p><iframe srcdoc='&lt;h2&gt;Oil&lt;/h2&gt;&lt;nav&gt;no&lt;/nav&gt;is low'>no</iframe>after"
    assert read("a.html", page + "<iframe srcdoc='' src=x>no</iframe>").text == "before\nOil\nis low\nafter"


def test_notes_in_a_footer_and_formulas_in_pictures_are_read(read):
    page = "<main><p>It is lit.<footer class=footnotes><p>1. At dusk.</p></footer><footer>Imprint</footer></main>"
    assert read("a.html", page).text == "It is lit.\n1. At dusk."
    page = "<p>So <img class=tex alt='E=mc^2'> holds.<img class=math alt=x aria-hidden=true><img alt=Logo></p>"
    assert read("a.html", page).text == "So E=mc^2 holds."


def test_words_in_drawings_are_read_label_by_label(read):
    drawing = (
        "<svg><title>no</title><defs><text>no</text></defs><style>.no{}</style><text>Lamp <tspan>room</tspan></text>"
        '<text>Oil<tspan x="0" dy="9">tank</tspan></text><a><text>Pier</text></a><text display="none">no</text>'
        "<foreignObject><div>Start <b>here</b></div></foreignObject><text>·</text></svg>"
    )
    assert read("a.html", f"<p>Before</p>{drawing}<p>After").text == (
        "Before\nLamp room\nOil tank\nPier\nStart here\nAfter"
    )
    row = f"<table><tr><th>n</th><th>drawn</th></tr><tr><td>1</td><td>{drawing}</td></tr></table>"
    assert read("a.html", row).text.endswith("1 | Lamp room Oil tank Pier Start here")
    assert read(
        "a.html", "<p>An <svg><path d='M0'/></svg> icon<svg style='display:none'><text>no</text></svg>"
    ).text == ("An icon")


@pytest.mark.parametrize(
    ("inside", "shown"),
    [
        ("<p>Open from nine to five.</p>", "\nOpen from nine to five.\n"),
        ("in short", " in short "),
        ("Please turn on JavaScript.", " "),
        ("<div><p>JavaScriptを有効にしてください。</p></div>", " "),
        ("<img src=x>", " "),
    ],
)
def test_what_is_shown_without_scripts_is_read_unless_it_asks_for_them(inside, shown, read):
    assert read("a.html", f"<p>It is lit</p>: <noscript>{inside}</noscript> so.").text == (
        f"It is lit\n: {shown.lstrip(' ')}so.".replace(": \n", ":\n")
    )


def test_sections_of_characters_are_text_in_xhtml(read):
    page = "<html><head><title>x</title></head><body><p><![CDATA[Oil & <wick>]]></p></body></html>"
    assert read("a.xhtml", f'<?xml version="1.0"?>{page}').text == "Oil & <wick>"


def test_pages_in_frames_are_named(read, refusal):
    frames = (
        "<iframe src='parts/fees%20list.html?x=1#top'></iframe><embed src=manual.pdf><object data=plan.html></object>"
        "<embed src=film.swf><object data=a.bin></object><iframe src=about:blank></iframe><iframe></iframe>"
        "<iframe src=https://count.example/x width=1 height=1></iframe><iframe src=y.html style='display:none'></iframe>"
        "<noscript><iframe src=z.html hidden></iframe></noscript><iframe src='http://['></iframe>"
    )
    document = read("a.html", f"<p>It is lit.</p>{frames}")
    assert (document.text, document.warnings) == ("It is lit.", ())
    assert document.includes == ("parts/fees list.html", "manual.pdf", "plan.html")
    frames = "<iframe src=//maps.example/pier></iframe><iframe src=https://films.example/1></iframe>"
    assert read("a.html", f"<p>It is lit.</p>{frames}").warnings == (
        "the pages '//maps.example/pier', 'https://films.example/1' that it shows in frames are not read",
    )
    frames = "<frameset cols='1,2'><frame src=menu.html><frame src=main.html></frameset>"
    assert refusal("a.html", frames) == "no text in it but that of the pages in its frames: menu.html, main.html"


HIDDEN = "The lamp of the old tower was taken down in the spring of that year, and it never came back."


@pytest.mark.parametrize(
    "page",
    [
        "<p hidden>{}</p>",
        "<div style='display:none'><div>{}<script>x()</script></div></div>",
        "<template><p>{}</p></template>",
    ],
)
def test_hidden_text_is_left_out_and_said(page, read):
    document = read("a.html", f"<p>It is lit.</p>{page.format(HIDDEN)}<p hidden>Loading</p><p>So.</p>")
    assert document.text == "It is lit.\nSo."
    assert document.warnings == (f"hidden text is left out ({len(HIDDEN)} characters): show it, and save the file",)


def test_what_is_folded_is_read(read):
    page = "<details><summary>Who trims it?</summary><p>The keeper does.</p></details>"
    document = read("a.html", page)
    assert (document.text, document.warnings) == ("Who trims it?\nThe keeper does.", ())


def test_a_heading_with_a_line_break_is_one_and_numbers_of_notes_are_no_part_of_a_word(read, outline):
    page = "<h2>Chapter one<br><small>Oil</small></h2><p>Lit in 1911.<sup>1</sup> The lamp<sup><a>2</a></sup> burns 4 m<sup>2</sup>.</p>"
    document = read("a.html", page)
    assert document.text == "Chapter one Oil\nLit in 1911.^1 The lamp^2 burns 4 m2."
    assert outline(document) == [(2, "Chapter one Oil")]
