"""Completion: what a shell itself offers after the words that a user has typed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pliant.cli.completion import SHELLS, script
from pliant.cli.main import COMMANDS
from tasks.registry import FAMILIES

OFFERED = [
    (
        "pliant ",
        "bench completion doctor evaluate export lie list live objects record replay "
        "repro",
    ),
    ("pliant ev", "evaluate"),
    ("pliant --v", "--version"),
    ("pliant train re", "reach-rotated"),
    ("pliant train strike --meth", "--method"),
    ("pliant train strike --method dr", "dr dr-memory dr-sb3"),
    ("pliant train strike --seed ", ""),
    ("pliant train strike --inner-b", "--inner-baseline"),
    ("pliant train strike --teacher-s", "--teacher-share"),
    ("pliant list --family ", " ".join(FAMILIES)),
    ("pliant list --family push --js", "--json"),
    ("pliant evaluate x --split ex", "extrapolation"),
    ("pliant evaluate x --device c", "cpu cuda"),
    (
        "pliant evaluate shipped:strike-or",
        "strike-oracle strike-oracle-seed1 strike-or",
    ),
    ("pliant evaluate x --beside y shipped:push-rm", "push-rma"),
    ("pliant evaluate --alone shipped:push-rm", "push-rma"),
    ("pliant objects --kinds box mu", "mug"),
    ("pliant bench ", "gpu suite"),
    ("pliant bench suite --methods o", "oracle"),
    ("pliant bench gpu --dev", "--device"),
    ("pliant replay b", "blow.npz"),
    ("pliant record x --out b", "blow.npz"),
    ("pliant completion ", "bash zsh"),
]
BASH = """\
source {script}
COMP_LINE='{line}' COMP_POINT={point}
_pliant
echo "${{COMPREPLY[*]}}"
complete -p pliant
"""


@pytest.mark.parametrize(("line", "expected"), OFFERED)
def test_bash_completes(tmp_path: Path, line: str, expected: str) -> None:
    (tmp_path / "blow.npz").touch()
    (tmp_path / "pliant.bash").write_text(script("bash", COMMANDS))
    text = BASH.format(script="pliant.bash", line=line, point=len(line))
    done = subprocess.run(
        ["bash", "--norc", "-c", text],
        capture_output=True,
        check=True,
        cwd=tmp_path,
        text=True,
    )
    offered, registered = done.stdout.splitlines()
    assert offered.startswith(expected)
    assert bool(offered) is bool(expected)
    assert (registered, done.stderr) == ("complete -F _pliant pliant", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_prints_a_script_that_the_shell_can_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    from pliant.cli.main import main

    assert main(["completion", shell]) == 0
    path = tmp_path / "script"
    path.write_text(capsys.readouterr().out)
    assert path.read_text() == script(shell, COMMANDS)
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    subprocess.run([shell, "-n", str(path)], check=True)


def test_zsh_completes(tmp_path: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("there is no zsh here")
    # in the place of zsh's own, which only work while a user types
    own = "compdef() { :; }; compadd() { print -r -- $@; }; _files() { print files; }"
    (tmp_path / "pliant.zsh").write_text(script("zsh", COMMANDS))
    for words, expected in (
        ("pliant ''", "-- bench completion doctor"),
        ("pliant train strike --method ''", "-- maml maml-plain dr"),
        ("pliant evaluate x --beside y ''", "-- shipped:cheetah-direction"),
        ("pliant bench suite --methods ''", "-- maml maml-plain dr"),
        ("pliant evaluate --", "-- --help --split --tasks"),
        ("pliant replay ''", "files"),
    ):
        count = len(words.split())
        text = f"{own}; source pliant.zsh; words=({words}) CURRENT={count}; _pliant"
        done = subprocess.run(
            ["zsh", "-f", "-c", text],
            capture_output=True,
            check=True,
            cwd=tmp_path,
            text=True,
        )
        assert expected in done.stdout
        assert done.stderr == ""
