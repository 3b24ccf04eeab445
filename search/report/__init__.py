"""A study as one HTML file that needs nothing else, or as JSON.

Both are made from the study's database and its ledger; the data set is not needed.

:mod:`~search.report.facts` and :mod:`~search.report.confirmed` gather what is known. Modules that
end in ``plots`` draw it for Plotly with :mod:`~search.report.drawing`, each with its finding in
words; :mod:`~search.report.tables` makes rows of it, :mod:`~search.report.page` HTML.
:mod:`~search.report.schema` is the JSON, and :mod:`~search.report.writing` writes both.
"""
