"""The home folder: where it is and who may look."""

import stat
from pathlib import Path

import pytest

from mmgen import home
from mmgen.errors import OutputNotWritable


def test_home_is_what_the_environment_says(tmp_path):
    assert home.home_path({"MMGEN_HOME": str(tmp_path)}) == tmp_path
    assert home.config_path({"MMGEN_HOME": str(tmp_path)}) == tmp_path / "config.toml"


def test_home_may_start_with_a_tilde_and_is_absolute():
    assert home.home_path({"MMGEN_HOME": "~/clothes"}) == Path.home() / "clothes"
    assert home.home_path({"MMGEN_HOME": "here"}).is_absolute()


def test_without_a_choice_home_is_the_users_data_folder():
    path = home.home_path({})
    assert path.name == "mmgen"
    assert path.is_absolute()


def test_a_training_run_has_its_place_under_home(empty_home):
    assert home.training_path("r1") == empty_home / "training" / "local" / "r1"


def test_a_private_folder_is_for_its_owner_alone(tmp_path):
    path = home.private_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    path.chmod(0o755)
    home.private_folder(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputNotWritable, match="file"):
        home.private_folder(tmp_path / "file" / "inner")
