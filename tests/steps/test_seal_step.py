"""The step that seals: what it records beside the manifest."""

import json

import pytest

from cinnflow.steps.seal import _record


@pytest.mark.parametrize("damaged", ["", "{", "[1, 2]", "3"])
def test_a_damaged_record_of_provenance_is_begun_anew(tmp_path, capsys, damaged):
    path = tmp_path / "manifest" / "provenance.json"
    _record(path, "round-0", {"seconds": 1.0})
    _record(path, "test", {"seconds": 2.0})
    assert json.loads(path.read_text()) == {"round-0": {"seconds": 1.0}, "test": {"seconds": 2.0}}
    path.write_text(damaged)
    _record(path, "round-1", {"seconds": 3.0})
    assert json.loads(path.read_text()) == {"round-1": {"seconds": 3.0}}
    assert f"{path} was damaged" in capsys.readouterr().out
