"""Results of a run, and the report that shows them.

    results = Results(...)                               # numbers, checked
    pictures = Pictures(class_means, class_names, {...}) # what to show
    path = write_report(results, pictures, Path("out"))  # report.html beside results.json, rows.csv, tensors
    results = Results.from_json(Path("out/results.json").read_bytes())
    print(answer(results))                               # the headline, in plain sentences

`Control` is a `Row` from a target with nothing to leak. Matplotlib, Jinja2 and safetensors are imported when
a report is written, not before.
"""

from bl_neuro.report.answer import Answer, answer
from bl_neuro.report.pictures import InversionPictures, Pictures
from bl_neuro.report.schema import Control, Curve, Dataset, Evaluator, NetworkInfo, Results, Row
from bl_neuro.report.writer import rows_csv, write_report

__all__ = [
    "Answer",
    "Control",
    "Curve",
    "Dataset",
    "Evaluator",
    "InversionPictures",
    "NetworkInfo",
    "Pictures",
    "Results",
    "Row",
    "answer",
    "rows_csv",
    "write_report",
]
