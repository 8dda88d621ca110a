"""Text folded to what a reader sees: one case, one form, no invisible characters, look-alikes undone.

``ＮＵＤＥ``, ``n\\u200bude``, ``ñüđé`` and ``NUDE`` all fold to ``nude``. Folding goes character by character: its time
is linear in the text's length, and no character changes how its neighbours are read.
"""

import re
import unicodedata
from functools import lru_cache

# Letters that Unicode doesn't take apart though they are read as these.
_LATIN = {
    "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ŋ": "n", "ŧ": "t",
    "ƙ": "k", "ƴ": "y", "ƿ": "w", "ɑ": "a", "ɐ": "a", "ɒ": "a", "ʌ": "a", "ɓ": "b", "ƀ": "b", "ɕ": "c", "ɔ": "o",
    "ɗ": "d", "ɖ": "d", "ə": "e", "ɛ": "e", "ɘ": "e", "ɜ": "e", "ǝ": "e", "ɡ": "g", "ɠ": "g", "ɢ": "g", "ɦ": "h",
    "ɥ": "h", "ʜ": "h", "ɨ": "i", "ɩ": "i", "ɪ": "i", "ʝ": "j", "ɟ": "j", "ʞ": "k", "ɫ": "l", "ɭ": "l", "ʟ": "l",
    "ɯ": "m", "ɱ": "m", "ɲ": "n", "ɳ": "n", "ɴ": "n", "ƞ": "n", "ɵ": "o", "ɸ": "o", "ʀ": "r", "ɹ": "r", "ɾ": "r",
    "ʁ": "r", "ʂ": "s", "ʃ": "s", "ꜱ": "s", "ʈ": "t", "ʇ": "t", "ʉ": "u", "ʊ": "u", "ʋ": "v", "ʍ": "w", "ʎ": "y",
    "ʏ": "y", "ʐ": "z", "ʑ": "z", "ʙ": "b", "ᴀ": "a", "ᴃ": "b", "ᴄ": "c", "ᴅ": "d", "ᴇ": "e", "ᴊ": "j", "ᴋ": "k",
    "ᴌ": "l", "ᴍ": "m", "ᴎ": "n", "ᴏ": "o", "ᴘ": "p", "ᴛ": "t", "ᴜ": "u", "ᴠ": "v", "ᴡ": "w", "ᴢ": "z",
    "’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'",
}  # fmt: skip
# Letters of other alphabets that look like these. Kept by `fold`, since a Russian word is Russian; see `latin`.
_FOREIGN = {
    # Cyrillic
    "а": "a", "в": "b", "г": "r", "е": "e", "є": "e", "э": "e", "з": "e", "и": "u", "і": "i", "ј": "j", "к": "k",
    "ӏ": "l", "м": "m", "н": "h", "о": "o", "п": "n", "р": "p", "с": "c", "т": "t", "у": "y", "ү": "y", "ф": "o",
    "х": "x", "ц": "u", "ч": "y", "ш": "w", "щ": "w", "ъ": "b", "ы": "bi", "ь": "b", "ѕ": "s", "ԁ": "d", "һ": "h",
    "ԛ": "q", "ԝ": "w", "я": "r", "ѵ": "v", "ғ": "f", "ԍ": "g", "ҝ": "k", "қ": "k", "ө": "o",
    # Greek
    "α": "a", "β": "b", "γ": "y", "δ": "d", "ε": "e", "ζ": "z", "η": "n", "θ": "o", "ι": "i", "κ": "k", "λ": "l",
    "μ": "m", "ν": "v", "ο": "o", "π": "n", "ρ": "p", "σ": "s", "τ": "t", "υ": "u", "φ": "o", "χ": "x", "ω": "w",
    "ϲ": "c", "ϳ": "j",
    # Armenian
    "ա": "w", "գ": "q", "զ": "q", "հ": "h", "յ": "j", "ո": "n", "ս": "u", "ց": "g", "ք": "p", "օ": "o", "ե": "e",
    # Cherokee
    "Ꭺ": "a", "Ᏼ": "b", "Ꮯ": "c", "Ꭰ": "d", "Ꭼ": "e", "Ꮐ": "g", "Ꮋ": "h", "Ꭵ": "i", "Ꭻ": "j", "Ꮶ": "k", "Ꮮ": "l",
    "Ꮇ": "m", "Ꮲ": "p", "Ꭱ": "r", "Ꮪ": "s", "Ꭲ": "t", "Ꮩ": "v", "Ꮃ": "w", "Ꮓ": "z",
}  # fmt: skip
_LATIN_OF = str.maketrans(_FOREIGN)
_LEET_OF = str.maketrans("0123456789@$€£!|+¡¢", "oizeasgtbgaseiiitic")
_FILLERS = "\u115f\u1160\u3164\uffa0\u2800"  # letters and a sign without any ink
_LONGEST = 4  # a few signs unfold to whole sentences, which would let a text grow eighteen-fold
_RUN = re.compile(r"(.)\1+", re.DOTALL)


def fold(text: str) -> str:
    """``text`` in one case and form, without marks and invisible characters; each white space is one space or newline.

    Takes any text, lone surrogates included. The same for ``text`` in another case or with invisible characters put in.
    """
    if text.isascii():
        return text.lower().translate(_CONTROLS)
    return text.translate({ord(char): _fold(char) for char in set(text)})


def latin(word: str) -> str:
    """A folded ``word`` with letters of other alphabets replaced by the Latin ones that they look like."""
    return word.translate(_LATIN_OF)


def unleet(word: str) -> str:
    """``word`` with digits and signs replaced by the letters that they are written for."""
    return word.translate(_LEET_OF)


def leet(word: str) -> str:
    """The key under which spellings such as ``c10th35`` and ``clothes`` meet: 1 stands for i and for l."""
    return unleet(word).replace("l", "i")


def squeeze(word: str) -> str:
    """``word`` with each run of one letter shortened to one."""
    return _RUN.sub(r"\1", word)


@lru_cache(maxsize=4096)
def _fold(char: str) -> str:
    """What one character becomes; a sign that stands for a whole phrase becomes a space."""
    if char.isspace():
        return "\n" if char in "\n\v\f\x85\u2028\u2029" else " "
    if char in _FILLERS:
        return ""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char.casefold()).casefold())
    if len(folded) > _LONGEST:
        return " "
    return "".join(_LATIN.get(part, part) for part in folded if _has_ink(part))


def _has_ink(char: str) -> bool:
    """Whether ``char`` is seen by itself: not a mark, a format or control character, or half of one."""
    return unicodedata.category(char) not in {"Mn", "Me", "Cf", "Cc", "Cs"} and char not in _FILLERS


_CONTROLS = {code: _fold(chr(code)) for code in (*range(32), 96, 127)}
