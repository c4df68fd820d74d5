"""Finding what is sensitive in a text by its form, and masking it.

Plain rules with the checks that the things themselves carry: a card's last digit (Luhn), an IBAN's two (ISO 7064) and
its country's length. What they miss a tag set by hand can cover.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

IBAN_LENGTHS = (
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27GB22GE22GI23GL18"
    "GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24"
    "PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20"
)
COUNTRIES: Mapping[str, int] = {
    IBAN_LENGTHS[place : place + 2]: int(IBAN_LENGTHS[place + 2 : place + 4])
    for place in range(0, len(IBAN_LENGTHS), 4)
}

IBAN = re.compile(
    r"(?i)\b(?:" + "|".join(rf"{name}\d\d(?:[ -]?[A-Z0-9]){{{size - 4}}}" for name, size in COUNTRIES.items()) + r")\b"
)


def luhn(text: str) -> bool:
    """Whether the digits are those of a payment card: 13 to 19, the last one checking the others."""
    digits = [int(char) for char in text if char.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) if place % 2 else digit for place, digit in enumerate(reversed(digits))]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and sum(doubled) % 10 == 0


def iban(text: str) -> bool:
    """Whether it is an international bank account number: its country's length, and a remainder of 1 modulo 97."""
    plain = re.sub(r"[ -]", "", text).upper()
    moved = plain[4:] + plain[:4]
    return len(plain) == COUNTRIES.get(plain[:2]) and int("".join(str(int(char, 36)) for char in moved)) % 97 == 1


def telephone(text: str) -> bool:
    """Whether it is a number to call: 8 to 15 digits, two or more in a group on average, and not a date."""
    groups = re.findall(r"\d+", text)
    digits = sum(map(len, groups))
    dated = re.fullmatch(r"\D*(?:\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{4})\D*", text)
    return 8 <= digits <= 15 and digits >= 2 * len(groups) and not dated


def random_enough(text: str) -> bool:
    """Whether a value mixes letters and digits as keys do, and words do not."""
    value = re.split(r"[:=]\s*", text, maxsplit=1)[-1].strip("\"'")
    return any(char.isdigit() for char in value) and any(char.isalpha() for char in value)


@dataclass(frozen=True, slots=True)
class Detector:
    """A kind of sensitive thing: how it looks, and what it must fulfil beyond that."""

    tag: str
    pattern: re.Pattern[str]
    check: Callable[[str], bool] = lambda text: True


DETECTORS: tuple[Detector, ...] = (
    Detector(
        "secret", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S)
    ),
    Detector(
        "secret",
        re.compile(
            r"\b(?:sk-[\w-]{16,}|[sr]k_(?:live|test)_\w{16,}|gh[pousr]_\w{30,}|github_pat_\w{30,}|xox[abprs]-[\w-]{10,}"
            r"|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{35}|glpat-[\w-]{20,}|hf_\w{30,}|npm_\w{36}|mk-[\w-]{40,}"
            r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+)"
        ),
    ),
    Detector(
        "secret",
        re.compile(
            r"(?i)\b(?:api[ _-]?key|secret(?:[ _-]?key)?|access[ _-]?token|auth[ _-]?token|token|password|passwd|pwd)"
            r"[\"']?\s*(?:[:=]|\bis\b)\s*[\"']?[^\s\"',;]{8,}"
        ),
        random_enough,
    ),
    Detector("email", re.compile(r"[\w.+%'-]+@(?:[\w-]+\.)+[^\W\d_]{2,24}\b")),
    Detector("iban", IBAN, iban),
    Detector("card", re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?!\w)"), luhn),
    Detector(
        "phone",
        re.compile(r"(?<![\w.,+/-])(?<!\d )(?:\+|00|\(?0)\d{0,4}\)?(?:[ ./-]?\(?\d{1,5}\)?){2,6}(?![\w/]|[.,]\d)"),
        telephone,
    ),
    Detector(
        "phone", re.compile(r"(?<![\w.,+/-])(?<!\d )\(?[2-9]\d{2}\)?[ .-]\d{3}[ .-]\d{4}(?![\w]|[.,]\d)"), telephone
    ),
)
"""In their order: what one has masked the next does not see."""

RULES = hashlib.sha256("\n".join(f"{one.tag} {one.pattern.pattern}" for one in DETECTORS).encode()).hexdigest()[:16]
"""What a store that keeps masked texts notes beside them: with other rules they are made anew."""

HINT = re.compile(r"[@\d]|PRIVATE KEY|[A-Za-z]{2}[-_]\w{10}|pass|pwd|key|secret|token", re.IGNORECASE)
"""A text without any of this holds nothing that a detector finds."""


def detected(text: str) -> Iterator[tuple[str, str]]:
    """The sensitive things in a text: (tag, words)."""
    found: list[tuple[str, str]] = []
    masked(text, found)
    yield from found


def masked(text: str, found: list[tuple[str, str]] | None = None) -> str:
    """The text with what is sensitive replaced by its tag in brackets; `found` takes what was."""
    if not HINT.search(text):
        return text
    for detector in DETECTORS:

        def replaced(match: re.Match[str], detector: Detector = detector) -> str:
            words = match.group()
            if not detector.check(words):
                return words
            if found is not None:
                found.append((detector.tag, words))
            return f"[{detector.tag}]"

        text = detector.pattern.sub(replaced, text)
    return text


def masked_data(value: Any) -> Any:
    """Plain data with every text in it masked, a number too where it is one."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {masked(name): masked_data(one) for name, one in value.items()}
    if isinstance(value, list):
        return [masked_data(one) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and (told := masked(str(value))) != str(value):
        return told
    return value


def masked_json(value: str) -> str:
    """A JSON document with what is sensitive in it masked."""
    return value if value in ("{}", "[]") else json.dumps(masked_data(json.loads(value)), ensure_ascii=False)


def hidden(tags: tuple[str, ...]) -> str:
    """What is shown of a text that is sensitive as a whole."""
    return "[" + ", ".join(tags) + "]"
