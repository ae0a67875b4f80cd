"""Whether text has a meaning, whatever its language."""

import pytest

from indexes.text import is_readable

READABLE = [
    "The lighthouse keeper trims the lamp at six; see https://example.org/2021/05/12/a1/b2.",
    "El guardián revisa la lámpara cada mañana; ¿quién avisará al capitán?",
    "Смотритель маяка каждое утро проверяет лампу и записывает давление.",
    "灯台守は毎朝六時に灯具を点検する。RoPEを4倍に伸ばす。",
    "人人生而自由在尊严和权利上一律平等他们赋有理性和良心并应以兄弟关系的精神相对待",
    "燈塔管理員每天早上六點檢查燈具霧號每分鐘響五秒飲用水可供六十日",
    "등대지기는 매일 아침 여섯 시에 등을 점검한다. ㅋㅋ",
    "جميع الناس يولدون أحرارا متساوين في الكرامة والحقوق",
    "मनुष्य जन्म से स्वतंत्र हैं",
    "ประภาคาร API ทำงานทุกวัน",
    "λ = 5 μm, Δt = 3 s, αβ-plane",
    "1,234 | 5,678 | 9.0 % | — | …",
    "\uf0b7 first item\n\uf0b7 second item",
    "\x7f Lamp\n\x7f Rope\n\x7f Oil\n\x7f Flag",
    "العربية Deutsch Ελληνικά Русский 中文 한국어 עברית ไทย",
    "",
]
UNREADABLE = [
    "/g12/g17/g16/g10/g19/g16/g16/g24",
    "/gid00030 /gid00035 /gid00001 /gid00047",
    "(cid:12)(cid:13)(cid:14)",
    "<0024><0052><004F><0051>",
    "\x01\x02\x03\x04 \x05\x06\x07",
    "\uf041\uf042\uf043 \uf044\uf045",
    "�� ��� ����",
    "䕴䉦㱩⑏䭨䐫伻㭾⑋䕴㙱⑲䕀㠡␹⑫℣䰸䔫⑏ぬ䨬",
    "鎔釤軧苍隈銩顚躞苉鎔误苰鍟貟芷苩腂隶鍊苍裪閪芲苆苉",
    "aбcдeфgиkлmнpяrЖsЩtЮuЭ",
    "7KH\x03OLJKWKRXVH\x03NHHSHU\x03FKHFNV\x03WKH\x03ODPS",
]


@pytest.mark.parametrize("text", READABLE)
def test_text_in_any_language_is_readable(text):
    assert is_readable(text)


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_fonts_without_meaning_give_is_not(text):
    assert not is_readable(text)
