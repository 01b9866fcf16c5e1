"""What a rank says of another that is gone."""

import pytest

from gapfc.ranks.team import _told_by_torch


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[/__w/third_party/gloo/gloo/transport/tcp/pair.cc:561] Connection closed by peer"
            " [127.0.0.1]:21426. This is typically caused by a remote worker crashing. GLHF!",
            "Connection closed by peer [127.0.0.1]:21426",
        ),
        (
            "[/b/gloo/pair.cc:545] Read error [::1]:1936: Connection reset by peer. This is …",
            "Read error [::1]:1936",
        ),
        (
            "[/b/gloo/buffer.cc:7] Timed out waiting 1800000ms",
            "[/b/gloo/buffer.cc:7] Timed out waiting 1800000ms",
        ),
        (
            "NCCL error: remote\nncclRemoteError\nLast error:\nsocket",
            "NCCL error: remote Last error: socket",
        ),
    ],
)
def test_of_what_torch_says_the_part_for_users_is_told(text, told):
    assert _told_by_torch(RuntimeError(text)) == told
