"""How people ask: for each family the wordings to learn, and others held out. `[a|b]` is a choice, `{gap}` a word.

HELD_OUT templates are never drawn in training; the words that fill the gaps are the same.
"""

from __future__ import annotations

import re

import numpy as np

from training.scenarios import Edit

BACKGROUNDS = {
    "bokeh": (
        "a bokeh light effect",
        "bokeh lights",
        "bokeh",
        "a bokeh effect",
        "blurry lights",
        "soft glowing lights",
        "a bokeh background",
    ),
    "beach": (
        "a beach",
        "a sandy beach",
        "the beach",
        "the seaside",
        "a beach by the sea",
        "a tropical beach",
        "sand and sea",
    ),
    "night_sky": (
        "a night sky",
        "the night sky",
        "a starry sky",
        "a starry night",
        "stars and the moon",
        "a sky full of stars",
    ),
    "sunset": (
        "a sunset",
        "a sunset over the sea",
        "an orange sunset",
        "the setting sun",
        "a sunset sky",
        "a beautiful sunset",
    ),
    "forest": (
        "a forest",
        "a green forest",
        "the woods",
        "trees",
        "a forest of pine trees",
        "woodland",
        "a pine forest",
    ),
    "mountains": (
        "mountains",
        "snowy mountains",
        "a mountain landscape",
        "the mountains",
        "mountain peaks",
        "a mountain range",
        "the alps",
    ),
    "city": (
        "a city at night",
        "city lights",
        "a city skyline at night",
        "a city",
        "skyscrapers",
        "a night city",
        "tall buildings at night",
    ),
    "desert": ("a desert", "sand dunes", "the desert", "a hot desert", "the sahara", "desert dunes", "a sandy desert"),
    "underwater": (
        "an underwater scene",
        "the ocean under water",
        "under water",
        "the bottom of the sea",
        "an underwater world",
        "the deep sea",
    ),
    "meadow": (
        "a meadow",
        "a green meadow",
        "a field of flowers",
        "a grassy hill",
        "a flower meadow",
        "green grass",
        "a field",
    ),
    "clouds": (
        "a cloudy sky",
        "clouds",
        "a blue sky with clouds",
        "the sky",
        "white clouds",
        "a blue sky",
        "fluffy clouds",
    ),
}
COLOUR_WORDS = {"grey": ("grey", "gray"), "turquoise": ("turquoise", "teal", "cyan")}

TRAIN: dict[str, tuple[str, ...]] = {
    "background": (
        "[replace|change|swap|switch] the background [with|to|for|into] {background}",
        "[make|turn] the background [|into ]{background}",
        "[make|set] {background} the background",
        "put [it|him|her|this|them|the subject|the object|everything] [in front of|on|in|at|into] {background}",
        "[use|add|give it|show|i want] {background} [as|for|in] the background",
        "[a new|new|different] background: {background}",
        "[background|backdrop]: {background}",
        "{background} [background|as background|in the background|behind it]",
        "[place|move|show|put] [it|the subject|this] [in front of|against] {background}",
        "[replace|change] the backdrop [with|to] {background}",
        "the background should be {background}",
        "[remove the background and use|instead of this background use] {background}",
        "i would [love|prefer] {background} as the background",
        "i would like to see it [in front of|against] {background}",
        "let [it|the subject] [stand|be] [in front of|against] {background}",
    ),
    "plain background": (
        "[replace|change|swap] the background [with|to|for] [|a ][plain|solid|simple|] {colour}[| color| colour]",
        "[make|turn|paint|colour|color] the background [|plain |solid |completely ]{colour}",
        "[a|use a|give it a|put it on a|i want a] [plain|solid|simple|] {colour} background",
        "{colour} background",
        "i would [love|prefer] [a|the] {colour} background",
        "let [it|the subject] [stand|be] [in front of|against] {colour}",
        "background: {colour}",
        "[replace|change] the background [with|to] a {colour} wall",
        "the background should be {colour}",
        "put [it|the subject|this] [on|in front of|against] [plain |]{colour}",
    ),
    "black_and_white": (
        "[make|turn|convert] [it|this|the picture|the image|the photo] [|to |into ]black and white",
        "black and white[| photo| picture| image]",
        "[convert|change|turn] [it |this |the image |]to [grayscale|greyscale|grey|monochrome]",
        "[remove|take out|drop] [all |][the |][colour|color|colours|colors]",
        "[make it|turn it] [monochrome|grayscale|greyscale|b&w]",
        "desaturate[| it| the image| the picture]",
        "a black and white [version|photo|photograph|picture]",
    ),
    "sepia": (
        "[make|turn|convert] [it|this|the picture|the image|the photo] [|to |into ]sepia",
        "[add|apply] a sepia [filter|tone|effect]",
        "[an|make it look like an|turn it into an] old [photo|photograph|picture]",
        "sepia[| tone| toned| filter]",
        "make it look [old|vintage|aged|antique]",
        "give it a [vintage|sepia|retro] look",
        "[vintage|old-fashioned] brown tones",
    ),
    "sketch": (
        "[make|turn|convert|change] [it|this|the picture|the image|the photo] [into |to |]a [pencil |][sketch|drawing]",
        "[pencil|charcoal] [sketch|drawing]",
        "[draw|sketch] it [with|in] [a |]pencil",
        "a [pencil|line] drawing of this",
        "make it look [hand drawn|hand-drawn|sketched|like a sketch|like a pencil drawing]",
        "[sketch|line art|line drawing][| style| effect]",
        "[apply|add] a [pencil|sketch] [effect|filter]",
    ),
    "negative": (
        "[invert|reverse] [the |all |]colours",
        "[invert|reverse] [the |all |]colors",
        "[make|turn|convert] [it|this|the picture|the image] [into |to |]a negative",
        "[a |]photo negative",
        "negative[| image| effect| colours]",
        "invert[| it| the image| the picture| this]",
        "show the negative",
        "i want [all |]the [colours|colors] [inverted|reversed]",
        "the negative of [it|this|the picture]",
        "let the [colours|colors] be [inverted|reversed]",
    ),
    "blur": (
        "blur[| it| the picture| the image| the photo| everything| this]",
        "make [it|the picture|the image|the photo|everything] [blurry|blurred|soft|fuzzy|out of focus]",
        "[add|apply] [a |][gaussian |]blur",
        "[take|put] [it|the picture|everything] out of focus",
        "blurry[| picture| image]",
        "unfocus the [picture|image|photo]",
        "[a |]strong blur",
        "soften the [picture|image|photo]",
        "i want it [blurred|blurry|out of focus]",
        "[blur|soften] all of [it|the picture]",
        "a [blurry|blurred] [version|picture|image]",
    ),
    "darker": (
        "make [it|the picture|the image|the photo|this|everything] [darker|dark|much darker|dimmer]",
        "darken[| it| the picture| the image| the photo| everything]",
        "[lower|reduce|decrease] the [brightness|light|exposure]",
        "less [light|bright]",
        "darker",
        "dim the [light|lights|picture|image]",
        "turn down the [light|brightness]",
        "underexpose [it|the photo]",
        "bring the [light|brightness] down",
        "let it [be|get] [dark|darker]",
        "i want it [darker|dark]",
        "it is too bright",
        "a [much |]darker [picture|image|photo|version]",
    ),
    "brighter": (
        "make [it|the picture|the image|the photo|this|everything] [brighter|bright|lighter|much brighter]",
        "brighten[| it| the picture| the image| up the photo]",
        "[raise|increase|boost] the [brightness|light|exposure]",
        "more [light|brightness]",
        "brighter",
        "lighten [it|the picture|the image]",
        "turn up the [light|brightness]",
        "overexpose [it|the photo]",
        "bring the [light|brightness] up",
        "let it [be|get] [bright|brighter]",
        "i want it [brighter|bright]",
        "it is too dark",
        "a [much |]brighter [picture|image|photo|version]",
    ),
    "night": (
        "make it [night|nighttime|night time|look like night]",
        "[turn|change] [it|day|the day] [into|to] [night|nighttime]",
        "[set|show] [it|the scene] at night",
        "[make it|as if it were|as if] [at night|moonlight|in moonlight]",
        "night[| time| version| scene]",
        "[the same|same] [scene|picture] at night",
        "change the time [of day |]to night",
        "it is night now",
    ),
    "fog": (
        "make it [foggy|misty|hazy]",
        "add [some |thick |heavy |][fog|mist|haze]",
        "[cover|fill|wrap] [it|the picture|the scene|everything] [in|with] [fog|mist|haze]",
        "[foggy|misty][| weather| day| morning]",
        "[put|place] it in [the |][fog|mist]",
        "let there be [|some |more ][fog|mist]",
        "i would [love|prefer] [fog|some fog|foggy weather|it with fog]",
        "i would like to see [it in the|some] fog",
        "fog",
    ),
    "pixel_art": (
        "[make|turn|convert|change] [it|this|the picture|the image|the photo] [into |to |]pixel art",
        "pixelate[| it| this| the picture| the image]",
        "pixel art[| style| version]",
        "make it [pixelated|blocky|8-bit|look like an old video game]",
        "[8-bit|retro game|minecraft] style",
        "[apply|add] a [pixel|mosaic] [effect|filter]",
        "censor it with a mosaic",
    ),
    "snow": (
        "make it [snow|snowy|snowing|snow heavily]",
        "add [some |falling |heavy |lots of |][snow|snowflakes|snowfall|flakes of snow]",
        "let it snow",
        "[snow|snowflakes|falling snow|snowfall|snowy weather]",
        "[make it|turn it into|change it to] [winter|a snowy day|wintertime|a snowstorm]",
        "it [should be|is] snowing",
        "[put|place|show] [it|the scene|this] in [the |a |][snow|snowstorm|snowfall]",
        "change the weather to [snow|snowy]",
        "cover it [in|with] snow",
        "i would [love|prefer] [snow|some snow|snowy weather|it to be snowy|it with snow]",
        "i would like to see [|some |falling ]snow",
        "i would like to see it [snow|snowing|in the snow|with snow]",
        "let there be [|some |more ]snow",
        "[have|let] snowflakes fall",
    ),
    "rain": (
        "make it [rain|rainy|raining|rain heavily]",
        "add [some |falling |heavy |][rain|raindrops|rainfall]",
        "let it rain",
        "[rain|rainy weather|a rainy day|a storm]",
        "it [should be|is] raining",
        "[put|place|show] it in the rain",
        "change the weather to [rain|rainy]",
        "[turn it into|make it] a [rainy day|rainstorm]",
        "i would [love|prefer] [rain|some rain|rainy weather|it to be rainy|it with rain]",
        "i would like to see [|some |falling ]rain",
        "i would like to see it [rain|raining|in the rain|with rain]",
        "let there be [|some |more ]rain",
        "[have|let] raindrops fall",
    ),
    "clear": (
        "[remove|get rid of|take away|clear|erase|delete] the {weather}",
        "no [more |]{weather}",
        "without [the |]{weather}",
        "stop the {weather}",
        "[make it|clean up the picture:] no {weather}",
        "[make the weather|clear] [clear|fine|nice], no {weather}",
        "take out the {weather}",
        "i want the {weather} to [go away|stop]",
        "let the {weather} [stop|disappear|vanish|go away]",
        "make the {weather} [stop|disappear|vanish|go away]",
        "wipe out the {weather}",
        "[the|all] {weather} should be gone",
        "i [wish|want] the {weather} [were|was|to be] gone",
        "i would [love|prefer] [it without|no|less] {weather}",
        "i would like to see it without [the |]{weather}",
        "[wipe|brush|wash] the {weather} off",
        "[free it of|have done with] the {weather}",
    ),
    "recolour": (
        "make [the {object}|it|the subject|the object] {colour}",
        "turn [the {object}|it|the subject] {colour}",
        "[change|set] the [colour|color] of [the {object}|it|the subject] to {colour}",
        "[paint|colour|color|dye|tint|recolour|recolor] [the {object}|it|the subject|the object] [|in ]{colour}",
        "[a|i want a] {colour} {object}",
        "the {object} should be {colour}",
        "change [the {object}|it|the subject] to {colour}",
        "[make|give] [the {object}|it] a {colour} [colour|color]",
        "i want [the {object}|it] to be {colour}",
        "let [it|the subject] [turn|be] {colour}",
        "[the {object}|it] in {colour}",
        "i would [love|prefer] [the {object}|it] to be {colour}",
        "i would like to see [the {object}|it] in {colour}",
        "let there be a {colour} {object}",
    ),
    "remove": (
        "[remove|delete|erase] the {object}[{place}|]",
        "get rid of the {object}[{place}|]",
        "take [away|out] the {object}[{place}|]",
        "no {object}",
        "without the {object}",
        "make the {object}[{place}|] [disappear|vanish|go away]",
        "[remove|erase] the {object} from the [picture|image|photo]",
        "cut out the {object}",
        "i want the {object}[{place}|] to [disappear|vanish|go away]",
        "let the {object}[{place}|] [disappear|vanish]",
        "wipe out the {object}",
        "the {object} should [be gone|not be there]",
        "[it|the picture] should [have no|not have the] {object}",
        "i [wish|want] the {object} [were|was|to be] gone",
        "i would [love|prefer] [it without the|no] {object}",
        "i would like to see it without the {object}",
        "[let it be|i want it|show it|make it be] without the {object}",
        "[wipe|brush] the {object} off",
        "[free it of|paint over|throw out] the {object}",
    ),
    "add": (
        "add [a|one|the] {object}{place}",
        "[put|place|draw|insert|show] [a|one|the] {object}{place}",
        "[there should be|i want|give me] a {object}{place}",
        "a {object}{place}",
        "[with|include] a {object}{place}",
        "add a [small |little |]{object}{place}",
        "i want to [add|see] a {object}{place}",
        "let a {object} appear{place}",
        "i would [love|prefer] to [have|see] a {object}{place}",
        "let [it|the picture] have a {object}{place}",
        "there is a {object}{place}",
    ),
    "replace": (
        "[replace|swap|exchange|switch] [the {object}|it|the subject] [with|for|by] [a|the] {other}",
        "[turn|change|make|transform] [the {object}|it|the subject] [into|to] a {other}",
        "[put|show|place] a {other} [in place of|instead of] [the {object}|it|the subject]",
        "[use|draw|show|i want] a {other} [instead|instead of it|instead of the {object}]",
        "a {other} [instead of|in place of] [the {object}|it|this]",
        "[the {object}|it|the subject] should be a {other}",
        "make a {other} out of [the {object}|it]",
    ),
    "mirror": (
        "mirror[| it| this| the picture| the image| the photo| everything]",
        "flip[| it| the picture| the image| the photo| this] [horizontally|from left to right|left to right|sideways]",
        "flip [it|the picture|the image|the photo|this]",
        "[swap|switch|exchange|reverse] [left and right|the left and the right|the sides|right and left]",
        "[make|turn|show] [it|this|the picture|the image] [mirrored|flipped|reversed|the other way round]",
        "[a |the |][mirror|mirrored] [image|picture|version]",
        "[show|put|see] it [in|through] a mirror",
        "turn [it|the picture] around",
        "left [becomes|should be] right",
    ),
}

HELD_OUT: dict[str, tuple[str, ...]] = {
    "background": (
        "exchange the background for {background}",
        "i would like {background} behind it",
        "let the background be {background}",
        "show it with {background} behind it",
    ),
    "plain background": (
        "let the background be {colour}",
        "i would like a {colour} background behind it",
        "show it with {colour} behind it",
    ),
    "black_and_white": ("take the colour out of this picture", "i would like it in black and white"),
    "sepia": ("i would like it in sepia", "give this picture a sepia tone"),
    "sketch": ("i would like it as a pencil sketch", "draw this picture as a sketch"),
    "negative": ("i would like the colours inverted", "turn this picture into its negative"),
    "blur": ("i would like it blurred", "make all of this blurry"),
    "darker": ("i would like it darker", "bring down the brightness"),
    "brighter": ("i would like it brighter", "bring up the brightness"),
    "night": ("i would like it to be night", "let it be night"),
    "fog": ("i would like it foggy", "let the fog come in"),
    "pixel_art": ("i would like it as pixel art", "show this as pixel art"),
    "snow": ("i would like it to snow", "let snow fall on the picture"),
    "rain": ("i would like it to rain", "let rain fall on the picture"),
    "clear": ("i would like the {weather} gone", "wipe the {weather} away", "it should be without the {weather}"),
    "recolour": (
        "i would like the {object} in {colour}",
        "let the {object} be {colour}",
        "the colour of the {object} should be {colour}",
    ),
    "remove": ("i would like the {object} gone", "wipe the {object} away", "it should be without the {object}"),
    "add": (
        "i would like a {object}{place}",
        "let there be a {object}{place}",
        "the picture should have a {object}{place}",
    ),
    "replace": ("i would like a {other} instead of the {object}", "let the {object} become a {other}"),
    "mirror": ("i would like it mirrored", "reverse this picture from left to right"),
}

BEFORE = (
    "please |please |can you |could you |could you please |can you please |now |i want you to |i would like you to "
    "|just "
)
AFTER = (
    " please|, please|, keep the subject|, keep everything else the same|, keep the rest|, and change nothing else|"
    ", keep the subject the same| while keeping the subject in place| but keep the subject unchanged|"
    " without changing the subject| in this picture| in the photo| behind the subject"
)
ABOUT_SUBJECT = ("recolour", "remove", "replace")
PLACE_WORDS = " [in|at] the {place}[| corner]"
FAMILIES = tuple(TRAIN)


def phrase(rng: np.random.Generator, edit: Edit, held_out: bool = False) -> str:
    """A prompt for an edit, in lower case, from one side of the split of templates."""
    template = choose(rng, (HELD_OUT if held_out else TRAIN)[edit.family])
    text = fill(rng, expand(rng, template), edit.words)
    return text if held_out else decorate(rng, text, edit.family)


def choose(rng: np.random.Generator, options: tuple[str, ...] | list[str]) -> str:
    """One of them."""
    return options[int(rng.integers(len(options)))]


def expand(rng: np.random.Generator, template: str) -> str:
    """`template` with each `[a|b]` decided."""
    return re.sub(r"\[([^\]]*)\]", lambda match: choose(rng, match[1].split("|")), template)


def fill(rng: np.random.Generator, text: str, words: dict[str, str]) -> str:
    """`text` with its gaps filled; a place that the edit doesn't name leaves nothing."""
    place = expand(rng, PLACE_WORDS).format(place=words["place"]) if "place" in words else ""
    background = words.get("background", "")
    colour = words.get("colour", background)
    if "was" in words:  # "make the red ball blue": a colour that a name holds isn't the one that is asked for
        text = text.replace("the {object}", "the {was} {object}")
    gaps = {
        **words,
        "place": place,
        "background": choose(rng, BACKGROUNDS.get(background, (background,))),
        "colour": choose(rng, COLOUR_WORDS.get(colour, (colour,))),
    }
    filled = re.sub(r"\{(\w+)\}", lambda match: gaps[match[1]], text)
    return re.sub(r"\ba (?=[aeiou])", "an ", " ".join(filled.split()))


def fits(after: str, family: str) -> bool:
    """Whether an afterthought can be said of a family: who changes the subject doesn't ask for it to be kept."""
    if family in ABOUT_SUBJECT:
        return "subject" not in after
    return "background" in family or "behind" not in after


def decorate(rng: np.random.Generator, text: str, family: str) -> str:
    """`text` as people vary it: polite, with an afterthought, with punctuation, with an article dropped."""
    if rng.random() < 0.2:
        text = choose(rng, BEFORE.split("|")) + text
    if rng.random() < 0.25:
        text += choose(rng, [after for after in AFTER.split("|") if fits(after, family)])
    if rng.random() < 0.1:
        text = re.sub(r"\b(the|a) ", "", text, count=1)
    return text + choose(rng, ("", "", "", ".", "!", "?" if "you" in text else "."))
