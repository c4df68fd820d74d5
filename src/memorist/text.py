"""How an episode reads: as it is indexed, and as it is shown."""

from __future__ import annotations

from datetime import datetime


def indexed(speaker: str | None, text: str, at: datetime) -> str:
    """What is embedded and searched: date, speaker, words. The date alone is worth several points of recall."""
    who = f"{speaker}: " if speaker else ""
    return f"[{at.day} {at:%B %Y}] {who}{text}"


def shown(speaker: str | None, text: str) -> str:
    """A line of a prompt."""
    return f"{speaker}: {text}" if speaker else text
