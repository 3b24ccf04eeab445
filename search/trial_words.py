"""A trial in words: its parameters, and how it ended."""

from search.trials import TrialRecord

IN_COLUMNS = ("embedding_dimension", "learning_rate")
_OF_LAYERS = ("depth", "output_width")


def configuration_text(trial: TrialRecord) -> str:
    """The configuration of a trial in a few words: layers, embedding, learning rate."""
    parameters = trial.parameters
    words = [trial.layer_sizes]
    if "embedding_dimension" in parameters:
        words.append(f"embedding {parameters['embedding_dimension']}")
    if "learning_rate" in parameters:
        words.append(f"learning rate {parameters['learning_rate']:.3g}")
    return ", ".join(word for word in words if word)


def further_parameters(trial: TrialRecord) -> str:
    """The parameters that views have no column for, such as ``temperature 0.05, dropout 0.1``."""
    further = {
        name: value
        for name, value in trial.parameters.items()
        if name not in (*IN_COLUMNS, *_OF_LAYERS) and not name.startswith("hidden_width")
    }
    return ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in further.items())


def rate_text(rate: float | None) -> str:
    """A learning rate in two or three digits, at most seven characters; empty if there is none."""
    if rate is None:
        return ""
    in_three = f"{rate:.3g}"
    return in_three if len(in_three) <= 7 else f"{rate:.2g}"


def trial_line(trial: TrialRecord) -> str:
    """A trial that is over, in one plain line."""
    results = {
        "complete": f"accuracy {_accuracy(trial)} at epoch {trial.best_epoch}",
        "pruned": f"accuracy {_accuracy(trial)} when pruned at epoch {trial.pruned_at_epoch}",
    }
    result = results.get(trial.state, trial.reason or "no reason recorded")
    seconds = "" if trial.train_seconds is None else f"  {trial.train_seconds:.1f} s"
    return f"trial {trial.number} {trial.state}: {result}  {configuration_text(trial)}{seconds}"


def _accuracy(trial: TrialRecord) -> str:
    return "unknown" if trial.value is None else f"{trial.value:.4f}"


def _short(value: float) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:.3g}"
