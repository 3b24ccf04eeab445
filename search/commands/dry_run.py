"""``--dry-run``: what a search would try and write, without writing anything."""

from collections.abc import Iterator

import optuna
from rich import box
from rich.table import Table
from rich.text import Text

from deeprec.data.dataset import Dataset, load_prepared
from deeprec.errors import DataError
from deeprec.events.description import DataDescription
from deeprec.model.retrieval import parameter_count
from search.config.dimensions import DEPTH
from search.config.space import Configuration, data_config, suggest
from search.config.study import StudySpec
from search.execution.data import check_names
from search.execution.runtime import cores_each, workers_that_pay
from search.records.errors import InputError
from search.records.trials import breach, cost_words, counted, objective_words
from search.scheduling.next_trial import ask_next
from search.scheduling.samplers import make_pruner
from search.session.session import Flags, Session
from search.storage.attributes import REFERENCE

FIRST = 10


def print_dry_run(session: Session) -> None:
    """Prints the space, the first configurations and what would be written where."""
    console, spec = session.screen.console, session.spec
    check_names(spec)
    dataset = _prepared(session)
    places = {
        "study": session.database.shown,
        "towers": str(session.towers_folder),
        "MLflow": session.destination.shown,
    }
    description = f": {spec.study.description}" if spec.study.description else ""
    console.print(f"study {spec.name}{description}", markup=False, highlight=False)
    console.print(_space(spec))
    console.print(
        f"{spec.study.trials} trials of up to {spec.training.epochs} epochs, sampler "
        f"{spec.sampler.name}, pruner {spec.pruner.name}, seed {spec.study.seed}; "
        "the first configurations:",
        highlight=False,
    )
    for line in _aims(spec):
        console.print(line, highlight=False)
    console.print(_configurations(spec, dataset))
    if dataset is None:
        console.print("parameter counts are known once the data set is prepared")
    if line := _workers(session.flags):
        console.print(line, highlight=False)
    for what, place in places.items():
        line = f"{what + ':':<7} {place}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print("nothing was written")


def _workers(flags: Flags) -> str:
    """How many workers there are, with what; nothing for one that is the command itself."""
    place = flags.placement
    if place.cluster is not None:
        share = f" and {place.gpus:g} GPU" if place.gpus else ""
        many = "as many workers as fit" if flags.workers is None else f"{flags.workers} workers"
        return f"{many}, placed by Ray, with {counted(place.cpus, 'CPU')}{share} each"
    workers = flags.workers or workers_that_pay(place)
    if workers == 1:
        return ""
    return f"{workers} workers with {counted(cores_each(workers), 'core')} each"


def _prepared(session: Session) -> Dataset | None:
    """The data set, if it was prepared before; of own data the files are checked, not read."""
    spec = session.spec
    if not isinstance(spec.data, DataDescription):
        return load_prepared(data_config(spec))
    from deeprec.events.preparation import check_files

    try:
        check_files(spec.data, session.flags.data_dir or spec.folder)
    except DataError as error:
        raise InputError(str(error)) from error
    return None


def first_configurations(spec: StudySpec, count: int) -> list[tuple[str, Configuration]]:
    """What a new search tries first, each with its origin: a name of the file, or the sampler.

    Exact as long as the sampler needs no results, as the start-up trials of every sampler do.
    Fewer than ``count`` where the study's budget, or its grid, ends before.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=spec.directions, pruner=make_pruner(spec))
    found: list[tuple[str, Configuration]] = []
    for _ in range(min(count, spec.study.trials)):
        trial = ask_next(study, study.get_trials(deepcopy=False), spec, others_run=False)
        if trial is None:
            break
        origin = trial.user_attrs.get(REFERENCE, spec.sampler.name)
        found.append((origin, suggest(trial, spec.space)))
    return found


def _space(spec: StudySpec) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("dimension", "values"):
        table.add_column(header)
    space = spec.space
    table.add_row("depth", DEPTH.shown(space.depth))
    table.add_row("widths", f"{space.width}, never widening toward the output")
    for each, values in space.varied:
        table.add_row(each.name, each.shown(values))
    table.add_row("architectures", f"{space.architectures:,}")
    return table


def _configurations(spec: StudySpec, dataset: Dataset | None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("trial", "layers", "embedding", "learning rate", "parameters", "from"):
        table.add_column(header, justify="left" if header in ("layers", "from") else "right")
    for number, (origin, configuration) in enumerate(first_configurations(spec, FIRST)):
        table.add_row(
            str(number),
            str(configuration.layer_sizes),
            str(configuration.values["embedding_dimension"]),
            f"{configuration.values['learning_rate']:.4g}",
            "-" if dataset is None else _parameters(dataset, configuration, spec),
            Text(origin),
        )
    return table


def _parameters(dataset: Dataset, configuration: Configuration, spec: StudySpec) -> str:
    """The number of parameters, and whether it is above the limit of the study."""
    model = configuration.model_config(spec.model.towers)
    count = parameter_count(dataset.users.schema, dataset.movies.schema, model)
    is_over = breach({"parameters": count}, spec.limits.given, is_whole=False)
    return f"{count:,}{' (infeasible)' if is_over else ''}"


def _aims(spec: StudySpec) -> Iterator[str]:
    """Several objectives, and limits, where the study has any."""
    if len(spec.objectives) > 1:
        yield f"objectives: {', '.join(map(objective_words, spec.objectives))}"
    if limits := spec.limits.given:
        yield f"limits: {', '.join(cost_words(*each) for each in limits.items())}"
