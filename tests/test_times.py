"""What texts and questions say about time: tables of cases, and properties that hold for every text."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memorist.cube import TimeSpan
from memorist.times import TimeIntent, intent, spans

THURSDAY = "2023-05-25"
DATA = Path(os.environ.get("MEMORIST_DATA", Path(__file__).parents[2] / "shared" / "data"))
LOCOMO = DATA / "locomo" / "locomo.json"

# when it was said, what was said, and each span as "words: start end"
SPANS = [
    # a weekday decides the year, and a change names two dates
    ("2025-03-29", "The race is on Sunday 14 September.", "Sunday 14 September: 2025-09-14 2025-09-15"),
    ("2025-03-29", "We met on Monday, 3 March", "Monday, 3 March: 2025-03-03 2025-03-04"),
    ("2025-03-29", "It moved from May 3 to May 10.", "May 3: 2024-05-03 2024-05-04", "May 10: 2024-05-10 2024-05-11"),
    ("2025-03-29", "open from May 3 to May 10", "May 3 to May 10: 2024-05-03 2024-05-11"),
    # days
    (THURSDAY, "I went to a group yesterday and it was great", "yesterday: 2023-05-24 2023-05-25"),
    ("2024-03-01", "Yesterday was rough", "Yesterday: 2024-02-29 2024-03-01"),
    ("2023-03-01", "yesterday evening we ate out", "yesterday evening: 2023-02-28 2023-03-01"),
    ("2023-01-01", "We danced yesterday", "yesterday: 2022-12-31 2023-01-01"),
    ("2023-12-31", "We leave tomorrow morning", "tomorrow morning: 2024-01-01 2024-01-02"),
    (THURSDAY, "I saw her today", "today: 2023-05-25 2023-05-26"),
    (THURSDAY, "Dinner tonight?", "tonight: 2023-05-25 2023-05-26"),
    (THURSDAY, "I ran this morning", "this morning: 2023-05-25 2023-05-26"),
    (THURSDAY, "We cooked last night", "last night: 2023-05-24 2023-05-25"),
    (THURSDAY, "the day before yesterday I slept", "the day before yesterday: 2023-05-23 2023-05-24"),
    ("2024-02-27", "It is due the day after tomorrow", "the day after tomorrow: 2024-02-29 2024-03-01"),
    (THURSDAY, "the night before last was loud", "the night before last: 2023-05-23 2023-05-24"),
    # this, last, next
    (THURSDAY, "I ran a race last Saturday", "last Saturday: 2023-05-20 2023-05-21"),
    (THURSDAY, "I ran a race last Thursday", "last Thursday: 2023-05-18 2023-05-19"),
    ("2023-07-15", "Last Fri I took the kids to a workshop", "Last Fri: 2023-07-14 2023-07-15"),
    ("2023-07-20", "joined a group last Tues. It is fun", "last Tues: 2023-07-18 2023-07-19"),
    (THURSDAY, "this past Monday I rested", "this past Monday: 2023-05-22 2023-05-23"),
    (THURSDAY, "last Friday night was fun", "last Friday night: 2023-05-19 2023-05-20"),
    (THURSDAY, "See you next Friday", "next Friday: 2023-05-26 2023-05-27"),
    (THURSDAY, "See you this coming Thursday", "this coming Thursday: 2023-06-01 2023-06-02"),
    (THURSDAY, "She was sick this Tuesday", "this Tuesday: 2023-05-23 2023-05-24"),
    ("2023-05-28", "We are flying out this Friday", "this Friday: 2023-06-02 2023-06-03"),
    ("2023-06-09", "my school event last week", "last week: 2023-05-29 2023-06-05"),
    ("2023-01-01", "I joined it last week", "last week: 2022-12-19 2022-12-26"),
    ("2023-01-02", "I joined it last week", "last week: 2022-12-26 2023-01-02"),
    (THURSDAY, "a fundraiser next week", "next week: 2023-05-29 2023-06-05"),
    (THURSDAY, "What I did this week", "this week: 2023-05-22 2023-05-29"),
    (THURSDAY, "we rode bikes last weekend", "last weekend: 2023-05-20 2023-05-22"),
    ("2023-05-28", "we rode bikes last weekend", "last weekend: 2023-05-20 2023-05-22"),
    ("2023-10-20", "that roadtrip this past weekend", "this past weekend: 2023-10-14 2023-10-16"),
    (THURSDAY, "We will hike this weekend", "this weekend: 2023-05-27 2023-05-29"),
    ("2023-05-29", "We hiked and swam this weekend", "this weekend: 2023-05-27 2023-05-29"),
    (THURSDAY, "the coming weekend is free", "coming weekend: 2023-05-27 2023-05-29"),
    (THURSDAY, "next weekend is free", "next weekend: 2023-06-03 2023-06-05"),
    ("2023-01-31", "We sold it last month", "last month: 2022-12-01 2023-01-01"),
    ("2024-01-31", "The show is next month", "next month: 2024-02-01 2024-03-01"),
    (THURSDAY, "I painted that last year", "last year: 2022-01-01 2023-01-01"),
    ("2023-05-25", "We camped last summer", "last summer: 2022-06-01 2022-09-01"),
    ("2023-10-01", "We camped last summer", "last summer: 2023-06-01 2023-09-01"),
    ("2023-10-01", "We will camp next summer", "next summer: 2024-06-01 2024-09-01"),
    ("2024-01-10", "We skied last winter", "last winter: 2022-12-01 2023-03-01"),
    ("2024-01-10", "We ski this winter", "this winter: 2023-12-01 2024-03-01"),
    (THURSDAY, "She left last fall", "last fall: 2022-09-01 2022-12-01"),
    (THURSDAY, "We met last May", "last May: 2022-05-01 2022-06-01"),
    (THURSDAY, "We met last January", "last January: 2023-01-01 2023-02-01"),
    (THURSDAY, "We meet next January", "next January: 2024-01-01 2024-02-01"),
    (THURSDAY, "We met this March", "this March: 2023-03-01 2023-04-01"),
    (THURSDAY, "the week before last I fell", "the week before last: 2023-05-08 2023-05-15"),
    (THURSDAY, "the week after next we fly", "the week after next: 2023-06-05 2023-06-12"),
    (THURSDAY, "the weekend before last", "the weekend before last: 2023-05-13 2023-05-15"),
    (THURSDAY, "early next month", "early next month: 2023-06-01 2023-06-11"),
    # so long ago, in so long
    ("2023-07-12", "a conference two days ago", "two days ago: 2023-07-10 2023-07-11"),
    ("2024-03-01", "1 day ago", "1 day ago: 2024-02-29 2024-03-01"),
    ("2023-08-11", "I got a puppy two weeks ago!", "two weeks ago: 2023-07-24 2023-07-31"),
    ("2023-03-31", "a month ago it snowed", "a month ago: 2023-02-01 2023-03-01"),
    ("2024-02-29", "a year ago we met", "a year ago: 2023-01-01 2024-01-01"),
    ("2024-02-29", "we met a year ago today", "a year ago today: 2023-02-28 2023-03-01"),
    ("2023-06-27", "for my 18th birthday ten years ago", "ten years ago: 2013-01-01 2014-01-01"),
    (THURSDAY, "two years ago in May", "two years ago: 2021-01-01 2022-01-01"),
    (THURSDAY, "a couple of weeks ago", "a couple of weeks ago: 2023-05-08 2023-05-15"),
    (THURSDAY, "a few days ago", "a few days ago: 2023-05-21 2023-05-24"),
    (THURSDAY, "several months ago", "several months ago: 2022-10-01 2023-03-01"),
    (THURSDAY, "two or three weeks ago", "two or three weeks ago: 2023-05-01 2023-05-15"),
    (THURSDAY, "a year and a half ago", "a year and a half ago: 2021-11-01 2021-12-01"),
    ("2023-07-17", "we camped two weekends ago", "two weekends ago: 2023-07-08 2023-07-10"),
    (THURSDAY, "two summers ago", "two summers ago: 2021-06-01 2021-09-01"),
    (THURSDAY, "three Fridays ago", "three Fridays ago: 2023-05-05 2023-05-06"),
    ("2023-12-30", "We fly in 3 days", "in 3 days: 2024-01-02 2024-01-03"),
    (THURSDAY, "The exam is in two weeks", "in two weeks: 2023-06-05 2023-06-12"),
    (THURSDAY, "three weeks from now", "three weeks from now: 2023-06-12 2023-06-19"),
    (THURSDAY, "I slept badly over the last three months", "the last three months: 2023-02-25 2023-05-26"),
    (THURSDAY, "busy in the next few days", "the next few days: 2023-05-25 2023-05-30"),
    # weekdays and weekends alone
    (THURSDAY, "We met on Friday", "Friday: 2023-05-19 2023-05-20"),
    (THURSDAY, "We met on Thursday", "Thursday: 2023-05-25 2023-05-26"),
    (THURSDAY, "I will call her on Friday", "Friday: 2023-05-26 2023-05-27"),
    (THURSDAY, "We're meeting Monday morning", "Monday morning: 2023-05-29 2023-05-30"),
    (THURSDAY, "On Sunday I'm going to bake", "Sunday: 2023-05-28 2023-05-29"),
    (THURSDAY, "Send it by Friday.", "Friday: 2023-05-26 2023-05-27"),
    (THURSDAY, "It broke on Tuesday last week", "Tuesday last week: 2023-05-16 2023-05-17"),
    (THURSDAY, "What did you do over the weekend?", "the weekend: 2023-05-20 2023-05-22"),
    # dates
    (THURSDAY, "Born on May 3, 2021 in Rome", "May 3, 2021: 2021-05-03 2021-05-04"),
    (THURSDAY, "the 3rd of May 2021", "the 3rd of May 2021: 2021-05-03 2021-05-04"),
    (THURSDAY, "on Monday, 3 May 2021 at noon", "Monday, 3 May 2021: 2021-05-03 2021-05-04"),
    (THURSDAY, "We met on May 3rd", "May 3rd: 2023-05-03 2023-05-04"),
    (THURSDAY, "We met on 3 June", "3 June: 2022-06-03 2022-06-04"),
    (THURSDAY, "We will meet on June 3", "June 3: 2023-06-03 2023-06-04"),
    (THURSDAY, "the twenty-first of July", "the twenty-first of July: 2022-07-21 2022-07-22"),
    ("2023-05-25", "She was born on February 29", "February 29: 2020-02-29 2020-03-01"),
    (THURSDAY, "open May 3-5, 2021", "May 3-5, 2021: 2021-05-03 2021-05-06"),
    (THURSDAY, "between 3 and 5 May 2021", "3 and 5 May 2021: 2021-05-03 2021-05-06"),
    (THURSDAY, "log 2023-05-03T10:00:00Z", "2023-05-03: 2023-05-03 2023-05-04"),
    (THURSDAY, "on 05/03/2023", "05/03/2023: 2023-05-03 2023-05-04"),
    (THURSDAY, "on 25/12/2022", "25/12/2022: 2022-12-25 2022-12-26"),
    (THURSDAY, "am 03.05.2023", "03.05.2023: 2023-05-03 2023-05-04"),
    (THURSDAY, "dated 3-May-2021", "3-May-2021: 2021-05-03 2021-05-04"),
    (THURSDAY, "dated 2021 May 3", "2021 May 3: 2021-05-03 2021-05-04"),
    (THURSDAY, "It came on the 14th.", "the 14th: 2023-05-14 2023-05-15"),
    (THURSDAY, "It came on the 30th", "the 30th: 2023-04-30 2023-05-01"),
    ("2023-03-15", "It came on the 31st", "the 31st: 2023-01-31 2023-02-01"),
    (THURSDAY, "the rent is due on the 1st of next month", "the 1st of next month: 2023-06-01 2023-06-02"),
    # months, seasons, years
    (THURSDAY, "back in May 2021", "May 2021: 2021-05-01 2021-06-01"),
    (THURSDAY, "We started in May", "May: 2023-05-01 2023-06-01"),
    (THURSDAY, "My sister June came in June.", "June: 2022-06-01 2022-07-01"),
    (THURSDAY, "We started in december", "december: 2022-12-01 2023-01-01"),
    (THURSDAY, "We're moving in October", "October: 2023-10-01 2023-11-01"),
    (THURSDAY, "in March of last year", "March of last year: 2022-03-01 2022-04-01"),
    (THURSDAY, "late March was cold", "late March: 2023-03-21 2023-04-01"),
    (THURSDAY, "mid-April 2020", "mid-April 2020: 2020-04-11 2020-04-21"),
    (THURSDAY, "at the end of the month", "the end of the month: 2023-05-21 2023-06-01"),
    (THURSDAY, "from March to May 2022", "March to May 2022: 2022-03-01 2022-06-01"),
    (THURSDAY, "the first weekend of August 2023", "the first weekend of August 2023: 2023-08-05 2023-08-07"),
    (THURSDAY, "She moved in 2019", "2019: 2019-01-01 2020-01-01"),
    (THURSDAY, "I've painted since 2016", "2016: 2016-01-01 2017-01-01"),
    (THURSDAY, "from 2015 to 2018", "2015 to 2018: 2015-01-01 2019-01-01"),
    (THURSDAY, "early 2020 and the 1990s", "early 2020: 2020-01-01 2020-05-01", "1990s: 1990-01-01 2000-01-01"),
    (THURSDAY, "music of the '90s", "'90s: 1990-01-01 2000-01-01"),
    (THURSDAY, "in the summer of 2021", "summer of 2021: 2021-06-01 2021-09-01"),
    (THURSDAY, "winter 2021 was long", "winter 2021: 2021-12-01 2022-03-01"),
    # feasts
    (THURSDAY, "We met at Christmas", "Christmas: 2022-12-25 2022-12-26"),
    ("2024-01-02", "on New Year's Eve we danced", "New Year's Eve: 2023-12-31 2024-01-01"),
    (THURSDAY, "Easter 2024", "Easter 2024: 2024-03-31 2024-04-01"),
    (THURSDAY, "last Thanksgiving she cooked", "last Thanksgiving: 2022-11-24 2022-11-25"),
    (THURSDAY, "We will dress up for Halloween", "Halloween: 2023-10-31 2023-11-01"),
    # counted from another time, and several
    (
        THURSDAY,
        "I was ill last week - yesterday it passed",
        "last week: 2023-05-15 2023-05-22",
        "yesterday: 2023-05-24 2023-05-25",
    ),
    (THURSDAY, "May 3 - May 7", "May 3 - May 7: 2023-05-03 2023-05-08"),
    (THURSDAY, "two weekends before 17 July 2023", "two weekends before 17 July 2023: 2023-07-08 2023-07-10"),
    (THURSDAY, "the Sunday before 25 May 2023", "the Sunday before 25 May 2023: 2023-05-21 2023-05-22"),
    (THURSDAY, "the week of 23 August 2022", "the week of 23 August 2022: 2022-08-22 2022-08-29"),
    (
        THURSDAY,
        "Yesterday I saw her, and last week him.",
        "Yesterday: 2023-05-24 2023-05-25",
        "last week: 2023-05-15 2023-05-22",
    ),
]  # fmt: skip

NO_SPANS = [
    "", "Hey, how are you?", "I may go and she may not", "We march on and will march again", "May I ask?",
    "She sat in the sun", "Wait a second, the second time is better", "I'll be there in 20 minutes", "two hours ago",
    "April told June about August", "a gift from April", "the last week of camp", "her last name, at last",
    "the next day", "the next morning we left", "two years later they wed", "She lived there for three years",
    "years ago",
    "I read it in two days", "I haven't seen him in three years", "Every Monday we play", "on Mondays and Fridays",
    "I work Monday to Friday", "Merry Christmas! What a nice Christmas tree", "on the 14th floor", "the 21st century",
    "in 2000 steps", "room 2019", "in 99999", "1000000 weeks ago", "in year 0", "February 30, 2023", "2023-13-45",
    "version 1.2.3 and 10/20", "the fall hurt", "it feels like yesterday", "in today's world",
    "https://x.org/2023/05/03/", "in 5000000 days", "99999999 years ago", "They marched in march step",
    "once a week, twice a year", "since we last met",
    "the following Friday we left", "a song by June", "next day we left",
    "next night", "the last day", "half past 10, at 20:23", "call 2023-555-0100",
]  # fmt: skip

NOW = "2023-10-15"

# the question, its spans as above, order, relation, anchor, whether it asks for a time
INTENTS = [
    ("What did Ana do in May 2023?", "May 2023: 2023-05-01 2023-06-01", None, "during", None, False),
    ("What did Ana do in May?", "May: 2023-05-01 2023-06-01", None, "during", None, False),
    ("Where will Ana go in December?", "December: 2022-12-01 2023-01-01", None, "during", None, False),
    ("Where was Ana in October?", "October: 2023-10-01 2023-11-01", None, "during", None, False),
    ("What did she buy before June 2023?", "June 2023: 2023-06-01 2023-07-01", None, "before", None, False),
    ("What happened after last Friday?", "last Friday: 2023-10-13 2023-10-14", None, "after", None, False),
    ("What has she read since 2019?", "2019: 2019-01-01 2023-10-16", None, "during", None, False),
    ("Who did she meet between May and July 2022?", "May and July 2022: 2022-05-01 2022-08-01", None, "during", None,
     False),
    ("What did she do during the summer?", "summer: 2023-06-01 2023-09-01", None, "during", None, False),
    ("What did she do last week?", "last week: 2023-10-02 2023-10-09", None, "during", None, False),
    ("Where did she eat yesterday?", "yesterday: 2023-10-14 2023-10-15", None, "during", None, False),
    ("What did she plan the week before 9 June 2023?", "the week before 9 June 2023: 2023-05-29 2023-06-05", None,
     "during", None, False),
    ("What did she buy before the trip to Rome?", "", None, "before", "the trip to Rome", False),
    ("Before the trip to Rome, what did she buy?", "", None, "before", "the trip to Rome", False),
    ("Where did Ana live after she moved?", "", None, "after", "she moved", False),
    ("What did she do right after the wedding in May 2023?", "May 2023: 2023-05-01 2023-06-01", None, "after",
     "the wedding in May 2023", False),
    ("What was said before last Friday's meeting?", "last Friday: 2023-10-13 2023-10-14", None, "before",
     "last Friday's meeting", False),
    ("What has changed since she moved?", "", None, "after", "she moved", False),
    ("What did she read during the trip to Rome?", "", None, "during", "the trip to Rome", False),
    ("Whom did she meet while she was in Rome?", "", None, "during", "she was in Rome", False),
    ("Where did she live when she met Tom?", "", None, "during", "she met Tom", False),
    ("What job did she have prior to becoming a nurse?", "", None, "before", "becoming a nurse", False),
    ("How long after the trip did she quit?", "", None, "after", "the trip", False),
    ("Who is she named after?", "", None, None, None, False),
    ("Who looks after the dog?", "", None, None, None, False),
    ("Has she been to Rome before?", "", None, None, None, False),
    ("What is her current job?", "", "latest", None, None, False),
    ("What is Ana's latest book?", "", "latest", None, None, False),
    ("What was her most recent trip?", "", "latest", None, None, False),
    ("What is the newest pet called?", "", "latest", None, None, False),
    ("Where does she live now?", "", "latest", None, None, False),
    ("What is she reading these days?", "", "latest", None, None, False),
    ("Where does she currently work?", "", "latest", None, None, False),
    ("What do they eat nowadays?", "", "latest", None, None, False),
    ("When did she last see Tom?", "", "latest", None, None, True),
    ("What was her first job?", "", "earliest", None, None, False),
    ("Where is she originally from?", "", "earliest", None, None, False),
    ("What did she initially plan?", "", "earliest", None, None, False),
    ("Where did she use to live at first?", "", "earliest", None, None, False),
    ("What instrument has she used to play?", "", "earliest", None, None, False),
    ("What is the earliest thing she remembers?", "", "earliest", None, None, False),
    ("What is her first name?", "", None, None, None, False),
    ("Does she know first aid?", "", None, None, None, False),
    ("What is Ana's last name?", "", None, None, None, False),
    ("How did she get used to the cold?", "", None, None, None, False),
    ("When did she move?", "", None, None, None, True),
    ("When is the wedding?", "", None, None, None, True),
    ("When Jon has lost his job?", "", None, None, None, True),
    ("What date is the wedding?", "", None, None, None, True),
    ("What year did she graduate?", "", None, None, None, True),
    ("In which month did she go to Rome?", "", None, None, None, True),
    ("How long ago was the party?", "", None, None, None, True),
    ("Do you remember when she moved?", "", None, None, None, True),
    ("What is the date of the party?", "", None, None, None, True),
    ("When did she go to Rome after the wedding?", "", None, "after", "the wedding", True),
    ("When she moved, what did she buy?", "", None, "during", "she moved", False),
    ("What did she join the last weekend before April 10, 2023?",
     "the last weekend before April 10, 2023: 2023-04-08 2023-04-10", None, "during", None, False),
    ("Would she still like jazz?", "", None, None, None, False),
    ("Does she still live in Rome?", "", "latest", None, None, False),
    ("What is her dog called?", "", None, None, None, False),
]  # fmt: skip


def moment(day: str) -> datetime:
    """Noon of the day."""
    return datetime.fromisoformat(day).replace(hour=12, tzinfo=timezone.utc)


def written(found: tuple[TimeSpan, ...]) -> list[str]:
    return [f"{span.words}: {span.start:%Y-%m-%d} {span.end:%Y-%m-%d}" for span in found]


@pytest.mark.parametrize("case", SPANS, ids=lambda case: f"{case[0]} {case[1]}")
def test_spans(case: tuple[str, ...]) -> None:
    at, text, *expected = case
    assert written(spans(text, moment(at))) == expected


@pytest.mark.parametrize("text", NO_SPANS)
def test_what_is_no_time(text: str) -> None:
    assert written(spans(text, moment(THURSDAY))) == []


@pytest.mark.parametrize("case", INTENTS, ids=lambda case: case[0])
def test_intent(case: tuple[str, str, str | None, str | None, str | None, bool]) -> None:
    question, expected, order, relation, anchor, asks_when = case
    found = intent(question, moment(NOW))
    assert written(found.spans) == ([expected] if expected else [])
    assert (found.order, found.relation, found.anchor, found.asks_when) == (order, relation, anchor, asks_when)


def test_a_naive_moment_is_utc_and_another_zone_is_converted() -> None:
    tokyo = datetime(2023, 5, 25, 3, tzinfo=timezone(timedelta(hours=9)))
    assert written(spans("today", datetime(2023, 5, 24, 18))) == written(spans("today", tokyo))


def test_the_ends_of_the_calendar_leave_spans_out() -> None:
    last, first = datetime.max.replace(tzinfo=timezone.utc), datetime.min.replace(tzinfo=timezone.utc)
    assert spans("tomorrow, next week, in 3 days, today", last) == ()
    assert [span.words for span in spans("yesterday, last month, today", first)] == ["today"]
    assert intent("What changed since 2019?", last).relation == "during"


def test_curly_apostrophes_and_letters_that_grow_keep_their_places() -> None:
    assert [span.words for span in spans("İİ said on New Year\u2019s Eve", moment(NOW))] == ["New Year\u2019s Eve"]


VOCABULARY = """
last next this past coming the a of in on by since before after from to ago now yesterday tomorrow week weeks weekend
month year years decade Monday Fri May may March June 3 14th 31st 2023 0 99999 1000000 two few several 2023-05-03 9999 1
31/12/9999 summer winter Christmas Easter end early late - , . ' and half first second while when did what latest used
day night fortnight quarter tonight morning couple over during still current fall 12 \u0663 \u0130 \x00 \ud800
"""
WORDS = [*VOCABULARY.split(), "of the", "New Year's Eve", "29 February", "until", "the week before", "   "]
MOMENTS = st.datetimes(timezones=st.just(timezone.utc))
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join))


@settings(max_examples=1500, deadline=None)
@given(TEXTS, MOMENTS)
def test_no_text_raises_and_spans_stand_in_order(text: str, at: datetime) -> None:
    place = 0
    for span in spans(text, at):
        assert span.start < span.end
        assert span.start.tzinfo is timezone.utc
        place = text.index(span.words, place) + len(span.words)


@settings(max_examples=500, deadline=None)
@given(TEXTS, MOMENTS)
def test_no_question_raises(text: str, now: datetime) -> None:
    found = intent(text, now)
    assert isinstance(found, TimeIntent)
    assert found.anchor is None or found.anchor in text


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)), MOMENTS)
def test_a_full_date_means_that_day_whenever_it_is_said(day: date, at: datetime) -> None:
    for shape in (f"{day:%B} {day.day}, {day.year}", f"{day.day} {day:%b} {day.year}", f"{day}", f"{day:%m/%d/%Y}"):
        (found,) = spans(f"It was on {shape}.", at)
        assert found.start.date() == day


def test_a_long_text_takes_time_in_proportion() -> None:
    def seconds(text: str) -> float:
        begin = time.perf_counter()
        spans(text, moment(NOW))
        return time.perf_counter() - begin

    for unit in ("last week of ", "in  ", "a few ", "May ", "the 1 of ", "2023-", "111111 ", "before ", " ", "last "):
        text = "last year " + unit * 20_000
        assert seconds(text) < 5.0, unit


def test_importing_needs_no_date_library() -> None:
    code = "import memorist.times, sys; print('dateparser' in sys.modules, 'dateutil' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def locomo_answers() -> Iterator[tuple[tuple[date, date], list[tuple[str, datetime]]]]:
    """The absolute dates that answer category-2 questions of LoCoMo, read without our parser, and the evidence."""
    months = [f"{date(2000, number, 1):%B}" for number in range(1, 13)]
    for sample in json.loads(LOCOMO.read_text()):
        talk = sample["conversation"]
        turns = {}
        for key in (key for key in talk if re.fullmatch(r"session_\d+", key)):
            at = datetime.strptime(talk[f"{key}_date_time"], "%I:%M %p on %d %B, %Y").replace(tzinfo=timezone.utc)
            turns.update({turn["dia_id"]: (turn["text"], at) for turn in talk[key]})
        for item in (item for item in sample["qa"] if item["category"] == 2):
            answer = re.sub(r"^(?:In|Around) ", "", str(item["answer"]).strip()).replace(",", "").replace(".", " ")
            parts = answer.split()
            numbers = [int(part) for part in parts if part.isdigit()]
            named = [months.index(part) + 1 for part in parts if part in months]
            if len(numbers) + len(named) != len(parts) or not 1 <= len(parts) <= 3 or max(numbers, default=0) < 1900:
                continue
            year, month, day = max(numbers), (named or [1])[0], min(numbers) if len(numbers) == 2 else 1
            start = date(year, month, day)
            days = 1 if len(numbers) == 2 else 31 if named else 366
            end = start + timedelta(days=days)
            end = end if len(numbers) == 2 else end.replace(day=1)
            yield (start, end), [turns[key] for key in item["evidence"] if key in turns]


@pytest.mark.skipif(not LOCOMO.exists(), reason="LoCoMo is not on this machine")
def test_locomo_evidence_speaks_of_the_time_that_is_asked() -> None:
    hits = total = 0
    for (start, end), evidence in locomo_answers():
        found = [span for text, at in evidence for span in spans(text, at)]
        total += 1
        hits += any(span.start.date() < end and start < span.end.date() for span in found)
    assert total >= 40
    assert hits / total >= 0.7, f"{hits} of {total}"
