import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nlptl.data.tokens.batching import plan_epoch
from nlptl.data.tokens.encoding import collate
from nlptl.errors import ArtifactError, NlptlError
from nlptl.kernels.embeddings import UsedEmbedding
from nlptl.objectives.classification import Classification
from nlptl.training.loop import measure_padding
from nlptl.training.resume.states import StateFolder
from nlptl.training.runtime import Runtime

STEPS = 5  # per epoch: 67 rows in batches of 16


def weights_of(classifier) -> dict[str, torch.Tensor]:
    """All parameters, also in the midst of a training, which holds the used words only."""
    whole = {name: p.detach().clone() for name, p in classifier.named_parameters()}
    words = classifier.encoder.get_input_embeddings()
    if isinstance(words, UsedEmbedding):
        whole["_encoder.embeddings.word_embeddings.weight"] = words.write_back().weight.detach().clone()
    return whole


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], atol: float = 0.0) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, atol=atol, rtol=0, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("micro_batch_size", [5, 1])
def test_micro_batches_give_the_losses_of_the_whole_batch(learn, micro_batch_size):
    whole = learn()
    parts = learn(micro_batch_size=micro_batch_size)
    assert len(whole.progress.losses) == 2 * STEPS
    np.testing.assert_allclose(parts.progress.losses, whole.progress.losses, atol=1e-5)
    assert len(set(whole.progress.losses)) == 2 * STEPS
    # Adam divides by tiny moments, so rounding shows more in the weights than in the losses.
    assert_equal(weights_of(whole.classifier), weights_of(parts.classifier), atol=1e-3)


def test_a_step_is_the_mean_gradient_over_its_rows(learn, fresh, rows):
    given = {"epochs": 1, "clip": 0.0, "weight_decay": 0.0}
    ours = learn(**given)
    classifier = fresh().train()
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=1e-3, weight_decay=0.0)
    losses = []
    for step in plan_epoch(rows.encoded.lengths, 16, 5, 0):
        logits = classifier(collate(rows.encoded, step, rows.pad_id))
        loss = F.cross_entropy(logits, torch.from_numpy(rows.targets[step]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_allclose(ours.progress.losses, losses, atol=1e-5)


def test_gradients_are_clipped_over_the_whole_step(learn, monkeypatch):
    norms = []
    clip = torch.nn.utils.clip_grad_norm_

    def watching(parameters, max_norm, *rest, **more):
        kept = [p for p in parameters if p.grad is not None]
        total = clip(kept, max_norm, *rest, **more)
        norms.append(float(torch.stack([p.grad.norm() for p in kept]).norm()))
        return total

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", watching)
    learn(epochs=1, clip=0.01, micro_batch_size=5)
    assert len(norms) == STEPS
    assert norms == pytest.approx([0.01] * STEPS, rel=1e-3)


@pytest.mark.parametrize("micro_batch_size", [None, 5])
@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_the_rate_moves_once_per_optimizer_step(learn, monkeypatch, micro_batch_size, schedule):
    seen = []
    monkeypatch.setattr(Runtime, "log", lambda _, values, step: seen.append((step, values)))
    learn(epochs=4, schedule=schedule, warmup=0.2, micro_batch_size=micro_batch_size)
    rates = [values["train/learning_rate"] for _, values in seen]
    assert [step for step, _ in seen] == list(range(1, 4 * STEPS + 1))
    rise = [k / 5 for k in (1, 2, 3, 4)]
    rest = [1 - k / 16 for k in range(16)] if schedule == "linear" else [1.0] * 16
    assert rates == pytest.approx([1e-3 * factor for factor in rise + rest])


def test_smoothing_and_weights_change_the_loss_as_their_formulas_say(learn, fresh, rows):
    step = plan_epoch(rows.encoded.lengths, 16, 5, 0)[0]
    targets = torch.from_numpy(rows.targets[step])
    with torch.no_grad():
        logs = fresh().eval()(collate(rows.encoded, step, rows.pad_id)).log_softmax(-1)
    own = -logs[torch.arange(len(step)), targets]
    assert len(set(targets.tolist())) == 2
    weights = torch.tensor([0.5, 3.0])
    expected = {
        "plain": own.mean(),
        "smooth": (0.8 * own - 0.2 * logs.mean(-1)).mean(),
        "weighted": (weights[targets] * own).mean(),
    }
    objectives = {
        "plain": Classification(),
        "smooth": Classification(label_smoothing=0.2),
        "weighted": Classification(class_weights=weights),
    }
    for name, objective in objectives.items():
        found = learn(objective, epochs=1, micro_batch_size=5).progress.losses[0]
        assert found == pytest.approx(float(expected[name]), abs=1e-5), name


class Scripted:
    """Validation whose accuracy after each epoch is written down; keeps the weights it saw."""

    def __init__(self, classifier, accuracies: list[float]) -> None:
        self.classifier, self.accuracies = classifier, accuracies
        self.weights: list[dict[str, torch.Tensor]] = []

    def __call__(self, model) -> dict[str, float]:
        self.weights.append(weights_of(self.classifier))
        return {"accuracy": self.accuracies[len(self.weights) - 1], "loss": 1.0}


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_training_ends_after_patience_and_in_its_best_state(learn, fresh, mode):
    classifier = fresh(mode)
    judge = Scripted(classifier, [0.5, 0.6, 0.7, 0.7, 0.65, 0.9])
    progress = learn(classifier=classifier, evaluate=judge, epochs=5, patience=2).progress
    assert [entry["epoch"] for entry in progress.epochs] == [0, 1, 2, 3, 4]
    assert (progress.best_epoch, progress.best_metric, progress.step) == (2, 0.7, 4 * STEPS)
    assert_equal(judge.weights[2], weights_of(classifier))
    changed = [name for name in judge.weights[2] if not torch.equal(judge.weights[2][name], judge.weights[4][name])]
    assert changed


@pytest.mark.parametrize(
    ("accuracies", "judged", "kept"),
    [
        ([0.5, 0.80, 0.78], 300, 2),  # the standard error of 0.8 on 300 rows is 0.023
        ([0.5, 0.80, 0.78], 3000, 1),  # on 3000 rows 0.007
        ([0.5, 0.80, 0.77], 300, 1),
        ([0.5, 0.80, 0.78], 0, 1),
        ([0.79, 0.78, 0.78], 300, 0),  # before training it was better
    ],
)
def test_the_end_is_preferred_to_an_epoch_that_chance_may_have_made_better(learn, fresh, accuracies, judged, kept):
    classifier = fresh()
    judge = Scripted(classifier, accuracies)
    progress = learn(classifier=classifier, evaluate=judge, judged=judged, epochs=2).progress
    assert (progress.best_epoch, progress.best_metric) == (kept, accuracies[kept])
    assert_equal(judge.weights[kept], weights_of(classifier))


def test_only_the_end_is_preferred(learn, fresh):
    judge = Scripted(fresh(), [0.5, 0.8, 0.79, 0.1])
    assert learn(classifier=judge.classifier, evaluate=judge, judged=300, epochs=3).progress.best_epoch == 1


def test_the_state_before_training_can_be_the_best(learn, fresh):
    classifier = fresh()
    judge = Scripted(classifier, [0.9, 0.6, 0.7])
    assert learn(classifier=classifier, evaluate=judge).progress.best_epoch == 0
    assert_equal(weights_of(fresh()), weights_of(classifier))


def test_without_validation_the_last_state_stays(learn, fresh):
    one, two = learn(epochs=2), learn(epochs=1)
    assert one.progress.epochs == []
    with pytest.raises(AssertionError):
        assert_equal(weights_of(one.classifier), weights_of(two.classifier))


def test_the_seed_decides_order_and_dropout(learn):
    losses = {seed: learn(seed=seed, dropout=0.3, epochs=1).progress.losses for seed in (5, 6)}
    assert learn(seed=5, dropout=0.3, epochs=1).progress.losses == losses[5]
    assert losses[5] != losses[6]
    assert learn(seed=5, epochs=1).progress.losses != losses[5]


@pytest.mark.parametrize("micro_batch_size", [None, 5])
def test_nan_stops_before_the_step_and_names_the_rows(learn, fresh, rows, micro_batch_size):
    bad_step = plan_epoch(rows.encoded.lengths, 16, 5, 0)[2]
    classifier = fresh()
    seen = []

    class Poisoned(Classification):
        """NaN for one row of the third step."""

        def __call__(self, logits, targets):
            losses = super().__call__(logits, targets)
            state = weights_of(classifier)
            if not seen or any(not torch.equal(seen[-1][name], state[name]) for name in state):
                seen.append(state)
            return losses * float("nan") if len(seen) == 3 else losses

    with pytest.raises(NlptlError, match="became NaN or infinite") as caught:
        learn(Poisoned(), classifier, micro_batch_size=micro_batch_size)
    listed = ", ".join(str(row + 1) for row in sorted(bad_step))
    assert f"Training rows of this batch: {listed}." in str(caught.value)
    assert len(seen) == 3, "the weights moved after the NaN"
    assert_equal(seen[2], weights_of(classifier))
    assert all(tensor.isfinite().all() for tensor in weights_of(classifier).values())


class Interrupted(Exception):
    pass


class Until:
    """The usual objective, until it was asked a number of times."""

    def __init__(self, calls: int) -> None:
        self.left, self.usual = calls, Classification()

    def __call__(self, logits, targets):
        if self.left == 0:
            raise Interrupted
        self.left -= 1
        return self.usual(logits, targets)


@pytest.fixture
def eager(monkeypatch):
    """State is saved after every step."""
    monkeypatch.setattr("nlptl.training.resume.states.SHARE", 1e9)


def accuracy_by_weights(classifier):
    """A validation that is a function of the weights, falling and rising."""

    def judge(model) -> dict[str, float]:
        with torch.no_grad():
            return {"accuracy": float(torch.cat([p.flatten() for p in classifier.parameters()]).sin().sum())}

    return judge


@pytest.mark.parametrize("mode", ["full", "lora"])
@pytest.mark.parametrize("done", [3, STEPS, STEPS + 2, 3 * STEPS - 1])
def test_an_interrupted_training_goes_on_where_it_was(learn, fresh, eager, tmp_path, mode, done):
    given = {"epochs": 3, "schedule": "linear", "warmup": 0.1}
    whole = fresh(mode, 0.2)
    expected = learn(classifier=whole, evaluate=accuracy_by_weights(whole), **given).progress
    state = StateFolder(tmp_path / "state")
    first = fresh(mode, 0.2)
    with pytest.raises(Interrupted):
        learn(Until(done), first, evaluate=accuracy_by_weights(first), state=state, **given)
    assert state.exists()
    second = fresh(mode, 0.2)
    torch.manual_seed(12345)
    found = learn(classifier=second, evaluate=accuracy_by_weights(second), state=state, **given).progress
    assert found.losses == pytest.approx(expected.losses, abs=1e-7)
    assert [e["accuracy"] for e in found.epochs] == pytest.approx([e["accuracy"] for e in expected.epochs])
    assert (found.step, found.best_epoch) == (expected.step, expected.best_epoch)
    assert_equal(weights_of(whole), weights_of(second), atol=1e-7)


def test_a_state_of_other_batches_is_refused_and_kept(learn, fresh, eager, tmp_path):
    state = StateFolder(tmp_path / "state")
    with pytest.raises(Interrupted):
        learn(Until(3), state=state)
    with pytest.raises(ArtifactError, match=r"batches in another order.*goes on where it began"):
        learn(state=state, seed=6)
    assert learn(state=state).progress.step == 2 * STEPS


@pytest.mark.parametrize("rename", [lambda key: f"0.{key.split('/')[0]}", lambda key: f"{key}.of_another_model"])
def test_a_state_whose_moments_have_other_names_is_refused_and_kept(learn, eager, tmp_path, rename):
    """Those of an earlier version, and those of another model."""
    state = StateFolder(tmp_path / "state")
    with pytest.raises(Interrupted):
        learn(Until(3), state=state)
    snapshot = state.read()
    snapshot.moments = {rename(key): tensor for key, tensor in snapshot.moments.items()}
    state.remove()
    state.save(snapshot)
    with pytest.raises(ArtifactError, match=r"another model, or to another version of nlptl.*starts over"):
        learn(state=state)
    assert state.exists()


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_training_stopped_between_epoch_and_validation_still_validates(learn, fresh, eager, tmp_path, epoch):
    whole = fresh()
    expected = learn(classifier=whole, evaluate=accuracy_by_weights(whole)).progress
    state = StateFolder(tmp_path / "state")
    first = fresh()
    usual, calls = accuracy_by_weights(first), []

    def stopping(model):
        calls.append(1)
        if len(calls) == epoch + 1:
            raise Interrupted
        return usual(model)

    with pytest.raises(Interrupted):
        learn(classifier=first, evaluate=stopping, state=state)
    second = fresh()
    found = learn(classifier=second, evaluate=accuracy_by_weights(second), state=state).progress
    assert [e["epoch"] for e in found.epochs] == [e["epoch"] for e in expected.epochs]
    assert found.losses == pytest.approx(expected.losses, abs=1e-7)
    assert found.best_epoch == expected.best_epoch
    assert_equal(weights_of(whole), weights_of(second), atol=1e-7)


def test_the_padding_share_is_that_of_the_first_epoch(rows):
    lengths = rows.encoded.lengths
    fed = real = 0
    for step in plan_epoch(lengths, 16, 5, 0):
        fed += len(step) * lengths[step].max()
        real += lengths[step].sum()
    assert measure_padding(rows, 16, 1, 5) == pytest.approx(1 - real / fed)
