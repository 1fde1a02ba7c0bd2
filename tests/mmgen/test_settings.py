"""Settings: which source wins, and what a bad one says."""

import pytest

from mmgen.errors import FileUnreadable, SettingBad
from mmgen.settings import Settings, load_settings


@pytest.fixture
def config(tmp_path):
    """Writes config.toml and gives the environment that finds it."""

    def write(text, **environ):
        (tmp_path / "config.toml").write_text(text, encoding="utf-8")
        return {"MMGEN_HOME": str(tmp_path), **environ}

    return write


def test_defaults_without_any_source(tmp_path):
    settings = load_settings(environ={"MMGEN_HOME": str(tmp_path)})
    assert settings == Settings()
    assert settings.shown()["device"] == ("auto", "default")


def test_flag_beats_environment_beats_file(config, tmp_path):
    text = 'device = "cpu"\n'
    filed = load_settings(environ=config(text))
    named = load_settings(environ=config(text, MMGEN_DEVICE="cuda"))
    flagged = load_settings({"device": "mps"}, config(text, MMGEN_DEVICE="cuda"))
    assert [s.device for s in (filed, named, flagged)] == ["cpu", "cuda", "mps"]
    assert filed.sources["device"] == f"{tmp_path / 'config.toml'}, line 1"
    assert named.sources["device"] == "MMGEN_DEVICE"
    assert flagged.sources["device"] == "--device"


def test_every_key_can_stand_in_the_file(config, tmp_path):
    text = """
        lang = "en"
        device = "cuda:1"
        model = "/models/coat"
        offline = true
        [label]
        producer = "00191110108MA01KP2T5U00000"
        [policy]
        rules = "rules.txt"
        [hf]
        endpoint = "https://mirror.example"
        token = "hf_secret"
    """
    settings = load_settings(environ=config(text))
    assert settings.lang == "en"
    assert settings.offline is True
    assert settings.label_producer == "00191110108MA01KP2T5U00000"
    assert settings.policy_rules == tmp_path / "rules.txt"
    assert settings.hf_endpoint == "https://mirror.example"
    assert settings.hf_token == "hf_secret"
    assert settings.sources["label.producer"].endswith("line 7")


def test_a_token_is_shown_nowhere(config):
    settings = load_settings(environ=config("", HF_TOKEN="hf_secret"))
    assert settings.shown()["hf.token"] == ("***", "HF_TOKEN")
    assert "hf_secret" not in repr(settings)
    with pytest.raises(SettingBad) as caught:
        load_settings(environ=config('[hf]\ntoken = ["hf_secret"]\n'))
    assert "hf_secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ('lang = "fr"\n', "lang", 1),
        ("# words\n\nlang = 7\n", "lang", 3),
        ('offline = "perhaps"\n', "offline", 1),
        ('[label]\n\nproducer = "某某公司"\n', "label.producer", 3),
        ('label.producer = "two words"\n', "label.producer", 1),
        ('[hf]\nendpoint = "ftp://mirror"\n', "hf.endpoint", 2),
        ('colour = "red"\n', "colour", 1),
        ('[label]\nowner = "me"\n', "label.owner", 2),
    ],
)
def test_a_bad_value_names_key_and_line(config, tmp_path, text, key, line):
    with pytest.raises(SettingBad, match=f"line {line}") as caught:
        load_settings(environ=config(text))
    assert caught.value.params["name"] == key
    assert str(tmp_path / "config.toml") in str(caught.value)


@pytest.mark.parametrize("text", ['lang = "zh\n', "lang\n", "[label\n"])
def test_a_file_that_is_not_toml_names_the_line(config, text):
    with pytest.raises(SettingBad, match=r"config\.toml, line 1"):
        load_settings(environ=config(text))


def test_a_broken_line_with_a_token_does_not_print_it(config):
    with pytest.raises(SettingBad) as caught:
        load_settings(environ=config('[hf]\ntoken = "hf_secret\n'))
    assert "hf_secret" not in str(caught.value)


def test_a_bad_variable_is_named(config):
    with pytest.raises(SettingBad, match="MMGEN_LANG"):
        load_settings(environ=config("", MMGEN_LANG="klingon"))


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "config.toml").write_bytes(b"lang = '\xff\xfe'")
    with pytest.raises(FileUnreadable, match="UTF-8"):
        load_settings(environ={"MMGEN_HOME": str(tmp_path)})


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(FileUnreadable):
        load_settings(environ={"MMGEN_HOME": str(tmp_path)})
