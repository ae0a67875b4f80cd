"""Where questions, passages and keys go: only where the user's own command, environment or configuration sent them."""

from __future__ import annotations

import os
import pty
import select
from collections.abc import Iterator
from pathlib import Path

import pytest
from forked_longctx import ForkedLongctx
from scripted_server import ScriptedServer, scripted_server

from longctx import BadRequest
from longctx.backends.openai.address import parse_address
from longctx.backends.openai.client import Connection
from longctx.cli.opening import check_trusted
from longctx.settings import load_settings

SERVER = "openai:https://elsewhere.example/v1#m"


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("LONGCTX_MODEL", "LONGCTX_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return folder


def refused(agreed: bool = False) -> bool:
    try:
        check_trusted(load_settings(), agreed=agreed)
    except BadRequest as error:
        return "--trust" in str(error) and "elsewhere.example" in str(error)
    return False


def test_a_folders_server_is_refused_until_trusted_and_again_when_the_file_or_the_folder_is_another(
    working_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = working_folder / "longctx.toml"
    file.write_text(f'model = "{SERVER}"\n')
    assert refused()
    assert not refused(agreed=True)
    assert not refused(), "it is remembered"
    for path in (tmp_path / "config" / "longctx", tmp_path / "config" / "longctx" / "trusted.json"):
        assert path.stat().st_mode & 0o077 == 0
    file.write_text(f'model = "{SERVER}2"\n')
    assert refused(), "another content"
    file.write_text(f'model = "{SERVER}"\n')
    assert not refused()
    other = tmp_path / "other"
    other.mkdir()
    (other / "longctx.toml").write_bytes(file.read_bytes())
    monkeypatch.chdir(other)
    assert refused(), "another folder"
    (other / "longctx.toml").unlink()
    (other / "longctx.toml").symlink_to(file)
    assert refused(), "another folder, with a link"
    (tmp_path / "alias").symlink_to(working_folder)
    monkeypatch.chdir(tmp_path / "alias")
    assert not refused(), "the same folder by another name"
    working_folder.rename(tmp_path / "renamed")
    monkeypatch.chdir(tmp_path / "renamed")
    assert refused()


def test_what_was_in_the_folder_when_the_user_agreed_is_not_fetched_later(working_folder: Path) -> None:
    (working_folder / "org" / "model").mkdir(parents=True)
    (working_folder / "longctx.toml").write_text('model = "org/model"\nencoder = "somebody/encoder"\n')
    check_trusted(load_settings(), agreed=True)
    check_trusted(load_settings(), agreed=False)
    check_trusted(load_settings(model="./mine"), agreed=False)
    (working_folder / "org" / "model").rmdir()
    with pytest.raises(BadRequest, match="fetches somebody/encoder and org/model from"):
        check_trusted(load_settings(), agreed=False)


def test_what_the_user_names_needs_no_trust(
    working_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (working_folder / "longctx.toml").write_text(f'model = "{SERVER}"\n')
    check_trusted(load_settings(model=SERVER), agreed=False)
    check_trusted(load_settings(model="./folder"), agreed=False)
    monkeypatch.setenv("longctx_model", SERVER)
    check_trusted(load_settings(), agreed=False)
    monkeypatch.delenv("longctx_model")
    assert refused()
    (working_folder / "longctx.toml").write_text('model = "./folder"\n')
    check_trusted(load_settings(), agreed=False)
    (working_folder / "longctx.toml").write_text("k = 3\n")
    (tmp_path / "config" / "longctx").mkdir(parents=True)
    (tmp_path / "config" / "longctx" / "longctx.toml").write_text(f'model = "{SERVER}"\nk = 5\nallow_insecure = true\n')
    settings = load_settings()
    assert (settings.model, settings.k, settings.allow_insecure) == (SERVER, 3, True)
    check_trusted(settings, agreed=False)


@pytest.mark.parametrize("name", ["model", "adapter", "encoder", "reranker"])
def test_a_folder_fetches_nothing_from_the_hub_until_trusted(working_folder: Path, name: str) -> None:
    file = working_folder / "longctx.toml"
    (working_folder / "here").mkdir()
    file.write_text(f'{name} = "somebody/thing"\n')
    with pytest.raises(BadRequest, match="fetches somebody/thing from the Hugging Face hub: add --trust"):
        check_trusted(load_settings(), agreed=False)
    check_trusted(load_settings(), agreed=False, used=())
    check_trusted(load_settings(**{name: "my/own"}), agreed=False)
    for local in ("here", "./nowhere", "/nowhere", "~/nowhere"):
        file.write_text(f'{name} = "{local}"\n')
        check_trusted(load_settings(), agreed=False)
    file.write_text(f'{name} = "somebody/thing"\n')
    check_trusted(load_settings(), agreed=True)
    check_trusted(load_settings(), agreed=False)


@pytest.mark.parametrize(
    "address", ["openai:https://elsewhere.example/v1#m.gguf", "https://elsewhere.example/m.GGUF", "ollama:m.gguf"]
)
def test_an_address_is_a_server_whatever_it_ends_with_and_whatever_lies_in_the_folder(
    working_folder: Path, address: str
) -> None:
    file = working_folder / "longctx.toml"
    for model in (address, address.removesuffix(".gguf").removesuffix(".GGUF")):
        (working_folder / model).mkdir(parents=True)
        file.write_text(f'model = "{model}"\n')
        assert load_settings().remote == {"model": model}
        with pytest.raises(BadRequest, match="sends questions and passages, and your key if you have one, to"):
            check_trusted(load_settings(), agreed=False)


def test_another_base_of_a_trusted_folders_adapter_is_asked_about(working_folder: Path) -> None:
    config = working_folder / "lora" / "adapter_config.json"
    config.parent.mkdir()
    (working_folder / "longctx.toml").write_text('model = "lora"\nencoder = "somebody/encoder"\n')
    config.write_text('{"base_model_name_or_path": "somebody/base"}')
    check_trusted(load_settings(), agreed=True)
    check_trusted(load_settings(), agreed=False)
    check_trusted(load_settings(model="./mine"), agreed=False)
    config.write_text('{"base_model_name_or_path": "http://elsewhere.example/v1"}')
    with pytest.raises(BadRequest, match="and your key if you have one, to http://elsewhere"):
        check_trusted(load_settings(), agreed=False)


def test_an_adapters_base_counts_and_files_and_the_default_do_not(working_folder: Path) -> None:
    (working_folder / "lora").mkdir()
    (working_folder / "lora" / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/base"}')
    (working_folder / "longctx.toml").write_text('model = "lora"\nencoder = "default"\n')
    assert load_settings().remote == {"model": "somebody/base"}
    (working_folder / "longctx.toml").write_text('model = "any.gguf"\n')
    assert load_settings().remote == {}


@pytest.mark.parametrize("command", [("search", "lens"), ("ingest", ".")])
def test_search_and_ingest_ask_too(working_folder: Path, forked_longctx: ForkedLongctx, command: tuple[str]) -> None:
    (working_folder / "longctx.toml").write_text(f'model = "{SERVER}"\nencoder = "somebody/thing"\n')
    done = forked_longctx.run(*command, cwd=working_folder, XDG_CONFIG_HOME=os.environ["XDG_CONFIG_HOME"])
    assert done.returncode == 1
    assert "and fetches somebody/thing from" in done.stderr
    assert "--trust" in done.stderr


def test_a_folder_cannot_allow_a_key_without_encryption(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (working_folder / "longctx.toml").write_text("allow_insecure = true\n")
    with pytest.raises(BadRequest, match="only the user can"):
        load_settings()
    (working_folder / "longctx.toml").unlink()
    monkeypatch.setenv("LONGCTX_ALLOW_INSECURE", "1")
    assert load_settings(model=SERVER).loading == {"allow_insecure": True}


@pytest.mark.parametrize("name", ["MODEL", "Model", "longctx_model", "LONGCTX_MODEL", "ALLOW_INSECURE"])
def test_a_folder_cannot_name_a_server_by_another_spelling(working_folder: Path, name: str) -> None:
    (working_folder / "longctx.toml").write_text(f'{name} = "{SERVER}"\n')
    with pytest.raises(BadRequest, match=f"sets '{name}': did you mean"):
        load_settings()


@pytest.mark.parametrize(
    ("url", "allowed", "is_sent"),
    [
        ("https://elsewhere.example/v1", False, True),
        ("http://localhost:8000/v1", False, True),
        ("http://127.0.0.1:8000/v1", False, True),
        ("http://127.9.9.9/v1", False, True),
        ("http://[::1]:8000/v1", False, True),
        ("http://elsewhere.example/v1", False, False),
        ("http://10.0.0.7:8000/v1", False, False),
        ("http://localhost.elsewhere.example/v1", False, False),
        ("http://127.0.0.1.elsewhere.example/v1", False, False),
        ("http://0x7f000001.example/v1", False, False),
        ("http://elsewhere.example/v1", True, True),
    ],
)
def test_a_key_goes_encrypted_or_to_this_machine(
    url: str, allowed: bool, is_sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    address = parse_address(f"openai:{url}")
    for key in (None, "sk-of-the-user"):
        opened = Connection.open(address, api_key=key, timeout=1, retries=0, allow_insecure=allowed)
        assert opened.sends_key is is_sent
        opened.close()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server(lambda _: "It was built in 1874 [1].") as running:
        yield running


def test_the_command_asks_on_a_terminal_and_refuses_elsewhere(
    working_folder: Path, forked_longctx: ForkedLongctx, server: ScriptedServer, make_index, monkeypatch
) -> None:
    index = make_index({"a.txt": "The lighthouse was built in 1874."})
    (working_folder / "longctx.toml").write_text(f'model = "{server.address}"\nindex = "{index}"\n')
    ask = ("ask", "When was the lighthouse built?")
    environment = {"XDG_CONFIG_HOME": os.environ["XDG_CONFIG_HOME"]}
    done = forked_longctx.run(*ask, cwd=working_folder, **environment)
    assert (done.returncode, done.stdout, server.asked) == (1, "", [])
    assert done.stderr.startswith("longctx: this folder's longctx.toml sends questions and passages")
    for answer, code in ((b"n\n", 1), (b"y\n", 0)):
        ours, theirs = pty.openpty()
        with forked_longctx.start(*ask, cwd=working_folder, stdin=theirs, stderr=theirs, **environment) as process:
            os.write(ours, answer)
            assert process.wait() == code
            said = b""
            while b"Is that what you want?" not in said:
                assert select.select([ours], [], [], 60)[0], said
                said += os.read(ours, 65536)
        os.close(theirs)
        os.close(ours)
    assert len(server.asked) == 1
    assert forked_longctx.run(*ask, cwd=working_folder, **environment).returncode == 0
