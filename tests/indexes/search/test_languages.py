"""Search in several languages, by parts of words, by phrases, and for what is misspelt."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from written_files import write_files

from indexes import CorpusIndex, Document, SearchFilter
from indexes.text import query_language, script_language, serves, text_language

TEXTS = {
    "en": "The keeper of the lighthouse trims the lamps every evening, and writes the weather into his book.",
    "es": "El farero limpia las lámparas cada noche y anota en su libro el tiempo que hace en el puerto.",
    "de": "Der Leuchtturmwärter reinigt jeden Abend die Lampen und schreibt das Wetter in sein Buch.",
    "ru": "Смотритель маяка каждый вечер чистит лампы и записывает погоду в свою книгу.",
    "water": "水道の水質は毎朝検査します。",
    "tank": "貯水槽を毎年清掃します。",
    "names": "髙橋、渡邉、山﨑、濵田が当番です。",
    "code": "def load_config(maxRetries):\n    return maxRetries  # the limit of the load balancer is elsewhere",
    "phrase": "The fog signal\nsounds each minute when the fog is thick over the harbour.",
    "apart": "The signal in the fog is a light, and the harbour has none.",
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, hashing, new_place) -> Iterator[CorpusIndex]:
    folder = write_files(tmp_path_factory.mktemp("languages"), {f"{name}.txt": text for name, text in TEXTS.items()})
    with CorpusIndex.open(new_place(), hashing) as index:
        index.ingest(folder)
        yield index


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, hashing, new_place) -> Iterator[CorpusIndex]:
    """Most passages are in English; those with Oxford are in Spanish but for one."""
    texts = {f"en{i}": f"On day {i} the keeper of the tower trims the lamp {'well ' * (i % 7)}." for i in range(130)}
    texts |= {f"es{i}": f"El farero de Oxford mira {i} barcos {'y ' * (i % 5)}siempre." for i in range(110)}
    texts |= {f"ja{i}": f"灯台の職員は毎晩{i}個の電球を磨きます。" for i in range(9)}
    texts["faro"] = "Oxford is a town in the middle."
    texts["apart"] = "Nothing."  # so that a filter may leave something out
    texts |= {f"none{i}": f"{i} 17 {i} 23" for i in range(5)}
    folder = write_files(tmp_path_factory.mktemp("mixed"), {f"{name}.txt": text for name, text in texts.items()})
    with CorpusIndex.open(new_place(), hashing) as index:
        index.ingest(folder)
        yield index


def found(index: CorpusIndex, query: str) -> list[str]:
    return [Path(hit.chunk.source).stem for hit in index.search(query, 10, "lexical")]


@pytest.mark.parametrize("k", [1, 12, 40, 200])
@pytest.mark.parametrize(
    "query", ["Which keeper trims the lamp?", "Which keepers are in Oxford?", "¿Quién limpia la lámpara?", "灯台", "17"]
)
def test_passages_of_most_and_of_other_languages_rank_together(mixed: CorpusIndex, query: str, k: int) -> None:
    everywhere = [(hit.chunk.id, pytest.approx(hit.score)) for hit in mixed.search(query, k, "lexical")]
    anywhere = mixed.search(query, k, "lexical", filters=SearchFilter(title=("e*", "f*", "j*", "n*")))
    assert [(hit.chunk.id, hit.score) for hit in anywhere] == everywhere
    assert everywhere


def test_the_languages_of_an_index_are_counted(index: CorpusIndex) -> None:
    languages = index.languages()
    assert languages.keys() >= {"en", "es", "de", "ru", "ja"}
    assert languages["ja"] == 3


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("Who is trimming a lamp?", "en"),
        ("¿Quién limpió la lámpara del faro?", "es"),
        ("Wer hat die Lampe gereinigt?", "de"),
        ("Кто чистил лампу?", "ru"),
        ("load config", "code"),
        ("loadConfig", "code"),
        ("max retries", "code"),
        ("高橋", "names"),
        ("渡辺", "names"),
        ("山崎", "names"),
        ("浜田", "names"),
        ("Leuchtt*", "de"),
        ("lihgthouse", "en"),
    ],
)
def test_words_are_found_in_other_forms(index: CorpusIndex, query: str, first: str) -> None:
    assert found(index, query)[0] == first


def test_one_kanji_is_found_inside_words(index: CorpusIndex) -> None:
    assert set(found(index, "水")) == {"water", "tank"}
    assert found(index, "槽") == ["tank"]


def test_a_quoted_phrase_is_found_as_it_stands(index: CorpusIndex) -> None:
    assert found(index, '"fog signal"') == ["phrase"]
    assert set(found(index, "fog signal")) == {"phrase", "apart"}
    long = 'Which "fog signal" is heard by the keeper who trims lamps over the harbour?'
    assert len(found(index, long)) > 2, "in a long question a phrase is one thing among others"
    assert set(found(index, "“signal fog”")) == {"phrase", "apart"}, "where nothing holds it, the marks are ignored"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (TEXTS["en"], "en"),
        (TEXTS["es"], "es"),
        (TEXTS["de"], "de"),
        (TEXTS["ru"], "ru"),
        (TEXTS["water"], "ja"),
        ("1 | 2 | 3", None),
        ("What does the word 灯台 mean in English, and how is it read?", "en"),
    ],
)
def test_a_text_is_in_a_language(text: str, language: str | None) -> None:
    assert text_language(text) == language


def test_a_kanji_in_an_english_sentence_does_not_make_it_chinese() -> None:
    assert script_language("What does 灯台 mean?") is None
    assert script_language("RoPEとは何か") == "ja"


def test_a_query_is_in_one_of_the_languages_of_the_index() -> None:
    assert query_language("faro", {"es"}) == "es"
    assert query_language("¿Dónde está el faro?", {"es", "en"}) == "es"
    assert query_language("Где маяк?", {"es", "en"}) is None


def test_an_encoder_serves_the_languages_that_it_states() -> None:
    english = frozenset({"en"})
    assert serves(english, "Where is the light?", {"en", "es"})
    assert not serves(english, "¿Dónde está la luz del puerto?", {"en", "es"})
    assert not serves(english, "Где маяк?", {"en"})
    assert not serves(english, "灯台はどこですか")
    assert serves(None, "¿Dónde está la luz?", {"es"}), "one that states none is taken to support all"


def test_hybrid_search_leaves_out_an_encoder_that_does_not_know_the_language(tmp_path: Path, hashing) -> None:
    class English(type(hashing)):
        languages = frozenset({"en"})

    for name in ("es", "ru"):
        (tmp_path / f"{name}.txt").write_text(TEXTS[name], encoding="utf-8")
    with CorpusIndex.open(tmp_path / "index", English()) as index:
        index.ingest([tmp_path / "es.txt", tmp_path / "ru.txt"])
        for query in ("¿Quién limpia las lámparas?", "Кто чистит лампы?"):
            hybrid, lexical = (index.search(query, 5, mode) for mode in ("hybrid", "lexical"))
            assert [hit.chunk.id for hit in hybrid] == [hit.chunk.id for hit in lexical]
            assert len(index.search(query, 5, "dense")) == 2


def test_a_repeated_word_of_a_query_counts_as_often(index: CorpusIndex) -> None:
    [once], [twice] = (index.search(query, 1, "lexical") for query in ("lighthouse", "lighthouse lighthouse"))
    assert twice.score == pytest.approx(2 * once.score)


SCATTERED_AND_TOGETHER = {
    "en": (
        "The keeper went to town. Nobody saw the storm. A lamp stood in the window.",
        "He had gone out for bread. In the storm the keeper lit the lamp. Then all of them slept until morning.",
        "Did the keeper light a lamp in the storm?",
    ),
    "ja": (
        "灯台守は町へ行った。嵐を見た者はいない。ランプがある。",
        "彼は昼にはパンを買いに行っていた。嵐の夜に灯台守はランプをともした。それから朝まで皆よく眠った。",
        "灯台守　嵐　ランプ",
    ),
}


@pytest.mark.parametrize("language", SCATTERED_AND_TOGETHER)
def test_what_is_said_in_one_sentence_comes_before_what_is_scattered(tmp_path: Path, hashing, language: str) -> None:
    class NoLanguage(type(hashing)):
        languages = frozenset({"xx"})

    scattered, together, query = SCATTERED_AND_TOGETHER[language]
    write_files(tmp_path / "corpus", {"scattered.txt": scattered, "together.txt": together})
    with CorpusIndex.open(tmp_path / "index", NoLanguage()) as index:
        index.ingest([tmp_path / "corpus"])
        by_words, both = (index.search(query, 2, mode) for mode in ("lexical", "hybrid"))
    assert [hit.chunk.title for hit in by_words] == ["scattered", "together"], "BM25 prefers the shorter one"
    assert [hit.chunk.title for hit in both] == ["together", "scattered"]


class Pointing:
    """An encoder that points where the text says: at "@20" the cosine to a query falls as at 20 thousandths of a turn."""

    name, fingerprint, max_tokens, languages = "pointing", "1", 250, None

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[found.span() for found in re.finditer(r"\w+", text)] for text in texts]

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        turns = [int(found[1]) / 1000 if (found := re.search(r"@(\d+)", text)) else 0.0 for text in texts]
        return np.array([(math.cos(math.tau * turn), math.sin(math.tau * turn)) for turn in turns], dtype=np.float32)

    def encode_query(self, text: str) -> np.ndarray:
        return self.encode_passages([text])[0]


def test_what_is_said_in_one_sentence_comes_first_though_vectors_prefer_another(new_place) -> None:
    scattered, together, query = SCATTERED_AND_TOGETHER["en"]
    with CorpusIndex.open(new_place(), Pointing()) as index:
        index.add([Document("scattered", f"{scattered} @0", ""), Document("together", f"{together} @125", "")])
        dense, hybrid = (index.search(query, 2, mode) for mode in ("dense", "hybrid"))
    assert [hit.chunk.source for hit in dense] == ["scattered", "together"]
    assert [hit.chunk.source for hit in hybrid] == ["together", "scattered"]
    assert all(0 < hit.score <= 1 for hit in hybrid)


def test_of_a_large_index_more_than_a_hundred_candidates_are_compared(tmp_path: Path) -> None:
    with CorpusIndex.open(tmp_path / "index", Pointing()) as index:
        index.add(Document(f"{number}", f"Nothing is said here. @{min(number, 200)}", "") for number in range(2000))
        far, near = "The lamp is lit. @400", "The lamp is lit early. @110"
        index.add([Document("far", far, ""), Document("near", near, "")])
        by_words, hybrid = (index.search("Is the lamp lit?", 2, mode) for mode in ("lexical", "hybrid"))
    assert [hit.chunk.source for hit in by_words] == ["far", "near"]
    assert [hit.chunk.source for hit in hybrid] == ["near", "far"], "the 111th of 2,002 vectors still counts"


def test_vectors_in_languages_that_the_encoder_does_not_know_hide_no_passage(tmp_path: Path) -> None:
    class English(Pointing):
        languages = frozenset({"en"})

    with CorpusIndex.open(tmp_path / "index", English()) as index:
        index.add(Document(f"{number}", f"{number}. {TEXTS['es']} @0", "") for number in range(150))
        index.add([Document("bread", "The baker of the village has been selling his bread since the morning. @10", "")])
        hybrid = index.search("Who sleeps in that house?", 5)
    assert [hit.chunk.source for hit in hybrid] == ["bread"], "the 151st vector, and the first of those that count"


@pytest.mark.parametrize(
    ("kept", "other", "query"),
    [
        ("Иммунодефицит бывает врождённым.", "Иммунитет бывает врождённым.", "иммунодефицитом"),
        ("Норманны взяли замок.", "Римляне взяли замок.", "Что такое норманский замок?"),
        ("Порт открыт зимой.", "Таким этот город был всегда.", "Каким портом пользуются зимой?"),
    ],
)
def test_a_russian_word_is_found_in_forms_that_its_stemmer_keeps_apart(
    tmp_path: Path, hashing, new_place, kept: str, other: str, query: str
) -> None:
    write_files(tmp_path, {"a_other.txt": other, "kept.txt": kept})
    with CorpusIndex.open(new_place(), hashing) as index:
        index.ingest(tmp_path)
        assert index.search(query, 2, "lexical")[0].chunk.text == kept


def test_of_passages_alike_that_comes_first_under_whose_title_more_was_found(
    tmp_path: Path, hashing, new_place
) -> None:
    class NoLanguage(type(hashing)):
        languages = frozenset({"xx"})

    texts = {"a": ("Tides", "in March"), "b": ("Bread", "in March"), "c": ("Bread", "by the baker")}
    for name, (title, when) in texts.items():
        (tmp_path / f"{name}.md").write_text(f"---\ntitle: {title}\n---\nThe lamp is lit {when}.\n")
    with CorpusIndex.open(new_place(), NoLanguage()) as index:
        index.ingest(tmp_path)
        by_words, both = (index.search("When is the lamp lit in March?", 3, mode) for mode in ("lexical", "hybrid"))
    assert by_words[0].score == by_words[1].score
    assert [hit.chunk.title for hit in both] == ["Bread", "Tides", "Bread"]


def test_the_passage_behind_the_words_of_the_question_comes_before_others(tmp_path: Path, hashing, new_place) -> None:
    class NoLanguage(type(hashing)):
        languages = frozenset({"xx"})

    words = "The keeper of the north mole was asked in March what the lamp had cost. " + "He thought about it. " * 12
    answer = "It was forty crowns, and the keeper paid them. " + "They were counted twice. " * 12
    (tmp_path / "a.txt").write_text("The keeper sleeps. " + "It rains here. " * 18)
    (tmp_path / "b.txt").write_text(words + "\n\n" + answer)
    with CorpusIndex.open(new_place(), NoLanguage()) as index:
        index.ingest(tmp_path)
        by_words, both = (index.search("What did the keeper say the lamp cost?", 4, m) for m in ("lexical", "hybrid"))
    assert [Path(hit.chunk.source).stem for hit in by_words][:2] == ["b", "a"]
    assert ["crowns" in hit.chunk.text for hit in both][:2] == [False, True]


def test_passages_that_the_encoder_cannot_read_do_not_come_between(tmp_path: Path, encoder, place: str | Path) -> None:
    english = ["The keeper trims the lamps.", "A ship ran aground in March.", "Bread is baked at dawn.", "It rains."]
    write_files(tmp_path, {f"{number}.txt": text for number, text in enumerate(english)})
    with CorpusIndex.open(place, encoder) as index:
        index.ingest(tmp_path)
        alone = [(hit.chunk.text, hit.score) for hit in index.search("Who looks after the lights?")]
        assert {text for text, _ in alone} == set(english)
        for number in range(30):
            (tmp_path / f"ja{number}.txt").write_text(f"{number}番目の部屋は毎朝掃除します。", encoding="utf-8")
        index.ingest(tmp_path)
        beside = [(hit.chunk.text, hit.score) for hit in index.search("Who looks after the lights?")]
        assert beside == [(text, pytest.approx(score, abs=1e-3)) for text, score in alone]
        assert len(index.search("Who looks after the lights?", 40, "dense")) == 34, "whoever asks for vectors gets all"
