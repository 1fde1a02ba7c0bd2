"""English of the evaluator and of `mmgen evaluate`."""

from __future__ import annotations

INTERFACE = {
    "help.train_evaluator": "Train the evaluator: the judge, which takes no part in drawing.",
    "help.evaluate": "Measure a model on photographs it never saw; write figures and a report.",
    "help.evaluate_data": "Folder of photographs with metadata.jsonl",
    "help.evaluate_limit": "Only N of them, for a quick look",
    "help.evaluate_retrieve": "Draw once more with K retrieved references",
    "help.evaluator": "Folder of the evaluator; default: the shipped one",
    "evaluate.reading": "photographs",
    "evaluate.retrieving": "references",
    "evaluate.drawing": "drawing",
    "evaluate.progress": "{what} {done}/{of}, about {left} left",
    "evaluate.asked": "{count} of {of} unseen photographs, {steps} steps a picture",
    "evaluate.autoencoder": "autoencoder: PSNR {psnr:.2f} dB, SSIM {ssim:.3f}",
    "evaluate.towers": (
        "towers: text to picture R@1 {t2i_r1:.1f}% R@5 {t2i_r5:.1f}% R@10 {t2i_r10:.1f}%,"
        " picture to text {i2t_r1:.1f}% {i2t_r5:.1f}% {i2t_r10:.1f}%"
    ),
    "evaluate.judge_recall": (
        "the judge: text to picture R@1 {t2i_r1:.1f}% R@5 {t2i_r5:.1f}% R@10 {t2i_r10:.1f}%,"
        " picture to text {i2t_r1:.1f}% {i2t_r5:.1f}% {i2t_r10:.1f}%"
    ),
    "evaluate.photographs": (
        "photographs: R-precision {r_precision}, garment {category}, main colour {colour_family}"
    ),
    "evaluate.plain": (
        "drawn: R-precision {r_precision}, garment {category}, main colour {colour_family}"
    ),
    "evaluate.with_references": (
        "with references: R-precision {r_precision}, garment {category},"
        " main colour {colour_family}"
    ),
    "evaluate.relative": (
        "  relative to photographs: R-precision {r_precision}, garment {category},"
        " main colour {colour_family}"
    ),
    "evaluate.spread": "  Fréchet {frechet} times that of photographs; near-copies {near_copies}",
    "evaluate.done": "report: {page}, took {elapsed}",
    "evaluate.title": "mmgen evaluation",
    "evaluate.html_lang": "en",
    "evaluate.drawn_title": "Drawn pictures (in brackets: relative to photographs)",
    "evaluate.recall_title": "Retrieval: captions and photographs find each other",
    "evaluate.autoencoder_title": "Autoencoder: photographs through the latents and back",
    "evaluate.plain_title": "Drawn from the caption alone",
    "evaluate.references_title": "Drawn with retrieved references",
    "evaluate.photographs_row": "Photographs",
    "evaluate.towers_row": "Towers",
    "evaluate.judge_row": "Judge",
    "evaluate.r_precision": "R-precision",
    "evaluate.category": "Garment",
    "evaluate.colour": "Main colour",
    "evaluate.caption": "caption",
    "evaluate.frechet": "Fréchet ratio",
    "evaluate.near_copies": "Near-copies",
    "evaluate.t_to_i": "text to picture",
    "evaluate.i_to_t": "picture to text",
    "evaluate.sheet": "Photograph and caption; to the right what was drawn, and the verdict",
    "evaluate.source": (
        "Model {model} ({model_sha256}), judge {evaluator_sha256}, guidance {guidance},"
        " mmgen {version}. R-precision: own caption before 99 others. Near-copy: nearer to a"
        " training picture than 99.5% of unseen photographs."
    ),
}
