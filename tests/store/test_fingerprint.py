import ast
import re
from importlib.machinery import EXTENSION_SUFFIXES

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinnflow.simulation.model_file import ModelError, load_model
from cinnflow.store.fingerprint import Fingerprint, fingerprint
from cinnflow.store.model_code import code_digest

MODEL = '''"""A model."""

import sys
import numpy as np
import cinnflow as cf
import local_module
from local_names import OFFSET
from package import member
from package.deep import LEVEL as DEPTH

SCALE: float = 2.0
LIMITS = [0, 9]
LOW, HIGH = LIMITS
TABLE = {"a": 1}
TABLE["b"] = 2
REGISTRY = {}
if sys.version_info > (3,):
    FLAG = 1


def register(function):
    REGISTRY[function.__name__] = function
    return function


def helper(x, power=2):
    """Squares."""
    # a comment
    return SCALE * x**power + local_module.SHIFT + OFFSET + DEPTH


@register
def noise(rng, size=3):
    return rng.normal(size=size)


def unrelated(a, b=1):
    return a - b


def draw(rng):
    return rng.uniform(LOW, HIGH, size=1)


def simulate(theta, rng):
    from lazily import EXTRA

    return helper(theta) + REGISTRY["noise"](rng) + EXTRA + TABLE["b"] + FLAG + member.VALUE


def build(n_obs=3):
    return cf.GenerativeModel(cf.Prior(draw, ["mu"]), cf.Simulator(simulate, files=["table.csv"]))


def read_observation(path):
    import reading
    return np.loadtxt(path) + getattr(reading, "ZERO")


def derived_quantities(theta):
    return {"twice": 2 * theta["mu"]}


published = [{"quantity": "twice", "value": 3, "source": "here"}]

if __name__ == "__main__":
    print(unrelated(1, 2))
'''
FILES = {
    "local_module.py": '"""Local."""\nimport nested\nSHIFT = 1\n\n\ndef not_used():\n    return 2\n',
    "nested.py": "VALUE = 1\n",
    "local_names.py": "OFFSET = 3\n",
    "package/__init__.py": "from .deep import LEVEL\n",
    "package/deep.py": "LEVEL = 1\n",
    "package/member.py": "from . import sibling\nfrom .sibling import VALUE\n",
    "package/sibling.py": "VALUE = 4\n",
    "lazily.py": "EXTRA = 5\n",
    "reading.py": "ZERO = 0\n",
    "unused.py": "X = 1\n",
    "table.csv": "1,2\n",
}


def digest(folder, text=MODEL, options=None, seed=7, files=None):
    """The fingerprint of a model file with its local modules."""
    folder.mkdir(exist_ok=True)
    for name, content in {**FILES, **(files or {}), "model.py": text}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    return fingerprint(load_model(folder / "model.py", options), options or {}, seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fingerprint") / "toy"


@pytest.fixture(scope="module")
def original(folder):
    return digest(folder)


def edited(old, new, text=MODEL):
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    "text",
    [
        edited("# a comment", "# another\n    # and one more"),
        edited('"""Squares."""', '"""Raises to a power."""'),
        edited('    """Squares."""\n', ""),
        edited('"""A model."""\n', ""),
        edited("return SCALE * x**power + local", "return (\n        SCALE\n        * x ** power + local").replace(
            "OFFSET + DEPTH\n", "OFFSET + DEPTH\n    )\n"
        ),
        edited('TABLE = {"a": 1}', "TABLE = {  # why\n    'a': 0x1,\n}"),
        edited("def unrelated(a, b=1):", "def unrelated(b=1, a=2):"),
        edited("return a - b", "return b * a"),
        edited("np.loadtxt(path)", "np.genfromtxt(path)"),
        edited('2 * theta["mu"]', '3 * theta["mu"]'),
        edited('"value": 3', '"value": 4'),
        edited("print(unrelated(1, 2))", "print(unrelated(2, 1))"),
        edited("import sys\n", "import sys\nimport os\n"),
        edited("SCALE: float = 2.0", "SCALE = 2.0"),
        edited("def simulate(theta, rng):", "def simulate(theta: np.ndarray, rng: 'Generator') -> np.ndarray:"),
        edited("def draw", "def new(x):\n    return x\n\n\ndef draw"),
        MODEL.replace("\n\n\n", "\n\n"),
        MODEL + "\n\n# the end\n",
        "\ufeff" + MODEL,
    ],
)
def test_what_changes_no_simulation_changes_no_fingerprint(folder, original, text):
    assert digest(folder, text) == original


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (edited("SCALE: float = 2.0", "SCALE: float = 2"), "code: SCALE"),
        (edited("LIMITS = [0, 9]", "LIMITS = [0, 8]"), "code: LIMITS"),
        (edited("x**power", "x**-power"), "code: helper"),
        (edited("power=2", "power=3"), "code: helper"),
        (edited("rng.uniform(LOW, HIGH", "rng.uniform(HIGH, LOW"), "code: draw"),
        (edited("rng.normal(size=size)", "rng.uniform(size=size)"), "code: noise"),
        (edited('["mu"]), cf', '["nu"]), cf'), "code: build"),
        (edited('TABLE["b"] = 2', 'TABLE["b"] = 3'), "code: (statements)"),
        (edited("FLAG = 1", "FLAG = 2"), "code: (statements)"),
        (edited("import local_module", "import nested as local_module"), "code: local_module"),
        (edited("    return helper(theta)", "    '''Doc.'''\n    return 2 * helper(theta)"), "code: simulate"),
    ],
)
def test_changed_code_is_told_by_its_name(folder, original, text, part):
    changed = (
        digest(folder, text) if "nested as" not in text else digest(folder, text, files={"nested.py": "SHIFT = 1\n"})
    )
    assert changed.digest != original.digest
    assert part in changed.differences(original.parts)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("local_module.py", FILES["local_module.py"].replace("SHIFT = 1", "SHIFT = 2"), "code: local_module.py"),
        ("nested.py", "VALUE = 2\n", "code: nested.py"),
        ("local_names.py", "OFFSET = 4\n", "code: local_names.py"),
        ("package/__init__.py", "from .deep import LEVEL\nX = 1\n", "code: package/__init__.py"),
        ("package/deep.py", "LEVEL = 2\n", "code: package/deep.py"),
        ("package/sibling.py", "VALUE = 5\n", "code: package/sibling.py"),
        ("lazily.py", "EXTRA = 6\n", "code: lazily.py"),
        ("table.csv", "1,2 \n", "file: table.csv"),
    ],
)
def test_changed_modules_and_files_are_told_by_their_name(folder, original, name, content, part):
    assert digest(folder, files={name: content}).differences(original.parts) == [part]
    assert digest(folder) == original


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("local_module.py", '"""Why."""\nimport nested  # why\nSHIFT = 1\ndef not_used():\n    return 2\n'),
        ("reading.py", "ZERO = 1\n"),
        ("unused.py", "X = 2\n"),
    ],
)  # fmt: skip
def test_modules_may_be_reformatted_and_those_of_reading_edited(folder, original, name, content):
    assert digest(folder, files={name: content}) == original


def test_options_and_seed_count(folder, original):
    assert digest(folder, options={"n_obs": 3}).differences(original.parts) == ["option: n_obs"]
    first, second = digest(folder, options={"n_obs": 3}), digest(folder, options={"n_obs": 4})
    assert first.differences(second.parts) == ["option: n_obs"]
    assert digest(folder, seed=8).differences(original.parts) == ["seed"]
    assert re.fullmatch(r"toy-[0-9a-f]{8}", original.store_name)
    assert len({one.digest for one in (original, first, second, digest(folder, seed=8))}) == 4


def test_a_round_trip_through_the_parser_changes_nothing(folder, original):
    assert digest(folder, ast.unparse(ast.parse(MODEL))) == original
    unparsed = {name: ast.unparse(ast.parse(text)) for name, text in FILES.items() if name.endswith(".py")}
    assert digest(folder, files=unparsed) == original


EXPRESSIONS = st.recursive(
    st.one_of(
        st.integers().map(repr),
        st.floats(allow_nan=False).map(repr).map(lambda text: text.replace("inf", "1e999")),
        st.text(max_size=5).map(repr),
        st.binary(max_size=5).map(repr),
        st.sampled_from(["x", "None", "True", "...", "1j", "x[1:, ::2]", "(lambda a, *b, c=1: a)", "f'{x!r:>{x}}'"]),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "@", "//", "**", "<", "and", "is not"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        inner.map(lambda part: f"{{**x, 'a': {part}}}"),
        inner.map(lambda part: f"[{part} for x, *_ in x if x]"),
        inner.map(lambda part: f"g(*x, a={part}, **x)"),
    ),
    max_leaves=6,
)  # fmt: skip


@given(EXPRESSIONS, EXPRESSIONS)
@settings(max_examples=150)
def test_any_code_keeps_its_digest_when_it_is_reformatted(tmp_path_factory, first, second):
    path = tmp_path_factory.getbasetemp() / "round-trip.py"
    text = f"x = {first}\ndef g(x):\n    'doc'\n    if x:\n        return {second}\n    async def h(): yield x\n"
    text += "def build(): g(x)\n"

    def digest_of(source):
        path.write_text(source, encoding="utf-8")
        return code_digest(path, ("build",))

    before = digest_of(text)
    assert digest_of(ast.unparse(ast.parse(text))) == before
    assert (digest_of(text.replace(f"return {second}", f"return not ({second})"))) != before


def digests(folder, *texts):
    """Digests of what build() reaches in model files."""
    found = []
    for text in texts:
        (folder / "model.py").write_text(text)
        found.append(code_digest(folder / "model.py", ("build",)))
    return found


def test_the_order_counts_where_values_change(tmp_path):
    build = "def build():\n    return A, B\n"
    for first, second in (("A = 1\nB = A\nA = 2\n", "A = 1\nA = 2\nB = A\n"), ("A = [1]\nB = len(A)\nA.pop()\n",
                                                                        "A = [1]\nA.pop()\nB = len(A)\n")):  # fmt: skip
        one, other = digests(tmp_path, first + build, second + build)
        assert one != other
    one, other = digests(tmp_path, "A = 1\nB = 2\n" + build, build + "B = 2\nA = 1\n")
    assert one == other, "definitions may be moved about"


def test_an_assignment_that_changes_another_value_counts(tmp_path):
    table = "RATES = dict(a=1, b=2)\n{}\ndef build():\n    return RATES\n"
    for one, other in (
        ("removed = RATES.pop('a')", "removed = RATES.pop('b')"),
        ("_ = RATES.update(a=2)", "_ = RATES.update(a=3)"),
        ("old: int = RATES.setdefault('c', 1)", "old: int = RATES.setdefault('c', 2)"),
    ):
        found = digests(tmp_path, table.replace("{}", one), table.replace("{}", other))
        assert found[0] != found[1], one
    table = "import numpy as np\n" + table
    for one, other in (
        ("total = np.add(*RATES.values())", "total = np.add(1, *RATES.values())"),
        ("labels = sorted(RATES)", "labels = sorted(RATES, key=len)"),
    ):
        found = digests(tmp_path, table.replace("{}", one), table.replace("{}", other))
        assert found[0] == found[1], one


def test_code_that_no_name_leads_to(tmp_path):
    for text in (
        "class Base: pass\nclass Child(Base):\n    x = VALUE\ndef build():\n    return Base.__subclasses__()\n",
        "def f():\n    return VALUE\ndef build():\n    return globals()['f']()\n",
        "def f():\n    return VALUE\nfor name in 'f':\n    g = eval(name)\ndef build():\n    return g\n",
    ):
        one, other = digests(tmp_path, text.replace("VALUE", "1"), text.replace("VALUE", "2"))
        assert one != other
    (tmp_path / "entries.py").write_text("X = 1\n")
    text = "import entries\ndef build():\n    return 1\n"
    (one,) = digests(tmp_path, text)
    (tmp_path / "entries.py").write_text("X = 2\n")
    assert digests(tmp_path, text) != [one], "a module that is imported for what it does"


def test_modules_elsewhere_on_the_path_count_unless_they_are_installed(tmp_path, monkeypatch):
    (tmp_path / "src/cinnflow").mkdir(parents=True)
    (tmp_path / "src/cinnflow/__init__.py").write_text("X = 1\n")
    monkeypatch.syspath_prepend(tmp_path / "src")
    places = {name: tmp_path / name for name in ("code", "lib/site-packages", "project")}
    for name, place in places.items():
        place.mkdir(parents=True)
        (place / f"{name[:3]}_physics.py").write_text("X = 1\n")
        monkeypatch.syspath_prepend(place)
    text = (
        "import cinnflow, cod_physics, lib_physics\n"
        "def f():\n    import pro_physics\n    return pro_physics.X\n"
        "def build():\n    return cod_physics.X, lib_physics.X, f()\n"
    )
    (one,) = digests(tmp_path, text)
    for name, place in places.items():
        (place / f"{name[:3]}_physics.py").write_text("X = 2\n")
        (other,) = digests(tmp_path, text)
        assert (one == other) == (name == "lib/site-packages"), name
        one = other
    (tmp_path / "src/cinnflow/__init__.py").write_text("X = 2\n")
    assert digests(tmp_path, text) == [one], "this package"


@pytest.mark.parametrize("call", ["load('physics')", "load('physics.rates')", "__import__('physics')"])
def test_modules_imported_by_a_function_count(tmp_path, call):
    (tmp_path / "physics").mkdir()
    (tmp_path / "physics/__init__.py").write_text("X = 1\n")
    (tmp_path / "physics/rates.py").write_text("X = 1\n")
    call = call.replace("load", "importlib.import_module")
    text = f"import importlib\ndef build():\n    return {call}.X\n"
    (one,) = digests(tmp_path, text)
    (tmp_path / "physics/__init__.py").write_text("X = 2\n")
    assert digests(tmp_path, text) != [one]


@pytest.mark.parametrize("package", ["", "physics/"])
def test_a_compiled_module_counts_by_its_bytes(tmp_path, package):
    compiled = tmp_path / f"{package}fast{EXTENSION_SUFFIXES[0]}"
    compiled.parent.mkdir(exist_ok=True)
    compiled.write_bytes(b"\x7fELF one")
    text = f"from {package[:-1] or 'fast'} import {'fast' if package else 'f'} as it\ndef build():\n    return it\n"
    (one,) = digests(tmp_path, text)
    compiled.write_bytes(b"\x7fELF two")
    assert digests(tmp_path, text) != [one]


def test_types_count_where_something_may_read_them(tmp_path):
    for text in (
        "@convert\ndef f(x: VALUE): pass\ndef build(): f(1)\n",
        "class A:\n    x: VALUE = 1\ndef build(): A()\n",
        "class A:\n    @convert\n    def f(self) -> VALUE: pass\ndef build(): A()\n",
    ):
        one, other = digests(tmp_path, text.replace("VALUE", "int"), text.replace("VALUE", "float"))
        assert one != other
    text = "class A:\n    def f(self, *a: int, b: int = 1) -> int:\n        x: int = 2\ndef build(): A()\n"
    one, other = digests(tmp_path, text, text.replace(": int", "").replace(" -> int", ""))
    assert one == other


def test_a_block_that_is_run_on_import_counts(tmp_path):
    text = "A = 1\nif __name__ != '__main__':\n    A = 2\ndef build():\n    return A\n"
    one, other = digests(tmp_path, text, text.replace("A = 2", "A = 3"))
    assert one != other


def test_what_has_no_fingerprint(tmp_path):
    digest(tmp_path / "toy")
    model = load_model(tmp_path / "toy/model.py")
    (tmp_path / "toy/table.csv").unlink()
    with pytest.raises(ModelError, match=r"declares the file 'table.csv', but .*table.csv is not there"):
        fingerprint(model, {}, 7)
    (tmp_path / "toy/lazily.py").write_text("def")
    with pytest.raises(ModelError, match=r"lazily.py cannot be parsed"):
        fingerprint(model, {}, 7)


def test_differences_name_what_is_new_and_what_is_gone():
    assert Fingerprint("a", {"x": "1", "y": "2"}).differences({"y": "3", "z": "1"}) == ["x", "y", "z"]
