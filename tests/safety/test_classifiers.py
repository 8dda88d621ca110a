"""Classifiers in Hugging Face's layout: what they score, and which are refused before they judge anything."""

import json
import math
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file, save_file

from openkontext.safety import ClassifierError, Finding
from openkontext.safety.classifiers import PictureClassifier, TextClassifier
from tests.engine.hub import REPOSITORY, Hub, running
from tests.safety.classifiers import make_image_classifier, make_text_classifier

PICTURE = Image.radial_gradient("L").convert("RGB")
UNSAFE = frozenset({"unsafe", "nsfw", "porn"})


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_image_classifier(tmp_path_factory.mktemp("vit"), {"normal": 0.0, "nsfw": 1.0})


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_text_classifier(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def text(bert: Path) -> TextClassifier:
    return TextClassifier.load(str(bert), UNSAFE)


def softmax(*logits: float) -> list[float]:
    powers = [math.exp(logit) for logit in logits]
    return [power / sum(powers) for power in powers]


SCORES = {
    "one unsafe label": ({"normal": 0.0, "nsfw": 1.0}, {}, ("nsfw", softmax(0, 1)[1])),
    "two that add up": ({"nsfw": 0.0, "normal": 1.0, "porn": 0.5}, {}, ("porn", 1 - softmax(0, 1, 0.5)[1])),
    "written in capitals": ({"SFW": 0.0, "NSFW": 0.0}, {}, ("NSFW", 0.5)),
    "all unsafe": ({"nsfw": 2.0, "porn": 1.0}, {}, ("nsfw", 1.0)),
    "labels beside each other": (
        {"normal": 0.0, "nsfw": 1.0, "porn": -1.0},
        {"problem_type": "multi_label_classification"},
        ("nsfw", 1 / (1 + math.exp(-1))),
    ),
    "a single label": ({"nsfw": -2.0}, {}, ("nsfw", 1 / (1 + math.exp(2)))),
}


@pytest.mark.parametrize("name", SCORES)
def test_the_score_is_of_the_unsafe_labels(tmp_path: Path, name: str):
    """The sum where labels exclude each other, the highest where they don't; the likeliest is the category."""
    logits, config, (category, score) = SCORES[name]
    found = PictureClassifier.load(str(make_image_classifier(tmp_path, logits, **config)), UNSAFE).judge(PICTURE)
    assert Finding(category, pytest.approx(score, abs=1e-6)) == found
    assert found.score <= 1


def test_pictures_are_looked_at(tmp_path: Path):
    """Another picture scores otherwise, the same picture the same, in every mode and shape."""
    folder = make_image_classifier(tmp_path, {"normal": 0.0, "nsfw": 0.0}, weight=50)
    classifier = PictureClassifier.load(str(folder), UNSAFE)
    assert classifier.judge(PICTURE) == classifier.judge(PICTURE.copy())
    pictures = [PICTURE, Image.new("RGB", (1, 1), "red"), Image.new("L", (400, 100)), Image.new("P", (9, 300))]
    assert 3 <= len({classifier.judge(picture).score for picture in pictures})


@pytest.mark.parametrize(
    ("prompt", "score"),
    [
        ("make it snow", 0.0),
        ("make it vile", 1.0),
        ("snow \ud800 vile", 1.0),
        ("\0 \U0010ffff", 0.0),
        ("make it snow " * 769, 0.0),
    ],
)
def test_words_are_looked_at(text: TextClassifier, prompt: str, score: float):
    """Of whatever a request may hold."""
    assert Finding("unsafe", pytest.approx(score, abs=1e-3)) == text.judge(prompt)


@pytest.mark.parametrize("before", [0, 93, 94, 125, 126, 127, 1000, 2304])
def test_nothing_hides_in_a_long_prompt(text: TextClassifier, before: int):
    """Of 10,000 characters each is judged, wherever the parts are cut that a classifier reads at once."""
    prompt = " ".join(["make it snow"] * (before // 3) + ["snow"] * (before % 3) + ["vile"])
    prompt = f"{prompt}{' make it snow' * 769}"[:10_000]
    assert text.judge(prompt).score > 0.99


def change_config(**values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def change_weights(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})

    return rewrite


class Payload:
    """What writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def pickle_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(folder / "ran")))


def add_code(folder: Path) -> None:
    code = f"open({str(folder / 'ran')!r}, 'w')\nclass Config: pass\nclass Model: pass\n"
    (folder / "theirs.py").write_text(code)
    names = {"AutoConfig": "theirs.Config", "AutoModelForImageClassification": "theirs.Model"}
    names["AutoModelForSequenceClassification"] = "theirs.Model"
    change_config(model_type="theirs", auto_map=names)(folder)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no unsafe label": (change_config(id2label={"0": "cat", "1": "dog"}), "it has the labels cat, dog, and none of"),
    "pickled weights": (pickle_weights, "model.safetensors"),
    "code of its own": (add_code, "custom code"),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "config.json"),
    "broken configuration": (lambda folder: (folder / "config.json").write_text("{"), "JSON"),
    "another kind of model": (change_config(model_type="gpt_oss_of_tomorrow"), "gpt_oss_of_tomorrow"),
    "broken weights": (lambda folder: (folder / "model.safetensors").write_bytes(b"\1" * 99), "header"),
    "missing weights": (change_weights(lambda weights: weights.pop("classifier.bias")), "1 weights are missing"),
    "weights that are no numbers": (change_weights(lambda weights: weights["classifier.bias"].fill_(math.nan)), "nan"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize(("kind", "made"), [(PictureClassifier, "vit"), (TextClassifier, "bert")])
def test_what_can_not_be_used_is_refused(request: pytest.FixtureRequest, tmp_path: Path, kind, made: str, name: str):
    """At start, with one line that names the classifier and what is wrong; nothing of it has run."""
    harm, reason = REFUSED[name]
    folder = shutil.copytree(request.getfixturevalue(made), tmp_path / "harmed")
    harm(folder)
    with pytest.raises(ClassifierError) as caught:
        kind.load(str(folder), UNSAFE)
    assert str(folder) == caught.value.classifier
    message = str(caught.value)
    assert message.startswith(f"classifier {folder}: ")
    assert reason in message
    assert "\n" not in message
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    ("kind", "made", "files"),
    [
        (PictureClassifier, "vit", ["preprocessor_config.json"]),
        (TextClassifier, "bert", ["tokenizer.json", "tokenizer_config.json"]),
    ],
)
def test_a_classifier_without_its_other_half(request: pytest.FixtureRequest, tmp_path: Path, kind, made, files):
    """What prepares pictures or text for it belongs to it."""
    folder = shutil.copytree(request.getfixturevalue(made), tmp_path / "half")
    for name in files:
        (folder / name).unlink()
    with pytest.raises(ClassifierError, match=f"classifier {folder}: "):
        kind.load(str(folder), UNSAFE)


@pytest.mark.parametrize("name", ["/nowhere", "nsfw", "../nowhere", "owner/name/more", ""])
def test_what_is_neither_folder_nor_id(name: str):
    """It is said what would be."""
    with pytest.raises(ClassifierError, match="give a folder, a Hugging Face id"):
        PictureClassifier.load(name, UNSAFE)


@pytest.fixture
def use_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Hub], None]:
    """Lets Hugging Face be a hub of this machine, with a cache of its own."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def use(hub: Hub) -> None:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    return use


def test_a_hugging_face_id(bert: Path, tmp_path: Path, use_hub: Callable[[Hub], None]):
    """It is fetched, but neither pickles nor code, nor weights in other formats."""
    folder = shutil.copytree(bert, tmp_path / "repository")
    (folder / "onnx").mkdir()
    for name in ("pytorch_model.bin", "theirs.py", "onnx/model.safetensors"):
        (folder / name).write_bytes(b"never to be fetched")
    with running(folder) as hub:
        use_hub(hub)
        classifier = TextClassifier.load(REPOSITORY, UNSAFE)
    assert classifier.judge("vile").score > 0.99
    fetched = {path.rsplit("/", 1)[1] for path, _ in hub.asked if "/resolve/" in path}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} == fetched


def test_a_hugging_face_id_that_is_not_there(use_hub: Callable[[Hub], None]):
    """Nor, without a token, one that is private."""
    with running() as hub:
        use_hub(hub)
        hub.refusal = (401, "RepoNotFound")
        with pytest.raises(ClassifierError, match="nor such a repository at Hugging Face"):
            TextClassifier.load(REPOSITORY, UNSAFE)
