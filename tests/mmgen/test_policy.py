import subprocess
import sys
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgen.errors import PromptRefused, SettingBad
from mmgen.policy import Rule, check, configured_rules, load_rules
from mmgen.values import ImageRequest

RULES = """\
# words that this shop does not want
weapons: 手枪, 步槍, machine gun
brand: /acme\\s*\\d+/

short: xxx
full：ＧＯＲＥ，血腥
"""


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.txt"
    path.write_text(RULES, encoding="utf-8")
    return load_rules(path)


@pytest.mark.parametrize(
    ("prompt", "rule"),
    [
        ("印着手枪的T恤", "weapons"),
        ("印着手槍的T恤", "weapons"),
        ("印着步枪的T恤", "weapons"),
        ("手\u200b枪 T恤", "weapons"),
        ("手\u202e枪", "weapons"),
        ("手 枪", "weapons"),
        ("手.枪", "weapons"),
        ("手、枪", "weapons"),
        ("手★枪", "weapons"),
        ("手\u0336枪", "weapons"),
        ("手\U000e0101枪", "weapons"),
        ("Ｍａｃｈｉｎｅ  ＧＵＮ", "weapons"),
        ("ACME 2000 logo", "brand"),
        ("ａｃｍｅ７", "brand"),
        ("XXX", "short"),
        ("gore", "full"),
        ("血 腥", "full"),
    ],
)
def test_a_disguised_word_is_refused_by_the_id_of_its_rule(rules, prompt, rule):
    with pytest.raises(PromptRefused) as caught:
        check(ImageRequest(prompt=prompt), rules)
    assert caught.value.params == {"rule": rule}


@pytest.mark.parametrize(
    "prompt", ["红色连衣裙", "xxxl 号T恤", "acme", "machine", "手套", "枪灰色手包", "gored skirt"]
)
def test_other_prompts_pass(rules, prompt):
    assert check(ImageRequest(prompt=prompt), rules) is None


def test_the_negative_prompt_is_read_too(rules):
    with pytest.raises(PromptRefused):
        check(ImageRequest(prompt="红裙", negative_prompt="血腥"), rules)


def test_the_message_never_repeats_the_word(rules):
    with pytest.raises(PromptRefused) as caught:
        check(ImageRequest(prompt="印着手枪的T恤"), rules)
    shown = f"{caught.value}{caught.value!r}{caught.value.params}"
    assert "枪" not in shown
    assert "枪" not in "".join(traceback.format_exception_only(caught.value))


def test_nothing_is_forbidden_by_default(tmp_path, monkeypatch):
    monkeypatch.setenv("MMGEN_HOME", str(tmp_path))
    assert configured_rules() == ()
    check(ImageRequest(prompt="印着手枪的T恤"))


def test_the_configuration_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("MMGEN_HOME", str(tmp_path))
    (tmp_path / "config.toml").write_text('[policy]\nrules = "rules.txt"\n', encoding="utf-8")
    with pytest.raises(SettingBad, match=r"rules\.txt"):
        check(ImageRequest(prompt="红裙"))  # named but missing: nothing is drawn unchecked
    (tmp_path / "rules.txt").write_text(RULES, encoding="utf-8")
    with pytest.raises(PromptRefused):
        check(ImageRequest(prompt="血腥"))
    (tmp_path / "rules.txt").write_text("other: 红裙\n", encoding="utf-8")
    with pytest.raises(PromptRefused, match="other"):
        check(ImageRequest(prompt="红裙"))


@pytest.mark.parametrize(
    "text",
    ["手枪", "weapons:", "weapons: ,,", "two words: x", "a: /(/", "a: /x*/", "ok: x\n: y"],
)
def test_a_bad_rules_file_is_refused_without_its_words(tmp_path, text):
    path = tmp_path / "rules.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingBad, match=r"policy\.rules") as caught:
        load_rules(path)
    assert "line" in str(caught.value)
    assert "枪" not in str(caught.value)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", None])
def test_an_unreadable_rules_file(tmp_path, data):
    path = tmp_path / "rules.txt"
    path.mkdir() if data is None else path.write_bytes(data)
    with pytest.raises(SettingBad):
        load_rules(path)


@given(st.text(alphabet=" \u200b\u200d\ufeff\u2060.,、·-", min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_whatever_stands_between_the_characters(between):
    rule = Rule(id="a", words=(), spread_words=("手枪",))
    with pytest.raises(PromptRefused):
        check(ImageRequest(prompt=f"红{between}手{between}枪"), (rule,))


def test_the_policy_loads_no_stage_and_no_torch():
    code = "import sys, mmgen.policy; print([m for m in sys.modules if m in ('torch', 'diffusers')"
    code += " or m.startswith('mmgen.text')])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert printed.strip() == b"[]"
