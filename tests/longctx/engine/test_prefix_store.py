from __future__ import annotations

import copy
import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from limited_files import files_up_to
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from watched_folder import WatchedFolder

from indexes.storage import HeldFolder
from longctx import DocumentQA, Engine, GenerationOptions, LoadedModel
from longctx.engine import PrefillProgress, PrefixRefused, PrefixStore
from rope_scaling import RopeScaling

YARN = RopeScaling(method="yarn", factor=2.0, original_max_position_embeddings=2048)


@pytest.fixture(scope="module")
def ids(loaded: LoadedModel) -> list[int]:
    ids = list(loaded.tokenizer("the quick brown fox jumps over the lazy dog. " * 60)["input_ids"])
    return ids[:400]


def ask(loaded: LoadedModel, store: PrefixStore | None, ids: list[int], question: list[int], **options):
    """The answer of an engine of its own, as in a process of its own, and how many tokens it did not read."""
    stream = Engine(loaded, store=store).stream(
        [*ids, *question], (), options=GenerationOptions(8), stored=len(ids), **options
    )
    return "".join(stream), stream.reused_tokens


def test_what_an_interrupted_read_has_come_to_is_kept(loaded, ids, tmp_path: Path) -> None:
    store = PrefixStore(tmp_path, dtype="model")

    def interrupt(progress: PrefillProgress) -> None:
        if progress.done >= 300:
            raise KeyboardInterrupt

    engine = Engine(loaded, store=store, block=100)
    with pytest.raises(KeyboardInterrupt), engine.stream([*ids, 7], (), progress=interrupt, stored=len(ids)) as stream:
        "".join(stream)
    assert ask(loaded, store, ids, [7]) == (ask(loaded, None, ids, [7])[0], 300)
    assert ask(loaded, store, ids, [7])[1] == len(ids)
    assert len(store.entries()) == 1, "the beginning is not kept beside the whole"


@pytest.mark.parametrize("scaling", [None, YARN])
def test_another_process_does_not_read_a_document_again(loaded, ids, scaling, tmp_path: Path) -> None:
    store = PrefixStore(tmp_path / "kv", dtype="model")
    assert ask(loaded, store, ids, [7, 8], scaling=scaling)[1] == 0
    assert stat.S_IMODE((tmp_path / "kv").stat().st_mode) == 0o700, "text can be read off keys and values"
    assert [stat.S_IMODE(entry.path.stat().st_mode) for entry in store.entries()] == [0o600]
    again = ask(loaded, PrefixStore(tmp_path / "kv", dtype="model"), ids, [9, 10], scaling=scaling)
    assert again == (ask(loaded, None, ids, [9, 10], scaling=scaling)[0], len(ids))


def test_int8_takes_less_than_the_model_dtype_and_is_reused(loaded, ids, tmp_path: Path) -> None:
    sizes = []
    for dtype in ("model", "int8"):
        store = PrefixStore(tmp_path / dtype, dtype=dtype)
        ask(loaded, store, ids, [7])
        assert ask(loaded, store, ids, [7])[1] == len(ids)
        sizes.append(store.entries()[0].nbytes)
    assert sizes[1] < 0.6 * sizes[0]


def test_a_document_that_goes_on_differently_is_reused_as_far_as_it_is_the_same(loaded, ids, tmp_path: Path) -> None:
    store = PrefixStore(tmp_path, dtype="model")
    ask(loaded, store, ids, [7])
    other = [*ids[:300], *reversed(ids[300:])]
    text, reused = ask(loaded, store, other, [7])
    assert 300 <= reused < 310
    assert text == ask(loaded, None, other, [7])[0]
    assert len(store.entries()) == 2


def test_a_models_weights_in_the_folder_are_no_prefixes(loaded, ids, tmp_path: Path) -> None:
    weights = tmp_path / "model-00001-of-00002.safetensors"
    weights.write_bytes(b"weights" * 1000)
    store = PrefixStore(tmp_path, dtype="model", limit=1)
    ask(loaded, store, ids, [7])
    assert store.clear() == []
    assert weights.exists()


def test_what_was_made_otherwise_is_not_used(loaded, ids, tmp_path: Path) -> None:
    store = PrefixStore(tmp_path)
    ask(loaded, store, ids, [7])
    assert ask(loaded, store, ids, [7], scaling=YARN)[1] == 0, "other frequencies"
    trained = copy.deepcopy(loaded.model)
    with torch.no_grad():
        trained.lm_head.weight.mul_(1.5)
    other = LoadedModel(loaded.name, trained, loaded.tokenizer, loaded.native_window)
    assert ask(other, store, ids, [7])[1] == 0, "other weights from the same files"


def test_a_damaged_file_is_removed_and_the_document_read_again(loaded, ids, tmp_path: Path, caplog) -> None:
    store = PrefixStore(tmp_path, dtype="model")
    text, _ = ask(loaded, store, ids, [7])
    (entry,) = store.entries()
    data = bytearray(entry.path.read_bytes())
    data[len(data) // 2] ^= 4
    entry.path.write_bytes(data)
    assert ask(loaded, store, ids, [7]) == (text, 0)
    assert "was altered" in caplog.text
    assert ask(loaded, store, ids, [7]) == (text, len(ids)), "kept anew"


@pytest.mark.parametrize(
    "strange",
    [
        torch.tensor(5, dtype=torch.int32),
        torch.ones(400, dtype=torch.complex64),
        torch.ones((400, 1), dtype=torch.int32),
    ],
    ids=["a number", "complex", "a table"],
)
def test_a_file_whose_tokens_are_none_costs_no_answer(loaded, ids, strange, tmp_path: Path) -> None:
    store = PrefixStore(tmp_path)
    text, _ = ask(loaded, store, ids, [7])
    (entry,) = store.entries()
    with safe_open(entry.path, framework="pt") as file:
        metadata = file.metadata()
    save_file({**load_file(entry.path), "ids": strange}, entry.path, metadata)
    assert ask(loaded, store, ids, [7]) == (text, 0)


def test_the_least_recently_used_goes_first(loaded, ids, tmp_path: Path) -> None:
    store = PrefixStore(tmp_path)
    others = [[token, *ids[1:]] for token in (20, 21)]
    for document in (ids, others[0]):
        ask(loaded, store, document, [7])
    for entry in store.entries():
        os.utime(entry.path, (entry.used - 100, entry.used - 100))
    assert ask(loaded, store, ids, [7])[1] == len(ids)
    full = PrefixStore(tmp_path, limit=sum(entry.nbytes for entry in store.entries()))
    ask(loaded, full, others[1], [7])
    assert [ask(loaded, None if not full.entries() else full, each, [7])[1] for each in (ids, others[1])] == [400, 400]
    assert len(full.entries()) == 2


def test_a_short_prompt_and_one_beyond_the_limit_are_not_kept(loaded, ids, tmp_path: Path) -> None:
    ask(loaded, PrefixStore(tmp_path), ids[:100], [7])
    ask(loaded, PrefixStore(tmp_path, limit=1000), ids, [7])
    assert PrefixStore(tmp_path).entries() == []


def test_a_folder_that_cannot_be_written_costs_no_answer(loaded, ids, tmp_path: Path, caplog) -> None:
    (tmp_path / "file").write_text("in the way")
    text, _ = ask(loaded, PrefixStore(tmp_path / "file" / "kv"), ids, [7])
    assert text == ask(loaded, None, ids, [7])[0]
    assert "could not be kept" in caplog.text


def test_questions_on_a_document_read_whole_share_what_was_read(tiny_llama: Path, tmp_path: Path) -> None:
    (tmp_path / "fox.txt").write_text("The quick brown fox jumps over the lazy dog near the old mill. " * 12)
    usage = []
    for question in ("Where does the fox jump?", "What is lazy?"):
        with DocumentQA.open(tmp_path / "index", tiny_llama, window=2048) as qa:
            qa.ingest(tmp_path / "fox.txt")
            usage.append(qa.ask(question, route="native", max_new_tokens=4).usage)
    store = PrefixStore(tmp_path / "index" / "kv-cache")
    assert len(store.entries()) == 1
    with DocumentQA.open(tmp_path / "index", tiny_llama, window=2048) as qa:
        plan = qa.ask("Who runs?", prompt_tokens=400, max_new_tokens=4).plan
    assert plan is not None
    assert plan.route == "native", "what was read before is not counted against the budget"
    assert "were read before" in plan.reason
    with DocumentQA.open(tmp_path / "other", tiny_llama, window=2048, kv_cache_bytes=0) as qa:
        qa.ingest(tmp_path / "fox.txt")
        qa.ask("What is lazy?", route="native", max_new_tokens=4)
    assert not (tmp_path / "other" / "kv-cache").exists()
    assert len(store.clear()) == 1
    assert store.entries() == []


def test_a_disk_that_is_full_and_a_file_of_somebody_else_hinder_no_answer(
    loaded, ids, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    store = PrefixStore(tmp_path / "kv", dtype="model")
    with files_up_to(1000):
        right = ask(loaded, store, ids, [7, 8])[0]
    assert store.entries() == []
    ask(loaded, store, ids, [9])
    monkeypatch.setattr(os, "utime", refused)
    assert ask(loaded, store, ids, [7, 8]) == (right, len(ids)), "a file that is whole is used"
    [kept] = store.entries()
    kept.path.write_bytes(kept.path.read_bytes()[:-1])
    monkeypatch.setattr(os, "unlink", refused)
    assert ask(loaded, PrefixStore(tmp_path / "kv", dtype="model"), ids, [7, 8])[0] == right


def test_a_file_stays_where_the_system_fails_and_what_killed_processes_left_does_not(
    loaded, ids, tmp_path: Path
) -> None:
    def cannot_open(path: Path) -> None:
        try:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        except OSError as error:
            raise PrefixRefused(f"{path} cannot be read: {error}") from error

    store = PrefixStore(tmp_path, dtype="model")
    ask(loaded, store, ids, [7])
    [kept] = store.entries()
    left = tmp_path / f".{'0' * 32}.safetensors.new"
    left.mkdir()
    left.with_suffix(".lock").touch()
    assert store.read(kept, cannot_open) is None
    assert ask(loaded, store, ids, [7])[1] == len(ids)
    assert [*tmp_path.iterdir()] == [kept.path]


def test_a_link_in_an_index_is_not_followed_and_costs_no_answer(loaded, ids, tmp_path: Path, caplog) -> None:
    (tmp_path / "index").mkdir()
    within, kept = HeldFolder(tmp_path / "index"), tmp_path / "index" / "kv-cache"
    store = PrefixStore(kept, dtype="model", within=within)
    right = ask(loaded, store, ids, [7, 8])[0]
    kept.rename(tmp_path / "outside")
    kept.symlink_to(tmp_path / "outside")
    watched = WatchedFolder(tmp_path / "outside")
    for _ in range(2):
        assert ask(loaded, store, ids, [7, 8]) == (right, 0)
    assert ask(loaded, PrefixStore(kept, limit=10**6, within=within), ids[1:], [7])[1] == 0
    assert (store.entries(), store.clear()) == ([], [])
    assert watched.events() == []
    assert caplog.text.count("kv-cache is a link, and inside an index none is followed: remove it") == 2
    kept.unlink()
    (tmp_path / "outside").rename(kept)
    assert ask(loaded, store, ids, [7, 8]) == (right, len(ids))


def test_an_index_that_is_given_another_name_keeps_what_was_read(loaded, ids, tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    store = PrefixStore(tmp_path / "index" / "kv-cache", dtype="model", within=HeldFolder(tmp_path / "index"))
    (tmp_path / "index").rename(tmp_path / "moved")
    (tmp_path / "index").mkdir()
    ask(loaded, store, ids, [7, 8])
    assert [*(tmp_path / "index").iterdir()] == []
    assert len([*(tmp_path / "moved" / "kv-cache").iterdir()]) == 1


def test_clearing_removes_what_a_killed_process_was_writing(tmp_path: Path) -> None:
    left = tmp_path / f".{'0' * 32}.safetensors.new"
    left.mkdir()
    (left / "half").write_bytes(bytes(1000))
    left.with_suffix(".lock").touch()
    (tmp_path / f".{'1' * 32}.safetensors.lock").touch()  # of one that was killed before it made its folder
    assert PrefixStore(tmp_path).clear() == []
    assert [*tmp_path.iterdir()] == []


KEEPS = """
import sys
from pathlib import Path
import torch
from longctx.engine import PrefixStore
from longctx.engine.kv_cache import KVCache
from longctx.engine.prefix_file import Fingerprint, Layout
from longctx.models import CacheShape

layers, heads, size, tokens = 16, 4, 64, 4096

def highest():
    return next(int(line.split()[1]) << 10 for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))

cache, states = KVCache(), torch.rand(1, heads, tokens, size)
for layer in range(layers):
    cache.update(states, states, layer)
shape = CacheShape(tuple(((heads, size), (heads, size)) for _ in range(layers)), 4)
store = PrefixStore(Path(sys.argv[1]), 1 << 40, "model")
before = highest()
store.put(Fingerprint(*"abcde"), range(tokens - 1), cache, Layout(tokens, shape, torch.float32, "model"))
assert store.entries()
print((highest() - before) / cache.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says what a process has taken")
def test_keeping_keys_and_values_takes_no_copy_of_them(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KEEPS, str(tmp_path / "kept")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) < 0.7
