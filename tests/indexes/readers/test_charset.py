"""Every encoding that is promised is read right, from a few characters on; everything else is refused."""

import codecs
import contextlib
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.errors import UnreadableFile
from indexes.readers.charset import decode

TEXTS = [
    "日本語",
    "テスト",
    "東京都千代田区",
    "吾輩は猫である。名前はまだ無い。",
    "C言語とC++の違い",
    "1986年、第2回大会が開かれた。",
    "名前,住所\n山田太郎,東京都港区\n",
    "RoPE（回転位置埋め込み）を4倍に伸ばす。",
    "# 見出し\n\n本文です。\n\n```python\nprint('こんにちは')\n```\n",
    "すもももももももものうち",
    "株式会社の設立手続について",
]
HALF_WIDTH = [
    "ｶﾀｶﾅ ﾃｽﾄ",
    "ﾃｽﾄ data ﾃﾞｰﾀ",
    "ｼｮｳﾋﾝ: ﾃﾚﾋﾞ 20,000円",
    "商品名はﾃﾞｼﾞﾀﾙｶﾒﾗです",
    "ﾌﾟﾛｸﾞﾗﾑ\nﾃﾞｰﾀ\nｼｽﾃﾑ\nﾘｽﾄ\n",
]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp932", "euc_jp"]
NONE_OF_THESE = "not UTF-8, UTF-16, Shift_JIS, EUC-JP or ISO-2022-JP"


@pytest.mark.parametrize("encoding", [*ENCODINGS, "iso2022_jp"])
@pytest.mark.parametrize("text", TEXTS)
def test_japanese_is_read_in_every_encoding(text, encoding):
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", [*ENCODINGS, "iso2022_jp_ext"])
@pytest.mark.parametrize("text", HALF_WIDTH)
def test_half_width_katakana(text, encoding):
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", [*ENCODINGS, "ascii"])
def test_english_is_read_in_every_encoding(encoding):
    text = "The quick brown fox\r\njumps over 13 dogs.\r\n"
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("text", ["a", "ri", "ge", "data", "[10]", "x0y0", "A0B0C0D0", "café", "naïve Übung", "ə"])
def test_a_few_letters_in_utf8_stay_what_they_are(text):
    assert decode(text.encode()) == text


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "utf-16-le", "utf-16-be", "utf-8"])
def test_a_little_japanese_late_in_much_english(encoding):
    text = "x = 1  # a comment\n" * 20_000 + "# ここから日本語の説明です。\n" + "y = 2\n" * 20_000
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("length", [8, 16, 32, 64, 200])
def test_pieces_of_a_text_are_told_apart(length):
    """Cut anywhere, a piece is hardly ever refused, and read wrong practically never."""
    text = (
        "2024年4月、国立研究所は新しい言語モデルの評価結果を公開した。従来のモデルでは、長い文書の後半に書かれた"
        "内容を正しく引用できないことが多かったが、位置埋め込みの周波数を調整することで改善したという。担当者は"
        "「検索と拡張のどちらが有効かは、文書の長さと質問の種類による」と述べ、実験の条件を詳しく説明している。"
        "コーパスにはニュース記事や論文、プログラムの仕様書など約12,000件が含まれ、利用者は無料で入手できる。"
    )
    generator = random.Random(length)
    starts = [generator.randrange(len(text) - length + 1) for _ in range(100)]
    for encoding in ("cp932", "euc_jp", "utf-16-le", "utf-16-be"):
        outcomes = [_outcome(text[start : start + length], encoding) for start in starts]
        assert outcomes.count("wrong") <= 1, encoding
        assert outcomes.count("refused") <= 2, encoding


def _outcome(text: str, encoding: str) -> str:
    try:
        return "right" if decode(text.encode(encoding)) == text else "wrong"
    except UnreadableFile:
        return "refused"


@pytest.mark.parametrize(
    "data",
    [
        "café".encode("latin-1"),
        "cafés".encode("latin-1"),
        "Äpfel, Öl und Übermut".encode("latin-1"),
        "It’s “quoted”, isn’t it?".encode("cp1252"),
        "It’s fine.".encode("cp1252"),
        "Все люди рождаются свободными и равными".encode("koi8_r"),
        "Все люди рождаются свободными и равными".encode("cp1251"),
        "人人生而自由在尊严和权利上一律平等他们赋有理性和良心".encode("gb18030"),
        random.Random(0).randbytes(1_000).replace(b"\0", b"\x01"),
        bytes(range(128, 256)),
    ],
)
def test_other_encodings_and_noise_are_refused(data):
    with pytest.raises(UnreadableFile, match=f"{NONE_OF_THESE}.*--encoding|binary"):
        decode(data)


@pytest.mark.parametrize("data", [b"\x7fELF\0\0\x01\0" * 20, b"a\0b", b"MZ\x90\0\x03\0\0\0\x04\0", bytes(1000)])
def test_binaries_are_refused(data):
    with pytest.raises(UnreadableFile, match="binary, not text"):
        decode(data)


def test_one_bad_byte_late_in_utf8_is_named():
    data = bytearray("あいうえお、漢字も。\n".encode() * 5_000)
    data[89_900:89_900] = b"\xff"  # at the beginning of a line
    with pytest.raises(UnreadableFile, match="UTF-8, but damaged: byte 0xff at offset 89900"):
        decode(bytes(data))


def test_cut_utf8_is_refused():
    with pytest.raises(UnreadableFile, match="UTF-8, but damaged"):
        decode("日本語の文章".encode()[:-1])


def test_a_damaged_shift_jis_file_is_refused():
    with pytest.raises(UnreadableFile, match=NONE_OF_THESE):
        decode("これは日本語の文章です。".encode("cp932") * 100 + b"\x80\xff\xff")


def test_the_users_word_is_taken():
    assert decode("café".encode("latin-1"), "latin-1") == "café"
    assert decode("\ufeffcafé".encode(), "latin-1") == "café"  # but for a byte order mark


@pytest.mark.parametrize("encoding", ["no-such", "base64", "rot13", "rot_13"])
def test_an_encoding_that_is_none(encoding):
    with pytest.raises(UnreadableFile, match="no text encoding is called"):
        decode(b"text", encoding)


def test_a_wrong_word_names_the_byte():
    with pytest.raises(UnreadableFile, match="not valid euc_jp: byte 0x82 at offset 2"):
        decode("a\nあ".encode("cp932"), "euc_jp")
    with pytest.raises(UnreadableFile, match="not valid utf-16-le: byte 0x61 at offset 4"):
        decode("a".encode("utf-16") + b"a")


RARE = "[ƀ-ʯ]"  # one of these may be a common kanji in EUC-JP; with anything else beside it, it is not


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_valid_utf8_with_a_line_end_is_never_read_as_anything_else(text):
    text = re.sub(RARE, "x", text).lstrip("\ufeff") + "\n"
    assert decode(text.encode()) == text


@pytest.mark.parametrize(
    "text", ["0\x1f00á\n", "á\x01b\n", "\x02é\n", "1\x1f2\x1f3 é\n", "日\x7f\n", "名\x1e前\x1e\x1f\n", "é\x0e\x0fa"]
)
def test_a_few_control_characters_do_not_make_utf8_anything_else(text):
    assert decode(text.encode()) == text


CONTROLS = st.characters(max_codepoint=0x1F, exclude_characters="\0\t\n\v\f\r\b\x1b") | st.just("\x7f")


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]) | CONTROLS),
    st.characters(min_codepoint=0x80, exclude_categories=["Cs"], exclude_characters="\ufeff"),
)
def test_multi_byte_utf8_with_control_characters_is_never_read_as_anything_else(text, beyond_ascii):
    text = re.sub(RARE, "x", beyond_ascii + text).replace("x", "é", 1) + "\n"
    assert decode(text.encode()) == text


@pytest.mark.parametrize("data", [b"\x01\x02\x03 text", b"\x01\x02\x03\x04", b"\x7fELF\x02\x01\x01"])
def test_ascii_with_many_control_characters_is_binary(data):
    with pytest.raises(UnreadableFile, match="binary, not text"):
        decode(data)


@pytest.mark.parametrize("text", ["\0Î\n", "a\0é", "\0日本\n"])
def test_multi_byte_utf8_with_a_zero_byte_is_binary(text):
    with pytest.raises(UnreadableFile, match="binary, not text"):
        decode(text.encode())
    assert decode("a金\n".encode("utf-16-le")) == "a金\n", "valid UTF-8 too, and likelier in UTF-16"


def test_a_year_in_euc_jp_is_no_ezh():
    """Its two bytes are valid UTF-8 too, for a letter that hardly any language has."""
    assert decode("1986年\n".encode("euc_jp")) == "1986年\n"
    assert decode("Ǯ ǯ and ə, ɹ: letters of Skolt Sámi and of IPA\n".encode()).startswith("Ǯ ǯ and ə")


BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


@given(st.binary())
def test_any_bytes_give_text_or_a_reason(data):
    try:
        text = decode(data)
    except UnreadableFile as error:
        text = error.reason
    text.encode()
    assert text or data in (b"", *BYTE_ORDER_MARKS)
    assert "\0" not in text


@pytest.mark.parametrize(
    "text",
    [
        "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다",
        "오늘 저녁에는 배가 늦게 온다고 합니다. ㅋㅋ",
        "ㅎㅎ 그래요? 등대지기는 매일 아침 여섯 시에 등을 점검한다. ㅠㅠ",
        "회사명,전화\n㈜북등대,02-111\n㈜남항,02-112\n",
        "등대 관리 규정 제1조 목적",
    ],
)
def test_korean_is_read_and_not_taken_for_kanji(text):
    assert decode(text.encode("cp949")) == text


@pytest.mark.parametrize("text", ["쌀밥 갈비찜 잡채 ㅋ 곰탕 떡볶이 ㅋ 순댓국", "저녁 뭐 먹지 ㅋㅋㅋㅋㅋ"])
def test_a_letter_of_korean_does_not_make_kanji_likely(text):
    """Whatever it is read as, it is no Japanese: one jamo has the code of a kana."""
    data = text.encode("euc_kr")
    with contextlib.suppress(UnreadableFile):
        assert decode(data) == text


@pytest.mark.parametrize(
    "text",
    [
        "会社名,電話\n㈱北灯台,011-0\n㈲南港,011-1\n",
        "氏名,部署\n髙橋 健,総務課\n山﨑 聡,営業第Ⅱ課\n渡邉 薫,①会計\n",
        "№1 渡辺鉄工所 ℡03-1111-2222",
        "㈱鷲尾鍛冶\n㈱鴨居漆器\n",
        "昭和㍼ 平成㍻ 第Ⅳ章 ㌔㍍",
        "旭化成,東京都千代田区有楽町\n神戸製鋼所,兵庫県神戸市中央区脇浜海岸通\n",
    ],
)
def test_lists_of_firms_and_people_in_cp932(text):
    assert decode(text.encode("cp932")) == text


def test_valid_utf8_wins_over_a_control_character():
    assert decode(b"0\x1f00\xc3\xa1\n") == "0\x1f00á\n"


def jis(text: str) -> bytes:
    """The bytes in JIS X 0208 of characters that Windows has there, as its programs write them."""
    found = bytearray()
    for first, second in (character.encode("cp932") for character in text):
        row = 2 * (first - (0xB0 if first >= 0xE0 else 0x70)) - (second < 0x9F)
        found += bytes((row, second - (0x7E if second >= 0x9F else 0x1F + (second > 0x7E))))
    return bytes(found)


@pytest.mark.parametrize("text", ["①灯台守は㈱毎朝六時に点検する。", "髙橋№Ⅲは灯台に行きました。"])
def test_characters_of_windows_in_the_other_japanese_encodings(text):
    replaced = text.replace("髙", "高")  # which Windows does not write in ISO-2022-JP by this row
    assert decode(b"\x1b$B" + jis(replaced) + b"\x1b(B\n") == replaced + "\n"
    assert decode(bytes(byte | 0x80 for byte in jis(replaced)) + b"\n") == replaced + "\n"


def test_vendor_characters_do_not_make_spanish_japanese():
    with pytest.raises(UnreadableFile):
        decode("La ejecución de la orden ha terminado\n".encode("cp1252"))


@pytest.mark.parametrize(("text", "encoding"), [("오늘 저녁에", "iso2022_kr"), ("这是灯塔看守人", "hz")])
def test_escapes_of_korean_and_chinese(text, encoding):
    assert decode(text.encode(encoding)) == text


def test_braces_after_a_tilde_are_not_chinese():
    assert decode(b"a ~{foo} and ~{ab~} in code") == "a ~{foo} and ~{ab~} in code"


@pytest.mark.parametrize("text", ["감사ㅋ", "감사", "안녕ㅎ", "인자"])
def test_a_word_of_korean_is_not_read_as_kanji(text):
    with pytest.raises(UnreadableFile):
        decode(text.encode("euc_kr"))


def test_a_few_bytes_with_a_control_character_are_no_utf_16():
    with pytest.raises(UnreadableFile, match="binary"):
        decode(b"0\x020\n")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text",
    [
        "Il fait 25° à l’ombre, très chaud.",
        "Zażółć gęślą jaźń",
        "Ad;Şehir\nAyşe Gündoğdu;İstanbul\n",
        "내일 오전 열 시에 회의가 열립니다.",
        "产品 名称\n会议室 桌子\n",
        "Собрание жильцов (Zoom) завтра",
        "Η συνέλευση θα γίνει αύριο",
        "אסיפת הדיירים תתקיים מחר",
    ],
)
def test_every_language_is_read_in_utf_16_without_a_mark(text, encoding):
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    "data", [bytes([1, 0, 2, 0, 3, 0, 4, 0]), "中а中б ωש한คक".encode("utf-16-le"), b"\x00\x41" * 3 + b"A\0"]
)
def test_numbers_and_mixtures_are_no_utf_16(data):
    with pytest.raises(UnreadableFile):
        decode(data)


@pytest.mark.parametrize("encoding", ["cp1251", "koi8_r"])
def test_cyrillic_in_one_byte_is_not_read_as_utf_16(encoding):
    """Of an even length, a letter behind a zero is a kana there, and all the rest are private-use characters."""
    text = "Население города выросло в 1990х годах почти вдвое, а к 2010м годам ещё на треть и более того"
    for cut in range(20, len(text)):
        with pytest.raises(UnreadableFile):
            decode(text[:cut].encode(encoding))


@pytest.mark.parametrize(
    ("declared", "encoding", "text"),
    [
        ("big5", "cp950", "裏面的碁盤和恒星 € 燈塔"),
        ("big5", "big5hkscs", "佢哋嘅燈塔"),
        ("x-gbk", "gb18030", "灯塔看守人㐀"),
        ("windows-949", "cp949", "등대지기 뷁"),
        ("cp50221", "iso2022_jp_ext", "灯台守ｶﾅ"),
        ("cp51932", "euc_jp", "灯台守"),
        ("iso-8859-8-i", "iso8859-8", "שלום מגדלור"),
        ("x-cp1251", "cp1251", "смотритель маяка"),
        ("x-mac-cyrillic", "mac-cyrillic", "смотритель маяка"),
        ("dos-874", "cp874", "ประภาคาร"),
        ("iso-8859-9", "cp1254", "ışık “açık”"),
    ],
)
def test_names_of_encodings_mean_what_they_mean_to_a_browser(read, declared, encoding, text):
    page = f"<meta charset='{declared}'><p>".encode() + text.encode(encoding)
    assert read("a.html", page).text == text
    mail = f"Subject: x\r\nContent-Type: text/plain; charset={declared}\r\n\r\n".encode() + text.encode(encoding)
    assert read("a.eml", mail).text.endswith(f"\n{text}")


def test_a_byte_without_meaning_does_not_cost_a_western_page(read):
    page = b"<meta charset=windows-1252><p>M\xfcller says \x93yes\x94 \x81 and lights the lamp.</p>"
    assert read("a.html", page).text == "Müller says “yes” \ufffd and lights the lamp."


@pytest.mark.parametrize(
    ("encoding", "text"), [("cp1251", "Смотритель маяка проверяет лампу"), ("cp1253", "Ο φύλακας ελέγχει τη λάμπα")]
)
def test_another_script_that_declares_itself_western_is_refused(refusal, encoding, text):
    page = b"<meta charset=iso-8859-1><p>" + text.encode(encoding)
    assert refusal("a.html", page).startswith("not UTF-8, UTF-16, ")


def test_an_encoding_in_a_comment_declares_nothing_and_a_late_one_does(read):
    text = "Смотритель маяка"
    for before in ("<!-- <meta charset=utf-8> -->", "<script>let a = 1;</script>" * 400):
        page = f"<head>{before}<meta charset=koi8-r></head><p>{text}".encode("koi8-r")
        assert read("a.html", page).text == text


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("a.py", "# -*- coding: latin-1 -*-\n# Größe in Fuß\nHEIGHT = 42\n", "latin-1"),
        ("a.py", "#!/usr/bin/env python\n# vim: set fileencoding=iso-8859-15 :\nPRICE = '40 €'\n", "iso-8859-15"),
        ("a.rb", "# encoding: windows-1251\n# Ключ лежит на столе\n", "cp1251"),
        ("a.c", "/* -*- mode: c; coding: koi8-r -*- */\n/* Ключ лежит на столе */\n", "koi8-r"),
        ("a.el", ";; -*- coding: euc-jp -*-\n;; 灯\n", "euc_jp"),
        (
            "a.tex",
            "\\documentclass{article}\n\\usepackage[latin1]{inputenc}\nDer Schlüssel für Größe acht.\n",
            "latin-1",
        ),
        ("a.tex", "\\documentclass{article}\n\\usepackage[ansinew]{inputenc}\nEr sagt „nein“.\n", "cp1252"),
        ("a.bib", "% Encoding: ISO8859_1\n@book{a, title={Über Öl}}\n", "latin-1"),
        ("a.py", "# -*- coding: latin-1 -*-\n# Größe 寸法\n", "utf-8"),
    ],
)
def test_the_encoding_that_a_source_declares(name, text, encoding, read):
    assert read(name, text.encode(encoding)).text == text


def test_what_a_source_says_of_an_encoding_elsewhere_is_none(refusal):
    for text in ("a = 1\n\n# coding: latin-1\n# Größe\n", "% \\usepackage[latin1]{inputenc}\nGröße\n"):
        assert "not UTF-8" in refusal("a.py", text.encode("latin-1"))
