"""The schema of the truth: every attribute that a study and its trials have in Optuna's database.

Each with its JSON type and the module that writes it. A name keeps its meaning for good, as
studies of earlier versions are read; what a study of an earlier version lacks is absent.
"""

# --- of a study -------------------------------------------------------------------------------

IDENTITY = "identity"
"""str: tells the study from others of its name; `storage` for a new one, `described` for a copy."""

SEED = "seed"
"""int: the study's seed; `storage`."""

DATA_FINGERPRINT = "data_fingerprint"
"""str: of the prepared data set; `storage`."""

COMPARABLE = "comparable"
"""object: what two searches of one study must have in common; `storage`, last of the four."""

MARKS = (IDENTITY, SEED, DATA_FINGERPRINT, COMPARABLE)
"""What a study of ours has from its creation, in the order in which it is written."""

HOME = "home"
"""str: the path of the SQLite database when it was last searched; `described`."""

DESCRIPTION = "description"
"""object: what MLflow shows of the study beyond its trials; `described`."""

END = "end"
"""str: how the last search ended, a :data:`search.records.trials.StudyState`; `described`."""

RESULT = "result:"
"""object: begins the names of results that are computed once; `ledger`, see `kept_results`."""

# --- of a trial, from its creation ------------------------------------------------------------

RETRY_OF = "retry_of"
"""int: number of the first trial of this configuration, which was interrupted; `order`."""

REFERENCE = "reference"
"""str: name of the enqueued configuration of the study file that this is; `order`."""

WORKER = "worker"
"""str: the worker that claimed the trial; `claim`."""

# --- of a trial, while it trains --------------------------------------------------------------

BEAT = "beat"
"""int: counts the heartbeats of its worker; `pulse`."""

DERIVED = "derived"
"""object: layer sizes (as text), parameter count and seed; `objective`."""

COMPUTED_ON = "computed_on"
"""object: what decides how sums were rounded, see `provenance`; `objective`."""

CURVE = "curve"
"""array of ``[epoch, milliseconds since 1970, metrics]``; `objective`."""

TRAIN_SECONDS = "train_seconds"
"""number: seconds of building, training and validating; `objective`."""

# --- of a trial, by its end -------------------------------------------------------------------

REASON = "reason"
"""str: why it diverged, failed or was interrupted; `objective`, `stale`."""

DIVERGED = "diverged"
"""true: its training diverged; to Optuna it is a pruned trial; `objective`."""

OOM = "oom"
"""true, and a tag in MLflow: it ran out of memory and is not tried again; `objective`, `stale`."""

ERROR = "error"
"""str: type of the error of a failed trial, where the environment may be at fault; `objective`."""

TRACEBACK = "traceback"
"""str: of a failed trial; `objective`."""

INTERRUPTED = "interrupted"
"""true: it did not fail by itself, and its configuration runs again; `stale`."""

DIED = "died"
"""true: its process died while it ran; `stale`."""

SUPERSEDED = "superseded"
"""true: another trial took its place before it began; `stale`."""

# --- system attributes of a trial -------------------------------------------------------------

GRID_PARAMETERS = "grid:parameters"
"""object: the parameters that the grid sampler chose; `grid`."""

FIXED_PARAMETERS = "fixed_params"
"""object: the parameters of an enqueued trial; Optuna."""
