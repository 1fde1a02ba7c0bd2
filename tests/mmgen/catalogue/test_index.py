"""The index agrees with the truth, whatever happens to its files."""

from __future__ import annotations

import numpy as np
import pytest

from mmgen.catalogue.index import FlatIndex
from tests.mmgen.catalogue.conftest import MODEL, new_item, unit


def nearest_by_hand(store, query, k, within=None):
    ids, vectors = (np.concatenate(each) for each in zip(*store.vectors(), strict=True))
    if within is not None:
        keep = np.isin(ids, within)
        ids, vectors = ids[keep], vectors[keep]
    scores = vectors @ query
    best = np.lexsort((ids, -scores))[:k]
    return scores[best], ids[best]


def agrees(index, store, k=5, within=None):
    for number in (0, 3, 10_001):
        scores, ids = index.search(unit(number), k, within)
        wanted_scores, wanted_ids = nearest_by_hand(store, unit(number), k, within)
        assert ids.tolist() == wanted_ids.tolist()
        assert np.allclose(scores, wanted_scores, atol=1e-6)
    return True


@pytest.fixture
def filled(store):
    store.put([new_item(number) for number in range(60)], "local", MODEL)
    return store


def test_it_follows_additions_changes_and_removals(filled, tmp_path):
    index = FlatIndex(tmp_path / "index")
    assert index.refresh(filled) is None
    assert agrees(index, filled)
    filled.put([new_item(number) for number in range(60, 70)], "local", MODEL)
    index.refresh(filled)
    assert agrees(index, filled)
    filled.put([new_item(3, vector=unit(500).tobytes())], "local", MODEL)
    filled.remove([10, 11])
    index.refresh(filled)
    assert agrees(index, filled)
    assert agrees(FlatIndex(tmp_path / "index"), filled) if index.refresh(filled) else True


def test_a_filter_leaves_only_what_passes(filled, tmp_path):
    index = FlatIndex(tmp_path / "index")
    index.refresh(filled)
    white = filled.ids_with("colors", "白")
    assert len(white) == 30
    assert agrees(index, filled, within=white)
    assert agrees(index, filled, k=100, within=white[:3])
    assert len(index.search(unit(0), 5, np.empty(0, np.int64))[1]) == 0
    assert len(index.search(unit(0), 5, np.array([999]))[1]) == 0


def test_a_second_reader_sees_what_the_first_wrote(filled, tmp_path):
    first, second = FlatIndex(tmp_path / "index"), FlatIndex(tmp_path / "index")
    first.refresh(filled)
    second.refresh(filled)
    filled.put([new_item(100)], "local", MODEL)
    second.refresh(filled)
    first.refresh(filled)
    assert agrees(first, filled)
    assert agrees(second, filled)


def test_what_a_crash_left_behind_the_counted_rows_is_ignored(filled, tmp_path):
    folder = tmp_path / "index"
    FlatIndex(folder).refresh(filled)
    for path in (*folder.glob("vectors-*"), *folder.glob("ids-*")):
        with path.open("ab") as file:
            file.write(b"\xff" * 37)
    index = FlatIndex(folder)
    assert index.refresh(filled) is None
    filled.put([new_item(100)], "local", MODEL)
    assert index.refresh(filled) is None
    assert agrees(index, filled)


def _cut(share):
    def harm(path):
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return harm


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def _noise(path):
    path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size))


HARMS = {
    "gone": lambda path: path.unlink(),
    "empty": _cut(0),
    "half": _cut(0.5),
    "nearly whole": _cut(0.999),
    "a bit flipped": _flip,
    "noise": _noise,
}
FILES = ("vectors-*.f32", "ids-*.i64", "index.json", "cells-*.faiss")


@pytest.mark.parametrize("pattern", FILES)
@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_file_is_noticed_and_built_again(filled, tmp_path, pattern, harm):
    folder = tmp_path / "index"
    FlatIndex(folder, exact_rows=20).refresh(filled)
    (path,) = folder.glob(pattern)
    HARMS[harm](path)
    index = FlatIndex(folder, exact_rows=20)
    assert index.refresh(filled)
    assert agrees(index, filled)
    assert FlatIndex(folder, exact_rows=20).refresh(filled) is None


def test_an_inverted_file_finds_what_exact_search_finds(store, tmp_path):
    store.put([new_item(number) for number in range(3_000)], "local", MODEL)
    index = FlatIndex(tmp_path / "index", exact_rows=1_000)
    index.refresh(store)
    assert list((tmp_path / "index").glob("cells-*.faiss"))
    store.put([new_item(number) for number in range(3_000, 3_200)], "local", MODEL)
    index.refresh(store)
    half = store.ids_with("colors", "白")
    for within in (None, half):
        found = 0
        for number in range(20_000, 20_050):
            _, ids = index.search(unit(number), 10, within)
            _, wanted = nearest_by_hand(store, unit(number), 10, within)
            found += len(np.intersect1d(ids, wanted))
        assert found >= 0.97 * 500
    newest = store.find("item-3199")
    assert index.search(unit(3_199), 1)[1].tolist() == [newest.id]
