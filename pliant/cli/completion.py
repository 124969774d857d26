"""The command `pliant completion`: a script that completes all of `pliant` in a shell.

The script holds every word that can be completed, so that nothing is started while the
user types. It is written again when Pliant, and what ships with it, has changed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

SHELLS = ("bash", "zsh")
FILES, ANYTHING = "@files", "@anything"
"""Last among words: that files may follow, or a value that nothing can be told of."""
Words = dict[str, tuple[str, ...]]
"""Words that may follow: the arguments of "COMMAND", its options under "COMMAND -", and
the values of an option under "COMMAND --OPTION"."""

_POLICIES = ("policies", "policy", "beside", "oracle")
_SCRIPT = """\
# Completion of pliant for {shell}, written by `pliant completion {shell}`.
_pliant_words() {{  # what may follow: COMMAND, COMMAND -, or COMMAND --OPTION
  case "$1" in
{cases}
  esac
}}
_pliant_several='{several}'
{adapter}"""
_BASH = """\
_pliant() {
  local line=${COMP_LINE:0:COMP_POINT} words current command key before known i last
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  current=${words[-1]} command="" COMPREPLY=()
  words=("${words[@]:1}")
  if (( ${#words[@]} > 1 )); then
    command=${words[0]} words=("${words[@]:1}")
  fi
  if [[ $command == bench ]] && (( ${#words[@]} > 1 )); then
    command="bench ${words[0]}" words=("${words[@]:1}")
  fi
  key=$command
  last=$(( ${#words[@]} - 2 ))
  for (( i = last; i >= 0; i-- )); do
    before="$command ${words[i]}"
    [[ ${words[i]} == --* ]] || continue
    if (( i == last )) || [[ $_pliant_several == *" $before "* ]]; then
      [[ -n $(_pliant_words "$before") ]] && key=$before
    fi
    break
  done
  [[ $current == -* ]] && key="$command -"
  known=$(_pliant_words "$key")
  COMPREPLY=($(compgen -W "${known%@*}" -- "$current"))
  if [[ $known == *@files* ]]; then
    compopt -o filenames 2>/dev/null
    COMPREPLY+=($(compgen -f -- "$current"))
  fi
  # to bash a colon ends a word: what is before it must not be said again
  if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*:}"}"}")
  fi
}
complete -F _pliant pliant
"""
_ZSH = """\
_pliant() {
  local command="" key before known i first=2 last
  if (( CURRENT > 2 )); then command=$words[2] first=3; fi
  if [[ $command == bench ]] && (( CURRENT > 3 )); then
    command="bench $words[3]" first=4
  fi
  key=$command
  last=$(( CURRENT - 1 ))
  for (( i = last; i >= first; i-- )); do
    before="$command $words[i]"
    [[ $words[i] == --* ]] || continue
    if (( i == last )) || [[ $_pliant_several == *" $before "* ]]; then
      [[ -n $(_pliant_words "$before") ]] && key=$before
    fi
    break
  done
  [[ $words[CURRENT] == -* ]] && key="$command -"
  known=$(_pliant_words "$key")
  compadd -- ${=known%@*}
  [[ $known == *@files* ]] && _files
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _pliant pliant
"""


@dataclass(frozen=True, kw_only=True)
class Completion:
    """Print a script that completes commands, options and names in bash or zsh.

    bash loads it from ~/.local/share/bash-completion/completions/pliant; for zsh, write
    it to a file that ~/.zshrc sources. Write it again after an update of Pliant.

    Example: pliant completion bash > pliant.bash && source pliant.bash
    """

    commands: ClassVar[Mapping[str, type[Any]]] = {}
    """The table of commands, which holds this one and is set where it is made."""
    shell: Literal["bash", "zsh"]
    """The shell."""

    def run(self) -> int:
        """Print the script."""
        print(script(self.shell, self.commands), end="")
        return 0


def script(shell: str, commands: Mapping[str, type[Any]]) -> str:
    """Return the script for a shell, bash or zsh.

    Args:
        shell: the shell.
        commands: the dataclass of each command but train.
    """
    found, several = _words(commands)
    cases = "\n".join(f"    '{k}') echo '{' '.join(v)}' ;;" for k, v in found.items())
    return _SCRIPT.format(
        shell=shell,
        cases=cases,
        several=f" {'  '.join(several)} ",
        adapter=_BASH if shell == "bash" else _ZSH,
    )


def _words(commands: Mapping[str, type[Any]]) -> tuple[Words, list[str]]:
    """Return all words, and the options that take several values."""
    names = _names()
    first = sorted({name.split()[0] for name in (*commands, "train")})
    found: Words = {
        "": tuple(first),
        " -": ("--help", "--version"),
        "train": names["family"],
        "bench": ("gpu", "suite"),
    }
    several: list[str] = []
    described = [(c, x, y) for c, kind in commands.items() for x, y in _fields(kind)]
    described += [("train", x, y) for x, y in _settings()]
    for command, field, hint in described:
        values = names.get(field.name) or _values(hint)
        flags = found.setdefault(f"{command} -", ("--help",))
        if command != "train" and _required(field):
            found[command] = (*found.get(command, ()), *values)
            continue
        flag = f"--{field.name.replace('_', '-')}"
        found[f"{command} -"] = tuple(dict.fromkeys((*flags, flag)))
        if hint is not bool:
            found[f"{command} {flag}"] = values or (ANYTHING,)
        if get_origin(hint) is tuple:
            several.append(f"{command} {flag}")
    return found, several


def _settings() -> Iterator[tuple[Field[Any], Any]]:
    """Yield the fields that are options of `pliant train`, of all methods."""
    from meta.recipes.registry import make_config
    from meta.registry import METHODS
    from pliant.cli.train import options_over
    from tasks.registry import FAMILIES

    for method in METHODS:
        kind, _ = options_over(make_config(next(iter(FAMILIES)), method))
        yield from ((x, y) for x, y in _fields(kind) if x.name != "family")


def _required(field: Field[Any]) -> bool:
    """Return whether a field has no default, and thus is an argument, no option."""
    return field.default is MISSING and field.default_factory is MISSING


def _names() -> Words:
    """Return the names that options of these names take."""
    from meta.registry import METHODS
    from meta.training.trained import SHIPPED, shipped_policies
    from tasks.objects.generator import KINDS
    from tasks.parameters import SPLITS
    from tasks.registry import FAMILIES

    policies = (*(f"{SHIPPED}{name}" for name in shipped_policies()), FILES)
    return {
        "family": tuple(FAMILIES),
        "families": tuple(FAMILIES),
        "method": tuple(METHODS),
        "methods": tuple(METHODS),
        "split": SPLITS,
        "kinds": tuple(KINDS),
        **dict.fromkeys(_POLICIES, policies),
    }


def _fields(kind: type[Any]) -> Iterator[tuple[Field[Any], Any]]:
    """Yield the fields that are options, those of settings in settings too."""
    hints = get_type_hints(kind)
    for field in fields(kind):
        hint = hints[field.name]
        if isinstance(hint, type) and is_dataclass(hint):
            yield from _fields(hint)
        else:
            yield field, hint


def _values(hint: Any) -> tuple[str, ...]:  # noqa: ANN401  (any type)
    """Return the values that a type allows, if they can be told."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return tuple(map(str, inner))
    if origin in (Union, UnionType, tuple):
        return tuple(dict.fromkeys(v for x in inner for v in _values(x)))
    return (FILES,) if hint is Path else ()
