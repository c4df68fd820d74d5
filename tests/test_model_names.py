"""Names of models, memorist.toml, the environment, and what each of them outweighs."""

from __future__ import annotations

import json

import pytest

from memorist.cli import main
from memorist.errors import InputError, ModelMissing
from memorist.models.naming import chat_named, configured
from memorist.models.settings import settings_for

VARIABLES = (
    *("MEMORIST_CONFIG", "MEMORIST_MODEL", "MEMORIST_MODEL_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
    *("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
    *("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"),
)
KEY = "sk-canary-2b8e"
FILE = """
[models]
default = "work"

[models.work]
model = "openai:gpt-5-mini"
key = "WORK_KEY"
url = "https://gateway.example/v1"
context = 100000

[models.mine]
model = "http://localhost:8080/v1#qwen"

[models.small]
model = "local:smollm2-135m"
context = 2048
threads = 1
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("MEMORIST_STORE", str(tmp_path / "memory.db"))
    return tmp_path


@pytest.fixture
def file(folder):
    path = folder / "memorist.toml"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("local:smollm2-135m", "local:smollm2-135m"),
        ("gemma-3-270m", "local:gemma-3-270m"),
        ("local:/models/some.gguf", "local:/models/some.gguf"),
        ("http://localhost:8080/v1#qwen", "http://localhost:8080/v1#qwen"),
    ],
)
def test_names_that_need_nothing(name, shown):
    assert chat_named(name).name == shown


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("openai:gpt-5-mini", "OPENAI_API_KEY"),
        ("anthropic:claude", "ANTHROPIC_API_KEY"),
        ("gemini:flash", "GEMINI_API_KEY"),
        ("gemini:flash", "GOOGLE_API_KEY"),
    ],
)
def test_a_vendor_needs_its_key(name, variable, monkeypatch):
    with pytest.raises(ModelMissing, match="API_KEY"):
        chat_named(name)
    monkeypatch.setenv(variable, KEY)
    model = chat_named(name)
    assert (model.name, model.identity) == (name, name)
    assert KEY not in repr(model)


def test_azure_needs_its_address_too(monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    with pytest.raises(ModelMissing, match="AZURE_OPENAI_ENDPOINT"):
        chat_named("azure:gpt-4o")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://me.openai.azure.com/openai/v1/")
    assert "me.openai.azure.com" in chat_named("azure:gpt-4o").identity


def test_a_vendors_key_is_not_sent_to_an_address(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert chat_named("http://localhost:8080/v1#qwen")._endpoint.key is None
    monkeypatch.setenv("MEMORIST_MODEL_KEY", "own")
    assert chat_named("http://localhost:8080/v1#qwen")._endpoint.key == "own"


@pytest.mark.parametrize("name", ["gpt-5", "openai:", "ftp://x#y", "http://localhost/v1", "http://#x", "", ":", "x:y"])
def test_what_names_no_model(name):
    with pytest.raises((InputError, ModelMissing)):
        chat_named(name)


@pytest.mark.parametrize("url", [f"http://me:{KEY}@host/v1#m", f"http://host/v1?key={KEY}#m"])
def test_a_key_in_an_address_is_refused_and_not_shown(url):
    with pytest.raises(InputError) as caught:
        chat_named(url)
    assert KEY not in str(caught.value)


def test_aliases(file, folder, monkeypatch):
    store = folder / "memory.db"
    small = chat_named("small", store=store)
    assert (small.name, small._context, small._threads) == ("local:smollm2-135m", 2048, 1)
    with pytest.raises(ModelMissing, match="WORK_KEY"):
        chat_named("work", store=store)
    monkeypatch.setenv("WORK_KEY", KEY)
    work = chat_named("work", store=store)
    assert (work.name, work.context) == ("work", 100_000)
    assert work.identity == "openai:gpt-5-mini at https://gateway.example/v1"
    assert chat_named("mine", store=store).identity == "openai:qwen at http://localhost:8080/v1"


def test_arguments_outweigh_the_environment_and_that_the_file(file, folder, monkeypatch):
    store = folder / "memory.db"
    monkeypatch.setenv("WORK_KEY", KEY)
    assert chat_named(store=store).name == "work"
    monkeypatch.setenv("MEMORIST_MODEL", "mine")
    assert chat_named(store=store).name == "mine"
    assert chat_named("small", store=store).name == "local:smollm2-135m"


def test_where_the_file_is_looked_for(file, folder, monkeypatch):
    assert settings_for(folder / "memory.db").file == file
    assert settings_for(folder / "elsewhere" / "memory.db").file is None
    users = folder / "config" / "memorist" / "memorist.toml"
    users.parent.mkdir(parents=True)
    users.write_text("")
    assert settings_for(folder / "elsewhere" / "memory.db").file == users
    assert settings_for(folder / "memory.db").file == file
    other = folder / "other.toml"
    monkeypatch.setenv("MEMORIST_CONFIG", str(other))
    with pytest.raises(InputError, match="MEMORIST_CONFIG"):
        settings_for(folder / "memory.db")
    other.write_text(FILE)
    assert settings_for(folder / "memory.db").file == other


@pytest.mark.parametrize(
    "content",
    [
        "[models", "models = 5", "[models]\ndefault = 5", "[models.a]", "[models]\na = 5",
        '[models.a]\nmodel = "openai:x"\nspeed = 5', '[models.a]\nmodel = 5', '[models.a]\nmodel = "x"\ncontext = "9"',
        '[models.a]\nmodel = "x"\ncontext = -1', f'[models.a]\nmodel = "openai:x"\nkey = "{KEY}"',
    ],
)  # fmt: skip
def test_a_wrong_file_names_what_is_wrong(folder, content):
    (folder / "memorist.toml").write_text(content)
    with pytest.raises(InputError, match=r"memorist\.toml") as caught:
        settings_for(folder / "memory.db")
    assert KEY not in str(caught.value)


def test_nothing_configured_says_how():
    with pytest.raises(ModelMissing, match=r"memorist\.toml"):
        chat_named()


def test_the_list(file, folder, monkeypatch, capsys):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    found = {name: (about, ready) for name, about, ready in configured(folder / "memory.db")}
    assert found["local:smollm2-135m"][1]
    assert found["anthropic:NAME"][1]
    assert not found["work"][1]
    assert "WORK_KEY" in found["work"][0]
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    assert "local:gemma-3-270m" in shown
    assert KEY not in shown
    assert main(["models", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)["models"]
    assert {model["name"] for model in made} >= {"work", "mine", "small", "local:qwen2.5-coder-1.5b"}


def test_try_says_what_failed(capsys):
    assert main(["models", "try", "http://127.0.0.1:9/v1#m", "--json"]) == 1
    made = json.loads(capsys.readouterr().out)
    assert not made["ok"]
    assert ["no connection" in trial["said"] for trial in made["trials"]] == [True]
    assert main(["models", "try"]) == 4
    assert main(["models", "try", "nonsense"]) == 2
