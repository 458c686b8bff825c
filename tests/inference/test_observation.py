"""Observed data: every file that simulators may write, one data set or many, and mistakes told in words."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest

from cinnflow.inference.observation import ObservationError, read_observation

ONE = {"x": (5,)}
TWO = {"x": (5,), "y": (2, 3)}


def test_one_data_set_gets_a_first_axis_of_length_one(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(5))
    np.testing.assert_array_equal(read_observation(tmp_path / "x.npy", ONE)["x"], np.arange(5.0)[None])


def test_many_data_sets_are_stacked_along_the_first_axis(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(7, 5)), np.zeros((7, 2, 3))
    np.savez(tmp_path / "many.npz", x=x, y=y)
    with h5py.File(tmp_path / "many.h5", "w") as file:
        file["x"], file["y"] = x, y
    for name in ("many.npz", "many.h5"):
        observed = read_observation(tmp_path / name, TWO)
        np.testing.assert_array_equal(observed["x"], x)
        assert observed["y"].shape == (7, 2, 3)


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_a_file_laid_out_like_simulations_made_elsewhere(tmp_path, suffix):
    path, x, y = tmp_path / f"observed.{suffix}", np.arange(10.0).reshape(2, 5), np.ones((2, 2, 3))
    theta = np.full((2, 5), 9.0)  # shaped like data
    write(path, {"theta": theta, "data/x": x})
    np.testing.assert_array_equal(read_observation(path, ONE)["x"], x)
    write(path, {"theta": theta, "x": x})
    np.testing.assert_array_equal(read_observation(path, ONE)["x"], x)
    write(path, {"data/counts": x})  # just one array needs no name
    np.testing.assert_array_equal(read_observation(path, ONE)["x"], x)
    write(path, {"theta": theta, "data/x": x, "y": y})
    observed = read_observation(path, TWO)
    np.testing.assert_array_equal(observed["x"], x)
    np.testing.assert_array_equal(observed["y"], y)
    write(path, {"theta": theta})
    with pytest.raises(ObservationError, match=r"gives \['theta'\]; simulations give \['x'\]: no x"):
        read_observation(path, ONE)


def write(path, arrays):
    """An archive of arrays, of the kind that its suffix says."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)
        return
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def test_a_csv_by_column_or_without_a_header(tmp_path):
    (tmp_path / "named.csv").write_text("# source: a paper\nday,count\nmonday,1\ntuesday,2\n")
    np.testing.assert_array_equal(read_observation(tmp_path / "named.csv", {"cases": (2,)})["cases"], [[1, 2]])
    (tmp_path / "plain.csv").write_text("1,2,3\n4,5,6\n")
    np.testing.assert_array_equal(read_observation(tmp_path / "plain.csv", {"x": (3,)})["x"], [[1, 2, 3], [4, 5, 6]])


ROWS = np.arange(24.0).reshape(4, 6)
HEADER = "a,b,c,d,e,f\n"


@pytest.mark.parametrize(
    ("shape", "header", "table", "expected"),
    [
        ((6,), "", ROWS, ROWS),  # thousands look like this: a row is a data set
        ((6,), HEADER, ROWS, ROWS),
        ((6,), "", ROWS[:1], ROWS[:1]),
        ((4,), "", ROWS[:, :1], ROWS[:, 0][None]),  # one data set, a value a line
        ((4,), "a\n", ROWS[:, :1], ROWS[:, 0][None]),
        ((1,), "", ROWS[:, :1], ROWS[:, :1]),
        ((1,), "a\n", ROWS[:, :1], ROWS[:, :1]),
        ((), "", ROWS[:, :1], ROWS[:, 0]),
        ((), "a\n", ROWS[:, :1], ROWS[:, 0]),
        ((4, 6), "", ROWS, ROWS[None]),
        ((4, 6), HEADER, ROWS, ROWS[None]),
        ((3, 2), "", ROWS, ROWS.reshape(4, 3, 2)),  # each row of a table of many is one data set
        ((3, 2), HEADER, ROWS, ROWS.reshape(4, 3, 2)),
        ((6, 1), "", ROWS, ROWS[..., None]),
        ((4, 1), "", ROWS[:, :1], ROWS[None, :, :1]),
        ((4,), "day,x\n", ROWS[:, :2], ROWS[:, 1][None]),
    ],
)
def test_what_rows_and_columns_of_a_csv_mean(tmp_path, shape, header, table, expected):
    lines = [",".join(map(repr, map(float, row))) for row in table]
    (tmp_path / "x.csv").write_text(header + "\n".join(lines))
    np.testing.assert_array_equal(read_observation(tmp_path / "x.csv", {"x": shape})["x"], expected)


@pytest.mark.parametrize(
    ("shape", "padded", "rows", "expected"),
    [
        ((5,), [], 1, (1, 5)),
        ((5,), [], 3, (3, 5)),
        ((3, 2), [], 4, (4, 3, 2)),
        ((4, 6), [], 4, (1, 4, 6)),
        ((4, 2), [], 4, (1, 4, 2)),
        ((9, 3), ["x"], 4, (1, 4, 3)),
        ((9, 3), ["x"], 9, (1, 9, 3)),
    ],
)
def test_the_header_that_pandas_writes_is_no_data(tmp_path, shape, padded, rows, expected):
    x = np.random.default_rng(0).integers(9, size=expected)
    pd.DataFrame(x.reshape(rows, -1)).to_csv(tmp_path / "x.csv", index=False)
    np.testing.assert_array_equal(read_observation(tmp_path / "x.csv", {"x": shape}, padded=padded)["x"], x)


def test_a_first_row_that_counts_may_be_data(tmp_path):
    (tmp_path / "x.csv").write_text("0,1\n1,3\n2,8\n")
    assert read_observation(tmp_path / "x.csv", {"x": (3, 2)})["x"].tolist() == [[[0, 1], [1, 3], [2, 8]]]
    for shape, padded in (((2,), []), ((9, 2), ["x"])):
        with pytest.raises(ObservationError, match="first row, 0,1, may be data or a header"):
            read_observation(tmp_path / "x.csv", {"x": shape}, padded=padded)
    (tmp_path / "x.csv").write_text("0,1,2\n")
    assert read_observation(tmp_path / "x.csv", {"x": (3,)})["x"].tolist() == [[0, 1, 2]]
    (tmp_path / "x.csv").write_text("day,cases\n0,1\n1,3\n")
    assert read_observation(tmp_path / "x.csv", {"x": (9, 2)}, padded=["x"])["x"].tolist() == [[[0, 1], [1, 3]]]


def test_a_missing_value_in_the_first_data_set_is_told(tmp_path):
    (tmp_path / "x.csv").write_text("NA,2.0,3\n4,5,6\n7,8,9\n")
    with pytest.raises(ObservationError, match="x holds values that are not finite"):
        read_observation(tmp_path / "x.csv", {"x": (3,)})


@pytest.mark.parametrize("shapes", [{"mean": (1,), "sd": (1,)}, {"mean": (), "sd": ()}, {"mean": (1,), "sd": ()}])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_row_of_several_numbers_with_names_is_one_data_set(tmp_path, shapes, rows):
    table = pd.DataFrame({"day": [f"{row} May" for row in range(rows)], "mean": np.arange(rows), "sd": 2.0})
    table.to_csv(tmp_path / "x.csv")
    observed = read_observation(tmp_path / "x.csv", shapes)
    for name, shape in shapes.items():
        np.testing.assert_array_equal(observed[name], table[name].to_numpy().reshape(rows, *shape))


@pytest.mark.parametrize(("header", "says"), [("", r"shape \(4, 6\); a simulation gives \(2, 5\)"), (HEADER, "no x")])
def test_a_csv_whose_columns_fit_nothing(tmp_path, header, says):
    (tmp_path / "x.csv").write_text(header + "\n".join(",".join(map(str, row)) for row in ROWS))
    with pytest.raises(ObservationError, match=says):
        read_observation(tmp_path / "x.csv", {"x": (2, 5)})


def test_a_csv_of_many_data_sets_of_different_lengths_has_empty_cells_behind_their_ends(tmp_path):
    (tmp_path / "x.csv").write_text("1,2,3\n4,,\n5,6,\n")
    observed = read_observation(tmp_path / "x.csv", {"x": (3,), "n": ()}, padded=["x"], lengths=["n"])
    assert observed["n"].tolist() == [3, 1, 2]
    np.testing.assert_array_equal(observed["x"], [[1, 2, 3], [4, 0, 0], [5, 6, 0]])
    (tmp_path / "x.csv").write_text("1\n2\n")
    assert read_observation(tmp_path / "x.csv", {"x": (3,)}, padded=["x"])["x"].tolist() == [[1, 2]]


def test_the_models_own_reader_goes_before_the_suffix(tmp_path):
    (tmp_path / "x.csv").write_text("whatever")
    observed = read_observation(tmp_path / "x.csv", ONE, lambda path: {"x": np.full(5, len(path.read_text()))})
    np.testing.assert_array_equal(observed["x"], np.full((1, 5), 8.0))


@pytest.mark.parametrize("kind", ["c16", "M8[D]", "m8[s]"])
def test_what_is_no_array_of_real_numbers_is_refused(tmp_path, kind):
    np.save(tmp_path / "x.npy", np.arange(5).astype(kind))
    with pytest.raises(ObservationError, match=r"x is not an array of numbers: its type is \w"):
        read_observation(tmp_path / "x.npy", ONE)


def test_what_a_masked_array_hides_is_missing(tmp_path):
    hidden = np.ma.array([[1, 2, 3], [4, 5, 6]], mask=[[0, 0, 0], [0, 1, 1]])
    with pytest.raises(ObservationError, match="x holds values that are not finite"):
        read_observation(tmp_path, {"x": (3,)}, lambda _: hidden)
    observed = read_observation(tmp_path, {"x": (3,)}, lambda _: hidden, padded=["x"])
    np.testing.assert_array_equal(observed["mask"], ~hidden.mask)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([1, 2, 3], r"x has shape \(3,\); a simulation gives \(5,\)"),
        ([[1, 2], [3, 4]], r"x has shape \(2, 2\)"),
        ([1, 2, 3, 4, None], "could not be read|not finite|not an array of numbers"),
        (["a", "b", "c", "d", "e"], "not an array of numbers"),
        ({"u": [1, 2], "v": [3]}, r"gives \['u', 'v'\]; simulations give \['x'\]: no x"),
    ],
)
def test_a_mistake_names_the_file_what_it_has_and_what_a_simulation_gives(tmp_path, content, says):
    (tmp_path / "x.json").write_text(json.dumps(content))
    with pytest.raises(ObservationError, match=says) as error:
        read_observation(tmp_path / "x.json", ONE)
    assert "x.json" in str(error.value)


def test_a_file_that_nothing_reads_or_that_is_damaged(tmp_path):
    with pytest.raises(ObservationError, match="defines read_observation"):
        read_observation(tmp_path / "x.mat", ONE)
    (tmp_path / "x.npy").write_bytes(b"no array")
    with pytest.raises(ObservationError, match=r"x.npy could not be read"):
        read_observation(tmp_path / "x.npy", ONE)


def test_a_file_of_no_data_sets(tmp_path):
    np.save(tmp_path / "none.npy", np.zeros((0, 4, 2)))
    with pytest.raises(ObservationError, match=r"x has shape \(0, 4, 2\), which holds no data set"):
        read_observation(tmp_path / "none.npy", {"x": (4, 2)})


def test_arrays_that_hold_different_numbers_of_data_sets(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 5)), y=np.zeros((2, 2, 3)))
    with pytest.raises(ObservationError, match="different numbers of data sets"):
        read_observation(tmp_path / "x.npz", TWO)


SET = {"x": (9, 2), "dose": (), "n_obs": ()}


def of_any_length(path):
    return read_observation(path, SET, padded=["x"], lengths=["n_obs"])


def test_an_observation_has_a_length_of_its_own_and_comes_with_its_contexts(tmp_path):
    x = np.random.default_rng(0).normal(size=(5, 2))
    np.savez(tmp_path / "one.npz", x=x, dose=2.5)
    observed = of_any_length(tmp_path / "one.npz")
    assert set(observed) == {"x", "dose", "n_obs"}
    np.testing.assert_array_equal(observed["x"], x[None])
    assert (observed["dose"].tolist(), observed["n_obs"].tolist()) == ([2.5], [5.0])
    np.save(tmp_path / "x.npy", x)
    alone = read_observation(tmp_path / "x.npy", {"x": (9, 2), "n_obs": ()}, padded=["x"], lengths=["n_obs"])
    assert alone["n_obs"].tolist() == [5.0]


def test_many_observations_of_different_lengths_are_stacked_with_nan_behind_their_ends(tmp_path):
    x = np.ones((3, 7, 2))
    x[0, 4:] = x[2, 6:] = np.nan
    np.savez(tmp_path / "many.npz", x=x, dose=[1, 2, 3])
    observed = of_any_length(tmp_path / "many.npz")
    np.testing.assert_array_equal(observed["mask"].sum(axis=1), [4, 7, 6])
    np.testing.assert_array_equal(observed["n_obs"], [4, 7, 6])
    np.testing.assert_array_equal(observed["x"], np.where(observed["mask"][..., None], 1.0, 0.0) * np.ones(2))


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"x": np.ones((10, 2)), "dose": 1}, r"shape \(10, 2\); a simulation gives \(1 to 9, 2\)"),
        ({"x": np.ones((5, 3)), "dose": 1}, r"shape \(5, 3\)"),
        ({"x": np.ones((0, 2)), "dose": 1}, r"shape \(0, 2\)"),
        ({"x": np.ones((5, 2))}, "no dose"),
        ({"x": np.ones((5, 2)), "dose": 1, "n_obs": 4}, r"n_obs is \[4.0\], and the data are \[5\] long"),
        ({"x": np.array([[1, 2], [np.nan, np.nan]]), "dose": 1}, "not finite"),
        ({"x": np.array([[[1, 2], [np.nan, 3], [4, 5]]] * 2), "dose": [1, 1]}, "not finite"),
        ({"x": np.array([[[1, 2]], [[np.nan, np.nan]]]), "dose": [1, 1]}, "nothing but NaN"),
        ({"x": np.ones((2, 5, 2)), "dose": [1, 1, 1]}, "different numbers of data sets"),
    ],
)
def test_an_observation_of_a_wrong_length_or_without_its_context(tmp_path, arrays, says):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ObservationError, match=says):
        of_any_length(tmp_path / "x.npz")


def filled_up(suffix, path, **ends):
    """Two data sets of 2 and 3 elements, of 4 at most, with zeros behind their ends."""
    x = np.array([[[1.0, 2.0], [3.0, 4.0], [0.0, 0.0], [0.0, 0.0]], [[5.0, 6.0], [7.0, 8.0], [0.0, 9.0], [0.0, 0.0]]])
    arrays = {"x": x, **{name: np.asarray(values) for name, values in ends.items()}}
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file["data/" + name if suffix == "data" else name] = array
    return arrays


@pytest.mark.parametrize("ends", [{"mask": [[1, 1, 0, 0], [1, 1, 1, 0]]}, {"length": [2, 3]}])
@pytest.mark.parametrize("suffix", [".npz", ".h5", "data"])
def test_data_that_are_filled_up_end_where_the_file_says(tmp_path, suffix, ends):
    path = tmp_path / ("x.npz" if suffix == ".npz" else "x.h5")
    x = filled_up(suffix, path, **ends)["x"]
    observed = read_observation(path, {"x": (9, 2), "n_obs": ()}, padded=["x"], lengths=["n_obs"])
    np.testing.assert_array_equal(observed["x"], x[:, :3])
    np.testing.assert_array_equal(observed["mask"], [[1, 1, 0], [1, 1, 1]])
    np.testing.assert_array_equal(observed["n_obs"], [2, 3])


def test_one_data_set_that_is_filled_up_is_cut(tmp_path):
    np.savez(tmp_path / "x.npz", x=[1.0, 2.0, 0.0, 0.0], mask=[True, True, False, False])
    (tmp_path / "x.csv").write_text("x,mask\n1,1\n2,1\n0,0\n0,0\n")
    for name in ("x.npz", "x.csv"):
        observed = read_observation(tmp_path / name, {"x": (9,)}, padded=["x"])
        np.testing.assert_array_equal(observed["x"], [[1.0, 2.0]])
        assert set(observed) == {"x"}


@pytest.mark.parametrize(
    ("ends", "says"),
    [
        ({"mask": [[1, 0, 1, 0], [1, 1, 1, 0]]}, "vary in length have no gaps"),
        ({"mask": [[1, 1, 0], [1, 1, 1]]}, r"mask has shape \(2, 3\), where the data take \(2, 4\)"),
        ({"mask": [[0, 0, 0, 0], [1, 1, 1, 0]]}, "mask says that a data set is 0 long, of 1 to 4"),
        ({"mask": [[2, 2, 0, 0], [1, 1, 1, 0]]}, "mask takes true"),
        ({"length": [2, 5]}, "length says that a data set is 5 long, of 1 to 4"),
        ({"length": [2, 2.5]}, "length says that a data set is 2.5 long"),
        ({"length": [2]}, r"length has shape \(1,\), where the data take \(2,\)"),
        ({"length": [2, 2], "mask": [[1, 1, 0, 0], [1, 1, 1, 0]]}, "mask and length differ in where the data end"),
    ],
)
def test_an_end_that_cannot_be_is_refused(tmp_path, ends, says):
    filled_up(".npz", tmp_path / "x.npz", **ends)
    with pytest.raises(ObservationError, match=says):
        read_observation(tmp_path / "x.npz", {"x": (9, 2)}, padded=["x"])


def test_columns_that_are_called_like_ends_are_channels(tmp_path):
    (tmp_path / "x.csv").write_text("length,mask\n1,5\n2,6\n")
    observed = read_observation(tmp_path / "x.csv", {"x": (9, 2)}, padded=["x"])
    np.testing.assert_array_equal(observed["x"], [[[1, 5], [2, 6]]])
