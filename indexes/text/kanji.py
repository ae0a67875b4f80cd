"""Variant forms of kanji: old forms and the variants in surnames, each mapped to the common form."""

from __future__ import annotations

import re

# Sudachi maps them for the words in its dictionary, but not for names.
_OLD = (
    "亞惡壓圍醫壹榮營圓艷鹽應歐毆櫻奧橫溫價畫會壞懷繪擴殼覺學嶽樂渴勸卷寬觀關歡陷巖顏歸氣龜僞戲犧舊據擧峽挾狹堯曉區驅勳"
)
_NEW = (
    "亜悪圧囲医壱栄営円艶塩応欧殴桜奥横温価画会壊懐絵拡殻覚学岳楽渇勧巻寛観関歓陥巌顔帰気亀偽戯犠旧拠挙峡挟狭尭暁区駆勲"
)
_OLD += "徑惠溪經繼莖螢輕鷄藝縣檢權險獻圈劍驗嚴廣恆鑛號國濟齋劑碎雜參慘棧蠶贊殘絲齒兒辭濕實寫釋壽收從澁獸縱肅處緖敍"
_NEW += "径恵渓経継茎蛍軽鶏芸県検権険献圏剣験厳広恒鉱号国済斎剤砕雑参惨桟蚕賛残糸歯児辞湿実写釈寿収従渋獣縦粛処緒叙"
_OLD += "將稱燒證奬乘剩壤孃條淨狀疊讓釀觸寢愼晉眞刄盡圖粹醉穗隨髓數樞聲靜齊攝竊專戰淺潛纖踐錢禪雙壯搜插爭莊裝騷"
_NEW += "将称焼証奨乗剰壌嬢条浄状畳譲醸触寝慎晋真刃尽図粋酔穂随髄数枢声静斉摂窃専戦浅潜繊践銭禅双壮捜挿争荘装騒"
_OLD += "增藏臟屬續墮對體帶滯臺瀧擇澤單擔膽團彈斷癡遲晝蟲鑄廳聽遞鐵轉點傳黨燈當德獨讀屆繩貳惱腦霸廢拜賣麥發髮拔蠻祕濱"
_NEW += "増蔵臓属続堕対体帯滞台滝択沢単担胆団弾断痴遅昼虫鋳庁聴逓鉄転点伝党灯当徳独読届縄弐悩脳覇廃拝売麦発髪抜蛮秘浜"
_OLD += "拂佛竝變邊寶豐沒萬滿默譯藥彌與譽搖樣謠來賴亂覽龍兩獵綠壘勵禮隸靈齡戀爐勞樓祿灣"
_NEW += "払仏並変辺宝豊没万満黙訳薬弥与誉揺様謡来頼乱覧竜両猟緑塁励礼隷霊齢恋炉労楼禄湾"
# Surnames: registers of persons and firms keep these forms, and keyboards give the others.
_OLD += "髙邉﨑嵜濵嶋嶌冨舘瀨栁槗桒𠮷穐舩礒峯渕劔劒埜德"
_NEW += "高辺崎崎浜島島富館瀬柳橋桑吉秋船磯峰淵剣剣野徳"
_NEW_FORMS = str.maketrans(_OLD, _NEW)
_OLD_FORM = re.compile(f"[{_OLD}]")  # few texts have one, and a search is faster than a translation


def common_forms(text: str) -> str:
    """Replace old and variant forms of kanji by the common ones.

    Args:
        text: The text.

    Returns:
        The text, of the same length.
    """
    return text.translate(_NEW_FORMS) if _OLD_FORM.search(text) else text
