"""What documents tell can be typed: commands parse, links and files exist, settings are known."""

from __future__ import annotations

import ast
import contextlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from typed import parse

import hsi_ssl
from hsi_ssl.catalog.entries import entries
from hsi_ssl.cli.main import COMMANDS, cli
from hsi_ssl.recipes import recipes
from hsi_ssl.settings import Project, load_project

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
GUIDES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
RECIPES = sorted((ROOT / "configs").glob("*.toml"))
LINKED = [*GUIDES, ROOT / "CHANGELOG.md", *sorted((ROOT / "reports").glob("*.md"))]
FOLDERS = "cli|configs|data_catalog|docs|findings|hsi_ssl|reports|tests"
README_LINES = 170


class Typed(NamedTuple):
    """What a document would have its reader type, and where it says so."""

    where: str
    text: str


class Block(NamedTuple):
    """A block of code: the line at which it starts, its language if told, its lines."""

    line: int
    language: str
    lines: list[str]


def blocks(text: str) -> Iterator[Block]:
    """Fenced blocks, and those that are indented by four blanks after an empty line."""
    fenced: Block | None = None
    indented: Block | None = None
    empty = True
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            if fenced:
                yield fenced
            fenced = None if fenced else Block(number + 1, line[3:].strip(), [])
        elif fenced:
            fenced.lines.append(line)
        elif line.startswith("    ") and (indented or empty):
            indented = indented or Block(number, "", [])
            indented.lines.append(line[4:])
        elif line.strip() and indented:
            yield indented
            indented = None
        elif indented:
            indented.lines.append("")
        empty = not line.strip()
    if indented:
        yield indented


def prose(text: str) -> str:
    """The text without its blocks, each line in its place."""
    lines = text.splitlines()
    for block in blocks(text):
        for i in range(block.line - 1, block.line - 1 + len(block.lines)):
            lines[i] = ""
    return "\n".join("" if line.startswith("```") else line for line in lines)


def spans(path: Path) -> Iterator[Typed]:
    """Code within the sentences of a document."""
    text = prose(path.read_text(encoding="utf-8"))
    if path.suffix == ".toml":
        text = re.sub(r"^# ?", "", text, flags=re.M)
    for found in re.finditer(r"`([^`]+)`", text):
        line = text.count("\n", 0, found.start()) + 1
        yield Typed(f"{path.name}:{line}", " ".join(found.group(1).split()))


def in_blocks(path: Path) -> Iterator[Typed]:
    """Lines of a document's blocks of code that call the command line."""
    for block in blocks(path.read_text(encoding="utf-8")):
        for i, line in enumerate(block.lines):
            typed = re.sub(r"^(srun )?torchrun .* -m hsi_ssl\.cli ", "hsi-ssl ", line)
            if typed.startswith("hsi-ssl "):
                yield Typed(f"{path.name}:{block.line + i}", typed)


def in_recipes() -> Iterator[Typed]:
    """The commands that head every recipe."""
    for path in RECIPES:
        for line in re.findall(r"^# +(hsi-ssl .+)$", path.read_text(encoding="utf-8"), re.M):
            yield Typed(path.name, line)


def in_help() -> Iterator[Typed]:
    """The examples in the help of every command."""
    for command in commands(cli):
        for line in (command.help or "").splitlines():
            if line.strip().startswith("hsi-ssl "):
                yield Typed(f"{command.name} --help", re.split(r" {3,}", line.strip())[0])


def commands(command: click.Command) -> Iterator[click.Command]:
    """A command, and all that are within it."""
    yield command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner)


SHOWN = [typed for path in GUIDES for typed in in_blocks(path)]
SAID = [
    typed
    for path in [*GUIDES, *RECIPES]
    for typed in spans(path)
    if re.match(rf"hsi-ssl [a-z]|({'|'.join(COMMANDS)}) \S", typed.text)
]


@pytest.mark.parametrize(
    "typed", [*SHOWN, *in_recipes(), *in_help()], ids=lambda typed: typed.where
)
def test_what_is_to_be_typed_parses(typed: Typed) -> None:
    for words in parse(typed.text):
        match words:
            case ["init" | "demo", recipe] if not recipe.startswith("-"):
                assert recipe in recipes()
            case ["catalog", "show" | "fetch", name]:
                assert name in entries()


@pytest.mark.parametrize("typed", SAID, ids=lambda typed: typed.where)
def test_commands_within_sentences_parse(typed: Typed) -> None:
    with contextlib.suppress(click.MissingParameter):  # a sentence may say the rest in its words
        parse("hsi-ssl " + typed.text.removeprefix("hsi-ssl "))


@pytest.mark.parametrize(
    "wrong",
    [
        "hsi-ssl prepares",
        "hsi-ssl prepare --labelling polygons.gpkg",
        "hsi-ssl prepare --cap many",
        "hsi-ssl train-m2 --model forest",
        "hsi-ssl suggest runs/m2",
        "hsi-ssl info a.tif b.tif",
        "hsi-ssl generate runs/m2 --pixel core.h5 120",
        "hsi-ssl prepare && hsi-ssl catalog fetched",
    ],
)
def test_what_cannot_be_typed_does_not_parse(wrong: str) -> None:
    with pytest.raises(click.UsageError):
        parse(wrong)


def test_every_command_is_shown() -> None:
    assert {words[0] for typed in SHOWN for words in parse(typed.text)} == set(COMMANDS)


def test_every_option_that_is_named_exists() -> None:
    known = {
        option
        for command in commands(cli)
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in (*parameter.opts, *parameter.secondary_opts)
    } | {"--help"}
    named = [typed for path in GUIDES for typed in spans(path) if re.match(r"--?[a-z]", typed.text)]
    assert named
    assert [typed for typed in named if typed.text.split()[0] not in known] == []


def anchors(path: Path) -> set[str]:
    """What headings are called in links, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", prose(path.read_text(encoding="utf-8")), re.M)
    return {
        re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("path", LINKED, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    text = prose(path.read_text(encoding="utf-8"))
    for target, _, anchor in re.findall(r"\]\(([^)#\s]*)(#([^)\s]+))?\)", text):
        if re.match(r"\w+://", target):
            continue
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), target
        assert file.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(file), f"{target}#{anchor}"


@pytest.mark.parametrize("path", LINKED, ids=lambda path: path.name)
def test_files_that_are_named_exist(path: Path) -> None:
    named = [typed for typed in spans(path) if re.fullmatch(rf"({FOLDERS})/[\w./-]+", typed.text)]
    assert [typed for typed in named if not (ROOT / typed.text).exists()] == []


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_modules_that_are_named_exist(path: Path) -> None:
    modules = ["/" + file.relative_to(ROOT).as_posix() for file in ROOT.glob("[!.]*/**/*.py")]
    for where, text in spans(path):
        if re.fullmatch(r"[\w/]+\.py", text):
            assert any(module.endswith("/" + text) for module in modules), where


def test_files_to_begin_with_are_in_their_folders() -> None:
    rows = re.findall(
        r"^\| `([\w/]+)` \| [^|]+ \| ([^|]+) \| [^|]* \|$",
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Conventions")[0],
        re.M,
    )
    files = [ROOT / folder / name for folder, cell in rows for name in re.findall(r"`(.+?)`", cell)]
    assert files
    assert [file for file in files if not file.is_file()] == []
    packages = {f"hsi_ssl/{path.parent.name}" for path in (ROOT / "hsi_ssl").glob("*/__init__.py")}
    assert packages <= {folder for folder, _ in rows}


def test_settings_that_are_named_exist(tmp_path: Path) -> None:
    sections = {name: type(getattr(Project(), name)) for name in Project.model_fields}
    known = {field for section in sections.values() for field in section.model_fields}
    for path in GUIDES:
        for where, text in spans(path):
            if section := re.fullmatch(r"\[(\w+)\]", text):
                assert section.group(1) in sections, where
            if setting := re.fullmatch(r"([a-z_]+) = .+", text):
                assert setting.group(1) in known, where
        for block in blocks(path.read_text(encoding="utf-8")):
            if block.language == "toml":
                if block.lines[0].startswith("[project"):  # of another package's pyproject.toml
                    tomllib.loads("\n".join(block.lines))
                    continue
                project = tmp_path / "hsi-ssl.toml"
                project.write_text("\n".join(block.lines), encoding="utf-8")
                load_project(project)


def test_python_in_documents_is_python_and_names_what_is_there() -> None:
    found = 0
    for path in GUIDES:
        for block in blocks(path.read_text(encoding="utf-8")):
            code = "\n".join(block.lines).replace("-m hsi_ssl.cli ", "")
            if block.language == "toml" or ("hsi_ssl." not in code and "run." not in code):
                continue
            ast.parse(code)
            names = set(re.findall(r"\bhsi_ssl\.(\w+)", code))
            assert names <= set(hsi_ssl.__all__), path.name
            found += 1
    assert found


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    contents = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) < README_LINES
    for page in PAGES:
        if page.name != "README.md":
            assert f"](docs/{page.name})" in readme
            assert f"]({page.name})" in contents
            first = next(blocks(page.read_text(encoding="utf-8")))
            assert first.lines
