"""Files of prompts as people save them, and what a bad line says."""

import pytest

from mmgen.errors import EmptyPrompt, FileUnreadable, PromptTooLong
from ui.output_names import names_of
from ui.prompt_file import PromptLine, PromptLineBad, read_prompts
from ui.words import sentence

LINES = "红色连衣裙\r\n\r\nsku-1\t蓝白格子衬衫，长袖\nsku-2\t 藏青大衣 \n"
EXPECTED = [
    PromptLine(prompt="红色连衣裙"),
    PromptLine(prompt="蓝白格子衬衫，长袖", key="sku-1"),
    PromptLine(prompt=" 藏青大衣 ", key="sku-2"),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_file_is_read_in_the_encodings_that_programs_save(tmp_path, encoding):
    path = tmp_path / "prompts.txt"
    path.write_bytes(LINES.encode(encoding))
    assert read_prompts(path) == EXPECTED


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_will_do(tmp_path, end):
    path = tmp_path / "prompts.txt"
    path.write_bytes(f"大衣{end}衬衫".encode())
    assert [line.prompt for line in read_prompts(path)] == ["大衣", "衬衫"]


@pytest.mark.parametrize(
    ("text", "line", "cause"),
    [
        ("大衣\n" + "衣" * 1001, 2, PromptTooLong),
        ("\n\na\t  \n", 3, EmptyPrompt),
        ("\t大衣", 1, None),
        ("  \t大衣", 1, None),
        ("a\t大衣\nb\t裙子\na\t衬衫", 3, None),
        ("大\0衣", 1, None),
    ],
)
def test_a_bad_line_is_named(tmp_path, text, line, cause):
    path = tmp_path / "prompts.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PromptLineBad, match=f"line {line}") as caught:
        read_prompts(path)
    assert cause is None or isinstance(caught.value.__cause__, cause)
    assert f"第 {line} 行" in sentence(caught.value)


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_a_file_without_prompts_is_refused(tmp_path, data):
    path = tmp_path / "prompts.txt"
    path.write_bytes(data)
    with pytest.raises(FileUnreadable, match="no prompt"):
        read_prompts(path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xff\xff")
    with pytest.raises(FileUnreadable, match="GB18030"):
        read_prompts(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(FileUnreadable):
            read_prompts(path)


def test_names_from_prompts_keep_chinese_and_end_in_the_seed():
    assert names_of("蓝白格子长袖衬衫，挂在白墙前", None, [7, 8]) == [
        "蓝白格子长袖衬衫-挂在白墙前-7",
        "蓝白格子长袖衬衫-挂在白墙前-8",
    ]
    assert names_of("👗!", None, [3]) == ["3"]
    assert names_of("../../etc/passwd", None, [1]) == ["etc-passwd-1"]
    assert len(names_of("很" * 500, None, [1])[0]) == 22


def test_names_from_ids_are_the_ids():
    assert names_of("红裙", "sku-1", [9]) == ["sku-1"]
    assert names_of("红裙", "sku-1", [9, 10]) == ["sku-1-1", "sku-1-2"]
