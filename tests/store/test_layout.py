import pytest
from stores import fill, make_model, make_store

from cinnflow.store.layout import STATUS, Store, StoreError, place


def test_a_file_is_placed_whole_or_not_at_all(tmp_path, monkeypatch):
    target, temporary = tmp_path / "deep" / "file", tmp_path / "scratch" / "file"
    place(target, b"one", temporary)
    assert (target.read_bytes(), temporary.exists()) == (b"one", False)

    def no_room(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cinnflow.store.layout.os.fsync", no_room)
    with pytest.raises(OSError, match="No space"):
        place(target, b"two", temporary)
    assert target.read_bytes() == b"one"


def test_a_store_knows_its_splits_batches_and_batch_size(tmp_path):
    store = make_store(tmp_path)
    assert (store.splits(), store.committed("round-0"), store.batch_size()) == ([], [], None)
    fill(store, make_model(), batches=2, size=4)
    fill(store, make_model(), "test", size=4)
    assert (store.splits(), store.committed("round-0"), store.batch_size()) == (["round-0", "test"], [0, 1], 4)
    record = store.chunk("round-0", STATUS, 0)
    record.write_bytes(record.read_bytes()[:-2])
    assert store.batch_size() == 4, "a damaged commit record does not change it"


def test_a_store_without_a_success_knows_its_batch_size(tmp_path):
    store = fill(make_store(tmp_path), make_model(lambda *_: 1 / 0), size=4)
    assert store.batch_size() == 4


def test_a_store_that_cannot_be_read_says_so(tmp_path):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(StoreError, match=r"point.zarr cannot be read \(Not a directory\): let `results` be a folder"):
        Store(tmp_path / "results/point.zarr").batch_size()
