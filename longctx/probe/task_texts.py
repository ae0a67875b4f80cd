"""The sentences and word lists of the tasks, in English and Japanese."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TaskTexts:
    """The sentences of a task: a fact as it stands in a text, and the question about it.

    Attributes:
        statement: The fact, with `{name}`, `{value}` or both in the places of what is drawn at random.
        question: The question, with the same placeholders; `{value}` only where the answer is a name.
    """

    statement: str
    question: str


@dataclass(frozen=True, slots=True)
class Language:
    """The sentences and words of all tasks in one language.

    `space` stands between sentences, `blank` in the place of a missing word.
    """

    code: str
    space: str
    comma: str
    needle: TaskTexts
    keyed: TaskTexts
    valued: TaskTexts
    assigned: TaskTexts
    common: TaskTexts
    fact: TaskTexts
    found: TaskTexts
    kept: TaskTexts
    office: str
    blank: str
    names: tuple[str, ...]
    words: tuple[str, ...]
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    towns: tuple[str, ...]
    trades: tuple[str, ...]
    full_name: str


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ENGLISH = Language(
    code="en",
    space=" ",
    comma=",",
    needle=TaskTexts("The pass key is {value}.", "What is the pass key?"),
    keyed=TaskTexts("The pass key for the {name} is {value}.", "What is the pass key for the {name}?"),
    valued=TaskTexts(
        "One of the numbers of the {name} is {value}.", "Which numbers does the {name} have? Name all of them."
    ),
    assigned=TaskTexts("Let {name} be {value}.", "Which names stand for {value}? Name all of them."),
    common=TaskTexts("", "Which {value} words come most often in the list? Name them."),
    fact=TaskTexts("{name} lives in {value} and works as a {trade}.", "In which town does {name} live?"),
    found=TaskTexts(
        "{name} found {value} drawings of the {thing} in {town}.",
        'Which word or number is missing in this sentence: "{value}"?',
    ),
    kept=TaskTexts(
        "The key of the {name} is kept by {value}.",
        "In which town is the office of the person who keeps the key of the {name}?",
    ),
    office="The office of {name} is in {value}.",
    blank="____",
    names=_words("""bakery bridge castle cellar chapel factory forest garden harbour hospital island kitchen library
        market museum palace prison school stable station theatre tower village"""),
    words=_words("""anchor apple arrow basket beacon bell blanket bottle branch bread brush bucket button candle
        carpet chain chair cherry clock cloud coat copper corner cotton cradle cup curtain desk diamond door drum
        feather fence field flag flute fork fountain gate glass glove hammer handle hat helmet hill honey hook horn
        island jacket jar kettle key kite knot ladder lamp leaf lemon letter lock map meadow melon mirror moon
        mountain nail needle nest oar onion orange paper pearl pebble pencil pepper pillow pipe plate plough pocket
        pond quilt rain ribbon ring river roof rope saddle sail salt scarf shell shoe silver spoon star stone sugar
        table thread ticket towel tunnel turnip umbrella valley velvet wagon wall water wheel whistle window wing
        wool"""),
    first_names=_words("""Ada Agnes Albert Alma Anton Arthur Bertha Bruno Cecil Clara Conrad Dora Edgar Edith Elsa
        Emil Ernest Esther Felix Flora Frieda George Gerda Greta Hanna Harold Hector Helga Hugo Ida Irene Jakob Julia
        Karin Klara Leo Lydia Martin Maud Nora Olga Oscar Otto Paula Rosa Ruth Simon Vera Viktor Walter"""),
    last_names=_words("""Abbott Ashby Barlow Becker Berg Bishop Brandt Carver Chandler Cooper Dahl Dawson Draper Ekman
        Falk Fisher Fletcher Forster Glover Hale Harper Holm Hooper Hunter Jansen Keller Kramer Lange Larsen Lindholm
        Mason Miller Moller Norton Olsen Parker Potter Quist Reed Sawyer Shepherd Skinner Strand Tanner Thatcher
        Turner Vogel Walker Weaver Wolff"""),
    towns=_words("""Aldermoor Birchford Caldbeck Dunhaven Eastmere Fallowby Glenholt Hartsea Ingleby Kelsworth
        Larkfield Marlow Northwick Oakhurst Pendale Quarrington Ravensby Saltholm Thornbury Westcliff"""),
    trades=_words("""baker carpenter clerk dentist doctor farmer gardener judge mechanic nurse painter pilot plumber
        printer sailor singer surveyor tailor teacher watchmaker"""),
    full_name="{first} {last}",
)

JAPANESE = Language(
    code="ja",
    space="",
    comma="、",
    needle=TaskTexts("合言葉の番号は{value}です。", "合言葉の番号は何ですか。"),
    keyed=TaskTexts("{name}の合言葉の番号は{value}です。", "{name}の合言葉の番号は何ですか。"),
    valued=TaskTexts("{name}の番号の一つは{value}です。", "{name}の番号をすべて挙げてください。"),
    assigned=TaskTexts("{name}を{value}とします。", "{value}を表す名前をすべて挙げてください。"),
    common=TaskTexts("", "一覧に最も多く現れる{value}つの語を挙げてください。"),
    fact=TaskTexts("{name}は{value}に住み、{trade}をしています。", "{name}はどの町に住んでいますか。"),
    found=TaskTexts(
        "{name}は{town}で{thing}の絵を{value}枚見つけました。", "次の文の＿＿に入る語や数は何ですか。「{value}」"
    ),
    kept=TaskTexts("{name}の鍵は{value}が保管しています。", "{name}の鍵を保管している人の事務所はどの町にありますか。"),
    office="{name}の事務所は{value}にあります。",
    blank="＿＿",
    names=_words("""港 橋 城 倉庫 工場 森 庭園 病院 島 台所 図書館 市場 博物館 宮殿 学校 駅 劇場 塔 村 銀行 郵便局
        牧場 温室"""),
    words=_words("""りんご みかん ぶどう すいか さくら もみじ すずめ つばめ からす うさぎ きつね たぬき くじら いるか
        かもめ とんぼ ほたる かえる めだか ひまわり あさがお たんぽぽ すみれ つつじ はさみ えんぴつ かばん めがね
        とけい ふうりん うちわ せんす ちょうちん やかん なべ おわん はし さじ まくら ふとん たんす つくえ かがみ くし
        たいこ ふえ つづみ かさ げた ぞうり わらじ てぶくろ ぼうし えりまき はかま ゆかた おび みそ しょうゆ とうふ
        わかめ こんぶ だいこん にんじん ごぼう かぼちゃ きゅうり まつたけ"""),
    first_names=_words("""一郎 健太 直樹 達也 修 浩二 誠 剛 大輔 翔 隆 勇気 和夫 正人 光男 花子 美咲 陽子 恵子 真由美
        久美子 裕子 千夏 由紀 香織 智子 奈々 春菜 礼子 文子"""),
    last_names=_words("""佐藤 鈴木 高橋 田中 伊藤 渡辺 山本 中村 小林 加藤 吉田 山田 佐々木 山口 松本 井上 木村 林
        斎藤 清水 山崎 森田 池田 橋本 阿部 石川 前田 藤田 小川 岡田 後藤 長谷川 村上 近藤 石井 坂本 遠藤 青木 藤井
        西村"""),
    towns=_words("""青葉町 朝日町 泉町 梅里町 扇町 春日町 霞台 桐原町 栄町 桜木町 白川町 瀬戸浜 高砂町 月岡町 鶴見台
        常盤町 花園町 緑ヶ丘 宮前町 若松町"""),
    trades=_words("""医者 看護師 大工 教師 農家 漁師 画家 歌手 料理人 庭師 記者 弁護士 運転手 仕立屋 印刷工 歯科医
        測量士 司書 船員 時計屋"""),
    full_name="{last}{first}",
)

LANGUAGES: Mapping[str, Language] = {"en": ENGLISH, "ja": JAPANESE}
