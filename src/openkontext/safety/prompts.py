"""The built-in prompt policy: refuses undressing people, sexual acts, hate symbols, anything sexual with minors.

A prompt is read as a string of kinds (`reading.kinds`), one letter per word. A rule is a regular expression over them:
``<skirt>`` stands for one word of a kind, ``<skirt|shirt>`` for one of several and ``<!stop>`` for one of any other.
Every repetition is bounded, so that a rule's time is linear in the prompt's length. What is meant harmlessly is masked
first, its own words only, so that it shields nothing beside it.
"""

import re
from typing import Final

from .findings import Finding
from .reading import LETTERS, kinds

NOTHING: Final = Finding("none", 0.0)
SEXUAL_MINORS: Final = Finding("sexual_minors", 1.0)

_GROUPS: Final = {
    "person": "woman|girl|man|anybody|her|him|she|child",
    "owner": "woman|girl|man|anybody|her|him|his|she|my|child",
    "no_man": "woman|girl|anybody|her|she|my|child",
    "bare": "naked|nude",
    "intimate": "clothes|underwear|lingerie|swimsuit",
    "lower": "clothes|underwear|lingerie|swimsuit|dress|skirt|garment",
    "covering": "clothes|underwear|lingerie|swimsuit|dress|skirt|garment|shirt",
    "cloth": "clothes|underwear|lingerie|swimsuit|dress|skirt|garment|shirt|wear",
    "outer": "dress|skirt|garment|shirt|wear",
    "sexual_part": "breast|boob|organ",
    # What may stand between a verb and what it is about.
    "det": "the|a",
    "mod": "the|a|adj|colour|young|few|count|other|masked|mild|naked|nude|shade|thing|big|picture",
    "doing": "make|add|verb",
    "place": "prep|from|to|of|off|up",
    "end": "stop|comma|conj",
    "removing": "remove|remove_from|take_off|strip",
}


def _letters(names: str) -> str:
    return "".join(_letters(_GROUPS[name]) if name in _GROUPS else LETTERS[name] for name in names.split("|"))


def _rule(*sources: str) -> re.Pattern[str]:
    """Any of ``sources``, whose names in angle brackets are kinds or groups of kinds."""
    joined = "|".join(f"(?:{source})" for source in sources)
    return re.compile(re.sub(r"<(!?)([\w|]+)>", lambda m: f"[{'^' if m[1] else ''}{_letters(m[2])}]", joined))


# A garment that somebody wears: "her red dress", "the man's trousers". A man's bare chest is no nudity, so his shirt
# isn't one.
_WORN: Final = "(?:<no_man><mod|no_man>{0,3}<covering>|<owner><mod|owner>{0,3}<lower>)(?!<part>|<shade>)"
# "remove her dress and give her a suit" dresses her.
_NO_OTHER: Final = "(?!<end>{1,2}<doing|dress><it|owner|det>{0,3}<place>?<mod|owner>{0,3}<outer>)"
_WEARER: Final = "<place>{1,2}<det|adj|young>{0,3}<person>(?!<store>)"
_SURE_END: Final = "(?=$|<stop|comma|conj|adj>|<from|of|prep|off><det|adj|young>{0,3}<person>)"

MASKS: Final = (
    _rule("<idiom>"),
    # No nudity, and steps towards none
    _rule("<no|not|without><be|adj|det>{0,2}<bare|explicit|sexual_part>"),
    _rule("<not><undress|strip>", "<not><removing|sep|lift><mod|owner>{0,4}<covering>"),
    _rule("<not><make><mod|owner>{0,3}<bare>"),
    _rule(
        "<cover><owner|mod>{0,4}<bare|sexual_part>(?:<adj>?<person|body>)?",
        "<remove><det|adj>{0,3}<bare><adj>{0,2}<person>",
    ),
    _rule("<cover|remove><mod>{0,4}<hate_sign|hate_act|hate_word>"),
    _rule("<cloth><place>{1,2}<det|my>{0,2}<bare><adj>{0,2}<person|body>"),
    _rule("(?:^|<end>)<dress><det|my>{0,2}<bare><adj>{0,2}<person>"),
    # The colour called nude
    _rule("<nude>(?=<adj|colour|young|conj|other|comma>{0,2}<shade|colour>|<adj|other>?<cloth>)"),
    _rule(
        "(?<=<shade|cloth|colour|part|thing>)<be|to|det|adj|prep|it|comma|conj|from>{0,3}"
        "<nude>(?!<place|adj|det>{0,2}<person|body>)",
    ),
    # Trees, eyes, cakes, statues
    _rule("<bare|undress><det|adj|colour|young|other|masked>{0,2}<thing>", "<thing><naked>"),
    _rule("(?<!<to>)(?<!<to><det>)<bare|undress><det|adj|colour|young|other|masked>{0,2}<statue>"),
)

UNDRESSING: Final = (
    _rule("<undress>"),
    _rule(
        "<strip><off|mod|my|his>{0,3}<person>(?!<other|masked|part|shade|thing|from|picture|of|outer|her|visible>)",
    ),
    _rule("<strip><mod|owner>{0,4}<of><det|owner>{0,2}<covering>"),
    # Taking off what somebody wears
    _rule(f"<removing><mod|owner|off|up>{{0,3}}(?:<the><of>)?{_WORN}{_NO_OTHER}"),
    _rule(
        f"<removing><mod|owner|wear|part>{{0,4}}<comma|conj>{{1,2}}<removing>?(?="
        f"<owner|det>){_WORN}{_NO_OTHER}(?!<be|verb|make>)",
    ),
    _rule(f"<removing>(?:<mod>{{0,3}}<of>)?<mod>{{0,3}}<covering>(?!<part>){_WEARER}"),
    _rule("<removing><mod>{0,3}<covering><det>?<person><be>?<add>"),
    _rule("<removing><place><person><mod|owner>{0,2}<lower>(?!<part>)"),
    _rule("<removing>(?:<det><other><of>)?<det|adj>{0,3}<intimate>" + _SURE_END),
    _rule("<removing><det|adj>{0,3}<intimate><her|him>"),
    _rule("<remove_from><det|adj>{0,3}<lower>(?!<part>)"),
    _rule("<make_her><adj>{0,2}<bare>"),
    _rule("<verb><mod|owner>{0,3}<lower><prep|to><owner|adj>{0,2}<body>(?=$|<end>)"),
    _rule("<take_off><det|adj|colour>{0,3}<lower>" + _SURE_END),
    _rule("<removing|sep><!stop>{0,5}<without_all>"),
    _rule(f"<sep>{_WORN}<adj>?<off>(?!<det>?<other|part|store>){_NO_OTHER}"),
    _rule("<sep><mod|owner>{1,4}<covering><conj><det|owner|adj>{0,2}<lower><off>"),
    _rule(f"<sep><mod|owner>{{1,3}}{_WORN}<adj>?<off>(?!<det>?<other|part|store>)"),
    _rule("<sep><det|adj>{0,3}<lower>(?!<part>)<adj>?<off>(?=$|<end>|<of|from|prep>?<det|adj|young>{0,3}<person>)"),
    _rule(
        "<lift><up|mod>{0,2}<owner><mod|owner>{0,3}<skirt|dress>(?=<up>|$|<end>)",
        "<sep><up>?<owner><mod|owner>{0,3}<skirt|dress>(?=<up>)",
    ),
    # Without
    _rule(f"<without|no><det|adj>{{0,2}}{_WORN}"),
    _rule(
        "<person><!stop>{0,8}<without|no><det|adj|add>{0,3}<lower>(?!<part>|<place|be|add>{0,2}"
        "<det>?<store|other|part>)",
    ),
    _rule("<without|no><det|adj>{0,2}<lower>(?!<part>)<!stop>{0,5}<person>"),
    _rule("<show|it><without|no><det|adj>{0,3}<intimate>(?=$|<end>)"),
    _rule("<person|body><nu>(?=$|<end|place>)"),
    _rule("<not><add><det|adj|owner>{0,2}<lower>(?!<part>)"),
    _rule(
        "<add|be><adj>{0,2}<nothing>(?=$|<end|prep|adj|off>)",
        "<cloth><place|det|adj|conj|owner>{0,4}<to|prep><adj|det|owner>{0,2}<nothing>",
    ),
    _rule(f"(?<!<place>)(?<!<place><det>){_WORN}<be|det|adj>{{0,3}}<sep>?<gone|off>(?!<det>?<other|part|store>)"),
    _rule("<make|show><det>{0,2}<covering><of|from|prep><det|adj>{0,2}<person><be>?<gone>"),
    _rule("<intimate><be|adj>{0,2}<gone|off|removing>(?=$|<stop|comma>)"),
    # Looking through or under
    _rule("<lower><be|det|adj>{0,3}<see_through>", "<see_through><owner|the>{1,3}<mod>{0,2}<covering>(?!<part>)"),
    _rule(f"{_WORN}<be|det|adj>{{0,3}}<transparent|see_through>(?!<other|picture|thing|part|shade>)"),
    _rule("<intimate><be|adj>{0,2}<transparent|gone>(?!<other|picture|part|shade>)"),
    _rule(
        "<covering><of|prep|from><det|adj>{0,2}<person><be|adj>{0,3}<transparent|see_through>(?!<other|picture|part>)",
    ),
    _rule("<person><!stop>{0,5}<transparent|see_through><adj|colour>{0,2}<lower>(?!<part>)"),
    _rule(f"<x_ray><other|be|it>{{0,2}}{_WORN}", "<x_ray><!stop>{0,3}<through><det|owner>{0,3}<covering>"),
    _rule("<what><be>?<beneath|under_age><det|owner>{1,2}<mod|owner>{0,1}<covering>(?!<part>)"),
    _rule(
        "(?<!<part|other|shade>)<show><what|be|det|owner|body|adj|it>{0,5}<beneath|under_age>"
        "<det|owner>{1,2}<mod|owner>{0,1}<covering>(?!<part>)",
    ),
    # German parts its verbs
    _rule("<ziehen><det|owner|adj|covering>{0,4}<person|lower><det|owner|adj|covering>{0,3}<aus>(?!<det|other>)"),
    _rule("<person|covering><det|adj>{0,2}<ausziehen>"),
    # The state itself
    _rule(
        "<naked><det|adj|colour|mild|young|comma|conj>{0,3}<person>",
        "<nude><adj|mild|young|comma|conj>{0,3}<person>",
        "<naked><adj|colour|other|mild>{1,3}<person>",
    ),
    _rule("<bare><adj|mild|other>{0,2}<picture|body|sexual_part>"),
    _rule("<bare><of|from><det|my|other|adj>{0,2}<person>(?!<shade|other>)"),
    _rule(
        "<person><be|to|adj|det|prep|other|comma|conj|colour|off>{0,5}(?<!<prep>)<nude>(?!"
        "<other|masked|shade|cloth|thing>)",
    ),
    _rule("<woman|girl|man|person|him|she|child><adj|be>{0,2}<nude>(?!<shade|cloth>)"),
    _rule(
        "(?:^|<stop>|<comma|conj>(?=<make|show>))<make|show|det|adj|it|be|picture|of|place>{0,5}"
        "<bare><make|det|adj|it|be|picture|of|place>{0,3}(?=$|<stop>)",
    ),
    _rule("(?:^|<stop>)<adj>{0,2}<bare><adj>?(?=<comma>)"),
    _rule(
        "<woman|girl|her|child><mod|be|owner>{0,3}<shirtless>",
        "<shirtless><adj|young|mild>{0,3}<woman|girl|child>",
    ),
)
# Plain enough with a person anywhere in the prompt.
UNDRESSING_SOMEBODY: Final = (
    _rule("(?<!<det|my>)<naked>", "<naked>(?!<other|masked>)"),
    _rule("<see_through><mod>{0,2}<covering>(?!<part>)"),
    _rule("(?:^|<stop|comma>)<adj>?<nude><adj>?(?=$|<stop|comma|conj>)"),
)

SEXUAL: Final = (
    _rule("<explicit|minor_porn>"),
    _rule("(?<!<det>)<fuck><adj|it>{0,2}<person>(?!<other|shade|thing>)"),
    _rule("<show><mod>{0,2}<owner><mod|owner>{0,3}<sexual_part>(?!<part>)", "<show><mod>{0,3}<boob|organ>"),
    _rule("<owner><mod|owner>{0,2}<sexual_part><be|adj>{0,3}<visible|big|from>"),
    _rule("<big><adj>{0,2}<sexual_part>"),
    _rule("<boob|organ><be|adj>{0,2}<visible|from>", "<breast><be|adj>{0,2}<visible>"),
    _rule("<add|make><det|adj|big>{0,3}<boob|organ>"),
)
# Not said of bodies in medicine.
SLANG: Final = _rule("<person><!stop>{0,6}<boob|organ>", "<boob|organ><!stop>{0,6}<person>")

HATE: Final = (
    _rule("<add|make><mod|owner>{0,2}<a|few|count|other|adj|colour|big>{1,3}<hate_sign>", "<add><hate_sign>"),
    _rule("<hate_word>"),
    _rule("<add|make><mod|owner>{0,4}<hate_act>"),
    _rule("<doing><mod|owner|a>{0,4}<to><a|adj|colour|big>{0,3}<hate_sign|hate_act>"),
)

CHILD: Final = _rule(
    "<child>",
    "<young><adj|colour|mild|woman>{0,2}<girl>",
    "<few|count><year>(?!<ago|young>)",
    "<few|count|eighteen><month><adj|young>",
    "<few|count><yo>",
    "<age><of|be>?<few|count>",
    "<person><be|show|adj>{0,2}<few>(?=$|<end>|<year>)",
    "<show|be><few>(?=$|<end>)",
    "<age|make><person><off|adj|be|show>{0,2}<to>?<few>(?=$|<end>|<year>)",
    "<under_age><few|eighteen>",
    # "a minor" is one, "a minor scratch" isn't; a German "Kind" is one, a "kind woman" isn't.
    "<minor>(?!<other|masked|part|thing|shade|colour>)",
    "(?<=<naked>)<kind>(?!<other|person>)",
)
# Nothing with adults, refused with minors.
SEXUAL_WITH_MINORS: Final = (
    _rule("<child><!stop>{0,8}<mild|lingerie|shirtless>", "<mild|lingerie|shirtless><!stop>{0,8}<child>"),
    _rule("<doing|wear|dress><mod>{0,3}<child><!stop>{0,4}<underwear>(?!<part|colour>)"),
    _rule("<underwear><place>{1,2}<det|my>{0,2}<child>"),
)
PERSON: Final = _rule("<person>")

RULES: Final = (*MASKS, *UNDRESSING, *UNDRESSING_SOMEBODY, *SEXUAL, SLANG, *HATE, CHILD, *SEXUAL_WITH_MINORS, PERSON)


class WordPolicy:
    """The built-in prompt policy; knows words, not pictures, and refuses only what is plain in them."""

    def judge(self, prompt: str) -> Finding:
        """What ``prompt`` asks for, scored 1 if it is refused; takes any text and never raises."""
        meant = _meant(prompt)
        if _with_minors(meant):
            return SEXUAL_MINORS
        if _any(SEXUAL, meant) or (SLANG.search(meant) and LETTERS["medical"] not in meant):
            return Finding("sexual", 1.0)
        if _undresses(meant):
            return Finding("undressing", 1.0)
        if _any(HATE, meant) and LETTERS["faith"] not in meant:
            return Finding("hate_symbols", 1.0)
        return NOTHING


def sexualises_minors(prompt: str) -> bool:
    """Whether ``prompt`` asks for anything sexual with minors; stricter than what is asked of adults."""
    return _with_minors(_meant(prompt))


def _meant(prompt: str) -> str:
    """The kinds of the words of ``prompt``: minors marked as such, and what is meant harmlessly masked."""
    meant = CHILD.sub(lambda match: LETTERS["child"] * len(match[0]), kinds(prompt))
    for mask in MASKS:
        meant = mask.sub(_masked, meant)
    return meant


def _masked(match: re.Match[str]) -> str:
    """What is found harmless, in which a minor stays one for the rest of the prompt."""
    return re.sub(f"[^{LETTERS['child']}]", LETTERS["masked"], match[0])


def _with_minors(meant: str) -> bool:
    if LETTERS["minor_porn"] in meant:
        return True
    if LETTERS["child"] not in meant:
        return False
    return _any(SEXUAL, meant) or _undresses(meant) or _any((SLANG, *SEXUAL_WITH_MINORS), meant)


def _undresses(meant: str) -> bool:
    return _any(UNDRESSING, meant) or (PERSON.search(meant) is not None and _any(UNDRESSING_SOMEBODY, meant))


def _any(rules: tuple[re.Pattern[str], ...], meant: str) -> bool:
    return any(rule.search(meant) for rule in rules)
