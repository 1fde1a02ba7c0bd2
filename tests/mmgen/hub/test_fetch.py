"""Fetching from a source that speaks as the real ones do, over a real socket on this machine."""

from __future__ import annotations

import hashlib
import http.server
import json
import shutil
import socket
import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from mmgen.errors import ModelClassForeign
from mmgen.hub import families
from mmgen.hub.addresses import AddressRefused, Rules, is_public
from mmgen.hub.fetch import (
    Errand,
    FetchBroken,
    FetchNowhere,
    FetchRefused,
    FetchUnreachable,
    RemoteFile,
    fetch,
    select,
)
from mmgen.hub.folders import fetched_path, folder_of, read_manifest
from pipelines.components import load_generator
from pipelines.hub_models import ModelAltered
from ui.command_line import main

ROW = families.MODELS["z-image"]


class Mirror(http.server.ThreadingHTTPServer):
    """Serves one folder as huggingface.co and as modelscope.cn; can break off and lie."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Answer)
        self.folder = folder
        self.extra = {"pytorch_model.bin": b"\x80\x04", "model.safetensors": b"whole", "a.py": b"#"}
        self.asked, self.ranges, self.tokens = [], [], []
        self.break_after = None
        self.lie = None
        self.redirect = None
        self.status = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def content(self, name):
        data = self.extra.get(name)
        return (self.folder / name).read_bytes() if data is None else data

    def names(self):
        return [
            path.relative_to(self.folder).as_posix()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        ] + list(self.extra)


class Answer(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        mirror, parts = self.server, urlsplit(self.path)
        mirror.asked.append(self.path)
        mirror.tokens.append(self.headers.get("Authorization"))
        if mirror.status:
            self.send_error(mirror.status)
        elif mirror.redirect:
            self.send_response(302)
            self.send_header("Location", mirror.redirect)
            self.end_headers()
        elif parts.path.startswith("/api/models/"):
            self.answer(json.dumps({"sha": "c0ffee", "siblings": self.siblings()}).encode())
        elif parts.path.endswith("/repo/files"):
            files = [
                {"Path": one["rfilename"], "Type": "blob", "Size": one["size"]}
                | {"Sha256": hashlib.sha256(mirror.content(one["rfilename"])).hexdigest()}
                for one in self.siblings()
            ]
            self.answer(json.dumps({"Data": {"Files": [{"Type": "tree"}, *files]}}).encode())
        elif parts.path.endswith("/repo"):
            self.file(parse_qs(parts.query)["FilePath"][0])
        else:
            self.file(parts.path.split("/resolve/c0ffee/")[1])

    def siblings(self):
        mirror = self.server
        return [
            {
                "rfilename": name,
                "size": len(mirror.content(name)),
                "lfs": {"sha256": hashlib.sha256(mirror.content(name)).hexdigest()}
                if name.endswith(".safetensors")
                else None,
            }
            for name in mirror.names()
        ]

    def file(self, name):
        mirror, data = self.server, self.server.content(name)
        if mirror.lie == name:
            data = bytes([data[0] ^ 1]) + data[1:]
        start = 0
        if wanted := self.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            mirror.ranges.append((name, start))
        if mirror.break_after is not None and len(data) - start > mirror.break_after:
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start : start + mirror.break_after])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.answer(data[start:], 206 if start else 200)

    def answer(self, data, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def mirror(hub_folder):
    server = Mirror(hub_folder("z-image"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def errand(mirror, **changes):
    return Errand(**{"row": ROW, "endpoint": mirror.url, "private": True, **changes})


@pytest.mark.parametrize("source", ["hub", "modelscope"])
def test_a_fetched_model_is_whole_pinned_and_found_by_its_id(mirror, source):
    told = []
    manifest = fetch(errand(mirror, source=source), lambda *step: told.append(step))
    assert manifest.revision == ("c0ffee" if source == "hub" else "master")
    assert told[-1][1] == told[-1][2] > 100_000
    here = fetched_path(ROW)
    assert folder_of("z-image") == here
    assert read_manifest(here) == manifest
    names = {path.name for path in here.rglob("*") if path.is_file()}
    assert not names & {"pytorch_model.bin", "a.py", "model.safetensors.part"}
    assert not (here / "model.safetensors").exists()
    generator = load_generator("z-image", device="cpu")
    assert (generator.id, generator.revision) == ("z-image", manifest.revision)
    asked = len(mirror.asked)
    assert fetch(errand(mirror, source=source)) == manifest
    assert len(mirror.asked) == asked + 1


def test_a_broken_line_is_resumed_not_begun_again(mirror):
    mirror.break_after = 50_000
    with pytest.raises(FetchUnreachable) as broken:
        fetch(errand(mirror))
    assert "127.0.0.1" in str(broken.value)
    assert not fetched_path(ROW).exists()
    for _ in range(40):
        try:
            fetch(errand(mirror))
            break
        except FetchUnreachable:
            continue
    assert mirror.ranges
    assert all(start > 0 for _, start in mirror.ranges)
    assert load_generator("z-image", device="cpu").id == "z-image"


def test_a_file_that_is_not_the_listed_one_is_not_kept(mirror):
    mirror.lie = "transformer/diffusion_pytorch_model.safetensors"
    with pytest.raises(FetchBroken, match="sha256"):
        fetch(errand(mirror))
    assert not fetched_path(ROW).exists()
    mirror.lie = None
    fetch(errand(mirror))


def test_a_folder_changed_after_fetching_is_refused(mirror):
    fetch(errand(mirror))
    config = fetched_path(ROW) / "scheduler/scheduler_config.json"
    config.write_text(config.read_text().replace("3.0", "4.0"))
    with pytest.raises(ModelAltered, match="scheduler_config"):
        load_generator("z-image", device="cpu")


def test_a_repository_of_another_class_never_gets_the_name(mirror, tmp_path):
    broken = tmp_path / "copy"
    shutil.copytree(mirror.folder, broken)
    index = json.loads((broken / "model_index.json").read_text())
    index["vae"] = ["os", "system"]
    (broken / "model_index.json").write_text(json.dumps(index))
    mirror.folder = broken
    with pytest.raises(ModelClassForeign):
        fetch(errand(mirror))
    assert not fetched_path(ROW).exists()


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_refusal_is_said_with_its_number(mirror, status):
    mirror.status = status
    with pytest.raises(FetchRefused, match=str(status)):
        fetch(errand(mirror))


def test_the_token_goes_to_the_source_alone(mirror):
    fetch(errand(mirror, token="hf_secret"))
    assert set(mirror.tokens) == {"Bearer hf_secret"}
    mirror.redirect = "https://cdn.example.com/x"
    with pytest.raises(AddressRefused):
        fetch(errand(mirror, token="hf_secret", revision="other"))


def test_a_circle_of_redirects_ends(mirror):
    mirror.redirect = mirror.url + "/api/models/x"
    with pytest.raises(FetchBroken, match="circle"):
        fetch(errand(mirror))


def test_an_unknown_repository_and_an_offline_home(mirror, monkeypatch, capsys):
    with pytest.raises(FetchNowhere):
        fetch(Errand(row=families.MODELS["taiyi-1b"], source="modelscope"))
    monkeypatch.setenv("MMGEN_OFFLINE", "1")
    assert main(["models", "fetch", "z-image", "--endpoint", mirror.url, "--private"]) == 2
    assert "离线" in capsys.readouterr().err
    assert mirror.asked == []


def test_nothing_reached_is_said_clearly(monkeypatch, capsys):
    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert main(["models", "fetch", "z-image"]) == 2
    err = capsys.readouterr().err
    assert "连不上 huggingface.co" in err
    assert "--endpoint" in err


def test_the_command_fetches_and_says_where(mirror, capsys):
    arguments = ["models", "fetch", "z-image", "--endpoint", mirror.url, "--private", "--json"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["revision"] == "c0ffee"


def test_only_what_a_pipeline_needs_is_selected():
    names = {
        "model_index.json": True,
        "LICENSE": True,
        "README.md": True,
        "unet/diffusion_pytorch_model.safetensors": True,
        "unet/diffusion_pytorch_model.fp16.safetensors": False,
        "unet/diffusion_pytorch_model.bin": False,
        "big.safetensors": False,
        "unet/model.py": False,
        "../../etc/passwd.json": False,
        "/etc/x.json": False,
        "a/b/c/d/e/x.json": False,
        ".git/config.json": False,
        "tokenizer/spiece.model": True,
        "images/a.png": False,
        "x\n.json": False,
        "mmgen.json": False,
    }
    files = [RemoteFile(path=name, size=1, sha256=None) for name in names]
    assert [file.path for file in select(files)] == [name for name, good in names.items() if good]


# --- addresses that must never be connected to ------------------------------------------------

NUMBERS = (
    "169.254.169.254", "127.0.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1",
    "100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "2130706433", "0x7f000001",
    "017700000001", "127.1", "0x7f.1", "0177.0.0.1", "127.0.1", "0", "3232235777", "0xa9fea9fe",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[fe80::1]", "[fc00::1]",
    "[fd00:ec2::254]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[fec0::1]",
    "[ff02::1]", "8.8.8.8",
)  # fmt: skip
URLS = (
    *(f"https://{number}/" for number in NUMBERS),
    "http://huggingface.co", "file:///etc/passwd", "file://localhost/etc/passwd", "gopher://x.com",
    "ftp://huggingface.co", "dict://huggingface.co:11211", "data:text/plain,x", "jar:https://x!/",
    "//huggingface.co", "huggingface.co", "https://", "https:///models", "",
    "https://huggingface.co@127.0.0.1/", "https://user:pass@huggingface.co/",
    "https://huggingface.co%40127.0.0.1/", "https://huggingface.co:x/", "https://127.0.0.1:80\\@h.co",
    "https://huggingface.co\r\nHost: x", "https://hugging face.co", "https://ⓛocalhost/",
    "https://localhost。com", "https://[::1", "https://127.0.0.1.nip.test/", "https://rebind.test/",
    "https://localhost/", "https://metadata.test/",
)  # fmt: skip
NAMES = {
    "127.0.0.1.nip.test": ["127.0.0.1"],
    "rebind.test": ["93.184.216.34", "127.0.0.1"],
    "localhost": ["127.0.0.1"],
    "metadata.test": ["169.254.169.254"],
}


def test_there_are_sixty():
    assert len(set(URLS)) == 60


@pytest.mark.parametrize("url", URLS)
def test_no_address_of_the_sixty_is_connected_to(url, monkeypatch):
    connected = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: connected.append(address))
    monkeypatch.setattr(
        socket, "create_connection", lambda address, *_, **__: connected.append(address)
    )

    def look_up(host, port, *_, **__):
        found = NAMES.get(host, [host.strip("[]")])
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(AddressRefused):
        fetch(Errand(row=ROW, endpoint=url))
    assert connected == []


def test_a_redirect_to_an_inner_address_is_not_followed(mirror):
    for target in ("http://127.0.0.1:1/", "http://169.254.169.254/", "file:///etc/passwd"):
        mirror.redirect = target
        before = len(mirror.asked)
        if target.startswith("http://127.0.0.1"):
            # The mirror's own host: asked, nobody answers there.
            with pytest.raises(FetchUnreachable):
                fetch(errand(mirror))
        else:
            with pytest.raises(AddressRefused):
                fetch(errand(mirror))
        assert len(mirror.asked) == before + 1


def test_a_name_that_changes_its_address_is_connected_to_as_it_was_checked(monkeypatch):
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])

    def look_up(host, port, *_, **__):
        return [(socket.AF_INET, 1, 6, "", (one, port)) for one in next(answers)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    rules = Rules(hosts=("turns.test",))
    assert rules.resolve("turns.test", 443) == "93.184.216.34"
    with pytest.raises(AddressRefused):
        rules.resolve("turns.test", 443)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("93.184.216.34", True), ("2606:4700::1", True), ("::ffff:8.8.8.8", True), ("x", False)],
)
def test_public_addresses_are_public(address, expected):
    assert is_public(address) is expected
