"""Small files of our own in the formats that data sets are published in, one for each suite that reads files."""

import json
from pathlib import Path

GRID, TURNED = [[1, 2], [0, 3]], [[2, 1], [3, 0]]


def lines(path: Path, records: list[object]) -> Path:
    """JSON lines."""
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return path


def whole(path: Path, found: object) -> Path:
    """JSON."""
    path.write_text(json.dumps(found), encoding="utf-8")
    return path


def locomo(folder: Path) -> Path:
    turns = [
        {"speaker": "Ana", "dia_id": "D1:1", "text": "I moved to Lisbon in May."},
        {"speaker": "Bo", "dia_id": "D1:2", "text": "How is the weather there?"},
    ]
    talk = {"speaker_a": "Ana", "speaker_b": "Bo", "session_1_date_time": "1:56 pm on 8 June, 2023", "session_1": turns}
    asked = [
        {"question": "Where did Ana move?", "answer": "Lisbon", "evidence": ["D1:1"], "category": 4},
        {"question": "Which boat did Ana buy?", "adversarial_answer": "a kayak", "evidence": ["D1:1"], "category": 5},
    ]
    return whole(folder / "locomo.json", [{"sample_id": "s", "conversation": talk, "qa": asked}])


def musique(folder: Path) -> Path:
    passages = [("Porto", "Porto is a city on the Douro.", True), ("Tea", "Tea is a drink.", False)]
    paragraphs = [
        {"idx": n, "title": title, "paragraph_text": text, "is_supporting": gold}
        for n, (title, text, gold) in enumerate(passages)
    ]
    record = {"id": "2hop__1_2", "question": "Which river is Porto on?", "answer": "the Douro", "answer_aliases": []}
    return lines(folder / "musique.jsonl", [{**record, "paragraphs": paragraphs, "answerable": True}])


def hotpotqa(folder: Path) -> Path:
    context = [["Porto", ["Porto is a city.", " It is on the Douro."]], ["Tea", ["Tea is a drink."]]]
    record = {"_id": "5a8b", "question": "Which river is Porto on?", "answer": "the Douro", "type": "bridge"}
    return whole(
        folder / "hotpot.json", [{**record, "level": "easy", "context": context, "supporting_facts": [["Porto", 1]]}]
    )


def two_wiki(folder: Path) -> Path:
    context = [["Porto", ["Porto is a city.", "It is on the Douro."]], ["Tea", ["Tea is a drink."]]]
    record = {"_id": "x", "type": "compositional", "question": "Which river is Porto on?", "answer": "the Douro"}
    more = {"supporting_facts": [["Porto", 1]], "evidences": [["Porto", "located on", "the Douro"]]}
    return whole(folder / "2wiki.json", [{**record, "context": context, **more}])


def nq(folder: Path) -> Path:
    towns = {"Porto": "Douro", "Bergen": "Byfjorden", "Lviv": "Poltva", "Graz": "Mur", "Cork": "Lee"}
    return lines(
        folder / "nq.jsonl",
        [
            {
                "question": f"which water is {town} on",
                "answers": [water],
                "ctxs": [{"id": town, "title": town, "text": f"{town} is a city on the {water}.", "isgold": True}],
            }
            for town, water in towns.items()
        ],
    )


def strategyqa(folder: Path) -> Path:
    record = {"qid": "q", "term": "Tea", "question": "Is tea a drink?", "answer": True, "facts": ["Tea is a drink."]}
    return whole(folder / "strategy.json", [record])


def keyvalue(folder: Path) -> Path:
    pairs = [["2a8d601d", "f1a07d1e"], ["9c3e42aa", "77d0b3c5"]]
    return lines(folder / "kv.jsonl", [{"ordered_kv_records": pairs, "key": "9c3e42aa", "value": "77d0b3c5"}])


def personamem(folder: Path) -> Path:
    chat = "[SYSTEM] Persona.\n\n[USER] User: I paint with clay colours.\n[ASSISTANT] Assistant: Nice."
    whole(folder / "documents.json", [{"id": "u_0", "user_id": "u", "content": chat}])
    choices = ["(a) Try clay, since you paint.", "(b) Try golf."]
    query = {
        "id": "q",
        "query": "\n".join(["User: Any ideas for my weekend?", "", *choices]),
        "gold_answers": [choices[0], "a"],
        "user_id": "u",
        "meta": {"question_type": "suggest_new_ideas", "retrieval_query": "User: Any ideas for my weekend?"},
    }
    return whole(folder / "queries.json", [query])


def banking77(folder: Path) -> Path:
    for name in ("train", "test"):
        rows = ["text,category", *(f"how do I {label} {name},{label}" for label in ("pay", "save"))]
        (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")
    return folder


def clinc150(folder: Path) -> Path:
    found = {split: [[f"how to {label} {split}", label] for label in ("pay", "save")] for split in ("train", "test")}
    return whole(folder / "data_full.json", {**found, "oos_train": [["what is love", "oos"]]})


def trec(folder: Path) -> Path:
    (folder / "TREC_10.label").write_text("DESC:def What is tea ?\n")
    (folder / "train_5500.label").write_text("DESC:def What is milk ?\nNUM:count How many cups are there ?\n")
    return folder / "train_5500.label"


def clutrr(folder: Path) -> Path:
    head = "id,story,query,target,f_comb\n"
    row = "1,[Ann] took her son [Bob] to [Cleo]'s house.,\"('Ann', 'Bob')\",son,son-brother\n"
    (folder / "train_1.csv").write_text(head + row)
    (folder / "test_2.csv").write_text(head + row)
    return folder


def movielens(folder: Path) -> Path:
    films = [f"{n},Film {n} (1990),Comedy|Drama\n" for n in range(25)]
    (folder / "movies.csv").write_text("movieId,title,genres\n" + "".join(films))
    ratings = [f"{user},{film},5.0,{film}\n" for user in (1, 2) for film in range(user, 21 + user)]
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "".join(ratings))
    return folder


def arc(folder: Path) -> Path:
    pair = {"input": GRID, "output": TURNED}
    return whole(
        folder / "arc.json",
        {f"p{n}": {"train": [pair, {"input": [[n, 2]], "output": [[2, n]]}], "test": [pair]} for n in range(4)},
    )


def agentbench(folder: Path) -> Path:
    facts = "\n".join(f"{n}. The capital of Land{n} is Town{n}." for n in range(20))
    labelled = "\n".join(f"How do I pay {n}?\nlabel: {n % 2}" for n in range(6))
    records = [
        ("factconsolidation_sh_6k", facts, ["What is the capital of Land7?"], [["Town7"]]),
        ("icl_banking77_5900shot_balance", labelled, ["How do I pay 3?"], [["1"]]),
        ("ruler_qa1_197K", "Porto is a city. It is on the Douro.", ["Which river is Porto on?"], [["Douro"]]),
        ("detective_qa", "The cook did it. It rained.", ["Who did it?"], [["The cook did it."]]),
    ]
    return lines(
        folder / "agentbench.jsonl",
        [
            {"context": context, "questions": questions, "answers": answers, "metadata": {"source": source}}
            for source, context, questions, answers in records
        ],
    )


def longmemeval(folder: Path) -> Path:
    record = {
        "question_id": "q1",
        "question_type": "single-session-user",
        "question": "Where did I move?",
        "answer": "Lisbon",
        "question_date": "2023/05/30 (Tue) 23:40",
        "haystack_dates": ["2023/05/20 (Sat) 02:21", "2023/05/10 (Wed) 10:00"],
        "haystack_session_ids": ["answer_x_1", "s2"],
        "haystack_sessions": [
            [{"role": "user", "content": "I moved to Lisbon.", "has_answer": True}],
            [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Good day."}],
        ],
        "answer_session_ids": ["answer_x_1"],
    }
    return whole(folder / "longmemeval.json", [record, {**record, "question_id": "q2_abs"}])


SAMPLES = {
    "locomo": locomo,
    "musique": musique,
    "hotpotqa": hotpotqa,
    "2wiki": two_wiki,
    "nq-pooled": nq,
    "nq": nq,
    "nq-distractors": nq,
    "strategyqa": strategyqa,
    "keyvalue": keyvalue,
    "personamem": personamem,
    "banking77": banking77,
    "clinc150": clinc150,
    "trec": trec,
    "clutrr": clutrr,
    "movielens": movielens,
    "arc": arc,
    "agentbench": agentbench,
    "longmemeval": longmemeval,
}
