"""`openkontext verify`: what is printed, what status it ends with, and what hostile files get from it."""

import io
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from openkontext.media import authority
from openkontext.media.images import encode
from openkontext.media.notary import Notary
from tests.cli.conftest import Run
from tests.cli.test_apart import crashing
from tests.media.media_files import noise, png_chunk, saved
from tests.media.signers import certificate, issuer, kept, new_key, pem
from tests.media.test_claims import receipt_for

HERE = Path(__file__).parents[1] / "media"


@pytest.fixture(scope="module")
def authority_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, made once."""
    folder = tmp_path_factory.mktemp("template") / "c2pa"
    Notary.open(folder, "", "")
    return folder


@pytest.fixture
def notary(authority_folder: Path, tmp_path: Path) -> Notary:
    """The notary of the data folder that the commands find."""
    shutil.copytree(authority_folder, tmp_path / "data" / "c2pa")
    return Notary.open(tmp_path / "data" / "c2pa", "", "")


@pytest.fixture
def signed(notary: Notary, tmp_path: Path) -> Path:
    """A signed file."""
    path = tmp_path / "edited.jpg"
    path.write_bytes(notary.sign(encode(noise(), "jpg", 90, receipt_for("jpg")), "jpg", receipt_for("jpg")))
    return path


def write(path: Path, data: bytes) -> Path:
    """A file with these bytes."""
    path.write_bytes(data)
    return path


def test_good_file(run: Run, signed: Path) -> None:
    """Who, what, when, of what; each in a line; and status 0."""
    done = run("verify", signed)
    first, *rest = done.stdout.splitlines()
    said = dict(line.strip().split("  ", 1) for line in rest)
    (anchor,) = authority.read_certificates(signed.parent / "data" / "c2pa" / "authority.pem")
    assert (0, "") == (done.exit_code, done.stderr)
    assert f"{signed}: signed by an authority that is trusted here, and unchanged since" == first
    assert "make it snow" == said["prompt"].strip()
    assert {
        "made by",
        "checkpoint",
        "prompt",
        "seed",
        "input",
        "tag",
        "manifest",
        "signed by",
        "authority",
    } == said.keys()
    assert said["authority"].strip() == f"{authority.name_of(anchor)}, SHA-256 {authority.fingerprint(anchor)}"
    assert said["tag"].strip() == "edited with AI (compositeWithTrainedAlgorithmicMedia)" == said["manifest"].strip()


def test_json(run: Run, signed: Path) -> None:
    """The same for scripts."""
    done = run("verify", signed, "--json")
    said = json.loads(done.stdout)
    assert (0, "holds", [], []) == (done.exit_code, said["verdict"], said["broken"], said["open"])
    assert receipt_for("jpg") == said["receipt"] == said["credentials"]["receipt"]
    assert 1 == len(said["credentials"]["authority_fingerprints"])


def test_changed_pixel(run: Run, signed: Path) -> None:
    """Status 1, and the reason first; who signed isn't vouched for by a fingerprint then."""
    data = bytearray(signed.read_bytes())
    data[-10] ^= 1
    done = run("verify", write(signed, bytes(data)))
    assert 1 == done.exit_code
    lines = done.stdout.splitlines()
    assert [f"{signed}: it doesn't hold", "  - the file was changed after it was signed"] == lines[:2]
    assert "SHA-256" not in lines[-1]


def test_saved_again(run: Run, signed: Path) -> None:
    """Status 3: it may be the same picture, and nobody vouches for that any more."""
    with Image.open(signed) as image:
        image.load()
    done = run("verify", write(signed, saved(image, "JPEG", exif=image.info["exif"])))
    assert (3, "nothing is proven") == (done.exit_code, done.stdout.splitlines()[0].split(": ")[1])
    assert "it isn't signed" in done.stdout
    # What the receipt in the EXIF data claims is shown all the same.
    assert "make it snow" in done.stdout


def test_signed_by_another_authority(run: Run, signed: Path, tmp_path: Path) -> None:
    """Status 3, until its certificate is named; then this folder's own isn't trusted."""
    above, key = issuer("Example Studios"), new_key()
    other = Notary.open(tmp_path, *kept(tmp_path, [certificate("Studio 1", key, above)], key))
    theirs = write(tmp_path / "theirs.jpg", other.sign(encode(noise(), "jpg", 90), "jpg", receipt_for("jpg")))
    trust = write(tmp_path / "studios.pem", pem(above.certificate))
    unknown, known, ours = run("verify", theirs), run("verify", theirs, "--trust", trust), run("verify", signed)
    assert [3, 0, 0] == [unknown.exit_code, known.exit_code, ours.exit_code]
    assert "its authority isn't trusted here" in unknown.stdout
    assert "Example / Studio 1" in unknown.stdout
    assert authority.fingerprint(above.certificate) in known.stdout
    assert 3 == run("verify", signed, "--trust", trust).exit_code


def test_without_a_data_folder(run: Run, signed: Path, tmp_path: Path) -> None:
    """On another machine nobody is trusted unless named; and nothing is made there."""
    done = run("verify", signed, "--data", tmp_path / "elsewhere")
    assert 3 == done.exit_code
    assert not (tmp_path / "elsewhere").exists()
    named = tmp_path / "data" / "c2pa" / "authority.pem"
    assert 0 == run("verify", signed, "--data", tmp_path / "elsewhere", "--trust", named).exit_code


def test_certificate_that_ran_out(run: Run) -> None:
    """Status 3: who signed can't be told from who found the key later."""
    done = run("verify", HERE / "expired.test.jpg", "--trust", HERE / "expired.test.pem")
    assert 3 == done.exit_code
    assert "the signer's certificate ran out on 2026-11-22" in done.stdout


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("garbage", 1, "  - it is no picture"),
        ("empty", 1, "  - it is no picture"),
        ("half", 1, "  - the picture is cut off: the JPEG has no end marker"),
        ("SVG", 3, "  - it is SVG: only png, jpg and webp are signed here"),
    ],
)
def test_no_picture(run: Run, signed: Path, name: str, status: int, reason: str) -> None:
    """A line on what it is."""
    data = {"garbage": b"\xff" * 1_000, "empty": b"", "SVG": b"<svg >", "half": signed.read_bytes()[:-200]}[name]
    done = run("verify", write(signed, data))
    assert (status, "") == (done.exit_code, done.stderr)
    assert reason == done.stdout.splitlines()[1]


def test_file_that_is_too_large(run: Run, tmp_path: Path) -> None:
    """It isn't read to its end; this one takes no room on the disk."""
    path = write(tmp_path / "large.png", b"")
    os.truncate(path, 10**12)
    done = run("verify", path)
    assert (2, "") == (done.exit_code, done.stdout)
    assert "is larger than 200 MB" in done.stderr


def test_hostile_text_is_no_command_to_a_terminal(run: Run, tmp_path: Path) -> None:
    """Escape sequences, bells, new lines and reversed text are shown as what they are; a novel is cut."""
    prompt = "\x1b]0;owned\x07\x1b[2J\r\nholds\x9b31m\u202eevil" + "x" * 1_000
    path = write(tmp_path / "\x1b[31m.png", encode(noise(), "png", 90, receipt_for("png", prompt=prompt)))
    for options in ([], ["--json"]):
        shown = run("verify", path, *options).stdout.replace("\n", "")
        assert shown.isprintable()
        assert "\\x1b]0;owned\\x07" in shown or "\\u001b]0;owned\\u0007" in shown
    assert max(map(len, run("verify", path).stdout.splitlines())) < 500


def test_manifest_that_wants_all_the_memory(run: Run) -> None:
    """Found by fuzzing: left to itself the reader takes 1.8 GB for it."""
    done = run("verify", HERE / "greedy.test.jpg")
    assert (1, "") == (done.exit_code, done.stderr)
    assert "its manifest can't be read" in done.stdout


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_file_that_takes_the_reader_down(
    run: Run, signed: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    """Whatever it would be: the file doesn't hold then, and the command says so."""
    monkeypatch.setattr("openkontext.media.claims.examine", lambda *_: crashing())
    done = run("verify", signed, *options)
    assert (1, "") == (done.exit_code, done.stderr)
    assert "it can't be examined: it takes too much memory, or crashed the reader" in done.stdout


def test_bomb_in_the_metadata(run: Run, tmp_path: Path) -> None:
    """A text chunk that unpacks to 20 MB is left packed."""
    import zlib

    plain = encode(noise(), "png", 90)
    packed = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(20_000_000), 1))
    done = run("verify", write(tmp_path / "bomb.png", plain[:33] + packed + plain[33:]))
    assert 3 == done.exit_code
    assert "tag" not in done.stdout


@pytest.mark.parametrize("trust", ["missing.pem", "empty.pem", "picture.pem"])
def test_authorities_that_cannot_be_read(run: Run, signed: Path, tmp_path: Path, trust: str) -> None:
    """Status 2, as with any wrong command line: nothing was said of the file."""
    write(tmp_path / "empty.pem", b"")
    shutil.copy(signed, tmp_path / "picture.pem")
    done = run("verify", signed, "--trust", tmp_path / trust)
    assert (2, "") == (done.exit_code, done.stdout)
    assert trust in done.stderr


def test_pipe(run: Run, tmp_path: Path) -> None:
    """It might never end."""
    os.mkfifo(tmp_path / "pipe")
    done = run("verify", tmp_path / "pipe")
    assert (2, "") == (done.exit_code, done.stdout)
    assert "isn't a file" in done.stderr


def test_other_vendors_file(run: Run, tmp_path: Path) -> None:
    """Who made it and what kind of picture it says it is."""
    from tests.media.test_claims import CAMERA, KEYS, foreign

    data, vendor = foreign(CAMERA, b"ps256", KEYS[b"ps256"])
    trust = write(tmp_path / "vendor.pem", pem(vendor))
    done = run("verify", write(tmp_path / "photo.jpg", data), "--trust", trust)
    assert 0 == done.exit_code
    assert ["made by     Example Camera 7", "manifest    digitalCapture"] == [
        line.strip() for line in done.stdout.splitlines() if line.strip().startswith(("made by", "manifest"))
    ]


def test_samples_of_the_readme_are_pictures_without_claims(run: Run) -> None:
    """Any picture at all may be asked about."""
    done = run("verify", HERE.parents[1] / "samples" / "tiger.webp")
    assert 3 == done.exit_code
    assert 2 == len(done.stdout.splitlines())


def test_the_picture_itself_is_left_alone(run: Run, signed: Path) -> None:
    """Looking changes nothing."""
    before = (signed.read_bytes(), signed.stat().st_mtime_ns)
    run("verify", signed)
    assert before == (signed.read_bytes(), signed.stat().st_mtime_ns)
    assert io.BytesIO(before[0]).read(2) == b"\xff\xd8"
