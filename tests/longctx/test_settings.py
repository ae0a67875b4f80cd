from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from longctx import BadRequest
from longctx.settings import load_settings


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_flags_beat_the_environment_which_beats_the_file_which_beats_defaults(working_folder, monkeypatch) -> None:
    assert (load_settings().k, load_settings().index) == (8, Path(".longctx"))
    (working_folder / "longctx.toml").write_text('k = 3\nindex = "from-file"\nmax_new_tokens = 9\n')
    assert (load_settings().k, load_settings().max_new_tokens) == (3, 9)
    monkeypatch.setenv("LONGCTX_K", "4")
    assert load_settings().k == 4
    assert load_settings(k=5).k == 5
    assert load_settings(k=None).index == Path("from-file")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("k = 0", "setting k is 0"),
        ("kk = 1", "sets 'kk', which is no setting"),
        ("k = = 1", "longctx.toml cannot be read"),
    ],
)
def test_a_file_that_is_wrong_says_where(working_folder: Path, text: str, message: str) -> None:
    (working_folder / "longctx.toml").write_text(text)
    with pytest.raises(BadRequest, match=message):
        load_settings()


@pytest.mark.parametrize(
    ("text", "seconds"), [(90, 90), (".5", 0.5), ("60s", 60), ("1.5 m", 90), ("2min", 120), ("1H", 3600)]
)
def test_a_budget_is_a_time(working_folder: Path, text: str | float, seconds: float) -> None:
    assert load_settings(budget=text).budget == seconds
    (working_folder / "longctx.toml").write_text(f"budget = {text!r}")
    assert load_settings().budget == seconds
    assert (load_settings(prompt_tokens=9).budget, load_settings(prompt_tokens=9).prompt_tokens) == (None, 9)


@pytest.mark.parametrize("text", ["", "s", "60 seconds", "1e3", "-1", "0", "inf", True])
def test_what_is_no_time_is_refused(text: str | bool) -> None:
    with pytest.raises(BadRequest, match=r"setting budget is .*: write seconds above 0, such as 90, 60s or 2m"):
        load_settings(budget=text)


def test_the_file_is_looked_for_above_the_working_folder_and_its_paths_are_its_own(
    working_folder: Path, monkeypatch
) -> None:
    (working_folder / "model").mkdir()
    (working_folder / "longctx.toml").write_text('k = 3\nindex = "docs-index"\nmodel = "model"\nencoder = "default"\n')
    inner = working_folder / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    settings = load_settings()
    assert (settings.k, settings.index) == (3, working_folder / "docs-index")
    assert (settings.model, settings.encoder) == (str(working_folder / "model"), "default")
    assert load_settings(index="here").index == Path("here")
    (inner / "longctx.toml").write_text("k = 5\n")
    assert (load_settings().k, load_settings().index) == (5, Path(".longctx")), "the nearest file alone counts"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("given_away", ["file", "link"])
def test_above_the_working_folder_a_file_or_a_link_of_another_user_is_left_alone(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch, given_away: str
) -> None:
    inner = working_folder / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    (working_folder / "mine.toml").write_text("k = 3\n")
    (working_folder / "longctx.toml").symlink_to("mine.toml")
    assert load_settings().k == 3
    os.chown(
        working_folder / ("mine.toml" if given_away == "file" else "longctx.toml"), 65534, -1, follow_symlinks=False
    )
    assert load_settings().k == 8


def test_a_misspelt_variable_is_named_and_an_empty_one_is_none(monkeypatch) -> None:
    monkeypatch.setenv("LONGCTX_MODEL", "")
    monkeypatch.setenv("LONGCTX_SOMETHING_ELSE", "of another program")
    monkeypatch.setenv("LONGCTX_API_KEY", "sesame")
    assert load_settings().model is None
    monkeypatch.setenv("LONGCTX_MODLE", "llama")
    with pytest.raises(BadRequest, match=r"LONGCTX_MODLE, which is no setting: did you mean LONGCTX_MODEL\?"):
        load_settings()


def test_a_folder_that_may_not_be_entered_is_no_crash(
    working_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "is_file", denied)
        assert load_settings().k == 8
    for name in ("exists", "stat"):  # as another user's configuration, after su
        monkeypatch.setattr(Path, name, denied)
    with pytest.raises(BadRequest, match=r"longctx\.toml cannot be read: Permission denied"):
        load_settings()


def test_a_working_folder_that_has_been_removed_is_said(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (working_folder / "gone").mkdir()
    monkeypatch.chdir(working_folder / "gone")
    (working_folder / "gone").rmdir()
    with pytest.raises(BadRequest, match="the working folder has been removed"):
        load_settings()
