"""Every Python block of the documentation runs, and every link leads somewhere."""

import itertools
import json
import re
import shlex
from pathlib import Path

import pytest

from memorist.bench.tables import MARK, rewritten
from memorist.cli.app import app
from memorist.errors import InputError

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```(?:sh|console|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)\)")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if BLOCK.search(page.read_text(encoding="utf-8"))], ids=lambda p: p.name
)
def test_python_blocks_run_in_order(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page.name, "exec"), names)
    for value in names.values():
        if type(value).__name__ == "Memory":
            value.close()
        if type(value).__name__ == "ScopedMemory":
            value._memory.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_table_is_what_was_measured():
    marked = [page for page in PAGES if MARK.search(page.read_text(encoding="utf-8"))]
    assert {page.name for page in marked} >= {"README.md", "recall.md", "benchmarks.md"}
    for page in marked:
        assert rewritten(page) == page.read_text(encoding="utf-8"), f"{page.name} disagrees; make tables"


def test_a_table_that_disagrees_is_found(tmp_path):
    mark = "<!-- by budget: recall-locomo.json locomo evidence_recall default -->\n"
    page = tmp_path / "page.md"
    (tmp_path / "recall-locomo.json").write_text((ROOT / "docs" / "results" / "recall-locomo.json").read_text())
    page.write_text(f"before\n\n{mark}<!-- end -->\n\nafter\n")
    made = rewritten(page)
    assert re.search(r"\| default \| 0\.\d{3} \| 0\.\d{3} \| 0\.\d{3} \|", made)
    page.write_text(made.replace("| default | 0.", "| default | 1."))
    assert rewritten(page) == made
    page.write_text(f"{mark.replace('default', 'nosuch')}<!-- end -->\n")
    with pytest.raises(InputError, match="no evidence_recall of 'nosuch'"):
        rewritten(page)


def test_why_something_is_missing_is_a_table_too(tmp_path):
    found = {"lacking": {"2wiki": "no | file"}, "suites": {"s": {"failed": {"slow": "given up"}}}, "rows": []}
    (tmp_path / "found.json").write_text(json.dumps(found))
    page = tmp_path / "page.md"
    asked = ("lacking suites", "s failed", "other failed")
    page.write_text("".join(f"<!-- by reason: found.json {one} all -->\n<!-- end -->\n" for one in asked))
    made = rewritten(page)
    assert "| 2wiki | no \\| file |" in made
    assert "| slow | given up |" in made
    assert made.count("| nothing in this run |") == 1


def test_how_results_were_made_is_told_by_themselves(tmp_path):
    found = {"command": "memorist bench speed", "machine": {"cores": 3, "load": [0.5, 1.2]}, "rows": []}
    (tmp_path / "found.json").write_text(json.dumps(found))
    page = tmp_path / "page.md"
    page.write_text("<!-- by command: found.json speed load all -->\n<!-- end -->\n")
    made = rewritten(page)
    assert "$ memorist bench speed\n" in made
    assert "Load of its 3 cores before and after: 0.5 and 1.2." in made


def test_published_results_hold_no_questions_and_no_folders():
    for file in (ROOT / "docs" / "results").glob("*.json"):
        found = json.loads(file.read_text(encoding="utf-8"))
        assert "records" not in found
        assert not re.search(r"(?:^|\s|=)/\w", str(found["command"])), file
        assert all("/" not in name for name in found["data"])
        assert not any(re.search(r"\s/\w", reason) for reason in found.get("lacking", {}).values())


def test_the_make_targets_and_the_extras_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    told = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    targets, extras = set(re.findall(r"`make ([\w-]+)", told)), set(re.findall(r"'memorist\[([\w,-]+)\]'", told))
    assert targets >= {"test", "test-adapters", "report"} and extras >= {"serve", "langchain", "llama-index"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for extra in extras:
        for one in extra.split(","):
            assert re.search(rf"^{one} = \[", project, re.MULTILINE), one


def test_every_command_line_is_one_of_ours(tmp_path, monkeypatch):
    """Those that are not run, such as of a server or of a long bench, are at least what the command takes."""
    monkeypatch.chdir(tmp_path)
    seen = 0
    for page in PAGES:
        for block in SHELL.findall(page.read_text(encoding="utf-8")):
            for line in re.findall(r"^(?:\$ )?memorist (.*)$", block.replace("\\\n", " "), re.MULTILINE):
                words = itertools.takewhile(
                    lambda word: word not in ("|", ">", "<", "&"), shlex.split(line, comments=True)
                )
                app.parse_args(list(words), exit_on_error=False, print_error=False)
                seen += 1
    assert seen > 80
