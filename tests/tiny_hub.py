"""Tiny random checkpoints of the hub families' real classes; tokenizers learnt from our captions.

Each builder gives the pipeline that `save` writes as a folder in diffusers format.
Weights are random but the same on every run.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

CAPTIONS = Path(__file__).resolve().parent.parent / "assets/captions/metadata.jsonl"


@functools.cache
def captions() -> list[str]:
    lines = CAPTIONS.read_text(encoding="utf-8").splitlines()[:400]
    return [json.loads(line)["caption"] for line in lines]


def byte_pairs(special: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions(), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def qwen_tokenizer():
    from transformers import Qwen2Tokenizer

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    special += ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    vocab, merges = byte_pairs(special)
    tokenizer = Qwen2Tokenizer(vocab=vocab, merges=merges)
    tokenizer.add_special_tokens({"additional_special_tokens": special[1:]})
    tokenizer.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
        "{{ message['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return tokenizer


def glm_tokenizer():
    from transformers import PreTrainedTokenizerFast

    vocab, merges = byte_pairs(["<|endoftext|>", "[gMASK]", "<sop>"])
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[gMASK] <sop> $A", special_tokens=[("[gMASK]", 1), ("<sop>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|endoftext|>", padding_side="left"
    )


def clip_tokenizer():
    from transformers import CLIPTokenizer

    vocab, merges = byte_pairs(["<|startoftext|>", "<|endoftext|>"])
    for letter in list(vocab):
        vocab.setdefault(letter + "</w>", len(vocab))
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=24)


def bert_tokenizer():
    from transformers import BertTokenizer

    letters = sorted({letter for caption in captions() for letter in caption.lower()})
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    return BertTokenizer(
        vocab={word: index for index, word in enumerate(words)}, model_max_length=77
    )


def t5_tokenizer():
    from transformers import T5Tokenizer

    letters = sorted({letter for caption in captions() for letter in caption})
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(letter, -5.0) for letter in letters]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=256)


def vae(channels: int = 4, **more):
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=channels,
        norm_num_groups=4,
        layers_per_block=1,
        sample_size=64,
        **more,
    )


def flow(**more):
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(shift=3.0, **more)


def cogview4():
    from diffusers import CogView4Pipeline, CogView4Transformer2DModel
    from transformers import GlmConfig, GlmModel

    tokenizer = glm_tokenizer()
    config = GlmConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        pad_token_id=0,
        eos_token_id=0,
    )
    transformer = CogView4Transformer2DModel(
        in_channels=4,
        out_channels=4,
        num_layers=4,
        attention_head_dim=8,
        num_attention_heads=4,
        text_embed_dim=32,
        time_embed_dim=16,
        condition_dim=8,
        sample_size=16,
        rope_axes_dim=(64, 64),
    )
    return CogView4Pipeline(
        tokenizer=tokenizer,
        text_encoder=GlmModel(config),
        vae=vae(),
        transformer=transformer,
        scheduler=flow(base_shift=0.25, max_shift=0.75, use_dynamic_shifting=True),
    )


def z_image():
    from diffusers import ZImagePipeline, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    tokenizer = qwen_tokenizer()
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
    )
    transformer = ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=4,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=32,
        axes_dims=[8, 4, 4],
        axes_lens=[1024, 64, 64],
    )
    torch.nn.init.normal_(transformer.x_pad_token)
    torch.nn.init.normal_(transformer.cap_pad_token)
    return ZImagePipeline(
        scheduler=flow(),
        vae=vae(shift_factor=0.1, scaling_factor=0.36),
        text_encoder=Qwen3Model(config),
        tokenizer=tokenizer,
        transformer=transformer,
    )


def qwen_vl():
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokenizer = qwen_tokenizer()
    ids = {
        "image_token_id": tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        "video_token_id": tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        "vision_start_token_id": tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        "vision_end_token_id": tokenizer.convert_tokens_to_ids("<|vision_end|>"),
    }
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "rope_parameters": {
                "mrope_section": [1, 1, 2],
                "rope_type": "default",
                "type": "default",
                "rope_theta": 10_000.0,
            },
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
        },
        **ids,
    )
    return tokenizer, Qwen2_5_VLForConditionalGeneration(config)


def qwen_parts():
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel

    tokenizer, text_encoder = qwen_vl()
    return {
        "scheduler": flow(use_dynamic_shifting=True),
        "vae": AutoencoderKLQwenImage(
            base_dim=8,
            z_dim=4,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            latents_mean=[0.0, 0.1, 0.2, 0.3],
            latents_std=[1.0, 1.1, 1.2, 1.3],
        ),
        "text_encoder": text_encoder,
        "tokenizer": tokenizer,
        "transformer": QwenImageTransformer2DModel(
            in_channels=16,
            out_channels=4,
            num_layers=4,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            axes_dims_rope=(4, 6, 6),
        ),
    }


def qwen_image():
    from diffusers import QwenImagePipeline

    return QwenImagePipeline(**qwen_parts())


def qwen_image_edit():
    from diffusers import QwenImageEditPlusPipeline
    from transformers import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

    parts = qwen_parts()
    # The real one takes 384 x 384 pictures, which a tiny model reads for too long.
    images = Qwen2VLImageProcessor(
        size={"shortest_edge": 28 * 28, "longest_edge": 56 * 56}, patch_size=14
    )
    processor = Qwen2VLProcessor(
        image_processor=images,
        tokenizer=parts["tokenizer"],
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=parts["tokenizer"].chat_template,
    )
    return QwenImageEditPlusPipeline(processor=processor, **parts)


def unet(**more):
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        **more,
    )


def noise():
    from diffusers import EulerDiscreteScheduler

    return EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )


def bert(width: int, vocab: int):
    from transformers import BertConfig, BertModel

    return BertModel(
        BertConfig(
            vocab_size=vocab,
            hidden_size=width,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=48,
        )
    )


def taiyi():
    """Stable Diffusion with a Chinese text encoder, as Taiyi-1B has it."""
    from diffusers import StableDiffusionPipeline

    tokenizer = bert_tokenizer()
    return StableDiffusionPipeline(
        vae=vae(),
        text_encoder=bert(32, len(tokenizer)),
        tokenizer=tokenizer,
        unet=unet(cross_attention_dim=32, attention_head_dim=2),
        scheduler=noise(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl():
    from diffusers import StableDiffusionXLPipeline
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    tokenizer = clip_tokenizer()
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=24,
        projection_dim=32,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return StableDiffusionXLPipeline(
        vae=vae(),
        text_encoder=CLIPTextModel(config),
        text_encoder_2=CLIPTextModelWithProjection(config),
        tokenizer=tokenizer,
        tokenizer_2=clip_tokenizer(),
        unet=unet(
            cross_attention_dim=64,
            attention_head_dim=(2, 4),
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            transformer_layers_per_block=(1, 2),
            projection_class_embeddings_input_dim=80,
            use_linear_projection=True,
        ),
        scheduler=noise(),
    )


def hunyuan_dit():
    from diffusers import DDPMScheduler, HunyuanDiT2DModel, HunyuanDiTPipeline
    from transformers import T5Config, T5EncoderModel

    tokenizer, tokenizer_2 = bert_tokenizer(), t5_tokenizer()
    return HunyuanDiTPipeline(
        vae=vae(),
        text_encoder=bert(32, len(tokenizer)),
        tokenizer=tokenizer,
        text_encoder_2=T5EncoderModel(
            T5Config(
                vocab_size=len(tokenizer_2), d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4
            )
        ),
        tokenizer_2=tokenizer_2,
        transformer=HunyuanDiT2DModel(
            sample_size=16,
            num_layers=4,
            patch_size=2,
            attention_head_dim=8,
            num_attention_heads=4,
            in_channels=4,
            cross_attention_dim=32,
            cross_attention_dim_t5=32,
            pooled_projection_dim=16,
            hidden_size=32,
            activation_fn="gelu-approximate",
        ),
        scheduler=DDPMScheduler(prediction_type="v_prediction"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


BUILDERS = {
    "cogview4-6b": cogview4,
    "z-image": z_image,
    "qwen-image": qwen_image,
    "qwen-image-edit": qwen_image_edit,
    "taiyi-1b": taiyi,
    "sdxl": sdxl,
    "hunyuan-dit": hunyuan_dit,
}
"""Id of a row -> builder of its tiny pipeline."""


def build(name: str):
    """The tiny pipeline of a row, with weights that every prompt shows through."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pipeline = BUILDERS[name]()
        for part in ("transformer", "unet"):
            network = getattr(pipeline, part, None)
            for parameter in network.parameters() if network else ():
                if parameter.ndim > 1:
                    torch.nn.init.normal_(parameter, std=0.15)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    return pipeline


def lora(name: str, path: Path) -> str:
    """Write a LoRA of the row's own layers into the folder `path`; gives its sha256."""
    import hashlib

    from peft import LoraConfig, get_peft_model_state_dict

    from mmgen.hub import families

    pipeline, part = build(name), families.MODELS[name].family.denoiser
    denoiser = getattr(pipeline, part)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        config = LoraConfig(r=4, lora_alpha=4, target_modules=["to_q"], init_lora_weights=False)
        denoiser.add_adapter(config, adapter_name="x")
    state = get_peft_model_state_dict(denoiser, adapter_name="x")
    type(pipeline).save_lora_weights(path, **{f"{part}_lora_layers": state})
    (file,) = path.glob("*.safetensors")
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def hub_folder(tmp_path_factory):
    """Id of a row -> its tiny folder, made once."""
    root = tmp_path_factory.mktemp("hub")

    @functools.cache
    def folder(name: str) -> Path:
        path = root / name
        build(name).save_pretrained(path)
        return path

    return folder
