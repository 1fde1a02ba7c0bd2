"""Nothing about the user, his machine or his tokens gets into files or messages."""

from __future__ import annotations

import platform
import socket

import pytest
from PIL import Image

from ui.command_line import main


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_files_hold_no_secret_and_pictures_no_prompt(
    generator, tmp_path, empty_home, capsys, monkeypatch, kind
):
    monkeypatch.setenv("HF_TOKEN", "hf_canary_token")
    monkeypatch.setenv("USER", "canary-user")
    monkeypatch.setenv("LOGNAME", "canary-user")
    monkeypatch.setattr(socket, "gethostname", lambda: "canary-host")
    monkeypatch.setattr(platform, "node", lambda: "canary-host")
    (empty_home / "config.toml").write_text('[hf]\nendpoint = "https://canary.example"\n')
    reference = tmp_path / "canary-customer.jpg"
    exif = Image.Exif()
    exif[0x013B] = "canary-artist"
    Image.effect_noise((96, 128), 80).convert("RGB").save(reference, exif=exif)
    folder = tmp_path / "out"
    options = ["--steps", "1", "--seed", "3", "-n", "2", "--reference", str(reference)]
    assert main(["generate", "红裙", "--format", kind, "-o", str(folder), *options]) == 0
    captured = capsys.readouterr()
    assert "canary" not in captured.err
    files = list(folder.iterdir())
    assert len(files) == 5
    for path in files:
        data = path.read_bytes()
        for secret in ("canary", str(tmp_path), str(empty_home)):
            assert secret.encode() not in data, (path.name, secret)
        if path.suffix != ".json":
            assert "红裙".encode() not in data


def test_an_unexpected_error_prints_no_locals(capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_canary_token")

    def fail(files, *, as_json):
        token = "hf_canary_token"  # noqa: F841 - what a traceback with locals would show
        raise RuntimeError("boom")

    monkeypatch.setattr("ui.verify.verify_files", fail)
    assert main(["verify", "x"]) == 1
    assert "canary" not in capsys.readouterr().err
