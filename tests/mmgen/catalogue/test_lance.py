"""The index on object storage: the same answers, and built again whatever is lost."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("lancedb")

from mmgen.catalogue.lance import LanceIndex
from tests.mmgen.catalogue.conftest import MODEL, new_item, unit
from tests.mmgen.catalogue.test_index import agrees

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def filled(store):
    store.put([new_item(number) for number in range(60)], "local", MODEL)
    return store


def test_it_follows_additions_changes_and_removals(filled, tmp_path):
    index = LanceIndex(str(tmp_path / "lance"))
    assert index.refresh(filled) is None
    assert agrees(index, filled)
    assert agrees(index, filled, within=filled.ids_with("colors", "白"))
    assert len(index.search(unit(0), 5, np.empty(0, np.int64))[1]) == 0
    filled.put([new_item(number) for number in range(60, 70)], "local", MODEL)
    other = LanceIndex(str(tmp_path / "lance"))
    assert other.refresh(filled) is None
    assert agrees(other, filled)
    filled.remove([10, 11])
    assert other.refresh(filled) is None
    index.refresh(filled)
    assert agrees(other, filled)
    assert agrees(index, filled)


HARMS = {
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
}


@pytest.mark.parametrize("pattern", ["*.manifest", "*.lance", "*.txn"])
@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.filterwarnings("ignore::mmgen.catalogue.errors.IndexRebuilt")
def test_what_is_lost_is_built_again(filled, tmp_path, pattern, harm):
    folder = tmp_path / "lance"
    LanceIndex(str(folder)).refresh(filled)
    paths = sorted(folder.rglob(pattern))
    files = [path for path in paths if path.is_file()]
    assert files
    HARMS[harm](files[-1])
    index = LanceIndex(str(folder))
    index.refresh(filled)
    assert agrees(index, filled)
    again = LanceIndex(str(folder))
    assert again.refresh(filled) is None
    assert agrees(again, filled)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the server, which is not ours
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_on_a_local_s3_server(filled, monkeypatch):
    server_of = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    server = server_of.ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        options = {
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
            "aws_region": "us-east-1",
            "aws_endpoint": f"http://{host}:{port}",
            "allow_http": "true",
        }
        client = boto3.client(
            "s3",
            endpoint_url=options["aws_endpoint"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )
        client.create_bucket(Bucket="garments")
        index = LanceIndex("s3://garments/spring", options)
        assert index.refresh(filled) is None
        assert agrees(index, filled)
        filled.put([new_item(100)], "local", MODEL)
        other = LanceIndex("s3://garments/spring", options)
        assert other.refresh(filled) is None
        assert agrees(other, filled)
    finally:
        server.stop()
