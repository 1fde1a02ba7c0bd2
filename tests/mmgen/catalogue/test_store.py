"""The truth: what is acknowledged is there, once, and text from outside is only text."""

from __future__ import annotations

import multiprocessing

import apsw
import numpy as np
import pytest

from mmgen.catalogue.errors import (
    CatalogueBroken,
    CatalogueMissing,
    CatalogueNewer,
    CatalogueOtherModel,
)
from mmgen.catalogue.store import FILE, CatalogueStore
from tests.mmgen.catalogue.conftest import MODEL, new_item, unit


def test_what_is_put_comes_back(store):
    assert store.put([new_item(1), new_item(2)], "local", MODEL) == ["item-1", "item-2"]
    found = store.find("item-1")
    assert found is not None
    assert (found.caption, found.attributes) == ("第1件", {"colors": ("红", "白")})
    assert np.array_equal(np.frombuffer(store.vector(found.id), "<f4"), unit(1))
    (piece,) = store.vectors()
    assert piece[0].tolist() == [1, 2]
    assert np.array_equal(piece[1], np.stack([unit(1), unit(2)]))


def test_the_same_place_is_replaced_and_another_place_gets_a_name_of_its_own(store):
    store.put([new_item(1)], "local", MODEL)
    store.put([new_item(1, caption="改过")], "local", MODEL)
    assert store.state().items == 1
    names = store.put([new_item(2, item="item-1"), new_item(3, item="item-1")], "local", MODEL)
    assert names == ["item-1#2", "item-1#3"]
    assert store.find("item-1").caption == "改过"


def test_vectors_of_another_model_are_refused_and_nothing_of_them_stays(store):
    with pytest.raises(CatalogueOtherModel, match="bbbbbb"):
        store.put([new_item(1)], "local", "b" * 64)
    assert store.state().items == 0


def test_a_failure_half_way_leaves_nothing(store):
    with pytest.raises(CatalogueBroken):
        store.put([new_item(1), new_item(2, sha256=None)], "local", MODEL)
    assert store.state().items == 0
    assert store.put([new_item(1)], "local", MODEL) == ["item-1"]


def test_what_was_seen_fills_what_was_not_said(store):
    row = new_item(1, attributes={"colors": ("红",)}, seen={"colors": ("粉",), "sleeve": ("长袖",)})
    store.put([row], "local", MODEL)
    assert store.find("item-1").attributes == {"colors": ("红",), "sleeve": ("长袖",)}
    assert len(store.ids_with("colors", "粉")) == 0
    assert store.ids_with("sleeve", "长袖").tolist() == [1]


def test_a_moved_file_keeps_its_row(store):
    store.put([new_item(1)], "local", MODEL)
    store.follow(1, new_item(9, item="other", attributes={"colors": ("黑",)}))
    found = store.find("item-1")
    assert (found.id, found.path, found.attributes) == (1, "/photos/9.jpg", {"colors": ("黑",)})
    assert store.ids_with("colors", "红").tolist() == []


def test_removing_takes_attributes_along(store):
    store.put([new_item(1), new_item(2)], "local", MODEL)
    assert store.remove([1, 7]) == 1
    assert store.ids_with("colors", "红").tolist() == [2]
    assert store.attribute_values("colors") == ["红"]
    assert store.damage() == []


HOSTILE = [
    "' OR 1=1 --",
    '" OR ""="',
    "红'; DROP TABLE items; --",
    "“红”",
    "‘红’",
    "「红」",
    "红%",
    "红_",
    "%",
    "_",
    "红\\",
    "红;",
    "红)",
    "红 UNION SELECT vector FROM items",
    "红--",
    "红/*",
    "x'00'",
    "?1",
    ":name",
    "@name",
    "$name",
    "NULL",
    "1 OR 1",
    "红\n",
    "红\t",
    "ATTACH DATABASE 'x' AS y",
    "*",
    "红*",
    "NEAR(红 白)",
    "\U0001f457'",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_is_only_text(store, text):
    store.put([new_item(1), new_item(2)], "local", MODEL)
    named = new_item(3, item=text, key=text, caption=text, attributes={text: (text,)})
    assert store.put([named], text, MODEL) == [text]
    assert store.find(text).caption == text
    assert store.ids_with(text, text).tolist() == [3]
    assert store.ids_with("colors", text).tolist() == []
    assert store.ids_with(text, "红").tolist() == []
    assert set(store.attribute_names()) == {"colors", text}
    assert store.state().items == 3


def test_another_model_takes_over_at_once_or_not_at_all(store):
    store.put([new_item(1), new_item(2)], "local", MODEL)
    store.put_anew("b" * 64, {1: unit(7, 4).tobytes()})
    assert store.facts().model_sha256 == MODEL
    assert store.ids_anew("b" * 64) == {1}
    assert store.switch_model("new", "b" * 64, 4) == 1
    assert (store.facts().model, store.facts().dimension, store.state().items) == ("new", 4, 1)
    assert np.array_equal(np.frombuffer(store.vector(1), "<f4"), unit(7, 4))


def test_what_is_no_catalogue_is_refused(tmp_path, store):
    with pytest.raises(CatalogueMissing):
        CatalogueStore.open(tmp_path / "nowhere")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / FILE).write_bytes(b"not a database" * 100)
    with pytest.raises(CatalogueBroken):
        CatalogueStore.open(broken)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    connection = apsw.Connection(str(foreign / FILE))
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(CatalogueBroken, match="no catalogue"):
        CatalogueStore.open(foreign)


def test_a_newer_format_is_refused_and_left_alone(store):
    connection = apsw.Connection(str(store.folder / FILE))
    connection.pragma("user_version", 99)
    with pytest.raises(CatalogueNewer, match="99"):
        CatalogueStore.open(store.folder)
    assert connection.pragma("user_version") == 99
    connection.close()


def _add(folder, worker: int, count: int) -> None:
    opened = CatalogueStore.open(folder)
    for number in range(count):
        place = f"{worker}-{number}"
        row = new_item(worker * 10_000 + number, item=f"sku-{number}", key=place)
        opened.put([row], "local", MODEL)
    opened.close()


@pytest.mark.slow
def test_eight_processes_add_at_once(store):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add, args=(store.folder, n, 250)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(240)
    assert [worker.exitcode for worker in workers] == [0] * 8
    rows = list(store.files())
    assert len(rows) == len({row.item for row in rows}) == len({row.key for row in rows}) == 2_000
    assert store.state().last_id == 2_000
    assert store.damage() == []
