"""The configurations of the studies that are compared."""

from pathlib import Path

from search.config.space import enqueued_configurations, parameters_of
from search.config.study import StudySpec, load_spec
from tests.benchmarks.data import fixed_configurations, study_file, tutorial_space
from tests.benchmarks.plain_harness import trial_parameters


def loaded(folder: Path, text: str) -> StudySpec:
    (folder / "fixed.toml").write_text(text, encoding="utf-8")
    return load_spec("fixed", folders=(folder,))


def test_a_seed_gives_the_same_architectures_each_once() -> None:
    configurations = fixed_configurations(20)
    assert configurations == fixed_configurations(20)
    assert configurations != fixed_configurations(20, seed=2)
    assert configurations[:5] == fixed_configurations(5)
    architectures = {(c.layer_sizes, c.values["embedding_dimension"]) for c in configurations}
    assert len(architectures) == 20


def test_the_study_file_holds_these_within_the_space_of_the_tutorial(tmp_path: Path) -> None:
    configurations = fixed_configurations(20)
    spec = loaded(tmp_path, study_file(configurations, epochs=30))
    assert list(enqueued_configurations(spec).values()) == configurations
    assert spec.space == tutorial_space()
    assert (spec.study.trials, spec.pruner.name) == (20, "none")
    assert (spec.training.epochs, spec.training.validate_every) == (30, 5)
    more = loaded(tmp_path, study_file([], epochs=1, trials=200))
    assert (more.study.trials, more.training.validate_every) == (200, 1)
    assert more.sampler.name == "random"


def test_the_plain_harness_is_given_the_same_configuration() -> None:
    for configuration in fixed_configurations(20):
        ours = parameters_of(configuration)
        plain = trial_parameters({"layer_sizes": configuration.layer_sizes, **configuration.values})
        widest = max(exponent for name, exponent in ours.items() if "width" in name)
        assert plain["width_0_log2"] == widest
        for name in ("depth", "embedding_dimension_log2", "learning_rate"):
            assert plain[name] == ours[name]
