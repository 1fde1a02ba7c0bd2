"""Tokens and features of prompts."""

import pytest
import torch

from mmgen.text.encoder import TextEncoder
from mmgen.text.tokenizer import build_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(["红色t恤,白墙", "红裙"], max_tokens=12)


def encode(tokenizer, texts, length="max_length"):
    return tokenizer(texts, padding=length, truncation=True, return_tensors="pt")


def test_one_token_a_character_spaces_do_not_count(tokenizer):
    ids = tokenizer("红 色t")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", "红", "色", "t"]


def test_unknown_characters_are_unknown_and_long_texts_are_cut(tokenizer):
    assert tokenizer.convert_ids_to_tokens(tokenizer("龘")["input_ids"]) == ["[CLS]", "[UNK]"]
    assert encode(tokenizer, ["红" * 50]).input_ids.shape == (1, 12)


def test_the_saved_tokenizer_reads_the_same(tokenizer, tmp_path):
    from transformers import PreTrainedTokenizerFast

    tokenizer.save_pretrained(tmp_path)
    again = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert again("红色t恤,裙")["input_ids"] == tokenizer("红色t恤,裙")["input_ids"]
    assert again.model_max_length == 12


def test_padding_and_neighbours_change_nothing(tokenizer):
    torch.manual_seed(0)
    encoder = TextEncoder(
        vocab_size=len(tokenizer), max_length=12, hidden_size=32, num_layers=2, num_heads=2
    ).eval()
    alone = encode(tokenizer, ["红裙"], length=True)
    both = encode(tokenizer, ["红裙", "红色t恤,白墙"])
    with torch.inference_mode():
        one = encoder(alone.input_ids, alone.attention_mask)
        two = encoder(both.input_ids, both.attention_mask)
    assert torch.allclose(one.text_embeds, two.text_embeds[:1], atol=1e-5)
    assert torch.allclose(one.last_hidden_state, two.last_hidden_state[:1, :3], atol=1e-5)
