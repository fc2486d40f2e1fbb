"""How much of the encoder learns. A mode knows what is trainable, its defaults, and what it saves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Protocol

from nlptl.config.model import LoraSettings
from nlptl.errors import ArtifactError, ConfigError
from nlptl.models.classifier import Classifier
from nlptl.models.head_files import load_head, save_head

ADAPTER = "adapter"
"""The folder of an adapter, below a run's model."""


class Mode(Protocol):
    """What the rest of nlptl asks of a mode; a class in `nlptl.registry.MODES`, made anew for each training.

    A further mode is most easily a subclass of the nearest one here: it inherits a default for every open setting.
    """

    defaults: ClassVar[dict[str, Any]]
    """Dotted RunConfig keys for settings that neither the user nor the task gave."""
    trains_encoder: ClassVar[bool]
    """False: the head alone learns, on features computed once."""
    trains_every_weight: ClassVar[bool]
    """Whether an encoder of random weights can become useful: nothing in it stays as it was."""
    few_labels_strategy: ClassVar[str]
    """The strategy of a run with few labels, one to a text, that names none."""
    has_adapters: ClassVar[bool]
    """Whether it reads the section `lora` of the configuration."""
    saves_encoder: ClassVar[bool]
    """False: the saved model needs the checkpoint it came from."""
    pools: ClassVar[dict[str, str]]
    """Pooling of the checkpoint -> the one that this mode takes instead, unless the user says which."""

    def apply(self, classifier: Classifier, lora: LoraSettings) -> None:
        """Choose what is trainable, in place."""

    def save(self, classifier: Classifier, folder: Path) -> None:
        """Write what this mode changed."""

    def load(self, classifier: Classifier, folder: Path) -> None:
        """Put what `save` wrote onto a classifier freshly built from the checkpoint."""

    def merge(self, classifier: Classifier) -> None:
        """Fold adapters into the weights, in place."""


class Full:
    """Every weight learns."""

    defaults: ClassVar[dict[str, Any]] = {
        "training.epochs": 4,
        "training.learning_rate": 1e-4,
        "training.head_learning_rate": 1e-3,
        "training.batch_size": 32,
        "training.layer_decay": 0.9,
        "training.label_smoothing": 0.0,
        "training.refit": False,
        "model.dropout": 0.0,
        "model.head_start": "probe",
        "adaptation.method": "self_training",
    }
    trains_encoder: ClassVar[bool] = True
    trains_every_weight: ClassVar[bool] = True
    few_labels_strategy: ClassVar[str] = "contrastive"
    has_adapters: ClassVar[bool] = False
    saves_encoder: ClassVar[bool] = True
    pools: ClassVar[dict[str, str]] = {}

    def apply(self, classifier: Classifier, lora: LoraSettings) -> None:
        """Nothing to do: a fresh classifier is trainable throughout."""

    def save(self, classifier: Classifier, folder: Path) -> None:
        classifier.save(folder)

    def load(self, classifier: Classifier, folder: Path) -> None:
        raise ArtifactError("A full run is loaded from its own weights, not onto its checkpoint.")

    def merge(self, classifier: Classifier) -> None:
        """Nothing to fold."""


class Lora:
    """Low-rank adapters on the encoder's linear layers, through PEFT (Hu et al. 2021); the head learns fully."""

    defaults: ClassVar[dict[str, Any]] = {
        "training.epochs": 3,
        "training.learning_rate": 1e-3,
        "training.head_learning_rate": 1e-3,
        "training.batch_size": 32,
        "training.layer_decay": 1.0,
        "training.label_smoothing": 0.0,
        "training.refit": False,
        "model.dropout": 0.0,
        "model.head_start": "probe",
        "adaptation.method": "self_training",
    }
    trains_encoder: ClassVar[bool] = True
    trains_every_weight: ClassVar[bool] = False
    few_labels_strategy: ClassVar[str] = "fine_tune"
    has_adapters: ClassVar[bool] = True
    saves_encoder: ClassVar[bool] = False
    pools: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self._adapter: Any = None

    def apply(self, classifier: Classifier, lora: LoraSettings) -> None:
        from peft import LoraConfig, get_peft_model

        if classifier.continued:
            (self._adapter,) = classifier.continued
            return
        known = linear_layers(classifier.encoder)
        if not known and not lora.targets:
            raise ConfigError("This encoder has no linear layers that adapters could be added to. Use --mode full.")
        settings = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha or 2 * lora.rank,
            lora_dropout=lora.dropout,
            use_rslora=lora.rslora,
            use_dora=lora.dora,
            target_modules=lora.targets or known,
            bias="none",
        )
        try:
            # Adapters go into the encoder in place; the wrapper is kept for saving and merging only.
            self._adapter = get_peft_model(classifier.encoder, settings)
        except ValueError as error:
            raise ConfigError(
                f"lora.targets {lora.targets} do not fit this encoder. Linear layers: {', '.join(known)}."
            ) from error

    def save(self, classifier: Classifier, folder: Path) -> None:
        self._adapter.save_pretrained(folder / ADAPTER, save_embedding_layers=False)
        (folder / ADAPTER / "README.md").unlink(missing_ok=True)  # the run has its own card
        save_head(classifier, folder)

    def load(self, classifier: Classifier, folder: Path) -> None:
        self._adapter = _open_adapter(classifier, folder / ADAPTER, trainable=False)
        load_head(classifier, folder)

    def merge(self, classifier: Classifier) -> None:
        self._adapter.merge_and_unload()


class FeatureExtraction:
    """The encoder is frozen, in eval mode; a linear head is fitted on its features, computed once."""

    defaults: ClassVar[dict[str, Any]] = {
        "training.epochs": 1,
        "training.learning_rate": 1.0,
        "training.head_learning_rate": 1.0,
        "training.batch_size": 32,
        "training.layer_decay": 1.0,
        "training.label_smoothing": 0.0,
        "training.refit": True,
        "model.dropout": 0.0,
        "model.head_start": "probe",
        "adaptation.method": "coral_self_training",
    }
    trains_encoder: ClassVar[bool] = False
    trains_every_weight: ClassVar[bool] = False
    few_labels_strategy: ClassVar[str] = "fine_tune"
    has_adapters: ClassVar[bool] = False
    saves_encoder: ClassVar[bool] = False
    # A linear head on frozen features gains from equal lengths; an encoder that learns finds its own.
    pools: ClassVar[dict[str, str]] = {"mean": "unit_mean"}

    def apply(self, classifier: Classifier, lora: LoraSettings) -> None:
        classifier.requires_grad_(False)
        classifier.eval()

    def save(self, classifier: Classifier, folder: Path) -> None:
        save_head(classifier, folder)

    def load(self, classifier: Classifier, folder: Path) -> None:
        load_head(classifier, folder)

    def merge(self, classifier: Classifier) -> None:
        """Nothing to fold."""


def continue_adapter(classifier: Classifier, folder: Path) -> None:
    """Put an earlier run's adapter onto a fresh classifier, in place, so that mode lora goes on with it.

    Raises:
        ArtifactError: it cannot be opened.
    """
    classifier.continued = [_open_adapter(classifier, folder, trainable=True)]


def _open_adapter(classifier: Classifier, folder: Path, trainable: bool) -> Any:
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(classifier.encoder, folder, use_safetensors=True, is_trainable=trainable)
    except Exception as error:  # PEFT, safetensors and json each raise their own
        raise ArtifactError(f"The adapter in {folder} cannot be opened: {error}") from error


def linear_layers(encoder: Any) -> list[str]:
    """Names of all linear layers of an encoder, sorted."""
    from torch import nn

    return sorted({name for name, module in encoder.named_modules() if isinstance(module, nn.Linear)})
