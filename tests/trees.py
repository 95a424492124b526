"""Syntax trees of the repository's files: dozens of tests look at each, and it is parsed and walked once."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

_WALKED: dict[int, tuple[ast.Module, list[ast.AST]]] = {}
"""By the tree's id, which is nobody else's as long as the tree is kept here."""


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def walk(node: ast.AST) -> list[ast.AST]:
    """As `ast.walk`; what is in a file's tree is looked for once."""
    if not isinstance(node, ast.Module):
        return list(ast.walk(node))
    if id(node) not in _WALKED:
        _WALKED[id(node)] = (node, list(ast.walk(node)))
    return _WALKED[id(node)][1]
