"""Answers without a model about numbered things: articles, sections, versions, rooms and products."""

from __future__ import annotations

import pytest

from longctx import DocumentQA

TEXTS = {
    "kisoku.md": "# 就業規則\n\n第1条（目的） この規則は勤務の条件を定める。\n\n第2条（範囲） この規則は正社員に適用する。"
    "アルバイトを除く。\n\n第12条（休憩） 休憩は正午から一時間とする。\n\n第13条（残業） 残業は課長の承認を要する。"
    "一か月に四十五時間を超えてはならない。\n\n第13条の2（仮眠） 仮眠は三時までとする。\n",
    "keiyaku.txt": "保守契約書\n\n第一条　乙は空調の保守を行う。\n\n第十四条　紛争は横浜地方裁判所で争う。\n",
    "minpo.txt": "民法\n\n第千四十二条　遺留分を算定する財産の割合は二分の一とする。\n\n第千二十四条　遺言は検認を要する。\n",
    "handbook.md": "# Handbook\n\n## 3.1 Probation\n\nIt lasts six months.\n\n## 3.2 Notice\n\nNotice is given in writing."
    " Three months are enough.\n\n## 3.12 Remote work\n\nStaff may work at home on Fridays.\n",
    "hausordnung.md": "# Hausordnung\n\n## § 2 Treppenhaus\n\nKinderwagen stehen im Hof.\n\n## § 12 Abfall\n\n"
    "Die Tonne wird am Donnerstag geleert.\n",
    "releases.md": "# Releases\n\n## 2.4.1 (2 May)\n\n- Fixed: the last row was lost.\n\n## 2.4.0 (11 April)\n\n"
    "- Added: dark colours.\n\n## 2.3.0 (20 January)\n\n- Deprecated: the API v1 is switched off in winter.\n",
    "history.md": "# History\n\n## 1.9.0 - 2023-02-01\n\n### Fixed\n\n- The printer stops at the end of a roll.\n\n### Added"
    "\n\n- Export to spreadsheets.\n\n## 1.8.0\n\nSupport for lasers.\n",
    "rireki.md": "# 変更履歴\n\n## 3.1.0\n\n- ダークモードを追加しました。\n- 印刷の余白を直しました。\n",
    "hotel.md": "# Hotel\n\n| Room | Beds | Price |\n|---|---|---|\n| 101 | 1 | 80 EUR |\n| 102 | 2 | 110 EUR |\n",
    "kaigi.txt": "会議の記録\n\n新しい検査機は六月に導入する。担当は松本とする。\n",
    "compressor.txt": "Compressor AP 900 - Manual\n\nNever open the tank of the compressor under pressure.\n",
}


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("第2条の内容は？", "第2条（範囲） この規則は正社員に適用する。アルバイトを除く。"),
        ("第13条の2は？", "第13条の2（仮眠） 仮眠は三時までとする。"),
        ("第12条は何を定めていますか", "第12条（休憩） 休憩は正午から一時間とする。"),
        ("第十二条には何が書いてありますか", "第12条（休憩） 休憩は正午から一時間とする。"),
        ("第14条は？", "第十四条　紛争は横浜地方裁判所で争う。"),
        ("第1042条は？", "第千四十二条　遺留分を算定する財産の割合は二分の一とする。"),
        ("第千二十四条の内容は？", "第千二十四条　遺言は検認を要する。"),
        ("第一〇二四条の内容は？", "第千二十四条　遺言は検認を要する。"),
        ("残業の上限は何時間ですか", "第13条（残業） 残業は課長の承認を要する。一か月に四十五時間を超えてはならない。"),
        ("What does section 3.2 say?", "## 3.2 Notice\n\nNotice is given in writing."),
        ("What does section 3.12 say?", "## 3.12 Remote work\n\nStaff may work at home on Fridays."),
        ("Was steht in § 12?", "## § 12 Abfall\n\nDie Tonne wird am Donnerstag geleert."),
        ("When was version 2.4.0 released?", "## 2.4.0 (11 April)\n\n- Added: dark colours."),
        ("When is the API v1 switched off?", "- Deprecated: the API v1 is switched off in winter."),
        ("What is the price of room 102?", "| 102 | 2 | 110 EUR |"),
    ],
)
def test_a_question_about_a_number_quotes_what_has_this_number(qa: DocumentQA, question: str, quoted: str) -> None:
    assert qa.ask(question).citations[0].text == quoted


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("Which version added dark colours?", ["## 2.4.0 (11 April)\n\n- Added: dark colours."]),
        ("Which version supports lasers?", ["## 1.8.0\n\nSupport for lasers."]),
        ("In which release was export to spreadsheets added?", ["## 1.9.0 - 2023-02-01", "- Export to spreadsheets."]),
        ("When was export to spreadsheets added?", ["## 1.9.0 - 2023-02-01", "- Export to spreadsheets."]),
        ("What was done about export to spreadsheets?", ["- Export to spreadsheets."]),
        ("ダークモードはどのバージョンで追加されましたか", ["## 3.1.0\n\n- ダークモードを追加しました。"]),
        ("印刷の余白が直ったのはどの版ですか", ["## 3.1.0", "- 印刷の余白を直しました。"]),
    ],
)
def test_a_heading_that_says_what_is_asked_is_quoted_above_the_line(
    qa: DocumentQA, question: str, quoted: list[str]
) -> None:
    citations = qa.ask(question).citations
    assert [each.text for each in citations[: len(quoted)]] == quoted
    assert [each.number for each in citations] == [*range(1, len(citations) + 1)]


@pytest.mark.parametrize(
    "question",
    [
        "第99条の内容は？",
        "第1043条の内容は？",
        "What does section 9.9 say?",
        "Was steht in § 21?",
        "What was fixed in version 2.9.1?",
        "When is the API v3 switched off?",
        "What is the price of room 301?",
        "301号室の料金は？",
        "Which version added light colours?",
        "Which version dropped support for plotters?",
        "In which release was import of spreadsheets added?",
        "ライトモードはどのバージョンで追加されましたか",
    ],
)
def test_a_question_about_a_number_that_no_passage_has_is_refused(qa: DocumentQA, question: str) -> None:
    assert qa.ask(question).refused


def test_a_german_question_is_judged_without_its_auxiliary_verb(qa: DocumentQA) -> None:
    assert qa.ask("Wo darf ich meinen Kinderwagen abstellen?").citations[0].text == "Kinderwagen stehen im Hof."
    assert qa.ask("Darf mein Hund in den Keller?").refused


def test_a_sentence_is_quoted_with_the_next_that_says_what_it_lacks_of_the_question(qa: DocumentQA) -> None:
    assert (
        qa.ask("新しい検査機の担当は誰ですか").citations[0].text == "新しい検査機は六月に導入する。担当は松本とする。"
    )


def test_the_first_line_of_a_text_is_its_title_though_it_holds_a_number(qa: DocumentQA) -> None:
    quoted = qa.ask("What about the compressor?").citations[0].text
    assert quoted == "Never open the tank of the compressor under pressure."


def test_tables_in_kanji_among_japanese_texts_are_not_called_chinese(make_index, encoder) -> None:
    texts = {"kagi.txt": "鍵は玄関の棚の上にあります。\n", "hin.csv": "品番,品名,数量\n七,灯油,十缶\n八,毛布,六枚\n"}
    with DocumentQA.open(make_index(texts), encoder=encoder) as qa:
        assert qa.ask("Where is the key of the cellar?").text.endswith("ask in Japanese.")
