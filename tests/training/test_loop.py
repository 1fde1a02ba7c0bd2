"""Laws of the loop: resumed equals unbroken, every row once an epoch, rates as promised."""

import dataclasses

import pytest
import torch
from torch import nn

from mmgen.errors import CheckpointMismatch, TrainingDataMissing
from training.loop import LoopConfig, _optimizers, rate_at, rows_at, stream_seed, train
from training.run import make_accelerator

CONFIG = LoopConfig(
    steps=12,
    batch_size=4,
    learning_rate=0.05,
    warmup_steps=2,
    ema_decay=0.8,
    log_every=1,
    checkpoint_minutes=1e9,
)


class Line(nn.Module):
    """One hidden layer; `blocks` holds the matrix that Muon may take."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(2, 8)])
        self.norm = nn.BatchNorm1d(8)
        self.out = nn.Linear(8, 1)

    def forward(self, x):
        return self.out(self.norm(self.blocks[0](x)))


class LineTask:
    """Fits a small network with batch norm, so that buffers must be resumed too."""

    num_rows = 10

    def __init__(self):
        torch.manual_seed(3)
        self.model = Line()
        self.seen = []

    def loss(self, model, rows, generator, device):
        self.seen.append(rows.tolist())
        x = torch.stack([rows.float(), torch.randn(len(rows), generator=generator)], dim=1)
        return (model(x.to(device)) - rows[:, None].float()).square().mean(), {}

    def validate(self, model):
        return {"bias": model.out.bias.item()}


def run(folder, *, stop_at=None, resume=False, config=CONFIG):
    """Train; returns the weights trained, the weights exported, and the task."""
    task, exported = LineTask(), {}

    def export(model, _):
        exported.update({name: value.clone() for name, value in model.state_dict().items()})

    train(
        task,
        config,
        folder,
        make_accelerator(folder),
        resume=resume,
        export=export,
        stop=lambda step: step == stop_at,
    )
    return dict(task.model.state_dict()), exported, task


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_resumed_equals_unbroken_exactly(tmp_path, optimizer):
    config = dataclasses.replace(CONFIG, optimizer=optimizer)
    trained, exported, whole = run(tmp_path / "unbroken", config=config)
    _, _, first = run(tmp_path / "broken", stop_at=5, config=config)
    again, exported_again, rest = run(tmp_path / "broken", resume=True, config=config)
    assert len(first.seen) == 5
    assert first.seen + rest.seen == whole.seen
    assert same(trained, again)
    assert same(exported, exported_again)
    assert not same(trained, exported)


def test_muon_takes_the_matrices_of_the_blocks_and_adamw_the_rest():
    model = Line()
    adamw, muon = _optimizers(model, dataclasses.replace(CONFIG, optimizer="muon"))
    assert [p for group in muon.param_groups for p in group["params"]] == [model.blocks[0].weight]
    rest = [p for group in adamw.param_groups for p in group["params"]]
    assert len(rest) == len(list(model.parameters())) - 1
    assert len(_optimizers(model, CONFIG)) == 1


def test_a_resumed_run_may_be_longer_but_not_other(tmp_path):
    run(tmp_path, stop_at=5)
    with pytest.raises(CheckpointMismatch) as caught:
        run(tmp_path, resume=True, config=dataclasses.replace(CONFIG, learning_rate=0.1))
    assert caught.value.params["name"] == "learning_rate"
    _, _, task = run(tmp_path, resume=True, config=dataclasses.replace(CONFIG, steps=14))
    assert len(task.seen) == 9


def test_nothing_to_resume_is_said(tmp_path):
    with pytest.raises(TrainingDataMissing):
        run(tmp_path, resume=True)


def test_a_half_written_checkpoint_is_never_resumed(tmp_path):
    run(tmp_path, stop_at=5)
    (tmp_path / "step-00000009.part").mkdir()
    _, _, task = run(tmp_path, resume=True)
    assert len(task.seen) == 7


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    run(tmp_path, config=dataclasses.replace(CONFIG, checkpoint_minutes=0.0))
    assert [path.name for path in sorted(tmp_path.glob("step-*"))] == [
        "step-00000011",
        "step-00000012",
    ]


def test_every_row_comes_once_an_epoch_in_another_order_each():
    rows = torch.cat([rows_at(s, num_rows=10, batch_size=4, seed=1) for s in range(5)])
    first, second = rows[:10].tolist(), rows[10:].tolist()
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert rows_at(2, num_rows=10, batch_size=4, seed=1).tolist() == rows[8:12].tolist()


def test_the_rate_warms_up_stays_and_decays():
    config = LoopConfig(steps=100, batch_size=1, learning_rate=1.0, warmup_steps=10)
    rates = [rate_at(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:70] == [1.0] * 61
    assert rates[70:] == sorted(rates[70:], reverse=True)
    assert rates[-1] == pytest.approx(config.final_rate, abs=0.01)


def test_streams_differ():
    seeds = {stream_seed("step", 0, step, rank) for step in range(50) for rank in range(2)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize(
    "change", [{"steps": 0}, {"ema_decay": 1.5}, {"batch_size": 0}, {"optimizer": "sgd"}]
)
def test_bad_configurations_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        dataclasses.replace(CONFIG, **change)
