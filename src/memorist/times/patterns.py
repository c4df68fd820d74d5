"""Regular expressions that are compiled when first used: compiling all of them would make the import slow."""

from __future__ import annotations

import re
from functools import cache


@cache
def regex(pattern: str) -> re.Pattern[str]:
    """The compiled pattern."""
    return re.compile(pattern)
