"""Answers without a language model."""

import asyncio

import pytest

from memorist import AsyncMemory, Memory


@pytest.fixture(scope="module")
def ana(tmp_path_factory):
    with Memory.open(tmp_path_factory.mktemp("answer") / "m.db") as memory:
        ana = memory.scope(user="Ana")
        ana.add("I moved to Lisbon in May. The flat has a view of the river.", at="2025-07-02")
        ana.add("My brother Rui keeps the spare key.", at="2025-07-09")
        ana.add("We adopted a tabby called Miso last Friday.", at="2025-07-16")
        yield ana


def test_it_quotes_dates_and_cites(ana):
    answer = ana.ask("Who has the spare key?")
    assert answer.known
    assert answer.method == "extractive"
    assert answer.citations[0].text == "My brother Rui keeps the spare key."
    assert '"My brother Rui keeps the spare key." [1]' in answer.text
    assert "9 July 2025" in answer.text
    assert ana.get(answer.citations[0].id).text == answer.citations[0].text


def test_it_resolves_when(ana):
    assert "11 July 2025." in ana.ask("When did Ana adopt the cat Miso?").text


@pytest.mark.parametrize(
    "question", ["What is the boiling point of tungsten?", "Which university did Dr Okafor teach at?"]
)
def test_it_does_not_know(ana, question):
    answer = ana.ask(question)
    assert not answer.known
    assert answer.text == "I do not know."
    assert answer.citations == ()
    assert answer.confidence < 0.5


def test_a_name_never_heard_is_told(ana):
    assert ana.search("What did Zygmunt tell Rui about the key?").unheard == ("Zygmunt",)


def test_an_empty_memory_knows_nothing(tmp_path):
    with Memory.open(tmp_path / "m.db") as memory:
        answer = memory.scope(user="nobody").ask("Where do I live?")
        assert (answer.known, answer.confidence) == (False, 0.0)


def test_async_is_the_same(ana, tmp_path):
    async def main():
        memory = await AsyncMemory.open(tmp_path / "m.db")
        bo = memory.scope(user="bo")
        await bo.add("The kayak is red.")
        hits, answer = await asyncio.gather(bo.search("What colour is the kayak?"), bo.ask("What colour is the kayak?"))
        assert hits[0].text == "The kayak is red."
        assert answer.known
        assert (await memory.verify()).ok
        await memory.close()

    asyncio.run(main())
