"""`memorist bench writers`: what a real model writes into memory, organiser by organiser, against a key of ours.

It asks of every organiser that writes with a model: were the replies of use, at once or after being shown what was
wrong, and why not; what was written; and whether it is right, as far as words can tell. All that was written is in the
report, to be read.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from memorist.bench.heard import Heard, heard_of
from memorist.bench.recorder import Recorder, replies_beside
from memorist.bench.sample import Sample, names_any, sample, solved, tells
from memorist.bench.told import Outputs, tell
from memorist.cube import Cube, Observation
from memorist.lifecycle.writing import Options, Run
from memorist.memory import Memory
from memorist.models.chat import ChatModel, Usage
from memorist.organise.agent_writer import AGENT
from memorist.organise.facts import FACTS, RULE, FactsView
from memorist.organise.lessons import LESSONS
from memorist.organise.notes import NOTES
from memorist.organise.typed_writer import TYPED
from memorist.scoped import ScopedMemory

SECONDS = 900.0
"""For one call with its repair: small models on a busy machine are slow."""

EVERY = 1_000


@dataclass(frozen=True, slots=True)
class Check:
    """So many `got` of so many `of`; None where fewer is better and there is no whole."""

    what: str
    got: int
    of: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What an organiser made of the sample with a model: its replies, what they took, what was written, and checks."""

    organiser: str
    heard: Heard
    problems: tuple[str, ...]
    written: int
    checks: tuple[Check, ...]
    texts: tuple[str, ...]
    used: Usage


@dataclass
class Trial:
    """An organiser's run: the sample, a memory of its recipe, and the model."""

    sample: Sample
    memory: Memory
    model: Recorder
    bar: Progress
    problems: list[str] = field(default_factory=list)

    @property
    def scope(self) -> ScopedMemory:
        """Whose memory it is."""
        return self.memory.scope(user="nora")

    def write(self, observations: Sequence[Observation], about: str) -> None:
        """Add the sample, and have the recipe's writers do their work."""
        self.scope.add(observations)
        task = self.bar.add_task(about, total=len(observations))
        options = Options(seconds=SECONDS, parallel=1, progress=lambda name, done: self.bar.advance(task, done))
        run: Run = self.scope.organise(options, self.model)
        self.problems += run.problems

    def cubes(self, origin: str) -> list[Cube]:
        """What a model wrote of an origin, oldest first."""
        found = self.scope.list(origin=origin, limit=EVERY)
        return [cube for cube in reversed(found) if cube.trust == "model"]


Found = tuple[int, tuple[Check, ...], tuple[str, ...]]
"""How many cubes, the checks, and the texts."""


def run(model: ChatModel, organisers: Sequence[str], out: Outputs, console: Console) -> list[Row]:
    """A row for each organiser. A run that was killed goes on from the replies beside `out.json`."""
    rows = []
    for name in organisers:
        recorder = Recorder(model, replies_beside(out.json))
        recipe, measure = ORGANISERS[name]
        with opened(recipe) as memory, Progress(console=console, transient=True) as bar:
            trial = Trial(sample(), memory, recorder, bar)
            written, checks, texts = measure(trial)
        rows.append(Row(name, heard_of(recorder.heard), tuple(trial.problems), written, checks, texts, recorder.usage))
        show_row(rows[-1], console)
    show(rows, model.name, console)
    tell(out, "writers", rows, model=model.name, identity=model.identity)
    return rows


@contextmanager
def opened(recipe: str) -> Iterator[Memory]:
    """A memory of its own, which is thrown away."""
    with (
        tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder,
        Memory.open(Path(folder) / "writers.db", recipe=recipe) as memory,
    ):
        yield memory


def facts(trial: Trial) -> Found:
    """Statements: which of the key are told, and whether those that ended are closed."""
    trial.write(list(trial.sample.messages.values()), "facts")
    view = trial.memory._views.of(trial.scope.scope, FACTS, FactsView)
    kept = [cube for cube in view.kept.values() if any(one["by"] != RULE for one in cube.meta["statements"])]
    holding = [cube.text for cube in kept if cube.valid_to is None]
    texts = [cube.text + ("" if cube.valid_to is None else f" (until {cube.valid_to:%Y-%m-%d})") for cube in kept]
    checks = (told(trial.sample, texts), *ended(trial.sample, texts, holding), unkeyed(trial, texts))
    return len(kept), checks, tuple(texts)


def notes(trial: Trial) -> Found:
    """Notes: whether each tells the point of its message, and which are linked and rewritten."""
    ids = {number: trial.scope.add(message).ids[0] for number, message in trial.sample.messages.items()}
    trial.write(list(trial.sample.messages.values()), "notes")
    cubes = trial.cubes(NOTES)
    by_episode = {cube.episodes[0]: cube for cube in sorted(cubes, key=lambda cube: len(cube.episodes), reverse=True)}
    note = {number: by_episode.get(id) for number, id in ids.items()}
    about = {number: about_of(cube) for number, cube in note.items() if cube is not None}
    right = sum(tells(about.get(fact.message, ""), fact.words) for fact in trial.sample.facts)
    linked = {
        frozenset((first, second))
        for first, one in note.items()
        for second, other in note.items()
        if one is not None and other is not None and other.id in one.meta["links"]
    }
    wanted = {frozenset(pair) for pair in trial.sample.links}
    rewritten = sum(len(trial.scope.history(cube.id)) > 1 for cube in cubes)
    checks = (
        Check("tell what their message tells", right, len(trial.sample.facts)),
        Check("pairs linked that belong together", len(linked & wanted), len(wanted)),
        Check("other links", len(linked - wanted)),
        Check("notes rewritten", rewritten),
    )
    return len(cubes), checks, tuple(about_of(cube) for cube in cubes)


def about_of(cube: Cube) -> str:
    """What the model wrote of a note; its content is what was said."""
    meta = cube.meta
    return f"{meta['context']} | {', '.join(meta['keywords'])} | {', '.join(meta['tags'])}"


def tools(trial: Trial) -> Found:
    """Core, semantic and episodic memory: which facts of the key are told, and whether what ended stands there."""
    trial.write(list(trial.sample.messages.values()), "mem-alpha")
    cubes = trial.cubes(AGENT)
    texts = [f"{cube.meta['memory_type']}: {cube.text}" for cube in cubes]
    checks = (told(trial.sample, texts), *ended(trial.sample, texts, texts)[1:], unkeyed(trial, texts))
    return len(cubes), checks, tuple(texts)


def lessons(trial: Trial) -> Found:
    """Lessons: whether each problem's method is told, in general words, and nothing of the attempt that failed."""
    learn(trial, "lessons")
    cubes = trial.cubes(LESSONS)
    texts = [f"{cube.meta['problem']}: {cube.text}" for cube in cubes if cube.meta["situation"]]
    right = particular = 0
    for problem in trial.sample.problems:
        own = [cube.text for cube in cubes if cube.meta["problem"] == problem.name]
        right += any(tells(text, problem.words) for text in own)
        particular += sum(names_any(text, problem.particular) for text in own)
    checks = (
        Check("problems whose method is told", right, len(trial.sample.problems)),
        Check("lessons that name particulars", particular),
        Check("of the attempt that failed", sum(names_any(text, trial.sample.forbidden) for text in texts)),
    )
    return len(texts), checks, tuple(texts)


def concepts(trial: Trial) -> Found:
    """Typed concepts: whether each problem's method is one, whether what two share is one, and their types."""
    learn(trial, "typed concepts")
    cubes = [cube for cube in trial.cubes(TYPED) if "name" in cube.meta]
    texts = [described(cube) for cube in cubes]
    used = [{problem for problem, _ in cube.meta["used_in"]} for cube in cubes]
    right = sum(
        any(problem.name in problems and tells(text, problem.words) for problems, text in zip(used, texts))
        for problem in trial.sample.problems
    )
    words, sharing = trial.sample.shared
    shared = any(tells(text, words) and set(sharing) <= problems for problems, text in zip(used, texts))
    checks = (
        Check("problems whose method is told", right, len(trial.sample.problems)),
        Check("what two share is one concept", int(shared), 1),
        Check("used in several problems", sum(len(problems) > 1 for problems in used)),
        Check("with a typed parameter", sum(any(one[1] for one in cube.meta["parameters"]) for cube in cubes)),
        Check("of the attempt that failed", sum(names_any(text, trial.sample.forbidden) for text in texts)),
    )
    return len(cubes), checks, tuple(texts)


def described(cube: Cube) -> str:
    """A typed concept on a line."""
    parameters = ", ".join(f"{name}: {typing}" for name, typing, _ in cube.meta["parameters"])
    return f"{cube.meta['kind']} {cube.meta['name']}({parameters}): {cube.meta['description']}"


def learn(trial: Trial, about: str) -> None:
    """The problems, solved and not, with the recipe's two writers told apart by the model's journal alone."""
    episodes = [solved(problem, place) for place, problem in enumerate(trial.sample.problems, 1)]
    keep = LESSONS if about == "lessons" else TYPED
    writing = trial.memory._writing
    writing.writers = [writer for writer in writing.writers if writer.origin == keep]
    trial.write([*episodes, trial.sample.unsolved], about)


def preferences(trial: Trial) -> Found:
    """What would fit, described from what was liked: of use, right, and better than the measured order?"""
    trial.scope.add(trial.sample.interactions)
    texts, told_right, first, first_before = [], 0, 0, 0
    task = trial.bar.add_task("preferences", total=len(trial.sample.wishes))
    for wish in trial.sample.wishes:
        before = trial.scope.recommend(wish.text, trial.sample.candidates)
        made = trial.scope.recommend(wish.text, trial.sample.candidates, model=trial.model)
        trial.problems += [made.problem] if made.problem else []
        texts += [f"{wish.text or '(no request)'}: {made.profile}"] if made.profile else []
        told_right += tells(made.profile or "", wish.words)
        first += made[0].id == wish.best
        first_before += before[0].id == wish.best
        trial.bar.advance(task)
    number = len(trial.sample.wishes)
    checks = (
        Check("descriptions that name what was liked", told_right, number),
        Check("best candidate first", first, number),
        Check("first without the model", first_before, number),
    )
    return len(texts), checks, tuple(texts)


Measure = Callable[[Trial], Found]
ORGANISERS: dict[str, tuple[str, Measure]] = {
    "facts": ("facts", facts),
    "notes": ("a-mem", notes),
    "mem-alpha": ("mem-alpha", tools),
    "lessons": ("arcmemo", lessons),
    "typed-concepts": ("arcmemo", concepts),
    "preferences": ("mr-rec", preferences),
}
"""The recipe of each organiser that writes with a model, and how its writing is looked at."""


def told(known: Sample, texts: Sequence[str]) -> Check:
    """How many facts of the key are told."""
    right = sum(any(tells(text, fact.words) for text in texts) for fact in known.facts)
    return Check("facts told", right, len(known.facts))


def ended(known: Sample, texts: Sequence[str], holding: Sequence[str]) -> tuple[Check, Check]:
    """Of the facts that ended and were told: how many were closed, and how many stand as if they held."""
    gone = [fact for fact in known.facts if fact.ended and any(tells(text, fact.words) for text in texts)]
    stale = sum(any(tells(text, fact.words) for text in holding) for fact in gone)
    return Check("ended facts closed", len(gone) - stale, len(gone)), Check("ended facts that stand", stale)


def unkeyed(trial: Trial, texts: Sequence[str]) -> Check:
    """Texts that tell nothing of the key: true beside it, or not."""
    odd = sum(not any(tells(text, fact.words) for fact in trial.sample.facts) for text in texts)
    return Check("tell nothing of the key", odd)


def show_row(row: Row, console: Console) -> None:
    """What was written, as it comes."""
    checks = "; ".join(f"{one.what} {one.got}" + (f" of {one.of}" if one.of is not None else "") for one in row.checks)
    console.print(f"{row.organiser}: {row.written} written; {checks}", soft_wrap=True, markup=False)
    for text in row.texts:
        console.print(f"  - {text}", soft_wrap=True, markup=False)


def show(rows: Sequence[Row], model: str, console: Console) -> None:
    """The table of replies."""
    table = Table(title=f"{model}: replies")
    for name in ("organiser", "calls", "right at once", "after repair", "refused", "written", "tokens", "s"):
        table.add_column(name, justify="left" if name in ("organiser", "refused") else "right")
    for row in rows:
        heard, used = row.heard, row.used
        why = Counter(heard.refused) + Counter(one.split(":")[0] for one in row.problems if not heard.refused)
        table.add_row(
            row.organiser, str(used.calls), str(heard.first), str(heard.repaired),
            ", ".join(f"{number} × {reason}" for reason, number in why.most_common()) or "-", str(row.written),
            str(used.prompt_tokens + used.reply_tokens), f"{used.seconds:.0f}",
        )  # fmt: skip
    console.print(table)
