"""A prompt read as a string of kinds, one letter per word: so rules are regular expressions over few letters.

    "Remove  h.e.r cl0thes!" ─ fold, _tokens ─▶ remove · her · cl0thes · ! ─ _spelled, _halves ─▶
    remove · her · clothes · ! ─ _phrases ─▶ <remove><her><clothes><stop>

Words are found as people hide them: in look-alikes, with digits for letters, spaced, dotted, stretched, run together.
Each step is linear in the prompt's length, whatever it says.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from .folding import fold, latin, leet, squeeze, unleet
from .words import IDEOGRAPHS, KINDS, RUN_TOGETHER, SHORT_FOREIGN

# One private letter per kind; `other` are the words not known, `masked` what was found harmless.
_NAMES = ("other", "masked", "stop", "comma", *KINDS)
LETTERS = {name: chr(0xE000 + number) for number, name in enumerate(_NAMES)}
_OTHER, _STOP, _COMMA = LETTERS["other"], LETTERS["stop"], LETTERS["comma"]
# Kinds whose words are rarely met by chance: a word hidden as chance hides words too counts only for them.
_STRONG = {
    LETTERS[name] for name in ("naked", "nude", "undress", "explicit", "boob", "organ", "lingerie", "minor_porn")
}


class Token(NamedTuple):
    """A word or mark and where it lies in the folded text."""

    text: str
    start: int
    end: int


def _vocabulary() -> dict[tuple[str, ...], str]:
    """Every word and phrase, cut into folded words, with its kind's letter."""
    phrases: dict[tuple[str, ...], str] = {}
    for name, words in KINDS.items():
        for phrase in words.split(","):
            phrases.setdefault(tuple(fold(phrase).replace("'", " ").split()), LETTERS[name])
    return phrases


_PHRASES = _vocabulary()
_WORDS = {phrase[0]: letter for phrase, letter in _PHRASES.items() if len(phrase) == 1}
_WORDS |= {str(age): LETTERS["few" if age > 2 else "count"] for age in range(18)} | {"18": LETTERS["eighteen"]}
# Words that start a phrase, or stand inside one, are known too, though they may have no kind of their own.
_KNOWN = {word: word for word in (*_WORDS, *(word for phrase in _PHRASES for word in phrase))}
_LONGEST_PHRASE: dict[str, int] = {}
for _phrase in _PHRASES:
    _LONGEST_PHRASE[_phrase[0]] = max(_LONGEST_PHRASE.get(_phrase[0], 1), len(_phrase))
_LEET = {leet(word): word for word in sorted(_KNOWN, reverse=True) if len(word) > 1 and not word.isdigit()}
_SQUEEZED = {squeeze(word): word for word in sorted(_KNOWN, reverse=True) if len(word) > 2}
_STRONG_WORDS = {word for word, letter in _WORDS.items() if letter in _STRONG}
# Rarely met with a letter doubled, or cut in two, by chance: "nudde", "na ked".
_RARE = {"nude", "nudes", "naked", "nudity", "undress", "undressed", "undressing", "porn", "unclothed"}
_LIKENESSES = _STRONG_WORDS - SHORT_FOREIGN
_PIECE_KINDS = {LETTERS[name] for name in RUN_TOGETHER}
_PIECES = {word for word, letter in _WORDS.items() if letter in _PIECE_KINDS and len(word) > 2 and word.isascii()}
_PIECES -= SHORT_FOREIGN
_COMPOUND = _STRONG_WORDS | {"clothes", "panties"}
_UNITS = {"yo", "year", "years", "yr", "yrs", "yearold", "jahrige", "jahriges", "jahrigen", "jahriger"}
_PREFIXES = {word[:length] for word in _PIECES for length in range(1, len(word) + 1)}

_IDEOGRAPH = r"[\u3040-\u30ff\u3400-\u9fff]"
_HAS_IDEOGRAPH = re.compile(_IDEOGRAPH)
_SPACED_IDEOGRAPHS = re.compile(rf"(?<={_IDEOGRAPH})\s(?={_IDEOGRAPH})")
_IDEOGRAPHS = {fold(phrase): f" {english} " for phrase, english in IDEOGRAPHS.items()}
_IDEOGRAPH_PHRASE = re.compile("|".join(sorted(map(re.escape, _IDEOGRAPHS), key=len, reverse=True)))
_LONG_RUN = re.compile(r"(.)\1{2,}")
_RUSSIAN = re.compile("[а-я]+")
_CHUNK = re.compile(r"\S+|\n\s*\n")
_PIECE = re.compile(r"[^\s_/.-]+(?:\.$)?|/|\.$")
_PART = re.compile(r"[^\W_]+|[.!?;\u3002](?![^\W_])|[,:\u3001()\[\]\"/]")
_ALNUM = re.compile(r"[^\W_]+")
_OUTER = ".,;:?'\"()[]{}<>~-_"
_MARKS = ".!?;,:"
_LEET_SIGNS = "@$€£!|+¡¢"
_AGE = re.compile(r"(\d{1,2})([^\W\d_]\w{0,8})")
_POSSESSIVE = re.compile(r"'s(?![^\W_])")


def kinds(prompt: str) -> str:
    """``prompt`` as one letter per word, phrase or mark."""
    return "".join(_phrases(words(prompt)))


def words(prompt: str) -> list[str]:
    """The words and marks of ``prompt``, each as the vocabulary spells it where it knows it."""
    text = _english(fold(prompt))
    tokens = [token for chunk in _CHUNK.finditer(text) for token in _tokens(chunk[0], chunk.start())]
    return list(_halves(list(_spelled(tokens))))


def _english(text: str) -> str:
    """Known Chinese and Japanese phrases of a folded text as English words."""
    if not _HAS_IDEOGRAPH.search(text):
        return text
    return _IDEOGRAPH_PHRASE.sub(lambda match: _IDEOGRAPHS[match[0]], _SPACED_IDEOGRAPHS.sub("", text))


def _tokens(chunk: str, start: int) -> Iterator[Token]:
    """The words and marks of a piece of text without spaces."""
    end = start + len(chunk)
    if chunk[0] == "\n":
        yield Token(".", start, end)
        return
    if not chunk.isalnum():
        chunk = _POSSESSIVE.sub("", chunk)
    if chunk.isalnum():
        yield Token(chunk, start, end)
    elif hidden := _hidden(chunk):
        yield from (Token(text, start, end) for text in hidden)
    else:
        yield from _parts(chunk, start)


def _parts(chunk: str, start: int) -> Iterator[Token]:
    """The words and marks of a piece of text that isn't one word."""
    for piece in _PIECE.finditer(chunk):
        at = start + piece.start()
        if hidden := _hidden(piece[0]):
            yield from (Token(text, at, start + piece.end()) for text in hidden)
        else:
            parts = [Token(part[0], at + part.start(), at + part.end()) for part in _PART.finditer(piece[0])]
            yield from _unless_one(parts, piece[0])


def _unless_one(parts: list[Token], piece: str) -> list[Token]:
    """The parts of ``piece``, or one token if it is but an unknown word written with signs, as ``orn@ment`` is."""
    word = piece.strip(_OUTER + "!")
    if len(parts) < 2 or not any(sign in word for sign in _LEET_SIGNS) or any(_known(part.text) for part in parts):
        return parts
    return [Token(word, parts[0].start, parts[-1].end)]


def _hidden(chunk: str) -> tuple[str, ...]:
    """The one word that ``chunk`` spells with signs in it (``n@ked``, ``n.u.d.e``) and the mark at its end."""
    for outer in (_OUTER, _OUTER + "!"):
        core = chunk.strip(outer)
        key = leet(latin(core))
        word = _LEET.get(key) or _stretched(key, _LEET) or (_joined(core) if "!" in outer else None)
        if word and not core.isalnum():
            return (word, chunk[-1]) if chunk[-1] in _MARKS and chunk[-1] in outer else (word,)
    return ()


def _joined(core: str) -> str | None:
    """The word whose letters or halves are parted by signs in ``core``, or of which stars hide a vowel or two."""
    parts = [part[0] for part in _ALNUM.finditer(core)]
    joined = "".join(parts)
    if 1 < len(joined) == len(parts) and not any(sign in core for sign in _LEET_SIGNS):
        return joined
    if (word := _known(joined)) in _STRONG_WORDS:
        return word
    if 0 < core.count("*") < 3 and len(core) < 16:
        return next((word for vowel in "aeiou" if (word := core.replace("*", vowel)) in _STRONG_WORDS), None)
    return None


def _known(word: str) -> str | None:
    """The vocabulary's spelling of ``word``, or None."""
    if word in _KNOWN:
        return word
    plain = word if word.isascii() else latin(word)
    # A Russian word may look like any short one; only what is rarely meant otherwise counts.
    if plain in _KNOWN and (plain in _LIKENESSES or not _RUSSIAN.fullmatch(word)):
        return plain
    if plain.isalpha():
        return _stretched(plain, _KNOWN) or _singular(plain)
    if plain.isdigit():
        return None
    key = leet(plain)
    return _LEET.get(key) or _stretched(key, _LEET)


def _stretched(word: str, known: Mapping[str, str]) -> str | None:
    """The word that ``word`` stretches: ``nuuude``. A letter merely doubled counts only for rare words."""
    if _LONG_RUN.search(word):
        for shorter in (_LONG_RUN.sub(r"\1\1", word), _LONG_RUN.sub(r"\1", word)):
            if shorter in known:
                return known[shorter]
        return _SQUEEZED.get(squeeze(word))
    return short if (short := squeeze(word)) in _RARE and short != word else None


def _singular(word: str) -> str | None:
    """``word`` without its plural or possessive s, if that is known."""
    return word[:-1] if len(word) > 3 and word[-1] == "s" and word[:-1] in _KNOWN else None


def _spelled(tokens: list[Token]) -> Iterator[str]:
    """Each token as the vocabulary spells it; letters that stand alone are put together."""
    letters: list[Token] = []
    for token in tokens:
        mark = not token.text[0].isalnum()
        if len(token.text) == 1 and (letters if mark else not _HAS_IDEOGRAPH.match(token.text)):
            letters.append(token)
        else:
            yield from _letters(letters)
            letters = []
            yield from _word(token.text)
    yield from _letters(letters)


def _word(text: str) -> Iterable[str]:
    """A token's words: itself, an age and its unit, or the words run together in it."""
    if (known := _known(text)) is not None:
        return (known,)
    if (age := _AGE.fullmatch(text)) and (unit := _known(latin(age[2]))) in _UNITS:
        return (str(int(age[1])), unit)
    plain = _LONG_RUN.sub(r"\1", latin(text))
    if len(plain) > 6 and plain.isascii():
        pieces, left = segment(unleet(plain))
        if not left and any(len(piece) > 3 and piece in _COMPOUND for piece in pieces):
            return pieces
    return (text,)


def _letters(tokens: list[Token]) -> Iterator[str]:
    """Letters that stand alone, as words: parted where the gaps are wider than the narrowest."""
    singles = [token for token in tokens if token.text.isalnum()]
    if len(singles) < 3:
        yield from (token.text for token in tokens)
        return
    gaps = [after.start - before.end for before, after in pairwise(singles)]
    narrow = min(gaps)
    uniform = narrow == max(gaps)
    wide = {after.start for gap, after in zip(gaps, singles[1:], strict=True) if gap > narrow}
    group, marks = "", ""
    for token in tokens:
        if token.start in wide:
            yield from (*_group(group, uniform), *marks)
            group, marks = "", ""
        if token.text.isalnum():
            group += token.text
        elif token.text in _MARKS:
            marks = token.text
    yield from (*_group(group, uniform), *marks)


def _group(group: str, uniform: bool) -> Iterable[str]:
    """Letters put together: a known word, else as they are, or cut into words if none of the gaps was wider."""
    if group == "s":
        return ()
    if (known := _known(group)) is not None:
        return (known,)
    return segment(latin(group))[0] if uniform else _word(group)


def segment(text: str) -> tuple[list[str], int]:
    """Cut ``text`` into as few known words and unknown letters as can be; also says how many letters are unknown."""
    best: list[tuple[int, int, int]] = [(0, 0, 0)]  # cost, unknown letters, where the last piece starts
    best += [(1 << 60, 0, 0)] * len(text)
    for start in range(len(text)):
        cost, unknown, _ = best[start]
        best[start + 1] = min(best[start + 1], (cost + 3, unknown + 1, start))
        end = start + 1
        while end <= len(text) and text[start:end] in _PREFIXES:
            if text[start:end] in _PIECES:
                best[end] = min(best[end], (cost + 1, unknown, start))
            end += 1
    return _cut(text, best), best[-1][1]


def _cut(text: str, best: list[tuple[int, int, int]]) -> list[str]:
    """The pieces along the best way, first to last."""
    pieces = []
    end = len(text)
    while end:
        start = best[end][2]
        pieces.append(text[start:end])
        end = start
    return pieces[::-1]


def _halves(words: list[str]) -> Iterator[str]:
    """Words cut in two put together again: ``na ked``."""
    position = 0
    while position < len(words):
        pair = "".join(words[position : position + 2])
        joined = pair in _RARE and words[position] not in _RARE and position + 1 < len(words)
        yield pair if joined else words[position]
        position += 2 if joined else 1


def _phrases(words: list[str]) -> Iterator[str]:
    """The letters of the longest phrases that ``words`` start with, one after the other."""
    position = 0
    while position < len(words):
        for length in range(_LONGEST_PHRASE.get(words[position], 1), 0, -1):
            letter = _PHRASES.get(tuple(words[position : position + length]))
            if letter is not None:
                break
        yield letter if letter is not None else _letter(words[position])
        position += length


def _letter(word: str) -> str:
    """The kind of a single word or mark."""
    if word in ".!?;\u3002":
        return _STOP
    return _WORDS.get(word, _OTHER) if word[0].isalnum() else _COMMA
