"""Each domain as the source for each other one: a table of what transfers where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlptl.config.run import RunConfig
from nlptl.data.domains import Domains
from nlptl.errors import ConfigError
from nlptl.evaluation.significance import BETTER, WORSE, corrected, estimated
from nlptl.registry import MODES
from nlptl.storage.json_files import read_json, write_json
from nlptl.strategies import pipeline


@dataclass(frozen=True)
class DomainMatrix:
    """Accuracies between domains, on each target's test split."""

    folder: Path
    domains: list[str]
    method: str
    within: dict[str, float]
    """Domain -> accuracy of training on its own labels: the oracle."""
    pairs: list[dict[str, Any]]
    """source, target, source_only, adapted, gain, standard_error, p, rows, verdict, doubts (sentences)."""

    def mean(self, name: str) -> float:
        """Mean over the pairs of `source_only`, `adapted` or `gain`."""
        return float(sum(pair[name] for pair in self.pairs) / len(self.pairs))

    def markdown(self) -> str:
        """One row per source, one column per target: source-only -> adapted, `!` where harm was suspected."""
        found = {(pair["source"], pair["target"]): pair for pair in self.pairs}
        lines = ["| source \\ target | " + " | ".join(self.domains) + " |", "|---" * (len(self.domains) + 1) + "|"]
        for source in self.domains:
            cells = [
                f"({100 * self.within[source]:.1f})" if source == target else _cell(found[source, target])
                for target in self.domains
            ]
            lines.append(f"| {source} | " + " | ".join(cells) + " |")
        oracle = sum(self.within[pair["target"]] for pair in self.pairs) / len(self.pairs)
        lines.append("")
        lines.append(
            f"Accuracy in percent on the target's test rows, source only -> adapted by {self.method}; in brackets: "
            f"trained on the domain's own labels; `!`: signs of harm were told without looking at a label. Means over "
            f"{len(self.pairs)} pairs: source only {100 * self.mean('source_only'):.2f}, adapted "
            f"{100 * self.mean('adapted'):.2f}, oracle {100 * oracle:.2f}."
        )
        lines += [f"Adapting {said} (p < 0.05 after Holm's correction): {', '.join(of)}." for said, of in self._clear()]
        return "\n".join(lines)

    def _clear(self) -> list[tuple[str, list[str]]]:
        """The pairs that adapting clearly hurt or helped, of all the pairs that stand side by side."""
        tested = [estimated(pair["gain"], pair["standard_error"], pair.get("p")) for pair in self.pairs]
        outcomes = [one.outcome for one in corrected(tested)]
        found = []
        for outcome, said in ((WORSE, "hurt"), (BETTER, "helped")):
            names = [
                f"{p['source']} -> {p['target']}" for p, o in zip(self.pairs, outcomes, strict=True) if o == outcome
            ]
            found += [(said, names)] if names else []
        return found


def cross_domains(
    config: RunConfig,
    domains: Mapping[str, tuple[str, Any]],
    folder: Path,
) -> DomainMatrix:
    """Train inside each domain, and adapt from each to each other; every run is kept.

    Args:
        config: settings of all runs; its data section says how files are read.
        domains: name -> (what the configuration calls the data, Python data or None).
        folder: for the runs, `matrix.json` and `matrix.md`; a run that is finished in it is not repeated.

    Raises:
        ConfigError: fewer than two domains, or the method none.
        ArtifactError: the folder holds a finished run of other settings or data.
        NlptlError: as `pipeline.train` raises.
    """
    if len(domains) < 2:
        raise ConfigError(f"A matrix needs two domains or more; given: {', '.join(domains) or 'none'}.")
    method = config.adaptation.method or MODES.get(config.mode).defaults["adaptation.method"]
    config = config.model_copy(update={"adaptation": config.adaptation.model_copy(update={"method": method})})
    if method == "none":
        raise ConfigError(
            "A matrix compares adapting with not adapting. Choose --method coral, coral_self_training, dann, mmd or "
            "self_training."
        )
    within, pairs = {}, []
    folder.mkdir(parents=True, exist_ok=True)
    for source, (name, data) in domains.items():
        own = _config(config, folder / source, name, None)
        metrics = _run(own, data)
        within[source] = metrics["test"]["accuracy"]
        for target, (other, texts) in domains.items():
            if target != source:
                pair = _config(config, folder / f"{source}-to-{target}", name, other)
                facts = _run(pair, Domains(data, texts))["adaptation"]
                pairs.append(
                    {
                        "source": source,
                        "target": target,
                        **{model: facts[model]["test"]["accuracy"] for model in ("source_only", "adapted")},
                        **facts["comparison"],
                        "doubts": facts["doubts"],
                    }
                )
    matrix = DomainMatrix(folder, list(domains), method, within, pairs)
    write_json(folder / "matrix.json", {"method": matrix.method, "within": within, "pairs": pairs})
    (folder / "matrix.md").write_text(matrix.markdown() + "\n", encoding="utf-8")
    return matrix


def _config(config: RunConfig, folder: Path, source: str, target: str | None) -> RunConfig:
    data = config.data.model_copy(update={"source": source, "target": target})
    # The diagonal is the oracle: the same rows, the same settings.
    adaptation = config.adaptation.model_copy(update={"oracle": False})
    strategy = "fine_tune" if target is None else "domain_adaptation"
    changes = {"data": data, "adaptation": adaptation, "strategy": strategy, "output": str(folder)}
    return config.model_copy(update=changes)


def _run(config: RunConfig, given: Any) -> dict[str, Any]:
    """A run's metrics; the same run is not repeated where it is finished already."""
    return read_json(pipeline.train(config, given, resume=True) / "metrics.json")


def _cell(pair: dict[str, Any]) -> str:
    doubt = " !" if pair["doubts"] else ""
    return f"{100 * pair['source_only']:.1f} -> {100 * pair['adapted']:.1f}{doubt}"
