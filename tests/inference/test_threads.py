"""Many threads ask one run: each gets its own answer, and the weights stay as they were."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch.nn.modules.module import register_module_forward_hook

import nlptl
from nlptl.errors import DataError
from tests.conftest import QUICK

TEXTS = ["a good film " * (1 + i % 7) + f"number {i}" for i in range(60)]
MODES = ("full", "lora", "feature_extraction")


@pytest.fixture(scope="module")
def folder(trained_tiny):
    return {mode: trained_tiny("bert", mode, runtime__precision="bf16").run.folder for mode in MODES}


def weights(run) -> dict[str, tuple[torch.dtype, bytes]]:
    return {n: (p.dtype, p.detach().numpy().tobytes()) for n, p in run.artifact.classifier.named_parameters()}


@pytest.mark.parametrize("mode", MODES)
def test_every_answer_comes_and_is_right(folder, mode):
    run = nlptl.load(folder[mode], "bf16", progress=False)
    before = weights(run)
    expected = [run.predict_proba([text])[0] for text in TEXTS]
    run = nlptl.load(folder[mode], "bf16", progress=False)  # the first texts set the tokenizer up
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda text: run.predict_proba([text])[0], TEXTS * 4))
    np.testing.assert_array_equal(found, expected * 4)
    assert weights(run) == before


def test_no_pass_ever_sees_the_runs_own_weights_rounded(folder):
    run = nlptl.load(folder["full"], "bf16", progress=False)
    seen: set[torch.dtype] = set()

    def look(module, inputs, output):
        seen.update(p.dtype for p in run.artifact.classifier.parameters())

    handle = register_module_forward_hook(look)
    try:
        run.predict(TEXTS[:3])
    finally:
        handle.remove()
    assert seen == {torch.float32}


def test_an_error_within_a_pass_leaves_the_weights_and_the_next_answer_as_they_were(folder, monkeypatch):
    run = nlptl.load(folder["full"], "bf16", progress=False)
    before, expected = weights(run), run.predict_proba(TEXTS)

    def fails(module, inputs, output):
        raise MemoryError

    handle = register_module_forward_hook(fails)
    try:
        with pytest.raises(MemoryError):
            run.predict(TEXTS)
    finally:
        handle.remove()
    assert weights(run) == before
    np.testing.assert_array_equal(run.predict_proba(TEXTS), expected)


def test_rounding_once_gives_what_autocast_gives(folder):
    """Bit by bit: autocast rounds the same weights, only each time anew."""
    run = nlptl.load(folder["full"], "bf16", progress=False)
    artifact = run.artifact
    inputs = artifact.tokenizer(TEXTS[:1], return_tensors="pt", truncation=True, max_length=artifact.max_length)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits = artifact.classifier({name: inputs[name] for name in inputs})
    np.testing.assert_array_equal(run.logits(TEXTS[:1]), logits.float().numpy())


def test_threads_on_two_runs_and_on_the_tasks_of_one(folder):
    runs = [nlptl.load(folder[mode], "bf16", progress=False) for mode in MODES]
    runs.append(runs[0].task("sentiment"))
    expected = [[run.predict_proba([text])[0] for text in TEXTS] for run in runs]
    asked = [(number, place) for place in range(len(TEXTS)) for number in range(len(runs))]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda item: runs[item[0]].predict_proba([TEXTS[item[1]]])[0], asked)
        for (number, place), answer in zip(asked, found, strict=True):
            np.testing.assert_array_equal(answer, expected[number][place])


@pytest.mark.parametrize("mode", ["full", "feature_extraction"])
def test_training_while_another_run_predicts_gives_the_same_run(folder, tiny, obvious, tmp_path, mode):
    answering = nlptl.load(folder["full"], "bf16", progress=False)
    expected = answering.predict_proba(TEXTS)
    settings = {**QUICK, "runtime.precision": "bf16", "probe.cache": False}

    def trained(name):
        return nlptl.train(
            "sentiment", data=obvious, mode=mode, checkpoint=tiny["bert"], output=tmp_path / name, settings=settings
        )

    alone = trained("alone")
    done = threading.Event()

    def answer():
        answers = [answering.predict_proba(TEXTS)]
        while not done.is_set():
            answers.append(answering.predict_proba(TEXTS))
        return answers

    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(answer)
        try:
            beside = trained("beside")
        finally:
            done.set()
        for found in answers.result():
            np.testing.assert_array_equal(found, expected)
    assert weights(beside) == weights(alone)


def test_files_and_texts_at_once(folder, tmp_path):
    run = nlptl.load(folder["full"], "bf16", progress=False)
    (tmp_path / "in.csv").write_text("text\n" + "\n".join(TEXTS) + "\n")
    run.predict_file(tmp_path / "in.csv", tmp_path / "alone.csv")
    expected = run.predict_proba(TEXTS[:5])
    with ThreadPoolExecutor(4) as pool:
        files = [pool.submit(run.predict_file, tmp_path / "in.csv", tmp_path / f"{i}.csv") for i in range(6)]
        for _ in range(20):
            np.testing.assert_array_equal(run.predict_proba(TEXTS[:5]), expected)
        assert [file.result() for file in files] == [len(TEXTS)] * 6
    assert {(tmp_path / f"{i}.csv").read_text() for i in range(6)} == {(tmp_path / "alone.csv").read_text()}


def test_two_threads_write_one_file_once(folder, tmp_path):
    run = nlptl.load(folder["full"], "bf16", progress=False)
    (tmp_path / "in.csv").write_text("text\n" + "\n".join(TEXTS * 400) + "\n")
    start = threading.Barrier(3)

    def write(_: int) -> str | int:
        start.wait()
        try:
            return run.predict_file(tmp_path / "in.csv", tmp_path / "out.csv")
        except DataError as error:
            return str(error)

    with ThreadPoolExecutor(3) as pool:
        said = list(pool.map(write, range(3)))
    assert len(TEXTS) * 400 in said
    assert all(one == len(TEXTS) * 400 or "is writing" in str(one) for one in said)
    assert (tmp_path / "out.csv").read_text().count("\n") == len(TEXTS) * 400 + 1


@pytest.mark.parametrize("mode", MODES)
def test_a_run_can_be_sent_to_another_process(folder, mode):
    run = nlptl.load(folder[mode], "bf16", progress=False)
    expected = run.predict_proba(TEXTS)
    for other in (pickle.loads(pickle.dumps(run)), copy.deepcopy(run)):
        np.testing.assert_array_equal(other.predict_proba(TEXTS), expected)
