"""Parsing of a command's options into its dataclass, by tyro.

tyro complains in a box of several lines, and wraps neither a description nor a field's
docstring of several lines. Both are mended here.
"""

import ast
import contextlib
import inspect
import io
import itertools
import re
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeVar

import tyro
from tyro import conf

T = TypeVar("T")
CONFIG = (conf.PositionalRequiredArgs, conf.FlagCreatePairsOff, conf.DisallowNone)
SETTINGS = (conf.OmitArgPrefixes,)
"""For settings that hold other settings: all are options on one level."""

File = Annotated[Path | None, conf.arg(metavar="FILE")]
Folder = Annotated[Path | None, conf.arg(metavar="FOLDER")]
Files = Annotated[tuple[Path, ...], conf.arg(metavar="FILE...")]
Policies = Annotated[tuple[str, ...], conf.arg(metavar="POLICY...")]
Policy = Annotated[str, conf.arg(metavar="POLICY")]
Name = Annotated[str | None, conf.arg(metavar="NAME")]
Text = Annotated[str | None, conf.arg(metavar="TEXT")]
Names = Annotated[str, conf.arg(metavar="NAME,NAME...")]
Numbers = Annotated[str, conf.arg(metavar="N,N...")]
Hidden = conf.Suppress[conf.Fixed[str]]
"""A field that is no option."""
Flag = conf.FlagCreatePairsOff[bool]
_ALONE = re.compile(
    r"(^  --[\w-]+(?!\S)(?:(?!^  -).)*?)\s*\(default:\s+False\)", re.M | re.S
)
"""The help of a flag without its opposite, and that it is off by default."""


def parse(
    kind: type[T],
    argv: list[str],
    prog: str,
    *,
    config: tuple[Any, ...] = CONFIG,
    default: T | None = None,
) -> T:
    """Parse options.

    Args:
        kind: a dataclass; its docstring is the help, those of its fields the options'.
        argv: what the user typed after `prog`.
        prog: the command, as the user typed it.
        config: tyro's markers.
        default: values of the options that are not given.

    Raises:
        ValueError: if the options cannot be parsed; the message is one line.
        SystemExit: after printing help.
    """
    _join_docstrings(kind)
    complaint, shown = io.StringIO(), io.StringIO()
    given: Any = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(shown):
            return tyro.cli(kind, args=argv, prog=prog, config=config, **given)
    except SystemExit as done:
        if done.code:
            said = unboxed(complaint.getvalue())
            raise ValueError(f"{said}; see {prog} --help") from None
        print(_for_people(shown.getvalue()), end="")
        raise


def unboxed(text: str) -> str:
    """Return the sentences in a box of tyro's, without its title and its advice."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    # a terminal without box characters gets a title and dashes instead
    plain = re.sub(r"\A.*\n *-+ *\n", "", plain)
    kept: list[str] = []
    for line in (line.strip("│ ") for line in plain.splitlines()):
        if line.startswith(("Argument helptext", "For full helptext")):
            break
        if line.strip("-─") and not line.startswith(("╭", "╰")):
            kept.append(line)
    said = " ".join(" ".join(kept).split())
    said = re.sub(r" Perhaps you meant: (--[\w-]+).*", r"; did you mean \1?", said)
    return re.sub(r"^Error parsing (?!-)\S+: ", "", said).rstrip(".")


def _for_people(text: str) -> str:
    """Break lines that are wider than the terminal, and drop defaults that say nothing.

    Captured, tyro draws no boxes.
    """
    width = shutil.get_terminal_size().columns
    text = re.sub(r"\s*\(default:\s+(None|''|)\)", "", text)
    # a flag that can only be given is off without it
    text = re.sub(_ALONE, r"\1", text)
    lines = [
        line if len(line) <= width else textwrap.fill(line, width)
        for line in map(str.rstrip, text.splitlines())
    ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _join_docstrings(kind: type[Any]) -> None:
    """Hand tyro the fields' docstrings as one line each."""
    docs: dict[str, str] = {}
    for base in (b for b in reversed(kind.__mro__) if is_dataclass(b)):
        docs |= dict(_docstrings(base))
    for field in fields(kind):
        _describe(field, docs.get(field.name))
        if isinstance(field.type, type) and is_dataclass(field.type):
            _join_docstrings(field.type)


def _describe(field: Field[Any], doc: str | None) -> None:
    if doc:
        field.metadata = MappingProxyType({**field.metadata, "help": doc})


def _docstrings(kind: type[Any]) -> Iterator[tuple[str, str]]:
    """Yield the names of a class's own fields, and their docstrings on one line."""
    [tree] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    for statement, following in itertools.pairwise(tree.body):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, " ".join(text.split())
            case _:
                pass
