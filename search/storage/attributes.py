"""The schema of the truth: every attribute that a study and its trials have in Optuna's database.

Each with its JSON type and the module that writes it. A name keeps its meaning for good, as
studies of earlier versions are read; what a study of an earlier version lacks is absent.
"""

# --- of a study -------------------------------------------------------------------------------

# str: tells the study from others of its name; `storage.study` for a new one, `session` for a copy
IDENTITY = "identity"
SEED = "seed"  # int: the study's seed; `storage.study`
DATA_FINGERPRINT = "data_fingerprint"  # str: of the prepared data set; `storage.study`
# object: what two searches of one study must have in common; `storage.study`, last of the four
COMPARABLE = "comparable"

# object: the code of the study's parts by module, see `config.study`; `storage.study`
CODE = "code"

MARKS = (IDENTITY, SEED, DATA_FINGERPRINT, COMPARABLE)
"""What a study of ours has from its creation, in the order in which it is written."""

HOME = "home"  # str: the path of the SQLite database when it was last searched; `session`
DESCRIPTION = "description"  # object: what MLflow shows of the study beyond its trials; `session`
# str: how the last search ended, a :data:`search.records.trials.StudyState`; `session`
END = "end"
# object: begins the names of results that are computed once; `results`, `refresh`
RESULT = "result:"

# --- of a trial, from its creation ------------------------------------------------------------

# int: number of the first trial of this configuration, which was interrupted; `next_trial`
RETRY_OF = "retry_of"
# str: name of the enqueued configuration of the study file that this is; `next_trial`
REFERENCE = "reference"
# str: the study and the number of the trial that this one is, such as ``tutorial/12``; `reuse`
TAKEN_OVER = "taken_over"
WORKER = "worker"  # str: the worker that claimed the trial; `locks`

# --- of a trial, while it trains --------------------------------------------------------------

BEAT = "beat"  # int: counts the heartbeats of its worker; `heartbeat`
DERIVED = "derived"  # object: layer sizes (as text), parameter count and seed; `objective`
COMPUTED_ON = (
    "computed_on"  # object: what decides how sums were rounded, see `runtime`; `objective`
)
CURVE = "curve"  # array of ``[epoch, milliseconds since 1970, metrics]``; `objective`
# object: megabytes and milliseconds of its recommender, those that the study asks for; `objective`
COSTS = "costs"
TRAIN_SECONDS = "train_seconds"  # number: of building, training and validating; `objective`
RESUMED_AFTER = "resumed_after"  # int: epoch of the checkpoint that it went on from; `objective`

# --- of a trial, by its end -------------------------------------------------------------------

REASON = "reason"  # str: why it diverged, failed or was interrupted; `loop`, `heartbeat`
DIVERGED = "diverged"  # true: its training diverged; to Optuna it is a pruned trial; `loop`
# true, and a tag in MLflow: it ran out of memory and is not tried again; `loop`, `heartbeat`
OOM = "oom"
# str: type of the error of a failed trial, where the environment may be at fault; `loop`
ERROR = "error"
TRACEBACK = "traceback"  # str: of a failed trial; `loop`
# true: it did not fail by itself, and its configuration runs again; `heartbeat`
INTERRUPTED = "interrupted"
DIED = "died"  # true: its process died while it ran; `heartbeat`
SUPERSEDED = "superseded"  # true: another trial took its place before it began; `heartbeat`

# --- system attributes of a trial -------------------------------------------------------------

GRID_PARAMETERS = "grid:parameters"  # object: the parameters that the grid chose; `samplers`
FIXED_PARAMETERS = "fixed_params"  # object: the parameters of an enqueued trial; Optuna
