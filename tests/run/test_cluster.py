"""Workers as Ray actors: killed ones come back, what they refuse arrives. Runs where Ray is."""

import os
import signal
from pathlib import Path

import pytest

from fastseq.errors import TableError
from fastseq.run.cluster import over_cluster

pytest.importorskip("ray", reason="ray is not installed (the extra [cluster])")


def test_a_killed_actor_comes_back_and_skips_what_is_done(tmp_path):
    def work(where, folder, shards):
        for shard in filter(where.owns, range(shards)):
            path = Path(folder, str(shard))
            if not path.exists():
                path.write_text(str(where.rank))
                if shard == 2:
                    os.kill(os.getpid(), signal.SIGKILL)

    over_cluster(work, (str(tmp_path), 7), 2, address="local")
    ranks = [(tmp_path / str(shard)).read_text() for shard in range(7)]
    assert ranks == [str(shard % 2) for shard in range(7)]


def test_what_a_worker_refuses_arrives():
    def work(where):
        raise TableError("no such column")

    with pytest.raises(TableError, match="no such column"):
        over_cluster(work, (), 1, address="local")
