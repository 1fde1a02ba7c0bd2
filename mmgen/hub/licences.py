"""What the weights' licences forbid, and who has accepted one that forbids something.

Read from the licence texts that the models are published with; this is a summary
to decide by, not legal advice. A licence that forbids or conditions commercial
use must be accepted once for each model; the home folder remembers it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from mmgen.errors import MmgenWarning, ModelError, OutputNotWritable
from mmgen.home import home_path, private_folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """The licence of one model's weights."""

    name: str
    """As records name it; an SPDX id where there is one."""
    conditions: str = ""
    """What it forbids or asks for, in one English clause; empty: free for any lawful use."""
    must_accept: bool = False
    """Commercial use is forbidden, limited to places or sizes, or needs registration."""
    url: str = ""


APACHE = Licence(name="Apache-2.0")
OPENRAIL_M = Licence(
    name="CreativeML-OpenRAIL-M",
    conditions="commercial use is allowed; the harmful uses listed in its annex are not",
    url="https://huggingface.co/spaces/CompVis/stable-diffusion-license",
)
OPENRAIL_PP = Licence(
    name="CreativeML-OpenRAIL++-M",
    conditions="commercial use is allowed; the harmful uses listed in its annex are not",
    url="https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/LICENSE.md",
)
KOLORS = Licence(
    name="Kolors-MODEL-LICENSE",
    conditions="commercial use needs registration with Kuaishou;"
    " pictures may not be used to improve other models",
    must_accept=True,
    url="https://github.com/Kwai-Kolors/Kolors/blob/master/MODEL_LICENSE",
)
HUNYUAN_DIT = Licence(
    name="Tencent-Hunyuan-Community",
    conditions="not licensed for use in the European Union;"
    " over 100 million monthly users need Tencent's own licence",
    must_accept=True,
    url="https://github.com/Tencent/HunyuanDiT/blob/main/LICENSE.txt",
)
HUNYUAN_IMAGE = Licence(
    name="Tencent-Hunyuan-Community",
    conditions="not licensed for use in the European Union, the United Kingdom and South Korea;"
    " over 100 million monthly users need Tencent's own licence",
    must_accept=True,
    url="https://huggingface.co/tencent/HunyuanImage-2.1/blob/main/LICENSE",
)
UNKNOWN = Licence(name="unknown", conditions="nothing is known of its licence: read it yourself")


class LicenceNotAccepted(ModelError):
    code = "licence.not_accepted"
    template = (
        "{model} is under {licence}: {conditions} ({url});"
        " read it, then accept it once with --accept-licence"
    )


class LicenceAccepted(MmgenWarning):
    code = "licence.accepted"
    template = "the licence {licence} of {model} is accepted from now on: {conditions}"


def check_licence(model: str, licence: Licence, *, accept: bool = False) -> LicenceAccepted | None:
    """Pass when nothing must be accepted or it was; else raise `LicenceNotAccepted`.

    With `accept` the acceptance is remembered for `model`, and what to tell the
    user of it comes back, the first time only.
    """
    if not licence.must_accept or accepted().get(model) == licence.name:
        return None
    if not accept:
        raise LicenceNotAccepted(
            model=model, licence=licence.name, conditions=licence.conditions, url=licence.url
        )
    _remember(model, licence.name)
    return LicenceAccepted(model=model, licence=licence.name, conditions=licence.conditions)


def accepted() -> dict[str, str]:
    """Model -> the licence accepted for it; a damaged file counts as nothing accepted."""
    try:
        known = json.loads((home_path() / "licences.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(model: str, licence: str) -> None:
    folder = private_folder(home_path())
    path, partial = folder / "licences.json", folder / "licences.json.part"
    text = json.dumps({**accepted(), model: licence}, indent=2, sort_keys=True) + "\n"
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise OutputNotWritable(path=path, reason=error.strerror or error) from error
