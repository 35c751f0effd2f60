"""Time zones by their IANA names, from the data that comes with the package.

The machine's own data is not looked at: it may be missing or older, and replicas must agree on every instant.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

NAME_LIMIT: Final = 64
_MOST_SUGGESTIONS: Final = 3


@cache
def zone_names() -> frozenset[str]:
    """Every name there is, aliases such as `UTC` and `Europe/Kiev` included."""
    listed = files("tzdata").joinpath("zones").read_text(encoding="utf-8")
    return frozenset(listed.split())


def find_zone(name: str) -> ZoneInfo | None:
    """The zone of exactly this name, or None; no other text becomes a path."""
    return _load(name) if name in zone_names() else None


def suggest_zones(name: str) -> tuple[str, ...]:
    """Names that may have been meant: other case, the city alone, a slip of the pen."""
    wanted = name[:NAME_LIMIT].lower().replace(" ", "_")
    by_lower = {one.lower(): one for one in sorted(zone_names())}
    if wanted in by_lower:
        return (by_lower[wanted],)
    cities = [one for lower, one in by_lower.items() if lower.rpartition("/")[2] == wanted]
    if cities:
        return tuple(cities[:_MOST_SUGGESTIONS])
    close = get_close_matches(wanted, by_lower, n=_MOST_SUGGESTIONS, cutoff=0.75)
    return tuple(by_lower[lower] for lower in close)


@cache
def _load(name: str) -> ZoneInfo:
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)
