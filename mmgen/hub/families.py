"""The hub models that mmgen knows: one row each.

Published figures (parameters, default steps and guidance) are those of the model
cards and of diffusers' own pipelines. A row is `tested` when a tiny checkpoint of
its real classes goes through command line, Python and the tests here; the weights
themselves are too large for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mmgen.hub import licences
from mmgen.hub.licences import Licence
from mmgen.values import Defaults

Pairs = frozenset[tuple[str, str]]

_TOKENIZERS = tuple(
    ("transformers", name)
    for name in (
        *("PreTrainedTokenizerFast", "TokenizersBackend", "BertTokenizer", "BertTokenizerFast"),
        *("CLIPTokenizer", "CLIPTokenizerFast", "T5Tokenizer", "T5TokenizerFast"),
        *("Qwen2Tokenizer", "Qwen2TokenizerFast", "ByT5Tokenizer"),
    )
)
_FLOW = (("diffusers", "FlowMatchEulerDiscreteScheduler"),)
_NOISE = tuple(
    ("diffusers", f"{name}Scheduler")
    for name in (
        *("DDIM", "DDPM", "PNDM", "LMSDiscrete", "EulerDiscrete", "EulerAncestralDiscrete"),
        *("DPMSolverMultistep", "DPMSolverSinglestep", "UniPCMultistep", "HeunDiscrete"),
    )
)
_SAFETY = (
    ("stable_diffusion", "StableDiffusionSafetyChecker"),
    ("transformers", "CLIPImageProcessor"),
    ("transformers", "CLIPFeatureExtractor"),
)
_VISION = (("transformers", "CLIPVisionModelWithProjection"),)


def _pairs(pipeline: str, *groups: tuple[tuple[str, str], ...], **parts: str) -> Pairs:
    """The pipeline, its parts (`transformers=` or `diffusers=` names) and whole groups."""
    named = {(library, name) for library, names in parts.items() for name in names.split()}
    return frozenset({("diffusers", pipeline), *named, *_TOKENIZERS}.union(*groups))


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """One diffusers pipeline: what its folder may name and how it is called."""

    pipeline: str
    """Class in diffusers; `_class_name` of the folder's model_index.json."""
    classes: Pairs
    """(library, class) pairs that model_index.json may name."""
    denoiser: str = "transformer"
    guidance: str = "guidance_scale"
    """Name of the pipeline's guidance argument; empty: it takes none."""
    has_negative: bool = True
    dtypes: tuple[str, ...] = ("bfloat16", "float32")
    """That its arithmetic bears, best first."""
    lora: bool = False
    img2img: str = ""
    """Pipeline class that starts from a picture; empty: none."""
    inpaint: str = ""
    edits: bool = False
    """Takes the reference pictures themselves, and needs at least one."""
    side_multiple: int = 16
    batches: bool = False
    """Prompts are filled up to one length, so neighbours do not change a picture."""
    latents: Literal["scaled", "packed", "normalised", "hidden"] = "scaled"
    """How the latents of a step are turned into pixels for a preview."""
    global_rng: bool = False
    """Draws from torch's global generator; it is seeded and put back around the call."""
    attention: Literal["dispatcher", "processor", "native"] = "dispatcher"
    """Where the attention operator is chosen."""
    int8: bool = False
    """Its large networks were tried with torchao's int8 weights."""
    boolean_mask: bool = False
    """Passes 4-D boolean masks, which diffusers hands to xformers as +1/0 biases."""
    blank_negative: str = ""
    """What an empty negative prompt is passed as."""


_SD_PARTS = "AutoencoderKL UNet2DConditionModel"
_QWEN = {
    "transformers": "Qwen2_5_VLForConditionalGeneration Qwen2VLProcessor Qwen2_5_VLProcessor",
    "diffusers": "AutoencoderKLQwenImage QwenImageTransformer2DModel",
}

FAMILIES = {
    family.pipeline: family
    for family in (
        Family(
            pipeline="CogView4Pipeline",
            classes=_pairs(
                "CogView4Pipeline",
                _FLOW,
                transformers="GlmModel",
                diffusers="AutoencoderKL CogView4Transformer2DModel",
            ),
            lora=True,
            side_multiple=32,
        ),
        Family(
            pipeline="ZImagePipeline",
            int8=True,
            classes=_pairs(
                "ZImagePipeline",
                _FLOW,
                transformers="Qwen3Model Qwen3ForCausalLM",
                diffusers="AutoencoderKL ZImageTransformer2DModel",
            ),
            lora=True,
            img2img="ZImageImg2ImgPipeline",
            inpaint="ZImageInpaintPipeline",
            boolean_mask=True,
        ),
        Family(
            pipeline="QwenImagePipeline",
            int8=True,
            classes=_pairs("QwenImagePipeline", _FLOW, **_QWEN),
            guidance="true_cfg_scale",
            blank_negative=" ",
            lora=True,
            img2img="QwenImageImg2ImgPipeline",
            inpaint="QwenImageInpaintPipeline",
            latents="packed",
            boolean_mask=True,
        ),
        Family(
            pipeline="QwenImageEditPlusPipeline",
            classes=_pairs("QwenImageEditPlusPipeline", _FLOW, **_QWEN),
            guidance="true_cfg_scale",
            blank_negative=" ",
            lora=True,
            edits=True,
            latents="packed",
            boolean_mask=True,
        ),
        Family(
            pipeline="StableDiffusionPipeline",
            classes=_pairs(
                "StableDiffusionPipeline",
                *(_NOISE, _SAFETY, _VISION),
                transformers="CLIPTextModel BertModel",
                diffusers=_SD_PARTS,
            ),
            denoiser="unet",
            dtypes=("bfloat16", "float16", "float32"),
            lora=True,
            img2img="StableDiffusionImg2ImgPipeline",
            inpaint="StableDiffusionInpaintPipeline",
            batches=True,
            attention="processor",
        ),
        Family(
            pipeline="StableDiffusionXLPipeline",
            classes=_pairs(
                "StableDiffusionXLPipeline",
                *(_NOISE, _VISION),
                transformers="CLIPTextModel CLIPTextModelWithProjection CLIPImageProcessor",
                diffusers=_SD_PARTS,
            ),
            denoiser="unet",
            dtypes=("bfloat16", "float16", "float32"),
            lora=True,
            img2img="StableDiffusionXLImg2ImgPipeline",
            inpaint="StableDiffusionXLInpaintPipeline",
            batches=True,
            attention="processor",
        ),
        Family(
            pipeline="HunyuanDiTPipeline",
            classes=_pairs(
                "HunyuanDiTPipeline",
                *(_NOISE, _SAFETY),
                transformers="BertModel T5EncoderModel MT5EncoderModel",
                diffusers="AutoencoderKL HunyuanDiT2DModel",
            ),
            dtypes=("bfloat16", "float16", "float32"),
            batches=True,
            attention="native",
        ),
        Family(
            pipeline="KolorsPipeline",
            classes=_pairs(
                "KolorsPipeline",
                *(_NOISE, _VISION),
                kolors="ChatGLMModel ChatGLMTokenizer",
                transformers="CLIPImageProcessor",
                diffusers=_SD_PARTS,
            ),
            denoiser="unet",
            dtypes=("bfloat16", "float16", "float32"),
            lora=True,
            img2img="KolorsImg2ImgPipeline",
            batches=True,
            attention="processor",
        ),
        Family(
            pipeline="HunyuanImagePipeline",
            classes=_pairs(
                "HunyuanImagePipeline",
                _FLOW,
                transformers="Qwen2_5_VLForConditionalGeneration T5EncoderModel",
                diffusers="AutoencoderKLHunyuanImage HunyuanImageTransformer2DModel",
                hunyuan_image="AdaptiveProjectedMixGuidance",
            ),
            guidance="",
            side_multiple=32,
            boolean_mask=True,
        ),
        Family(
            pipeline="GlmImagePipeline",
            classes=_pairs(
                "GlmImagePipeline",
                _FLOW,
                transformers="GlmImageForConditionalGeneration GlmImageProcessor T5EncoderModel",
                diffusers="AutoencoderKL GlmImageTransformer2DModel",
            ),
            has_negative=False,
            side_multiple=32,
            latents="normalised",
            global_rng=True,
        ),
    )
}
"""Pipeline class -> how it is called."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One network of a model, as published."""

    name: str
    parameters: float
    """In units of 10**9."""
    blocks: int
    """Equal blocks that can be streamed one after another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HubModel:
    """One published model."""

    id: str
    """What `--model` takes, besides a folder."""
    pipeline: str
    hub: str
    """Repository at huggingface.co."""
    modelscope: str = ""
    """Repository at modelscope.cn; empty: none known."""
    licence: Licence
    steps: int
    guidance: float
    size: tuple[int, int]
    """Default height and width in pixels."""
    sides: tuple[int, int]
    """Shortest and longest side it was trained for, pixels."""
    parts: tuple[Part, ...]
    tested: bool
    """Its tiny folder of real classes generates in the tests."""
    aliases: tuple[str, ...] = ()
    """Other repositories of the same weights, or of weights that need the same row."""

    @property
    def family(self) -> Family:
        """How it is called."""
        return FAMILIES[self.pipeline]

    @property
    def defaults(self) -> Defaults:
        """Size, steps and guidance where the user names none."""
        height, width = self.size
        return Defaults(
            height=height,
            width=width,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance,
        )

    @property
    def parameters(self) -> float:
        """Of all parts, in units of 10**9."""
        return sum(part.parameters for part in self.parts)


def _parts(**figures: tuple[float, int]) -> tuple[Part, ...]:
    return tuple(
        Part(name=name, parameters=count, blocks=blocks)
        for name, (count, blocks) in figures.items()
    )


_Z_IMAGE = _parts(text_encoder=(4.02, 36), transformer=(6.15, 30), vae=(0.084, 0))
_QWEN_IMAGE = _parts(text_encoder=(8.29, 28), transformer=(20.43, 60), vae=(0.127, 0))
_SDXL = _parts(
    text_encoder=(0.123, 12), text_encoder_2=(0.695, 32), unet=(2.567, 0), vae=(0.084, 0)
)

MODELS = {
    model.id: model
    for model in (
        HubModel(
            id="cogview4-6b",
            pipeline="CogView4Pipeline",
            hub="zai-org/CogView4-6B",
            modelscope="ZhipuAI/CogView4-6B",
            aliases=("THUDM/CogView4-6B",),
            licence=licences.APACHE,
            steps=50,
            guidance=3.5,
            size=(1024, 768),
            sides=(512, 2048),
            parts=_parts(text_encoder=(8.78, 40), transformer=(6.37, 28), vae=(0.084, 0)),
            tested=True,
        ),
        HubModel(
            id="z-image-turbo",
            pipeline="ZImagePipeline",
            hub="Tongyi-MAI/Z-Image-Turbo",
            modelscope="Tongyi-MAI/Z-Image-Turbo",
            licence=licences.APACHE,
            steps=9,
            guidance=1.0,
            size=(1024, 768),
            sides=(512, 2048),
            parts=_Z_IMAGE,
            tested=True,
        ),
        HubModel(
            id="z-image",
            pipeline="ZImagePipeline",
            hub="Tongyi-MAI/Z-Image",
            modelscope="Tongyi-MAI/Z-Image",
            licence=licences.APACHE,
            steps=50,
            guidance=4.0,
            size=(1024, 768),
            sides=(512, 2048),
            parts=_Z_IMAGE,
            tested=True,
        ),
        HubModel(
            id="qwen-image",
            pipeline="QwenImagePipeline",
            hub="Qwen/Qwen-Image",
            modelscope="Qwen/Qwen-Image",
            aliases=("Qwen/Qwen-Image-2512",),
            licence=licences.APACHE,
            steps=50,
            guidance=4.0,
            size=(1472, 1104),
            sides=(928, 1664),
            parts=_QWEN_IMAGE,
            tested=True,
        ),
        HubModel(
            id="qwen-image-edit",
            pipeline="QwenImageEditPlusPipeline",
            hub="Qwen/Qwen-Image-Edit-2511",
            modelscope="Qwen/Qwen-Image-Edit-2511",
            aliases=("Qwen/Qwen-Image-Edit-2509",),
            licence=licences.APACHE,
            steps=40,
            guidance=4.0,
            size=(1184, 880),
            sides=(512, 1664),
            parts=_QWEN_IMAGE,
            tested=False,
        ),
        HubModel(
            id="taiyi-1b",
            pipeline="StableDiffusionPipeline",
            hub="IDEA-CCNL/Taiyi-Stable-Diffusion-1B-Chinese-v0.1",
            licence=licences.OPENRAIL_M,
            steps=50,
            guidance=7.5,
            size=(512, 512),
            sides=(384, 768),
            parts=_parts(text_encoder=(0.102, 12), unet=(0.860, 0), vae=(0.084, 0)),
            tested=True,
        ),
        HubModel(
            id="taiyi-xl",
            pipeline="StableDiffusionXLPipeline",
            hub="IDEA-CCNL/Taiyi-Stable-Diffusion-XL-3.5B",
            licence=licences.APACHE,
            steps=50,
            guidance=5.0,
            size=(1152, 896),
            sides=(640, 1536),
            parts=_SDXL,
            tested=True,
        ),
        HubModel(
            id="sdxl",
            pipeline="StableDiffusionXLPipeline",
            hub="stabilityai/stable-diffusion-xl-base-1.0",
            modelscope="AI-ModelScope/stable-diffusion-xl-base-1.0",
            licence=licences.OPENRAIL_PP,
            steps=50,
            guidance=5.0,
            size=(1152, 896),
            sides=(640, 1536),
            parts=_SDXL,
            tested=True,
        ),
        HubModel(
            id="hunyuan-dit",
            pipeline="HunyuanDiTPipeline",
            hub="Tencent-Hunyuan/HunyuanDiT-v1.2-Diffusers",
            aliases=("Tencent-Hunyuan/HunyuanDiT-v1.2-Diffusers-Distilled",),
            licence=licences.HUNYUAN_DIT,
            steps=50,
            guidance=5.0,
            size=(1024, 768),
            sides=(768, 1280),
            parts=_parts(
                text_encoder=(0.35, 24),
                text_encoder_2=(1.67, 24),
                transformer=(1.5, 40),
                vae=(0.084, 0),
            ),
            tested=True,
        ),
        HubModel(
            id="kolors",
            pipeline="KolorsPipeline",
            hub="Kwai-Kolors/Kolors-diffusers",
            modelscope="Kwai-Kolors/Kolors-diffusers",
            licence=licences.KOLORS,
            steps=50,
            guidance=5.0,
            size=(1152, 896),
            sides=(640, 1536),
            parts=_parts(text_encoder=(6.24, 28), unet=(2.58, 0), vae=(0.084, 0)),
            tested=False,
        ),
        HubModel(
            id="hunyuan-image",
            pipeline="HunyuanImagePipeline",
            hub="hunyuanvideo-community/HunyuanImage-2.1-Diffusers",
            licence=licences.HUNYUAN_IMAGE,
            steps=50,
            guidance=3.5,
            size=(2304, 1792),
            sides=(1536, 2560),
            parts=_parts(
                text_encoder=(8.29, 28),
                text_encoder_2=(0.22, 12),
                transformer=(17.4, 60),
                vae=(0.4, 0),
            ),
            tested=False,
        ),
        HubModel(
            id="glm-image",
            pipeline="GlmImagePipeline",
            hub="zai-org/GLM-Image",
            modelscope="ZhipuAI/GLM-Image",
            licence=licences.APACHE,
            steps=50,
            guidance=1.5,
            size=(1024, 768),
            sides=(512, 2048),
            parts=_parts(
                vision_language_encoder=(9.0, 40),
                text_encoder=(0.22, 12),
                transformer=(7.0, 30),
                vae=(0.084, 0),
            ),
            tested=False,
        ),
    )
}
"""Id -> row."""


def find_row(name: str) -> HubModel | None:
    """The row called `name`: its id, its repository or the repository's last part."""
    wanted = name.casefold()
    for model in MODELS.values():
        known = (model.id, model.hub, model.modelscope, *model.aliases)
        tails = (repository.rpartition("/")[2] for repository in known[1:])
        if wanted in {text.casefold() for text in (*known, *tails) if text}:
            return model
    return None


def rows_of(pipeline: str) -> list[HubModel]:
    """All rows that this pipeline class runs."""
    return [model for model in MODELS.values() if model.pipeline == pipeline]
