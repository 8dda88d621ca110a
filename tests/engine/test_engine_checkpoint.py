"""Loading: from a folder, from Hugging Face, by name; and a clear error for everything that can be wrong."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from openkontext.engine import CheckpointError, Configuration, Engine, load_checkpoint
from openkontext.engine.checkpoint import PARTS
from openkontext.engine.configuration import read_configuration
from openkontext.engine.fingerprint import fingerprint
from tests.checkpoints import MAX_AREA, T5_LENGTH
from tests.engine.hub import REPOSITORY, Hub, running

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture
def broken(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint, to be damaged."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "broken"))


@pytest.fixture
def clean_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hugging Face with an empty cache and no token; its client reads these once, when it is imported."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return tmp_path / "hub"


def use(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Hugging Face be `hub`."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")


def refusal(checkpoint: str | Path) -> str:
    """The message of the error that loading it ends with."""
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(checkpoint, device="cpu")
    assert str(checkpoint) == caught.value.checkpoint or Path(checkpoint).name == caught.value.checkpoint
    return str(caught.value)


def test_folder(tiny_checkpoint: Path) -> None:
    """A folder is loaded with its own limits, in float32 on the CPU, in evaluation mode."""
    checkpoint = load_checkpoint(tiny_checkpoint, device="cpu")
    assert ("tiny", torch.device("cpu"), torch.float32) == (checkpoint.name, checkpoint.device, checkpoint.dtype)
    assert (MAX_AREA, T5_LENGTH) == (checkpoint.configuration.max_area, checkpoint.configuration.max_sequence_length)
    models = (checkpoint.transformer, checkpoint.vae, checkpoint.text_encoder, checkpoint.text_encoder_2)
    assert [(torch.float32, False)] * 4 == [(model.dtype, model.training) for model in models]


def test_dtype_can_be_chosen(tiny_checkpoint: Path) -> None:
    """In bfloat16 every model is bfloat16, and an edit's noise is drawn in it."""
    checkpoint = load_checkpoint(tiny_checkpoint, device="cpu", dtype=torch.bfloat16)
    models = (checkpoint.transformer, checkpoint.vae, checkpoint.text_encoder, checkpoint.text_encoder_2)
    assert [torch.bfloat16] * 4 == [model.dtype for model in models]


def test_progress_is_told(tiny_checkpoint: Path) -> None:
    """Each part is announced before it is loaded, and the end too."""
    told: list[tuple[str, int, int]] = []
    Engine.load(tiny_checkpoint, device="cpu", on_progress=lambda *report: told.append(report))
    parts = [(part, done, 7) for done, part in enumerate(PARTS)]
    assert [("files", 0, 7), *parts, ("ready", 7, 7)] == told


def test_loading_draws_no_bars(tiny_checkpoint: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is written to the terminal: that is for the caller, who has the progress."""
    load_checkpoint(tiny_checkpoint, device="cpu")
    assert ("", "") == capfd.readouterr()


def test_missing_folder(tmp_path: Path) -> None:
    """A path that is not there says so."""
    assert "no such folder" in refusal(tmp_path / "nowhere")


def test_folder_without_model_index(tmp_path: Path) -> None:
    """Any other folder is no checkpoint."""
    assert "no model_index.json" in refusal(tmp_path)


def test_model_index_of_another_pipeline(broken: Path) -> None:
    """A checkpoint of another pipeline is named as such."""
    (broken / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    assert "it is for FluxPipeline" in refusal(broken)


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json"])
def test_model_index_that_is_none(broken: Path, text: str) -> None:
    """A damaged index is an error of the checkpoint."""
    (broken / "model_index.json").write_text(text)
    assert "model_index.json can't be read" in refusal(broken)


def test_missing_part(broken: Path) -> None:
    """A part that was not downloaded is named."""
    shutil.rmtree(broken / "vae")
    assert "without vae" in refusal(broken)


def test_truncated_weights(broken: Path) -> None:
    """A download that broke off is found before anything is loaded."""
    weights = broken / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert "is cut off" in refusal(broken)


@pytest.mark.parametrize(
    "content", [b"", b"abc", b"\xff" * 100, b"\x02" + b"\0" * 7 + b"[]", b"\x02" + b"\0" * 7 + b"{]"]
)
def test_weights_that_are_none(broken: Path, content: bytes) -> None:
    """Whatever else is in the file, it is an error of the checkpoint that names the file."""
    (broken / WEIGHTS).write_bytes(content)
    assert "diffusion_pytorch_model.safetensors" in refusal(broken)


def test_weights_only_as_pickle(broken: Path) -> None:
    """Only safetensors are read: a pickle could run code."""
    (broken / WEIGHTS).rename(broken / "transformer" / "diffusion_pytorch_model.bin")
    assert "its transformer can't be loaded" in refusal(broken)


class Bomb:
    """A pickle of it makes a file where it is opened."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
        return Path.touch, (self.trace,)


def booby_trap(folder: Path, trace: Path) -> None:
    """Put code wherever a loader might look for some: modules that the configurations name, and pickles."""
    code = f"from pathlib import Path\nPath({str(trace)!r}).touch()\nclass Trap: pass\n"
    for part in (folder, *(folder / name for name in PARTS)):
        (part / "trap.py").write_text(code)
        for name in ("pytorch_model.bin", "diffusion_pytorch_model.bin", "model.pkl", "training_args.bin"):
            (part / name).write_bytes(pickle.dumps(Bomb(trace)))
        for config in part.glob("*config.json"):
            named = dict.fromkeys(("AutoModel", "AutoConfig", "AutoTokenizer"), "trap.Trap")
            config.write_text(json.dumps(json.loads(config.read_text()) | {"auto_map": named}))
    index = json.loads((folder / "model_index.json").read_text())
    index |= {part: ["trap", "Trap"] for part in PARTS}
    (folder / "model_index.json").write_text(json.dumps(index))


def test_nothing_in_a_checkpoint_is_run(broken: Path, tmp_path: Path) -> None:
    """Neither modules that its configurations name nor pickles beside the safetensors: the classes are ours."""
    trace = tmp_path / "trace"
    booby_trap(broken, trace)
    assert load_checkpoint(broken, device="cpu").name == broken.name
    assert not trace.exists()
    pickle.loads((broken / "model.pkl").read_bytes())
    assert trace.exists(), "the trap works"


def test_weights_of_another_shape(broken: Path) -> None:
    """Weights that don't fit the configuration are an error, never left random."""
    config = broken / "transformer" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_layers": 2}))
    assert "its transformer can't be loaded" in refusal(broken)


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        '{"max_area": "large"}',
        '{"max_area": true}',
        '{"max_area": 10}',
        '{"max_sequence_length": 513}',
        '{"latent_rgb_factors": [[1, 2, 3]]}',
        '{"latent_rgb_factors": "red"}',
    ],
)
def test_wrong_configuration(broken: Path, text: str) -> None:
    """What `openkontext.json` may hold is checked."""
    (broken / "openkontext.json").write_text(text)
    assert str(broken.name) in refusal(broken)


def test_configuration_of_a_checkpoint_without_one(tmp_path: Path) -> None:
    """Without `openkontext.json` the limits are those of FLUX.1 Kontext [dev]."""
    assert Configuration(1024**2, 512, None, None) == read_configuration(tmp_path)


def change_weights(folder: Path) -> None:
    """One bit of the last tensor's first byte: past any header."""
    path = folder / WEIGHTS
    content = bytearray(path.read_bytes())
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    last = max(entry["data_offsets"][0] for name, entry in header.items() if name != "__metadata__")
    content[8 + int.from_bytes(content[:8], "little") + last] ^= 1
    path.write_bytes(content)


def change_scheduler(folder: Path) -> None:
    """Another shift."""
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(path.read_text().replace("1.15", "1.16"))


def add_read_me(folder: Path) -> None:
    """A file that no edit depends on."""
    (folder / "README.md").write_text("about it")


@pytest.mark.parametrize(("change", "same"), [(change_weights, False), (change_scheduler, False), (add_read_me, True)])
def test_fingerprint(tiny_checkpoint: Path, broken: Path, change: Callable[[Path], None], same: bool) -> None:
    """It is the same for a copy, and another for whatever changes the pixels."""
    original = fingerprint(tiny_checkpoint, PARTS)
    assert original == fingerprint(broken, PARTS)
    change(broken)
    assert same == (original == fingerprint(broken, PARTS))


def test_hugging_face_id(
    tiny_checkpoint: Path, clean_hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id is downloaded with the token, once, without what the loaders don't read; then it works offline."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    (folder := clean_hub.parent / "repository").mkdir()
    shutil.copytree(tiny_checkpoint, folder, dirs_exist_ok=True)
    (folder / "flux1-kontext-dev.safetensors").write_bytes(b"24 GB")
    booby_trap(folder, tmp_path / "trace")
    with running(folder) as hub:
        use(hub, monkeypatch)
        loaded = load_checkpoint(REPOSITORY, device="cpu")
    assert (REPOSITORY, fingerprint(folder, PARTS)) == (loaded.name, loaded.fingerprint)
    assert {"Bearer hf_secret"} == {token for path, token in hub.asked if REPOSITORY in path}
    unread = ("flux1-kontext-dev.safetensors", ".py", ".bin", ".pkl")
    assert [] == [path for path, _ in hub.asked if path.endswith(unread)]
    assert not (tmp_path / "trace").exists()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert loaded.fingerprint == load_checkpoint(REPOSITORY, device="cpu").fingerprint


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (401, "GatedRepo", "licence must be accepted first at https://huggingface.co/someone/kontext"),
        (403, "GatedRepo", "licence must be accepted first"),
        (404, "RepoNotFound", "nor such a repository"),
        (500, "", "can't be reached or does not answer"),
    ],
)
def test_hugging_face_refuses(
    clean_hub: Path, monkeypatch: pytest.MonkeyPatch, status: int, code: str, message: str
) -> None:
    """Gated, missing and failing repositories each have their own remedy."""
    with running(refusal=(status, code)) as hub:
        use(hub, monkeypatch)
        assert message in refusal(REPOSITORY)


def test_hugging_face_is_unreachable(clean_hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network and a cached copy, it says so."""
    with running() as hub:
        use(hub, monkeypatch)
    assert "can't be reached" in refusal(REPOSITORY)


def test_offline(clean_hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With HF_HUB_OFFLINE the error names it and the command that fills the cache."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = refusal(REPOSITORY)
    assert (True, True) == ("HF_HUB_OFFLINE is set" in message, f"hf download {REPOSITORY}" in message)
