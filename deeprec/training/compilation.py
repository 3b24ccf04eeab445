"""JAX's persistent compilation cache: what was compiled once is loaded afterwards."""

from pathlib import Path

import jax

MAX_BYTES = 1 << 30


def use_compilation_cache(folder: Path) -> None:
    """Keeps compiled programs in ``folder``, for this process and later ones.

    Does nothing where JAX's own switch, ``JAX_ENABLE_COMPILATION_CACHE=false``, turns caching off.
    A cached program is code that will run: the folder is made for its owner alone, and must be
    trusted as the code itself is. The least recently used programs go when it exceeds 1 GiB.

    Raises:
        OSError: the folder cannot be made, or is another user's. Nothing is kept then.
    """
    if not jax.config.jax_enable_compilation_cache:  # type: ignore[attr-defined]
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    settings = {
        "jax_compilation_cache_dir": str(folder),
        "jax_compilation_cache_max_size": MAX_BYTES,
        # A model is a few large programs and dozens of tiny ones: keep the tiny ones as well.
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    for name, value in settings.items():
        jax.config.update(name, value)  # type: ignore[no-untyped-call]
