"""``python -m tests.documentation``: write the reference pages anew (``make docs``)."""

from tests.documentation.reference import FOLDER, pages

for name, text in pages().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
