import numpy as np
import pytest

from cinnflow.simulation.tables import read_csv


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (",cases\n0,3\n1,4\n", {"cases": [3, 4]}),  # pandas numbers its rows in a column without a name
        ("\ufeffday,cases\r\nMon,3\r\nTue,4\r\n", {"cases": [3, 4]}),
        ("a, b\n1, 2\n", {"a": [1], "b": [2]}),
        ("a,b\n1,\n2,3\n", {"a": [1, 2], "b": [np.nan, 3]}),
        ("a\n1e-3\n-inf\n", {"a": [1e-3, -np.inf]}),
        ("a,b\n1.5D+02,x\n -.5d-1 ,D1\n", {"a": [150, -0.05]}),
        ('"x, y",z\n1,2\n', {"x, y": [1], "z": [2]}),
        ("K,NA\n1,NA\nnull,2\n", {"K": [1, np.nan], "NA": [np.nan, 2]}),
    ],
)
def test_columns_by_name(tmp_path, text, expected):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    np.testing.assert_equal(read_csv(path), {name: np.array(values, float) for name, values in expected.items()})


def test_a_table_without_a_header_may_have_empty_cells(tmp_path):
    (tmp_path / "table.csv").write_text("1,\n3,4\n, \n")
    np.testing.assert_equal(read_csv(tmp_path / "table.csv"), [[1, np.nan], [3, 4], [np.nan, np.nan]])


@pytest.mark.parametrize("missing", ["NA", "nan", "N/A", "null", "<NA>", "#N/A", ""])
def test_a_first_row_with_a_missing_value_is_no_header(tmp_path, missing):
    (tmp_path / "table.csv").write_text(f"# a comment\n{missing},2\n3,4\n{missing},{missing}\n")
    np.testing.assert_equal(read_csv(tmp_path / "table.csv"), [[np.nan, 2], [3, 4], [np.nan, np.nan]])


@pytest.mark.parametrize("text", ["", "# nothing\n", "a,b\n", "a,b\n1\n", "1,2\n3\n", "1,2\n3,x\n", "a\n1\nx\n"])
def test_what_is_no_table_of_numbers(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"\w"):
        read_csv(path)
