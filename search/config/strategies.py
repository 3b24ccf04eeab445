"""``[sampler]`` and ``[pruner]`` of a study file: which there are, and the options of each."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from search.config.dimensions import Section
from search.config.sections import MAX_EPOCHS, MAX_TRIALS, Epochs


class _Chosen(Section):
    """One of several sections that share a key; its name chooses it."""

    name: str
    """What a study file calls it."""


StartupTrials = Annotated[int, Field(ge=0, le=MAX_TRIALS)]
Probability = Annotated[float, Field(ge=0, le=1)]


class TpeOptions(_Chosen):
    """``name = "tpe"``: Optuna's tree-structured Parzen estimator."""

    name: Literal["tpe"] = "tpe"

    startup_trials: StartupTrials = 10
    """Random trials before the model of the results is used."""

    ei_candidates: int = Field(default=24, ge=1, le=10_000)
    """Candidates drawn for each parameter, of which the most promising is tried."""

    multivariate: bool = False
    """Whether the parameters are modeled jointly rather than one by one."""

    group: bool = False
    """Whether the joint model is split by the parameters that occur together."""

    @model_validator(mode="after")
    def _check_group(self) -> Self:
        if self.group and not self.multivariate:
            raise ValueError("must have multivariate = true where group = true but got false")
        return self


class RandomOptions(_Chosen):
    """``name = "random"``: independent draws; the baseline of every sampler."""

    name: Literal["random"] = "random"


class GridOptions(_Chosen):
    """``name = "grid"``: every architecture of the space with a few learning rates."""

    name: Literal["grid"] = "grid"

    learning_rates: int = Field(default=5, ge=1, le=1000)
    """Learning rates on the grid, evenly spaced on the logarithmic scale."""


class CmaesOptions(_Chosen):
    """``name = "cmaes"``: covariance matrix adaptation; needs the extra ``samplers``."""

    name: Literal["cmaes"] = "cmaes"

    startup_trials: StartupTrials = 1
    """Complete trials before the strategy starts."""

    population_size: int | None = Field(default=None, ge=3, le=10_000)
    """Complete trials of a generation; chosen from the number of parameters when not given."""

    margin: bool = False
    """Whether an integer keeps a least chance of changing (CMA-ES with margin)."""

    use_pruned_trials: bool = False
    """Whether pruned trials count, with their last value; advised with hyperband only."""


class NsgaiiOptions(_Chosen):
    """``name = "nsgaii"``: a genetic algorithm."""

    name: Literal["nsgaii"] = "nsgaii"

    population_size: int = Field(default=10, ge=2, le=10_000)
    """Complete trials of a generation; the first generation is random."""

    mutation_probability: Probability | None = None
    """Chance of a parameter to mutate; one over the number of parameters when not given."""

    crossover_probability: Probability = 0.9
    """Chance of a child to have two parents."""

    swapping_probability: Probability = 0.5
    """Chance of a parameter to come from the second parent."""


SamplerOptions = Annotated[
    TpeOptions | RandomOptions | GridOptions | CmaesOptions | NsgaiiOptions,
    Field(discriminator="name"),
]


class _WarmedUp(_Chosen):
    """What the pruners that compare trials at the same epoch have in common."""

    startup_trials: StartupTrials = 5
    """Complete trials before anything is pruned."""

    warmup_epochs: int = Field(default=10, ge=0, le=MAX_EPOCHS)
    """The first epoch after which a trial may be pruned."""

    def first_decision(self, validate_every: int) -> int:
        """The first epoch after which a trial can be pruned."""
        return max(self.warmup_epochs, validate_every)


class MedianOptions(_WarmedUp):
    """``name = "median"``: a trial below the median of the others at its epoch is pruned."""

    name: Literal["median"] = "median"


class PercentileOptions(_WarmedUp):
    """``name = "percentile"``: like median, keeping another share of the trials."""

    name: Literal["percentile"] = "percentile"

    percentile: float = Field(default=25.0, gt=0, lt=100)
    """The share of the trials that is kept, in percent; 50 is the median."""


class PatientOptions(_WarmedUp):
    """``name = "patient"``: like median, but only a trial that has got worse."""

    name: Literal["patient"] = "patient"

    patience: int = Field(default=1, ge=0, le=MAX_EPOCHS)
    """Validations below the trial's own best that are forgiven."""

    def first_decision(self, validate_every: int) -> int:
        """The first epoch after which a trial can be pruned."""
        return max(self.warmup_epochs, (self.patience + 2) * validate_every)


class _Halving(_Chosen):
    """What successive halving and hyperband have in common."""

    min_epochs: Epochs = 5
    """Epochs of the first rung."""

    reduction_factor: int = Field(default=3, ge=2, le=100)
    """One of so many trials goes on; each rung has so many times the epochs of the one before."""

    def first_decision(self, validate_every: int) -> int:
        """The first epoch after which a trial can be pruned."""
        return max(self.min_epochs, validate_every)


class SuccessiveHalvingOptions(_Halving):
    """``name = "successive_halving"``: the best of each rung go on to the next."""

    name: Literal["successive_halving"] = "successive_halving"


class HyperbandOptions(_Halving):
    """``name = "hyperband"``: successive halving from several first rungs side by side."""

    name: Literal["hyperband"] = "hyperband"


class NoPrunerOptions(_Chosen):
    """``name = "none"``: every trial runs to its last epoch."""

    name: Literal["none"] = "none"


PrunerOptions = Annotated[
    MedianOptions
    | PercentileOptions
    | PatientOptions
    | SuccessiveHalvingOptions
    | HyperbandOptions
    | NoPrunerOptions,
    Field(discriminator="name"),
]
