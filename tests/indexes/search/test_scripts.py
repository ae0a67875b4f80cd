"""Search in scripts whose vowels are marks, that have no spaces, or whose vowels are seldom written."""

from __future__ import annotations

from pathlib import Path

import pytest
from written_files import write_files

from indexes import CorpusIndex
from indexes.text import query_language, text_language

# What is asked for, a document that has it, and one that has its letters with other vowels, or in other words
ASKED = {
    "hindi": ("दिन", "आज का दिन अच्छा है।", "दान और दीन की बात है। नदी में नाव।"),
    "marathi": ("पाणी", "विहिरीचे पाणी थंड आहे.", "पणती आणि पण, पुण्याची पेणा."),
    "tamil": ("வீடு", "அவர் வீடு பெரியது.", "விடை தரவும். வாடை வீசும். வேடன் வந்தான்."),
    "gujarati": ("મોટી", "આ મોટી નદી છે.", "માટે મટ અને માટી, મીટ."),
    "telugu": ("నీరు", "ఈ నీరు చల్లగా ఉంది.", "నేర నార నోరు నరం."),
    "bengali": ("নদী", "নদীর ধারে নদী বয়ে যায়।", "নাদ নিদ নোদে দান দিন।"),
    "thai": ("ประภาคาร", "ผู้ดูแลประภาคารจุดไฟทุกคืน", "ผู้ดูแลสวนรดน้ำต้นไม้ทุกวัน"),
    "khmer": ("ប៉មភ្លើង", "អ្នកថែទាំប៉មភ្លើងបំភ្លឺរាល់យប់", "អ្នកថែទាំសួនច្បារស្រោចទឹករាល់ថ្ងៃ"),
    "burmese": ("မီးပြတိုက်", "ကမ်းခြေမှာမီးပြတိုက်ရှိတယ်", "ကမ်းခြေမှာဥယျာဉ်ရှိတယ်"),
    "arabic": ("المنارة", "يُضِيءُ حَارِسُ المَنَـارَةِ المِصْبَاحَ", "بحر وسفينة وميناء"),
    "persian": ("كتاب", "این کتاب روی میز است", "کتان و کباب"),
    "hebrew": ("מגדלור", "שׁוֹמֵר הַמִּגְדָּלוֹר מַדְלִיק, מִגְדַּלּוֹר גָּבוֹהַּ", "גדול מגדל"),
    "russian": ("замок", "Старый за́мок стоит на горе.", "Мок под дождём за домом."),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_word_is_found_and_not_its_letters(name: str, tmp_path: Path, hashing) -> None:
    query, holds, other = ASKED[name]
    write_files(tmp_path / "corpus", {"holds.txt": holds, "other.txt": other, "third.txt": other[::-1]})
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        index.ingest([tmp_path / "corpus"])
        hits = index.search(query, 3, "lexical")
    assert Path(hits[0].chunk.source).stem == "holds"
    assert len(hits) == 1 or hits[0].score > 2 * hits[1].score


@pytest.mark.parametrize(
    ("name", "language"),
    [("hindi", "hi"), ("gujarati", "gu"), ("telugu", "te"), ("bengali", "bn"), ("thai", "th"), ("khmer", "km")],
)
def test_an_alphabet_tells_its_language(name: str, language: str) -> None:
    query, text, _ = ASKED[name]
    assert text_language(text) == language
    assert query_language(query, {"en", "ru"}) == language
    assert text_language(f"The keeper of the lighthouse reads {query} in a book.") == "en"


def test_a_passage_has_as_many_words_whether_its_vowels_are_marks_or_letters(tmp_path: Path, hashing) -> None:
    class English(type(hashing)):
        languages = frozenset({"en"})

    texts = {"hi.txt": "हिन्दी में पुस्तकों की सूची दिखाइए। " * 200, "ru.txt": "Покажите список русских книг. " * 250}
    write_files(tmp_path / "corpus", texts)
    with CorpusIndex.open(tmp_path / "index", English()) as index:
        index.ingest([tmp_path / "corpus"])
        words = {}
        for name in texts:
            chunks = [
                hit.chunk for hit in index.search("सूची список", 100, "lexical") if hit.chunk.source.endswith(name)
            ]
            words[name] = max(len(chunk.text.split()) for chunk in chunks)
    assert words["hi.txt"] > 0.6 * words["ru.txt"]


def test_words_that_a_question_is_built_with_tell_nothing_in_passages_of_no_known_language(
    tmp_path: Path, hashing
) -> None:
    mixed = "Backup: copie di rete. Keep copies elsewhere; use the external disk for them. Salvare tutto."
    built = "Dove, il, lo, la: these are words of the lists, and so are della, dei, sono, dove."
    italian = "Il guardiano del faro accende la lampada ogni sera. Dove sono i libri della sera?"
    write_files(tmp_path / "corpus", {"mixed.txt": mixed, "built.txt": built, "italian.txt": italian})
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        index.ingest([tmp_path / "corpus"])
        hits = index.search("Dove sono salvate le copie della rete?", 3, "lexical")
    assert [Path(hit.chunk.source).stem for hit in hits] == ["mixed"]
