"""Hub models, in Chinese: sentences of their errors, phrases, interface."""

from __future__ import annotations

ERRORS = {
    "model.torchao_missing": (
        "int8 权重要用 torchao，还没有安装；请运行 pip install 'mmgen[quant]'，或去掉 +int8。"
    ),
    "address.refused": (
        "不访问 {url}（{reason}）；请给出公网主机的 https 地址，内网镜像请加 --private。"
    ),
    "fetch.offline": (
        "没有下载 {model}：mmgen 设为离线工作（{source}）；请把模型目录拷过来，用 --model 目录。"
    ),
    "fetch.unreachable": (
        "连不上 {host}（{reason}）；请检查网络，用 --endpoint 指定镜像，"
        "或把模型目录拷过来用 --model 目录。已下载的部分保留，同一条命令会接着下。"
    ),
    "fetch.refused": (
        "{host} 对 {what} 的回答是 {status}；请检查名称和版本，需要同意条款的模型请设置 HF_TOKEN。"
    ),
    "fetch.broken": "{host} 给的 {what} 不对（{reason}），请重新下载。",
    "fetch.nowhere": "{source} 上没有已知的 {model}，可以用 {allowed}。",
    "fetch.no_space": (
        "{model} 在 {path} 要占 {needed} GB，只剩 {free} GB；请腾出空间，或改 MMGEN_HOME。"
    ),
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
    "model.edit_unsupported": "{model} 不会{what}，可以换用：{allowed}。",
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
    "a host that this errand does not need": "不是下载要用的主机",
    "a name or password in it": "里面有用户名或密码",
    "a size such as 12GB": "大小，例如 12GB",
    "an address instead of a name": "是数字地址，不是域名",
    "it has an address that is not public": "它的地址不在公网",
    "it is redirected in a circle": "重定向没有尽头",
    "its list cannot be read": "文件列表读不懂",
    "no host": "没有主机名",
    "not a host name": "不是主机名",
    "not an address": "不是网址",
    "not https": "不是 https",
    "size or sha256 differs": "大小或 sha256 不同",
    "unusual characters": "有不寻常的字符",
    "change a part of a picture": "只改图片的一部分",
    "start from a picture": "从已有的图片改起",
    "edit": "改图",
    "img2img": "以图起步",
    "img2img: drawing starts from the picture with noise; no IP-Adapter is used": (
        "以图起步：在参考图上加噪再画，不用 IP-Adapter"
    ),
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
    r"(\w+) cannot use it": "{} 不能用它",
    r"none for (.+)": "{} 不用参考图",
}

INTERFACE = {
    "help.adapter": "LoRA 文件或目录，后面可写权重 0 到 2",
    "help.models_plan": "算一算模型要占多少显存，怎样放得下。",
    "help.models_fetch": "把模型下载到主目录；断了可以接着下。",
    "help.model_or_folder": "mmgen models list 里的编号，或目录",
    "help.vram": "显存大小，例如 12GB",
    "help.plan_size": "图片尺寸，默认为模型自己的",
    "help.source_of": "hub 或 modelscope（魔搭）",
    "help.revision": "提交、标签或分支，默认最新",
    "help.endpoint": "镜像地址，接口与来源相同",
    "help.private": "镜像在自己的内网里",
    "models.fetching": "{done}/{total} GB，每秒 {rate} MB，大约还要 {left}：{file}",
    "models.fetched": "{model} 已在 {path}，用了 {elapsed}",
    "models.plan_of": "{model}，图片 {size}，数值格式 bfloat16：",
    "models.plan_network": "  {name}：{total}，{blocks} 块",
    "models.plan_rung": "放置方式",
    "models.plan_needs": "最多占用",
    "models.plan_moves": "每步搬运",
    "models.plan_fits": "放得下",
    "models.plan_none": "{memory} 怎样都放不下，最少要 {least}。",
    "models.plan_resident": "{memory}：全部放得下，不用搬运。",
    "models.plan_tiled": "{memory}：权重放得下，解码时分块。",
    "models.plan_whole": "{memory}：一次只放一个网络，每张图各搬一次。",
    "models.plan_half": "{memory}：一半的块常驻，另一半每步搬运。",
    "models.plan_streamed": "{memory}：所有的块每步都要搬运；慢，但放得下。",
    "models.plan_leaves": "{memory}：逐层搬运；最慢，但放得下。",
    "help.models": "大模型：有哪些、放不放得下、下载了没有。",
    "help.models_list": "列出 --model 可用的模型。",
    "help.models_show": "显示一个模型的全部资料。",
    "help.model_id": "mmgen models list 里的编号",
    "help.attention": "注意力算子，如 xformers",
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
    "models.variations": "整图改画",
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
