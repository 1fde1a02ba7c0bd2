"""English of the commands on pictures that exist."""

from __future__ import annotations

INTERFACE = {
    "help.edit": "Change a picture by words: all, a part, or the room around it.",
    "help.upscale": "Make pictures two or four times as large.",
    "help.edit_prompt": "What it shall become, e.g. 红色毛呢大衣",
    "help.box": "Change this box alone, in pixels",
    "help.outpaint": "Grow the picture to WxH",
    "help.strength": "0.05 to 1; how far from the parent",
    "help.edit_n": "How many",
    "help.by": "2 or 4",
    "help.method": "network or lanczos",
    "help.recolour": "Give the garment a colour, keep its folds, measure the difference.",
    "help.colourways": "The same garment in each colour of a card, and a sheet.",
    "help.background": "Another ground, a shop's size; checks that the rim is pure.",
    "help.train_mask": "Train the garment mask: where the garment is.",
    "help.train_upscaler": "Train the upscaler: small pictures to large ones.",
    "help.mask": "Find the garment and save its mask.",
    "help.design": "A picture, or words: then it is drawn first",
    "help.picture": "A picture",
    "help.pictures": "Pictures to work on",
    "help.mask_file": "Mask of the same size, white where chosen",
    "help.to_colour": "#RRGGBB, lab(L,a,b), a name, or a row of the card",
    "help.to_ground": "white, #RRGGBB, a colour name, or transparent",
    "help.card": "Colour card: name,hex or name,L,a,b",
    "help.preset": "Shop size, e.g. taobao-main; your own in config.toml",
    "help.fit_size": "WxH; never stretched, padded where needed",
    "help.shadow": "A soft shadow below the garment",
    "help.part": "garment, background, upper or lower",
    "recolour.reached": "{name} {wanted}, reached {reached}, ΔE {delta_e:.1f}",
    "recolour.out_of_gamut": "(beyond sRGB: no screen shows it; the nearest was taken)",
    "background.pure": "ground {colour}, {share:.0f}% of the rim, verified",
    "background.kept": "no garment was seen: its ground stays",
    "background.impure": "ground {colour}, only {share:.1f}% of the rim:"
    " the garment leaves the picture; not verified",
    "mask.share": "garment {share:.0f}%",
}
