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


x</pre><h3>Sub</h3><noscript>no</noscript><template>no</template><svg><text>no</text></svg>end<footer>no</footer>
        </body></html>""",
    )
    assert document.text == (
        "Main heading\nOne\xa0& two\nthree 日本\nloose\npara\nk | v\na | b\n\ndef f():\n    return 1\n\nx\nSub\nend"
    )
    assert document.title == "The title"
    assert outline(document) == [(1, "Main heading"), (3, "Sub")]


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
