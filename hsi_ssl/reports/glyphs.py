"""Letters that the usual font lacks: other installed fonts, else letters that it has.

Names of classes may be Chinese, Arabic or emoji; a picture would show boxes in their place, and
matplotlib would warn of each. Only pictures are changed: pages, maps and files keep every name.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter, NullFormatter, ScalarFormatter

from hsi_ssl.errors import PictureWarning

NO_FONTS = ("Last Resort", "LastResort", "Adobe Blank")
"""They have a box for every letter."""
NUMBERS = (LogFormatter, NullFormatter, ScalarFormatter)
"""What writes numbers, or nothing, beside an axis."""
UNSEEN = {"Cc", "Cf", "Mn", "Zl", "Zp"}
"""Categories of characters that show nothing by themselves."""
WORD = re.compile(r"(?:LETTER|SYLLABLE|LIGATURE|VOWEL SIGN) (?:SMALL )?([A-Z]+)")
"""The sound of a letter, in its name."""


def fit_fonts(figure: Figure) -> None:
    """Give texts of a figure the fonts that have their letters; replace those that none has.

    That letters were replaced is told as a `PictureWarning`, one for a figure.
    """
    told = False
    for text in _texts(figure):
        said = text.get_text()
        lacking = _lacking(said, _usual())
        if not lacking:
            continue
        found = _fonts_for(lacking)
        if found:
            text.set_fontfamily([*mpl.rcParams["font.family"], *found])
            lacking = frozenset(c for c in lacking if not any(ord(c) in _letters(f) for f in found))
        if lacking:
            shown = in_letters_of(said, lacking)
            text.set_text(shown)
            if not told:
                warnings.warn(
                    f"no installed font has all letters of {said!r}: pictures show {shown!r}, and "
                    "other names likewise; install a font that has them, Noto Sans say",
                    PictureWarning,
                    stacklevel=2,
                )
            told = True


def _texts(artist: Artist) -> Iterator[Text]:
    """Texts of an artist and of all that it holds, but for numbers that an axis makes itself.

    Those take most of the time, since ticks are made where they are asked for.
    """
    if isinstance(artist, Text):
        yield artist
    if isinstance(artist, Axis):
        yield artist.label
        if not isinstance(artist.get_major_formatter(), NUMBERS):
            for tick in artist.get_major_ticks():
                yield from _texts(tick)
        if not isinstance(artist.get_minor_formatter(), NUMBERS):
            for tick in artist.get_minor_ticks():
                yield from _texts(tick)
        return
    for child in artist.get_children():
        yield from _texts(child)


def in_letters_of(text: str, lacking: Iterable[str]) -> str:
    """A text with the letters in `lacking` put into ASCII: by sound, by name, else by number."""
    lacking = set(lacking)
    parts = [_spelt(letter) if letter in lacking else letter for letter in text]
    return re.sub(r"(?<=\])(?=\[)", " ", "".join(parts)).strip()


@contextmanager
def silent_glyphs() -> Iterator[None]:
    """Within it, matplotlib says nothing of letters that a font lacks.

    For texts that stay texts, whose letters the reader's fonts have.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+|.*missing from font")
        warnings.filterwarnings("ignore", message=r"Matplotlib currently does not support")
        yield


def _lacking(text: str, letters: frozenset[int]) -> frozenset[str]:
    """The characters of a text that a font lacks, without those that show nothing."""
    return frozenset(
        c for c in text if ord(c) not in letters and unicodedata.category(c) not in UNSEEN
    )


@cache
def _usual() -> frozenset[int]:
    """The letters of the font that figures are drawn with."""
    return frozenset(get_font(findfont(FontProperties())).get_charmap())


@cache
def _letters(family: str) -> frozenset[int]:
    """Code points of a font; none of one that cannot be used, as coloured emoji may not be."""
    # Not by findfont, which tells a log of every font that has no regular weight.
    path = next((font.fname for font in fontManager.ttflist if font.name == family), None)
    if path is None:
        return frozenset()
    try:
        return frozenset(get_font(path).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()


@cache
def _fonts_for(wanted: frozenset[str]) -> tuple[str, ...]:
    """Families of installed fonts that together have as many of the letters as any have."""
    families = sorted({font.name for font in fontManager.ttflist})
    left = {ord(c) for c in wanted}
    found: list[str] = []
    while left:
        usable = (f for f in families if f not in found and not f.startswith(NO_FONTS))
        best = max(usable, key=lambda family: len(left & _letters(family)), default=None)
        if best is None or not left & _letters(best):
            break
        left -= _letters(best)
        found.append(best)
    return tuple(found)


def _spelt(letter: str) -> str:
    """A letter in ASCII."""
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    if plain.strip():
        return plain
    name = unicodedata.name(letter, "")
    sound = WORD.search(name)
    if sound is not None:
        return sound[1].lower()
    if not name or "IDEOGRAPH" in name:
        return f"[{ord(letter):X}]"
    return f"[{name.lower()}]"
