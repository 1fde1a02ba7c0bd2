"""Hostile model folders: each is refused for its own reason, fast, and nothing in it runs."""

import hashlib
import io
import json
import os
import pickle
import socket
import struct
import subprocess
import sys
import time
import zipfile

import pytest

from mmgen import errors
from mmgen.model_folder import check_model_folder
from ui import words

ALLOWED = {
    ("mmgen.latents.pipeline", "GarmentPipeline"),
    ("mmgen.latents.transformer", "GarmentTransformer2DModel"),
    ("mmgen.text.encoder", "TextEncoder"),
    ("transformers", "PreTrainedTokenizerFast"),
    ("diffusers", "FlowMatchEulerDiscreteScheduler"),
}
INDEX = {
    "_class_name": "GarmentPipeline",
    "_diffusers_version": "0.42.1",
    "needs_reference": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["mmgen.text.encoder", "TextEncoder"],
    "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
    "transformer": ["mmgen.latents.transformer", "GarmentTransformer2DModel"],
}
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


def tensors(header=None, data=b"\0" * 24, length=None):
    """The bytes of a safetensors file; two tensors unless told otherwise."""
    if header is None:
        header = {
            "__metadata__": {"format": "pt"},
            "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
            "b": {"dtype": "BF16", "shape": [4], "data_offsets": [16, 24]},
        }
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def one(dtype="F32", shape=(4,), offsets=(0, 16), **more):
    return {"a": {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}}


class Trap:
    """Pickled, this writes the canary on loading."""

    def __init__(self, canary):
        self.canary = str(canary)

    def __reduce__(self):
        return (exec, (f"import pathlib; pathlib.Path({self.canary!r}).write_text('ran')",))


def put(folder, name, data):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(data, bytes):
        path.write_bytes(data)
    else:
        path.write_text(json.dumps(data), encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    """A pipeline folder with nothing wrong in it."""
    folder = tmp_path / "model"
    put(folder, "model_index.json", INDEX)
    put(folder, "README.md", b"# a model")
    put(folder, "LICENSE", b"Apache-2.0")
    put(folder, "transformer/config.json", {"_class_name": "GarmentTransformer2DModel"})
    put(folder, WEIGHTS, tensors())
    put(folder, "text_encoder/config.json", {"_class_name": "TextEncoder"})
    put(folder, "text_encoder/model.safetensors", tensors())
    put(folder, "tokenizer/tokenizer_config.json", {"model_max_length": 64})
    put(folder, "tokenizer/tokenizer.json", {"version": "1.0"})
    put(folder, "scheduler/scheduler_config.json", {"shift": 3.0})
    return folder


def check(folder):
    return check_model_folder(folder, allowed_classes=ALLOWED)


def with_index(**changes):
    return lambda folder, _: put(folder, "model_index.json", {**INDEX, **changes})


def with_file(name, data):
    return lambda folder, _: put(folder, name, data)


def without(name):
    return lambda folder, _: (folder / name).unlink()


def with_weights(data):
    return with_file(WEIGHTS, data)


def with_config(**changes):
    config = {"_class_name": "GarmentTransformer2DModel", **changes}
    return with_file("transformer/config.json", config)


def with_trap(name, protocol=4):
    return lambda folder, canary: put(folder, name, pickle.dumps(Trap(canary), protocol))


def with_zipped_trap(name):
    def make(folder, canary):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Trap(canary)))
        put(folder, name, data.getvalue())

    return make


def with_module(name, **index):
    """Program code in the folder that would write the canary when imported."""

    def make(folder, canary):
        put(folder, name, f"open({str(canary)!r}, 'w').write('ran')".encode())
        put(folder, "model_index.json", {**INDEX, **index})

    return make


def with_link(name, target):
    def make(folder, _):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return make


def with_tail(data):
    return with_weights(tensors() + data)


def with_index_file(weight_map):
    name = "transformer/diffusion_pytorch_model.safetensors.index.json"
    return with_file(name, {"metadata": {}, "weight_map": weight_map})


def fifo(folder, _):
    os.mkfifo(folder / "transformer" / "extra.json")


def listener(folder, _):
    before = os.getcwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("notes.txt")
    finally:
        os.chdir(before)


def many_files(folder, _):
    for index in range(2_100):
        (folder / f"{index}.txt").touch()


def deep(folder, _):
    (folder / "/".join("abcdefgh")).mkdir(parents=True)


def huge_header(folder, _):
    put(folder, WEIGHTS, tensors(length=90 * 2**20))
    with open(folder / WEIGHTS, "r+b") as file:
        file.truncate(91 * 2**20)


PICKLE, BROKEN, FOREIGN = errors.ModelPickle, errors.ModelFileBroken, errors.ModelFileForeign
MISSING, CODE, CLASS = errors.ModelFileMissing, errors.ModelRunsCode, errors.ModelClassForeign
UNSUPPORTED = errors.ModelUnsupported
MANY = {f"t{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(20_001)}
TWICE = json.dumps(one())[:-1].encode() + b"," + json.dumps(one())[1:].encode()
NESTED = b"[" * 100_000

HOSTILE = {
    # pickle, under its own name or another
    "pickle .bin": (with_trap("transformer/diffusion_pytorch_model.bin"), PICKLE, "model.bin"),
    "pickle .ckpt": (with_trap("model.ckpt"), PICKLE, "model.ckpt"),
    "pickle .pt": (with_zipped_trap("transformer/x.pt"), PICKLE, "x.pt"),
    "pickle .PTH": (with_trap("x.PTH"), PICKLE, "x.PTH"),
    "pickle .pkl": (with_trap("tokenizer/vocab.pkl"), PICKLE, "vocab.pkl"),
    "numpy .npz": (with_zipped_trap("x.npz"), PICKLE, "x.npz"),
    "pickle 4 renamed": (with_trap(WEIGHTS), PICKLE, WEIGHTS),
    "pickle 2 renamed": (with_trap(WEIGHTS, 2), PICKLE, WEIGHTS),
    "pickle 0 renamed": (with_trap(WEIGHTS, 0), PICKLE, WEIGHTS),
    "zip renamed": (with_zipped_trap(WEIGHTS), PICKLE, WEIGHTS),
    "zip renamed .SAFETENSORS": (with_zipped_trap("x.SAFETENSORS"), PICKLE, "x.SAFETENSORS"),
    "pickle renamed .json": (with_trap("transformer/config.json"), BROKEN, "config.json"),
    # names that reach outside the known classes
    "index names os": (with_index(transformer=["os", "system"]), CLASS, r"os\.system"),
    "index names subprocess": (
        with_index(extra=["subprocess", "Popen"]),
        CLASS,
        r"subprocess\.Popen",
    ),
    "index names the folder": (
        with_module("evil.py", transformer=["evil", "Model"]),
        FOREIGN,
        r"evil\.py.*program code",
    ),
    "index names a known library's other class": (
        with_index(text_encoder=["transformers", "Pipeline"]),
        CLASS,
        r"transformers\.Pipeline",
    ),
    "pipeline class from a module": (
        with_index(_class_name=["evil", "GarmentPipeline"]),
        UNSUPPORTED,
        "evil",
    ),
    "another pipeline": (with_index(_class_name="FluxPipeline"), UNSUPPORTED, "FluxPipeline"),
    "no pipeline class": (with_index(_class_name=None), UNSUPPORTED, "None"),
    "part outside the folder": (
        lambda folder, _: put(folder, "model_index.json", {**INDEX, "../x": INDEX["transformer"]}),
        BROKEN,
        "described wrongly",
    ),
    "part of three": (with_index(transformer=["a", "b", "c"]), BROKEN, "described wrongly"),
    "config of another class": (with_config(_class_name="UNet"), CLASS, "UNet"),
    # code beside the weights, or asked for
    "custom pipeline.py": (with_module("pipeline.py"), FOREIGN, "program code"),
    "module in a part": (with_module("transformer/model.py"), FOREIGN, "program code"),
    "shared object": (with_file("x.so", b"\x7fELF"), FOREIGN, "program code"),
    "auto_map": (with_config(auto_map={"AutoModel": "evil.Model"}), CODE, "auto_map"),
    "auto_map deep inside": (
        with_config(text_config=[{"x": {"auto_map": {}}}]),
        CODE,
        "auto_map",
    ),
    "auto_map of the tokenizer": (
        with_file("tokenizer/tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["e.T"]}}),
        CODE,
        "tokenizer_config",
    ),
    "custom_pipeline": (with_index(custom_pipeline="evil"), CODE, "custom_pipeline"),
    "trust_remote_code": (with_config(trust_remote_code=True), CODE, "trust_remote_code"),
    "attention from a hub": (
        with_config(_attn_implementation_internal="evil/kernels"),
        CODE,
        "_attn_implementation_internal",
    ),
    "kernel from a hub": (with_config(attn_implementation="evil/kernels"), CODE, "attn"),
    # safetensors that are none
    "header of 90 MB": (huge_header, BROKEN, "header is too long"),
    "header beyond the file": (with_weights(tensors(length=5_000)), BROKEN, "cut short"),
    "cut short": (with_weights(tensors()[:-1]), BROKEN, "cut short"),
    "empty": (with_weights(b""), BROKEN, "cut short"),
    "a tail": (with_tail(b"\0"), BROKEN, "bytes follow"),
    "a zip as tail": (with_tail(b"PK\x05\x06" + b"\0" * 18), BROKEN, "bytes follow"),
    "key twice": (with_weights(tensors(TWICE, b"\0" * 16)), BROKEN, "twice"),
    "nested header": (with_weights(tensors(b"{" + NESTED)), BROKEN, "header is not JSON"),
    "header in UTF-16": (with_weights(tensors("{}".encode("utf-16"))), BROKEN, "not JSON"),
    "unknown dtype": (with_weights(tensors(one("O"), b"\0" * 16)), BROKEN, "dtype"),
    "shape that lies": (with_weights(tensors(one(shape=(5,)), b"\0" * 16)), BROKEN, "not fit"),
    "shape that overflows": (
        with_weights(tensors(one(shape=(2**40, 2**40)), b"\0" * 16)),
        BROKEN,
        "not fit",
    ),
    "negative shape": (with_weights(tensors(one(shape=(-4,)), b"\0" * 16)), BROKEN, "shape"),
    "shape of truths": (with_weights(tensors(one(shape=(True,)), b"\0" * 16)), BROKEN, "shape"),
    "gap": (with_weights(tensors(one(offsets=(8, 24)))), BROKEN, "gap"),
    "overlap": (
        with_weights(tensors({**one(), "b": one(offsets=(8, 24))["a"]})),
        BROKEN,
        "overlap",
    ),
    "extra field": (with_weights(tensors(one(code="x"), b"\0" * 16)), BROKEN, "described"),
    "20,001 tensors": (with_weights(tensors(MANY, b"")), BROKEN, "too many tensors"),
    "no tensor": (with_weights(tensors({}, b"")), BROKEN, "no tensor"),
    "notes that are no text": (
        with_weights(tensors({"__metadata__": {"a": 1}, **one()}, b"\0" * 16)),
        BROKEN,
        "notes",
    ),
    # JSON that is none
    "index that is a list": (with_file("model_index.json", []), BROKEN, "not a JSON object"),
    "index cut short": (with_file("model_index.json", b'{"_class'), BROKEN, "not JSON"),
    "key twice in a config": (
        with_file("transformer/config.json", b'{"a": 1, "a": 2}'),
        BROKEN,
        "twice",
    ),
    "nested config": (with_file("transformer/config.json", NESTED), BROKEN, "deep"),
    "endless figure": (
        with_file("transformer/config.json", b'{"a": ' + b"9" * 10_000 + b"}"),
        BROKEN,
        "figure",
    ),
    # things that lack, or do not belong
    "no index": (without("model_index.json"), MISSING, "model_index.json"),
    "no weights": (without(WEIGHTS), MISSING, WEIGHTS),
    "no config": (without("transformer/config.json"), MISSING, "transformer/config.json"),
    "no scheduler": (without("scheduler/scheduler_config.json"), MISSING, "scheduler_config"),
    "no tokenizer": (without("tokenizer/tokenizer_config.json"), MISSING, "tokenizer_config"),
    "a shard lacks": (
        with_index_file({"a": "diffusion_pytorch_model-00002-of-00002.safetensors"}),
        MISSING,
        "00002-of-00002",
    ),
    "a shard elsewhere": (with_index_file({"a": "../text_encoder/x"}), MISSING, r"\.\./text"),
    "a tensor lacks": (
        with_index_file({"z": "diffusion_pytorch_model.safetensors"}),
        BROKEN,
        "index is not in it",
    ),
    "an archive": (with_file("x.zip", b"PK"), FOREIGN, "unknown type"),
    "no suffix": (with_file("run", b"#!/bin/sh"), FOREIGN, "unknown type"),
    "newline in a name": (with_file("a\n.txt", b""), FOREIGN, "unusual name"),
    "link out": (with_link(WEIGHTS, "/etc/hostname"), FOREIGN, "link out"),
    "link out by ..": (with_link("notes.txt", "../outside.txt"), FOREIGN, "link out"),
    "link to a folder": (with_link("more", "transformer"), FOREIGN, "link to a folder"),
    "link to nothing": (with_link("notes.txt", "nothing"), MISSING, "notes.txt"),
    "link to itself": (with_link("notes.txt", "notes.txt"), MISSING, "notes.txt"),
    "a pipe": (fifo, FOREIGN, "not a plain file"),
    "a socket": (listener, FOREIGN, "not a plain file"),
    "too many files": (many_files, FOREIGN, "too many files"),
    "too deep": (deep, FOREIGN, "nested too deeply"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_folder_is_refused_for_its_own_reason(
    folder, tmp_path, name, monkeypatch, sockets
):
    make, kind, reason = HOSTILE[name]
    canary = tmp_path / "canary"
    (tmp_path / "outside.txt").write_text("secret")
    make(folder, canary)
    monkeypatch.chdir(folder)
    sockets.clear()  # one of the folders holds a socket
    started = time.process_time()
    with pytest.raises(kind, match=reason) as caught:
        check(folder)
    assert time.process_time() - started < 1.0
    assert type(caught.value) is kind
    assert sockets == []
    assert str(folder) in str(caught.value)
    assert not canary.exists()
    reason = caught.value.params.get("reason", "")
    assert not reason or reason not in words.sentence(caught.value)  # said in Chinese


def test_the_trap_would_go_off(tmp_path):
    """The folders above are dangerous: what they hold does run when it is loaded."""
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(Trap(canary)))
    assert canary.read_text() == "ran"


def test_no_folder(tmp_path):
    (tmp_path / "file").touch()
    for name in ("nothing", "file"):
        with pytest.raises(errors.ModelFolderMissing):
            check(tmp_path / name)


def test_a_good_folder_has_files_and_an_identity(folder):
    model = check(folder)
    digests = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert dict(model.files) == digests
    lines = "\n".join(f"{name}\t{digest}" for name, digest in sorted(digests.items()))
    assert model.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert check(folder).sha256 == model.sha256


def test_the_identity_follows_every_byte_and_name_but_not_the_place(folder, tmp_path):
    first = check(folder).sha256
    moved = folder.rename(tmp_path / "elsewhere")
    assert check(moved).sha256 == first
    put(moved, WEIGHTS, tensors(data=b"\1" + b"\0" * 23))
    second = check(moved).sha256
    (moved / "README.md").rename(moved / "readme.md")
    assert len({first, second, check(moved).sha256}) == 3


def test_one_model_alone(folder):
    allowed = {("mmgen.latents.transformer", "GarmentTransformer2DModel")}
    model = check_model_folder(folder / "transformer", allowed_classes=allowed)
    assert set(model.files) == {"config.json", "diffusion_pytorch_model.safetensors"}
    with pytest.raises(errors.ModelUnsupported, match="TextEncoder"):
        check_model_folder(folder / "text_encoder", allowed_classes=allowed)


def test_sharded_weights(folder):
    (folder / WEIGHTS).unlink()
    stem = "diffusion_pytorch_model-0000{}-of-00002.safetensors"
    for index, name in enumerate("ab", 1):
        put(folder, f"transformer/{stem.format(index)}", tensors({name: one()["a"]}, b"\0" * 16))
    with pytest.raises(errors.ModelFileMissing, match="index"):
        check(folder)
    with_index_file({"a": stem.format(1), "b": stem.format(2)})(folder, None)
    assert len(check(folder).files) == 12


def test_downloads_leave_their_notes_and_links_inside_are_fine(folder):
    put(folder, ".cache/huggingface/x.py", b"")
    put(folder, ".gitattributes", b"")
    (folder / "notes.md").symlink_to("README.md")
    assert ".cache/huggingface/x.py" not in check(folder).files


def test_a_file_swapped_between_check_and_load_is_noticed(folder):
    model = check(folder)
    model.check_unchanged()
    put(folder, "swap", tensors(data=b"\1" * 24))
    os.replace(folder / "swap", folder / WEIGHTS)
    with pytest.raises(errors.ModelFileBroken, match="changed"):
        model.check_unchanged()
    (folder / WEIGHTS).unlink()
    with pytest.raises(errors.ModelFileBroken, match="changed"):
        model.check_unchanged()


def test_real_writers_are_accepted(folder):
    numpy = pytest.importorskip("numpy")
    from safetensors.numpy import save_file

    arrays = {"x": numpy.ones((3, 5), numpy.float32), "y": numpy.zeros((0,), numpy.int64)}
    save_file(arrays, folder / WEIGHTS, metadata={"format": "pt"})
    assert WEIGHTS in check(folder).files


def test_the_check_loads_neither_torch_nor_diffusers_nor_pickled_objects():
    code = "import sys, mmgen.model_folder; print({'torch', 'diffusers'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert printed.strip() == b"set()"
