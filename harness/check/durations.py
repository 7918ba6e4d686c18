"""Durations as Harness writes them."""

import re

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds(text: str) -> int | None:
    """`1h 30m` in seconds; nothing where it is no duration."""
    parts = re.findall(r"(\d+)([smhdw])", str(text))
    if not parts or re.sub(r"\d+[smhdw]|\s", "", str(text)):
        return None
    return sum(int(number) * _UNITS[unit] for number, unit in parts)
