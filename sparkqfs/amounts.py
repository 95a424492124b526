"""A number with its noun, as a sentence has it."""

from __future__ import annotations


def amount(count: int, noun: str, many: str | None = None) -> str:
    """`1 file`, `2 files`, `1,234 files`; `many` is the plural of a noun that does not just take an s."""
    return f"{count:,} {noun if count == 1 else many or f'{noun}s'}"
