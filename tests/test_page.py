"""The page, in a real Chromium, served by the real command.

`MEMORIST_SCREENSHOTS=docs/page` keeps a picture of each view.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx2
import pytest

from memorist import Memory, Observation
from memorist.bench.synthetic import WordSum, turns
from memorist.cube import Scope
from memorist.serve import keys
from memorist.testing import HashEmbedder
from serving import free_port, wait_until_ready

playwright = pytest.importorskip("playwright.sync_api", reason="the page is tested with playwright, which is not here")
ROOT = Path(__file__).parents[1]
PROGRAM = "import sys; from memorist.cli import main; sys.exit(main())"
SMALL = """
import sys
from memorist import Memory
from memorist.serve.run import run
from memorist.testing import HashEmbedder
with Memory.open(sys.argv[1], embedder=HashEmbedder()) as memory:
    run(memory, "127.0.0.1", int(sys.argv[2]), largest=200_000)
"""
HOSTILE = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
    '<svg onload=window.hacked=3></svg><a href="javascript:window.hacked=4">x</a>'
    "{{constructor.constructor('window.hacked=5')()}} \u202egnp.exe </textarea><iframe srcdoc='<b>'>"
)


@contextmanager
def serving(command: list[str], port: int, log: Path) -> Iterator[str]:
    """A server, until it is not needed any more."""
    with log.open("ab") as file:
        process = subprocess.Popen([sys.executable, "-c", *command], stderr=file)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(port, process, log)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[str]:
    """A memory of a few conversations, with facts that contradict each other, and somebody hostile's."""
    folder = tmp_path_factory.mktemp("page")
    store, port = folder / "memory.db", free_port()
    with Memory.open(store, recipe="facts") as memory:
        ana = memory.scope(user="Ana")
        said = ("I live in Oslo.", "The boiler broke last Friday.", "My sister Vera keeps the spare key.")
        for month, text in enumerate(said, 1):
            day = f"2025-0{month}-10T09:0"
            asked = {"role": "user", "content": text, "timestamp": f"{day}0:00", "session": f"s{month}"}
            told = {"role": "assistant", "content": "Noted.", "timestamp": f"{day}1:00", "session": f"s{month}"}
            ana.add([asked, told])
        ana.add(Observation("Ana lives in Paris.", speaker="page", trust="web", at=datetime(2025, 6, 1)))
        ana.forget(ana.add("The old boiler was green.", at="2024-11-02").ids[0])
        mallory = memory.scope(user="mallory")
        mallory.add([Observation(HOSTILE, speaker=HOSTILE[:200], session=HOSTILE[:100], meta={HOSTILE[:50]: HOSTILE})])
        mallory.add(f"My doctor is {HOSTILE[:60]}.", at="2025-01-01")
    command = [PROGRAM, "serve", "--store", str(store), "--port", str(port), "--recipe", "facts"]
    with serving([*command, "--reports", str(ROOT / "docs" / "results")], port, folder / "log") as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    """Chromium: that of the machine, else playwright's own."""
    found = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    with playwright.sync_playwright() as engine:
        if found is None and not Path(engine.chromium.executable_path).exists():
            pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
        args = ["--host-resolver-rules=MAP evil.example 127.0.0.1", *(["--no-sandbox"] if os.getuid() == 0 else [])]
        browser = engine.chromium.launch(executable_path=found, args=args)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium) -> Iterator[object]:
    """A window whose errors, and requests to elsewhere, fail the test."""
    context = chromium.new_context(viewport={"width": 1000, "height": 640}, accept_downloads=True)
    window, wrong = context.new_page(), []
    window.set_default_timeout(15_000)
    window.on("pageerror", lambda error: wrong.append(str(error)))
    window.on(
        "console",
        lambda told: wrong.append(told.text) if told.type == "error" and "status of" not in told.text else None,
    )
    window.on(
        "request",
        lambda asked: wrong.append(asked.url) if not asked.url.startswith(("http://127.0.0.1:", "blob:")) else None,
    )
    window.refused = wrong
    yield window
    context.close()
    assert wrong == []


def until(page, true: str) -> None:
    """Wait for an expression. Playwright's own way to wait is an eval, which the page's policy refuses."""
    for _ in range(300):
        if page.evaluate(true):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {true}")


def told(page) -> None:
    """Wait for the one thing that the console is to tell, which may come after the rest, and pass over it."""
    end = time.monotonic() + 15
    while not page.refused:
        assert time.monotonic() < end, "the console tells of nothing"
        page.wait_for_timeout(20)
    page.refused.pop()


def picture(page, name: str) -> None:
    """Keep what is seen, when it is asked for."""
    folder = os.environ.get("MEMORIST_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def test_search_and_ask_mark_the_evidence(page, served):
    page.goto(f"{served}/#/search?user=Ana")
    page.get_by_label("Question").fill("Who keeps the spare key?")
    page.keyboard.press("Enter")
    page.locator("article", has_text="My sister Vera keeps").first.wait_for()
    assert {"keeps", "spare", "key"} <= set(page.locator("article mark").all_inner_texts())
    picture(page, "search")
    page.get_by_role("button", name="Ask").click()
    page.locator("mark.evidence").first.wait_for()
    assert page.locator("mark.evidence").first.inner_text() == "My sister Vera keeps the spare key."
    picture(page, "ask")


VIEWS = [
    ("timeline", "", "Timeline", "7 memories"),
    ("graph", "", "Graph", "ties"),
    ("known", "", "What is known about Ana", "Derived: facts"),
    ("forgotten", "", "Forgotten", "The old boiler was green."),
    ("conflicts", "", "Conflicts", "Ana lives in Paris."),
    ("jobs", "", "Jobs", "facts"),
    ("reports", "", "Bench reports", "recall-locomo.json"),
    ("reports", "&name=recall-locomo.json", "recall-locomo.json", "evidence recall"),
]


@pytest.mark.parametrize(("view", "more", "title", "shown"), VIEWS)
def test_every_view_opens(page, served, view, more, title, shown):
    page.goto(f"{served}/#/{view}?user=Ana{more}")
    page.get_by_role("heading", level=1, name=title).wait_for()
    page.locator("main", has_text=shown).wait_for()
    until(page, "!document.querySelector('[aria-busy=true]')")
    picture(page, "report" if more else view)
    assert barriers(page) == []


def test_facts_and_phrases_around_a_question_are_drawn(page, served, tmp_path):
    pytest.importorskip("spacy", reason="facts are found by grammar: pip install 'memorist[graph]'")
    page.goto(f"{served}/#/graph?user=Ana&show=facts&q=key")
    page.get_by_role("alert").get_by_text("there is no graph in this recipe").wait_for()
    store, port = tmp_path / "memory.db", free_port()
    with Memory.open(store, recipe="hipporag2") as memory:
        said = ["Vera works at the Harbour Bakery.", "The Harbour Bakery is in Porto.", "Vera lives with Rui."]
        memory.scope(user="ana").add([{"role": "user", "content": text} for text in said])
    command = [PROGRAM, "serve", "--store", str(store), "--port", str(port), "--recipe", "hipporag2"]
    with serving(command, port, tmp_path / "log") as address:
        page.set_default_timeout(60_000)
        page.goto(f"{address}/#/graph?user=ana")
        page.get_by_label("Around what").fill("Where does Vera work?")
        page.get_by_label("What is drawn").select_option("facts")
        page.get_by_text("It starts from").wait_for()
        picture(page, "facts")
        assert barriers(page) == []
        passage = page.get_by_role("button", name=re.compile("^passage: Vera works"))
        passage.focus()
        page.keyboard.press("Enter")
        page.get_by_role("button", name=re.compile("^in: ")).first.wait_for()
        page.get_by_role("link", name="open").click()
        page.get_by_role("heading", level=1, name="Memory").wait_for()
        with Memory.open(store, recipe="hipporag2") as memory:
            _, secret = keys.create(memory._store, Scope("", "ana"), memory.now(), rights=["read"])
        asked = {"json": {"query": "Vera"}, "headers": {"Authorization": f"Bearer {secret}"}}
        assert httpx2.post(f"{address}/v1/graph", **asked).status_code == 403


def barriers(page) -> list[str]:
    """What axe-core finds wrong with a view for people who do not see it, or use no mouse."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not here")
    found = axe.Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def test_what_was_forgotten_comes_back(page, served):
    address = f"{served}/v1/memories"
    ids = [httpx2.post(address, json={"content": f"Plan {n}.", "user": "fay"}).json()["ids"][0] for n in range(52)]
    for id in ids:
        assert httpx2.delete(f"{address}/{id}", params={"user": "fay"}).status_code == 204
    page.goto(f"{served}/#/forgotten?user=fay")
    page.get_by_text("52 hidden from recall").wait_for()
    assert page.locator("article").count() == 50
    page.get_by_role("link", name="Older").click()
    page.locator("article", has_text="Plan 0.").get_by_role("button", name="Restore").click()
    page.get_by_text("51 hidden from recall").wait_for()
    assert [one["text"] for one in httpx2.get(address, params={"user": "fay"}).json()["items"]] == ["Plan 0."]
    assert httpx2.get(f"{served}/v1/forgotten", params={"user": "Ana"}).json()["total"] == 1


WRITING = """
() => {
  window.written = [];
  new MutationObserver(() => {
    const words = document.querySelector('[aria-busy] .words')?.textContent;
    if (words) window.written.push(words);
  }).observe(document.body, {childList: true, subtree: true, characterData: true});
}
"""


def test_an_answer_is_shown_as_a_real_model_writes_it(page, tmp_path):
    from memorist.models.weights import KNOWN, installed

    if not installed(KNOWN["smollm2-135m"]):
        pytest.skip("the weights of smollm2-135m are not here: memorist models get smollm2-135m")
    store, port = tmp_path / "memory.db", free_port()
    with Memory.open(store) as memory:
        memory.scope(user="ana").add("My sister Vera keeps the spare key.", at="2025-01-01")
    command = [PROGRAM, "serve", "--store", str(store), "--port", str(port), "--model", "local:smollm2-135m"]
    with serving(command, port, tmp_path / "log") as address:
        page.goto(f"{address}/#/search?user=ana")
        page.get_by_label("Question").fill("Who keeps the spare key?")
        page.evaluate(WRITING)
        page.get_by_role("button", name="Ask").click()
        page.set_default_timeout(90_000)
        page.locator("meter").wait_for()
        steps = list(dict.fromkeys(page.evaluate("window.written")))
    assert len(steps) >= 2, "it came all at once"
    assert all(steps[-1].startswith(step) for step in steps)


def test_an_answer_that_fails_says_so(page, served):
    page.route("**/v1/ask/stream", lambda route: route.abort())
    page.goto(f"{served}/#/search?user=Ana&q=key&mode=ask")
    page.get_by_role("alert").get_by_text("The server does not answer.").wait_for()
    told(page)  # the console tells of the request that was broken off


def test_a_memory_is_opened_changed_forgotten_and_erased(page, served):
    page.goto(f"{served}/#/search?user=bo")
    page.get_by_role("button", name="Remember…").click()
    page.get_by_label("What was said").fill("The gate code is 1234.")
    page.get_by_role("button", name="Remember", exact=True).click()
    page.get_by_text("Remembered.").wait_for()
    page.goto(f"{served}/#/timeline?user=bo")
    page.wait_for_load_state("networkidle")  # the list of the view before may stand there until then
    page.locator("[role=option]").filter(has_text="gate code").first.click()
    page.get_by_role("heading", name="History").wait_for()
    page.get_by_role("button", name="Change…").click()
    page.get_by_label("Words").fill("The gate code is 9876.")
    page.get_by_role("button", name="Save").click()
    page.locator("li", has_text="updated").get_by_text("The gate code is 9876.").wait_for()
    assert "The gate code is 1234." in page.locator("main").inner_text()
    picture(page, "memory")
    page.get_by_role("button", name="Forget").click()
    page.get_by_role("button", name="Restore").click()
    page.get_by_role("button", name="Forget").wait_for()
    page.get_by_role("button", name="Erase…").click()
    page.get_by_role("button", name="Erase", exact=True).click()
    page.get_by_text("Erased 2; 0 of the texts").wait_for()
    page.get_by_text("Nothing yet.").wait_for()


def test_a_conflict_is_decided(page, served):
    page.goto(f"{served}/#/conflicts?user=Ana")
    fact = page.locator("article article", has_text="Ana lives in Oslo.")
    fact.get_by_role("button", name="This one is right").click()
    page.get_by_role("button", name="Keep it").click()
    page.get_by_text("No conflicts.").wait_for()


def test_what_is_known_is_exported_and_destroyed(page, served):
    address = f"{served}/v1/memories"
    for text in ("I sing in a choir.", "I fear geese."):
        assert httpx2.post(address, json={"content": text, "user": "eve"}).status_code == 201
    page.goto(f"{served}/#/known?user=eve")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    lines = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
    assert {"I sing in a choir.", "I fear geese."} <= {line["text"] for line in lines}
    page.get_by_role("button", name="Delete everything…").click()
    page.get_by_label("Write the name").fill("bob")
    page.get_by_role("button", name="Delete everything", exact=True).click()
    page.get_by_text("confirm is not the name").wait_for()
    page.get_by_role("button", name="Delete everything…").click()
    page.get_by_label("Write the name").fill("eve")
    page.get_by_role("button", name="Delete everything", exact=True).click()
    page.get_by_text("0 of the texts are left").wait_for()
    assert httpx2.get(address, params={"user": "eve"}).json()["items"] == []


def test_a_job_is_tried_again(page, served):
    page.goto(f"{served}/#/jobs?user=mallory")
    page.get_by_role("button", name=re.compile("Retry")).first.click()
    page.get_by_text("It is tried again.").wait_for()
    page.get_by_role("button", name=re.compile("Drop")).first.click()
    page.get_by_text("Dropped.").wait_for()


def test_the_keyboard_reaches_everything(page, served):
    page.goto(f"{served}/#/search?user=Ana")
    page.get_by_label("Question").wait_for()
    page.keyboard.press("Escape")
    for letter, title in (
        ("t", "Timeline"),
        ("g", "Graph"),
        ("w", "What is known"),
        ("f", "Forgotten"),
        ("c", "Conflicts"),
        ("j", "Jobs"),
        ("b", "Bench"),
    ):
        page.keyboard.press("g")
        page.keyboard.press(letter)
        page.get_by_role("heading", level=1, name=title).wait_for()
        assert page.evaluate("document.activeElement !== document.body"), f"nothing has the focus in {title}"
    page.keyboard.press("g")
    page.keyboard.press("t")
    page.get_by_role("listbox").wait_for()
    until(page, "document.activeElement.getAttribute('role') === 'listbox'")
    page.locator("[role=option]", has_text="Ana lives in Paris").wait_for()
    page.keyboard.press("ArrowDown")
    until(page, "document.querySelector('[aria-selected=true]')?.dataset.place === '1'")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="Memory").wait_for()
    assert "Ana lives in Paris." in page.locator("main").inner_text()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    until(page, "document.activeElement.name === 'q'")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_each_control_has_a_name(page, served):
    for view in ("search", "timeline", "graph", "known", "conflicts", "jobs", "reports"):
        page.goto(f"{served}/#/{view}?user=Ana")
        until(page, "document.querySelector('main h1')")
        nameless = page.evaluate(
            "[...document.querySelectorAll('button, input, select, textarea, a[href], [role=button]')]"
            ".filter(one => !(one.getAttribute('aria-label') || one.labels?.length || one.textContent.trim()))"
            ".map(one => one.outerHTML)"
        )
        assert nameless == [], view


def test_hostile_words_stay_words(page, served):
    for view in ("search?q=script&user=mallory", "search?q=doctor&mode=ask&user=mallory", "timeline?user=mallory",
                 "graph?user=mallory", "known?user=mallory", "conflicts?user=mallory", "jobs?user=mallory",
                 "timeline?user=%3Cimg%20src%3Dx%20onerror%3Dwindow.hacked%3D1%3E"):  # fmt: skip
        page.goto(f"{served}/#/{view}")
        page.reload()
        until(page, "document.querySelector('main h1')")
        page.wait_for_timeout(150)
        assert page.evaluate("window.hacked") is None, view
        assert page.locator("main script, main img, main iframe, main a[href^=javascript]").count() == 0, view
    page.goto(f"{served}/#/timeline?user=mallory")
    page.locator("[role=option]", has_text="window.hacked = 1").first.click()
    page.get_by_role("heading", name="History").wait_for()
    assert HOSTILE in page.evaluate("document.querySelector('.words').textContent")
    assert page.evaluate("window.hacked") is None
    refused = "try { document.body.innerHTML = '<b>x</b>'; 'done' } catch (error) { error.name }"
    assert page.evaluate(refused) == "TypeError", "the policy lets text become markup"
    told(page)  # of what the policy refused


def test_dark_and_light_are_readable(page, served):
    seen = {}
    page.goto(f"{served}/#/known?user=Ana")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.get_by_role("heading", level=1, name="What is known").wait_for()
        seen[scheme] = page.evaluate(CONTRAST)
        if scheme == "dark":
            picture(page, "known-dark")
    assert all(ratio >= 4.5 for ratios in seen.values() for ratio in ratios.values()), seen
    page.get_by_role("button", name="Theme: system").click()
    page.get_by_role("button", name="Theme: light").click()
    page.emulate_media(color_scheme="light")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


CONTRAST = """
() => {
  const linear = (value) => value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(part => linear(Number(part) / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const back = (one) => {
    const colour = getComputedStyle(one).backgroundColor;
    return colour !== 'rgba(0, 0, 0, 0)' || !one.parentElement ? colour : back(one.parentElement);
  };
  const names = ['h1', 'p', 'nav a', 'nav a[aria-current]', '.quiet', 'button.main', 'button.bad', 'td a'];
  return Object.fromEntries(names.map(name => {
    const one = document.querySelector(`main ${name}`) ?? document.querySelector(name);
    const [a, b] = [light(getComputedStyle(one).color), light(back(one))].sort((x, y) => y - x);
    return [name, (a + .05) / (b + .05)];
  }));
}
"""


def test_a_key_is_asked_for_and_stays_in_the_tab(page, tmp_path):
    store, port = tmp_path / "memory.db", free_port()
    with Memory.open(store, embedder=HashEmbedder()) as memory:
        _, secret = keys.create(memory._store, Scope("acme", "ana"), memory.now(), rights=["read"])
        memory.scope(tenant="acme", user="ana").add("The vault is blue.")
    with serving([SMALL, str(store), str(port)], port, tmp_path / "log") as address:
        page.goto(f"{address}/#/timeline")
        page.get_by_role("dialog", name="API key").wait_for()
        page.get_by_label("Key", exact=False).last.fill(secret)
        page.get_by_role("button", name="Use it").click()
        page.locator("[role=option]", has_text="The vault is blue.").wait_for()
        kept = page.evaluate("[JSON.stringify(localStorage), document.cookie, location.href]")
        assert not any(secret in one for one in kept)
        assert page.evaluate("sessionStorage.getItem('memorist-key')") == secret
        page.locator("[role=option]").first.click()
        page.get_by_role("button", name="Forget").click()
        page.get_by_text("this key may not write").wait_for()


def test_a_refusal_of_before_the_key_does_not_ask_again(page, tmp_path):
    store, port = tmp_path / "memory.db", free_port()
    with Memory.open(store, embedder=HashEmbedder()) as memory:
        _, secret = keys.create(memory._store, Scope("acme", "ana"), memory.now(), rights=["read"])
        memory.scope(tenant="acme", user="ana").add("The vault is blue.")
    held = []

    def hold(route) -> None:
        # The first call of the timeline went out without a key; it comes back after one was given.
        held.append(route) if not held else route.continue_()

    with serving([SMALL, str(store), str(port)], port, tmp_path / "log") as address:
        page.route("**/v1/parts*", hold)
        page.goto(f"{address}/#/timeline")
        page.get_by_role("dialog", name="API key").wait_for()
        page.get_by_label("Key", exact=False).last.fill(secret)
        page.get_by_role("button", name="Use it").click()
        page.locator("[role=option]", has_text="The vault is blue.").wait_for()
        with page.expect_response(lambda one: one.status == 401):
            held[0].continue_()
        page.wait_for_timeout(200)
        assert page.get_by_role("dialog").count() == 0
        page.locator("[role=option]").first.click()
        page.get_by_text("The vault is blue.").first.wait_for()


def test_the_page_is_plain_files_under_a_strict_policy(served):
    answer = httpx2.get(f"{served}/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    folder = ROOT / "src" / "memorist" / "serve" / "web"
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org)", text), path.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            path.name
        )
        assert httpx2.get(f"{served}/page/{path.name}").status_code == 200
    assert not re.search(r"<script(?![^>]*src=)|style=|\son\w+=", (folder / "index.html").read_text(encoding="utf-8"))
    for name in ("nothing.js", "..%2Fapp.py", "%2e%2e%2fapp.py"):
        assert httpx2.get(f"{served}/page/{name}").status_code == 404


def test_without_keys_other_sites_have_no_access(served):
    ask = {"json": {"query": "key", "user": "Ana"}}
    own = served.removeprefix("http://")
    assert httpx2.post(f"{served}/v1/search", **ask, headers={"Origin": f"http://{own}"}).status_code == 200
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    ):
        answer = httpx2.post(f"{served}/v1/search", **ask, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json"), headers


class Evil(BaseHTTPRequestHandler):
    """Somebody else's page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Win a prize</title>")

    def log_message(self, *_) -> None:
        pass


ATTACK = """
async (target) => {
  const add = (tag, more) => document.body.appendChild(Object.assign(document.createElement(tag), more));
  const tried = async (path, more) => {
    try { return await (await fetch(target + path, more)).text(); } catch (error) { return error.name; }
  };
  const loaded = (path, more) => new Promise((done) => {
    add("script", {src: target + path, onload: () => done("loaded"), onerror: () => done("refused"), ...more});
  });
  const said = JSON.stringify({content: "planted", user: "Ana"});
  add("iframe", {name: "frame"});
  const form = add("form", {method: "post", action: `${target}/v1/memories`, enctype: "text/plain", target: "frame"});
  form.append(Object.assign(document.createElement("input"), {name: said.slice(0, -1) + ', "x": "', value: '"}'}));
  form.submit();
  const headers = {"Content-Type": "application/json"};
  const asked = {method: "POST", headers, body: JSON.stringify({query: "key", user: "Ana"})};
  return {
    read: await tried("/v1/memories?user=Ana"),
    asked: await tried("/v1/search", asked),
    planted: (await fetch(`${target}/v1/memories`, {method: "POST", mode: "no-cors", body: said})).type,
    script: await loaded("/v1/memories?user=Ana"),
    export: await loaded("/v1/export?user=Ana"),
    part: await loaded("/page/main.js", {type: "module"}),
  };
}
"""


def test_another_sites_page_can_neither_read_nor_write(chromium, served):
    """In a real browser: a page of another origin, and one whose name was pointed at this machine."""
    before = texts_of(served)
    with ThreadingHTTPServer(("127.0.0.1", 0), Evil) as site:
        Thread(target=site.serve_forever, args=(0.01,), daemon=True).start()
        window = chromium.new_page()
        window.goto(f"http://evil.example:{site.server_port}/")
        tried = window.evaluate(ATTACK, served)
        assert tried == {
            "read": "TypeError", "asked": "TypeError", "planted": "opaque", "script": "refused", "export": "refused",
            "part": "refused",
        }  # fmt: skip
        port = served.rpartition(":")[2]
        answer = window.goto(f"http://evil.example:{port}/v1/memories?user=Ana")
        assert (answer.status, answer.json()["type"]) == (403, "urn:memorist:wrong-host")
        window.close()
        site.shutdown()
    assert texts_of(served) == before


def texts_of(served: str) -> list[str]:
    return [one["text"] for one in httpx2.get(f"{served}/v1/memories", params={"user": "Ana"}).json()["items"]]


def test_a_long_list_holds_only_what_is_seen(page, tmp_path):
    store, port, count = tmp_path / "memory.db", free_port(), 2_500
    with Memory.open(store, embedder=HashEmbedder()) as memory:
        one = [Observation(f"message {n}", at=datetime(2020 + n // 500, 1 + n % 12, 1)) for n in range(count)]
        memory.scope(user="ana").add(one)
    with serving([SMALL, str(store), str(port)], port, tmp_path / "log") as address:
        page.goto(f"{address}/#/timeline?user=ana")
        page.locator("[role=option] p", has_text="message").first.wait_for()
        page.keyboard.press("End")
        last = page.locator(f"#row-{count - 1}", has_text="message")
        last.wait_for()
        assert last.get_attribute("aria-setsize") == str(count)
        assert page.locator("[role=option]").count() < 60
        page.get_by_label("Go to").fill("2022-06-15")
        page.locator("[role=option][aria-selected=true]", has_text="2022-06-01").wait_for()


LARGE = """
import sys
from memorist import Memory
from memorist.bench.synthetic import WordSum
from memorist.serve.run import run
with Memory.open(sys.argv[1], embedder=WordSum()) as memory:
    run(memory, "127.0.0.1", int(sys.argv[2]), largest=200_000)
"""
SCROLLED = """
async () => {
  const box = document.querySelector('.list'), frames = [];
  let last = await new Promise(requestAnimationFrame);
  for (let n = 0; n < 120; n++) {
    box.scrollTop += 900;
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  return frames.sort((a, b) => a - b);
}
"""


LOOKED_AT = {
    "search": ("search?q={words}", "article"),
    "ask": ("search?q={words}&mode=ask", "meter"),
    "timeline": ("timeline?", "#row-0 p >> nth=1"),
    "graph": ("graph?", "svg [role=button] >> nth=1"),
    "graph around a question": ("graph?q={words}", "svg [role=button] >> nth=1"),
    "memory": ("memory?id={id}", "h2:text-is('History')"),
    "known": ("known?", "td.number"),
    "forgotten": ("forgotten?", "article"),
    "conflicts": ("conflicts?", "main p.quiet + *"),
    "jobs": ("jobs?", "td.number"),
    "reports": ("reports?", "main h1 ~ *"),
}
"""Views, and what is there as soon as there is something to read."""


def looked_at(page, address: str, words: str, id: str) -> dict[str, tuple[float, float, str]]:
    """For each view: seconds to its first rows, then the longest that the server took for a call, and which."""
    seen = {}
    for view, (path, first) in LOOKED_AT.items():
        page.goto("about:blank")
        calls: list[tuple[float, str]] = []

        def note(asked, calls=calls) -> None:
            if "/v1/" in asked.url:
                spent = asked.timing["responseEnd"] - asked.timing["requestStart"]
                calls.append((spent / 1000, asked.url.partition("/v1/")[2].partition("?")[0]))

        page.on("requestfinished", note)
        begin = time.perf_counter()
        page.goto(f"{address}/#/{path.format(words=words, id=id)}&user=ana")
        page.locator(first).first.wait_for()
        spent = time.perf_counter() - begin
        page.wait_for_load_state("networkidle")
        page.remove_listener("requestfinished", note)
        seen[view] = (spent, *max(calls))
    return seen


@pytest.mark.slow
def test_a_hundred_thousand_cubes_are_looked_through(page, tmp_path):
    """Turns and the windows that hold them. Prints what docs/operate.md says of the page."""
    store, port, count = tmp_path / "memory.db", free_port(), 51_500
    start, minute = datetime(2022, 1, 1), timedelta(minutes=1)
    with Memory.open(store, embedder=WordSum()) as memory:
        ana = memory.scope(user="ana")
        said = [
            replace(turn, at=start + n // 20 * 600 * minute + n % 20 * minute) for n, turn in enumerate(turns(count, 2))
        ]
        ids = ana.add(said).ids
        cubes = sum(part.count for part in ana.browse.parts())
        ana.forget(ids[:2_000])
        assert memory._store.enqueue(ana.scope, "facts", 50) > 900
    with serving([LARGE, str(store), str(port)], port, tmp_path / "log") as address:
        page.set_default_timeout(120_000)
        words, shown = " ".join(said[40_000].text.split()[:6]), count - 2_000
        looked_at(page, address, words, ids[40_000])  # the first search loads the index
        views = looked_at(page, address, words, ids[40_000])
        page.goto("about:blank")
        page.goto(f"{address}/#/timeline?user=ana")
        page.locator("#row-0 p").nth(1).wait_for()
        took: dict[str, float] = {"cubes": cubes}
        frames = page.evaluate(SCROLLED)
        took |= {"frame p50, ms": frames[60], "frame p95, ms": frames[114]}
        jumps = []
        for place in range(0, shown, 2_500):
            begin = time.perf_counter()
            page.evaluate("place => { const box = document.querySelector('.list');"
                          " box.scrollTop = place * 64; }", place)  # fmt: skip
            page.locator(f"#row-{place} p").nth(1).wait_for()
            jumps.append(1000 * (time.perf_counter() - begin))
        took |= {"jump p50, ms": sorted(jumps)[len(jumps) // 2], "jump max, ms": max(jumps)}
        took["elements"] = page.evaluate("document.querySelectorAll('*').length")
        searches = []
        for number in range(20):
            asked = {"query": f"{said[number * 97].text[:40]}", "user": "ana", "k": 30}
            begin = time.perf_counter()
            assert httpx2.post(f"{address}/v1/search", json=asked, timeout=60).json()["hits"]
            searches.append(1000 * (time.perf_counter() - begin))
        took["search by HTTP p50, ms"] = sorted(searches)[10]
    print("\n".join(f"{name}: {value:.4g}" for name, value in took.items()))
    for view, (rows, most, call) in views.items():
        print(f"{view}: first rows after {rows:.2f} s, the server took {most:.2f} s at most ({call})")
    assert cubes >= 100_000
    assert took["elements"] < 700
    assert took["frame p50, ms"] < 100
    assert took["jump p50, ms"] < 1_000
    assert all(most < 1 for _, most, _ in views.values()), views
