"""The lock that one run at a time has on a study."""

import pytest

from cinnflow.lock import Lock, Locked


def test_results_that_cannot_be_written_are_told(tmp_path):
    (tmp_path / "results").write_text("no folder")
    with pytest.raises(Locked, match=r"results/study/.lock cannot be written \(Not a directory\): let `results` be"):
        Lock(tmp_path / "results/study").acquire()
