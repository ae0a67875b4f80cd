"""Endless prose for those who give no text of their own: plain sentences, put together at random.

It repeats no sentence soon, and holds no digits and no key, so that nothing in it can be mistaken for an answer. A text
of one's own is the better haystack.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

_FRAMES = {
    "en": (
        "{who} {did} {what} {when}.",
        "{when}, {who} {did} {what}.",
        "{who} {did} {what}, {more}.",
        "{when}, {who} {did} {what}, {more}.",
    ),
    "ja": ("{who}{when}、{what}{did}、{more}。", "{when}、{who}{what}{did}、{more}。"),
}
_PHRASES = {
    "en": {
        "who": """the old gardener, a young sailor, the miller's daughter, our neighbour, the postman,
            a tired traveller, the schoolmaster, an elderly lady, the carpenter, a small boy, the doctor's wife,
            the innkeeper, a stranger in a grey coat, the fisherman, my brother, the tall woman, a group of children,
            the painter""",
        "did": """walked slowly along, looked for a long time at, sat down beside, spoke with great warmth of,
            had often thought about, turned away from, was waiting near, remembered, had never cared for,
            stood still before, came back to, laughed at, asked about, went past""",
        "what": """the river, the empty house, the garden wall, the wooden bridge, the market square, the orchard,
            the church on the hill, the narrow lane, the boats in the bay, the field behind the barn,
            the long row of elms, the lamp in the window, the letter on the table, the road to the coast,
            the great oak, the open gate, the stone steps, the smoke above the roofs""",
        "when": """in the early morning, before the rain began, when the bells had stopped, late in the afternoon,
            on the last day of summer, after dinner, while the others were asleep, at the end of the week,
            as the sun went down, in the middle of the night, without a word, for no reason at all""",
        "more": """and nobody said anything, and the wind grew cold, but it made no difference,
            and then it was quiet again, because there was nothing else to do, though the weather was fine,
            and the dog followed, but the door stayed shut, and everyone was pleased, so the evening passed,
            and the light was very clear""",
    },
    "ja": {
        "who": """年老いた庭師は, 若い船乗りは, 隣の家の人は, 郵便屋は, 疲れた旅人は, 学校の先生は, 小さな男の子は,
            宿屋の主人は, 灰色の外套を着た男は, 漁師は, 私の兄は, 背の高い女の人は, 子どもたちは, 絵描きは,
            大工の親方は, パン屋の娘は""",
        "when": """朝早く, 雨が降り出す前に, 鐘が鳴りやんだころ, 午後遅く, 夏の終わりの日に, 夕食のあとで,
            みんなが眠っているあいだに, 週末に, 日が沈むころ, 真夜中に, 何も言わずに, わけもなく""",
        "what": """川のほとりを, 空き家の前を, 庭の塀のそばを, 木の橋の上を, 市場の広場を, 果樹園の中を,
            丘の上の教会を, 細い路地を, 入り江の舟を, 納屋の裏の畑を, 窓辺の明かりを, 海へ続く道を,
            大きな樫の木の下を, 石段のあたりを""",
        "did": """ゆっくり歩いていき, 長いあいだ眺めていて, 通り過ぎ, 思い出し, 何度も振り返り, 黙って見つめ,
            一人で探しまわり, なつかしそうに見わたし""",
        "more": """誰も口をきかなかった, 風が冷たくなった, 何も変わらなかった, また静かになった,
            ほかにすることもなかった, 犬があとをついていった, 戸は閉まったままだった, みんなは喜んだ,
            夜は静かにふけていった, 光はとても澄んでいた""",
    },
}


def filler_sentences(language: str, seed: int) -> Iterator[str]:
    """Sentences in 'en' or 'ja', without end, the same ones for the same seed."""
    draw = random.Random(f"filler {seed}")
    phrases = {
        slot: [" ".join(phrase.split()) for phrase in text.split(",")] for slot, text in _PHRASES[language].items()
    }
    while True:
        frame = draw.choice(_FRAMES[language])
        sentence = frame.format(**{slot: draw.choice(choices) for slot, choices in phrases.items()})
        yield sentence[0].upper() + sentence[1:]
