"""What is sensitive is masked for who need not see it, in everything they get, and stays as it is in the store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memorist import Memory
from memorist.errors import BadReply, NotAllowed
from memorist.redaction import detected, masked, masked_data
from memorist.testing import HashEmbedder, ScriptedModel

MASKED = {
    "Write to ana.m+x@mail.example.co.uk, please.": "Write to [email], please.",
    "Call +351 912 345 678 or (212) 555-0199.": "Call [phone] or [phone].",
    "0171/2345678, or 06 12 34 56 78": "[phone], or [phone]",
    "card 4111 1111 1111 1111 until 12/27": "card [card] until 12/27",
    "DE89 3704 0044 0532 0130 00 is mine": "[iban] is mine",
    "GB82WEST12345698765432.": "[iban].",
    "api_key=abcdefgh12345 and sk-abcdefghijklmnop1234": "[secret] and [secret]",
    "my password is hunter22xyz": "my [secret]",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----": "[secret]",
}
LEFT = (
    *(
        "On 2025-05-10 at 10:30, 1200 people came.",
        "1.5.2024",
        "10-05-2025",
        "order 4111111111111112",
        "0 0 0 0 0 0 0 0 0 0",
    ),
    *(
        "the password is important to us",
        "pi is 3.14159265358979",
        "me@home",
        "from 0800 to 1700",
    ),
    *("https://cdn.example/s/files/1/0302/3968/6755/IMG_8385", "ep-4f2abc7d9e01", "a token of thanks"),
)


@pytest.mark.parametrize("text", MASKED)
def test_masked(text: str) -> None:
    assert masked(text) == MASKED[text]
    assert [tag for tag, _ in detected(text)]


@pytest.mark.parametrize("text", LEFT)
def test_left_as_it_is(text: str) -> None:
    assert masked(text) == text


@given(st.text(max_size=200))
def test_masking_masked_text_changes_nothing(text: str) -> None:
    once = masked(text)
    assert masked(once) == once


def test_data() -> None:
    data = {"a@b.example": [4111111111111111, 5, True, None, {"x": "a@b.example"}]}
    assert masked_data(data) == {"[email]": ["[card]", 5, True, None, {"x": "[email]"}]}


def test_nothing_sensitive_reaches_a_reader_without_the_right(place: str) -> None:
    mail, illness = "ana.m@mail.example", "diabetes type two"
    with Memory.open(place, embedder=HashEmbedder(), recipe="facts") as memory:
        ana = memory.scope(user="ana")
        told = {
            "role": "user",
            "content": f"Ana lives at {mail}.",
            "metadata": {"contact": mail, "card": 4111111111111111},
        }
        first = ana.add([told]).ids[0]
        second = ana.add(f"I live with {illness}.").ids[0]
        third = ana.add("Lunch was fine.").ids[0]
        ana.cubes.describe(second, sensitivity=["health"])
        ana.share("bob")
        ana.share("eve", ("read", "reveal"))
        for view in (
            ana.masked(),
            memory.scope(user="bob").shared_by("ana"),
            memory.scope(user="eve").shared_by("ana").masked(),
        ):
            hits = view.search("Ana lives diabetes lunch", k=50)
            seen = [repr(list(hits)), hits.prompt(), repr(view.ask("Where does Ana live?")), repr(view.history(first))]
            seen += [repr(view.list(limit=50, origin=origin)) for origin in ("source", "windows", "facts")]
            seen += [repr(view.get(second)), repr(view.conflicts()), repr(list(view._memory._store.dump()))]
            model = ScriptedModel('{"answer": "I do not know."}')
            with pytest.raises(BadReply):
                view.ask("Where does Ana live?", model=model)
            seen.append(repr(model.requests))
            for text in seen:
                assert mail not in text
                assert illness not in text
                assert "4111111111111111" not in text
            assert view.get(first).text == "Ana lives at [email]."
            assert view.get(first).meta == {"contact": "[email]", "card": "[card]"}
            assert (view.get(second).text, view.get(second).meta) == ("[health]", {})
            assert view.get(third).text == "Lunch was fine."
        clear = memory.scope(user="eve").shared_by("ana")
        for whole in (ana, clear):
            assert whole.get(first).text == f"Ana lives at {mail}."
            assert whole.get(second).text == f"I live with {illness}."
        assert any("health" in tags for id, tags in memory._store.tags(ana.scope).items() if id != second)
        ana.rights.revoke(ana.rights.given()[0].number)
        ana.share("bob", ("read", "write"))
        bob = memory.scope(user="bob").shared_by("ana")
        bob.update(third, text="Lunch was good.")
        with pytest.raises(NotAllowed, match="reveal"):
            bob.update(first, meta={"note": "x"})
        assert ana.get(first).text == f"Ana lives at {mail}."
        assert memory.verify().ok
