"""Hub models, in English, key by key as in models_zh.py."""

from __future__ import annotations

INTERFACE = {
    "help.models": "Hub models: what is known, what fits, what is here.",
    "help.models_list": "List the models that --model takes.",
    "help.models_show": "Show everything known of a model.",
    "help.model_id": "Id from mmgen models list",
    "help.attention": "Attention operator: auto, xformers, native, flash, ...",
    "help.placement": "Where weights lie; see mmgen models plan",
    "help.accept_licence": "Accept the licence of the model, once",
    "models.id": "id",
    "models.pipeline": "pipeline",
    "models.hub": "hub",
    "models.modelscope": "ModelScope",
    "models.parameters": "parameters (10^9)",
    "models.memory": "weights in bf16 (GB)",
    "models.size": "size",
    "models.sides": "sides (pixels)",
    "models.steps": "steps",
    "models.guidance": "guidance",
    "models.negative": "negative prompt",
    "models.dtypes": "number formats",
    "models.attention": "attention",
    "models.adapters": "LoRA",
    "models.references": "references",
    "models.inpaint": "mask editing",
    "models.licence": "licence",
    "models.conditions": "conditions",
    "models.must_accept": "must be accepted",
    "models.tested": "tested",
    "models.here": "here",
    "models.yes": "yes",
    "models.no": "no",
    "models.list_hint": "* limits commercial use: accept once with --accept-licence."
    " Details: mmgen models show ID",
}
