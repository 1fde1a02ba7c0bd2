"""Chinese of the commands on pictures that exist."""

from __future__ import annotations

ERRORS = {
    "card.broken": "色卡 {path} 有 {count} 行不对：{rows}；请改正这些行。",
    "card.columns": "色卡 {path} 的列是 {got}；要有“名称、色值”两列，或“名称、L、a、b”四列。",
    "card.size": "色卡 {path} 有 {got} 个颜色；允许 1 到 {limit} 个。",
    "colour.out_of_range": (
        "{got} 不是颜色：L 是 0 到 100，a、b 是 -128 到 127，R、G、B 是 0 到 255。"
    ),
    "colour.unknown": (
        "{got} 不是认识的颜色；可以写 #RRGGBB、lab(L, a, b)、rgb(R, G, B)，或名称，例如 {near}。"
    ),
    "format.no_transparency": "JPEG 存不了透明背景；请用 --format png 或 webp。",
    "mask.box_outside": "方框 {got} 超出了 {width}x{height} px 的图片。",
    "mask.empty": "{name} 在图里什么也没选中；请把可以改动的地方涂成白色。",
    "mask.full": "{name} 选中了整张图；要改整张图，请不要给蒙版。",
    "mask.size": "蒙版 {path} 是 {got} px，图片是 {wanted} px；两者尺寸要一致。",
    "picture.too_small": "{path} 只有 {got} px；每边至少要 {least} px。",
    "recolour.nothing": (
        "{path} 里能改色的只有 {got} 个像素，至少要 {least} 个；请换图，或用 --mask 指出衣服。"
    ),
}

WARNINGS = {
    "background.no_garment_seen": (
        "“{prompt}”（种子 {seed}）画出来没看出衣服，背景没有换；请换个种子。"
    ),
}

NAMES = {
    "by": "倍数 --by ",
    "method": "方法 --method ",
    "box": "方框 --box ",
    "part": "部位 --part ",
    "preset": "尺寸预设 --preset ",
    "strength": "强度 --strength ",
    "to": "颜色 --to ",
}

PHRASES = {
    "x,y,w,h in pixels": "x、y、宽、高，用逗号隔开，单位像素",
    "give --to COLOUR, --preset NAME or both": "请给出 --to 颜色、--preset 名称，或两者都给",
    "WIDTHxHEIGHT, 10 to 9999 each": "宽x高，各 10 到 9999",
}

PATTERNS = {
    r"--part garment": "衣服蒙版",
}

INTERFACE = {
    "help.edit": "按文字修改图片：整张、一部分，或向外扩画。",
    "help.upscale": "把图片放大到 2 倍或 4 倍。",
    "help.edit_prompt": "改成什么样，例如 红色毛呢大衣",
    "help.box": "只改这个方框，单位像素",
    "help.outpaint": "向外扩画到 宽x高",
    "help.strength": "0.05 到 1；越大离原图越远",
    "help.edit_n": "出几张",
    "help.by": "2 或 4",
    "help.method": "network 或 lanczos",
    "help.recolour": "把衣服改成指定颜色，褶皱和纹理不变，并量出色差。",
    "help.colourways": "同一件衣服换成色卡上的每种颜色，并出一张拼图。",
    "help.background": "换背景、按店铺尺寸出图，并核对边缘是否纯色。",
    "help.train_mask": "训练衣服蒙版：找出图里的衣服。",
    "help.train_upscaler": "训练放大网络：小图变大图。",
    "help.mask": "找出衣服，存成黑白蒙版。",
    "help.design": "一张图片，或一句提示词（先画出来）",
    "help.picture": "一张图片",
    "help.pictures": "要处理的图片",
    "help.mask_file": "蒙版：同样尺寸，白色处为所选",
    "help.to_colour": "#RRGGBB、lab(L,a,b)、颜色名，或色卡里的名称",
    "help.to_ground": "white、#RRGGBB、颜色名，或 transparent",
    "help.card": "色卡：名称、色值，或名称、L、a、b",
    "help.preset": "店铺尺寸，如 taobao-main；config.toml 里可自定",
    "help.fit_size": "宽x高；不拉伸，不够的补边",
    "help.shadow": "衣服下面加柔和的阴影",
    "help.part": "garment、background、upper 或 lower",
    "recolour.reached": "{name} {wanted}，得到 {reached}，ΔE {delta_e:.1f}",
    "recolour.out_of_gamut": "（这个颜色超出 sRGB，屏幕显示不了，已取最接近的）",
    "background.pure": "背景 {colour}，边缘像素 {share:.0f}% 符合，已核对",
    "background.kept": "没看出衣服，背景未换",
    "background.impure": "背景 {colour}，边缘只有 {share:.1f}% 符合：衣服伸出了画面，没有通过核对",
    "mask.share": "衣服占 {share:.0f}%",
}
