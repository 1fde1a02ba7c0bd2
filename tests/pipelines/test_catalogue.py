"""Folders and tables in, searchable rows out: incremental, exact about what it skipped."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from PIL import Image

from mmgen.catalogue.errors import (
    CatalogueEmpty,
    CatalogueMissing,
    CatalogueOtherModel,
    FilterMatchesNothing,
    FilterUnknown,
    ItemMissing,
    NoPictureColumn,
    NoPictures,
    QueryEmpty,
)
from mmgen.errors import Cancelled, Missing, PictureMissing, PictureUnreadable
from pipelines.catalogue import Catalogue, delete_catalogue, list_catalogues
from pipelines.catalogue_source import read_source
from pipelines.components import load_retriever


@pytest.fixture(scope="module")
def towers(tiny_model):
    return load_retriever(str(tiny_model))


@pytest.fixture
def photos(garments, tmp_path):
    folder = tmp_path / "photos"
    shutil.copytree(garments, folder)
    return folder


@pytest.fixture
def catalogue(towers, photos):
    made = Catalogue.create("春装", retriever=towers)
    report = made.add(photos, licence="CC0-1.0")
    assert (report.added, report.bad, report.gone) == (18, [], [])
    return made


def rows_of(catalogue):
    ids = [file.id for file in catalogue.store.files()]
    return {
        item.item: (item.sha256, item.caption, item.attributes, catalogue.store.vector(item.id))
        for item in catalogue.items(ids)
    }


def test_a_folder_is_found_again_by_words_picture_and_both(catalogue, photos):
    by_words = catalogue.search("红色T恤", n=3)
    assert len(by_words) == 3
    assert by_words[0].score >= by_words[1].score
    picture = photos / "train" / "0004.webp"
    hit = catalogue.search(picture=picture, n=1)[0]
    # Plain garments of one kind look alike to towers that were never trained.
    assert hit.score == pytest.approx(1, abs=0.02)
    assert hit.item.licence == "CC0-1.0"
    with Image.open(picture) as opened:
        assert len(catalogue.search("红色", picture=opened, n=5)) == 5


def test_filters_in_chinese_english_and_synonyms(catalogue):
    red = catalogue.search("衣服", filters={"颜色": "红"})
    assert len(red) == 6
    assert all(hit.item.attributes["colors"] == ("红",) for hit in red)
    assert len(catalogue.search("衣服", filters={"colors": ["红", "黑"], "袖长": "短袖"})) == 6
    assert len(catalogue.search("衣服", filters={"品类": "t恤"})) == 9
    with pytest.raises(FilterUnknown, match="类别, 颜色"):
        catalogue.search("衣服", filters={"尺码": "L"})
    with pytest.warns(FilterMatchesNothing, match="红, 蓝, 黑"):
        assert catalogue.search("衣服", filters={"颜色": "' OR 1=1 --"}) == []


@pytest.mark.parametrize("query", ["，。！？", "  …  ", "“”‘’", "*", "👀"])
def test_a_query_of_nothing_is_refused(catalogue, query):
    with pytest.raises(QueryEmpty):
        catalogue.search(query)


def test_no_query_at_all_is_refused(catalogue):
    with pytest.raises(Missing):
        catalogue.search()


def test_a_second_run_reads_only_what_changed(catalogue, photos):
    before = rows_of(catalogue)
    assert catalogue.add(photos, licence="CC0-1.0").unchanged == 18
    assert rows_of(catalogue) == before

    os.utime(photos / "train" / "0000.webp", (1, 1))  # touched, not changed
    Image.new("RGB", (60, 80), "green").save(photos / "train" / "0001.webp")
    report = catalogue.add(photos, licence="CC0-1.0")
    assert (report.unchanged, report.updated, report.added) == (17, 1, 0)
    after = rows_of(catalogue)
    assert {name for name in before if before[name] != after[name]} == {"train/0001.webp"}


def test_moved_files_keep_their_ids_and_words(catalogue, photos):
    before = rows_of(catalogue)
    (photos / "new").mkdir()
    shutil.move(photos / "train" / "0002.webp", photos / "new" / "dress.webp")
    report = catalogue.add(photos, licence="CC0-1.0")
    assert (report.moved, report.added, report.unchanged) == (1, 0, 17)
    assert rows_of(catalogue) == before
    assert catalogue.store.find("train/0002.webp").path.endswith("new/dress.webp")
    assert catalogue.add(photos, licence="CC0-1.0").unchanged == 18


def test_a_moved_folder_is_followed(catalogue, photos, tmp_path):
    before = rows_of(catalogue)
    photos.rename(tmp_path / "elsewhere")
    report = catalogue.add(tmp_path / "elsewhere", licence="CC0-1.0")
    assert (report.moved, report.added) == (18, 0)
    assert rows_of(catalogue) == before


def test_deleted_files_are_reported_and_stay_until_removed(catalogue, photos):
    for name in ("0003", "0005"):
        (photos / "train" / f"{name}.webp").unlink()
    report = catalogue.add(photos, licence="CC0-1.0")
    assert [type(bad.error) for bad in report.bad] == [PictureMissing] * 2
    assert len(catalogue) == 18
    assert catalogue.check().missing == ["train/0003.webp", "train/0005.webp"]
    assert catalogue.remove_missing() == ["train/0003.webp", "train/0005.webp"]
    assert len(catalogue) == len(catalogue.search("衣服", n=100)) == 16
    assert catalogue.check()


def test_items_are_removed_all_or_none(catalogue):
    with pytest.raises(ItemMissing):
        catalogue.remove(["train/0000.webp", "nothing"])
    assert len(catalogue) == 18
    assert catalogue.remove(["train/0000.webp"]) == 1
    assert "train/0000.webp" not in {hit.item.item for hit in catalogue.search("衣服", n=100)}


def test_bad_pictures_are_listed_and_cost_only_themselves(towers, photos):
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "text.png").write_text("not a picture")
    (photos / "cut.webp").write_bytes((photos / "train" / "0000.webp").read_bytes()[:-30])
    (photos / "gif.jpg").write_bytes(b"GIF89a" + b"\0" * 40)
    os.mkfifo(photos / "pipe.jpg")
    (photos / ".hidden.jpg").write_bytes(b"")
    made = Catalogue.create("坏图", retriever=towers)
    report = made.add(photos)
    places = {bad.place for bad in report.bad}
    assert places == {"empty.jpg", "text.png", "cut.webp", "gif.jpg", "pipe.jpg"}
    assert all(isinstance(bad.error, PictureUnreadable) for bad in report.bad)
    assert report.added == len(made) == 18


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(NoPictures):
        read_source(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_tables_in_every_encoding(towers, photos, encoding):
    table = photos / "products.csv"
    text = (
        "款号,图片,标题,颜色,品牌,袖长\n"
        "A1,train/0000.webp,红色短袖,红|白,云裳,短袖\n"
        "A2,train\\0001.webp,黑色长裤,黑,云裳,\n"
        "A2,train/0002.webp,黑色长裤背面,黑,锦绣,\n"
        ",train/0004.webp,,蓝,锦绣,\n"
        "A5,,没有图,蓝,锦绣,\n"
        "A6,missing.jpg,找不到,蓝,锦绣,\n"
    )
    table.write_bytes(text.encode(encoding))
    made = Catalogue.create(f"表格 {encoding}", retriever=towers)
    report = made.add(table)
    assert report.added == 4
    assert report.repeated == ["A2"]
    assert [bad.place.rsplit(":")[-1] for bad in report.bad] == ["6", "A6"]
    assert {file.item for file in made.store.files()} == {"A1", "A2", "A2#2", "train/0004.webp"}
    first = made.store.find("A1")
    assert first.attributes == {"colors": ("红", "白"), "品牌": ("云裳",), "sleeve": ("短袖",)}
    assert len(made.search("衣服", filters={"品牌": "锦绣"})) == 2


def test_a_table_without_a_picture_column_says_what_it_has(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("款号,颜色\nA1,红\n", encoding="utf-8")
    with pytest.raises(NoPictureColumn, match="款号, 颜色"):
        read_source(table)


def test_two_folders_with_the_same_names_do_not_mix(catalogue, garments, photos, tmp_path):
    other = tmp_path / "other"
    (other / "train").mkdir(parents=True)
    Image.new("RGB", (60, 80), "purple").save(other / "train" / "0000.webp")
    assert catalogue.add(other).added == 1
    assert catalogue.store.find("train/0000.webp#2").path == str(other / "train" / "0000.webp")
    assert len(catalogue) == 19


def test_a_stop_keeps_what_is_done(towers, photos, monkeypatch):
    monkeypatch.setattr("pipelines.catalogue_import.BATCH", 4)
    made = Catalogue.create("停", retriever=towers)
    report = made.add(photos, on_progress=lambda done, of: done < 8)
    assert report.stopped
    assert 8 <= len(made) < 18
    again = made.add(photos)
    assert (again.added + again.unchanged, len(made)) == (18, 18)


def test_another_model_is_refused_until_all_is_encoded_anew(catalogue, tiny_clip, photos):
    clip = load_retriever(str(tiny_clip))
    other = Catalogue.open("春装", retriever=clip)
    with pytest.raises(CatalogueOtherModel):
        other.search("红色")
    with pytest.raises(CatalogueOtherModel):
        other.add(photos)
    with pytest.raises(Cancelled):
        other.check(rebuild=True, on_progress=lambda done, of: False)
    assert len(catalogue.search("红色", n=100)) == 18
    report = other.check(rebuild=True)
    assert (report.encoded, report.lost) == (0, 0)
    assert len(other.search("红色", n=100)) == 18
    with pytest.raises(CatalogueOtherModel):
        catalogue.search("红色")


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory):
    """A folder of the real Chinese-CLIP classes, hidden size 32, random weights."""
    import torch
    from transformers import BertTokenizer, ChineseCLIPConfig, ChineseCLIPModel
    from transformers.models.chinese_clip.image_processing_pil_chinese_clip import (
        ChineseCLIPImageProcessorPil,
    )

    folder = tmp_path_factory.mktemp("clip")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"红黑白蓝色短长袖衬衫裙裤一件"]
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**size, "intermediate_size": 32, "vocab_size": len(words)}
    vision = {**size, "intermediate_size": 32, "image_size": 32, "patch_size": 16}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ChineseCLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
        ChineseCLIPModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    square = {"height": 32, "width": 32}
    ChineseCLIPImageProcessorPil(size=square, crop_size=square).save_pretrained(folder)
    return folder


def test_a_chinese_clip_drops_in(tiny_clip, photos):
    made = Catalogue.create("clip", retriever=str(tiny_clip))
    assert made.add(photos).added == 18
    assert made.store.facts().dimension == 24
    assert made.store.facts().model == str(tiny_clip)
    assert len(Catalogue.open("clip").search("红色短袖", n=5)) == 5


def test_catalogues_are_listed_by_name_and_deleted_whole(catalogue, photos):
    assert [(each.name, each.items) for each in list_catalogues()] == [("春装", 18)]
    with pytest.raises(CatalogueMissing, match="春装"):
        Catalogue.open("秋装")
    assert delete_catalogue("春装") == 18
    assert list_catalogues() == []
    assert (photos / "train" / "0000.webp").is_file()


def test_an_empty_catalogue_says_so(towers):
    with pytest.raises(CatalogueEmpty):
        Catalogue.create("空", retriever=towers).search("红色")


def test_a_tagger_fills_what_the_source_does_not_say(towers, photos):
    (photos / "metadata.jsonl").unlink()
    seen = []

    def tagger(images):
        seen.append(len(images))
        return [{"colors": ("粉",)} for _ in images]

    made = Catalogue.create("标签", retriever=towers)
    made.add(photos, tagger=tagger)
    assert sum(seen) == 18
    assert len(made.search("衣服", filters={"颜色": "粉"}, n=100)) == 18
    rows = [{"file_name": "train/0000.webp", "colors": ["红"], "caption": "红"}]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (photos / "metadata.jsonl").write_text(text, encoding="utf-8")
    assert made.add(photos, tagger=tagger).updated == 1
    assert made.store.find("train/0000.webp").attributes == {"colors": ("红",)}
