"""The package: what the wheel holds, and that the stub tells the truth."""

from __future__ import annotations

import doctest
import inspect
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import primer
from primer import _primer
from primer._options import pairs

ROOT = Path(__file__).parents[3]


def wheels() -> list[Path]:
    """The wheel that test.sh built and installed."""
    folder = os.environ.get("PRIMER_WHEELS", str(ROOT / "dist"))
    return sorted(Path(folder).glob("primer-*.whl"))


def test_there_is_one_abi3_wheel() -> None:
    (wheel,) = wheels()
    name, version, python, abi, platform = wheel.name.removesuffix(".whl").split("-")
    assert (name, version, python, abi) == ("primer", primer.__version__, "cp311", "abi3")
    assert platform.startswith(("linux", "manylinux", "musllinux", "macosx"))


def test_the_wheel_holds_the_package_and_nothing_else() -> None:
    (wheel,) = wheels()
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        record = archive.read(f"primer-{primer.__version__}.dist-info/METADATA").decode()
    sources = {
        f"primer/{path.name}"
        for path in (ROOT / "bindings/python/python/primer").iterdir()
        if path.suffix in (".py", ".pyi", ".typed")
    }
    assert names == sources | {"primer/py.typed", "primer/_primer.abi3.so"}
    assert "Requires-Python: >=3.11" in record
    # Public registries hold unrelated packages of this name: nothing is fetched from there.
    assert "Requires-Dist" not in record


def test_the_installed_package_is_the_wheels() -> None:
    assert _primer.__file__ is not None
    assert "site-packages" in _primer.__file__
    assert not Path(_primer.__file__).is_relative_to(ROOT / "bindings")


def test_the_stub_describes_the_native_layer() -> None:
    allowed = Path(__file__).with_name("stubtest_allowed.txt")
    command = [sys.executable, "-m", "mypy.stubtest", "primer._primer", "--allowlist", str(allowed)]
    checked = subprocess.run(
        [*command, "--ignore-unused-allowlist"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_example_in_the_documentation_is_true() -> None:
    failed, tried = doctest.testmod(primer)
    assert (failed, bool(tried)) == (0, True)


def test_asyncio_is_imported_only_when_it_is_used() -> None:
    script = "import sys, primer; primer.open().close(); print('asyncio' in sys.modules); primer.aio.open"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_every_name_that_is_promised_exists() -> None:
    assert [name for name in primer.__all__ if not hasattr(primer, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'oepn'"):
        getattr(primer, "oepn")


@pytest.fixture(scope="module")
def table() -> Any:
    """What every face offers."""
    return tomllib.loads((ROOT / "tests/conformance/surface.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("face", [primer, primer.aio], ids=["sync", "aio"])
def test_every_verb_of_the_table_is_there(table: Any, face: Any) -> None:
    for verb in table["verb"]:
        assert hasattr(getattr(_primer, verb["on"]), verb["name"]), verb
        if verb["name"] == "open":
            assert hasattr(face, "open")
        else:
            idioms = [getattr(face, verb["on"]), getattr(face, verb.get("or", verb["on"]))]
            assert any(hasattr(idiom, verb["name"]) for idiom in idioms), verb


def test_every_option_of_the_table_is_there(table: Any) -> None:
    named = {option["name"].removesuffix("_ms") for option in table["option"] if option["of"] == "Options"}
    assert named - set(primer.Options.__annotations__) == set()


@pytest.mark.parametrize("verb", ["enqueue", "enqueue_many"])
def test_every_option_of_an_enqueue_is_there(table: Any, verb: str) -> None:
    named = [option["name"] for option in table["option"] if option["of"] == "EnqueueOptions"]
    assert set(named) - set(inspect.signature(getattr(_primer.Queue, verb)).parameters) == set()
    for face in (primer, primer.aio):
        known = {*inspect.signature(getattr(face.Queue, verb)).parameters, *primer.Terms.__annotations__}
        assert {name.removesuffix("_ms") for name in named} - known == set()


@pytest.mark.parametrize("option", primer.Options.__annotations__)
def test_every_option_is_one_of_the_cores(option: str) -> None:
    options: Any = {option: "1s"}
    ((key, _),) = pairs(options)
    with pytest.raises(primer.WrongCall) as caught:
        _primer.Primer.start([(key, "1"), ("no such option", "")])
    assert caught.value.context.get("option") != key or caught.value.reason != "an unknown option"


def test_every_value_of_the_table_is_there(table: Any) -> None:
    for value in table["value"]:
        # `from` is a word of Python's own.
        names = [field.split(":")[0].replace("from", "from_") for field in value["fields"]]
        missing = [name for name in names if not hasattr(getattr(primer, value["name"]), name)]
        assert missing == [], value
