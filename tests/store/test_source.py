"""Files of simulations made elsewhere: what they may hold, and every mistake told by what it got and what is taken."""

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cinnflow.simulation.prior import Prior
from cinnflow.store.source import SourceError, open_source

RNG = np.random.default_rng(0)
THETA, X = RNG.normal(size=(20, 2)), RNG.normal(size=(20, 3))


def write(path, arrays, attributes=None):
    """The same arrays in an NPZ or an HDF5 file, attributes on theta."""
    if path.suffix == ".npz":
        np.savez(path, **arrays, **(attributes or {}))
        return path
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            text = np.asarray(array).dtype.kind == "U"
            file[name] = np.asarray(array, dtype=h5py.string_dtype()) if text else array
        for name, value in (attributes or {}).items():
            file["theta"].attrs[name] = value.tolist() if value.dtype.kind == "U" else value
    return path


def read_all(source, size=7):
    """All rows, read in blocks."""
    blocks = [range(source.simulations)[start : start + size] for start in range(0, source.simulations, size)]
    read = list(source.read(blocks))
    return np.concatenate([theta for theta, _ in read]), {
        name: np.concatenate([data[name] for _, data in read]) for name in source.data
    }


@pytest.fixture(params=["sims.npz", "sims.h5"])
def path(request, tmp_path):
    return tmp_path / request.param


@pytest.mark.parametrize("as_attributes", [True, False])
def test_names_and_bounds_stand_in_the_file(path, as_attributes):
    about = {"names": np.array(["rate", "share"]), "lower": np.array([-50, -60]), "upper": np.array([50.0, np.inf])}
    arrays = {"theta": THETA, "x": X} | ({} if as_attributes else about)
    source = open_source(write(path, arrays, about if as_attributes else None))
    assert source.names == ["rate", "share"]
    np.testing.assert_array_equal(source.lower, [-50, -60])
    np.testing.assert_array_equal(source.upper, [50, np.inf])
    assert (source.simulations, source.data, source.unused) == (20, {"x": (3,)}, [])


def test_without_names_and_bounds(path):
    source = open_source(write(path, {"theta": THETA, "data/a": X, "data/b": X[:, 0], "notes": X}))
    assert source.names == ["theta_0", "theta_1"]
    assert np.isinf(source.lower).all() and np.isinf(source.upper).all()
    assert (source.data, source.unused) == ({"a": (3,), "b": ()}, ["notes"])
    theta, data = read_all(source)
    np.testing.assert_array_equal(theta, THETA)
    np.testing.assert_array_equal(data["a"], X)
    np.testing.assert_array_equal(data["b"], X[:, 0])


def test_the_models_prior_gives_what_the_file_lacks(path):
    prior = Prior(lambda rng: rng.normal(size=2), ["rate", "share"], lower=[0, -np.inf])
    source = open_source(write(path, {"theta": THETA, "x": X, "upper": np.array(9)}), prior)
    assert source.names == ["rate", "share"]
    np.testing.assert_array_equal(source.lower, [0, -np.inf])
    np.testing.assert_array_equal(source.upper, [9, 9])
    write(path, {"theta": THETA, "x": X, "names": np.array(["share", "rate"])})
    with pytest.raises(SourceError, match="the parameters are share, rate; the model file's prior has rate, share"):
        open_source(path, prior)
    with pytest.raises(SourceError, match="theta has 1 parameters"):
        open_source(write(path, {"theta": THETA[:, 0], "x": X}), prior)


DTYPES = st.one_of(
    hnp.integer_dtypes(endianness="?"), hnp.unsigned_integer_dtypes(), hnp.floating_dtypes(), hnp.boolean_dtypes()
)


@given(
    rows=st.integers(1, 30),
    parameters=st.none() | st.integers(1, 4),
    shape=hnp.array_shapes(min_dims=0, max_dims=3, max_side=4).filter(lambda shape: len(shape) < 4),
    dtypes=st.tuples(DTYPES, DTYPES),
    by_columns=st.booleans(),
    compressed=st.booleans(),
    suffix=st.sampled_from([".npz", ".h5"]),
    size=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_shapes_types_and_blocks_the_rows_come_out_as_they_are(
    tmp_path, rows, parameters, shape, dtypes, by_columns, compressed, suffix, size, seed
):
    rng = np.random.default_rng(seed)
    theta = rng.integers(0, 2, (rows,) if parameters is None else (rows, parameters)).astype(dtypes[0])
    x = rng.integers(0, 100, (rows, *shape)).astype(dtypes[1])
    arrays = {"theta": theta, "x": np.asfortranarray(x) if by_columns else x}
    path = tmp_path / f"sims{suffix}"
    if suffix == ".npz" and compressed:
        np.savez_compressed(path, **arrays)
    else:
        write(path, arrays)
    source = open_source(path)
    assert (source.simulations, source.data) == (rows, {"x": shape})
    found, data = read_all(source, size)
    assert found.dtype == data["x"].dtype == np.float64
    np.testing.assert_array_equal(found, theta.reshape(rows, -1).astype(np.float64))
    np.testing.assert_array_equal(data["x"], x.astype(np.float64))


def test_blocks_in_any_order(path):
    source = open_source(write(path, {"theta": THETA, "x": X}))
    blocks = [range(9, 20), range(3), range(3, 9)]
    for block, (theta, data) in zip(blocks, source.read(blocks), strict=True):
        np.testing.assert_array_equal(theta, THETA[block.start : block.stop])
        np.testing.assert_array_equal(data["x"], X[block.start : block.stop])


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"x": X}, r"no array theta \(simulations, parameters\); the file holds x \(20, 3\)"),
        ({"theta": THETA}, r"no data: takes an array x, or data/<name>.*; the file holds theta \(20, 2\)"),
        ({"theta": THETA, "x": X[:19]}, r"different lengths.*: theta \(20, 2\), x \(19, 3\)"),
        ({"theta": THETA.T, "x": X}, r"different lengths.*: theta \(2, 20\), x \(20, 3\)"),
        ({"theta": THETA[:, :, None], "x": X}, r"theta has shape \(20, 2, 1\); takes"),
        ({"theta": THETA[:0], "x": X[:0]}, r"theta is empty or a single number, shape \(0, 2\)"),
        ({"theta": THETA[:, :0], "x": X}, "theta is empty"),
        ({"theta": THETA, "x": X[:, :0]}, "x is empty"),
        ({"theta": np.array(1.0), "x": X}, "theta is empty or a single number"),
        ({"theta": THETA, "x": X.astype(complex)}, "x is an array of type complex128; takes numbers"),
        ({"theta": THETA, "x": np.zeros(20, [("a", float)])}, "x is an array of type .*; takes numbers"),
        ({"theta": THETA, "x": X, "data/y": X}, "both x and data/y"),
        ({"theta": THETA, "x": X, "mask": X > 0}, "mask stands beside the data, .*: takes data/mask"),
        ({"theta": THETA, "data/x": X, "length": THETA[:, 0]}, "length stands beside the data, .*: takes data/mask"),
        ({"theta": THETA, "data": X}, "data is an array; takes x"),
        ({"theta": THETA, "data/__y": X}, "output name '__y'"),
        ({"theta": THETA, "x": X, "names": np.array(["a"])}, r"names takes 2 names.*got \['a'\]"),
        ({"theta": THETA, "x": X, "names": np.arange(2)}, r"names takes 2 names.*got \[0, 1\]"),
        ({"theta": THETA, "x": X, "names": np.array(["a", "a"])}, "parameter names must differ"),
        ({"theta": THETA, "x": X, "names": np.array(["a", "log b"])}, "parameter name 'log b'"),
        ({"theta": THETA, "x": X, "lower": np.zeros(3)}, "bounds take one value for each"),
        (
            {"theta": THETA, "x": X, "lower": np.array([0, 1]), "upper": np.array([1, 1])},
            "above the upper one for theta_1",
        ),
        ({"theta": THETA, "x": X, "lower": np.array(["a", "b"])}, "lower takes numbers"),
    ],
)
def test_a_mistake_names_the_file_what_it_holds_and_what_is_taken(path, arrays, says):
    with pytest.raises(SourceError, match=says) as error:
        open_source(write(path, arrays))
    assert str(error.value).startswith(f"simulations.source: {path}: ")


def test_python_objects_are_refused_and_never_unpickled(tmp_path):
    path = tmp_path / "sims.npz"
    np.savez(path, theta=THETA, x=np.array([None] * 20))
    with pytest.raises(SourceError, match="x is an array of type object"):
        open_source(path)
    np.savez(path, theta=THETA, x=X, names=np.array(["a", "b"], dtype=object))
    with pytest.raises(SourceError, match=r"save plain text, numpy.array\(\[...\], dtype=str\)"):
        open_source(path)


def test_groups_within_groups(tmp_path):
    path = write(tmp_path / "sims.h5", {"runs/theta": THETA, "runs/x": X})
    with pytest.raises(SourceError, match=r"no array theta .*; the file holds runs/"):
        open_source(path)
    with pytest.raises(SourceError, match="data/deep is a group"):
        open_source(write(path, {"theta": THETA, "data/deep/x": X}))
    with pytest.raises(SourceError, match=r"no array theta .*; the file holds x \(20, 3\), theta/"):
        open_source(write(path, {"theta/a": THETA, "x": X}))


def test_a_file_that_is_not_there_of_another_kind_or_damaged(path):
    with pytest.raises(SourceError, match=r"got .*; takes the path of a file that exists"):
        open_source(path)
    with pytest.raises(SourceError, match=r"got .*sims.csv'; takes a file in .npz, .h5, .hdf5"):
        open_source(path.with_suffix(".csv"))
    for content in (b"", b"no archive"):
        path.write_bytes(content)
        with pytest.raises(SourceError, match=rf"{path.name} could not be read"):
            open_source(path)
    whole = write(path, {"theta": THETA, "x": X}).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="could not be read"):
        read_all(open_source(path))


def test_an_archive_whose_numbers_were_altered(tmp_path):
    path = write(tmp_path / "sims.npz", {"theta": THETA, "x": X})
    path.write_bytes(path.read_bytes().replace(X[7].tobytes(), X[8].tobytes()))
    with pytest.raises(SourceError, match="could not be read: BadZipFile: Bad CRC-32"):
        read_all(open_source(path))


def test_rows_to_hold_out(path):
    source = open_source(write(path, {"theta": THETA, "x": X}))
    assert source.splits(8) == {"round-0": range(12), "test": range(12, 20)}
    with pytest.raises(SourceError, match=r"holds 20 simulations, of which simulations\.test: 20"):
        source.splits(20)
