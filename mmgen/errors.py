"""Everything that can go wrong, as one tree; imports nothing heavy.

    MmgenError                    exit code 1
    +-- RequestError (ValueError) what was asked for cannot be made          exit 2
    +-- PictureError (ValueError) a picture given as input cannot be used    exit 2
    +-- ModelError                a model folder or id cannot be used        exit 2
    +-- OutputError (OSError)     the result cannot be written               exit 2
    +-- DataError (ValueError)    training data, tables or settings          exit 2
    +-- DeviceError               the device asked for is not usable         exit 2
    +-- Cancelled                 stopped on request                         exit 130
    MmgenWarning (UserWarning)

Each leaf carries a `code` (stable, for machines and translations), an English
`template` and `params`, the values of its placeholders. `ui/strings/`
holds the Chinese sentence of every code with the same placeholders. A message
says what was got, what is allowed and what to do.
"""

from __future__ import annotations

from typing import Any, ClassVar


class MmgenError(Exception):
    """Base of all errors that mmgen raises on purpose."""

    code: ClassVar[str] = "error"
    template: ClassVar[str] = "{detail}"
    exit_code: ClassVar[int] = 1

    def __init__(self, **params: Any) -> None:
        self.params = params
        super().__init__(self.template.format(**params))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.params)


def _rebuild(kind: type[Exception], params: dict[str, Any]) -> Exception:
    """Unpickle an error raised in a child process."""
    return kind(**params)


class RequestError(MmgenError, ValueError):
    exit_code = 2


class PictureError(MmgenError, ValueError):
    exit_code = 2


class ModelError(MmgenError):
    exit_code = 2


class OutputError(MmgenError, OSError):
    exit_code = 2


class DataError(MmgenError, ValueError):
    exit_code = 2


class DeviceError(MmgenError):
    exit_code = 2


class Cancelled(MmgenError):
    code = "cancelled"
    template = "stopped on request after {done} of {total} pictures; finished files are kept"
    exit_code = 130


class MmgenWarning(UserWarning):
    """Base of all warnings; carries `code` and `params` as the errors do."""

    code: ClassVar[str] = "warning"
    template: ClassVar[str] = "{detail}"

    def __init__(self, **params: Any) -> None:
        self.params = params
        super().__init__(self.template.format(**params))


# --- requests -----------------------------------------------------------------


class EmptyPrompt(RequestError):
    code = "prompt.empty"
    template = "the prompt is empty; describe a garment, e.g. {example}"


class PromptTooLong(RequestError):
    code = "prompt.too_long"
    template = "the prompt has {got} characters; at most {limit} are allowed: shorten it"


class PromptBadCharacter(RequestError):
    code = "prompt.bad_character"
    template = (
        "the prompt holds {character} at position {position}, which no text may hold: remove it"
    )


class PromptRefused(RequestError):
    code = "prompt.refused"
    template = "the prompt is refused by rule {rule} of the policy in force; rephrase it"


class OutOfRange(RequestError):
    code = "value.out_of_range"
    template = "{name} is {got}; allowed is {low} to {high}"


class NotMultiple(RequestError):
    code = "value.not_multiple"
    template = "{name} is {got}; it must be a multiple of {of}, for example {near}"


class WrongType(RequestError):
    code = "value.wrong_type"
    template = "{name} is {got}; it must be {wanted}"


class UnknownKey(RequestError):
    code = "value.unknown_key"
    template = "unknown key {got}; allowed are {allowed}"


class UnknownChoice(RequestError):
    code = "value.unknown_choice"
    template = "{name} is {got}; allowed are {allowed}"


class Conflict(RequestError):
    code = "value.conflict"
    template = "{first} and {second} exclude each other; give one of them"


class Missing(RequestError):
    code = "value.missing"
    template = "{name} is missing; {advice}"


class TooManyReferences(RequestError):
    code = "references.too_many"
    template = "{got} reference pictures were given; at most {limit} are allowed"


# --- pictures given as input ----------------------------------------------------


class PictureMissing(PictureError):
    code = "picture.missing"
    template = "no picture at {path}; check the path"


class PictureUnreadable(PictureError):
    code = "picture.unreadable"
    template = "{path} is not a readable PNG, JPEG or WebP picture ({reason}); save it again"


class PictureTooLarge(PictureError):
    code = "picture.too_large"
    template = "{path} has {got}; at most {limit} are allowed: scale it down"


class PictureAnimated(PictureError):
    code = "picture.animated"
    template = "{path} is animated ({frames} frames); give a single picture"


# --- models ----------------------------------------------------------------------


class ModelFolderMissing(ModelError):
    code = "model.missing"
    template = "no model at {path}; give a folder in diffusers format or leave --model out"


class ModelFileMissing(ModelError):
    code = "model.file_missing"
    template = "the model folder {path} lacks {file}; copy it again from its source"


class ModelFileBroken(ModelError):
    code = "model.file_broken"
    template = "{file} in the model folder {path} is broken ({reason}); copy it again"


class ModelFileForeign(ModelError):
    code = "model.file_foreign"
    template = "{file} in the model folder {path} does not belong there ({reason}); remove it"


class ModelPickle(ModelError):
    code = "model.pickle"
    template = "{file} in {path} holds pickled weights, which can run code; use safetensors"


class ModelRunsCode(ModelError):
    code = "model.runs_code"
    template = "{file} in the model folder {path} asks to run code ({got}); use another model"


class ModelClassForeign(ModelError):
    code = "model.class_foreign"
    template = "{file} in the model folder {path} asks for {got}, which this version does not run"


class ModelUnsupported(ModelError):
    code = "model.unsupported"
    template = "{path} is a {got}; this version runs {allowed}"


class AssetMissing(ModelError):
    code = "asset.missing"
    template = "{name} is in neither {first} nor {second}; install mmgen again"


class PackagesApart(ModelError):
    code = "install.apart"
    template = "mmgen is at {mmgen} but {package} is at {other}; install mmgen in a clean .venv"


# --- results, data, devices ------------------------------------------------------


class OutputNotWritable(OutputError):
    code = "output.not_writable"
    template = "cannot write to {path} ({reason}); choose another folder with -o"


class OutputDiskFull(OutputError):
    code = "output.disk_full"
    template = "the disk is full while writing {path}; free space or choose another folder with -o"


class LabelLost(OutputError):
    code = "output.label_lost"
    template = "the AI label could not be read back from {path}; the file was not kept"


class FileUnreadable(DataError):
    code = "data.unreadable"
    template = "cannot read {path} ({reason})"


class TrainingDataMissing(DataError):
    code = "data.none"
    template = "no training pictures in {path}; expected {wanted}"


class TrainingDataBroken(DataError):
    code = "data.broken"
    template = "{path}, line {line}: {reason}; correct the line"


class CheckpointMismatch(DataError):
    code = "checkpoint.mismatch"
    template = "{path} was made with {name}={theirs}, this run has {ours}; use the same recipe"


class SettingBad(DataError):
    code = "setting.bad"
    template = "{name} from {source} is {got}; allowed is {allowed}"


class DeviceMissing(DeviceError):
    code = "device.missing"
    template = "the device {got} is not usable here ({reason}); allowed are {allowed}"


# --- warnings ----------------------------------------------------------------------


class PromptTruncated(MmgenWarning):
    code = "prompt.truncated"
    template = "the text encoder reads the first {limit} characters; unread: {rest}"


class NotAGarment(MmgenWarning):
    code = "prompt.not_a_garment"
    template = "no garment is named in {prompt}; the embedded model knows only clothes"


class AttentionFellBack(MmgenWarning):
    code = "attention.fell_back"
    template = "attention {wanted} is not usable here ({reason}); {used} is used"
