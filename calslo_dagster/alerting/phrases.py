"""Text for small screens: one line, no hidden characters, cut between words."""

import unicodedata
from typing import Final

ELLIPSIS: Final = "…"
# Format characters reorder or hide text, surrogates cannot be encoded, the others begin a new line or ring a bell.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# The two joiners are format characters too, but emoji and several scripts fall apart without them.
_JOINERS: Final = "\u200c\u200d"
_BREAKS: Final = ",;/"
# A cut that loses more than this share of the room to spare a word loses more than the word.
_LEAST_KEPT: Final = 0.6
# Further back than any written character reaches; marks piled higher are no writing.
_LONGEST_CLUSTER: Final = 16


def one_line(text: str, most: int) -> str:
    """Return the text in one line of at most `most` characters: white space is one space, hidden characters escaped."""
    # What is made visible only grows, so nothing beyond this can be shown.
    head = " ".join(text.split())[: most + _LONGEST_CLUSTER]
    return shorten(visible(head), most)


def several_lines(text: str, most: int) -> str:
    """Return the lines without hidden characters, never two empty ones in a row, cut after a line if it can be."""
    lines = [visible(line.replace("\t", " ").rstrip()) for line in text.splitlines()]
    whole = "\n".join(line for i, line in enumerate(lines) if line or (i and lines[i - 1])).strip("\n")
    if len(whole) <= most:
        return whole
    end = whole.rfind("\n", 0, most - 1)
    return f"{whole[:end]}\n{ELLIPSIS}" if end > most * _LEAST_KEPT else shorten(whole, most)


def visible(text: str) -> str:
    """Return the text with every character that hides, reorders, rings or cannot be encoded written as its number."""
    return text if text.isascii() and text.isprintable() else "".join(map(_visible, text))


def unfit(text: str) -> str:
    """Return why no database can keep the text, empty if it can: PostgreSQL takes no NUL, UTF-8 no half of a pair."""
    wrong = next((one for one in text if one == "\0" or "\ud800" <= one <= "\udfff"), None)
    return "" if wrong is None else f"it has the character U+{ord(wrong):04X}, which no database keeps; leave it out"


def shorten(text: str, most: int) -> str:
    """Return the text with at most `most` characters, an ellipsis in place of what is left out."""
    if len(text) <= most:
        return text
    room = max(0, most - len(ELLIPSIS))
    end = next((i for i in range(room, 0, -1) if _is_break(text, i)), 0)
    if end < room * _LEAST_KEPT:
        end = _between_characters(text, room)
    return f"{text[:end].rstrip(f' -{_BREAKS}')}{ELLIPSIS}"[:most]


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN or character in _JOINERS:
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _is_break(text: str, at: int) -> bool:
    """Whether a word ends there; a comma within a number is no break, or 1,240 would be cut to 1."""
    return text[at] == " " or (text[at] in _BREAKS and not text[at + 1 : at + 2].isdigit())


def _between_characters(text: str, end: int) -> int:
    """Return the last place up to `end` that does not tear a mark, a skin tone or a joined emoji off its base."""
    for place in range(end, max(0, end - _LONGEST_CLUSTER), -1):
        if not _continues(text[place]) and text[place - 1] != "\u200d":
            return place
    return end


def _continues(character: str) -> bool:
    is_skin_tone = "\U0001f3fb" <= character <= "\U0001f3ff"
    return is_skin_tone or character in _JOINERS or unicodedata.category(character).startswith("M")
