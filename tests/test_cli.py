"""The command line: every command, its JSON, its exit codes, and its documentation."""

from __future__ import annotations

import functools
import inspect
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from cyclopts import App

from memorist.cli import main
from memorist.cli.app import GROUPS
from memorist.config import default_place
from memorist.models import minilm

DOCS = Path(__file__).parent.parent / "docs" / "cli.md"
MEMORIST = [sys.executable, "-c", "import sys; from memorist.cli import main; sys.exit(main())"]


@pytest.fixture(scope="module", autouse=True)
def network_loaded_once():
    """Each command opens its own embedder; here they share the loaded network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minilm, "load", functools.cache(minilm.load))
        yield


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where every test runs, with a store of its own that is not there yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEMORIST_STORE", str(tmp_path / "memory.db"))
    return tmp_path


@pytest.fixture
def run(capsys):
    """Runs a command in this process: its exit code, what it printed, and the JSON in it."""

    def command(*tokens: str):
        capsys.readouterr()
        code = main(list(tokens))
        out, err = capsys.readouterr()
        found = json.loads(out) if "--json" in tokens and tokens[0] != "bench" else None
        return SimpleNamespace(code=code, out=out, err=err, json=found)

    return command


@pytest.fixture
def ana(run):
    """A store in which Ana has three memories; the id of the one about Lisbon."""
    added = run("add", "--text", "I moved to Lisbon in May.", "--user", "ana", "--at", "2025-05-12", "--json")
    run("add", "--text", "My cat is named Miso.", "--text", "I play chess.", "--user", "ana", "--at", "2025-06-01")
    return added.json["ids"][0]


def typed(monkeypatch, data: bytes | str, tty: bool = False):
    data = data.encode() if isinstance(data, str) else data
    stream = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
    stream.isatty = lambda: tty
    monkeypatch.setattr(sys, "stdin", stream)


def spawned(*tokens: str, **options):
    return subprocess.run([*MEMORIST, *tokens], capture_output=True, text=True, timeout=60, **options)


class TestAdd:
    def test_text_and_again(self, run):
        tokens = ("add", "--text", "I moved to Lisbon.", "--user", "ana", "--at", "2025-05-12")
        assert "Added 1.  ep-" in run(*tokens).out
        again = run(*tokens, "--json")
        assert (again.code, again.json["added"], again.json["known"]) == (0, 0, 1)
        assert set(again.json) == {"ids", "state", "added", "known", "skipped", "problem"}

    def test_files_and_texts_together(self, run, folder):
        (folder / "a.txt").write_text("The spare key is with Rui.\n")
        (folder / "b.jsonl").write_text('{"role": "user", "content": "Hello."}\n')
        assert run("add", "a.txt", "b.jsonl", "just some words", "--json").json["added"] == 3
        assert run("add", "a.txt", "b.jsonl", "--json").json["known"] == 2

    def test_text_that_names_a_file(self, run, folder):
        (folder / "notes").write_text("inside the file")
        run("add", "--text", "notes")
        run("add", "notes")
        assert {cube["text"] for cube in run("list", "--json").json["cubes"]} == {"notes", "inside the file"}

    def test_format(self, run, folder):
        (folder / "words.json").write_text('["not", "messages"]')
        assert run("add", "words.json").code == 2
        assert run("add", "words.json", "--format", "text").code == 0
        assert "use one of" in run("add", "words.json", "--format", "docx").err

    def test_csv_with_skipped_rows(self, run, folder):
        (folder / "a.csv").write_text("body,sent\nfirst,2025-01-01\nbroken,never\nlast,2025-01-03\n")
        tokens = ("add", "a.csv", "--columns", "text=body, at=sent")
        assert (broken := run(*tokens)).code == 2
        assert "a.csv, line 3" in broken.err
        skipped = run(*tokens, "--skip-bad", "--json").json
        assert skipped["added"] + skipped["known"] == 2
        assert skipped["skipped"][0]["line"] == 3
        assert "skipped" in run(*tokens, "--skip-bad").err

    def test_source_makes_a_text_known(self, run):
        tokens = ("add", "--text", "Milk is out.", "--source", "fridge", "--json")
        assert [run(*tokens).json["added"] for _ in range(2)] == [1, 0]

    @pytest.mark.parametrize(
        ("data", "texts"),
        [
            ("Milk is out.\n", ["Milk is out."]),
            ("[10:30] not JSON", ["[10:30] not JSON"]),
            ('[{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]', ["a", "b"]),
            ('{"messages": [{"role": "user", "content": "a"}]}', ["a"]),
            ('{"role": "user", "content": "a"}\n\n{"role": "assistant", "content": "b"}\n', ["a", "b"]),
        ],
    )
    def test_stdin(self, run, monkeypatch, data, texts):
        typed(monkeypatch, data)
        assert run("add", "-", "--at", "2025-05-01").code == 0
        assert sorted(cube["text"] for cube in run("list", "--json").json["cubes"]) == texts

    @pytest.mark.parametrize("data", ["", " \n", b"\xff\xfe", '{"role": "user"', '{"role": "user", "content": "a"}\n{'])
    def test_broken_stdin(self, run, monkeypatch, folder, data):
        typed(monkeypatch, data)
        assert run("add", "-").code == 2
        assert not (folder / "memory.db").exists()

    @pytest.mark.parametrize(
        "tokens",
        [
            [],
            ["nosuch.txt"],
            ["some/where"],
            ["--bogus"],
            ["words", "--bogus", "x"],
            ["words", "--at", "tomorrow"],
            ["words", "--format", "csv"],
            ["words", "--skip-bad"],
            ["words\x00more"],
            ["--text", ""],
            ["--text", "\udcff"],
            [__file__, "--at", "2025-01-01"],
            [__file__, "--columns", "text"],
            ["."],
        ],
    )
    def test_wrong_input(self, run, tokens):
        result = run("add", *tokens)
        assert result.code == 2
        assert result.err.startswith("memorist: ")
        assert "Traceback" not in result.err

    def test_progress_on_a_terminal(self, run, folder, monkeypatch):
        monkeypatch.setattr("memorist.cli.write.LONG", 0.0)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        (folder / "a.jsonl").write_text('{"role": "user", "content": "Hello."}\n' * 40)
        result = run("add", "a.jsonl", "--json")
        assert (result.code, result.json["added"]) == (0, 40)


class TestRecall:
    def test_search(self, run, ana):
        result = run("search", "Where does Ana live?", "--user", "ana")
        assert re.match(r"1  0\.\d{3}  2025-05-12  ana  ep-\w{20}\n   I moved to Lisbon in May\.\n", result.out)
        assert "why: cosine" in run("search", "Lisbon", "--user", "ana", "--why").out

    def test_search_json(self, run, ana):
        found = run("search", "Lisbon", "--user", "ana", "--k", "1", "--prompt", "--json").json
        (hit,) = found["hits"]
        assert (hit["id"], hit["at"], hit["speaker"]) == (ana, "2025-05-12T00:00:00Z", "ana")
        assert found["query"] == "Lisbon"
        assert "I moved to Lisbon in May." in found["prompt"]

    def test_prompt_and_budget(self, run, ana):
        assert run("search", "Lisbon", "--user", "ana", "--prompt").out.startswith("<memories>")
        assert run("search", "Lisbon", "--user", "ana", "--prompt", "--budget", "1").out == ""
        assert "Nothing found." in run("search", "Lisbon", "--user", "bob").out

    def test_recipes(self, run, ana):
        assert run("search", "Lisbon", "--user", "ana", "--recipe", "lexical", "--json").json["hits"][0]["id"] == ana
        assert run("search", "Lisbon", "--recipe", "soup").code == 2

    def test_where(self, run, ana, folder):
        (folder / "a.csv").write_text("text,speaker,at,stars\none,Ana,2025-01-01,4\ntwo,Bob,2025-02-01,5\n")
        run("add", "a.csv")

        def texts(*where: str) -> set[str]:
            filters = [token for one in where for token in ("--where", one)]
            return {cube["text"] for cube in run("list", *filters, "--json").json["cubes"]}

        assert texts("speaker=Ana") == {"one"}
        assert texts("speaker=Ana", "speaker=Bob") == {"one", "two"}
        assert texts("speaker.ne=Ana") == {"two"}
        assert texts("at.gte=2025-01-15", "at.lt=2025-03-01") == {"two"}
        assert texts('meta.stars="4"') | texts("meta.stars=4") == {"one"}

    @pytest.mark.parametrize("where", ["speaker", "=x", "colour=red", "at.gte=soon", "speaker.like=A"])
    def test_wrong_where(self, run, ana, where):
        result = run("search", "x", "--where", where)
        assert (result.code, result.err[:10]) == (2, "memorist: ")

    def test_same_comparison_twice(self, run, ana):
        assert "given twice" in run("list", "--where", "at.gt=2025-01-01", "--where", "at.gt=2025-02-01").err

    @pytest.mark.parametrize(
        "tokens",
        [
            ["search"],
            ["search", "x", "--k", "-1"],
            ["search", "x", "--k", "two"],
            ["search", "x", "--budget", "-5"],
            ["search", "x", "--as-of", "once"],
            ["search", " "],
            ["search", "x", "--user", "a\x00b"],
            ["search", "x", "--bogus"],
            ["serch", "x"],
            ["ask", "x", "--budget", "0"],
            ["list", "--limit", "0"],
            ["get"],
            ["update", "ep-x"],
            ["forget"],
            ["--bogus"],
            ["scopes", "--user", "ana"],
        ],
    )
    def test_wrong_usage(self, run, ana, tokens):
        result = run(*tokens)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith("memorist: ")
        told = run(*tokens, "--json")
        assert told.code == 2
        assert set(told.json) == {"error", "message"}

    def test_ask(self, run, ana):
        result = run("ask", "Where did Ana move in May?", "--user", "ana")
        assert result.code == 0
        assert 'Lisbon in May." [1]\n\nSources\n[1] 2025-05-12  ana  ep-' in result.out
        found = run("ask", "Where did Ana move in May?", "--user", "ana", "--json").json
        assert set(found) == {
            *("question", "text", "short", "known", "confidence", "method", "model", "citations", "sentences"),
            *("conflicts", "steps", "usage", "invented", "problem"),
        }
        assert found["citations"][0]["id"] == ana

    def test_ask_what_is_unknown(self, run, ana):
        result = run("ask", "Where did Ana move in May?", "--user", "bob", "--json")
        assert (result.code, result.json["known"]) == (1, False)

    def test_list_and_get(self, run, ana):
        assert len(run("list", "--user", "ana", "--limit", "2", "--json").json["cubes"]) == 2
        assert "I play chess." in run("list", "--user", "ana").out
        assert "Nothing here." in run("list", "--user", "ana", "--origin", "windows").out
        assert run("get", ana, "--user", "ana", "--json").json["text"] == "I moved to Lisbon in May."
        assert "state      activated" in run("get", ana, "--user", "ana").out

    def test_nothing_of_another_user(self, run, ana):
        for command in ("get", "history", "forget"):
            result = run(command, ana, "--user", "bob", "--json")
            assert (result.code, result.json["error"]) == (3, "NotFound")

    def test_memories_cannot_command_the_terminal(self, run):
        run("add", "--text", "red \x1b[31m [bold]text[/bold] \u202eevil", "--at", "2025-01-01")
        shown = run("list").out
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "[bold]text[/bold]" in shown
        assert run("list", "--json").json["cubes"][0]["text"].startswith("red \x1b[31m")


class TestChange:
    def test_update_and_history(self, run, ana):
        updated = run("update", ana, "--text", "I live in Porto.", "--at", "2025-07-01", "--user", "ana", "--json")
        assert updated.code == 0
        changes = run("history", ana, "--user", "ana", "--json").json["changes"]
        assert [change["what"] for change in changes] == ["added", "updated"]
        assert changes[1]["cube"]["id"] == updated.json["ids"][0]
        then = run("search", "Where does Ana live?", "--user", "ana", "--as-of", "2025-06-01", "--k", "1", "--json")
        assert then.json["hits"][0]["id"] == ana
        assert "I live in Porto." in run("history", ana, "--user", "ana").out

    def test_updating_twice_or_without_text(self, run, ana):
        assert run("update", ana, "--text", " ", "--user", "ana").code == 2
        assert "it is now ep-" in run("update", ana, "--text", "Porto.", "--user", "ana").out
        assert run("update", ana, "--text", "Faro.", "--user", "ana").code == 3

    def test_forget_and_restore(self, run, ana):
        assert run("forget", ana, "--user", "ana", "--json").json == {"forgotten": [ana]}
        assert run("forget", ana, "--user", "ana", "--json").json["error"] == "StateError"
        assert run("forget", ana, "--user", "ana").code == 3
        assert run("restore", ana, "--user", "ana").out == "1 restored.\n"

    def test_erase_also_in_a_backup(self, run, ana):
        run("backup", "monday.db")
        run("backup", "tuesday.db")
        erased = run("erase", ana, "--user", "ana", "--backup", "monday.db", "--yes", "--json")
        assert erased.code == 0
        assert erased.json["ids"] == [ana]
        assert erased.json["remnants"] == 0
        assert [Path(path).name for path in erased.json["backups_left"]] == ["tuesday.db"]
        assert run("get", ana, "--user", "ana", "--store", "monday.db").code == 3
        assert run("get", ana, "--user", "ana", "--store", "tuesday.db").code == 0

    def test_erase_needs_yes(self, run, ana):
        assert "--yes" in run("erase", ana, "--user", "ana").err
        assert run("erase", ana, "--user", "ana", "--json").code == 2
        assert run("get", ana, "--user", "ana").code == 0

    @pytest.mark.parametrize(("reply", "code"), [("n\n", 130), ("", 130), ("y\n", 0)])
    def test_erase_asks(self, run, ana, monkeypatch, reply, code):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        typed(monkeypatch, reply, tty=True)
        result = run("erase", ana, "--user", "ana")
        assert result.code == code
        assert "I moved to Lisbon in May." in result.err
        assert run("get", ana, "--user", "ana").code == (3 if code == 0 else 0)


class TestStore:
    def test_export_and_import(self, run, ana):
        assert run("export", "all.jsonl.gz", "--json").json["records"] > 3
        assert run("export", "all.jsonl.gz").code == 2
        assert run("import", "all.jsonl.gz", "--store", "copy.db", "--json").json == {
            "path": "all.jsonl.gz",
            "added": 3,
        }
        assert "Added 0" in run("import", "all.jsonl.gz", "--store", "copy.db").out
        assert run("get", ana, "--user", "ana", "--store", "copy.db").code == 0

    def test_import_what_is_none(self, run, folder):
        assert run("import", "nosuch.jsonl").code == 2
        assert run("import", __file__).code == 2

    def test_backup_refuses_to_overwrite(self, run, ana):
        assert Path(run("backup", "copy.db", "--json").json["path"]).name == "copy.db"
        assert run("backup", "copy.db").code == 2

    def test_verify_doctor_scopes(self, run, ana):
        assert run("verify", "--json").json == {"ok": True, "problems": []}
        assert run("verify").out == "The store is sound.\n"
        assert run("compact").out == "Compacted.\n"
        assert run("scopes", "--json").json == {"scopes": [{"tenant": "", "user": "ana", "episodes": 3}]}
        assert "ana" in run("scopes").out
        report = run("doctor", "--json")
        assert {check["name"] for check in report.json["checks"]} >= {"Python", "SQLite", "Store", "Jobs"}
        assert report.code == (0 if report.json["ok"] else 1)
        assert "SQLite" in run("doctor").out

    def test_doctor_without_a_store(self, run, folder):
        assert "none yet" in run("doctor").out
        assert list(folder.iterdir()) == []

    def test_doctor_of_a_broken_store(self, run, folder):
        (folder / "memory.db").write_bytes(b"something else entirely")
        result = run("doctor", "--json")
        assert (result.code, result.json["ok"]) == (1, False)

    @pytest.mark.parametrize(
        "command",
        [
            "search x",
            "ask x",
            "list",
            "get x",
            "history x",
            "forget x",
            "restore x",
            "erase x --yes",
            "update x --text y",
        ]
        + ["export a", "backup a", "verify", "scopes"],
    )
    def test_a_store_that_is_not_there_is_not_created(self, run, folder, command):
        result = run(*command.split())
        assert (result.code, result.out) == (4, "")
        assert "memorist add" in result.err
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize("command", ["list", "add words", "verify", "import x"])
    def test_a_file_that_is_not_a_store(self, run, folder, command):
        path = folder / "memory.db"
        path.write_bytes(b"something else entirely")
        result = run(*command.split(), "--json")
        assert (result.code, result.json["error"]) == (4, "NotAStore")
        assert path.read_bytes() == b"something else entirely"

    def test_stores_that_cannot_be(self, run, folder):
        assert run("list", "--store", str(folder)).code == 2
        assert run("add", "words", "--store", "no/folder/memory.db").code == 2
        assert run("add", "words", "--store", "mysql://localhost/memory").code == 2
        assert run("list", "--store", "a\x00b").code == 2

    def test_the_default_store(self, run, folder, monkeypatch):
        monkeypatch.delenv("MEMORIST_STORE")
        monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
        monkeypatch.setenv("HOME", str(folder))
        assert run("list").code == 4
        assert not default_place().parent.exists()
        assert run("add", "words").code == 0
        assert default_place().is_file()


class TestMeasure:
    def test_wrong_numbers_and_files(self, run, folder, monkeypatch):
        monkeypatch.delenv("MEMORIST_DATA", raising=False)
        assert run("bench", "locomo", "--data", "nosuch.json").code == 2
        assert run("bench", "locomo", "--data", __file__, "--budget", "-5").code == 2
        assert run("bench", "locomo", "--data", "dev_colleagues", "--recipe", "nosuch").code == 2
        assert run("bench", "locomo", "--data", "dev_colleagues", "--limit", "0").code == 2
        assert run("bench", "locomo", "--data", "dev_colleagues", "--reader", "nosuch").code == 2
        assert run("bench", "nosuch").code == 2
        assert run("bench", "locomo", "musique", "--data", "dev_colleagues").code == 2
        assert run("bench", "musique").code == 2
        assert run("bench", "scale", "--sizes", "many").code == 2
        assert run("bench", "scale", "--json", "no/folder.json").code == 2

    def test_locomo(self, run, folder):
        turns = [{"speaker": name, "dia_id": f"D1:{n}", "text": text} for n, (name, text) in enumerate(TALK, 1)]
        qa = {"question": "Where did Ana move?", "answer": "Lisbon", "evidence": ["D1:1"], "category": 1}
        talk = {
            "speaker_a": "Ana",
            "speaker_b": "Bob",
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": turns,
        }
        (folder / "tiny.json").write_text(json.dumps([{"sample_id": "tiny", "conversation": talk, "qa": [qa]}]))
        result = run("bench", "locomo", "--data", "tiny.json", "--budget", "200", "--json", "out.json")
        assert result.code == 0, result.err
        assert json.loads((folder / "out.json").read_text())["rows"]

    @pytest.mark.parametrize(("suite", "arguments"), [("answers", 3), ("scale", 3)])
    def test_suites_take_what_we_pass(self, suite, arguments):
        """Running them takes a minute."""
        module = pytest.importorskip(f"memorist.bench.{suite}")
        inspect.signature(module.run).bind(*range(arguments))

    def test_demo(self, run):
        pytest.importorskip("memorist.demo")
        result = run("demo", "--json")
        assert (result.code, type(result.json)) == (0, dict)


TALK = [("Ana", "I moved to Lisbon."), ("Bob", "How nice!"), ("Ana", "My cat came along.")]


FOR_PEOPLE = ("add", "search", "ask", "list", "get", "history", "update", "forget", "restore", "erase")
FOR_STORES = ("export", "import", "backup", "compact", "verify", "doctor", "scopes", "demo")


class TestMain:
    @pytest.mark.parametrize(
        "tokens", [[], ["--help"], ["add", "--help"], ["bench", "--help"], ["bench", "scale", "-h"]]
    )
    def test_help_names_the_exit_codes(self, run, tokens):
        result = run(*tokens)
        assert (result.code, "Exit codes: 0 ok" in result.out) == (0, True)

    def test_help_fits(self, run):
        for command in (*FOR_PEOPLE, *FOR_STORES):
            help = run(command, "--help").out
            assert "For example:" in help
            assert max(map(len, help.splitlines())) <= 80

    def test_version(self, run):
        assert re.match(r"\d+\.\d+", run("--version").out)

    def test_completion(self, run, folder, monkeypatch):
        assert run("--install-completion", "--shell", "fish", "--output", "memorist.fish").code == 0
        assert "search" in (folder / "memorist.fish").read_text()

    def test_a_bug_is_one_line(self, run, ana, monkeypatch):
        monkeypatch.setattr(minilm.MiniLM, "embed", lambda *_: 1 / 0)
        result = run("search", "x", "--user", "ana")
        assert result.code == 70
        assert re.fullmatch(r"memorist: unexpected ZeroDivisionError: .* please report it.*\n", result.err)
        assert "Traceback" in run("search", "x", "--user", "ana", "--debug").err

    def test_interrupted(self, run, ana, monkeypatch):
        def interrupt(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(minilm.MiniLM, "embed", interrupt)
        assert run("search", "x", "--user", "ana").code == 130


class TestProcess:
    def test_help_loads_no_network(self):
        code = "import sys\nfrom memorist.cli import main\nmain(['--help'])\nsys.exit('onnxruntime' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0

    def test_add_pipe_search(self, folder):
        added = spawned("add", "-", "--user", "ana", "--at", "2025-05-12", input="Olá, Lisboa! 你好")
        assert (added.returncode, added.stderr) == (0, "")
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        found = spawned("search", "Lisboa", "--user", "ana", "--json", env=environment)
        assert found.returncode == 0
        assert json.loads(found.stdout)["hits"][0]["text"] == "Olá, Lisboa! 你好"
        missing = spawned("list", "--store", "nosuch.db")
        assert (missing.returncode, missing.stdout) == (4, "")
        assert missing.stderr.startswith("memorist: there is no store at nosuch.db")

    def test_a_closed_pipe_is_silent(self, run, folder):
        (folder / "a.jsonl").write_text(
            (json.dumps({"role": "user", "content": "Hello.", "more": "x" * 4000}) + "\n") * 60
        )
        run("add", "a.jsonl")
        reader = subprocess.Popen(
            [*MEMORIST, "list", "--limit", "60", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert reader.stdout is not None and reader.stderr is not None
        reader.stdout.readline()
        reader.stdout.close()
        assert reader.stderr.read() == b""
        reader.stderr.close()
        assert reader.wait(60) == 0


def examples_in_help() -> list[str]:
    """The commands in the docstrings, but for those that measure for minutes, serve until they are told to
    stop, or need a vendor's key, the id of a fact or a large model."""
    commands = [
        command
        for heading, group in GROUPS.items()
        if heading != "See and measure"
        for name, command in group.items()
        if not isinstance(command, App) and name not in ("serve", "mcp", "work")
    ]
    lines = [
        line for one in commands for line in re.findall(r"^ {8}(\S.*)$", one.__doc__.split("\n    Param")[0], re.M)
    ]
    return [
        line
        for line in lines
        if not any(word in line for word in ("openai:", "$FACT", "$HEAD", "erased.json", "qwen", "postgresql:"))
    ]


class TestDocs:
    @pytest.mark.parametrize("line", examples_in_help())
    def test_an_example_of_the_help(self, run, ana, folder, monkeypatch, line):
        (folder / "notes.md").write_text("# Keys\n\nThe spare key is with Rui.\n")
        (folder / "chat.json").write_text('[{"role": "user", "content": "Hello."}]')
        (folder / "openie_results.json").write_text('{"docs": []}')
        (folder / "mails.csv").write_text("body,sent,from\nHello.,2025-05-01,Ana\n")
        (folder / "films.jsonl").write_text('{"id": "f1", "text": "Airplane!", "category": "Comedy"}\n')
        if "restore" in line:
            run("forget", ana, "--user", "ana")
        if "import" in line:
            run("export", "memory.jsonl.gz")
        if "--backup" in line:
            run("backup", "monday.db")
        assert example(run, monkeypatch, line.replace('"$ID"', ana), {})

    def test_the_examples(self, run, folder, monkeypatch):
        text = DOCS.read_text(encoding="utf-8")
        for name, content in re.findall(r"^```\w+ (\S+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            (folder / name).write_text(content, encoding="utf-8")
        variables: dict[str, str] = {}
        examples = [
            one
            for block in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
            for one in split(block)
        ]
        assert len(examples) > 20
        for line, expected in examples:
            shown = example(run, monkeypatch, line, variables)
            assert same(shown, expected), f"{line}\n{shown}"


def split(block: str) -> list[tuple[str, str]]:
    """(command, what it prints) of a console block."""
    return [tuple(one.split("\n", 1)) for one in re.split(r"^\$ ", block, flags=re.MULTILINE) if one]


def example(run, monkeypatch, line: str, variables: dict[str, str]) -> str:
    """What a line prints. It may set a variable by jq, get an echo piped in, and end in `# exit N`."""
    wanted = int(found[1]) if (found := re.search(r"# exit (\d+)$", line)) else 0
    taken = re.fullmatch(r"(\w+)=\$\((memorist .*) \| jq -r (\S+)\)", line)
    piped = re.fullmatch(r'echo "(.*)" \| (memorist .*)', line)
    command = taken[2] if taken else piped[2] if piped else line
    if piped:
        typed(monkeypatch, piped[1] + "\n")
    for name, value in variables.items():
        command = command.replace(f"${name}", value)
    program, *tokens = shlex.split(command, comments=True)
    assert program == "memorist", line
    result = run(*tokens)
    assert result.code == wanted, f"{line}\n{result.out}{result.err}"
    if not taken:
        return result.out + result.err
    value = result.json
    for step in re.findall(r"\w+", taken[3]):
        value = value[int(step)] if step.isdigit() else value[step]
    variables[taken[1]] = value
    return ""


def same(shown: str, expected: str) -> bool:
    """Whether the output is that of the documentation, but for ids, scores and the time of the run."""
    pattern = re.escape(" ".join(expected.split()))
    for documented, any_of in (
        (r"ep\\-…", r"ep-[a-z2-7]{20}"),
        (r"2026\\-01\\-01\\ 12:00(:00)?", r"[-\\d]{10} [:\\d]{5,8}"),
        (r"0\\\.\d+", r"[\\d.]+"),
        ("…", ".*"),
    ):
        pattern = re.sub(documented, any_of, pattern)
    return re.fullmatch(pattern, " ".join(shown.split()), re.DOTALL) is not None
