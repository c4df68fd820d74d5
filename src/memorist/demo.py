"""The tour: a conversation is remembered, asked about, changed and erased, in a store that is thrown away.

The conversation, the questions and the captions are written; all else that is shown is computed while one watches.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.resources import as_file, files
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from rich.console import Console
from rich.text import Text

from memorist.cube import utc
from memorist.memory import Memory
from memorist.results import Citation, Erasure, Hit, Verification
from memorist.scoped import ScopedMemory

TODAY = datetime(2025, 8, 17, 9, tzinfo=timezone.utc)
"""The morning after the last message; the tour takes place then."""

GUTTER = 11
WIDEST = 96


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the tour. With `as_of` it is asked of the memory as it was true then."""

    kind: str
    text: str
    as_of: str | None = None
    note: str | None = None


QUESTIONS: tuple[Question, ...] = (
    Question("a fact", "What am I allergic to?"),
    Question("two facts joined", "What is the neighbour called who looks after Pixel?"),
    Question("a relative date", "When was my niece born?"),
    Question("what holds now", "Where do I live now?"),
    Question("as of 15 April", "Where do I live?", as_of="2025-04-15"),
    Question("advice it gave", "Which shoes did you recommend for long runs?"),
    Question("never mentioned", "What is my blood type?"),
    Question(
        "beyond quoting",
        "How much more do I pay for Falamos in a year now?",
        note="The evidence is here; the sum itself is work for a language model.",
    ),
)

UPDATED = ("When can the physio see me?", "The physio moved me to Tuesday 2 September 2025 at 8:15.")
FORGOTTEN = "crying in the supply cupboard"
ERASED = "the code for the front door"

NEXT = (
    'memorist add --text "I moved to Lisbon in May." --user me',
    "memorist add conversations.json --user me",
    'memorist ask "Where do I live?" --user me',
)


@dataclass(frozen=True, slots=True)
class Remembered:
    """The conversation, once it is in the store."""

    messages: int
    sessions: int
    first: datetime
    last: datetime
    state: str
    seconds: float
    per_second: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A question with what came back; one `as_of` a date is a search, which has no confidence."""

    kind: str
    question: str
    as_of: str | None
    text: str
    known: bool
    confidence: float | None
    citations: tuple[Citation, ...]
    milliseconds: float
    note: str | None


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an episode, and the time in which it was true."""

    what: str
    text: str
    true_from: datetime
    true_to: datetime | None


@dataclass(frozen=True, slots=True)
class Updated:
    """An episode that got a new version: what a question finds now, and as of when the old one was true."""

    question: str
    history: tuple[Version, ...]
    found_now: str
    found_before: str
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Forgotten:
    """An episode that was forgotten and restored, and whether search found it at each step."""

    query: str
    text: str
    found_at_first: bool
    found_when_forgotten: bool
    found_when_restored: bool


@dataclass(frozen=True, slots=True)
class Erased:
    """An episode that was erased, its receipt, and how often its bytes stood in the store's files."""

    query: str
    text: str
    receipt: Erasure
    bytes_before: int
    bytes_after: int
    gone: bool
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Tour:
    """All that the tour saw."""

    remembered: Remembered
    answers: tuple[Reply, ...]
    update: Updated
    forget: Forgotten
    erase: Erased
    verify: Verification

    @property
    def ok(self) -> bool:
        """Whether what was promised was kept."""
        kept = self.forget.found_at_first and not self.forget.found_when_forgotten and self.forget.found_when_restored
        return kept and self.erase.gone and self.verify.ok


def run(console: Console, *, json: bool = False) -> int:
    """Take the tour and show it, or print it as one JSON document. Returns the exit code: 0 when all went well."""
    with TemporaryDirectory(prefix="memorist-demo-") as folder:
        tour = take(Path(folder) / "memory.db")
    if json:
        document = {"ok": tour.ok, **asdict(tour)}
        console.out(dumps(document, default=encoded, ensure_ascii=False, indent=2), highlight=False)
    else:
        show(console, tour)
    return 0 if tour.ok else 1


def take(path: Path) -> Tour:
    """The tour, in a new store at `path`."""
    with Memory.open(path, clock=lambda: TODAY) as memory:
        nora = memory.scope(user="nora")
        return Tour(
            remember(nora, path),
            tuple(reply(nora, question) for question in QUESTIONS),
            update(nora, *UPDATED),
            forget(nora, FORGOTTEN),
            erase(nora, ERASED, path.parent),
            memory.verify(),
        )


def remember(memory: ScopedMemory, path: Path) -> Remembered:
    """Add the conversation."""
    with as_file(files("memorist") / "data" / "demo.jsonl") as conversation:
        start = perf_counter()
        receipt = memory.add(conversation)
        seconds = perf_counter() - start
    said = memory.list(limit=receipt.added)
    times = [cube.at for cube in said]
    return Remembered(
        messages=receipt.added,
        sessions=len({cube.scope.session for cube in said}),
        first=min(times),
        last=max(times),
        state=receipt.state,
        seconds=round(seconds, 3),
        per_second=round(receipt.added / seconds, 1),
        bytes=sum(file.stat().st_size for file in path.parent.iterdir()),
    )


def reply(memory: ScopedMemory, question: Question) -> Reply:
    """Ask; for what held at a date, search and quote the best hit."""
    start = perf_counter()
    if question.as_of is None:
        answer = memory.ask(question.text)
        text, known, confidence = answer.text, answer.known, round(answer.confidence, 4)
        citations = answer.citations
    else:
        hit = memory.search(question.text, as_of=question.as_of, k=1)[0]
        text, known, confidence = f'{source(hit)}: "{hit.text}" [1]', True, None
        citations = (Citation(hit.id, hit.text, hit.at, hit.speaker, hit.score),)
    milliseconds = since(start)
    return Reply(
        question.kind, question.text, question.as_of, text, known, confidence, citations, milliseconds, question.note
    )


def update(memory: ScopedMemory, question: str, text: str) -> Updated:
    """Put a new version in the place of what answers the question."""
    old = memory.search(question, k=1)[0]
    start = perf_counter()
    [id] = memory.update(old.id, text=text).ids
    milliseconds = since(start)
    history = tuple(
        Version(change.what, change.cube.text, change.cube.valid_from, change.cube.valid_to)
        for change in memory.history(id)
    )
    now = memory.search(question, k=1)[0].text
    before = memory.search(question, k=1, as_of=old.at)[0].text
    return Updated(question, history, now, before, milliseconds)


def forget(memory: ScopedMemory, query: str) -> Forgotten:
    """Hide the best hit, and bring it back."""
    hit = memory.search(query, k=1)[0]
    first = found(memory, query, hit.id)
    memory.forget(hit.id)
    hidden = found(memory, query, hit.id)
    memory.restore(hit.id)
    return Forgotten(query, hit.text, first, hidden, found(memory, query, hit.id))


def found(memory: ScopedMemory, query: str, id: str) -> bool:
    """Whether a search finds an episode."""
    return any(hit.id == id for hit in memory.search(query))


def erase(memory: ScopedMemory, query: str, folder: Path) -> Erased:
    """Destroy the best hit, and look for its words in the bytes of the store's files before and after."""
    hit = memory.search(query, k=1)[0]
    before = occurrences(folder, hit.text)
    start = perf_counter()
    receipt = memory.erase(hit.id)
    milliseconds = since(start)
    after = occurrences(folder, hit.text)
    gone = before > 0 and after == 0 and receipt.remnants == 0
    return Erased(query, hit.text, receipt, before, after, gone, milliseconds)


def occurrences(folder: Path, text: str) -> int:
    """How often the bytes of a text stand in the files of a folder."""
    return sum(file.read_bytes().count(text.encode()) for file in folder.iterdir())


def since(start: float) -> float:
    """Milliseconds from a moment of the clock until now."""
    return round(1000 * (perf_counter() - start), 1)


def source(hit: Hit) -> str:
    """Who said it, and when."""
    return f"{hit.speaker}, {day(hit.at)}"


def day(moment: datetime) -> str:
    """A date such as 8 May 2025."""
    return f"{moment.day} {moment:%B %Y}"


def encoded(value: object) -> str:
    """What JSON has no word for, as text."""
    return utc(value).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def show(console: Console, tour: Tour) -> None:
    """The tour for a person."""
    console.print(Text.assemble(("Memorist", "bold"), "  a memory for language models: one file, no server, no key"))
    show_remembered(console, tour.remembered)
    heading(console, "Ask", "no language model at work: answers are quotes, each with its source")
    for answer in tour.answers:
        show_reply(console, answer)
    show_changes(console, tour.update, tour.forget)
    show_erased(console, tour.erase)
    verdict = "every page, reference and promise holds" if tour.verify.ok else "; ".join(tour.verify.problems)
    row(console, "verify", verdict, "green" if tour.verify.ok else "red")
    heading(console, "Next", "try it on your own memories; this store is gone already")
    for command in NEXT:
        row(console, "", command, "cyan")


def show_remembered(console: Console, done: Remembered) -> None:
    """The conversation and how long it took."""
    heading(console, "Remember", "nearly half a year of Nora's chats with an assistant")
    told = f"{done.messages} messages in {done.sessions} sessions, {done.first:%B} to {done.last:%B %Y}"
    row(console, "add", f"{told}: {done.seconds:.1f} s ({done.per_second:.0f}/s)")


def show_reply(console: Console, reply: Reply) -> None:
    """A question, its answer, and how long that took."""
    asked = Text.assemble((reply.question, "bold"), (f"  {reply.kind}", "dim"))
    row(console, f"{reply.milliseconds:.0f} ms", asked)
    for line in reply.text.splitlines():
        row(console, "", quoting(line) if reply.known else Text(line, "yellow"))
    if reply.note:
        row(console, "", reply.note, "dim italic")


def show_changes(console: Console, updated: Updated, forgotten: Forgotten) -> None:
    """What `update`, `forget` and `restore` did."""
    heading(console, "Change", "the old version still answers for its time; forgetting can be undone")
    row(console, "update", Text.assemble((updated.question, "bold"), (f"  {updated.milliseconds:.0f} ms", "dim")))
    row(console, "now", quoting(f'"{updated.found_now}"'))
    row(console, "as of then", quoting(f'"{updated.found_before}"'))
    for version in updated.history:
        span = f"until {day(version.true_to)}" if version.true_to else f"since {day(version.true_from)}"
        row(console, "history" if version is updated.history[0] else "", f"{version.what}, true {span}")
    row(console, "forget", quoting(f'"{forgotten.text}"'))
    steps = {
        "found by search": forgotten.found_at_first,
        "once forgotten": forgotten.found_when_forgotten,
        "once restored": forgotten.found_when_restored,
    }
    row(console, "restore", ", ".join(f"{step}: {'yes' if seen else 'no'}" for step, seen in steps.items()))


def show_erased(console: Console, erased: Erased) -> None:
    """What `erase` destroyed, and the proof."""
    heading(console, "Erase", "destroyed with everything derived from it, down to the bytes")
    row(console, "erase", quoting(f'"{erased.text}"'))
    counts = {**erased.receipt.counts, "remnants": erased.receipt.remnants}
    destroyed = ", ".join(f"{name} {number}" for name, number in counts.items() if number or name == "remnants")
    row(console, "receipt", f"{destroyed}; {erased.milliseconds:.0f} ms")
    proof = f"its bytes in the store's files: {erased.bytes_before} before, {erased.bytes_after} after"
    row(console, "proof", proof, "green" if erased.gone else "red")


def heading(console: Console, title: str, caption: str) -> None:
    """A step of the tour."""
    console.print()
    row(console, title, Text(caption, "italic"), label_style="bold cyan")


def quoting(line: str) -> Text:
    """A line whose quotation stands out from where it comes from."""
    before, mark, rest = line.partition('"')
    quoted, end, after = (mark + rest).rpartition('"')
    meant, stop, said = before.rpartition(". ")
    return Text.assemble((meant + stop, "bold green"), (said, "dim"), (quoted + end, "green"), (after, "dim"))


def row(console: Console, label: str, body: str | Text, style: str = "", *, label_style: str = "dim") -> None:
    """A label, and a text beside it that wraps within its column."""
    text = body if isinstance(body, Text) else Text(body, style)
    for line in text.wrap(console, min(console.width, WIDEST) - GUTTER):
        line.rstrip()
        console.print(Text(label.ljust(GUTTER), label_style) + line, no_wrap=True, overflow="ignore", crop=False)
        label = ""
