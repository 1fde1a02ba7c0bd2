"""Normalised prompt -> token ids, one a character.

A word-level tokenizer over single characters, as BERT splits Chinese, held by
transformers' fast-tokenizer class: it is saved and loaded with the model
folder and needs no code of ours to run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]")
MAX_TOKENS = 64
"""With [CLS] in front, the encoder reads 63 characters."""


def build_tokenizer(texts: Iterable[str], max_tokens: int = MAX_TOKENS) -> PreTrainedTokenizerFast:
    """A tokenizer that knows every character of `texts`, most frequent first."""
    counts = Counter(character for text in texts for character in text)
    counts.pop(" ", None)
    characters = sorted(counts, key=lambda character: (-counts[character], character))
    vocabulary = {token: index for index, token in enumerate((*SPECIAL, *characters))}
    pad, unknown, start = SPECIAL
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=unknown))
    tokenizer.pre_tokenizer = Split(Regex(r"\s|(?=.)"), "removed")
    tokenizer.post_processor = TemplateProcessing(
        single=f"{start} $A", special_tokens=[(start, vocabulary[start])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        unk_token=unknown,
        cls_token=start,
        model_max_length=max_tokens,
        padding_side="right",
    )
