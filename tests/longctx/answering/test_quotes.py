"""Answers without a model: what is quoted, and when it is said that nothing bears on the question."""

from __future__ import annotations

import pytest

from longctx import DocumentQA

TEXTS = {
    "errors.md": "# Error codes of the lamp\n\nError E21 means that the lamp motor is stuck. Call the workshop.\n\n"
    "E17: the lens is dirty.\n\nError E30 means that the battery is low.\n",
    "kagi.txt": "鍵は玄関の棚の上にあります。\n予備の鍵は事務所の金庫に保管してあり、使うときは当直に声をかけます。\n"
    "霧笛は一分ごとに鳴らします。\n",
    "travel.md": "---\ntitle: Travel policy\nauthor: Ann Keeper\n---\n# Travel policy\n\n"
    "Employees fly economy class on trips under six hours. Hotels in the capital may cost 180 euros.\n",
    "kitei.txt": "旅費規程\n\n第1条（目的）\n\nこの規程は出張の旅費について定める。\n\n第2条（日当）\n\n"
    "出張した者には一日につき二千円を支払う。\n",
}


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("What does error E17 mean?", "E17: the lens is dirty."),
        ("What does E21 mean?", "Error E21 means that the lamp motor is stuck."),
        ("鍵はどこにありますか", "鍵は玄関の棚の上にあります。"),
        ("予備の鍵はどこですか", "予備の鍵は事務所の金庫に保管してあり、使うときは当直に声をかけます。"),
        ("日当はいくらですか", "出張した者には一日につき二千円を支払う。"),
        ("How much may a hotel in the capital cost?", "Hotels in the capital may cost 180 euros."),
        ("What does the travel policy say about employees?", "Employees fly economy class on trips under six hours."),
    ],
)
def test_the_sentence_that_the_question_hangs_on_is_quoted_first(qa: DocumentQA, question: str, quoted: str) -> None:
    assert qa.ask(question).citations[0].text == quoted


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("Who painted the north mole?", "The north mole was painted by a guest. She came from Bergen."),
        (
            "Did the guest who painted it come from Bergen?",
            "The north mole was painted by a guest. She came from Bergen.",
        ),
        ("霜取りの合図を何と呼びますか", "霜取りの合図は三回鳴らす。これを朝鐘と呼ぶ。"),
        ("Who mends the slipway?", "The slipway is mended by divers."),
        ("Who keeps the records of the tide?", "A clerk keeps the records of the tide. The clerk sits in Bergen."),
        ("Which signals are heard in fog?", "Signals of two kinds are heard in fog. For instance, a horn is blown."),
        ("Who rows to the buoys at night?", "The pilot rows to the buoys at night."),
    ],
)
def test_sentences_that_point_back_are_quoted_with_the_one_before(
    make_index, encoder, question: str, quoted: str
) -> None:
    texts = {
        "mole.txt": "The north mole was painted by a guest. She came from Bergen. Gulls nest on the roof.\n",
        "kane.txt": "霜取りの合図は三回鳴らす。これを朝鐘と呼ぶ。昼は鳴らさない。\n",
        "clerk.txt": "A clerk keeps the records of the tide. The clerk sits in Bergen. Gulls nest on his roof.\n",
        "fog.txt": "Signals of two kinds are heard in fog. For instance, a horn is blown. Gulls fly off.\n",
        "buoy.txt": "The pilot rows to the buoys at night. The baker is asleep.\n",
        "slip.txt": "The slipway is mended by divers.\n\nIt is cold in winter, and nobody swims there.\n",
    }
    with DocumentQA.open(make_index(texts), encoder=encoder) as qa:
        citations = qa.ask(question).citations
    assert citations[0].text == quoted
    assert len({(each.source, each.start) for each in citations}) == len(citations)


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("What is the capital of France?", "Nothing in the index bears on this question."),
        ("???", "Nothing in the index bears on this question."),
        ("What does error E99 mean?", "Nothing in the index bears on this question."),
        ("富士山の高さは何メートルですか", "この質問に関係する記述は、インデックスの中に見つかりませんでした。"),
        (
            "Wie hoch ist der Berg und wer hat ihn zuerst bestiegen?",
            "Nothing in the index bears on this question. The question seems to be in German, and the documents are not: "
            "ask in English or Japanese.",
        ),
    ],
)
def test_a_question_that_nothing_bears_on_is_refused(qa: DocumentQA, question: str, text: str) -> None:
    answer = qa.ask(question)
    assert (answer.text, answer.refused, answer.citations) == (text, True, ())


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("What is the price limit for lodging in the capital city?", "Hotels in the capital may cost 180 euros."),
        ("Who decorated the pier to the north with colour?", None),
        ("Which birds live on top of it?", None),
    ],
)
def test_what_a_sentence_means_counts_beside_its_words(make_index, encoder, question: str, quoted: str | None) -> None:
    """The first shares fewer of its words with the passage than the second, and is nearer to it by the encoder."""
    texts = {
        "travel.md": TEXTS["travel.md"],
        "mole.txt": "The north mole was painted by a guest. She came from Bergen. Gulls nest on the roof.\n",
    }
    with DocumentQA.open(make_index(texts), encoder=encoder) as qa:
        answer = qa.ask(question)
    assert (answer.citations[0].text if answer.citations else None) == quoted


CODES = {
    "manual.md": "E17: the lens is dirty.\n\nE21 means that the motor is stuck.\n\nError E-30 is a blown fuse.\n",
    "report.txt": "The pandemic of 2019 closed the port. In fiscal year 2024 the port earned nine million.",
    "leave.txt": "第1条 年次有給休暇は、勤続六か月以上の職員に十日を与える。",
}


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("What does E30 mean?", "Error E-30 is a blown fuse."),
        ("What does e-17 mean?", "E17: the lens is dirty."),
        ("What does Ｅ－１７ mean?", "E17: the lens is dirty."),
        ("What does E 21 mean?", "E21 means that the motor is stuck."),
        ("What did the port earn in FY2024?", "In fiscal year 2024 the port earned nine million."),
        ("Why did COVID19 close the port?", "The pandemic of 2019 closed the port."),
        ("休み", "第1条 年次有給休暇は、勤続六か月以上の職員に十日を与える。"),
        ("What does E99 mean?", ""),
        ("What does E2 mean in ISO-9001?", ""),
    ],
)
def test_codes_are_found_in_every_spelling_and_years_in_words(question, quoted, make_index, encoder):
    with DocumentQA.open(make_index(CODES), encoder=encoder) as qa:
        answer = qa.ask(question)
        assert (answer.citations[0].text if answer.citations else "") == quoted


def test_a_question_about_whole_documents_says_that_it_needs_a_model(qa):
    assert "only a model" in qa.ask("Summarise the travel policy.").note
    assert "モデルが必要です" in qa.ask("旅費規程を要約してください。").note
    assert qa.ask("What does error E17 mean?").note == ""


QUESTIONS = {
    "faq.md": "# Questions of the keepers\n\n## What do I do when the boat is stolen?\n\nCall the pilot at once, also at night. "
    "The boat is then searched by air.\n\n## Where is the paint?\n\nIn the shed behind the mast.\n",
    "shitsumon.md": "# よくある質問\n\n## 暗証番号を忘れたときはどうすればよいですか\n\n当直に電話してください。"
    "本人確認のうえ、仮の暗証番号を知らせます。\n\n## 雑巾はどこにありますか\n\n各階の物置の棚にあります。\n",
    "kinkyu.txt": "緊急時の手引き\n\n地震のときは机の下に入る。\n\nAEDは一階の受付にある。\n\n避難場所は北の広場である。\n",
    "codes.md": "# 故障\n\n| 番号 | 意味 |\n| --- | --- |\n| E17 | 灯器の過熱 |\n| E23 | 窓の汚れ |\n\n"
    "## F05\n\n電池が切れかけている。新しい電池を入れる。\n\n## F09\n\n扉が開いている。扉を閉める。\n",
    "nisshi.txt": "灯器は四月十日に故障した。\n\n霧が深い。\n",
    "kisoku.txt": "第23条（賞与）\n賞与は六月に支給する。\n\n連絡先は総務課である。\n",
}


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("What do I do when the boat is stolen?", "Call the pilot at once, also at night."),
        ("暗証番号を忘れました。どうすればいいですか", "当直に電話してください。"),
        ("AEDはどこにありますか", "AEDは一階の受付にある。"),
        ("ご連絡先はどちらでしょうか", "連絡先は総務課である。"),
        ("E-23が出たらどうすればいいですか", "| E23 | 窓の汚れ |"),
        ("F05のときは何を入れますか", "新しい電池を入れる。"),
        ("灯器はいつ壊れましたか", "灯器は四月十日に故障した。"),
    ],
)
def test_what_stands_under_a_question_answers_it_and_forms_of_questions_count_for_nothing(
    make_index, encoder, question: str, quoted: str
) -> None:
    """Other questions of the documents end with the same words, and a heading may say what its sentences leave out."""
    with DocumentQA.open(make_index(QUESTIONS), encoder=encoder) as qa:
        answer = qa.ask(question)
    assert answer.citations[0].text == quoted


VALUES = {
    "henpin.txt": "通信販売の案内\n\n返品は店頭でも受け付けます。商品到着後八日以内に返品できます。送料はお客様の負担です。\n",
    "kenshu.txt": "研修の案内\n\n参加は一人三千円です。研修は二十名まで受け付けます。研修は九時に始めます。\n",
}


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("返品の期限は？", "商品到着後八日以内に返品できます。"),
        ("返品期限はいつまでですか", "商品到着後八日以内に返品できます。"),
        ("参加費はいくらですか", "参加は一人三千円です。"),
        ("研修の定員は何名ですか", "研修は二十名まで受け付けます。"),
        ("返品の条件は？", None),
        ("送迎の料金は？", None),
    ],
)
def test_a_value_is_found_by_its_unit_where_the_noun_for_it_is_missing(
    make_index, encoder, question: str, quoted: str | None
) -> None:
    with DocumentQA.open(make_index(VALUES), encoder=encoder) as qa:
        answer = qa.ask(question)
    assert (answer.citations[0].text if answer.citations else None) == quoted


def test_a_heading_with_a_year_is_not_quoted_where_the_line_says_the_time(make_index, encoder) -> None:
    texts = {
        "offsite.md": "# Offsite 2024\n\nThe bus leaves from the north gate at 7:40.\n",
        "diary.md": "# Diary\n\n## 2024-05-01\n\nAnn painted the mast at 9:30.\n",
    }
    with DocumentQA.open(make_index(texts), encoder=encoder) as qa:
        assert qa.ask("When does the bus leave?").citations[0].text == "The bus leaves from the north gate at 7:40."
        assert qa.ask("When did Ann paint the mast?").citations[0].text.startswith("## 2024-05-01")


def test_a_message_of_a_chat_is_quoted_alone(make_index, encoder) -> None:
    chat = "2024/05/01(水)\n19:05\t佐藤\t集合場所は三崎口駅の改札前です\n19:11\t鈴木\t弁当は要りますか\n19:15\t佐藤\t弁当は船で出ます\n"
    with DocumentQA.open(make_index({"talk.txt": chat}), encoder=encoder) as qa:
        assert qa.ask("集合場所はどこですか").citations[0].text == "19:05\t佐藤\t集合場所は三崎口駅の改札前です"


KOREAN = "펌프는 매주 월요일에 청소합니다. 오일은 3개월마다 교환해야 합니다. 수리는 김 과장에게 연락하십시오."


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("오일은 얼마나 자주 교환합니까?", "오일은 3개월마다 교환해야 합니다."),
        ("펌프는 언제 청소하나요?", "펌프는 매주 월요일에 청소합니다."),
        ("수리는 누구에게 연락합니까?", "수리는 김 과장에게 연락하십시오."),
        ("대통령의 이름은 무엇입니까?", None),
    ],
)
def test_a_korean_question_is_judged_by_its_words_without_endings(
    make_index, encoder, question: str, quoted: str | None
) -> None:
    with DocumentQA.open(make_index({"pump.txt": KOREAN}), encoder=encoder) as qa:
        answer = qa.ask(question)
    assert answer.refused == (quoted is None)
    assert quoted is None or answer.text.startswith(quoted)


ENGLISH = ("The mooring fee is 14 euros a night.\nWater costs 2 euros.", "The office opens at eight.")
JAPANESE = ("係留料は一泊14ユーロです。\n水は2ユーロです。", "事務所は8時に開きます。")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.md", "# Harbour\n## Fees\n{}\n## Opening hours\n{}\n", ENGLISH),
        ("b.md", "Fees\n----\n{}\n\nOpening hours\n-------------\n{}\n", ENGLISH),
        ("c.md", "**Fees**\n{}\n\n**Opening hours**\n{}\n", ENGLISH),
        ("d.adoc", "= Harbour\n== Fees\n{}\n\n== Opening hours\n{}\n", ENGLISH),
        ("e.org", "* Fees\n{}\n* Opening hours\n{}\n", ENGLISH),
        ("f.rst", "Fees\n====\n{}\n\nOpening hours\n=============\n{}\n", ENGLISH),
        ("g.tex", "\\section{{Fees}}\n{}\n\\section{{Opening hours}}\n{}\n", ENGLISH),
        ("h.html", "<h1>Harbour</h1><h2>Fees</h2><p>{}</p><h2>Opening hours</h2><p>{}</p>", ENGLISH),
        ("i.md", "# 港の案内\n## 料金\n{}\n## 営業時間\n{}\n", JAPANESE),
        ("j.txt", "【料金】\n{}\n【営業時間】\n{}\n", JAPANESE),
        ("k.txt", "港の案内\n\n■ 料金\n{}\n\n■ 営業時間\n{}\n", JAPANESE),
    ],
)
def test_the_sentence_below_a_heading_is_quoted_without_it(make_index, encoder, name, text, said) -> None:
    english = ("How much is the mooring fee?", "When does the office open?")
    japanese = ("係留料はいくらですか", "事務所は何時に開きますか")
    with DocumentQA.open(make_index({name: text.format(*said)}), encoder=encoder) as qa:
        quoted = [qa.ask(question).citations[0].text for question in (english if said is ENGLISH else japanese)]
    assert quoted == [said[0].split("\n")[0], said[1]]


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("罰金はいくらですか", "延滞1日につき10円です。"),
        ("何冊まで借りられますか", "一度に5冊まで借りられます。"),
        ("駐車料金はいくらですか", "A. 最初の1時間は無料、以後30分ごとに100円です。"),
    ],
)
def test_a_question_that_a_heading_asks_is_answered_by_the_line_below(make_index, encoder, question, quoted) -> None:
    text = (
        "# よくある質問\n\n## 罰金はいくらですか\n延滞1日につき10円です。上限は500円です。\n\n"
        "## 何冊まで借りられますか\n一度に5冊まで借りられます。\n\n"
        "Q. 駐車料金はいくらですか？\nA. 最初の1時間は無料、以後30分ごとに100円です。\n"
    )
    with DocumentQA.open(make_index({"faq.md": text}), encoder=encoder) as qa:
        assert qa.ask(question).citations[0].text == quoted


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("年假有多少天？", "年假为每年十五天，需提前两周申请。"),
        ("如何申请年假？", "年假为每年十五天，需提前两周申请。"),
        ("谁创立了公司？", "公司的创始人是王建国，他于1998年创立公司。"),
        ("食堂在哪里？", "食堂在三号楼一层。"),
        ("法国的首都是哪里？", None),
        ("为什么天空是蓝色的？", None),
    ],
)
def test_a_chinese_question_is_judged_without_the_words_that_ask(make_index, encoder, question, quoted) -> None:
    text = "年假为每年十五天，需提前两周申请。食堂在三号楼一层。公司的创始人是王建国，他于1998年创立公司。"
    with DocumentQA.open(make_index({"handbook.txt": text}), encoder=encoder) as qa:
        answer = qa.ask(question)
    assert (answer.citations[0].text if answer.citations else None) == quoted


def test_a_line_in_bold_type_that_states_a_value_is_no_heading(make_index, encoder) -> None:
    text = "The race is on Sunday.\n\n**Deadline for entries: 5 May**\nEntries are free.\n"
    with DocumentQA.open(make_index({"race.md": text}), encoder=encoder) as qa:
        assert qa.ask("What is the deadline for entries?").citations[0].text == "**Deadline for entries: 5 May**"
