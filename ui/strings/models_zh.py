"""Hub models, in Chinese: sentences of their errors, phrases, interface."""

from __future__ import annotations

ERRORS = {
    "licence.not_accepted": (
        "{model} 的许可证是 {licence}：{conditions}（{url}）。请先阅读，"
        "然后加上 --accept-licence 接受一次。"
    ),
    "model.not_fetched": "{model} 还不在 {path}，请先下载：mmgen models fetch {model}",
    "model.not_finite": (
        "{model} 在 {dtype} 下算出了无效的数，请换一种数值格式（bfloat16 或 float32）。"
    ),
    "model.altered": (
        "{path} 里的文件和下载时的不一样（{file} 不同），请重新下载：mmgen models fetch {model}"
    ),
    "adapter.missing": "{path} 没有适配器，请给出 LoRA 文件（.safetensors）或含有 {file} 的目录。",
    "adapter.broken": "适配器 {path} 不能用（{reason}），请重新取得。",
    "adapter.pickle": "适配器 {path} 是 pickle 权重，载入时可能运行代码，请用 safetensors。",
    "adapter.unfit": "适配器 {path} 是给别的模型做的（{reason}），请和它自己的底模一起用。",
    "device.dtype_unfit": "{model} 用 {got} 算不准，可以用 {allowed}。",
    "device.out_of_memory": (
        "{device} 的内存不够，用了 {placement} 也放不下；请换小一些的尺寸或模型，或关掉别的程序。"
    ),
}

WARNINGS = {
    "licence.accepted": "从现在起接受 {model} 的许可证 {licence}：{conditions}",
    "model.size_unusual": "{model} 训练时的边长是 {low} 到 {high} 像素，{got} 可能画坏",
    "model.negative_unused": "{model} 在引导强度 {guidance} 下不读反向提示词，写了也没有作用",
    "model.picture_withheld": "{model} 的安全检查把种子 {seed} 的图涂黑了",
    "device.placed_lower": (
        "{device} 的内存用完了，放置方式从 {before} 改为 {after}，会慢一些；步数、尺寸、种子都不变"
    ),
}

NAMES = {
    "model": "模型 --model ",
    "placement": "放置方式 --placement ",
}

PHRASES = {
    "commercial use is allowed; the harmful uses listed in its annex are not": (
        "可以商用，附件列出的有害用途除外"
    ),
    "commercial use needs registration with Kuaishou;"
    " pictures may not be used to improve other models": (
        "商用要先向快手登记；生成的图片不能用来改进别的模型"
    ),
    "not licensed for use in the European Union;"
    " over 100 million monthly users need Tencent's own licence": (
        "不许可在欧盟使用；月活超过一亿要另得腾讯许可"
    ),
    "not licensed for use in the European Union, the United Kingdom and South Korea;"
    " over 100 million monthly users need Tencent's own licence": (
        "不许可在欧盟、英国、韩国使用；月活超过一亿要另得腾讯许可"
    ),
    "a figure is no number": "里面有无效的数",
    "a matrix is far too large": "矩阵的数大得不正常",
    "a rank is not 1 to 256": "秩不在 1 到 256 之间",
    "it holds tensors that are no LoRA": "里面有不属于 LoRA 的张量",
    "its figures are of a kind that LoRA has not": "数值类型不是 LoRA 会有的",
    "no layer of this model is named in it": "里面没有写到这个模型的任何一层",
    "one half of a pair is missing": "成对的张量缺了一半",
    "the two halves of a pair do not fit": "成对的张量对不上",
    "nothing is known of its licence: read it yourself": "不知道它的许可证，请自己查看",
}

PATTERNS = {
    r"this model has no layer (.+)": "这个模型没有 {} 这一层",
    r"(\S+) is (\(.+\)) here and (\(.+\)) in the adapter": "{} 在这里是 {}，在适配器里是 {}",
    r"(.+) edits pictures: give one to four of them": "{} 是改图的模型，请给出一到四张图",
    r"none for (.+)": "{} 不用参考图",
}

INTERFACE = {
    "help.models": "大模型：有哪些、放不放得下、下载了没有。",
    "help.models_list": "列出 --model 可用的模型。",
    "help.models_show": "显示一个模型的全部资料。",
    "help.model_id": "mmgen models list 里的编号",
    "help.attention": "注意力算子：auto、xformers、native、flash 等",
    "help.placement": "权重放在哪里，见 mmgen models plan",
    "help.accept_licence": "接受模型的许可证，一次即可",
    "models.id": "编号",
    "models.pipeline": "管线",
    "models.hub": "仓库",
    "models.modelscope": "魔搭",
    "models.parameters": "参数（十亿）",
    "models.memory": "bf16 权重（GB）",
    "models.size": "尺寸",
    "models.sides": "边长（像素）",
    "models.steps": "步数",
    "models.guidance": "引导强度",
    "models.negative": "反向提示词",
    "models.dtypes": "数值格式",
    "models.attention": "注意力算子",
    "models.adapters": "LoRA",
    "models.references": "参考图",
    "models.inpaint": "蒙版编辑",
    "models.licence": "许可证",
    "models.conditions": "条件",
    "models.must_accept": "需要接受",
    "models.tested": "已测试",
    "models.here": "已下载",
    "models.yes": "是",
    "models.no": "否",
    "models.list_hint": "* 限制商用：用 --accept-licence 接受一次。详情：mmgen models show 编号",
}
