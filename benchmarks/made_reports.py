"""Corpora of made reports whose answers are known: how many, which ones, the largest, and in what order.

Each report consists of prose from a book or an encyclopedia, and in it a few sentences with facts. `lights`
(inspections of harbour lights, English) is the domain that prompts may be tuned on; the others are held out. `clinics`
(English) and `weirs` (Japanese) ask in words of the reports. Questions of `offices` (English) and `stores` (Japanese)
are paraphrased, so that few of their words are in the facts, and most of their facts deny what is asked, or say it of
another day or thing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from indexes import Document

FAULTY = (9, 14)  # reports that are counted: more than a search finds, and as many as an answer can name
IN_ORDER = 5


@dataclass(frozen=True)
class Domain:
    """What reports of one kind say.

    Attributes:
        names: The places that are reported on.
        title: The title of a report.
        yes: Ways to say what is counted.
        no: Ways to say something that is not to be counted.
        value: Ways to state a number.
        other_value: Ways to state another number, which is not asked for.
        place: Ways to state a place in an order.
        other_place: Ways to state a place in another order.
        how_many, which, largest, order: The questions.
        characters_a_report: About how long a report is at least.
    """

    names: Sequence[str]
    title: str
    yes: Sequence[str]
    no: Sequence[str]
    value: Sequence[str]
    other_value: Sequence[str]
    place: Sequence[str]
    other_place: Sequence[str]
    how_many: str
    which: str
    largest: str
    order: str
    characters_a_report: int = 6000


def _crossed(firsts: str, seconds: str, between: str = "") -> list[str]:
    """Each of some words with each of others."""
    return [f"{first}{between}{second}" for first in firsts.split() for second in seconds.split()]


DOMAINS = {
    "lights": Domain(
        names=_crossed(
            "Alder Birch Cedar Dun Elm Fern Gorse Hazel Ivy Juniper Kelp Larch",
            "ness wick holm stead cliff mouth garth bury combe skerry",
        ),
        title="Inspection report {number}: {name}",
        yes=(
            "The inspector found a leaking roof at {name}.",
            "At {name} there is a leaking roof, which has to be seen to.",
            "A leaking roof was noted at {name} on the second day.",
            "{name} has a leaking roof, as it had last year.",
        ),
        no=(
            "The inspector found a cracked lens at {name}.",
            "The roof of {name} was found dry and sound.",
            "{name} has a broken stair, as it had last year.",
        ),
        value=("The tide gauge at {name} read {value} cm.",),
        other_value=("The lamp of {name} stands {value} cm above its floor.",),
        place=("{name} was number {place} of the stations that were painted.",),
        other_place=("{name} was number {place} of the stations that were rewired.",),
        how_many="How many of the reports mention a leaking roof?",
        which="Which of the reports mention a leaking roof? Name the stations.",
        largest="Which report states the largest reading of a tide gauge? Name the station.",
        order="In what order were the 5 stations painted that were painted, by all reports?",
    ),
    "clinics": Domain(
        names=_crossed(
            "Abbot Bramley Chapel Denham Ester Farley Granby Holme Ibsen Jarrow Kirby Lowther",
            "Road Street Square Lane Park Gate Hill Green Court Cross",
            " ",
        ),
        title="Clinic report {number}: {name}",
        yes=(
            "The lift at {name} was out of order when we came.",
            "Patients at {name} had to take the stairs, since the lift is out of order.",
            "Again the lift of {name} is out of order.",
        ),
        no=(
            "The telephone at {name} was out of order when we came.",
            "The lift of {name} works, and was serviced in May.",
            "Again the heating of {name} is out of order.",
        ),
        value=("{name} treated {value} patients in March.", "In March, {value} patients were treated at {name}."),
        other_value=("The car park of {name} has room for {value} cars.",),
        place=("{name} was number {place} of the clinics that were given new beds.",),
        other_place=("{name} was number {place} of the clinics that were given new lamps.",),
        how_many="In how many clinics is the lift out of order?",
        which="In which clinics is the lift out of order? Name all of them.",
        largest="Which clinic treated the most patients in March?",
        order="In what order were the 5 clinics that were given new beds given them?",
    ),
    "weirs": Domain(
        names=_crossed(
            "青木 井川 上野 江原 大沢 柏木 黒田 小坂 坂下 白井 高瀬 中原",
            "第一水門 第二水門 第三水門 堰 排水機場 樋門",
        ),
        title="巡視報告 第{number}号 {name}",
        yes=(
            "{name}では雨漏りが見つかった。",
            "{name}の操作室には雨漏りがあり、早めの修理が要る。",
            "昨年に続き、{name}で雨漏りを確認した。",
        ),
        no=(
            "{name}では階段の手すりの破損が見つかった。",
            "{name}の屋根はよく乾いており、異常はなかった。",
            "昨年に続き、{name}で扉の錆を確認した。",
        ),
        value=("{name}の水位計は{value}センチを示していた。", "水位計の値は、{name}で{value}センチだった。"),
        other_value=("{name}の扉の幅は{value}センチである。",),
        place=("{name}は、{place}番目に塗装された施設である。",),
        other_place=("{name}は、{place}番目に電気設備が更新された施設である。",),
        how_many="雨漏りが見つかった施設はいくつありますか？",
        which="雨漏りが見つかった施設はどれですか？すべて挙げてください。",
        largest="水位計の値が最も大きかった施設はどこですか？",
        order="塗装された5つの施設を、塗装された順に挙げてください。",
        characters_a_report=2000,
    ),
    "offices": Domain(
        names=[
            *("Aarhus", "Bilbao", "Cork", "Dresden", "Espoo", "Florence", "Ghent", "Haarlem", "Innsbruck", "Jena"),
            *("Krakow", "Leeds", "Malmo", "Nantes", "Odense", "Porto", "Quimper", "Rostock", "Seville", "Turin"),
            *("Utrecht", "Vilnius", "Wroclaw", "Ystad", "Zagreb", "Bergen", "Cardiff", "Delft", "Exeter", "Freiburg"),
            *("Graz", "Hull", "Izmir", "Kiel", "Lugano", "Maribor", "Novara", "Oulu", "Perugia", "Reims"),
            *("Split", "Tampere", "Umea", "Varna", "Wexford", "Zurich", "Basel", "Chester", "Durham", "Essen"),
        ],
        title="Annual review of the {name} office",
        yes=(
            "Staff at {name} are free to do their jobs from home each Friday.",
            "On Fridays nobody has to come in at {name}: people there work from where they live.",
            "The {name} office closes its desks on Fridays, when all work remotely.",
            "In {name}, Friday has become a day of remote work.",
        ),
        no=(
            "Staff at {name} are expected at their desks each Friday, without exception.",
            "In {name}, Wednesday has become a day of remote work, and no other day.",
            "The request of the {name} staff to work from home on Fridays was turned down.",
        ),
        value=(
            "By December {value} people were employed in {name}.",
            "{name} closed the year with a headcount of {value}.",
            "The payroll of {name} had {value} names on it at the end of the year.",
        ),
        other_value=(
            "The canteen of {name} served {value} meals a day.",
            "The {name} office has room for {value} bicycles.",
        ),
        place=(
            "{name} was the {ordinal} office that was moved to the new telephone system.",
            "The new telephones came to {name} as the {ordinal} of the offices.",
        ),
        other_place=("{name} was the {ordinal} office that was moved to the new payroll system.",),
        how_many="How many offices allow their employees to work at home at the end of the working week?",
        which="Which offices allow their employees to work at home at the end of the working week?",
        largest="Which office has the most employees?",
        order="In what order did the 5 offices that have it get the new phone system?",
    ),
    "stores": Domain(
        names=[
            *("青葉店", "飯田店", "宇都宮店", "江別店", "岡崎店", "柏店", "木更津店", "倉敷店", "気仙沼店", "高知店"),
            *("佐倉店", "下関店", "鈴鹿店", "瀬戸店", "草加店", "高松店", "千歳店", "津山店", "天童店", "豊橋店"),
            *("長岡店", "新居浜店", "沼津店", "根室店", "野田店", "浜松店", "日立店", "福山店", "平塚店", "北斗店"),
            *("松江店", "三島店", "武蔵野店", "盛岡店", "八戸店", "結城店", "横須賀店", "米子店", "若松店", "和泉店"),
            *("秋田店", "石巻店", "上田店", "恵那店", "尾道店", "唐津店", "桐生店", "熊谷店", "小松店", "酒田店"),
        ],
        title="{name} 年次点検報告",
        yes=(
            "{name}では、非常口の前に段ボール箱が積まれ、通れない状態だった。",
            "{name}の非常口は、商品の棚でふさがれていた。",
            "非常口をふさぐ荷物が{name}で見つかった。",
            "{name}では台車が置かれ、非常口から出られなくなっていた。",
        ),
        no=(
            "{name}の非常口の前には何も置かれておらず、問題はなかった。",
            "{name}では、駐車場の入口が荷物でふさがれていた。",
            "{name}の非常口の表示灯は、今年新しくなった。",
        ),
        value=(
            "{name}の昨年度の売上高は{value}万円だった。",
            "昨年度、{name}は{value}万円を売り上げた。",
        ),
        other_value=("{name}の改装には{value}万円がかかった。", "{name}の売場面積は{value}平方メートルである。"),
        place=("{name}は、新しいレジが{place}番目に入った店舗である。",),
        other_place=("{name}は、{place}番目に改装された店舗である。",),
        how_many="避難用の出口が使えなくなっている店舗は何店ありますか？",
        which="避難用の出口が使えなくなっている店舗はどれですか？すべて挙げてください。",
        largest="年間の売り上げが最も大きい店舗はどこですか？",
        order="新しいレジが導入された5店舗を、導入された順に挙げてください。",
        characters_a_report=2000,
    ),
}
_UNFINISHED = re.compile(r"[^.!?。！？]*\Z")
_ORDINALS = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True)
class Corpus:
    """Reports, and what is true of them.

    Attributes:
        documents: The reports.
        counted: The names that `how_many` and `which` ask for.
        largest: The name with the largest value.
        in_order: Names in their order.
        all_names: The names of all reports.
    """

    documents: list[Document]
    counted: list[str]
    largest: str
    in_order: list[str]
    all_names: list[str]


def make_corpus(domain: Domain, prose: str, characters: int, seed: str) -> Corpus:
    """Make reports, with a random generator of their own.

    Args:
        domain: What they say.
        prose: What they consist of besides.
        characters: How long they are together.
        seed: The seed.

    Returns:
        The corpus.
    """
    draw = random.Random(seed)
    count = max(3 * IN_ORDER, min(len(domain.names), characters // domain.characters_a_report))
    names = draw.sample(list(domain.names), count)
    counted = set(draw.sample(names, draw.randint(min(FAULTY[0], count // 2), min(FAULTY[1], count - 1))))
    values, others = (draw.sample(range(100, 100 + 20 * count), count) for _ in range(2))
    painted, rewired = (draw.sample(names, IN_ORDER) for _ in range(2))
    documents = []
    for number, (name, value, other) in enumerate(zip(names, values, others, strict=True), start=1):
        said = [(domain.value, {"value": value})]
        if name in counted or draw.random() < 0.6:
            said.append((domain.yes if name in counted else domain.no, {}))
        if draw.random() < 0.5:
            said.append((domain.other_value, {"value": other}))
        for ways, order in ((domain.place, painted), (domain.other_place, rewired)):
            if name in order:
                place = order.index(name)
                said.append((ways, {"place": place + 1, "ordinal": _ORDINALS[place]}))
        facts = [draw.choice(list(ways)).format(name=name, **fields) for ways, fields in said]
        title = domain.title.format(number=number, name=name)
        text = _with_facts(_paragraphs(prose, characters // count, draw), facts, draw)
        documents.append(Document(f"report-{number:03d}", f"{title}\n\n{text}\n", title))
    largest = names[values.index(max(values))]
    return Corpus(documents, [name for name in names if name in counted], largest, painted, names)


def questions(domain: Domain) -> dict[str, str]:
    """The questions, by what they ask for."""
    return {
        "how many": domain.how_many,
        "which ones": domain.which,
        "largest": domain.largest,
        "in order": domain.order,
    }


def _paragraphs(prose: str, characters: int, draw: random.Random) -> list[str]:
    """Paragraphs from somewhere in the prose, each up to its last whole sentence."""
    start = draw.randrange(max(1, len(prose) - characters))
    paragraphs = (" ".join(p.split()) for p in prose[start : start + characters].split("\n\n"))
    return [whole for p in paragraphs if (whole := _UNFINISHED.sub("", p))] or [""]


def _with_facts(paragraphs: Sequence[str], facts: Sequence[str], draw: random.Random) -> str:
    """The paragraphs, each fact at the end of one of them."""
    written = list(paragraphs)
    for fact in facts:
        place = draw.randrange(len(written))
        written[place] = f"{written[place]} {fact}".strip()
    return "\n\n".join(written)
