"""What a question asks for, by its words and form: a fact in one place, or something that needs every document.

No model is asked. What decides is whether a question counts, compares or summarises over a corpus: "How many of the
reports mention rust?" needs all reports, and "How many people died in 1906?" the one sentence that states it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from indexes.text import script_language
from longctx.quantities import parse_count
from longctx.types import QuestionKind

# What a corpus consists of: to ask for the largest or for the number of these is to ask about all of them.
_PART = (
    r"(?:documents?|docs?|reports?|files?|chapters?|sections?|papers?|articles?|meetings?|minutes|records?|letters?|"
    r"memos?|notes|contracts?|invoices?|policies|pages|entries|passages?|texts?|sources?|e-?mails?|inspections?|"
    r"proposals?|drafts?|incidents?|manuals?|tickets?)"
)
_PARTS = _PART.replace("s?", "s").replace("minutes|", "")  # in the plural
_WHOLE = (
    r"(?:document|report|file|chapter|section|paper|article|text|book|manual|handbook|policy|contract|corpus|"
    r"documents|reports|files|notes|papers|articles|minutes|meeting|discussion|story|plan|guide(?:line)?s?)"
)
Extreme = Literal["largest", "smallest", "latest", "earliest", "other"]

_MOST = (
    r"(?:(?:large|small|high|low|long|short|old|new|great|few|deep|wide|early|late|young|strong|weak|cheap|bigg|earli|"
    r"lat)e?st|most|least|best|worst|first|last)"
)
_MORE = r"(?:\w+(?:er|ier)|more|less|worse|better|first)"
# not "out of order", "in order to", "the purchase order"
_AN_ORDER = r"(?<!out of )(?<!purchase )(?<!work )(?<!money )(?<!court )\border\b(?! (?:to|of magnitude|number|form)\b)"
_VERB = r"(?:is|are|was|were|has|have|had|does|do|did|can|came|took|costs?)"
_MENTION = r"(?:mention\w*|discuss\w*|describ\w*|refer\w*|talk\w*|deal\w*|stat(?:e|es|ing) that|contain\w*|cover\w*)"

_ENGLISH: dict[QuestionKind, tuple[str, ...]] = {
    "summarise": (
        r"\bsummar(?:y|ies|i[sz]e[ds]?|i[sz]ing)\b(?! of \w+ is)",
        r"^(?:(?:please|can|could|you|briefly)\W+)*(?:sum up|recap|outline|condense|abridge)\b",
        r"\b(?:give|write|need|provide|want)\b.*\b(?:overview|abstract|outline|recap|gist|short version)\b",
        r"\btl;? ?dr\b|\bin a nutshell\b|\bthe gist\b",
        r"\b(?:main|key|central|essential|most important) (?:points?|takeaways?|findings|messages?)\b",
        rf"\bwhat (?:is|are|was|were|'s)\b.*\b{_WHOLE} (?:all )?about\b",
        rf"\bwhat (?:does|do|did) (?:this|these|the)\b.*\b{_WHOLE} (?:say overall|cover|say)\W*$",
        rf"\bwhat (?:topics|subjects|themes)\b.*\b{_WHOLE} (?:cover|deal with|treat|discuss)",
        rf"^(?:please )?(?:briefly )?(?:describe|tell me)(?: briefly)? what (?:is in )?(?:this|these|the) {_WHOLE}\b",
    ),
    "compare": (
        r"\bcompar(?:e|es|ing|ison)\b.*\b(?:the|two|with|and|across)\b",
        r"^(?:please )?(?:contrast|rank|sort|order)\b",
        r"\b(?:differences?|similarit(?:y|ies)) (?:and \w+ )?between\b|\bversus\b|\bvs\b",
        r"\bhow (?:do|does|did) .+\bdiffer\b",
        r"\bhave in common\b|\bcontradict\w*\b.*\b(?:between|two|each other)\b",
        r"\bchanged? (?:between|from) .+\b(?:and|to)\b",
        rf"\b(?:which|who|what)\b.*\b{_VERB} {_MORE}\b[^,]*, .+ or\b",
        r"^(?:is|are|was|were|do|does|did|has|have)\b.+\b(?:\w+er|more|less) than (?:that|those|the one)\b",
        rf"\b(?:which|what)(?: of the)? {_PART}\b.*\b{_MOST}\b",
        rf"\b{_MOST}\b.*\b(?:in|among|across|of) (?:all|any of)\b|^of all\b.*\b{_MOST}\b",
        r"\b(?:in|into) (?:what|which|chronological|the) order\b|\bchronological(?:ly)?\b.*\border\b",
        r"\border of (?:time|date)\b",
    ),
    "count": (
        rf"\bhow many (?:of (?:the|these|those|all)|(?:\w+ )?{_PART} (?!did|have been|has|were published))\b",
        rf"\bin (?:how many|which|what) (?:of the )?{_PART}\b.*\b(?:is|are|do|does|was|were|appear|{_MENTION})\b",
        rf"\bwhich (?:{_PARTS}|of the {_PART}) |\bwhich {_PART} {_MENTION}\b",
        rf"\b(?:how many|which|what)\b.* (?:in|across|of|from) (?:all|any|each|every)(?: of)?(?: the| these)? {_PART}",
        r"^(?:please )?(?:can you )?(?:list|enumerate|count)\b",
        r"^(?:please )?(?:name|find|show me|give(?: me)?|tell me|identify|collect|extract)\W+"
        r"(?:a list of|all|every|each)\b",
        r"^what are all\b|\bwhat is the number of \w*\s?" + _PART,
        rf"\bhow (?:often|many times) (?:is|are|was|were|does|do)\b.*\b(?:mention\w*|appear\w*|named|{_MENTION})\b",
    ),
}

_SHO = (
    r"(?:文書|文献|書類|報告書?|資料|ファイル|章|節|条文|議事録|論文|記事|契約書?|規程|会議|案件|箇所|記録|手紙|メール|"
    r"請求書|見積もり|点検|レポート|ドキュメント|ページ)"
)
_JAPANESE: dict[QuestionKind, tuple[str, ...]] = {
    "summarise": (
        r"要約|要旨|論旨|概略|あらまし|あらすじ|骨子|サマリー?|全体像|趣旨を(?:述べ|教え|説明)",
        r"(?:概要|要点|ポイント|主な内容|内容|まとめ)(?:を|は|について).*(?:教え|挙げ|説明|述べ|まとめ|お願い|示し|整理|知り)",
        r"(?:主な|重要な)ポイントは|(?:^|[をにで、])(?:まとめて|まとめると)[。、?]?(?:くだ|下さ|ほし|$)",
        rf"(?:この|これらの|本){_SHO}.*(?:簡単に|簡潔に)?(?:何について|説明して)",
        rf"何について(?:の|書か|述べ).*{_SHO}|{_SHO}.*何について(?:書|述べ)",
        r"(?:ざっと|ざっくり|手短に|一言で|かいつまんで|簡潔に)",
        rf"どんな(?:こと|内容)が書かれ.*{_SHO}|{_SHO}.*(?:どんな|どのような)(?:こと|内容)",
        r"(?:この|本)[^、。]*を簡単に説明",
    ),
    "compare": (
        r"比較して|比べて(?:くだ|下さ|ほし|$|、)|対比して|見比べ",
        r"の違い(?:は|を|について)[^、]*(?:何|教え|説明|どこ|挙げ|述べ|$)|(?:相違点|類似点|共通点|異なる点|変わった点|矛盾する点|差異)",
        r"と[^、]*(?:は|とは)、?(?:どう|どのように)(?:違|異な)",
        r"と.*(?:では|、|で|のうち).*(?:どちら|どっち)(?:が|の(?:ほう|方)|[?。]?$)|と.*(?:のは|は)(?:どちら|どっち)",
        rf"(?:どの|どこの){_SHO}.*(?:一番|最も|もっとも|最大|最小|最高|最低)|(?:一番|最も|もっとも).*{_SHO}は(?:どれ|どの)",
        rf"(?:全部|全て|すべて|全|各)(?:の)?(?:{_SHO}|現場|支店|施設|\w{{1,4}})?(?:の(?:中|うち)で?|全体).*(?:一番|最も|もっとも|最大|最小|最高|最低)",
        rf"(?:一番|最も|もっとも|最大|最小).*{_SHO}(?:全体|すべて|全部)?の(?:中|うち)",
        r"(?:順番|順序|時系列|順)(?:で|に)[^、。]*(?:並べ|整理|教え|示し|挙げ|行われ)|どの(?:順番|順序)",
        r"(?:間|版|度)で(?:、)?(?:何が|どこが|どう)[^、。]*変[わ更]",
        r"と.+の差は(?:いくら|いくつ|どれ|何)",
    ),
    "count": (
        r"列挙|リストアップ|箇条書きで挙げ|もれなく|漏れなく|残らず",
        r"一覧(?:を|に|で)[^、。]*(?:作|見せ|示|出|教え|表示|くだ)",
        r"(?:すべて|全て|全部|ぜんぶ)[^、。]{0,4}(?:挙げ|教え|書き出|抜き出|示し|見せ|列)",
        rf"(?:何|いくつの)(?:件|通|本|冊|部|つ)?の{_SHO}|いくつの{_SHO}",
        rf"{_SHO}(?:は|が|の(?:うち|中で?))[^。]*(?:何件|何通|何冊|何部|いくつ)(?:あり|が|存在|です|[?。]?$)",
        rf"どの{_SHO}(?:に|が|で|です)|(?:ファイル|{_SHO})は(?:どれ|どこ)",
        rf"(?:数えて|カウントして)|{_SHO}に(?:は)?何(?:回|度|か所|箇所)|全部で何(?:人|件|回|つ|か所)",
    ),
}
_RULES = {
    language: {kind: re.compile("|".join(f"(?:{each})" for each in patterns)) for kind, patterns in kinds.items()}
    for language, kinds in (("en", _ENGLISH), ("ja", _JAPANESE))
}
# What tells apart questions that are asked of every document, whatever the documents are called: "How many offices
# close on Fridays?" may ask for a number that is stated, and does not where every document is to be read for it.
_OF_EVERYTHING: dict[str, dict[QuestionKind, str]] = {
    "en": {
        "compare": rf"\b{_MOST}\b|{_AN_ORDER}|\b(?:sequence|chronolog\w*)\b",
        "count": r"\b(?:how (?:many|often)|which|list|name|all|every|each)\b|^what (?!does|is|was)\w+s\b|^who are\b",
    },
    "ja": {
        "compare": r"一番|最も|もっとも|最[大小高低長短多少新古初後]|順(?:番|序|に|で)|時系列",
        "count": (
            r"何(?:件|店|人|名|個|か所|箇所|カ所|ヶ所|社|台|枚|本|冊|軒|棟|回|度|種類)|"
            r"いく[つら]|どれ|どの|どこ|誰|すべて|全て"
        ),
    },
}
_QUOTED = re.compile(r"[\"“”][^\"“”]*[\"“”]|「[^」]*」|『[^』]*』")


def question_kind(question: str, *, of_everything: bool = False) -> QuestionKind:
    """Decide what a question asks for.

    Args:
        question: The question, in English or Japanese; of another language, only English words in it are seen.
        of_everything: Whether it is known that every document is to be read for it, as on route `map`.

    Returns:
        "compare", "count" or "summarise" for a question that needs every document, "locate" for any other.
    """
    text = _unquoted(question)
    language = "en" if script_language(question) is None else "ja"
    kinds = [kind for kind, pattern in _RULES[language].items() if pattern.search(text)]
    if of_everything:
        kinds += [kind for kind, words in _OF_EVERYTHING[language].items() if re.search(words, text)]
    return kinds[0] if kinds else "locate"


def _unquoted(question: str) -> str:
    """A question in one line and one case, without what it quotes."""
    return _QUOTED.sub('""', " ".join(unicodedata.normalize("NFKC", question).casefold().split()))


_EXTREME = re.compile(rf"\b{_MOST}\b|\b(?:rank|sort)\b|一番|最も|もっとも|最[大小高低長短多少新古初後良悪]|ランキング")
_TOP = r"(?:一番|最も|もっとも)"
_LARGEST = re.compile(
    r"\b(?:most(?! recent)|(?:larg|bigg|high|long|great|deep|wid|heavi|tall)est)\b|最[大高長多]|"
    + _TOP
    + "(?:大き|高|長|多|重|広|深)"
)
_SMALLEST = re.compile(
    r"\b(?:least|(?:small|low|short|few|cheap|light|narrow)est)\b|最[小低短少]|" + _TOP + "(?:小さ|低|短|少な|安|軽|狭)"
)
_LATEST = re.compile(r"\b(?:latest|newest|last|most recent(?:ly)?)\b|最[新後]|" + _TOP + "(?:新し|遅)")
_EARLIEST = re.compile(r"\b(?:earliest|oldest|first)\b|最[古初]|" + _TOP + "(?:古|早)")
_EXTREMES: dict[Extreme, re.Pattern[str]] = {
    "largest": _LARGEST,
    "smallest": _SMALLEST,
    "latest": _LATEST,
    "earliest": _EARLIEST,
}
_HOW_MANY_EXTREMES = (  # the two largest, top 3, 最も大きい3つ, 上位3件
    re.compile(rf"\b(?P<count>\d{{1,2}}|[a-z]+) {_MOST}\b"),
    re.compile(r"\btop (?P<count>\d{1,2}|[a-z]+)\b"),
    re.compile(
        rf"(?:最[大小高低長短多少新古初後]の?|{_TOP}[^、。]{{1,6}}|上位の?)(?P<count>\d{{1,2}}|[一二三四五六七八九十]+)[つ件店社人名か箇基本]"
    ),
)
_ORDER = re.compile(_AN_ORDER + r"|\bsequence\b|\bchronolog|順番|順序|時系列|発生順|[たる]順|[早古]い順")


def asks_for_extreme(question: str) -> Extreme | None:
    """Which extreme a question asks for.

    Args:
        question: The question.

    Returns:
        The largest or the smallest value, or the latest or the earliest date, where its words, in English or Japanese,
        leave no doubt; "other" for one like the best, for two of them, and for a ranking; None for a question that asks
        for none.
    """
    text = unicodedata.normalize("NFKC", question).casefold()
    if not _EXTREME.search(text):
        return None
    found: list[Extreme] = [extreme for extreme, words in _EXTREMES.items() if words.search(text)]
    return found[0] if len(found) == 1 else "other"


def extremes_asked_for(question: str) -> int:
    """How many a question asks for of the largest, the smallest, the latest or the earliest: two of "the two largest".

    Args:
        question: The question, in English or Japanese.

    Returns:
        The number; 1 where none is stated.
    """
    text = _unquoted(question)
    stated = (parse_count(found["count"]) for words in _HOW_MANY_EXTREMES if (found := words.search(text)))
    return next((count for count in stated if count), 1)


def asks_for_order(question: str) -> bool:
    """Whether a question asks in what order things come.

    Args:
        question: The question.

    Returns:
        True for one with such words in English or Japanese.
    """
    return _ORDER.search(question.casefold()) is not None


@dataclass(frozen=True, slots=True)
class StatedCount:
    """A number that a question states of the things that it asks for.

    Attributes:
        count: The number.
        is_limit: Whether there may be more, of which the first are asked for.
    """

    count: int
    is_limit: bool = False


# What may stand before "the five weirs" in a clause, if it is the weirs that the question asks for
_DEFINITE = r"the|these|those|all|our|my|your|its|their|did|do|does|were|was|are|is|have|had|has|will|which|what"
_BEFORE_COUNT = (
    r"(?:in|into|by) (?:(?:what|which|the|their|chronological) )*(?:order|sequence)|(?:order|sequence) (?:of|in which)|"
    r"all of|who|when|where|how|can|could|would|you|please|i|want|me|us|"
    r"rank|sort|order|arrange|list|name|give|put|place|tell|show|state|say|write|enumerate|" + _DEFINITE
)
_NOT_COUNTED = (
    rf"{_MOST}|(?:year|month|week|day|hour|minute|second|decade|time|metre|meter|mile|inche?|dollar|euro|pound)s?|"
    r"foot|feet|per|percent|thousand|million|billion|[cmk]?m|[km]?g|ft|yen|of|or|and|to|more|storey|story"
)
_COUNT_EN = re.compile(
    rf"(?:^|[,;:.?!] )(?P<before>(?:(?:{_BEFORE_COUNT}) )*)(?P<first>(?:first|top|earliest) )?"
    rf"(?P<count>\d{{1,3}}|[a-z]+(?:-[a-z]+)?) (?!(?:{_NOT_COUNTED})\b)(?=[a-z])"
)
_ENDS_DEFINITE = re.compile(rf"\b(?:{_DEFINITE}) $")
_COUNT_JA = (
    r"(?<![\d一二三四五六七八九十百][、,~〜-])(?<![\d.第一二三四五六七八九十百])(?P<count>\d{1,3}|[一二三四五六七八九十百]+)"
    r"(?:件|店舗?|人|名|個|[かカヶヵケ]所|箇所|社|台|枚|本|冊|軒|棟|通|部|つ|種類?|校|基|隻|施設|拠点|都市)"
    r"(?:の[^、。をはがのに]{1,20})?"
)
_COUNTS_JA = (  # 順に3つ挙げて, and 5つの施設を、建てられた順に挙げて
    re.compile(
        rf"順に、?(?P<first>上位|最初の?|初めの?)?{_COUNT_JA}(?:まで|だけ)?[を、]?(?:[挙教答示並書列述]|リスト)"
    ),
    re.compile(
        rf"(?P<not_so>最後の?|下位|直近の?|最新の?|約|およそ|少なくとも)?(?P<first>上位|最初の?|初めの?|はじめの?)?{_COUNT_JA}"
        r"(?:[をはが](?:、[^。]*?|(?:ど[のん]な?)?[^、。をはがの]*)|の[^、。をはが]*)(?:順|時系列)"
    ),
)


def stated_count(question: str) -> StatedCount | None:
    """How many things a question says that it asks for: five of "in what order were the five weirs built".

    Args:
        question: The question, in English or Japanese.

    Returns:
        The number, where it counts what is asked for and not what else is said of it, and is from 2 to 999.
    """
    text = _unquoted(question)
    stated = _stated_in_english(text) if script_language(question) is None else _stated_in_japanese(text)
    return stated if stated and stated.count > 1 else None


def _stated_in_english(text: str) -> StatedCount | None:
    for found in _COUNT_EN.finditer(text):
        before, first, count = found["before"], found["first"], parse_count(found["count"])
        is_asked_for = first or len(before.split()) > (found.start() > 0)  # "…, the two reports say"
        if count and is_asked_for:
            return StatedCount(count, is_limit=bool(first) or not _ENDS_DEFINITE.search(before))
    return None


def _stated_in_japanese(text: str) -> StatedCount | None:
    for is_limit, pattern in zip((True, False), _COUNTS_JA, strict=True):
        found = pattern.search(text)
        if found and (count := parse_count(found["count"])):
            is_so = is_limit or not found["not_so"]
            return StatedCount(count, is_limit=is_limit or bool(found["first"])) if is_so else None
    return None
