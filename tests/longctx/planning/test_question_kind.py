from __future__ import annotations

import pytest

from longctx import AskOptions, BadRequest
from longctx.planning import (
    StatedCount,
    asks_for_extreme,
    asks_for_order,
    extremes_asked_for,
    question_kind,
    stated_count,
)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        # a number that a text states is a fact
        ("How many people died in the 1906 earthquake?", "locate"),
        ("How many yards did he run?", "locate"),
        ("What is the largest city of Norway?", "locate"),
        ("When was the report on the bridge signed?", "locate"),
        ('What does "summarise the policy" mean here?', "locate"),
        ("何人が亡くなりましたか", "locate"),
        ("世界最大の石油輸出地域は", "locate"),
        ("「要約」とは何ですか", "locate"),
        # and one that nobody has stated needs everything
        ("How many of the reports mention rust?", "count"),
        ("In how many chapters does the storm appear?", "count"),
        ("Which documents mention the pump?", "count"),
        ("list all the deadlines", "count"),
        ("錆に触れている報告書は何件ありますか？", "count"),
        ("何件の報告書が火災に触れていますか", "count"),
        ("締切の一覧を作ってください", "count"),
        ("欠席者をすべて挙げてください", "count"),
        ("Compare the two contracts.", "compare"),
        ("What is the difference between plan A and plan B?", "compare"),
        ("Which is larger, the north tower or the south tower?", "compare"),
        ("Which report gives the highest reading of all?", "compare"),
        ("IN WHAT ORDER were the stations inspected?", "compare"),
        ("二つの契約書を比較してください", "compare"),
        ("旧規程と新規程の違いは何ですか", "compare"),
        ("Ａ案とＢ案ではどちらが安いですか", "compare"),
        ("Summarise the policy.", "summarise"),
        ("What is this document about?", "summarise"),
        ("What are the main points?", "summarise"),
        ("議事録を要約してください", "summarise"),
        ("この報告書の概要を教えてください", "summarise"),
        ("Quel est le plus grand phare ?", "locate"),
    ],
)
def test_the_kind_of_a_question_is_in_its_words(question: str, kind: str) -> None:
    assert question_kind(question) == kind


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many offices let people work from home?", "count"),
        ("Which offices let people work from home?", "count"),
        ("In how many clinics is the lift out of order?", "count"),
        ("Which office has the most employees?", "compare"),
        ("What order did the offices move in?", "compare"),
        ("What does the policy say about rust?", "locate"),
        ("非常口がふさがれている店舗は何店ありますか？", "count"),
        ("売り上げが最も大きい店舗はどこですか？", "compare"),
        ("開店した順に教えてください", "compare"),
        ("火災保険について教えてください", "locate"),
        ("Summarise the policy.", "summarise"),
    ],
)
def test_a_question_that_everything_is_read_for_is_taken_more_freely(question: str, kind: str) -> None:
    assert question_kind(question, of_everything=True) == kind


@pytest.mark.parametrize(
    ("question", "order"),
    [
        ("In what order were the stations inspected?", True),
        ("事故を時系列で並べてください", True),
        ("店舗を開店した順に挙げてください", True),
        ("Which report gives the highest reading?", False),
        ("Which lifts are out of order?", False),
        ("値段の高い順に並べてください", False),
    ],
)
def test_an_order_is_asked_for_in_words(question: str, order: bool) -> None:
    assert asks_for_order(question) == order


def test_a_kind_that_does_not_exist_is_named() -> None:
    with pytest.raises(BadRequest, match="kind is 'sum': use locate, compare, count, summarise"):
        AskOptions().updated(kind="sum")


@pytest.mark.parametrize(
    ("question", "extreme"),
    [
        ("Which report states the largest reading?", "largest"),
        ("Which office has the fewest employees?", "smallest"),
        ("Which came first?", "earliest"),
        ("Which contract is the most recent?", "latest"),
        ("Which was the first and which the last?", "other"),
        ("Which are the highest and the lowest readings?", "other"),
        ("Rank the offices by their size.", "other"),
        ("How do the offices differ?", None),
        ("年間の売り上げが最も大きい店舗はどこですか？", "largest"),
        ("一番安い見積もりはどれですか？", "smallest"),
        ("最も古い契約はどれですか？", "earliest"),
        ("最後に更新された契約はどれですか？", "latest"),
        ("最良の店舗はどれですか？", "other"),
        ("どう違いますか？", None),
    ],
)
def test_an_extreme_is_one_where_words_leave_no_doubt(question, extreme) -> None:
    assert asks_for_extreme(question) == extreme


@pytest.mark.parametrize(
    ("question", "count"),
    [
        ("Which are the two largest weirs?", 2),
        ("Name the top three offices by turnover, the largest first.", 3),
        ("Which of the 12 weirs is the largest?", 1),
        ("Which year had the most accidents?", 1),
        ("最も大きい3つの堰はどれですか？", 3),
        ("売上が最大の店舗は？", 1),
        ("売上の上位５店舗は？", 5),
    ],
)
def test_how_many_of_the_largest_are_asked_for(question: str, count: int) -> None:
    assert extremes_asked_for(question) == count


@pytest.mark.parametrize(
    ("question", "count"),
    [
        ("In what order were the five weirs built?", 5),
        ("By all reports, in what order were the twenty-one stations painted?", 21),
        ("In what order did the 5 offices that have it get the new phone system?", 5),
        ("Put the ３ clinics in the order in which they opened.", 3),
        ("Give the order in which the four accidents happened.", 4),
        ("List the five weirs in order, oldest first.", 5),
        ("塗装された5つの施設を、塗装された順に挙げてください。", 5),
        ("新しいレジが導入された５店舗を、導入された順に挙げてください。", 5),
        ("3か所の診療所はどの順番で建てられましたか？", 3),
        ("十二か所の診療所を建てられた順に挙げてください。", 12),
        ("五つの堰が建てられた順番は？", 5),
        ("施設5か所の塗装の順番を教えてください。", 5),
    ],
)
def test_a_question_states_how_many_things_it_asks_for(question: str, count: int) -> None:
    assert stated_count(question) == StatedCount(count)


@pytest.mark.parametrize(
    "question",
    [
        "In chronological order, list the top 3 offices.",
        "Name the first three stations that were painted, in order.",
        "Rank 3 clinics in order of opening.",
        "上位３件を、発生した順に挙げてください。",
        "最初の三つの施設を、塗装された順に挙げてください。",
        "5つの施設を、塗装された順に3つ挙げてください。",
    ],
)
def test_a_number_of_which_more_may_exist_is_a_limit(question: str) -> None:
    assert stated_count(question) == StatedCount(3, is_limit=True)


@pytest.mark.parametrize(
    "question",
    [
        "In what order were the stations built within 5 years?",
        "In 5 years, in what order were the stations painted?",
        "In what order were the stations with 3 floors painted?",
        "In what order were the stations painted, the 3 reports say?",
        "In what order did the 5 year plans come?",
        "In what order were the 1931 floods reported?",
        "In what order were the five oldest weirs painted?",
        "In what order were the last three weirs painted?",
        "Of the five weirs, which leak, in what order?",
        "In what order was the one station painted?",
        "5年以内に建てられた堰を、早い順に挙げてください。",
        "2つの扉がある施設を、塗装された順に挙げてください。",
        "2つの扉を持つ施設を塗装された順に挙げてください。",
        "3人の医師が建てた診療所の順番は？",
        "5つの町の診療所を、開設された順に挙げてください。",
        "5つの施設のうち、雨漏りしたものを早い順に挙げてください。",
        "第3施設を、塗装された順に挙げてください。",
        "最後の3つの施設を、塗装された順に挙げてください。",
        "2〜3件の事故を、発生した順に挙げてください。",
    ],
)
def test_a_number_of_something_else_is_none(question: str) -> None:
    assert stated_count(question) is None
