"""What the tests of the webhook server share: an authority, and a folder with a pair of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcluster.certificates import Authority
from unit.webhooks import Folder, serving_pair


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("webhook-ca")


@pytest.fixture
def folder(authority: Authority, tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.write(serving_pair(authority))
    return folder
