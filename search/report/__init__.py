"""A study as one HTML file that needs nothing else, or as JSON.

Both are made from the study's database and its ledger; the data set is not needed. The parts:

- :mod:`~search.report.facts`: what is known about a study, gathered once
- :mod:`~search.report.confirmed`: contenders over seeds and tests, from the ledger
- :mod:`~search.report.facts`, :mod:`~search.report.facts`: what it cost, what mattered
- :mod:`~search.report.tables`: facts -> rows of tables
- :mod:`~search.report.style`, :mod:`~search.report.style`, :mod:`~search.report.scatter`,
  :mod:`~search.report.curve_plots`, :mod:`~search.report.trial_plots`,
  :mod:`~search.report.parallel_plot`, :mod:`~search.report.result_plots`: facts -> pictures for
  Plotly, as plain JSON whose colors are names that the page gives a value, light or dark
- :mod:`~search.report.findings`: what each picture shows, in words
- :mod:`~search.report.page`: all of it -> HTML, by templates
- :mod:`~search.report.document`, :mod:`~search.report.document`: the JSON, and facts -> JSON
- :mod:`~search.report.writing`, :mod:`~search.report.writing`: for whoever writes a report
- :mod:`~search.report.writing`: for the command
"""
