"""An evaluation end to end with tiny real parts, and what it must never do."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest

from mmgen import TextToImagePipeline, verify
from mmgen.errors import Cancelled
from pipelines.components import load_retriever
from pipelines.evaluate import evaluate
from pipelines.evaluation_drawing import NotOurPicture, Question
from pipelines.evaluation_set import NothingHeldOut, NoTrainingPictures, read_evaluation_set
from pipelines.judge import load_judge
from training import recipes, run
from ui.command_line import main


@pytest.fixture(scope="module")
def evaluator(garments, tmp_path_factory):
    """The folder of an evaluator after four steps."""
    folder = tmp_path_factory.mktemp("runs") / "evaluator"
    figures = []
    run.train_evaluator(
        recipes.EVALUATOR["tiny"](),
        garments,
        folder,
        on_log=lambda step, named: figures.append(named),
    )
    assert {"category", "family", "t2i_r1"} <= {name for named in figures for name in named}
    assert all(np.isfinite(value) for named in figures for value in named.values())
    return folder / "export" / "evaluator"


@pytest.fixture(scope="module")
def judge(evaluator):
    return load_judge(evaluator)


@pytest.fixture(scope="module")
def pipe(tiny_model):
    return TextToImagePipeline.from_pretrained(tiny_model, device="cpu")


@pytest.fixture(scope="module")
def retriever(tiny_model):
    return load_retriever(str(tiny_model))


QUESTION = Question(num_inference_steps=1, retrieve=2)


@pytest.fixture(scope="module")
def evaluated(pipe, judge, retriever, garments, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    asked = read_evaluation_set(garments)
    return folder, evaluate(pipe, judge, retriever, asked, folder, QUESTION)


def test_the_exported_judge_knows_what_it_was_trained_on(judge):
    assert judge.training_vectors.shape == (12, 8)
    assert np.allclose(np.linalg.norm(judge.training_vectors, axis=1), 1)
    assert set(judge.evaluator.config.categories) == {"T恤", "长裤"}
    assert judge.evaluator.config.colours == ["红", "蓝", "黑"]


def test_training_goes_on_from_exported_weights(evaluator, garments, tmp_path):
    arguments = ["train", "evaluator", "--recipe", "tiny", "--data", garments]
    arguments += ["--run", tmp_path / "more", "--init-from", evaluator.parent, "--steps", 1]
    assert main([*map(str, arguments)]) == 0
    assert load_judge(tmp_path / "more" / "export" / "evaluator").training_vectors.shape == (12, 8)


def test_every_figure_is_there_and_in_its_range(evaluated):
    figures = evaluated[1].figures
    assert json.loads(json.dumps(figures)) == figures
    assert figures["data"]["pictures"] == figures["data"]["held_out"] == 6
    assert 0 < figures["autoencoder"]["psnr"] < 60
    assert -1 <= figures["autoencoder"]["ssim"] <= 1
    for name in ("towers", "photographs"):
        assert 0 <= figures[name]["t2i_r1"] <= figures[name]["t2i_r10"] == 1
    for name in ("plain", "references"):
        for key in ("r_precision", "category", "colour_family", "near_copies"):
            assert 0 <= figures[name][key] <= 1
        # Six pictures are too few for a covariance.
        assert figures[name]["frechet"] is None


def test_each_picture_is_labelled_and_its_record_names_its_references(evaluated):
    folder, evaluation = evaluated
    for name, count in (("plain", 0), ("references", 2)):
        assert len(evaluation.files[name]) == 6
        for file in evaluation.files[name]:
            assert verify(file)
            record = json.loads(file.with_name(f"{file.name}.json").read_text(encoding="utf-8"))
            assert len(record["request"]["references"]) == count
    assert not list(folder.rglob("*.part"))


def test_pictures_that_are_there_are_used_again(evaluated, pipe, judge, retriever, garments):
    folder, before = evaluated
    lost = before.files["plain"][2]
    stamps = {file: os.stat(file).st_mtime_ns for file in before.files["plain"]}
    lost.unlink()
    lost.with_name(f"{lost.name}.json").unlink()
    again = evaluate(pipe, judge, retriever, read_evaluation_set(garments), folder, QUESTION)
    assert again.figures == before.figures
    for file, stamp in stamps.items():
        assert (os.stat(file).st_mtime_ns == stamp) == (file != lost)


def test_a_changed_picture_is_drawn_again_and_a_foreign_one_is_left_alone(
    evaluated, pipe, judge, retriever, garments, tmp_path
):
    folder, before = evaluated
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    broken = tmp_path / "plain" / before.files["plain"][0].name
    broken.write_bytes(broken.read_bytes()[:-20])
    asked = read_evaluation_set(garments)
    again = evaluate(pipe, judge, retriever, asked, tmp_path, QUESTION)
    assert again.figures == before.figures
    assert verify(broken)
    broken.with_name(f"{broken.name}.json").unlink()
    with pytest.raises(NotOurPicture):
        evaluate(pipe, judge, retriever, asked, tmp_path, QUESTION)


def test_a_stop_keeps_what_was_drawn(pipe, judge, retriever, garments, tmp_path):
    asked = read_evaluation_set(garments)
    steps = iter([True, True])
    question = Question(num_inference_steps=1)
    with pytest.raises(Cancelled):
        evaluate(
            pipe, judge, retriever, asked, tmp_path, question,
            on_step=lambda step: next(steps, False),
        )  # fmt: skip
    assert len(list(tmp_path.rglob("*.png"))) == 2


def test_a_limited_look_asks_some_of_the_same_rows(garments):
    whole, part = read_evaluation_set(garments), read_evaluation_set(garments, 3)
    assert len(part.rows) == 3
    assert part.captions == whole.captions
    for index, own in enumerate(part.own):
        assert part.rows[index] == whole.rows[own]
        assert part.seed(index) == whole.seed(own)


def test_folders_that_cannot_answer_say_why(garments, tmp_path):
    rows = (garments / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "metadata.jsonl").write_text("\n".join(rows[:12]), encoding="utf-8")
    with pytest.raises(NothingHeldOut):
        read_evaluation_set(tmp_path)
    (tmp_path / "metadata.jsonl").write_text("\n".join(rows[12:]), encoding="utf-8")
    with pytest.raises(NoTrainingPictures):
        read_evaluation_set(tmp_path).training_rows()


def test_the_command_writes_a_report(tiny_model, evaluator, garments, tmp_path, capsys):
    arguments = ["evaluate", "--data", garments, "-o", tmp_path, "--model", tiny_model]
    arguments += ["--evaluator", evaluator, "--limit", 2, "--steps", 1, "--device", "cpu"]
    assert main([*map(str, arguments)]) == 0
    out = capsys.readouterr().out
    assert "相对照片" in out
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "mmgen 评测报告" in page
    assert 'src="sheet-plain.webp"' in page
    assert verify(tmp_path / "sheet-plain.webp")
    assert json.loads((tmp_path / "report.json").read_text("utf-8"))["data"]["pictures"] == 2
    assert main([*map(str, arguments), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "mmgen.evaluation/1"


def test_a_wrong_question_is_refused_before_anything_is_loaded(tmp_path, capsys):
    assert main(["evaluate", "--data", str(tmp_path / "none")]) == 2
    assert main(["evaluate", "--retrieve", "9"]) == 2
    assert "--retrieve" in capsys.readouterr().err
