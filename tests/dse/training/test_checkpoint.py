import dataclasses
import errno
import io
import pickle
import zipfile

import pytest
import torch

import dse.files
from dse.design.point import DesignPoint
from dse.design.published import published
from dse.errors import InvalidCheckpoint
from dse.networks.network import build_network
from dse.speech.task import FeatureSpec, Task
from dse.training.checkpoint import Checkpoint, load_checkpoint, load_network, save_checkpoint
from dse.training.history import EpochRecord
from dse.training.recipe import RECIPES


def checkpoint_of(point: DesignPoint, classes=("yes", "no", "up"), **changes) -> Checkpoint:
    record = EpochRecord(
        epoch=1,
        learning_rate=0.1,
        training_loss=1.0,
        training_error=0.5,
        validation_loss=1 / 3,
        validation_error=0.5,
        seconds=2.0,
    )
    checkpoint = Checkpoint(
        point=point,
        classes=classes,
        data_key="0123456789abcdef",
        task=Task(kind="words", words=("yes", "no"), silence=False),
        features=FeatureSpec(time_shift_ms=100.0),
        mean=torch.arange(64.0),
        deviation=torch.ones(64),
        recipe=RECIPES["matchboxnet"],
        seed=3,
        history=(record, dataclasses.replace(record, epoch=2)),
        network=build_network(point, len(classes)).state_dict(),
        computed="cpu, 1 thread, float32, plain path",
    )
    return dataclasses.replace(checkpoint, **changes)


SMALL = published("matchboxnet-1x1x8")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "best.pt"
    save_checkpoint(checkpoint_of(SMALL), path)
    return path


def test_everything_comes_back(tmp_path):
    optimiser = {"state": {0: {"momentum": torch.ones(2), "step": 3}}, "param_groups": [{"lr": 1}]}
    before = checkpoint_of(published("matchboxnet-1x1x8-P1"), optimiser=optimiser)
    save_checkpoint(before, tmp_path / "last.pt")
    after = load_checkpoint(tmp_path / "last.pt")
    for field in dataclasses.fields(Checkpoint):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if field.name == "network":
            assert list(old) == list(new)
            assert all(torch.equal(old[name], new[name]) for name in old)
        elif field.name == "optimiser":
            assert str(old) == str(new)
        elif isinstance(old, torch.Tensor):
            assert torch.equal(old, new)
        else:
            assert old == new
    assert after.point.name == "matchboxnet-1x1x8-P1"
    assert after.epoch == 2


def test_a_network_gives_the_same_scores_in_three_lines(path):
    saved = build_network(SMALL, 3)
    saved.load_state_dict(load_checkpoint(path).network)
    pictures = torch.randn(2, 64, 128)
    before = torch.get_rng_state()
    network, checkpoint = load_network(path)
    assert torch.equal(torch.get_rng_state(), before)
    assert not network.training
    assert torch.equal(network(pictures), saved.eval()(pictures))
    assert checkpoint.classes == ("yes", "no", "up")


def test_ternary_matrices_are_not_saved_and_come_back_from_their_seed(tmp_path):
    dense, ternary = published("matchboxnet-3x2x64"), published("matchboxnet-3x2x64-P4")
    for name, point in (("dense", dense), ("ternary", ternary)):
        save_checkpoint(checkpoint_of(point), tmp_path / name)
    network, checkpoint = load_network(tmp_path / "ternary")
    parameters = {name for name, _ in network.named_parameters()}
    matrices = {name for name, _ in network.named_buffers()} - set(network.state_dict())
    assert matrices and not matrices & set(checkpoint.network)
    assert set(checkpoint.network) == parameters | {
        name for name, _ in network.named_buffers() if name not in matrices
    }
    # Each matrix entry that is not stored saves four bytes, and each tensor some 200 of overhead.
    counts = {
        point: sum(parameter.numel() for parameter in build_network(point, 3).parameters())
        for point in (dense, ternary)
    }
    saved = (tmp_path / "dense").stat().st_size - (tmp_path / "ternary").stat().st_size
    assert saved == pytest.approx(4 * (counts[dense] - counts[ternary]), rel=0.03)


# --- damage -----------------------------------------------------------------------------------


def refusal(path):
    with pytest.raises(InvalidCheckpoint) as error:
        load_checkpoint(path)
    return str(error.value)


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.999])
def test_a_cut_file_is_refused(path, kept):
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    assert refusal(path) == f"{path} is damaged: remove it and train again, or restore a copy"


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_flipped_bit_in_a_tensor_is_refused(path, share):
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 4
    path.write_bytes(content)
    assert "is damaged" in refusal(path)


def test_a_small_file_of_many_zeros_is_refused_before_it_is_unpacked(path):
    whole = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in whole.infolist():
            archive.writestr(part.filename, whole.read(part))
    assert "has packed parts, which dse does not write" in refusal(path)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"history": ()}, "no epoch"),
        ({"mean": torch.zeros(3)}, "a mean that is not of 64 coefficients"),
        ({"deviation": torch.full((64,), torch.nan)}, "values in 'deviation' that are not numbers"),
        ({"network": {"a.weight": torch.tensor([1.0, torch.inf])}}, "values in 'a.weight' that"),
        ({"network": {"a.weight": 3}}, "a 'a.weight' that is no tensor"),
        ({"network": {"a": torch.zeros(1).expand(10**12)}}, "a 'a' that is larger than what is"),
    ],
)
def test_what_no_training_writes_is_refused(path, changes, wrong):
    save_checkpoint(checkpoint_of(SMALL, **changes), path)
    assert refusal(path).startswith(f"{path} holds {wrong}")


def test_another_file_is_refused(path):
    path.write_text("not a checkpoint")
    assert "is damaged" in refusal(path)
    torch.save({"weights": torch.ones(2)}, path)
    assert refusal(path) == f"{path} was not written by dse: name a best.pt or last.pt"


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert (
        refusal(tmp_path / "no.pt") == f"{tmp_path}/no.pt does not exist: name a best.pt or last.pt"
    )
    assert refusal(tmp_path) == f"{tmp_path} is a folder: name a best.pt or last.pt"


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    path = tmp_path / "evil.pt"
    torch.save({"schema_version": Evil()}, path)
    assert "is damaged" in refusal(path)
    path.write_bytes(pickle.dumps(Evil()))
    assert "is damaged" in refusal(path)
    assert not (tmp_path / "harm").exists()


def changed(path, **changes):
    plain = torch.load(path, weights_only=True)
    torch.save(plain | changes, path)


def test_a_file_of_a_later_program_is_refused(path):
    changed(path, schema_version=2)
    assert refusal(path) == (
        f"{path} has schema_version 2, and this program reads 1: use the program that wrote it"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"recipe": {"epochs": 0}}, "epochs must be at least 1, not 0"),
        ({"design": {}}, "missing key 'blocks'"),
        ({"history": [{"epoch": 1}]}, "missing"),
    ],
)
def test_a_file_with_a_wrong_part_is_refused(path, changes, reason):
    changed(path, **changes)
    message = refusal(path)
    assert message.startswith(f"{path} lacks a part or holds a wrong one: ")
    assert reason in message


def test_weights_of_another_design_are_refused(path):
    other = published("matchboxnet-1x1x16")
    changed(path, design=other.to_dict())
    with pytest.raises(InvalidCheckpoint) as error:
        load_network(path)
    assert str(error.value) == (
        f"the weights in {path} do not fit its design {other.key}: train it again"
    )


def test_a_full_disk_leaves_the_old_checkpoint(path, monkeypatch):
    before = path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dse.files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(checkpoint_of(SMALL, seed=9), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
