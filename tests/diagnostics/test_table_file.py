"""Damaged tables are told by their name."""

import pytest

from cinnflow.diagnostics.table_file import TableError, read_table


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n1,2,3,4\n", b"\xff\xfe\x00", b"\0\0\0\0"])
def test_a_damaged_table_is_told_by_its_name(content, tmp_path):
    path = tmp_path / "history.csv"
    path.write_bytes(content)
    with pytest.raises(TableError, match=r"history\.csv is damaged .* delete it and start snakemake again"):
        read_table(path)


def test_a_table_is_read(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss\n1,0.5\n")
    assert read_table(path)["loss"].tolist() == [0.5]
