"""Models that find names, as spaCy pipelines on disk: added, checked, loaded offline, and refused in words."""

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from name_models import KNOWS, pipeline, wheel
from spacy.language import Language
from spacy.tokens import Doc

from agent.config.names import Names as Section
from agent.model.redaction import SecretKind
from agent.transcribe.entities import NamesError, load_names
from agent.transcribe.models import Kind, ModelError, add, check, installed, remove

LABELS = Section().kinds


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return pipeline(tmp_path / "source" / "small")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "models"


def test_a_pipeline_finds_names_in_text(made: Path, store: Path) -> None:
    add(made, store)
    names = load_names(["small"], store, LABELS)
    text = "Ici Jean Dupont, d'Orange, à l'Élysée."
    (found,) = names([text], "fr")
    assert [(e.kind.value, text[e.start : e.after]) for e in found] == [
        ("name", "Jean Dupont"),
        ("organisation", "Orange"),
        ("place", "Élysée"),
    ]
    assert names([], "fr") == [] and names(["", "bonjour"], "fr") == [[], []]
    assert names.models[0].kinds == {SecretKind.NAME, SecretKind.PLACE, SecretKind.ORGANISATION}


def test_folder_wheel_and_archive_are_the_same_model_and_no_program_comes_along(
    made: Path, store: Path, tmp_path: Path
) -> None:
    folder, packed = add(made, store), add(wheel(tmp_path, made), store)
    archive = add(Path(shutil.make_archive(str(tmp_path / "in-tar"), "gztar", made.parent)), store)
    assert packed.name == "fr_small" and folder.sha256 == packed.sha256 == archive.sha256
    assert {m.kind for m in installed(store)} == {Kind.NAMES} and installed(store, Kind.SPEECH) == ()
    assert not list(store.rglob("*.py")) and check(packed)
    assert load_names(["fr_small"], store, LABELS).models[0].language == "fr"
    remove("fr_small", store)
    assert [m.name for m in installed(store)] == ["small", "in-tar"]


def test_the_digest_of_a_tree_is_what_coreutils_say(made: Path, store: Path) -> None:
    model = add(made, store)
    command = r"find -type f -printf '%P\n' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    said = subprocess.run(command, shell=True, cwd=model.path, capture_output=True, check=True)
    assert said.stdout.split()[0].decode() == model.sha256


def test_a_changed_byte_anywhere_is_refused(made: Path, store: Path) -> None:
    model = add(made, store)
    (changed,) = [p for p in model.path.rglob("*.jsonl")]
    changed.write_text(changed.read_text().replace("Grandet", "Grandit"))
    assert not check(model)
    with pytest.raises(NamesError, match="files differ"):
        load_names(["small"], store, LABELS)


def test_what_is_no_pipeline_is_not_added(made: Path, store: Path, tmp_path: Path) -> None:
    (made / "meta.json").write_text("[]")
    with pytest.raises(ModelError, match="says no language"):
        add(made, store)
    (made / "meta.json").write_text("{")
    with pytest.raises(ModelError, match=r"meta\.json is not JSON"):
        add(made, store)
    (made / "meta.json").unlink()
    with pytest.raises(ModelError, match=r"or a spaCy pipeline"):
        add(made, store)
    for best in ("model-best", "model-last"):
        pipeline(tmp_path / "trained" / best)
    with pytest.raises(ModelError, match="more than one"):
        add(tmp_path / "trained", store)
    assert list(store.iterdir()) == []


def test_models_that_cannot_be_loaded_say_why(made: Path, store: Path) -> None:
    with pytest.raises(NamesError, match=r"no model of names is installed as small \(known: none\)"):
        load_names(["small"], store, LABELS)
    config = made / "config.cfg"
    config.write_text(re.sub('factory = "entity_ruler"', 'factory = "of_nobody"', config.read_text()))
    add(made, store, "strange")
    with pytest.raises(NamesError, match=r"strange cannot be loaded by spaCy .*of_nobody"):
        load_names(["strange"], store, LABELS)


def test_labels_are_the_models_own(made: Path, store: Path, tmp_path: Path) -> None:
    add(made, store)
    with pytest.raises(NamesError, match=r"none of the labels NOM \(it has: LOC, ORG, PER\)"):
        load_names(["small"], store, {"NOM": SecretKind.NAME})
    add(pipeline(tmp_path / "people", "en", {"CLIENT": ("Smith",)}), store)
    names = load_names(["small", "people"], store, {"CLIENT": SecretKind.NAME, "PER": SecretKind.NAME})
    assert names.why_not("en", {SecretKind.NAME}) == "" == names.why_not("fr", {SecretKind.NAME})
    assert "no label of place" in names.why_not("en", {SecretKind.NAME, SecretKind.PLACE})
    assert len(names(["Mr Smith"], "en")[0]) == 1 and names(["Mr Smith"], "fr") == [[]]


def test_a_language_without_a_model_is_never_taken_for_another(made: Path, store: Path, tmp_path: Path) -> None:
    add(made, store)
    names = load_names(["small"], store, LABELS)
    assert "language de" in names.why_not("de", {SecretKind.NAME})
    with pytest.raises(NamesError, match="language und"):
        names(["Amélie"], "und")
    add(pipeline(tmp_path / "many", "xx"), store)
    both = load_names(["small", "many"], store, LABELS)
    assert both.why_not("de", {SecretKind.NAME}) == "" and len(both(["Amélie"], "de")[0]) == 1
    add(pipeline(tmp_path / "more", "fr"), store)
    with pytest.raises(NamesError, match="small and more are both for fr"):
        load_names(["small", "more"], store, LABELS)


def test_what_was_read_is_forgotten(made: Path, store: Path) -> None:
    add(made, store)
    names = load_names(["small"], store, LABELS)
    strings = names.models[0]._nlp.vocab.strings
    before = len(strings)
    for n in range(20):
        names([f"ici Madame Personne{n} et Jean Dupont"], "fr")
    assert len(strings) == before and "Personne7" not in strings


def test_a_model_that_breaks_says_nothing_of_what_it_read(tmp_path: Path, store: Path) -> None:
    @Language.component("breaks")
    def breaks(doc: Doc) -> Doc:
        raise ValueError(doc.text)

    made = spacy.load(pipeline(tmp_path / "breaking"))
    made.add_pipe("breaks", last=True)
    made.to_disk(tmp_path / "breaking")
    add(tmp_path / "breaking", store)
    names = load_names(["breaking"], store, LABELS)
    with pytest.raises(NamesError, match=r"breaking broke over a text \(ValueError\)") as raised:
        names(["Jean Dupont"], "fr")
    assert "Jean" not in str(raised.value)


def test_without_the_extra_it_says_what_to_install(made: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(made, store)
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(NamesError, match=re.escape("pip install 'spacy")):
        load_names(["small"], store, LABELS)


OFFLINE = """
import socket, sys
from pathlib import Path
try: socket.create_connection(("192.0.2.1", 80), 1)
except OSError as error: print(error.errno)
from agent.config.names import Names
from agent.transcribe.entities import load_names
print(len(load_names(["small"], Path(sys.argv[1]), Names().kinds)(["ici Jean Dupont"], "fr")[0]))
"""


@pytest.mark.slow
def test_no_network_is_needed(made: Path, store: Path) -> None:
    """In a network namespace with nothing in it."""
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode:
        if os.environ.get("GREFFIER_REQUIRE_SHARED"):
            pytest.fail("network namespaces are required here and not allowed")
        pytest.skip("network namespaces are not allowed here")
    add(made, store)
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-c", OFFLINE, str(store)],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.stdout.split() == [str(errno.ENETUNREACH), "1"], done.stderr


def test_the_usual_labels_are_those_of_spacys_models() -> None:
    assert set(KNOWS) <= set(LABELS) and LABELS["PERSON"] is SecretKind.NAME and LABELS["GPE"] is SecretKind.PLACE
